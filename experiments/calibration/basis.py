r"""The gap between perpetual and spot: its mean, a fast and a slow wandering, and noise.

The law is :math:`b_t = m + f_t + s_t + e_t`: two Ornstein-Uhlenbeck processes and white noise.
Closes of the two legs are the last trades of their bars and thus not of one moment; :math:`e_t`
holds that error and the bounce between bid and ask, and is no part of the world. Fitted by
Whittle's likelihood, which asks how the periodogram spreads over frequencies.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from stressbook.experiments.calibration.estimate import (
    F64,
    basic_bootstrap,
    estimated,
    interval_of,
    require_length,
)
from stressbook.experiments.calibration.series import unit_ar1
from stressbook.experiments.inference import Estimate

__all__ = [
    "BAD_PRINT_BP",
    "BasisFit",
    "basis_bp",
    "basis_fit",
    "simulate_basis",
]

# First weeks of listings hold prints far off every market (data note of the source repository).
BAD_PRINT_BP = 500.0

_STARTS_S = ((480.0, 18_000.0), (1_500.0, 36_000.0), (3_600.0, 90_000.0))


@dataclass(frozen=True, slots=True)
class BasisFit:
    """Mean, two time scales and noise of a basis.

    Parameters
    ----------
    mean_bp, fast_sd_bp, slow_sd_bp, noise_sd_bp : Estimate
        In basis points; deviations are those of the stationary law.
    fast_halflife_s, slow_halflife_s : Estimate
        In seconds.
    gain : float
        Log-likelihood over that of one time scale with noise, on two more parameters.
    """

    mean_bp: Estimate
    fast_sd_bp: Estimate
    fast_halflife_s: Estimate
    slow_sd_bp: Estimate
    slow_halflife_s: Estimate
    noise_sd_bp: Estimate
    gain: float


def basis_bp(perp_close: F64, spot_close: F64) -> tuple[F64, int]:
    """Return perp over spot less one, without bad prints, from first to last bar of both.

    Parameters
    ----------
    perp_close, spot_close : ndarray, shape (n,), dtype float64
        Closes of the same bars, USD, NaN where missing.

    Returns
    -------
    basis : ndarray, dtype float64
        In basis points, NaN where a leg is missing or the basis exceeds 500 bp.
    n_dropped : int
        Bars dropped for exceeding it.

    Examples
    --------
    >>> basis_bp(np.array([100.1, 100.2, 100.0]), np.array([100.0, 100.0, 10.0]))
    (array([10., 20.]), 1)
    """
    basis = np.round((perp_close / spot_close - 1.0) * 1e4, 9)
    is_bad = np.abs(basis) > BAD_PRINT_BP
    basis = np.where(is_bad, np.nan, basis)
    present = np.flatnonzero(np.isfinite(basis))
    if len(present) == 0:
        return basis[:0], int(is_bad.sum())
    return basis[present[0] : present[-1] + 1], int(is_bad.sum())


def simulate_basis(
    sd: tuple[float, ...],
    halflife_s: tuple[float, ...],
    *,
    noise_sd: float,
    n_bars: int,
    bar_s: float,
    rng: np.random.Generator,
) -> F64:
    """Draw a mean-zero basis sampled at the ends of bars.

    Parameters
    ----------
    sd, halflife_s : tuple of float
        Stationary deviation (bp) and half-life (s) of each component.
    noise_sd : float
        Deviation of the white noise, bp.
    n_bars : int
        Samples.
    bar_s : float
        Their spacing, s.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    ndarray, shape (n_bars,), dtype float64
        In basis points.

    Examples
    --------
    >>> b = simulate_basis(
    ...     (3.0,), (3600.0,), noise_sd=0.0, n_bars=9, bar_s=300.0, rng=np.random.default_rng(1)
    ... )
    >>> b.shape
    (9,)
    """
    total = noise_sd * rng.standard_normal(n_bars)
    for s, halflife in zip(sd, halflife_s, strict=True):
        phi = 0.5 ** (bar_s / halflife)
        total += s * unit_ar1(phi, n_bars, rng=rng)
    return total


def _periodogram(y: F64) -> tuple[F64, F64]:
    n = len(y)
    ordinates = np.abs(np.fft.rfft(y - y.mean())) ** 2 / n
    keep = slice(1, (n - 1) // 2 + 1)
    return ordinates[keep], np.cos(2.0 * np.pi * np.arange(len(ordinates)) / n)[keep]


def _negative_whittle(theta: F64, ordinates: F64, cosine: F64, bar_s: float) -> tuple[float, F64]:
    # theta: log variances of k components, log half-lives of the same, log noise variance.
    k = len(theta) // 2
    spectrum = np.full(len(cosine), np.exp(theta[-1]))
    slopes = np.empty((len(theta), len(cosine)))
    slopes[-1] = spectrum
    for i in range(k):
        phi = 0.5 ** (bar_s / np.exp(theta[k + i]))
        gap = 1.0 - 2.0 * phi * cosine + phi**2
        part = np.exp(theta[i]) * (1.0 - phi**2) / gap
        by_phi = part * (-2.0 * phi / (1.0 - phi**2) - 2.0 * (phi - cosine) / gap)
        slopes[i] = part
        # d phi / d log half-life = -phi ln(phi)
        slopes[k + i] = by_phi * (-phi * np.log(phi))
        spectrum = spectrum + part
    value = float(np.sum(np.log(spectrum) + ordinates / spectrum))
    return value, slopes @ ((1.0 - ordinates / spectrum) / spectrum)


def _maximise(y: F64, bar_s: float, starts: list[F64]) -> tuple[F64, float]:
    ordinates, cosine = _periodogram(y)
    variance = float(y.var())
    k = len(starts[0]) // 2
    variance_bounds = (np.log(variance * 1e-5), np.log(variance * 30.0))
    time_bounds = (np.log(0.2 * bar_s), np.log(len(y) * bar_s / 2.0))
    bounds = [variance_bounds] * k + [time_bounds] * k + [variance_bounds]
    fits = [
        minimize(
            _negative_whittle,
            start,
            args=(ordinates, cosine, bar_s),
            jac=True,
            method="TNC",
            bounds=bounds,
        )
        for start in starts
    ]
    best = min(fits, key=lambda fit: fit.fun)
    return _fast_first(np.asarray(best.x)), float(best.fun)


def _fast_first(theta: F64) -> F64:
    k = len(theta) // 2
    order = np.argsort(theta[k : 2 * k])
    return np.concatenate([theta[:k][order], theta[k : 2 * k][order], theta[-1:]])


def _starts(variance: float) -> list[F64]:
    logs = [np.log([0.3 * variance, 0.6 * variance, *h, 0.1 * variance]) for h in _STARTS_S]
    return [np.asarray(log) for log in logs]


def _natural(theta: F64) -> F64:
    k = len(theta) // 2
    return np.concatenate(
        [np.exp(theta[:k] / 2.0), np.exp(theta[k : 2 * k]), [np.exp(theta[-1] / 2.0)]]
    )


def basis_fit(basis: F64, *, bar_s: float, rng: np.random.Generator, n_draws: int = 60) -> BasisFit:
    """Fit mean, fast and slow component and noise of a basis.

    Parameters
    ----------
    basis : ndarray, shape (n,), dtype float64
        Equally spaced basis, bp; missing bars (NaN) are bridged by a straight line.
    bar_s : float
        Spacing, s.
    rng : numpy.random.Generator
        Draws the simulated records that give the intervals.
    n_draws : int, default 60
        Simulated records.

    Returns
    -------
    BasisFit

    Raises
    ------
    InvalidInput
        If there are fewer than 500 bars.

    References
    ----------
    .. [1] P. Whittle (1953), "Estimation and information in stationary time series", Ark. Mat. 2.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> b = 4.0 + simulate_basis(
    ...     (3.0, 4.0), (1500.0, 21600.0), noise_sd=1.0, n_bars=3000, bar_s=300.0, rng=rng
    ... )
    >>> fit = basis_fit(b, bar_s=300.0, rng=rng, n_draws=20)
    >>> 1.0 < fit.fast_sd_bp.value < 4.5
    True
    """
    y = _bridged(basis)
    require_length("bars of the basis", len(y), 500)
    variance = float(y.var())
    theta, value = _maximise(y, bar_s, _starts(variance))
    one = [np.log([0.9 * variance, h, 0.1 * variance]) for h in (3_600.0, 18_000.0)]
    gain = _maximise(y, bar_s, [np.asarray(start) for start in one])[1] - value
    fitted = _natural(theta)
    draws = np.array([_refit(fitted, theta, len(y), bar_s, rng) for _ in range(n_draws)])
    # Scales are positive: their bootstrap works on logarithms. The records have mean zero.
    scales = np.exp(basic_bootstrap(np.log(fitted), np.log(draws[:, :5])))
    n = int(np.isfinite(basis).sum())
    fast_sd, slow_sd, fast_life, slow_life, noise = (
        estimated(float(value), *interval_of(column), n)
        for value, column in zip(fitted, scales.T, strict=True)
    )
    mean = estimated(float(y.mean()), *interval_of(y.mean() - draws[:, 5]), n)
    return BasisFit(mean, fast_sd, fast_life, slow_sd, slow_life, noise, gain)


def _refit(fitted: F64, theta: F64, n: int, bar_s: float, rng: np.random.Generator) -> F64:
    y = simulate_basis(
        (float(fitted[0]), float(fitted[1])),
        (float(fitted[2]), float(fitted[3])),
        noise_sd=float(fitted[4]),
        n_bars=n,
        bar_s=bar_s,
        rng=rng,
    )
    return np.append(_natural(_maximise(y, bar_s, [theta])[0]), y.mean())


def _bridged(y: F64) -> F64:
    present = np.flatnonzero(np.isfinite(y))
    require_length("bars of the basis", len(present), 4)
    return np.interp(np.arange(len(y)), present, y[present])
