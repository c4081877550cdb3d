"""Estimators over seeds that the table needs beside means: ratios, medians, drifts."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from stressbook.errors import InvalidInput
from stressbook.experiments.inference import Estimate, mean_estimate

__all__ = ["drift_frac", "median_estimate", "ratio_estimate"]

_ENOUGH: Final = 2


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
        Ratio of means with a t interval of the residuals `a - ratio b` over the mean of b.
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
    a, b = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    if a.shape != b.shape:
        raise InvalidInput("does not pair", name="numerators", value=a.shape, allowed=str(b.shape))
    usable = np.isfinite(a) & np.isfinite(b)
    a, b = a[usable], b[usable]
    if len(a) == 0 or b.sum() == 0.0:
        return Estimate(math.nan, math.nan, math.nan, len(a), level)
    ratio = float(a.sum() / b.sum())
    spread = mean_estimate((a - ratio * b) / b.mean(), level=level)
    return Estimate(ratio, ratio - spread.half_width, ratio + spread.half_width, len(a), level)


def median_estimate(values: npt.ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return the median with the interval of order statistics, exact for any law.

    Parameters
    ----------
    values : array_like of float, shape (n,)
        One value a seed; NaN is left out and shows in n.
    level : float, default 0.95
        Least confidence.

    Returns
    -------
    Estimate
        NaN bounds when n is too small for the confidence: below 5 at 0.9.

    Examples
    --------
    >>> e = median_estimate([5.0, 1.0, 2.0, 4.0, 3.0], level=0.9)
    >>> e.value, e.low, e.high
    (3.0, 1.0, 5.0)
    """
    x = np.asarray(values, np.float64)
    x = np.sort(x[np.isfinite(x)])
    n = len(x)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0, level)
    middle = float(np.median(x))
    below = _most_left_out(n, level)
    if below < 0:
        return Estimate(middle, math.nan, math.nan, n, level)
    return Estimate(middle, float(x[below]), float(x[n - 1 - below]), n, level)


def _most_left_out(n: int, level: float) -> int:
    """Return how many values may be left out on each side, -1 if the range itself is too narrow."""
    tail = 0.0
    for k in range(n // 2 + 1):
        tail += math.comb(n, k) * 0.5**n
        if 2.0 * tail > 1.0 - level:
            return k - 1
    return n // 2


def drift_frac(values: npt.ArrayLike, *, span: float = 1.0) -> float:
    """Return the least-squares slope of a series over a span, over its mean.

    Parameters
    ----------
    values : array_like of float, shape (n,)
        At equal distances, the whole of the span.
    span : float, default 1
        Length of the series in units of the answer: 1 for the drift over the series itself.

    Returns
    -------
    float
        Drift over one unit, as a fraction of the mean; NaN with fewer than two values.

    Examples
    --------
    >>> round(drift_frac([9.0, 10.0, 11.0]), 6)
    0.3
    """
    y = np.asarray(values, np.float64)
    if len(y) < _ENOUGH or y.mean() == 0.0:
        return math.nan
    x = (np.arange(len(y)) - (len(y) - 1) / 2.0) * span / len(y)
    return float((x * y).sum() / (x * x).sum() / y.mean())
