"""Intervals: every statistic that the program prints goes through here, with its n."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit  # scipy.stats would take a second to import

from stressbook.errors import InvalidInput

__all__ = ["Estimate", "correlation", "mean_estimate", "paired_difference", "slope_estimate"]


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
    a, b = np.asarray(treated, np.float64), np.asarray(control, np.float64)
    if a.shape != b.shape:
        raise InvalidInput(
            "does not pair with the control", name="treated", value=a.shape, allowed=str(b.shape)
        )
    return mean_estimate(a - b, level=level)


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
    """Return the correlation that pairing achieved, NaN where a side does not vary.

    Examples
    --------
    >>> correlation([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]).__round__(6)
    1.0
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if len(x) < 2 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])


def _t_quantile(level: float, degrees: int) -> float:
    return float(stdtrit(degrees, 0.5 + level / 2.0))
