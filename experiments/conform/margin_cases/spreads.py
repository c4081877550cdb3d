"""Several underlyings together: groups with offsets, credits for spreads, SPAN arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import permutations
from typing import Any, Final

from stressbook.experiments.conform.cases import Quantities
from stressbook.experiments.conform.inputs import Given, NotSupported, as_number
from stressbook.experiments.conform.margin_cases.books import (
    UNIT,
    charge,
    initial_of,
    regime,
    scan,
)
from stressbook.market.regimes import load_regime
from stressbook.market.regimes.pocket import Holding
from stressbook.market.regimes.rows import ScanRow, SpreadRow, Step, Tail
from stressbook.market.regimes.tables import MAX_CREDIT_LEGS

__all__ = ["SPREADS"]


def _read_groups(given: Given) -> Quantities:
    """Read losses less a share of gains, point by point inside a group of classes."""
    values = [one.number("delta_usd") for one in given.tables("classes")]
    names = [f"{UNIT}{i}" for i in range(len(values))]
    holdings = [Holding(name, value) for name, value in zip(names, values, strict=True)]
    scans = [scan(given.numbers("points"))]
    offset = given.number("offset")

    def requirement(group: str) -> float:
        charges = [charge(group=group)]
        rules = regime("tims", scans=scans, charges=charges, offset_frac=offset)
        return initial_of(rules, *holdings)

    return {
        "requirement": partial(requirement, "all"),
        "no_offset": partial(requirement, ""),
    }


def _read_spread(given: Given) -> Quantities:
    if given.has("legs"):
        return _between_commodities(given)
    if given.has("outright", "charge"):
        return _between_months(given)
    raise NotSupported("no regime has such a spread")


def _between_commodities(given: Given) -> Quantities:
    legs = given.tables("legs")
    if not 2 <= len(legs) <= MAX_CREDIT_LEGS:
        raise NotSupported(f"has {len(legs)} legs, where spreads have 2 to {MAX_CREDIT_LEGS}")
    names = [f"{UNIT}{i}" for i in range(len(legs))]
    # A range of 1 makes a leg's value its outright; the first stands against the others.
    sizes = [leg.number("margin") * leg.number("qty", 1.0) for leg in legs]
    values = [size if i == 0 else -size for i, size in enumerate(sizes)]
    rates = [leg.number("credit") if leg.has("credit") else given.number("credit") for leg in legs]
    holdings = [Holding(name, value) for name, value in zip(names, values, strict=True)]
    scans = [scan([-1.0, 1.0])]
    spread = SpreadRow(tuple(names), tuple(values), tuple(rates))
    outright = initial_of(regime("span", scans=scans), *holdings)
    final = initial_of(regime("span", scans=scans, spreads=[spread]), *holdings)
    return {
        "outright": lambda: outright,
        "saving": lambda: outright - final,
        "final": lambda: final,
    }


class _Calendars(dict[str, Callable[[], Any]]):
    """Spreads between two months, by the name of their charge."""


def _between_months(given: Given) -> Quantities:
    outrights, charges = given.table("outright"), given.table("charge")
    found = _Calendars()
    for name in charges.names():
        months = next(
            (two for two in permutations(outrights.names(), 2) if "_".join(two) == name), ()
        )
        if not months:
            raise NotSupported(f"`charge.{name}` does not name two months of `outright`")
        long, short = (outrights.number(month) for month in months)
        found[name] = partial(_calendar, long, short, charges.number(name))
    return found


def _calendar(long: float, short: float, amount: float) -> float:
    """Return the requirement of two months against each other, the charge on the hedged part."""
    hedged = min(long, short)
    if hedged <= 0.0:
        raise NotSupported("an outright is not above 0")
    rules = regime(
        "span", scans=[scan([-1.0, 1.0])], charges=[charge(hedged=[Step(0.0, amount / hedged)])]
    )
    return initial_of(rules, Holding(UNIT, long), Holding(UNIT, -short))


def _read_array(given: Given) -> Quantities:
    if given.has("arrays", "qty"):
        return _given_arrays(given)
    if given.has("psr", "extreme"):
        return _future_array(given)
    raise NotSupported("no regime has such an array")


def _future_array(given: Given) -> Quantities:
    """Read a price scan range and what counts of an extreme move: pairs of volatility up, down."""
    width, extreme = given.number("psr"), given.number("extreme")
    steps = load_regime("span").scans[0].steps
    row = ScanRow(("*",), width, False, steps, (Tail(extreme, 1.0), Tail(-extreme, 1.0)))
    moves = row.moves()
    ordinary = moves[: len(steps)]
    array = [move for move in ordinary for _ in range(2)] + moves[len(steps) :]
    rules = regime("span", scans=[row])
    return {
        "pnl_array": lambda: array,
        "scan_long": lambda: initial_of(rules, Holding(UNIT, 1.0)),
        "scan_short": lambda: initial_of(rules, Holding(UNIT, -1.0)),
    }


class _Scans(dict[str, Callable[[], Any]]):
    """Scans by name: `scan_long_X` and `scan_short_X` of one X alone, any other of the book."""

    def __init__(self, arrays: dict[str, list[float]], quantities: dict[str, float]) -> None:
        super().__init__()
        self._arrays = arrays
        self._quantities = quantities

    def __contains__(self, name: object) -> bool:
        return str(name).startswith("scan")

    def __missing__(self, name: str) -> Callable[[], Any]:
        for side, sign in (("scan_long_", 1.0), ("scan_short_", -1.0)):
            if name.startswith(side):
                alone = _one_named(name.removeprefix(side), list(self._arrays))
                return partial(_worst, {alone: self._arrays[alone]}, {alone: sign})
        return partial(_worst, self._arrays, self._quantities)


def _one_named(name: str, known: list[str]) -> str:
    found = [one for one in known if one == name or one.endswith(f"_{name}")]
    if len(found) != 1:
        raise NotSupported(f"`{name}` is not one of {', '.join(known)}")
    return found[0]


def _worst(arrays: dict[str, list[float]], quantities: dict[str, float]) -> float:
    """Return the worst scenario of all instruments together: units whose losses add up in each."""
    scans = [scan(values, assets=[name]) for name, values in arrays.items()]
    holdings = [Holding(name, quantities.get(name, 0.0)) for name in arrays]
    return initial_of(regime("scan", scans=scans, offset_frac=1.0), *holdings)


def _given_arrays(given: Given) -> Quantities:
    tables, counts = given.table("arrays"), given.table("qty")
    sign = given.text("array_sign") if given.has("array_sign") else "loss_positive"
    if sign not in ("profit_positive", "loss_positive"):
        raise NotSupported(f"array_sign {sign!r} is neither profit_positive nor loss_positive")
    profit = 1.0 if sign == "profit_positive" else -1.0
    arrays = {name: [profit * x for x in tables.numbers(name)] for name in tables.names()}
    if len({len(values) for values in arrays.values()}) != 1:
        raise NotSupported("its arrays differ in length")
    unknown = [name for name in counts.names() if name not in arrays]
    if unknown:
        raise NotSupported(f"lacks the array of `{unknown[0]}`")
    quantities = {name: as_number(counts.raw(name), name) for name in counts.names()}
    return _Scans(arrays, quantities)


SPREADS: Final = {
    "group_offset": _read_groups,
    "spread_credit": _read_spread,
    "span_array": _read_array,
}
