"""Statistics over seeds, each with its interval and its n, and Holm's correction for many.

One rule for NaN: what is NaN (of a pair, either side) is left out and shows in n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit  # scipy.stats would take a second to import

from stressbook.errors import InvalidInput
from stressbook.market.compiling.arrays import F64

__all__ = [
    "Estimate",
    "correlation",
    "holm",
    "mean_estimate",
    "paired_difference",
    "ratio_estimate",
    "slope_estimate",
]


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty.

    Parameters
    ----------
    value : float
        Point estimate.
    low, high : float
        Interval; NaN when n is below 2.
    n : int
        Independent observations behind it.
    level : float
        Confidence of the interval.
    """

    value: float
    low: float
    high: float
    n: int
    level: float = 0.95

    @property
    def half_width(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2.0

    def covers(self, number: float) -> bool:
        """Tell whether a number lies in the interval, its ends included."""
        return self.low <= number <= self.high

    def excludes(self, number: float) -> bool:
        """Tell whether the interval lies wholly on one side of a number."""
        return self.low > number or self.high < number

    def scaled(self, factor: float) -> Estimate:
        """Return the estimate in another unit."""
        low, high = sorted((self.low * factor, self.high * factor))
        return Estimate(self.value * factor, low, high, self.n, self.level)


def mean_estimate(values: npt.ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return the mean with its t interval.

    Parameters
    ----------
    values : array_like of float, shape (n,)
        One value a seed; NaN is left out and shows in n.
    level : float, default 0.95
        Confidence.

    Returns
    -------
    Estimate
        NaN bounds when fewer than two values are left.

    Raises
    ------
    InvalidInput
        If `level` is not between 0 and 1.

    Examples
    --------
    >>> e = mean_estimate([1.0, 2.0, 3.0])
    >>> round(e.value, 3), round(e.low, 3), e.n
    (2.0, -0.484, 3)
    """
    if not 0.0 < level < 1.0:
        raise InvalidInput("is not a confidence", name="level", value=level, allowed="0 to 1")
    x = np.asarray(values, np.float64)
    x = x[np.isfinite(x)]
    n = len(x)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0, level)
    mean = float(np.sum(x)) / n
    if n == 1:
        return Estimate(mean, math.nan, math.nan, 1, level)
    half = _t_quantile(level, n - 1) * float(np.std(x, ddof=1)) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n, level)


def paired_difference(
    treated: npt.ArrayLike, control: npt.ArrayLike, *, level: float = 0.95
) -> Estimate:
    """Return the mean of treated - control over seeds, with its t interval.

    Parameters
    ----------
    treated, control : array_like of float, shape (n,)
        The same seeds in the same order.
    level : float, default 0.95
        Confidence.

    Returns
    -------
    Estimate

    Raises
    ------
    InvalidInput
        If the two differ in length.

    Examples
    --------
    >>> paired_difference([2.0, 3.0, 5.0], [1.0, 2.0, 3.0]).value.__round__(4)
    1.3333
    """
    a, b = _pairs("treated", treated, control)
    return mean_estimate(a - b, level=level)


def ratio_estimate(
    numerators: npt.ArrayLike, denominators: npt.ArrayLike, *, level: float = 0.95
) -> Estimate:
    """Return the ratio of two means over seeds; the denominator's noise is in the interval.

    Parameters
    ----------
    numerators, denominators : array_like of float, shape (n,)
        The same seeds in the same order.
    level : float, default 0.95
        Confidence.

    Returns
    -------
    Estimate
        Ratio of means with a t interval of the residuals `a - ratio b` over the mean of b; NaN
        where the denominators sum to 0.
        Source: Cochran, Sampling Techniques, 1977, section 6.

    Raises
    ------
    InvalidInput
        If the two differ in length.

    Examples
    --------
    >>> ratio_estimate([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    Estimate(value=0.5, low=0.5, high=0.5, n=3, level=0.95)
    """
    a, b = _pairs("numerators", numerators, denominators)
    if len(a) == 0 or b.sum() == 0.0:
        return Estimate(math.nan, math.nan, math.nan, len(a), level)
    ratio = float(a.sum() / b.sum())
    spread = mean_estimate((a - ratio * b) / b.mean(), level=level)
    return Estimate(ratio, ratio - spread.half_width, ratio + spread.half_width, len(a), level)


def holm(p_values: Sequence[float], *, alpha: float) -> list[bool]:
    """Return which hypotheses fall together, step by step from the smallest p-value.

    Parameters
    ----------
    p_values : sequence of float
        Of each hypothesis; NaN is none, and never falls.
    alpha : float
        Chance of one wrong fall or more.

    Returns
    -------
    list of bool
        Source: Holm, A simple sequentially rejective multiple test procedure, Scand. J. Stat.,
        1979.

    Examples
    --------
    >>> holm([0.04, 0.001, 0.03], alpha=0.05)
    [False, True, False]
    """
    ordered = sorted((value, i) for i, value in enumerate(p_values) if not math.isnan(value))
    falls = [False] * len(p_values)
    for rank, (value, i) in enumerate(ordered):
        if value > alpha / (len(ordered) - rank):
            break
        falls[i] = True
    return falls


def slope_estimate(x: Sequence[float], per_seed: npt.ArrayLike, *, level: float = 0.95) -> Estimate:
    """Fit a line to each seed's values over x, and return the mean slope with its t interval.

    Parameters
    ----------
    x : sequence of float, shape (m,)
        Regressor, for example log2 of the leverage factor.
    per_seed : array_like of float, shape (n, m)
        Values of each seed.
    level : float, default 0.95
        Confidence.

    Returns
    -------
    Estimate
        Slope for one unit of x.

    Examples
    --------
    >>> slope_estimate([-1.0, 0.0, 1.0], [[0.0, 1.0, 2.0], [0.0, 2.0, 4.0]]).value
    1.5
    """
    regressor = np.asarray(x, np.float64)
    centred = regressor - regressor.mean()
    values = np.asarray(per_seed, np.float64)
    slopes = (values * centred).sum(axis=1) / (centred**2).sum()
    return mean_estimate(slopes, level=level)


def correlation(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Return the correlation that pairing achieved; NaN where a side does not vary.

    Examples
    --------
    >>> correlation([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]).__round__(6)
    1.0
    """
    x, y = _pairs("a", a, b)
    if len(x) < 2 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])


def _pairs(name: str, first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[F64, F64]:
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape:
        raise InvalidInput("does not pair", name=name, value=a.shape, allowed=str(b.shape))
    usable = np.isfinite(a) & np.isfinite(b)
    return a[usable], b[usable]


def _t_quantile(level: float, degrees: int) -> float:
    return float(stdtrit(degrees, 0.5 + level / 2.0))
