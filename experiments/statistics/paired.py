"""Rows of a table beside their default: the same seeds, exact bounds, and Holm over the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stressbook.errors import InvalidInput, Problem
from stressbook.experiments.claims import paired_share_p
from stressbook.experiments.inference import holm
from stressbook.experiments.statistics.exact import upper_bound

__all__ = ["ComparedRow", "compare_rows"]


@dataclass(frozen=True)
class ComparedRow:
    """Failures of one row, and whether they differ from the default row's.

    Parameters
    ----------
    name : str
        Of the row.
    failures, n : int
        Failures and runs.
    upper : float
        Exact one-sided upper bound on the row's P(failure). A row is no certificate.
    only_here, only_default : int
        Seeds that fail in this row alone, and in the default row alone.
    p : float
        Exact two-sided p-value of McNemar's test against the default row.
    differs : bool
        Whether it stands after Holm's correction over the rows.
    """

    name: str
    failures: int
    n: int
    upper: float
    only_here: int
    only_default: int
    p: float
    differs: bool


def compare_rows(
    rows: Mapping[str, Sequence[bool | None]], default: Sequence[bool], *, level: float = 0.95
) -> list[ComparedRow]:
    """Compare rows with the default row over the same seeds.

    Parameters
    ----------
    rows : mapping of str to sequence of bool or None, shape (n,)
        Whether each seed failed; a run that crashed has, and None is of a seed that was not run.
    default : sequence of bool, shape (n,)
        Of the default row: the same seeds in the same order.
    level : float, default 0.95
        Confidence of the bounds, and 1 - the chance of one wrong difference or more.

    Returns
    -------
    list of ComparedRow
        In the order of `rows`.

    Raises
    ------
    InvalidInput
        For every row that is not as long as the default row, or if there are no seeds.

    Examples
    --------
    >>> default = [False] * 59
    >>> row, = compare_rows({"half absorption": [True] * 8 + [False] * 51}, default)
    >>> row.failures, round(row.p, 4), row.differs
    (8, 0.0078, True)
    """
    n = len(default)
    problems = [
        Problem("does not pair with the default row", name, len(row), f"{n} seeds")
        for name, row in rows.items()
        if len(row) != n
    ]
    if n == 0:
        problems.append(Problem("holds no seeds", "default"))
    if problems:
        raise InvalidInput.from_problems(problems)
    by_name = {
        name: [(a, b) for a, b in zip(row, default, strict=True) if a is not None]
        for name, row in rows.items()
    }
    p = [paired_share_p([a for a, _ in pairs], [b for _, b in pairs]) for pairs in by_name.values()]
    stands = holm(p, alpha=1.0 - level)
    found = []
    for i, (name, pairs) in enumerate(by_name.items()):
        here = sum(a and not b for a, b in pairs)
        there = sum(b and not a for a, b in pairs)
        count = sum(a for a, _ in pairs)
        upper = upper_bound(count, len(pairs), confidence=level) if pairs else 1.0
        found.append(ComparedRow(name, count, len(pairs), upper, here, there, p[i], stands[i]))
    return found
