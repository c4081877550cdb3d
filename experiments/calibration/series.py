"""Equally spaced series: their memory, the clock in them, and a draw with memory."""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.signal import lfilter

from stressbook.experiments.calibration.estimate import F64

__all__ = ["autocovariance", "remove_season", "unit_ar1"]


def autocovariance(y: F64, lags: NDArray[np.int64]) -> F64:
    """Return sample autocovariances; bars without a value (NaN) count in no pair.

    Parameters
    ----------
    y : ndarray, shape (n,), dtype float64
        Equally spaced series.
    lags : ndarray of int, shape (n_lags,)
        In bars.

    Returns
    -------
    ndarray, shape (n_lags,), dtype float64
        Mean product of deviations from the overall mean.

    Examples
    --------
    >>> autocovariance(np.array([1.0, -1.0, 1.0, -1.0]), np.array([0, 1])).round(6)
    array([ 1., -1.])
    """
    present = np.isfinite(y)
    deviation = np.where(present, y - np.nanmean(y), 0.0)
    size = next_fast_len(2 * len(y), real=True)
    products = np.fft.irfft(np.abs(np.fft.rfft(deviation, size)) ** 2, size)[lags]
    pairs = np.fft.irfft(np.abs(np.fft.rfft(present.astype(float), size)) ** 2, size)[lags]
    return np.asarray(products / np.maximum(np.rint(pairs), 1.0))


def remove_season(y: F64, cell: NDArray[np.int64]) -> tuple[F64, F64]:
    """Take from each value the mean of its cell of the clock.

    Parameters
    ----------
    y : ndarray, shape (n,), dtype float64
        Series; NaN stays NaN.
    cell : ndarray of int, shape (n,)
        Cell of each bar, 0 or more: hour of day, weekend apart.

    Returns
    -------
    (ndarray, ndarray), shape (n,), dtype float64
        Residual and seasonal mean.

    Examples
    --------
    >>> residual, season = remove_season(np.array([1.0, 5.0, 3.0, 7.0]), np.array([0, 1, 0, 1]))
    >>> residual, season
    (array([-1., -1.,  1.,  1.]), array([2., 6., 2., 6.]))
    """
    present = np.isfinite(y)
    sums = np.bincount(cell[present], y[present], minlength=int(cell.max()) + 1)
    counts = np.bincount(cell[present], minlength=len(sums))
    season = (sums / np.maximum(counts, 1))[cell]
    return y - season, season


def unit_ar1(phi: float, n: int, *, rng: np.random.Generator) -> F64:
    """Draw a stationary AR(1) of mean 0 and variance 1, as an OU process at equal times.

    Parameters
    ----------
    phi : float
        Autocorrelation at lag 1, 0 to below 1.
    n : int
        Length.
    rng : numpy.random.Generator
        Draws `n` normals.

    Returns
    -------
    ndarray, shape (n,), dtype float64

    Examples
    --------
    >>> x = unit_ar1(0.5, 10_000, rng=np.random.default_rng(1))
    >>> round(float(x.std()), 1), round(float(np.corrcoef(x[1:], x[:-1])[0, 1]), 1)
    (1.0, 0.5)
    """
    shocks = rng.standard_normal(n)
    shocks[1:] *= np.sqrt(1.0 - phi**2)
    return np.asarray(lfilter([1.0], [1.0, -phi], shocks))
