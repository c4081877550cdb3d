r"""The variances of log volatility by time scale, read off its proxies' autocovariances.

A proxy (log absolute return, log range) is log volatility plus noise without memory, so that at
positive lags its autocovariance is that of log volatility.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from stressbook.experiments.calibration.estimate import (
    F64,
    basic_bootstrap,
    estimated,
    interval_of,
    require_length,
    unbiased_block_bootstrap,
)
from stressbook.experiments.calibration.series import autocovariance, remove_season
from stressbook.experiments.calibration.volatility_law import (
    FINE_BAR_S,
    HALFLIFE_S,
    bar_mean_autocorrelation,
    simulate_log_vol,
)
from stressbook.experiments.inference import Estimate

__all__ = ["FLOOR_QUANTILE", "LogVolFit", "log_vol_variances"]

COARSE_BAR_S = 3_600.0

# Lags equally spaced in their logarithm give each time scale the same say.
FINE_LAGS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 36, 48, 72, 96, 144, 216])
COARSE_LAGS = np.array([1, 2, 3, 4, 6, 8, 12, 18, 30, 42, 60, 84, 132, 180, 252, 348])
FINE_COMPONENTS = ("20min", "4h", "3d")
COARSE_COMPONENTS = ("4h", "3d", "30d")

# Zero returns of a price on a grid have no logarithm: the lowest 2 % share one value, and so do
# those of the simulated series that give bias and interval.
FLOOR_QUANTILE = 0.02


@dataclass(frozen=True, slots=True)
class LogVolFit:
    """Variances of log volatility by time scale.

    Parameters
    ----------
    variances : dict of str to Estimate
        Keys "20min", "4h", "3d" and "30d": the half-lives.
    season_var : Estimate
        Variance of the mean log range by hour of day and weekend, which the law leaves out; what
        the means of a clock without season differ by is subtracted.
    explained_frac : float
        1 - residual over total sum of squares of the fitted autocovariances, the worse of the
        two records.
    laws : ndarray, shape (n_draws, 4), dtype float64
        Variances that the record leaves plausible, in the order of `variances`.
    """

    variances: dict[str, Estimate]
    season_var: Estimate
    explained_frac: float
    laws: F64


@dataclass(frozen=True, slots=True)
class _Proxy:
    """One record of log volatility, and what its autocovariances say about which components."""

    y: F64
    cell: NDArray[np.int64]
    bar_s: float
    lags: NDArray[np.int64]
    components: tuple[str, ...]
    is_return: bool

    def basis(self, name: str) -> F64:
        # Subtracting the sample mean lowers every autocovariance by the mean's variance: the
        # expectation fitted here is that of the sample, not of the process.
        x = np.log(2.0) * self.bar_s / HALFLIFE_S[name]
        n = len(self.y)
        spread = 2.0 * np.expm1(-n * x) + 2.0 * n * x
        return np.asarray(bar_mean_autocorrelation(self.lags, x) - spread / (n * x) ** 2)

    def residual(self, y: F64) -> F64:
        if self.is_return:
            y = np.maximum(y, np.nanquantile(y, FLOOR_QUANTILE))
        return remove_season(y, self.cell)[0]

    def fit(self, y: F64, offset: F64) -> tuple[F64, float]:
        measured = autocovariance(self.residual(y), self.lags) - offset
        design = np.column_stack([self.basis(name) for name in self.components])
        variances, misfit = nnls(design, measured)
        total = float(np.sum((measured - measured.mean()) ** 2))
        return variances, 1.0 - misfit**2 / total

    def simulated(self, known: dict[str, float], rng: np.random.Generator) -> F64:
        y = simulate_log_vol(
            list(known.values()),
            [HALFLIFE_S[name] for name in known],
            n_bars=len(self.y),
            bar_s=self.bar_s,
            rng=rng,
        )
        noise = rng.standard_normal(len(y))
        if self.is_return:
            noise = np.log(np.abs(noise))
        else:
            left = np.nanvar(self.residual(self.y)) - y.var()
            noise *= np.sqrt(max(left, 0.0))
        return np.asarray(np.where(np.isfinite(self.y), y + noise, np.nan))


def log_vol_variances(
    close_5min: F64,
    range_1h: F64,
    *,
    cell_5min: NDArray[np.int64],
    cell_1h: NDArray[np.int64],
    rng: np.random.Generator,
    n_draws: int = 100,
) -> LogVolFit:
    """Estimate the variances of log volatility at half-lives of 20 min, 4 h, 3 d and 30 d.

    The 20-minute variance comes from log absolute returns of 5 minutes, the slower ones from log
    ranges of an hour, whose noise is a quarter as large. Each is the nonnegative least-squares
    fit to autocovariances at lags from one bar to 18 hours and 14 days, no multiple of a day,
    after the clock's means are taken out. Bias is treated twice: the fitted curve is the
    expectation of the *sample* autocovariance, and what remains (floored returns, clock means,
    the bound at zero) is measured on simulated records and subtracted.

    Parameters
    ----------
    close_5min : ndarray, shape (n_fine,), dtype float64
        Closes every 5 min, USD, NaN where missing.
    range_1h : ndarray, shape (n_coarse,), dtype float64
        ln(high / low) of each hour, NaN where missing.
    cell_5min, cell_1h : ndarray of int
        Cell of the clock of each bar, see `remove_season`.
    rng : numpy.random.Generator
        Draws the simulated records.
    n_draws : int, default 100
        Simulated records for bias and interval.

    Returns
    -------
    LogVolFit

    Raises
    ------
    InvalidInput
        If there are fewer than 1,000 returns or 500 ranges.

    References
    ----------
    .. [1] S. Alizadeh, M. W. Brandt, F. X. Diebold (2002), "Range-based estimation of stochastic
       volatility models", J. Finance 57(3).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> close = np.exp(np.cumsum(rng.normal(0, 1e-3, 4000)))
    >>> spread = np.exp(rng.normal(-5, 0.3, 2000))
    >>> clock = np.zeros(4000, dtype=np.int64)
    >>> fit = log_vol_variances(
    ...     close, spread, cell_5min=clock, cell_1h=clock[:2000], rng=rng, n_draws=20
    ... )
    >>> fit.variances["4h"].covers(0.0)
    True
    """
    fine, coarse = _proxies(close_5min, range_1h, cell_5min, cell_1h)
    raw, explained = _two_step(fine, coarse, fine.y, coarse.y)
    draws = [
        _two_step(fine, coarse, *_simulated_pair(fine, coarse, raw, rng))[0] for _ in range(n_draws)
    ]
    names = list(raw)
    fitted = np.array([raw[name] for name in names])
    planted = np.array([[draw[name] for name in names] for draw in draws])
    plausible = basic_bootstrap(fitted, planted)
    laws, centre = np.maximum(plausible, 0.0), np.maximum(plausible.mean(axis=0), 0.0)
    variances = {}
    for i, name in enumerate(names):
        n = len(fine.y) if name == "20min" else int(np.isfinite(coarse.y).sum())
        variances[name] = estimated(float(centre[i]), *interval_of(laws[:, i]), n)
    return LogVolFit(variances, _season_variance(coarse, rng), explained, laws)


def _proxies(
    close: F64, spread: F64, cell_5min: NDArray[np.int64], cell_1h: NDArray[np.int64]
) -> tuple[_Proxy, _Proxy]:
    size = np.abs(np.diff(np.log(close)))
    require_length("5-minute returns", int(np.isfinite(size).sum()), 1_000)
    require_length("hourly ranges", int(np.isfinite(spread).sum()), 500)
    fine = _Proxy(_log_or_least(size), cell_5min[1:], FINE_BAR_S, FINE_LAGS, FINE_COMPONENTS, True)
    coarse = _Proxy(
        _log_or_least(spread), cell_1h, COARSE_BAR_S, COARSE_LAGS, COARSE_COMPONENTS, False
    )
    return fine, coarse


def _log_or_least(size: F64) -> F64:
    positive = size > 0.0
    least = size[positive].min()
    return np.asarray(np.log(np.where(np.isnan(size), np.nan, np.where(positive, size, least))))


def _two_step(
    fine: _Proxy, coarse: _Proxy, y_fine: F64, y_coarse: F64
) -> tuple[dict[str, float], float]:
    fast, explained_fine = fine.fit(y_fine, np.zeros(len(fine.lags)))
    offset = fast[0] * coarse.basis("20min")
    slow, explained_coarse = coarse.fit(y_coarse, offset)
    names = ("20min", *coarse.components)
    fitted = dict(zip(names, [float(fast[0]), *map(float, slow)], strict=True))
    return fitted, min(explained_fine, explained_coarse)


def _simulated_pair(
    fine: _Proxy, coarse: _Proxy, raw: dict[str, float], rng: np.random.Generator
) -> tuple[F64, F64]:
    return fine.simulated(raw, rng), coarse.simulated(raw, rng)


def _season_variance(coarse: _Proxy, rng: np.random.Generator) -> Estimate:
    rows = np.column_stack([coarse.y, coarse.cell])[np.isfinite(coarse.y)]

    def season_var(sample: F64) -> float:
        return float(remove_season(sample[:, 0], sample[:, 1].astype(np.int64))[1].var())

    # The means of 48 cells differ by chance too; a resample adds as much again.
    return unbiased_block_bootstrap(rows, season_var, block=24 * 7, rng=rng, n_draws=100)
