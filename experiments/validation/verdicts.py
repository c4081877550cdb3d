"""Verdicts on a statistic with an interval: within a tolerance, or against a published range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from scipy.special import stdtr, stdtrit  # scipy.stats would take a second to import

from stressbook.errors import InvalidInput
from stressbook.experiments.inference import Estimate, holm

__all__ = [
    "BAND_LEVEL",
    "BOUND_LEVEL",
    "TOLERANCE_LEVEL",
    "Band",
    "BandVerdict",
    "Tolerance",
    "ToleranceVerdict",
    "against_band",
    "within_tolerances",
]

BandVerdict = Literal["undecided", "inside", "compatible", "miss"]
ToleranceVerdict = Literal["met", "missed", "undecided"]

BAND_LEVEL: Final = 0.90  # of intervals beside published ranges
BOUND_LEVEL: Final = 0.95  # beside bounds of our own
TOLERANCE_LEVEL: Final = 0.90  # two one-sided tests at 5 %


@dataclass(frozen=True)
class Band:
    """A range that a statistic should lie in.

    Parameters
    ----------
    low, high : float
        In the statistic's unit; infinite where there is no bound.
    source : str
        Where it comes from.
    """

    low: float
    high: float
    source: str = ""

    @property
    def width(self) -> float:
        """Of the range; infinite where it has one bound only."""
        return self.high - self.low


def against_band(estimate: Estimate, band: Band) -> BandVerdict:
    """Judge an estimate against a range: the first that holds.

    Parameters
    ----------
    estimate : Estimate
        With its interval.
    band : Band
        The range.

    Returns
    -------
    str
        "undecided" if the interval is wider than the range or there is none, "inside" if the point
        lies in the range, "compatible" if the interval overlaps it, else "miss".

    Examples
    --------
    >>> against_band(Estimate(3.9, 3.6, 4.2, 30, 0.9), Band(2.5, 3.8))
    'compatible'
    """
    if not math.isfinite(estimate.low + estimate.high):
        return "undecided"
    if estimate.high - estimate.low > band.width:
        return "undecided"
    if band.low <= estimate.value <= band.high:
        return "inside"
    if estimate.low <= band.high and estimate.high >= band.low:
        return "compatible"
    return "miss"


@dataclass(frozen=True)
class Tolerance:
    """A statistic that should lie within +- a tolerance of zero.

    Parameters
    ----------
    estimate : Estimate
        A mean with its t interval.
    most : float
        The tolerance, positive, in the statistic's unit.
    """

    estimate: Estimate
    most: float

    def p_outside(self) -> float:
        """Return the p value against lying outside: small if it is within the tolerance."""
        return max(self._tail(self.most), self._tail(-self.most, upper=False))

    def p_inside(self) -> float:
        """Return the p value against lying within: small if it is beyond the tolerance."""
        return min(self._tail(self.most, upper=False), self._tail(-self.most))

    def _tail(self, bound: float, *, upper: bool = True) -> float:
        """Return the chance of a mean this low (upper: this high) if the truth were at a bound."""
        e = self.estimate
        if e.n < 2 or not math.isfinite(e.half_width):
            return 1.0
        gap = e.value - bound if upper else bound - e.value
        error = self.standard_error()
        if error == 0.0:
            return 0.0 if gap < 0.0 else 1.0
        return float(stdtr(e.n - 1, gap / error))

    def standard_error(self) -> float:
        """Return the standard error that the interval was made of."""
        return self.estimate.half_width / float(
            stdtrit(self.estimate.n - 1, 0.5 + self.estimate.level / 2.0)
        )


def within_tolerances(
    checks: Sequence[Tolerance], *, level: float = TOLERANCE_LEVEL
) -> list[ToleranceVerdict]:
    """Judge a table of checks, each within its tolerance or not; Holm's correction over the table.

    For a single check this is the rule "the interval lies inside: met; outside: missed; else
    undecided". With more, intervals are read as if they were wider, so that the chance of one wrong
    "met" in the table, and that of one wrong "missed", stay at half of `1 - level`.

    Parameters
    ----------
    checks : sequence of Tolerance
        All of one table.
    level : float, default 0.90
        Confidence of the intervals.

    Returns
    -------
    list of str
        By check.

    Raises
    ------
    InvalidInput
        If a tolerance is not positive.

    Examples
    --------
    >>> tight, wide = Estimate(0.01, 0.0, 0.02, 30, 0.9), Estimate(0.01, -0.09, 0.11, 30, 0.9)
    >>> within_tolerances([Tolerance(tight, 0.05), Tolerance(wide, 0.05)])
    ['met', 'undecided']
    """
    for check in checks:
        if not check.most > 0.0:
            raise InvalidInput(
                "is not a tolerance", name="most", value=check.most, allowed="more than 0"
            )
    alpha = (1.0 - level) / 2.0
    met = holm([check.p_outside() for check in checks], alpha=alpha)
    missed = holm([check.p_inside() for check in checks], alpha=alpha)
    return [
        "met" if is_met else "missed" if is_missed else "undecided"
        for is_met, is_missed in zip(met, missed, strict=True)
    ]
