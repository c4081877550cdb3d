"""A golden case and its verdict: passed, failed with its misses, or unsupported with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from stressbook.errors import InvalidInput
from stressbook.experiments.conform.inputs import NotSupported
from stressbook.experiments.conform.judging import Tolerance, differences

__all__ = ["Case", "Judged", "Miss", "Quantities", "Unsupported", "judge"]

# What a reader can tell of a case, by the names of the file; computed only where it is judged.
Quantities: TypeAlias = Mapping[str, Callable[[], Any]]


@dataclass(frozen=True)
class Judged:
    """A value of the file that a rule has to give.

    Parameters
    ----------
    name : str
        Of the quantity.
    expected : object
        Number, boolean, list or table; None says that there is none.
    tolerance : Tolerance, optional
        That the case or its section states.
    """

    name: str
    expected: Any
    tolerance: Tolerance | None = None


@dataclass(frozen=True)
class Case:
    """A case.

    Parameters
    ----------
    name : str
        For people.
    judged : tuple of Judged
        What has to agree.
    read : callable
        Returns the quantities; raises NotSupported with a reason.
    """

    name: str
    judged: tuple[Judged, ...]
    read: Callable[[], Quantities]


@dataclass(frozen=True)
class Miss:
    """A number that does not agree; the tolerance of what is no number is None."""

    case: str
    quantity: str
    found: Any
    expected: Any
    tolerance: float | None

    def __str__(self) -> str:
        text = f"{self.case}: {self.quantity} is {self.found!r}, expected {self.expected!r}"
        return text if self.tolerance is None else f"{text} within {self.tolerance:.3g}"


@dataclass(frozen=True)
class Unsupported:
    """A case that can neither pass nor fail."""

    case: str
    reason: str

    def __str__(self) -> str:
        return f"{self.case}: {self.reason}"


def judge(case: Case) -> tuple[list[Miss], Unsupported | None]:
    """Return what of a case is wrong, and why it cannot be judged in full.

    Parameters
    ----------
    case : Case
        As read.

    Returns
    -------
    list of Miss
        Not empty: the case has failed, whatever else cannot be judged.
    Unsupported or None
        The first reason; None and no miss: the case has passed.
    """
    try:
        quantities = case.read()
    except _REFUSALS as refusal:
        return [], Unsupported(case.name, _reason(refusal))
    if not case.judged:
        return [], Unsupported(case.name, "has nothing that is judged")
    misses: list[Miss] = []
    why: Unsupported | None = None
    for one in case.judged:
        try:
            if one.name not in quantities:
                raise NotSupported(f"no rule gives `{one.name}`")
            found = quantities[one.name]()
            misses += [
                Miss(case.name, wrong.place, wrong.found, wrong.expected, wrong.tolerance)
                for wrong in differences(found, one.expected, one.tolerance, one.name)
            ]
        except _REFUSALS as refusal:
            why = why or Unsupported(case.name, _reason(refusal))
    return misses, why


_REFUSALS = (NotSupported, InvalidInput, ArithmeticError)


def _reason(refusal: Exception) -> str:
    if isinstance(refusal, NotSupported):
        return str(refusal)
    return f"no rule takes these inputs: {' '.join(str(refusal).split())}"
