"""Break-even: the multiplier at which a probability of failure reaches alpha, by bisection.

The runs are noisy and few a point, so the interval is not the bracket but the points tried that
the data cannot tell from alpha. Bisection crowds its trials about the estimate, not about the ends
of what is possible: that interval misses the root in about a fifth of cases. What holds the root is
between the nearest points that are told from alpha, one on either side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stressbook.errors import InvalidInput
from stressbook.experiments.inference import Estimate
from stressbook.experiments.statistics.exact import (
    lower_bound,
    require_fractions,
    share_estimate,
    upper_bound,
)

__all__ = ["BreakEven", "TriedPoint", "break_even"]

RANGE: Final = (0.25, 4.0)
BISECTIONS: Final = 6


@dataclass(frozen=True)
class TriedPoint:
    """One multiplier that was tried.

    Parameters
    ----------
    multiplier : float
        Of the lever.
    failures : int
        Of the runs there.
    share : Estimate
        Of failures, with its exact 95 % interval.
    """

    multiplier: float
    failures: int
    share: Estimate


@dataclass(frozen=True)
class BreakEven:
    """Where failures reach alpha.

    Parameters
    ----------
    value : float
        Geometric middle of the last bracket; 0 or infinite if the root lies outside the range.
    low, high : float
        Smallest and largest multiplier tried whose interval holds alpha, or the last bracket
        where none does; an end beyond which the root lies is 0 or infinite.
    bound_low, bound_high : float
        Nearest multipliers tried that are told from alpha, with 95 % confidence each; 0 or infinite
        where none is. The root lies between them.
    tried : tuple of TriedPoint
        In the order of the trials.
    range : (float, float)
        That was searched.
    """

    value: float
    low: float
    high: float
    bound_low: float
    bound_high: float
    tried: tuple[TriedPoint, ...]
    range: tuple[float, float]

    @property
    def is_outside(self) -> bool:
        """Whether the root lies outside the range."""
        return self.value == 0.0 or math.isinf(self.value)

    def __str__(self) -> str:
        if self.is_outside:
            side = "above" if self.value else "below"
            return f"outside [{self.range[0]:g}, {self.range[1]:g}]: {side}"
        tried = f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g}"
        low = f"above {self.bound_low:.3g}" if self.bound_low > 0.0 else ""
        high = f"below {self.bound_high:.3g}" if self.bound_high < math.inf else ""
        shown = " and ".join(one for one in (low, high) if one) or "not bounded"
        return f"{tried}; {shown} at 95 %)"


def break_even(
    try_point: Callable[[float], tuple[int, int]],
    *,
    alpha: float = 0.05,
    rises: bool = False,
    ends: tuple[float, float] = RANGE,
    steps: int = BISECTIONS,
) -> BreakEven:
    """Bisect the logarithm of a multiplier for the point where failures have probability alpha.

    Parameters
    ----------
    try_point : callable
        From a multiplier to (failures, runs): the same number of runs, and the same seeds,
        each time; 59 in the law of this package.
    alpha : float, default 0.05
        Probability sought.
    rises : bool, default False
        Whether failures rise with the multiplier; they fall with absorption.
    ends : (float, float), default (1/4, 4)
        Range searched.
    steps : int, default 6
        Bisections. An end that no trial moved is tried too, to tell a root there from none.

    Returns
    -------
    BreakEven

    Raises
    ------
    InvalidInput
        If alpha is no probability or the range no range.

    Examples
    --------
    >>> found = break_even(lambda multiplier: (round(59 * 0.1 / multiplier), 59))
    >>> print(found)
    2.33 (1 to 2.83; not bounded at 95 %)
    """
    require_fractions(alpha=alpha)
    if not 0.0 < ends[0] < ends[1] < math.inf or steps < 1:
        raise InvalidInput("is no range", name="ends", value=ends, allowed="above 0 and rising")
    tried: list[TriedPoint] = []

    def is_below(multiplier: float) -> bool:
        """Try a point, and tell whether the root is beyond it."""
        count, n = try_point(multiplier)
        tried.append(TriedPoint(multiplier, count, share_estimate(count, n)))
        return (count < alpha * n) if rises else (count > alpha * n)

    low, high = ends
    for _ in range(steps):
        middle = math.sqrt(low * high)
        if is_below(middle):
            low = middle
        else:
            high = middle
    value = math.sqrt(low * high)
    if high == ends[1] and is_below(high):
        value = math.inf
    elif low == ends[0] and not is_below(low):
        value = 0.0
    points = tuple(tried)
    return BreakEven(
        value,
        *_cannot_tell(value, (low, high), points, alpha, ends),
        *_bounds(points, alpha, rises=rises),
        points,
        ends,
    )


def _cannot_tell(
    value: float,
    bracket: tuple[float, float],
    tried: tuple[TriedPoint, ...],
    alpha: float,
    ends: tuple[float, float],
) -> tuple[float, float]:
    holding = [point.multiplier for point in tried if point.share.covers(alpha)]
    low, high = (min(holding), max(holding)) if holding else bracket
    if value == 0.0:
        return 0.0, high if holding else ends[0]
    if math.isinf(value):
        return low if holding else ends[1], math.inf
    return min(low, value), max(high, value)


def _bounds(tried: tuple[TriedPoint, ...], alpha: float, *, rises: bool) -> tuple[float, float]:
    more = [p.multiplier for p in tried if lower_bound(p.failures, p.share.n) > alpha]
    less = [p.multiplier for p in tried if upper_bound(p.failures, p.share.n) < alpha]
    below, above = (less, more) if rises else (more, less)
    return max(below, default=0.0), min(above, default=math.inf)
