"""Moments of returns that a run should match: tails, memory, aggregation, volume.

None of them enters a fit of this package; each is a target with its interval.
"""

import numpy as np
from scipy import stats

from stressbook.experiments.calibration.estimate import (
    F64,
    block_bootstrap_one,
    estimated,
    require_length,
)
from stressbook.experiments.inference import Estimate

__all__ = [
    "aggregate",
    "correlation_at_lag",
    "excess_kurtosis",
    "hill_index",
    "hill_of",
    "leverage_corr",
    "volume_corr",
]

# Least number of tail observations that a Hill estimate is printed for.
MIN_TAIL = 10


def hill_of(size: F64, share: float) -> float:
    """Return the Hill estimate of a tail index from the largest `share` of sizes.

    Parameters
    ----------
    size : ndarray, shape (n,), dtype float64
        Sizes; only the positive ones beyond the threshold matter.
    share : float
        Share of observations in the tail, 0 to 1.

    Returns
    -------
    float
        1 / mean log excess over the (k + 1)-th largest; NaN for fewer than two in the tail.

    References
    ----------
    .. [1] B. M. Hill (1975), "A simple general approach to inference about the tail of a
       distribution", Ann. Statist. 3(5).

    Examples
    --------
    >>> x = np.random.default_rng(1).pareto(3.0, 100_000) + 1.0
    >>> abs(hill_of(x, 0.02) - 3.0) < 0.3
    True
    """
    k = int(share * len(size))
    if k < 2:
        return float("nan")
    top = -np.partition(-size, k)[: k + 1]
    threshold = top.min()
    if threshold <= 0.0:
        return float("nan")
    # The threshold's own term is zero, hence the division by k.
    excess = float(np.log(top / threshold).sum()) / k
    return 1.0 / excess if excess > 0.0 else float("nan")


def hill_index(size: F64, *, share: float, block: int, rng: np.random.Generator) -> Estimate:
    """Estimate a tail index with a block-bootstrap interval; `n` counts the tail.

    Parameters
    ----------
    size : ndarray, shape (n,), dtype float64
        Absolute returns or order sizes in time order, NaN where missing.
    share : float
        Share of observations in the tail.
    block : int
        Block length, observations.
    rng : numpy.random.Generator
        For the bootstrap.

    Returns
    -------
    Estimate

    Raises
    ------
    InvalidInput
        If the tail holds fewer than 10 observations.

    Examples
    --------
    >>> x = np.random.default_rng(1).pareto(3.0, 20_000) + 1.0
    >>> hill_index(x, share=0.02, block=20, rng=np.random.default_rng(2)).covers(3.0)
    True
    """
    present = size[np.isfinite(size)]
    n_tail = int(share * len(present))
    require_length("observations in the tail", n_tail, MIN_TAIL)
    fit = block_bootstrap_one(present, lambda rows: hill_of(rows, share), block=block, rng=rng)
    return estimated(fit.value, fit.low, fit.high, n_tail)


def aggregate(log_price: F64, bars: int) -> F64:
    """Return non-overlapping log returns over `bars` bars.

    Examples
    --------
    >>> aggregate(np.array([0.0, 1.0, 3.0, 6.0, 10.0]), 2)
    array([3., 7.])
    """
    return np.diff(log_price[::bars])


def correlation_at_lag(x: F64, lag: int, *, block: int, rng: np.random.Generator) -> Estimate:
    """Estimate an autocorrelation; the bootstrap resamples pairs, so that no lag is broken.

    Parameters
    ----------
    x : ndarray, shape (n,), dtype float64
        Equally spaced series, NaN where missing.
    lag : int
        In bars.
    block : int
        Pairs of a block.
    rng : numpy.random.Generator
        For the bootstrap.

    Returns
    -------
    Estimate

    Examples
    --------
    >>> x = np.random.default_rng(1).normal(size=3000)
    >>> correlation_at_lag(x, 1, block=10, rng=np.random.default_rng(2)).covers(0.0)
    True
    """
    return _pair_correlation(x[:-lag], x[lag:], block=block, rng=rng)


def leverage_corr(log_return: F64, *, block: int, rng: np.random.Generator) -> Estimate:
    """Estimate the correlation of a return with the size of the next.

    Examples
    --------
    >>> r = np.random.default_rng(1).normal(size=3000)
    >>> leverage_corr(r, block=10, rng=np.random.default_rng(2)).covers(0.0)
    True
    """
    return _pair_correlation(log_return[:-1], np.abs(log_return[1:]), block=block, rng=rng)


def volume_corr(log_return: F64, volume: F64, *, block: int, rng: np.random.Generator) -> Estimate:
    """Estimate Spearman's correlation of volume and size of return of the same bar.

    Ranks are taken once over the whole record, then resampled.

    Examples
    --------
    >>> r = np.random.default_rng(1).normal(size=3000)
    >>> volume_corr(r, np.abs(r), block=10, rng=np.random.default_rng(2)).value > 0.99
    True
    """
    present = np.isfinite(log_return) & np.isfinite(volume)
    size = stats.rankdata(np.abs(log_return[present]))
    return _pair_correlation(size, stats.rankdata(volume[present]), block=block, rng=rng)


def excess_kurtosis(log_return: F64, *, block: int, rng: np.random.Generator) -> Estimate:
    """Estimate excess kurtosis.

    Examples
    --------
    >>> r = np.random.default_rng(1).normal(size=3000)
    >>> excess_kurtosis(r, block=10, rng=np.random.default_rng(2)).covers(0.0)
    True
    """
    present = log_return[np.isfinite(log_return)]
    return block_bootstrap_one(
        present, lambda rows: float(stats.kurtosis(rows)), block=block, rng=rng
    )


def _pair_correlation(x: F64, y: F64, *, block: int, rng: np.random.Generator) -> Estimate:
    pairs = np.column_stack([x, y])
    pairs = pairs[np.isfinite(pairs).all(axis=1)]

    def corr(rows: F64) -> float:
        return float(np.corrcoef(rows[:, 0], rows[:, 1])[0, 1])

    return block_bootstrap_one(pairs, corr, block=block, rng=rng)
