r"""The law of volatility: several time scales of log volatility, and what follows from it.

:math:`\sigma_t = \bar\sigma \exp(\sum_k x_{k,t} - \sum_k v_k)`, each :math:`x_k` an
Ornstein-Uhlenbeck process of stationary variance :math:`v_k`, so that
:math:`E\sigma^2 = \bar\sigma^2`. Half-lives are given: 20 min, 4 h, 3 d, and 30 d for what is
slower than the simulator's runs.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from stressbook.experiments.calibration.estimate import (
    F64,
    estimated,
    interval_of,
    require_length,
)
from stressbook.experiments.calibration.moments import hill_of
from stressbook.experiments.calibration.series import autocovariance, unit_ar1
from stressbook.experiments.inference import Estimate

__all__ = [
    "FINE_BAR_S",
    "HALFLIFE_S",
    "bar_mean_autocorrelation",
    "daily_volatility",
    "implied_moments",
    "simulate_log_vol",
]

DAY_S = 86_400.0
FINE_BAR_S = 300.0
HALFLIFE_S = {"20min": 1_200.0, "4h": 14_400.0, "3d": 259_200.0, "30d": 2_592_000.0}


def bar_mean_autocorrelation(lags: F64 | NDArray[np.int64], x: float) -> F64:
    """Return the autocorrelation of bar means of an OU process, over the process's variance.

    Parameters
    ----------
    lags : ndarray of int
        In bars, 1 or more.
    x : float
        ln 2 x bar length / half-life.

    Returns
    -------
    ndarray, dtype float64
        Exactly ``((1 - e^-x) / x)^2 e^(-x (lag - 1))``.

    Examples
    --------
    >>> bar_mean_autocorrelation(np.array([1, 2]), 1e-9).round(6)
    array([1., 1.])
    """
    smoothing = (-np.expm1(-x) / x) ** 2
    return np.asarray(smoothing * np.exp(-x * (np.asarray(lags) - 1.0)))


def _stand_in_variance(x: float) -> float:
    # An AR(1) with the autocovariances of bar means at positive lags has more variance than they.
    return float((-np.expm1(-x) / x) ** 2 * np.exp(x))


def simulate_log_vol(
    variances: Sequence[float] | F64,
    halflife_s: Sequence[float] | F64,
    *,
    n_bars: int,
    bar_s: float,
    rng: np.random.Generator,
) -> F64:
    """Draw bar values whose autocovariance at positive lags is that of the law's bar means.

    Parameters
    ----------
    variances, halflife_s : sequence of float
        Stationary variance and half-life (s) of each component.
    n_bars : int
        Bars to draw.
    bar_s : float
        Length of a bar, s.
    rng : numpy.random.Generator
        Draws `n_bars` normals a component.

    Returns
    -------
    ndarray, shape (n_bars,), dtype float64
        Sum of the components, mean 0.

    Examples
    --------
    >>> x = simulate_log_vol(
    ...     [0.2], [3600.0], n_bars=20_000, bar_s=300.0, rng=np.random.default_rng(1)
    ... )
    >>> bool(abs(x.var() - 0.2) < 0.03)
    True
    """
    total = np.zeros(n_bars)
    for variance, halflife in zip(variances, halflife_s, strict=True):
        x = np.log(2.0) * bar_s / halflife
        phi = np.exp(-x)
        total += np.sqrt(variance * _stand_in_variance(x)) * unit_ar1(phi, n_bars, rng=rng)
    return total


def daily_volatility(
    log_return: F64, *, bar_s: float, laws: F64, rng: np.random.Generator
) -> Estimate:
    """Estimate the unconditional volatility of a day: root mean square, no mean taken out.

    A year may be a calm or a wild one as a whole, which no resampling of its days shows: the
    interval comes from records simulated by the laws of volatility that the data leave plausible.

    Parameters
    ----------
    log_return : ndarray, shape (n,), dtype float64
        Log returns of equal bars, NaN where missing.
    bar_s : float
        Length of a bar, s.
    laws : ndarray, shape (n_draws, 4), dtype float64
        Variances of log volatility, see `LogVolFit`; one record is simulated of each.
    rng : numpy.random.Generator
        Draws the records.

    Returns
    -------
    Estimate
        Standard deviation of a day's log return, fraction.

    Raises
    ------
    InvalidInput
        If there are fewer than 48 returns.

    Examples
    --------
    >>> r = np.random.default_rng(1).normal(0.0, 0.02 / 24**0.5, 5000)
    >>> constant = np.zeros((50, 4))
    >>> rng = np.random.default_rng(2)
    >>> fit = daily_volatility(r, bar_s=3600.0, laws=constant, rng=rng)
    >>> abs(fit.value - 0.02) < 0.001
    True
    """
    present = log_return[np.isfinite(log_return)]
    n = len(present)
    require_length("returns", n, 48)
    value = float(np.sqrt(np.mean(present**2) * DAY_S / bar_s))
    halflives = np.array(list(HALFLIFE_S.values()))
    stand_in = np.array([_stand_in_variance(x) for x in np.log(2.0) * bar_s / halflives])
    log_ratios = []
    for law in laws:
        x = simulate_log_vol(law, halflives, n_bars=n, bar_s=bar_s, rng=rng)
        r = np.exp(x - law @ stand_in) * rng.standard_normal(n)
        log_ratios.append(0.5 * np.log(np.mean(r**2)))
    low, high = interval_of(-np.array(log_ratios))
    return estimated(value, value * float(np.exp(low)), value * float(np.exp(high)), n)


def implied_moments(
    variances: dict[str, float], *, rng: np.random.Generator, n_days: int = 100, n_records: int = 20
) -> dict[str, Estimate]:
    """Return the tail and memory of 15-minute returns that a fitted law has without any market.

    Parameters
    ----------
    variances : dict of str to float
        Variance of log volatility by half-life, keys of `HALFLIFE_S`.
    rng : numpy.random.Generator
        Draws the records.
    n_days, n_records : int
        Length and number of the simulated records.

    Returns
    -------
    dict of str to Estimate
        ``hill_15min`` (2 % tail), ``kurtosis_15min``, ``acf_abs_15min`` and ``acf_abs_1d``: median
        and 5-95 % points over records, `n` the bars of one.

    Examples
    --------
    >>> law = implied_moments({"4h": 0.0}, rng=np.random.default_rng(1), n_days=20, n_records=5)
    >>> abs(law["kurtosis_15min"].value) < 0.5
    True
    """
    n_bars = n_days * 288
    found = []
    for _ in range(n_records):
        x = simulate_log_vol(
            list(variances.values()),
            [HALFLIFE_S[name] for name in variances],
            n_bars=n_bars,
            bar_s=FINE_BAR_S,
            rng=rng,
        )
        r = (np.exp(x) * rng.standard_normal(n_bars)).reshape(-1, 3).sum(axis=1)
        size = np.abs(r)
        acf = autocovariance(size, np.array([0, 1, 96]))
        found.append([hill_of(size, 0.02), stats.kurtosis(r), *(acf[1:] / acf[0])])
    names = ("hill_15min", "kurtosis_15min", "acf_abs_15min", "acf_abs_1d")
    return {
        name: estimated(float(np.median(column)), *interval_of(column), n_bars // 3)
        for name, column in zip(names, np.array(found).T, strict=True)
    }
