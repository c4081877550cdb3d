"""How assets move together: correlation and beta in calm and stress, and shared volatility."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stressbook.experiments.calibration.estimate import (
    F64,
    block_bootstrap,
    block_bootstrap_one,
    estimated,
    require_length,
)
from stressbook.experiments.inference import Estimate

__all__ = [
    "CALM",
    "STRESS",
    "PairFit",
    "pair_fit",
    "shared_volatility",
    "volatility_regime",
]

CALM, MID, STRESS = 1, 0, 2
HOURS_PER_DAY = 24
# A week keeps the day's cycle and most of the clustering inside a block.
BLOCK_HOURS = 24 * 7
LOADING_LAGS = np.arange(1, 25)


@dataclass(frozen=True, slots=True)
class PairFit:
    """Correlation and beta of one pair of hourly returns.

    Parameters
    ----------
    corr, corr_calm, corr_stress : Estimate
        All hours, calm and stressed ones, regimes by volatility that includes the hour itself.
    corr_stress_before : Estimate
        Stressed by the volatility of the hours *before*, free of selection on the outcome.
    beta, beta_calm, beta_stress : Estimate
        Slope of the second return on the first, same hours as the correlations.
    """

    corr: Estimate
    corr_calm: Estimate
    corr_stress: Estimate
    corr_stress_before: Estimate
    beta: Estimate
    beta_calm: Estimate
    beta_stress: Estimate


def volatility_regime(
    benchmark: F64, *, window: int = HOURS_PER_DAY, lag: int = 0
) -> NDArray[np.int64]:
    """Label hours by the benchmark's realised variance over the last `window` hours.

    Parameters
    ----------
    benchmark : ndarray, shape (n,), dtype float64
        Hourly log returns, NaN where missing (counted as 0).
    window : int, default 24
        Hours summed.
    lag : int, default 0
        0 includes the labelled hour, 1 ends before it.

    Returns
    -------
    ndarray, shape (n,), dtype int64
        `CALM` below the median, `STRESS` in the top 5 %, 0 between and where the window does not
        fit.

    Examples
    --------
    >>> r = np.r_[np.full(100, 0.001), 0.1, np.full(100, 0.001)]
    >>> volatility_regime(r, window=4)[98:106].tolist()
    [0, 0, 2, 2, 2, 2, 0, 0]
    """
    square = np.nan_to_num(benchmark) ** 2
    total = np.cumsum(np.r_[0.0, square])
    realised = np.full(len(square), np.nan)
    first = window - 1 + lag
    realised[first:] = (total[window:] - total[:-window])[: len(square) - first]
    realised = np.round(realised, 12)
    label = np.full(len(square), MID, dtype=np.int64)
    label[realised < np.nanmedian(realised)] = CALM
    label[realised > np.nanquantile(realised, 0.95)] = STRESS
    return label


def pair_fit(
    first: F64,
    second: F64,
    *,
    regime: NDArray[np.int64],
    regime_before: NDArray[np.int64],
    rng: np.random.Generator,
) -> PairFit:
    """Estimate correlation and beta of two return series, by regime.

    Parameters
    ----------
    first, second : ndarray, shape (n,), dtype float64
        Hourly log returns, NaN where missing.
    regime, regime_before : ndarray of int, shape (n,)
        From `volatility_regime` with lag 0 and 1.
    rng : numpy.random.Generator
        For the bootstrap over blocks of a week; labels travel with their hours.

    Returns
    -------
    PairFit

    Raises
    ------
    InvalidInput
        If fewer than 200 hours have both returns.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x, e = rng.normal(size=(2, 3000))
    >>> label = volatility_regime(x)
    >>> fit = pair_fit(
    ...     x, 0.5 * x + e, regime=label, regime_before=label, rng=np.random.default_rng(2)
    ... )
    >>> fit.beta.covers(0.5)
    True
    """
    rows = np.column_stack([first, second, regime, regime_before]).astype(np.float64)
    rows = rows[np.isfinite(rows).all(axis=1)]
    require_length("hours with both returns", len(rows), 200)
    fits = block_bootstrap(rows, _pair_statistics, block=BLOCK_HOURS, rng=rng)
    counts = [int(mask.sum()) for mask in _masks(rows)]
    order = [0, 1, 2, 3, 0, 1, 2]
    sized = [
        estimated(fit.value, fit.low, fit.high, counts[i])
        for fit, i in zip(fits, order, strict=True)
    ]
    return PairFit(*sized)


def _masks(rows: F64) -> list[NDArray[np.bool_]]:
    every = np.ones(len(rows), dtype=np.bool_)
    return [every, rows[:, 2] == CALM, rows[:, 2] == STRESS, rows[:, 3] == STRESS]


def _pair_statistics(rows: F64) -> F64:
    moments = [_corr_and_beta(rows[mask, 0], rows[mask, 1]) for mask in _masks(rows)]
    corr = [moment[0] for moment in moments]
    beta = [moment[1] for moment in moments[:3]]
    return np.array(corr + beta)


def _corr_and_beta(x: F64, y: F64) -> tuple[float, float]:
    if len(x) < 5:
        return float("nan"), float("nan")
    cov = np.cov(x, y)
    spread = np.sqrt(cov[0, 0] * cov[1, 1])
    if spread == 0.0:
        return float("nan"), float("nan")
    return float(cov[0, 1] / spread), float(cov[0, 1] / cov[0, 0])


def shared_volatility(
    log_range: F64, residual: F64, *, rng: np.random.Generator
) -> tuple[Estimate, Estimate]:
    r"""Estimate how idiosyncratic volatility loads on the benchmark's.

    With :math:`\ln\sigma^{idio} = c + \lambda \ln\sigma^{bench} + ...` the covariance of the two
    log proxies at lags of 1-24 h over the benchmark's own autocovariance at the same lags is
    :math:`\lambda`: noise of either proxy has no memory and drops out.

    Parameters
    ----------
    log_range : ndarray, shape (n,), dtype float64
        Log range of the benchmark by hour, clock means taken out, NaN where missing.
    residual : ndarray, shape (n,), dtype float64
        Log absolute residual of the asset's return on the benchmark's, treated likewise.
    rng : numpy.random.Generator
        For the bootstrap over blocks of a week.

    Returns
    -------
    loading, corr : Estimate
        Exponent of the loading, and correlation of the two log volatilities.

    Raises
    ------
    InvalidInput
        If there are fewer than 500 hours of both.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = np.convolve(rng.normal(size=4000), np.full(50, 0.2), mode="same")
    >>> noisy = 0.7 * x + 0.1 * rng.normal(size=4000)
    >>> loading, corr = shared_volatility(x, noisy, rng=np.random.default_rng(2))
    >>> abs(loading.value - 0.7) < 0.05
    True
    """
    present = np.isfinite(log_range) & np.isfinite(residual)
    n = int(present.sum())
    require_length("hours with range and residual", n, 500)
    hours = np.flatnonzero(present)
    span = slice(hours[0], hours[-1] + 1)
    bench = np.where(present, log_range - log_range[present].mean(), 0.0)[span]
    idio = np.where(present, residual - residual[present].mean(), 0.0)[span]
    products = np.column_stack(
        [_lagged(idio, bench) + _lagged(bench, idio), _lagged(bench, bench), _lagged(idio, idio)]
    )
    products[:, 1:] *= 2.0

    def loading(rows: F64) -> float:
        cross, own, _ = rows.mean(axis=0)
        return float(cross / own)

    def corr(rows: F64) -> float:
        cross, own, other = rows.mean(axis=0)
        return float(cross / np.sqrt(own * other)) if min(own, other) > 0.0 else float("nan")

    fits = [
        block_bootstrap_one(products, statistic, block=BLOCK_HOURS, rng=rng)
        for statistic in (loading, corr)
    ]
    first, second = (replace(fit, n=n) for fit in fits)
    return first, second


def _lagged(now: F64, later: F64) -> F64:
    # Sum over lags of now[t] x later[t + lag], for every t with all lags ahead of it.
    n = len(now) - int(LOADING_LAGS[-1])
    return np.asarray(now[:n] * sum(later[lag : lag + n] for lag in LOADING_LAGS))
