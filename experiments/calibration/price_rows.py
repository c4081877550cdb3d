"""Rows on the prices of the world: volatility and moments of returns."""

import numpy as np
import pandas as pd

from stressbook.experiments.calibration.estimate import F64
from stressbook.experiments.calibration.moments import (
    aggregate,
    correlation_at_lag,
    excess_kurtosis,
    hill_index,
    leverage_corr,
    volume_corr,
)
from stressbook.experiments.calibration.rows import (
    CHECK,
    FITTING_TARGET,
    PARAMETER,
    PERP,
    SHOWN,
    Origin,
    Row,
    clock_cell,
    filled_span,
    rng_for,
    values_of,
)
from stressbook.experiments.calibration.volatility import log_vol_variances
from stressbook.experiments.calibration.volatility_law import (
    HALFLIFE_S,
    daily_volatility,
    implied_moments,
)

__all__ = ["return_rows", "volatility_rows"]

QUARTERS_PER_DAY = 96
# Blocks of five days keep the week's clustering; records of months hold ten and more of them.
BLOCK_DAYS = 5


def volatility_rows(
    asset: str, *, closes_5min: pd.DataFrame, closes_1h: pd.DataFrame, seed: int
) -> list[Row]:
    """Return rows on an asset's volatility: level, time scales, and what the fitted law implies.

    Parameters
    ----------
    asset : str
        One of `ASSETS`.
    closes_5min, closes_1h : DataFrame
        From `recorded.read_closes`; the hourly one with lows and highs.
    seed : int
        Of the calibration.

    Returns
    -------
    list of Row
    """
    rng = rng_for(seed, asset, "volatility")
    fine = filled_span(closes_5min, f"{asset}_perp_close")
    coarse = filled_span(closes_1h, f"{asset}_perp_close")
    bars = closes_1h.loc[coarse.index]
    spread = np.log(values_of(bars[f"{asset}_perp_high"]) / values_of(bars[f"{asset}_perp_low"]))
    fit = log_vol_variances(
        values_of(fine),
        spread,
        cell_5min=clock_cell(fine.index),
        cell_1h=clock_cell(coarse.index),
        rng=rng,
    )
    hourly = Origin.of(asset, PERP, "closes_1h", coarse)
    minutes = Origin.of(asset, PERP, "closes_5min", fine)
    hour = np.diff(np.log(values_of(coarse)))
    daily = daily_volatility(hour, bar_s=3_600.0, laws=fit.laws, rng=rng)
    rows = [hourly.row("daily_vol_frac", daily, PARAMETER, "world")]
    quality = f"explains {fit.explained_frac:.2f} of the autocovariance's variation"
    for name, estimate in fit.variances.items():
        origin = minutes if name == "20min" else hourly
        role, note = (SHOWN, "slower than a run") if name == "30d" else (PARAMETER, quality)
        rows.append(origin.row(f"log_vol_var_{name}", estimate, role, "world", note=note))
    season_note = "hour of day and weekend; a world without a clock adds it to 4 h"
    rows.append(
        hourly.row("log_vol_var_season", fit.season_var, PARAMETER, "world", note=season_note)
    )
    law = {name: fit.variances[name].value for name in HALFLIFE_S if name != "30d"}
    rows += _implied(minutes, law, "", "law alone, no market, no agents", rng)
    law["4h"] += fit.season_var.value
    law["30d"] = fit.variances["30d"].value
    rows += _implied(minutes, law, "_all", "with season (in 4 h) and 30 d", rng)
    return rows


def _implied(
    origin: Origin, law: dict[str, float], suffix: str, note: str, rng: np.random.Generator
) -> list[Row]:
    moments = implied_moments(law, rng=rng)
    return [
        origin.row(f"implied{suffix}_{name}", estimate, CHECK, note=note)
        for name, estimate in moments.items()
    ]


def return_rows(
    asset: str, *, closes_5min: pd.DataFrame, closes_1h: pd.DataFrame, seed: int
) -> list[Row]:
    """Return targets V1-V3 and V5-V7: tail, memory, aggregation, volume and leverage effect.

    Parameters
    ----------
    asset, closes_5min, closes_1h, seed
        As in `volatility_rows`.

    Returns
    -------
    list of Row
    """
    rng = rng_for(seed, asset, "returns")
    fine = filled_span(closes_5min, f"{asset}_perp_close")
    coarse = filled_span(closes_1h, f"{asset}_perp_close")
    quarter = aggregate(np.log(values_of(fine)), 3)
    hour = np.diff(np.log(values_of(coarse)))
    minutes = Origin.of(asset, PERP, "closes_5min", fine)
    hourly = Origin.of(asset, PERP, "closes_1h", coarse)
    block = BLOCK_DAYS * QUARTERS_PER_DAY
    tails = [
        (minutes, "hill_15min", np.abs(quarter), block),
        (hourly, "hill_1h", np.abs(hour), BLOCK_DAYS * 24),
    ]
    rows = [
        origin.row(
            name,
            hill_index(size, share=0.02, block=length, rng=rng),
            FITTING_TARGET,
            target="V1",
            note="2 % tail",
        )
        for origin, name, size, length in tails
    ]
    rows += _memory(minutes, quarter, block, rng)
    rows += _aggregation(minutes, hourly, quarter, np.log(values_of(coarse)), rng)
    volume = values_of(closes_5min.loc[fine.index, f"{asset}_perp_vol"])
    per_quarter = volume[1 : 1 + 3 * len(quarter)].reshape(-1, 3).sum(axis=1)
    spearman = volume_corr(quarter, per_quarter, block=block, rng=rng)
    leverage = leverage_corr(quarter, block=block, rng=rng)
    rows.append(minutes.row("volume_corr_15min", spearman, FITTING_TARGET, target="V6"))
    rows.append(minutes.row("leverage_corr_15min", leverage, FITTING_TARGET, target="V7"))
    return rows


def _memory(origin: Origin, quarter: F64, block: int, rng: np.random.Generator) -> list[Row]:
    rows = []
    for lag in (1, 2, 3, 4):
        estimate = correlation_at_lag(quarter, lag, block=block, rng=rng)
        rows.append(origin.row(f"acf_return_lag{lag}", estimate, FITTING_TARGET, target="V2"))
    for name, lag in (("15min", 1), ("4h", 16), ("1d", 96), ("7d", 672)):
        if lag < len(quarter) // 4:
            estimate = correlation_at_lag(np.abs(quarter), lag, block=block, rng=rng)
            rows.append(origin.row(f"acf_abs_{name}", estimate, FITTING_TARGET, target="V3"))
    return rows


def _aggregation(
    minutes: Origin, hourly: Origin, quarter: F64, log_hourly: F64, rng: np.random.Generator
) -> list[Row]:
    series = [(minutes, "15min", quarter, QUARTERS_PER_DAY)]
    series += [
        (hourly, name, aggregate(log_hourly, bars), 24 // bars)
        for name, bars in (("1h", 1), ("4h", 4), ("1d", 24))
    ]
    return [
        origin.row(
            f"kurtosis_{name}",
            excess_kurtosis(r, block=BLOCK_DAYS * per_day, rng=rng),
            FITTING_TARGET,
            target="V5",
        )
        for origin, name, r, per_day in series
    ]
