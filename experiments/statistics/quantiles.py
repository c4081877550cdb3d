"""Quantiles with intervals of order statistics, whatever the law, and means beyond a quantile.

References
----------
.. [1] B. J. Manistre, G. H. Hancock (2005), "Variance of the CTE estimator", North American
   Actuarial Journal 9(2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, stdtrit

from stressbook.experiments.inference import Estimate

__all__ = ["median_estimate", "quantile_estimate", "tail_mean_estimate"]

LEAST_TAIL: Final = 5  # values of a tail whose mean has an interval


def quantile_estimate(values: npt.ArrayLike, q: float, *, level: float = 0.95) -> Estimate:
    """Return a quantile with the interval that its order statistics give, whatever the law.

    Parameters
    ----------
    values : array_like of float, shape (n,)
        One a seed; infinity stands for what never came.
    q : float
        0 to 1.
    level : float, default 0.95
        Confidence; each end is missed with at most half of the rest.

    Returns
    -------
    Estimate
        The smallest value that a share q does not exceed; an end is NaN where n is too small.

    Examples
    --------
    >>> e = quantile_estimate(range(100), 0.95)
    >>> e.value, e.low, e.high
    (94.0, 89.0, 99.0)
    """
    x = np.sort(np.asarray(values, np.float64))
    n = len(x)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0, level)
    tail = (1.0 - level) / 2.0
    # P(at most k of n values lie below the quantile)
    below: Sequence[float] = [float(bdtr(k, n, q)) for k in range(n)]
    lows = [k for k in range(n) if below[k] <= tail]
    highs = [k for k in range(n) if below[k] >= 1.0 - tail]
    value = float(x[max(math.ceil(q * n - 1e-9) - 1, 0)])
    low = float(x[lows[-1]]) if lows else math.nan
    high = float(x[highs[0]]) if highs else math.nan
    return Estimate(value, low, high, n, level)


def median_estimate(values: npt.ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return the median with its exact interval."""
    return quantile_estimate(values, 0.5, level=level)


def tail_mean_estimate(
    values: npt.ArrayLike, *, worst_frac: float = 0.05, level: float = 0.95
) -> Estimate:
    """Return the mean of the largest values, the expected shortfall, with its interval.

    The variance is that of a mean over the tail plus that of where the tail begins [1]_; the upper
    end is taken on the logarithm of the mean excess over that point, as large values are skewed.

    Parameters
    ----------
    values : array_like of float, shape (n,)
        One an episode, finite.
    worst_frac : float, default 0.05
        Share of the values that is the tail, rounded up to whole values.
    level : float, default 0.95
        Confidence, reached in large samples: from about 300 values on for the worst 5 %.

    Returns
    -------
    Estimate
        The ends are NaN where the tail holds fewer than 5 values; the upper one also where all of
        its values are the same, which says nothing of larger ones.

    Examples
    --------
    >>> e = tail_mean_estimate(range(200))
    >>> round(e.value, 1), round(e.low, 1), round(e.high, 1)
    (194.5, 190.7, 200.5)
    """
    x = np.sort(np.asarray(values, np.float64))
    n = len(x)
    n_tail = math.ceil(worst_frac * n)
    tail = x[n - n_tail :]
    value = float(tail.mean()) if n_tail else math.nan
    if n_tail < LEAST_TAIL:
        return Estimate(value, math.nan, math.nan, n, level)
    excess = value - float(tail[0])
    variance = (float(tail.var(ddof=1)) + (1.0 - n_tail / n) * excess**2) / n_tail
    half = float(stdtrit(n_tail - 1, 0.5 + level / 2.0)) * math.sqrt(variance)
    high = value - excess + excess * math.exp(half / excess) if excess > 0.0 else math.nan
    return Estimate(value, value - half, high, n, level)
