"""Scenario grids: portfolio margin of one underlying, of several with offsets, and SPAN arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import permutations
from typing import Any, Final

from stressbook.experiments.conform.cases import Quantities
from stressbook.experiments.conform.inputs import Given, NotSupported, as_number
from stressbook.experiments.conform.margin_cases.books import (
    UNIT,
    book,
    charge,
    initial_of,
    regime,
    scan,
    weight,
)
from stressbook.market.regimes import MarginRegime, load_regime
from stressbook.market.regimes.pocket import Holding, Pocket, healths_usd, margin_of
from stressbook.market.regimes.rows import ScanRow, SpreadRow, Step, Tail
from stressbook.market.regimes.tables import MAX_CREDIT_LEGS

__all__ = ["GRIDS"]

_TOKEN: Final = "base"


def _healths(rules: MarginRegime, pocket: Pocket) -> Quantities:
    initial, maintenance = healths_usd(rules, pocket)
    return {"im": lambda: initial, "mm": lambda: maintenance}


# --- scan ----------------------------------------------------------------------------------------


def _read_scan(given: Given) -> Quantities:
    if given.has("shock_weight"):
        return _weighted_grid(given)
    if given.has("shocks", "perp_pct"):
        return _static_charge_grid(given)
    if given.has("shocks", "deltas"):
        return _floored_grid(given)
    if given.has("price_range"):
        return _roll_charge_grid(given)
    if given.has("moves", "delta_btc"):
        row = scan(given.numbers("moves"), inverse=_is_inverse(given))
        delta = given.number("delta_btc")
        return {"pnl": lambda: [delta * move for move in row.moves()]}
    raise NotSupported("no regime has such a grid")


def _is_inverse(given: Given) -> bool:
    payoff = given.text("payoff") if given.has("payoff") else "linear"
    if payoff not in ("linear", "inverse"):
        raise NotSupported(f"payoff {payoff!r} is neither linear nor inverse")
    return payoff == "inverse"


def _static_charge_grid(given: Given) -> Quantities:
    """Read charges on every leg inside the scaled loss; a weak oracle costs more at the initial
    level."""  # noqa: D205, D209
    if given.number("stable", 1.0) != 1.0:
        raise NotSupported("says how far the stablecoin is off its peg, but not what that costs")
    spot, perp = given.number("spot"), given.number("perp", 0.0)
    base_pct = given.number("base_pct", 0.0)
    factors = given.number("im_factor"), given.number("mm_factor", 1.0)
    perp_pct = given.number("perp_pct")
    rules = regime(
        "derive-pmrm1",
        scans=[scan(given.numbers("shocks"))],
        charges=[charge(initial=factors[0] * perp_pct, maintenance=factors[1] * perp_pct)],
        weights=[_base_weight(base_pct, factors)],
        initial_factor=factors[0],
        maintenance_factor=factors[1],
        confidence_threshold=given.number("conf_threshold", 0.0),
        confidence_rate=given.number("conf_margin", 0.0),
    )
    spot_conf = given.number("spot_conf", 1.0)
    mark = given.first("perp_mark", "mark") if perp != 0.0 else spot
    holdings = [
        Holding(
            UNIT,
            perp * mark,
            oracle_usd=perp * spot,
            confidence=min(spot_conf, given.number("perp_conf", 1.0)),
        ),
        Holding(UNIT, given.number("base", 0.0) * spot, token=_TOKEN, confidence=spot_conf),
    ]
    cash = given.number("cash", 0.0) + given.number("funding", 0.0) - perp * mark
    return _healths(rules, book(cash + _profit(given, perp, mark), *holdings))


def _base_weight(pct: float, factors: tuple[float, float]) -> Any:
    row = weight(_TOKEN, 1.0 - factors[0] * pct, 1.0 - factors[1] * pct, scanned=True)
    return replace(
        row,
        liability_initial=1.0 + factors[0] * pct,
        liability_maintenance=1.0 + factors[1] * pct,
    )


def _profit(given: Given, perp: float, mark: float) -> float:
    """Return the unrealised profit, stated or from the entry."""
    if perp == 0.0:
        return 0.0
    if given.has("upnl"):
        return given.number("upnl")
    return perp * (mark - given.number("entry"))


def _weighted_grid(given: Given) -> Quantities:
    """Read weighted moves, charges on perps and haircuts outside the scaled loss."""
    stable, spot, perp = (given.number(name) for name in ("stable", "spot", "perp"))
    off_peg = max(0.0, given.number("peg_threshold", 0.0) - stable)
    at_maintenance = given.number("mm_perp_pct", 0.0)
    collateral = given.tables("collateral") if given.has("collateral") else []
    names = [f"{_TOKEN}{i}" for i in range(len(collateral))]
    weights, tokens = [], []
    spot_conf = given.number("spot_conf", 1.0)
    for name, one in zip(names, collateral, strict=True):
        haircut = one.number("mm_haircut", 0.0)
        cancels = one.raw("risk_cancelling") is True
        weights.append(
            weight(
                name,
                1.0 - (haircut + one.number("im_haircut", 0.0)),
                1.0 - haircut,
                scanned=cancels,
            )
        )
        tokens.append(
            Holding(
                UNIT if cancels else name,
                one.number("amount") * one.number("price") / stable,
                token=name,
                confidence=min(one.number("conf", 1.0), spot_conf),
            )
        )
    tails = tuple(Tail(move, share) for move, share in given.pairs("shock_weight"))
    rules = regime(
        "derive",
        scans=[ScanRow(("*",), 1.0, False, (), tails)],
        charges=[
            charge(
                initial=at_maintenance + given.number("im_perp_pct", 0.0),
                maintenance=at_maintenance,
            )
        ],
        weights=weights,
        initial_factor=given.number("im_loss_factor") + off_peg * given.number("peg_factor", 0.0),
        maintenance_factor=given.number("mm_loss_factor"),
        confidence_threshold=given.number("conf_threshold", 0.0),
        confidence_rate=given.number("conf_margin", 0.0),
    )
    value = perp * given.first("perp_mark", "mark") if perp != 0.0 else 0.0
    confidence = min(spot_conf, given.number("perp_conf", 1.0))
    held = Holding(UNIT, value, oracle_usd=perp * spot, confidence=confidence)
    made = sum(given.number(name, 0.0) for name in ("cash", "perp_upnl", "perp_funding"))
    return _healths(rules, book(made - value, held, *tokens))


def _floored_grid(given: Given) -> Quantities:
    """Read a grid with tails and a least requirement of the net and the hedged part."""
    spot = given.number("spot")
    holdings = [Holding(UNIT, delta * spot) for delta in given.numbers("deltas")]
    tails = tuple(
        Tail(one.number("shock"), one.number("weight"))
        for one in (given.tables("tails") if given.has("tails") else [])
    )
    scans = [ScanRow(("*",), 1.0, False, tuple(given.numbers("shocks")), tails)]
    floors = [
        charge(floor_net=given.number("unhedged", 0.0), floor_hedged=given.number("hedged", 0.0))
    ]
    flat = [scan([0.0])]
    whole = regime(
        "paradex", scans=scans, charges=floors, maintenance_factor=given.number("mm_factor", 1.0)
    )
    needed = margin_of(whole, book(0.0, *holdings))
    return {
        "scan": lambda: initial_of(regime("paradex", scans=scans), *holdings),
        "min_delta": lambda: initial_of(regime("paradex", scans=flat, charges=floors), *holdings),
        "net_imr": lambda: needed.initial_usd,
        "net_mmr": lambda: needed.maintenance_usd,
    }


def _roll_charge_grid(given: Given) -> Quantities:
    """Read a range with a charge on each expiry; amounts are in the coin that is settled in."""
    deltas = given.table("positions")
    holdings = [Holding(UNIT, deltas.number(name)) for name in deltas.names()]
    rate, factor = given.number("roll_min_move"), given.number("mm_factor", 1.0)
    steps = load_regime("deribit").scans[0].steps
    width = given.number("price_range")
    scans = [ScanRow(("*",), width, _is_inverse(given), steps)]
    roll = charge(initial=rate, maintenance=factor * rate)
    fixed = given.number("mmp_margin", 0.0) + given.number("open_orders_margin", 0.0)
    whole = regime(
        "deribit",
        scans=scans,
        charges=[roll],
        maintenance_factor=factor,
        constant_initial_usd=fixed,
    )
    flat = [scan([0.0])]
    needed = margin_of(whole, book(0.0, *holdings))
    matrix = regime("deribit", scans=scans, charges=[roll])
    return {
        "worst_case": lambda: initial_of(regime("deribit", scans=scans), *holdings),
        "roll": lambda: initial_of(regime("deribit", scans=flat, charges=[roll]), *holdings),
        "risk_matrix_margin": lambda: initial_of(matrix, *holdings),
        "initial_margin": lambda: needed.initial_usd,
        "maintenance_margin": lambda: needed.maintenance_usd,
    }


# --- rates on gross notional ---------------------------------------------------------------------


def _read_standard(given: Given) -> Quantities:
    """Read rates on the mark, and what weak oracles and pegs cost on the spot value."""
    off_peg = max(0.0, given.number("depeg_threshold", 0.0) - given.number("stable", 1.0))
    extra = off_peg * given.number("depeg_factor", 0.0)
    spots = {name: given.number(name) for name in ("spot", "spot_eth") if given.has(name)}
    spot = next(iter(spots.values())) if spots else None
    perp = given.number("perp", 0.0)
    bases = [
        (given.number(name), given.number(price))
        for name, price in (("base", "spot"), ("base_eth", "spot_eth"), ("base_btc", "spot_btc"))
        if given.number(name, 0.0) != 0.0
    ]
    if any(amount < 0.0 for amount, _ in bases):
        raise NotSupported("no rule weighs a base that is owed")
    weights = []
    if bases:
        factor = given.number("base_factor")
        weights = [
            weight(f"{_TOKEN}{i}", factor - extra, factor, scanned=False) for i in range(len(bases))
        ]
    spot_conf = given.number("spot_conf", 1.0)
    holdings = []
    cash = given.number("cash", 0.0) + given.number("unsettled_funding", 0.0)
    if perp != 0.0:
        mark = given.first("mark", "perp_mark")
        if spot is None:
            raise NotSupported("lacks `spot`")
        holdings.append(_standard_perp(given, perp * mark, perp * spot, spot_conf))
        cash += _profit(given, perp, mark) - perp * mark
    holdings += [
        Holding(f"{_TOKEN}{i}", amount * price, token=f"{_TOKEN}{i}", confidence=spot_conf)
        for i, (amount, price) in enumerate(bases)
    ]
    rules = regime(
        "derive-standard",
        uses_tiers=True,
        leverage_counts=True,
        rates_at_oracle=True,
        charges=[charge(initial=extra)],
        weights=weights,
        confidence_threshold=given.number("conf_threshold", 0.0),
        confidence_rate=given.number("oracle_conf_factor", 0.0),
    )
    return _healths(rules, book(cash, *holdings))


def _standard_perp(given: Given, value: float, spot_value: float, spot_conf: float) -> Holding:
    return Holding(
        UNIT,
        value,
        oracle_usd=spot_value,
        leverage=1.0 / given.number("im_req"),
        confidence=min(spot_conf, given.number("perp_conf", 1.0)),
        tiers=((0.0, given.number("mm_req"), 0.0),),
    )


# --- several underlyings -------------------------------------------------------------------------


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


# --- SPAN arrays ---------------------------------------------------------------------------------


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


GRIDS: Final = {
    "scan": _read_scan,
    "standard_margin": _read_standard,
    "group_offset": _read_groups,
    "spread_credit": _read_spread,
    "span_array": _read_array,
}
