"""Calm days: does the venue follow the outside, are books there, does nobody bleed.

24 h after a warm-up of 6 h, many seeds. What is measured on a day is judged against windows of a
day of the recorded data, not against months of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from stressbook.experiments.inference import Estimate, mean_estimate, ratio_estimate
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.validation import bands
from stressbook.experiments.validation.basis import basis_bp, halflife_min
from stressbook.experiments.validation.depth_profile import depth_exponent, depth_hump_bp
from stressbook.experiments.validation.estimators import drift_frac, median_estimate
from stressbook.experiments.validation.holdings import CLASS_NAMES
from stressbook.experiments.validation.runner import Found
from stressbook.experiments.validation.table import Row, beside_band, judged, shown, within
from stressbook.experiments.validation.verdicts import BAND_LEVEL, BOUND_LEVEL, Band
from stressbook.experiments.validation.watch import HOUR_MINUTES, Watched, watch
from stressbook.market.compiling.arrays import F64
from stressbook.market.lending.lending_rates import HOURS_PER_YEAR

__all__ = ["AT_FLOOR", "FLOOR_FRAC", "calm_day", "calm_rows", "column", "profit_rates"]

_DAY_HOURS: Final = 24
FLOOR_FRAC: Final = 1.25e-5  # hourly interest rate, where funding rests on calm hours
AT_FLOOR: Final = 1e-9
_TO_BP: Final = 1e4
_TO_PERCENT: Final = 100.0


def calm_day(scenario: Scenario, seed: int, *, warmup_h: int = 6, hours: int = 24) -> Found:
    """Return what one seed's day came to.

    Parameters
    ----------
    scenario : Scenario
        Without stresses.
    seed : int
        Key of its draws.
    warmup_h, hours : int
        Lengths of warm-up and window.

    Returns
    -------
    dict of str to float
        By "ASSET.name" and "class.name".
    """
    sim = Simulation(
        scenario.with_(warmup=warmup_h * 3600.0, duration=hours * 3600.0, stresses=()), seed=seed
    )
    try:
        before = watch(sim, warmup_h)
        day = watch(sim, hours)
        found = _of_assets(sim, day) | of_classes(day)
        return found | _drifts(sim, "warm-up", before) | _drifts(sim, "end", day)
    finally:
        sim.close()


def _of_assets(sim: Simulation, day: Watched) -> Found:
    v = sim.engine.state
    days = len(day.borrowed_usd) / (HOUR_MINUTES * _DAY_HOURS)
    found: Found = {"venue.messages": day.messages}
    for a, name in enumerate(day.assets):
        perp, spot = int(v.asset[a].perp_inst), int(v.asset[a].spot_inst)
        for kind, inst in (("perp", perp), ("spot", spot)):
            if inst >= 0:
                found |= {f"{name}.{kind}_{k}": x for k, x in _of_book(day, inst, days).items()}
        if spot >= 0:
            found[f"{name}.near_outside"] = float(day.near_outside[:, a].mean())
        found |= {f"{name}.{k}": x for k, x in _of_basis(day, a, perp, spot).items()}
        open_usd = day.open_interest_lots[:, a] * day.mark_usd[:, a] * v.inst[perp].lot_size
        found[f"{name}.open_interest_usd"] = float(open_usd.mean())
        found[f"{name}.liquidated_frac"] = float(
            day.liquidated_usd[:, a].sum() / open_usd.mean() / days
        )
    return found


def _of_book(day: Watched, inst: int, days: float) -> Found:
    profile = day.depth_profile_usd[inst]
    return {
        "spread_bp": float(np.nanmean(day.spread_frac[:, inst]) * _TO_BP),
        "depth_usd": float(day.depth_usd[:, inst].mean()),
        "two_sided": float(day.two_sided[:, inst].mean()),
        "volume_usd": float(day.traded_usd[:, inst].sum() / days),
        "exponent": depth_exponent(profile),
        "hump_bp": depth_hump_bp(profile),
    }


def _of_basis(day: Watched, asset: int, perp: int, spot: int) -> Found:
    closes = basis_bp(day, asset, perp, spot, at="last")
    mids = basis_bp(day, asset, perp, spot, at="mid")
    rates = day.funding_frac[:, asset]
    return {
        "basis_mean_bp": float(np.nanmean(closes)),
        "basis_sd_bp": float(np.nanstd(closes, ddof=1)),
        "basis_halflife_min": halflife_min(closes),
        "basis_mid_sd_bp": float(np.nanstd(mids, ddof=1)),
        "basis_mid_halflife_min": halflife_min(mids),
        "floor_share": float(np.mean(np.abs(rates - FLOOR_FRAC) < AT_FLOOR)),
        "negative_share": float(np.mean(rates < 0.0)),
        "funding_yearly": float(rates.mean() * HOURS_PER_YEAR),
    }


def of_classes(day: Watched) -> Found:
    """Return equity at the start of a window and profit net of revaluation, by class."""
    first, last = day.sums[0], day.sums[-1]
    found: Found = {"venue.hours": float(len(day.sums) - 1)}
    for number, name in CLASS_NAMES.items():
        if first[number]["n_accounts"] == 0:
            continue
        start, end = first[number], last[number]
        gained = end["equity_usd"] - start["equity_usd"]
        moved = end["transfers_usd"] - start["transfers_usd"]
        luck = end["revaluation_usd"] - start["revaluation_usd"]
        found[f"{name}.equity_usd"] = float(start["equity_usd"])
        found[f"{name}.profit_usd"] = float(gained - moved - luck)
    return found


def _drifts(sim: Simulation, when: str, watched: Watched) -> Found:
    """Return least-squares drifts over the last hour, of means of minutes."""
    found: Found = {}
    last = slice(-HOUR_MINUTES, None)
    for a, name in enumerate(watched.assets):
        perp = int(sim.engine.state.asset[a].perp_inst)
        found[f"{name}.{when} open interest"] = drift_frac(watched.open_interest_lots[last, a])
        found[f"{name}.{when} depth"] = drift_frac(watched.depth_usd[last, perp])
    found[f"venue.{when} borrowed"] = drift_frac(watched.borrowed_usd[last])
    return found


def calm_rows(found: Sequence[Found], assets: Sequence[str]) -> list[Row]:
    """Return the table of calm days, judged.

    Parameters
    ----------
    found : sequence of dict
        One a seed, of `calm_day`.
    assets : sequence of str
        Names of the assets.

    Returns
    -------
    list of Row
    """
    rows: list[Row] = []
    for name in assets:
        rows += _spot_rows(found, name)
    for name in assets:
        rows += _basis_rows(found, name)
    for name in assets:
        rows += _book_rows(found, name)
    for name in assets:
        share = _percent(mean_estimate(column(found, f"{name}.liquidated_frac")))
        band = bands.scaled(bands.LIQUIDATED_BAND, _TO_PERCENT)
        rows.append(beside_band("liquidated over open interest", name, "% a day", share, band))
    rows += profit_rows(found)
    return judged([*rows, *_drift_rows(found, assets)])


def _spot_rows(found: Sequence[Found], name: str) -> list[Row]:
    if f"{name}.near_outside" not in found[0]:
        return []
    near = mean_estimate(column(found, f"{name}.near_outside"), level=BOUND_LEVEL)
    bound = bands.SPOT_GAP_BP.get(name)
    if bound is None:
        return []
    what = f"steps with spot within {bound:g} bp of outside"
    return [beside_band(what, name, "1", near, bands.SPOT_GAP_SHARE)]


def _basis_rows(found: Sequence[Found], name: str) -> list[Row]:
    rows = [
        shown("basis, mean", name, "bp", _mean(found, f"{name}.basis_mean_bp")),
        *_day_rows(found, name),
        shown("deviation of mids", name, "bp", _mean(found, f"{name}.basis_mid_sd_bp")),
    ]
    deviation = float(np.std(column(found, f"{name}.floor_share"), ddof=1))
    floor = _mean(found, f"{name}.floor_share")
    low, high = bands.FLOOR_DAY_DEVIATION.low, bands.FLOOR_DAY_DEVIATION.high
    note = f"days deviate by {deviation:.2f}, recorded days by {low} to {high}"
    rows.append(
        beside_band("hours of funding at its floor", name, "1", floor, bands.FLOOR_BAND, note=note)
    )
    rows.append(
        shown("hours of negative funding", name, "1", _mean(found, f"{name}.negative_share"))
    )
    rows.append(shown("funding, yearly", name, "1", _mean(found, f"{name}.funding_yearly")))
    return rows


def _day_rows(found: Sequence[Found], name: str) -> list[Row]:
    """Return deviation and half-life beside windows of a day of recorded data."""
    sd, half = f"{name}.basis_sd_bp", f"{name}.basis_halflife_min"
    deviation, halflife = _mean(found, sd), median_estimate(column(found, half), level=BAND_LEVEL)
    if name not in bands.BASIS_DAY:
        return [
            shown("basis, deviation", name, "bp", deviation, note="against its oracle"),
            shown("basis, half-life, median", name, "min", halflife),
        ]
    return [
        beside_band(
            "basis, deviation",
            name,
            "bp",
            deviation,
            bands.BASIS_DAY[name],
            note=_days_inside(found, sd, bands.BASIS_DAYS[name]),
        ),
        beside_band(
            "basis, half-life, median",
            name,
            "min",
            halflife,
            bands.HALFLIFE_DAY[name],
            note=_days_inside(found, half, bands.HALFLIFE_DAYS[name]),
        ),
    ]


def _days_inside(found: Sequence[Found], key: str, band: Band) -> str:
    values = column(found, key)
    inside = int(np.sum((values >= band.low) & (values <= band.high)))
    return f"{inside} of {len(values)} days in {band.low:g} to {band.high:g}, of recorded days 90 %"


def _book_rows(found: Sequence[Found], name: str) -> list[Row]:
    rows: list[Row] = []
    for kind in ("spot", "perp"):
        place = f"{name} {kind}"
        key = f"{name}.{kind}"
        if f"{key}_spread_bp" not in found[0]:
            continue
        two_sided = mean_estimate(column(found, f"{key}_two_sided"), level=BOUND_LEVEL)
        rows.append(
            beside_band("steps with two sides", place, "1", two_sided, bands.TWO_SIDED_SHARE)
        )
        spread = _mean(found, f"{key}_spread_bp")
        band = bands.SPREAD_BAND.get(name) if kind == "perp" else None
        rows.append(
            shown("spread", place, "bp", spread)
            if band is None
            else beside_band("spread", place, "bp", spread, band)
        )
        rows += [
            shown("depth in 10 bp", place, "M USD", _mean(found, f"{key}_depth_usd", 1e-6)),
            shown("volume", place, "M USD a day", _mean(found, f"{key}_volume_usd", 1e-6)),
        ]
        if kind == "perp":
            rows += _shape_rows(found, name)
    return rows


def _shape_rows(found: Sequence[Found], name: str) -> list[Row]:
    place = f"{name} perp"
    return [
        beside_band(
            "depth exponent, 5 to 50 bp",
            place,
            "1",
            _mean(found, f"{name}.perp_exponent"),
            bands.DEPTH_EXPONENT_BAND,
        ),
        beside_band(
            "densest distance from the mid",
            place,
            "bp",
            _mean(found, f"{name}.perp_hump_bp"),
            bands.DEPTH_HUMP_BAND,
        ),
    ]


def profit_rows(found: Sequence[Found]) -> list[Row]:
    """Return what classes earn a day net of revaluation, over opening equity."""
    band = bands.scaled(bands.PROFIT_BAND, _TO_PERCENT)
    return [
        beside_band("profit net of revaluation", name, "% of equity a day", _percent(rate), band)
        for name, rate in profit_rates(found).items()
    ]


def profit_rates(found: Sequence[Found]) -> dict[str, Estimate]:
    """Return summed profit over summed opening equity by class, a day."""
    rates = {}
    for name in CLASS_NAMES.values():
        if f"{name}.profit_usd" in found[0]:
            days = column(found, "venue.hours") / _DAY_HOURS
            rates[name] = ratio_estimate(
                column(found, f"{name}.profit_usd") / days,
                column(found, f"{name}.equity_usd"),
                level=BOUND_LEVEL,
            )
    return rates


def _drift_rows(found: Sequence[Found], assets: Sequence[str]) -> list[Row]:
    rows = []
    for when in ("warm-up", "end"):
        places = [(name, what) for name in assets for what in ("open interest", "depth")]
        for place, what in [*places, ("venue", "borrowed")]:
            drift = _percent(_mean(found, f"{place}.{when} {what}"))
            name = f"drift in the last hour of the {'warm-up' if when == 'warm-up' else 'day'}"
            where = f"{place}, {what}"
            rows.append(within(name, where, "%", drift, bands.DRIFT_FRAC * _TO_PERCENT))
    return rows


def column(found: Sequence[Found], key: str) -> F64:
    """Return one number of every seed."""
    return np.array([one.get(key, np.nan) for one in found])


def _mean(found: Sequence[Found], key: str, factor: float = 1.0) -> Estimate:
    return mean_estimate(column(found, key), level=BAND_LEVEL).scaled(factor)


def _percent(estimate: Estimate) -> Estimate:
    return estimate.scaled(_TO_PERCENT)
