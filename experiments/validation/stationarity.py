"""Twenty days: does the market stay where it opens, and are funding and basis those of months.

First day against last ten days, in lots, tokens and USDC. Equity of a class is taken less its
revaluation, which is luck, and less what the class earns a day in the runs of one day; that of
classes whose accounts are brought to the same money again and again is taken as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from stressbook.experiments.inference import Estimate, mean_estimate, ratio_estimate
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.validation import bands
from stressbook.experiments.validation.basis import basis_bp, halflife_min, lag_correlation
from stressbook.experiments.validation.calm import AT_FLOOR, FLOOR_FRAC, column
from stressbook.experiments.validation.holdings import CLASS_NAMES
from stressbook.experiments.validation.runner import Found
from stressbook.experiments.validation.table import Row, beside_band, judged, shown, within
from stressbook.experiments.validation.verdicts import BAND_LEVEL
from stressbook.experiments.validation.watch import HOUR_MINUTES, Watched, watch
from stressbook.market.compiling.arrays import F64
from stressbook.market.lending.lending_rates import HOURS_PER_YEAR
from stressbook.market.numbers.draws import CLASS_NUMBERS

__all__ = ["long_run", "stationarity_rows"]

_DAY_HOURS: Final = 24
_LAST_DAYS: Final = 10
_TO_PERCENT: Final = 100.0
_CARRIERS: Final = ("basis_trader", "hedger", "holder")
# Brought to the same money over and over: what they earn and lose leaves with it.
_REFILLED: Final = ("directional", "order_flow")


def long_run(scenario: Scenario, seed: int, *, warmup_h: int = 6, days: int = 20) -> Found:
    """Return what one long run came to.

    Parameters
    ----------
    scenario : Scenario
        Without stresses.
    seed : int
        Key of its draws.
    warmup_h, days : int
        Lengths of warm-up and window.

    Returns
    -------
    dict of str to float
        "first NAME" and "last NAME" for what should stay; "ASSET.name" for funding and basis.
    """
    hours = days * _DAY_HOURS
    calm = scenario.with_(warmup=warmup_h * 3600.0, duration=hours * 3600.0, stresses=())
    sim = Simulation(calm, seed=seed)
    try:
        watch(sim, warmup_h)
        run = watch(sim, hours)
        found: Found = {"days": float(days)}
        for name, hourly in (_kept(run) | _equities(run)).items():
            first, last = _windows(len(hourly), days)
            found[f"first {name}"] = float(hourly[first].mean())
            found[f"last {name}"] = float(hourly[last].mean())
        for a, name in enumerate(run.assets):
            found |= {f"{name}.{k}": x for k, x in _funding(run.funding_frac[:, a]).items()}
            v = sim.engine.state
            basis = basis_bp(run, a, int(v.asset[a].perp_inst), int(v.asset[a].spot_inst))
            found[f"{name}.basis_sd_bp"] = float(np.nanstd(basis, ddof=1))
            found[f"{name}.basis_halflife_min"] = halflife_min(basis)
        return found
    finally:
        sim.close()


def _windows(n: int, days: int) -> tuple[slice, slice]:
    """Return the first day and the last ten, at most the second half, of hourly values."""
    last_days = min(_LAST_DAYS, max(1, days // 2))
    return slice(0, _DAY_HOURS), slice(n - last_days * _DAY_HOURS, n)


def _kept(run: Watched) -> dict[str, F64]:
    """Return what should stay, by hour."""
    shape = (-1, HOUR_MINUTES)
    kept: dict[str, F64] = {"venue|borrowed": run.borrowed_usd.reshape(shape).mean(axis=1)}
    directional = CLASS_NUMBERS["directional"]
    carriers = [CLASS_NUMBERS[name] for name in _CARRIERS]
    for a, name in enumerate(run.assets):
        lots = run.open_interest_lots[:, a].reshape(shape).mean(axis=1)
        longs = run.held.long_units[:, directional, a]
        shorts = run.held.short_units[:, directional, a]
        kept[f"{name}|open interest, lots"] = lots
        kept[f"{name}|net directional share"] = (longs - shorts) / (longs + shorts)
        carry = run.held.carry_units.sum(axis=1)[:, a]
        if carry.any():
            kept[f"{name}|carry, tokens"] = carry
            kept[f"{name}|short lots of hedged books"] = run.held.short_units[:, carriers, a].sum(
                axis=1
            )
            kept[f"{name}|tokens of hedged books"] = run.held.token_units[:, carriers, a].sum(
                axis=1
            )
    return kept


def _equities(run: Watched) -> dict[str, F64]:
    """Return equity by class, less revaluation since the start, and what crossed the border."""
    kept: dict[str, F64] = {}
    for number, name in CLASS_NAMES.items():
        rows = run.sums[:, number]
        if rows[0]["n_accounts"] == 0:
            continue
        luck = rows["revaluation_usd"] - rows["revaluation_usd"][0]
        kept[f"{name}|equity"] = rows["equity_usd"][1:]
        kept[f"{name}|equity less luck"] = (rows["equity_usd"] - luck)[1:]
        kept[f"{name}|transfers"] = (rows["transfers_usd"] - rows["transfers_usd"][0])[1:]
    return kept


def _funding(rates: F64) -> Found:
    yearly = rates * HOURS_PER_YEAR
    rho = lag_correlation(rates)
    floor = np.abs(rates - FLOOR_FRAC) < AT_FLOOR
    daily = floor[: len(floor) // _DAY_HOURS * _DAY_HOURS].reshape(-1, _DAY_HOURS).mean(axis=1)
    return {
        "floor_share": float(floor.mean()),
        "daily_floor_sd": float(np.std(daily, ddof=1)) if len(daily) > 1 else np.nan,
        "negative share of hours": float(np.mean(rates < 0.0)),
        "5 % of hours, yearly": float(np.quantile(yearly, 0.05)),
        "95 % of hours, yearly": float(np.quantile(yearly, 0.95)),
        "99 % of hours, yearly": float(np.quantile(yearly, 0.99)),
        "AR(1) of hours": rho,
        "half-life, h": float(np.log(0.5) / np.log(rho)) if 0.0 < rho < 1.0 else np.nan,
        "autocorrelation at 24 h": lag_correlation(rates, _DAY_HOURS),
    }


def stationarity_rows(
    found: Sequence[Found], assets: Sequence[str], profit_rates: Mapping[str, float]
) -> list[Row]:
    """Return the table of long runs.

    Parameters
    ----------
    found : sequence of dict
        One a seed, of `long_run`.
    assets : sequence of str
        Names of the assets.
    profit_rates : mapping of str to float
        Profit net of revaluation over equity, a day, by class, of the runs of one day.

    Returns
    -------
    list of Row
    """
    rows = []
    for key in found[0]:
        place, _, what = key.removeprefix("first ").partition("|")
        if key.startswith("first ") and not what.startswith(("equity", "transfers")):
            change = _change(column(found, key), column(found, f"last {place}|{what}"))
            rows.append(
                within(
                    "first day less last ten",
                    f"{place}, {what}",
                    "%",
                    change,
                    bands.STATIONARY_FRAC * _TO_PERCENT,
                )
            )
    for name in CLASS_NAMES.values():
        if f"first {name}|equity" in found[0]:
            rows += _equity_rows(found, name, profit_rates.get(name, 0.0))
    for name in assets:
        rows += _funding_rows(found, name)
    return judged(rows)


def _change(first: F64, last: F64) -> Estimate:
    """Return first over last less 1, percent; the noise of both is in the interval."""
    ratio = ratio_estimate(first, last, level=BAND_LEVEL)
    return Estimate(
        (ratio.value - 1.0) * _TO_PERCENT,
        (ratio.low - 1.0) * _TO_PERCENT,
        (ratio.high - 1.0) * _TO_PERCENT,
        ratio.n,
        ratio.level,
    )


def _equity_rows(found: Sequence[Found], name: str, rate: float) -> list[Row]:
    days = column(found, "days")
    first, last = (
        column(found, f"first {name}|equity less luck"),
        column(found, f"last {name}|equity less luck"),
    )
    last_days = np.minimum(_LAST_DAYS, np.maximum(1, days // 2))
    earned_first, earned_last = first * rate * 0.5, first * rate * (days - 0.5 * last_days)
    change = _change(first - earned_first, last - earned_last)
    plain = _change(column(found, f"first {name}|equity"), column(found, f"last {name}|equity"))
    moved = mean_estimate(column(found, f"last {name}|transfers") / first).value
    brought_in = f"brought in by then {moved * _TO_PERCENT:.1f} %"
    most = bands.STATIONARY_FRAC * _TO_PERCENT
    if name in _REFILLED:
        note = f"less revaluation and profit {_plus_minus(change)}; {brought_in}"
        return [within("first day less last ten", f"{name}, equity", "%", plain, most, note=note)]
    note = (
        f"at {rate * _TO_PERCENT:.3f} % a day; equity as it is {_plus_minus(plain)}; {brought_in}"
    )
    what = f"{name}, equity less revaluation and profit"
    return [within("first day less last ten", what, "%", change, most, note=note)]


def _plus_minus(change: Estimate) -> str:
    return f"{change.value:+.1f} % [{change.low:.1f}, {change.high:.1f}]"


def _funding_rows(found: Sequence[Found], name: str) -> list[Row]:
    def mean(key: str) -> Estimate:
        return mean_estimate(column(found, f"{name}.{key}"), level=BAND_LEVEL)

    rows = [
        beside_band(
            "hours of funding at its floor", name, "1", mean("floor_share"), bands.FLOOR_BAND
        ),
        beside_band(
            "deviation of daily floor shares",
            name,
            "1",
            mean("daily_floor_sd"),
            bands.FLOOR_DAY_DEVIATION,
        ),
        *(
            beside_band(f"funding: {key}", name, "1", mean(key), band)
            for key, band in bands.FUNDING_BANDS.items()
        ),
    ]
    deviation, halflife = mean("basis_sd_bp"), mean("basis_halflife_min")
    if name not in bands.BASIS_DAY:
        return [
            *rows,
            shown("basis, deviation", name, "bp", deviation, note="against its oracle"),
            shown("basis, half-life", name, "min", halflife),
        ]
    return [
        *rows,
        beside_band("basis, deviation", name, "bp", deviation, bands.BASIS_BAND),
        beside_band("basis, half-life", name, "min", halflife, bands.BASIS_HALFLIFE_BAND),
    ]
