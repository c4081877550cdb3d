r"""Funding: what the hourly rate looks like, and the premium that must lie behind it.

The venue's eight-hour rate is :math:`P + clamp(I - P, \pm 5\,bp)` with interest :math:`I` of
1 bp, an eighth of it paid each hour (Hyperliquid docs, funding, 2026-04-24). Premia from -4 to
6 bp thus pay the same floor: a recorded rate shows the premium outside that band only, and inside
it that it was there.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from stressbook.experiments.calibration.estimate import (
    F64,
    block_bootstrap,
    block_bootstrap_one,
    require_length,
)
from stressbook.experiments.calibration.moments import correlation_at_lag
from stressbook.experiments.inference import Estimate
from stressbook.market.lending.lending_rates import HOURS_PER_YEAR

__all__ = [
    "FLOOR_RATE",
    "PremiumFit",
    "funding_moments",
    "hourly_rate",
    "premium_fit",
]

FLOOR_RATE = 1.25e-5
FLOOR_TOLERANCE = 1e-9
INTEREST_8H_BP = 1.0
CLAMP_BP = 5.0
BLOCK_HOURS = 24 * 14
MIN_HOURS = 24 * 20

QUANTILES = (0.01, 0.05, 0.25, 0.50, 0.75, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class PremiumFit:
    """A Gaussian premium that puts the recorded shares of hours at, above and below the floor.

    Parameters
    ----------
    mean_bp, sd_bp : Estimate
        Of the hourly mean premium, bp of the oracle price.
    corr_1h, corr_24h : Estimate
        Its autocorrelation one hour and one day apart.
    """

    mean_bp: Estimate
    sd_bp: Estimate
    corr_1h: Estimate
    corr_24h: Estimate


def hourly_rate(premium_bp: F64) -> F64:
    """Return the hourly funding rate of mean premia.

    Parameters
    ----------
    premium_bp : ndarray, dtype float64
        Mean premium of the hour, bp.

    Returns
    -------
    ndarray, dtype float64
        Fraction of notional paid by longs for the hour. The venue's cap of 4 % is not reached.

    Examples
    --------
    >>> (hourly_rate(np.array([0.0, 6.0, 14.0, -12.0])) * 1e4).round(6)
    array([ 0.125,  0.125,  1.125, -0.875])
    """
    clamped = np.clip(INTEREST_8H_BP - premium_bp, -CLAMP_BP, CLAMP_BP)
    return np.asarray((premium_bp + clamped) / 8.0 * 1e-4)


def funding_moments(rate: F64, *, rng: np.random.Generator) -> dict[str, Estimate]:
    """Describe hourly funding.

    Parameters
    ----------
    rate : ndarray, shape (n,), dtype float64
        Hourly rates as fractions, one an hour, NaN where missing.
    rng : numpy.random.Generator
        For the bootstrap over blocks of two weeks.

    Returns
    -------
    dict of str to Estimate
        ``floor_share_frac``, ``negative_share_frac``, ``mean_ann_frac``, ``q01_ann_frac`` ...
        ``q99_ann_frac``, ``corr_1h``, ``corr_24h``, and ``floor_share_day_sd_frac``, the
        deviation of whole days' floor shares. Rates are annualised by 8,760.

    Raises
    ------
    InvalidInput
        If there are fewer than 480 hours.

    Examples
    --------
    >>> rate = hourly_rate(np.random.default_rng(1).normal(2.0, 6.0, 2000))
    >>> moments = funding_moments(rate, rng=np.random.default_rng(2))
    >>> 0.5 < moments["floor_share_frac"].value < 0.7
    True
    """
    present = rate[np.isfinite(rate)]
    require_length("hours of funding", len(present), MIN_HOURS)
    names = ["floor_share_frac", "negative_share_frac", "mean_ann_frac"]
    names += [f"q{round(100 * q):02d}_ann_frac" for q in QUANTILES]
    fits = block_bootstrap(present, _marginal, block=BLOCK_HOURS, rng=rng)
    moments = dict(zip(names, fits, strict=True))
    for lag in (1, 24):
        moments[f"corr_{lag}h"] = correlation_at_lag(rate, lag, block=BLOCK_HOURS, rng=rng)
    moments["floor_share_day_sd_frac"] = _day_deviation(rate, rng)
    return moments


def _marginal(rate: F64) -> F64:
    shares = [np.mean(_at_floor(rate)), np.mean(rate < 0.0), rate.mean() * HOURS_PER_YEAR]
    return np.asarray(np.r_[shares, np.quantile(rate, QUANTILES) * HOURS_PER_YEAR])


def _at_floor(rate: F64) -> F64:
    return np.asarray(np.abs(rate - FLOOR_RATE) < FLOOR_TOLERANCE, dtype=np.float64)


def _day_deviation(rate: F64, rng: np.random.Generator) -> Estimate:
    n_days = len(rate) // 24
    days = rate[: n_days * 24].reshape(n_days, 24)
    days = days[np.isfinite(days).all(axis=1)]
    return block_bootstrap_one(
        _at_floor(days).mean(axis=1), lambda rows: float(rows.std(ddof=1)), block=14, rng=rng
    )


def premium_fit(rate: F64, *, rng: np.random.Generator) -> PremiumFit:
    """Estimate the premium behind hourly funding from shares and joint shares of the floor.

    Mean and deviation are those of the normal law that puts the recorded shares above 6 bp and
    below -4 bp; autocorrelations those of the bivariate normal law (the tetrachoric correlation)
    that puts the recorded share of pairs of hours on the same side.

    Parameters
    ----------
    rate : ndarray, shape (n,), dtype float64
        Hourly rates as fractions, NaN where missing.
    rng : numpy.random.Generator
        For the bootstrap over blocks of two weeks.

    Returns
    -------
    PremiumFit

    Raises
    ------
    InvalidInput
        If there are fewer than 480 hours, or none above or none below the floor.

    Examples
    --------
    >>> rate = hourly_rate(np.random.default_rng(1).normal(2.0, 6.0, 5000))
    >>> fit = premium_fit(rate, rng=np.random.default_rng(2))
    >>> fit.mean_bp.covers(2.0), fit.sd_bp.covers(6.0)
    (True, True)
    """
    side = np.where(_at_floor(rate) > 0.0, 0.0, np.sign(rate - FLOOR_RATE))
    side = np.where(np.isfinite(rate), side, np.nan)
    present = side[np.isfinite(side)]
    require_length("hours of funding", len(present), MIN_HOURS)
    require_length("hours above the floor", int((present > 0).sum()), 1)
    require_length("hours below the floor", int((present < 0).sum()), 1)
    mean, sd = block_bootstrap(present, _probit, block=BLOCK_HOURS, rng=rng)
    corr = [
        block_bootstrap_one(
            _pairs(side, lag), _tetrachoric, block=BLOCK_HOURS, rng=rng, n_draws=150
        )
        for lag in (1, 24)
    ]
    return PremiumFit(mean, sd, *corr)


def _thresholds(side: F64) -> tuple[float, float]:
    # A resample without an hour on one side has half an hour there, so that both are finite.
    least = 0.5 / side.size
    above = max(float(np.mean(side > 0)), least)
    below = max(float(np.mean(side < 0)), least)
    return float(-ndtri(above)), float(ndtri(below))


def _probit(side: F64) -> F64:
    upper, lower = _thresholds(side)
    sd = 2.0 * CLAMP_BP / (upper - lower)
    return np.array([INTEREST_8H_BP + CLAMP_BP - sd * upper, sd])


def _pairs(side: F64, lag: int) -> F64:
    pairs = np.column_stack([side[:-lag], side[lag:]])
    return pairs[np.isfinite(pairs).all(axis=1)]


def _tetrachoric(pairs: F64) -> float:
    upper, lower = _thresholds(pairs)
    same = float(np.mean((pairs[:, 0] == pairs[:, 1]) & (pairs[:, 0] != 0.0)))

    def joint(rho: float) -> float:
        return _both_beyond(upper, rho) + _both_beyond(-lower, rho) - same

    if joint(-0.99) > 0.0:
        return -0.99
    if joint(0.9999) < 0.0:
        return 0.9999
    return float(brentq(joint, -0.99, 0.9999, xtol=1e-6))


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


def _both_beyond(threshold: float, rho: float) -> float:
    # Plackett (1954): d P(X > a, Y > a) / d rho is the bivariate density at (a, a); r = sin(angle).
    half = np.arcsin(rho) / 2.0
    angle = half * (_NODES + 1.0)
    density = np.exp(-(threshold**2) / (1.0 + np.sin(angle))) / (2.0 * np.pi)
    return float(ndtr(-threshold) ** 2 + half * np.dot(_WEIGHTS, density))
