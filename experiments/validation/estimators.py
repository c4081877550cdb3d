"""Estimators that the table needs beside means and ratios over seeds: medians, drifts."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from stressbook.experiments.inference import Estimate

__all__ = ["drift_frac", "median_estimate"]

_ENOUGH: Final = 2


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
