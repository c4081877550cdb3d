"""Rates, interest and health of loans."""

from __future__ import annotations

from functools import partial
from typing import Final

from stressbook.experiments.conform.cases import Quantities
from stressbook.experiments.conform.inputs import Given, NotSupported
from stressbook.experiments.conform.sums import sums
from stressbook.market.lending.lending_rates import (
    HOURS_PER_YEAR,
    borrow_rate_at,
    growth_of,
    growth_over,
)
from stressbook.market.margin import printed as shown

__all__ = ["LENDING"]

_Curve = tuple[float, float, float, float]  # base, rise up to the kink, rise beyond it, kink


def _read_rates(given: Given) -> Quantities:
    if given.has("borrow", "supply"):
        used = given.numbers("utilisation")
        curves = {side: _two_slopes(given.table(side)) for side in ("borrow", "supply")}
        return {side: partial(_along, curve, used) for side, curve in curves.items()}
    if given.has("utilisation_pct"):
        used = [one / 100.0 for one in given.numbers("utilisation_pct")]
        rates = [100.0 * rate for rate in _along(_in_percent(given), used)]
        return {"rate_pct": lambda: rates}
    curve, used = _curve(given), given.numbers("utilisation")
    return dict.fromkeys(("rate", "borrow"), lambda: _along(curve, used))


def _along(curve: _Curve, used: list[float]) -> list[float]:
    return [float(borrow_rate_at(one, *curve)) for one in used]


def _in_percent(given: Given) -> _Curve:
    base, slope, jump, kink = (
        given.number(name) / 100.0 for name in ("base_pct", "slope_pct", "jump_pct", "kink_pct")
    )
    return base, slope, jump, kink


def _two_slopes(given: Given) -> _Curve:
    base, low, high, kink = (given.number(name) for name in ("base", "low", "high", "kink"))
    return base, low, high, kink


def _curve(given: Given) -> _Curve:
    if given.has("slope", "kink"):
        return given.number("base", 0.0), 0.0, given.number("slope"), given.number("kink")
    if given.has("low", "high", "kink"):
        return _two_slopes(given)
    if not given.has("optimal") or given.has("segments"):
        raise NotSupported("no reserve has a curve with more than one kink, or none")
    kink = given.number("optimal")
    if given.has("slope", "high_slope"):
        low, high = given.number("slope"), given.number("high_slope")
        return given.number("min", 0.0), low, high, kink
    if given.has("slope1", "slope2"):
        # Slopes are those of the whole segment.
        rises = given.number("slope1") / kink, given.number("slope2") / (1.0 - kink)
        return given.number("base", 0.0), *rises, kink
    at_kink, most = given.number("optimal_rate"), given.number("max_rate")
    return 0.0, at_kink / kink, (most - at_kink) / (1.0 - kink), kink


def _read_accrual(given: Given) -> Quantities:
    """Read a rate that is compounded at every instant, and not by the hour."""
    rate = given.number("rate")
    years = _years(given)
    if rate < 0.0 or years < 0.0:
        raise NotSupported("rate and time are not both at least 0")
    hours = years * HOURS_PER_YEAR
    factor = float(growth_of(rate * years))
    return {
        "factor": lambda: factor,
        "compound": lambda: 1.0 + factor,
        "linear": lambda: 1.0 + float(growth_over(rate, hours, True)),
    }


def _years(given: Given) -> float:
    if given.has("years"):
        return given.number("years")
    return given.number("seconds") / (HOURS_PER_YEAR * 3600.0)


def _read_health(given: Given) -> Quantities:
    if given.has("cases"):
        healths = [
            _health(one.number("collateral"), one.number("liq_factor"), given.number("debt"))
            for one in given.tables("cases")
        ]
        return {
            "liquidatable": lambda: [health < 1.0 for health in healths],
            "hf": lambda: healths,
        }
    factor = given.number("emode_lt" if given.has("emode_lt") else "lt")
    health = _health(given.number("collateral_usd"), factor, given.number("debt_usd"))
    return {"hf": lambda: health, "liquidatable": lambda: health < 1.0}


def _health(collateral: float, threshold: float, debt: float) -> float:
    return float(shown.health(sums(collateral_capacity_usd=collateral * threshold, debt_usd=debt)))


LENDING: Final = {
    "borrow_rate": _read_rates,
    "accrual": _read_accrual,
    "health_factor": _read_health,
}
