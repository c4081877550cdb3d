"""Golden cases held against the rules: what passed, what missed, and what no rule gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

from stressbook.experiments.conform import (
    Miss,
    Unsupported,
    Verdicts,
    judge_document,
    read_documents,
)
from stressbook.experiments.words import Text

__all__ = ["Conformity", "conform", "conform_all"]


class Conformity:
    """The verdicts on one or more files of golden cases.

    Parameters
    ----------
    verdicts : sequence of (Path, Verdicts)
        Of each file.

    Attributes
    ----------
    passed, failed, unsupported : int
        Cases. Unsupported ones are of a kind or shape that no rule here knows, or lack an input:
        they have neither passed nor failed.
    misses : list of Miss
        Each number of a failed case that does not agree: `case`, `quantity`, `found`, `expected`,
        `tolerance`.
    reasons : list of Unsupported
        Of each unsupported case: `case`, `reason`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from stressbook.experiments.conform import judge_document
    >>> point = {"utilization": 0.9, "borrow_rate": 0.525, "supply_rate": 0.42525}
    >>> Conformity([(Path("rates.json"), judge_document({"borrow_rate": [point]}))])
    <Conformity: 1 passed, 0 failed, 0 unsupported>
    """

    def __init__(self, verdicts: Sequence[tuple[Path, Verdicts]]) -> None:
        self._verdicts = list(verdicts)
        each = [found for _, found in self._verdicts]
        self.passed = sum(found.passed for found in each)
        self.failed = sum(found.failed for found in each)
        self.misses: list[Miss] = [miss for found in each for miss in found.misses]
        self.reasons: list[Unsupported] = [one for found in each for one in found.unsupported]
        self.unsupported = len(self.reasons)

    def __repr__(self) -> str:
        return f"<Conformity: {_counts(self)}>"

    def summary(self) -> str:
        """Return counts of each file, every miss with both numbers, and what is unsupported why."""
        lines = []
        for path, found in self._verdicts:
            lines.append(f"{path}: {_counts(Conformity([(path, found)]))}")
            lines += [f"  miss         {miss}" for miss in found.misses]
            lines += [f"  unsupported  {one}" for one in found.unsupported]
        if len(self._verdicts) > 1:
            lines.append(_counts(self))
        return Text("\n".join(lines))

    def to_dict(self) -> dict[str, Any]:
        """Return it as a table for JSON."""
        return {
            "passed": self.passed,
            "failed": self.failed,
            "unsupported": self.unsupported,
            "misses": [
                {"file": str(path), **asdict(miss)}
                for path, found in self._verdicts
                for miss in found.misses
            ],
            "unsupported_cases": [
                {"file": str(path), **asdict(one)}
                for path, found in self._verdicts
                for one in found.unsupported
            ],
        }


def _counts(found: Conformity) -> str:
    return f"{found.passed} passed, {found.failed} failed, {found.unsupported} unsupported"


def conform(path: str | PathLike[str]) -> Conformity:
    """Hold a file of golden cases against the rules that a run uses.

    Parameters
    ----------
    path : path-like
        JSON of one of the four formats, see docs/conform.md.

    Returns
    -------
    Conformity

    Raises
    ------
    InvalidInput
        If the file cannot be read or is of no known format.
    """
    return conform_all([path])


def conform_all(paths: Sequence[str | PathLike[str]]) -> Conformity:
    """Hold several files against the rules.

    Parameters
    ----------
    paths : sequence of path-like
        As for `conform`.

    Returns
    -------
    Conformity
        Of all together.

    Raises
    ------
    InvalidInput
        With every file that cannot be read or is of no known format.
    """
    files = [Path(path) for path in paths]
    documents = read_documents(files)
    judged = [judge_document(document) for document in documents]
    return Conformity(list(zip(files, judged, strict=True)))
