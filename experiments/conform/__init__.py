"""Golden cases: numbers that somebody else computed or observed, held against this venue's rules.

`judging` says when a number passes, `inputs` reads what a case gives, `documents` finds the cases
of a file; the other files have one reader for each shape of case. Readers only translate printed
values into the arguments of the functions that a run uses, and back.
"""

from stressbook.experiments.conform.cases import Miss, Unsupported
from stressbook.experiments.conform.documents import Verdicts, judge_document, read_documents

__all__ = ["Miss", "Unsupported", "Verdicts", "judge_document", "read_documents"]
