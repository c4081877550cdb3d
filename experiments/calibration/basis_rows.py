"""Rows on the basis: its law, its days, its behaviour in wild hours and on another venue."""

import numpy as np
import pandas as pd

from stressbook.experiments.calibration.basis import BAD_PRINT_BP, BasisFit, basis_bp, basis_fit
from stressbook.experiments.calibration.basis_days import BasisDays, bars_to_halflife, basis_days
from stressbook.experiments.calibration.estimate import F64, block_bootstrap
from stressbook.experiments.calibration.rows import (
    CHECK,
    FITTING_TARGET,
    PARAMETER,
    SHOWN,
    VALIDATION_TARGET,
    Origin,
    Row,
    rng_for,
    values_of,
)

__all__ = ["basis_8h_rows", "basis_rows"]

PERP_AND_SPOT = "Hyperliquid perp and spot"
BAR_5MIN_S = 300.0
BARS_PER_DAY = 288
NO_VERDICT = "perp against spot token: no verdict, runs have SOL against its oracle only"


def basis_rows(
    asset: str, *, closes_5min: pd.DataFrame, closes_1h: pd.DataFrame, seed: int
) -> list[Row]:
    """Return the basis of an asset: law, V21, its days, and for HYPE V22.

    The venue's own basis stands for the outside one, which nothing at hand records at minutes.

    Parameters
    ----------
    asset, closes_5min, closes_1h, seed
        As in `volatility_rows`.

    Returns
    -------
    list of Row
    """
    rng = rng_for(seed, asset, "basis")
    perp, spot = (closes_5min[f"{asset}_{leg}_close"] for leg in ("perp", "spot"))
    basis, n_dropped = basis_bp(values_of(perp), values_of(spot))
    origin = Origin.of(asset, PERP_AND_SPOT, "closes_5min", perp / spot)
    fit = basis_fit(basis, bar_s=BAR_5MIN_S, rng=rng)
    days = basis_days(basis, bars_per_day=BARS_PER_DAY, rng=rng)
    rows = _basis_law(origin, asset, fit, n_dropped)
    rows += _basis_targets(origin, asset, basis, days, rng)
    if asset == "HYPE":
        rows += _stressed_basis(asset, closes_1h, seed)
    return rows


def _basis_law(origin: Origin, asset: str, fit: BasisFit, n_dropped: int) -> list[Row]:
    note = f"venue's basis for the outside one; second scale gains {fit.gain:.0f} log units"
    note += f"; {n_dropped} prints past 500 bp dropped"
    if asset == "SOL":
        note = f"{note}; {NO_VERDICT}"
    law = [
        ("basis_mean_bp", fit.mean_bp, "bp"),
        ("basis_fast_sd_bp", fit.fast_sd_bp, "bp"),
        ("basis_fast_halflife_s", fit.fast_halflife_s, "s"),
        ("basis_slow_sd_bp", fit.slow_sd_bp, "bp"),
        ("basis_slow_halflife_s", fit.slow_halflife_s, "s"),
    ]
    rows = [
        origin.row(name, value, PARAMETER, "world", unit=unit, note=note)
        for name, value, unit in law
    ]
    noise_note = "closes of one bar are not of one moment: no part of the world"
    rows.append(
        origin.row("basis_noise_sd_bp", fit.noise_sd_bp, SHOWN, "world", unit="bp", note=noise_note)
    )
    return rows


def _basis_targets(
    origin: Origin, asset: str, basis: F64, days: BasisDays, rng: np.random.Generator
) -> list[Row]:
    role, note = (SHOWN, NO_VERDICT) if asset == "SOL" else (FITTING_TARGET, "whole record")
    pairs = np.column_stack([basis[:-1], basis[1:]])
    pairs = pairs[np.isfinite(pairs).all(axis=1)]

    def whole(rows: F64) -> F64:
        rho = np.corrcoef(rows[:, 0], rows[:, 1])[0, 1]
        life = bars_to_halflife(np.array([rho])) * BAR_5MIN_S / 60.0
        return np.array([rows[:, 0].std(ddof=1), life[0]])

    sd, life = block_bootstrap(pairs, whole, block=3 * BARS_PER_DAY, rng=rng)
    day_note = "{} over {} days of 24 h; 5-95 % of days {:.1f}-{:.1f}"
    n = days.sd_bp.n
    sd_note = day_note.format("mean", n, *days.sd_days_bp)
    life_note = day_note.format("median", n, *days.halflife_days_min)
    return [
        origin.row("basis_sd_bp", sd, role, unit="bp", target="V21", note=note),
        origin.row("basis_halflife_min", life, role, unit="min", target="V21", note=note),
        origin.row("basis_day_sd_bp", days.sd_bp, role, unit="bp", target="V21", note=sd_note),
        origin.row(
            "basis_day_halflife_min",
            days.halflife_min,
            role,
            unit="min",
            target="V21",
            note=life_note,
        ),
    ]


def _stressed_basis(asset: str, closes_1h: pd.DataFrame, seed: int) -> list[Row]:
    names = [f"{asset}_{name}" for name in ("perp_close", "spot_close", "perp_high", "perp_low")]
    perp, spot, high, low = closes_1h[names].dropna().to_numpy(dtype=np.float64).T
    basis, spread = (perp / spot - 1.0) * 1e4, high / low
    is_price = np.abs(basis) <= BAD_PRINT_BP
    chosen = basis[is_price & (spread >= np.quantile(spread[is_price], 0.99))]

    def summary(rows: F64) -> F64:
        return np.array([rows.mean(), rows.std(ddof=1), *np.quantile(rows, [0.01, 0.99])])

    fits = block_bootstrap(chosen, summary, block=3, rng=rng_for(seed, asset, "stressed basis"))
    origin = Origin.of(asset, PERP_AND_SPOT, "closes_1h", closes_1h[names])
    note = "hours in the top 1 % of range"
    return [
        origin.row(
            f"basis_wild_{name}_bp", fit, VALIDATION_TARGET, unit="bp", target="V22", note=note
        )
        for name, fit in zip(("mean", "sd", "q01", "q99"), fits, strict=True)
    ]


def basis_8h_rows(asset: str, *, basis_8h: pd.DataFrame, seed: int) -> list[Row]:
    """Return the basis of another venue and V23, its correlation with funding.

    Parameters
    ----------
    asset : str
        "BTC" or "ETH".
    basis_8h : DataFrame
        From `recorded.read_basis_8h`.
    seed : int
        Of the calibration.

    Returns
    -------
    list of Row
    """
    origin = Origin.of(asset, "Binance perp and spot", "basis_8h", basis_8h)
    values = basis_8h.to_numpy(dtype=np.float64)

    def summary(rows: F64) -> F64:
        corr = np.corrcoef(rows[:, 0], rows[:, 1])[0, 1]
        return np.array([rows[:, 0].mean(), rows[:, 0].std(ddof=1), corr])

    rng = rng_for(seed, asset, "basis 8h")
    mean, sd, corr = block_bootstrap(values, summary, block=3 * 14, rng=rng)
    note = "an outside basis, in steps of 8 h and of other years"
    return [
        origin.row("outside_basis_8h_mean_bp", mean, CHECK, unit="bp", note=note),
        origin.row("outside_basis_8h_sd_bp", sd, CHECK, unit="bp", note=note),
        origin.row("basis_funding_corr_8h", corr, VALIDATION_TARGET, target="V23"),
    ]
