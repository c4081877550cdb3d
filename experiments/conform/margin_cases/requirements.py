"""Add-ons, tiers and ratios, liquidation prices, and what resting orders need."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from stressbook.experiments.conform.cases import Quantities
from stressbook.experiments.conform.inputs import Given, NotSupported
from stressbook.experiments.conform.margin_cases.books import (
    UNIT,
    book,
    charge,
    initial_of,
    pair,
    regime,
    scan,
    steps_given,
)
from stressbook.experiments.conform.sums import sums, tier_rows
from stressbook.market.margin.netted_orders import is_allowed
from stressbook.market.margin.ratio import (
    portfolio_ratio,
    portfolio_requirement_usd,
    portfolio_value_usd,
    ratio_of,
)
from stressbook.market.regimes import MarginRegime
from stressbook.market.regimes.pocket import Holding, Pocket, liquidation_price, margin_of
from stressbook.market.regimes.rows import Step, WeightRow
from stressbook.market.regimes.tables import DEBT_DRAWN
from stressbook.market.regimes.tiers import maintenance_of
from stressbook.market.resolution.takeover import loan_share
from stressbook.market.rules.rule_arrays import maintenance_table

__all__ = ["REQUIREMENTS"]


# --- add-ons -------------------------------------------------------------------------------------


def _read_addon(given: Given) -> Quantities:
    if given.has("mr"):
        return _terms(given.table("mr"))
    if given.has("net_delta", "gross_delta"):
        return _floor(given)
    if given.has("long_btc_A", "short_btc_B"):
        legs = (
            Holding(UNIT, given.number("long_btc_A")),
            Holding(UNIT, -given.number("short_btc_B")),
        )
        rates = given.numbers("rate")
        return {"contingency_btc": lambda: [_hedge_charge([Step(0.0, r)], *legs) for r in rates]}
    if given.has("mr_core", "mr7_raw", "tiers"):
        return _sliced_floor(given)
    if given.has("hedge_usd", "tiers"):
        steps, hedge = steps_given(given.tables("tiers"), "rate"), given.number("hedge_usd")
        legs = (Holding(UNIT, hedge), Holding(UNIT, -hedge))
        return {"mr9": lambda: _hedge_charge(steps, *legs)}
    raise NotSupported("no regime has such an add-on")


def _hedge_charge(steps: list[Step] | tuple[Step, ...], *legs: Holding) -> float:
    return initial_of(regime("okx", scans=[scan([0.0])], charges=[charge(hedged=steps)]), *legs)


def _terms(mr: Given) -> Quantities:
    """Read printed terms as a book of one net and one hedged dollar that is charged them."""
    one, two, six = (mr.number(name, 0.0) for name in ("1", "2", "6"))
    beside = sum(mr.number(name, 0.0) for name in ("3", "4", "5"))
    row = charge(hedged=[Step(0.0, beside)], floor_net=mr.number("7", 0.0))
    rules = regime("okx", scans=[scan([-one, -two, -six])], charges=[row])
    return {"mmr": lambda: initial_of(rules, *pair(1.0, 3.0))}


def _floor(given: Given) -> Quantities:
    net, gross, spot = (given.number(name) for name in ("net_delta", "gross_delta", "spot"))
    flat = [scan([0.0])]
    hedged = regime("paradex", scans=flat, charges=[charge(floor_hedged=1.0)])
    row = charge(floor_net=given.number("unhedged"), floor_hedged=given.number("hedged"))
    whole = regime("paradex", scans=flat, charges=[row])
    return {
        "hedged_delta": lambda: initial_of(hedged, *pair(net, gross)),
        "min_delta": lambda: initial_of(whole, *pair(net * spot, gross * spot)),
    }


def _sliced_floor(given: Given) -> Quantities:
    core, raw = given.number("mr_core"), given.number("mr7_raw")
    steps = steps_given(given.tables("tiers"), "mult")

    def needed(loss: float, slices: tuple[Step, ...]) -> float:
        row = charge(floor_net=raw, floor_steps=slices)
        rules = regime("okx", scans=[scan([-loss])], charges=[row])
        return initial_of(rules, Holding(UNIT, 1.0))

    return {
        "mr7_adj": partial(needed, 0.0, steps),
        "mmr": partial(needed, core, steps),
        "mmr_unscaled": partial(needed, core, ()),
    }


# --- tiers ---------------------------------------------------------------------------------------


def _read_tiered(given: Given) -> Quantities:
    if given.has("liabilities"):
        return _tiered_loans(given)
    if not given.has("tiers"):
        raise NotSupported("no regime has such tiers")
    table = _table_of(given.tables("tiers"))
    deductions = [deduction for _, _, deduction in table]
    if not given.has("notional"):
        return {"deduction": lambda: deductions}
    notional = given.number("notional")
    rows, n = tier_rows(table)
    tier = max((i for i in range(n) if notional > table[i][0]), default=0)
    return {
        "maintenance": lambda: float(maintenance_of(rows, 0, n, notional)),
        "deduction": lambda: deductions[tier],
    }


def _table_of(tiers: list[Given]) -> list[tuple[float, float, float]]:
    """Return lower bounds, rates and deductions; a rate is half of one over a leverage."""
    by_leverage = [
        (
            tier.number("lower"),
            tier.number("max_leverage") if tier.has("max_leverage") else 0.5 / tier.number("mm"),
        )
        for tier in tiers
    ]
    return maintenance_table(by_leverage)


def _tiered_loans(given: Given) -> Quantities:
    loans = given.tables("liabilities")
    owed = [loan.number("qty") * loan.number("price") for loan in loans]
    tiers = [loan.tables("tiers") for loan in loans]
    names = [f"{UNIT}{i}" for i in range(len(loans))]

    def rates(key: str) -> float:
        rows = [
            WeightRow(
                (name,),
                *(1.0, 1.0, 1.0, 1.0),
                scanned=False,
                loan_initial=steps_given(tier, key),
                loan_maintenance=(),
            )
            for name, tier in zip(names, tiers, strict=True)
        ]
        held = [Holding(name, -debt, token=name) for name, debt in zip(names, owed, strict=True)]
        return initial_of(regime("binance", weights=rows), *held)

    def by_deduction() -> float:
        total = 0.0
        for tier, debt in zip(tiers, owed, strict=True):
            rows, n = tier_rows(_table_of(tier))
            total += float(maintenance_of(rows, 0, n, debt))
        return total

    return {
        "initial": partial(rates, "im"),
        "maintenance": partial(rates, "mm"),
        "maintenance_by_deduction": by_deduction,
    }


def _read_ratio(given: Given) -> Quantities:
    debt = given.number("borrowed") * given.number("borrow_price", 1.0)
    balance, price = given.number("balance"), given.number("price", 1.0)
    counted = min(balance, given.number("supply_cap", float("1e300"))) * price
    credit = counted * loan_share(given.number("ltv"), False)
    s = sums(
        own_cash_usd=balance - debt,
        debt_usd=debt,
        maintenance_usd=given.number("cross_maintenance"),
        collateral_credit_usd=min(credit, given.number("borrow_cap", float("1e300"))),
        borrow_offset_usd=given.number("min_offset", 0.0),
        debt_in_ratio=DEBT_DRAWN,
    )
    return {
        "maintenance": lambda: float(portfolio_requirement_usd(s)),
        "liquidation_value": lambda: float(portfolio_value_usd(s)),
        "ratio": lambda: float(portfolio_ratio(s)),
    }


# --- liquidation prices --------------------------------------------------------------------------


def _read_price(given: Given) -> Quantities:
    positions, at = _positions(given)
    cash = _margin(given, positions[at])
    holdings = []
    for one in positions:
        size, entry = _size(one), one.number("entry")
        price = one.number("mark", entry)
        cash -= size * entry
        holdings.append(_tiered_perp(one, size, price))
    rules = _tier_regime(given, positions)
    target = positions[at]
    start = target.number("mark", target.number("entry"))
    pocket = book(cash, *holdings)
    return {"liq_price": lambda: liquidation_price(rules, pocket, at, start)}


def _positions(given: Given) -> tuple[list[Given], int]:
    if given.has("positions"):
        positions = given.tables("positions")
        if not given.has("target"):
            if len(positions) == 1:
                return positions, 0
            raise NotSupported("lacks `target`")
        symbols = [one.raw("symbol") for one in positions]
        if symbols.count(given.raw("target")) != 1:
            raise NotSupported("`target` is not the symbol of one position")
        return positions, symbols.index(given.raw("target"))
    return [given.table("position") if given.has("position") else given], 0


_MARGINS: Final = ("margin", "wallet_balance", "collateral", "isolated_margin")


def _margin(given: Given, position: Given) -> float:
    for name in _MARGINS:
        if given.has(name):
            return given.number(name)
    if position.has("leverage"):
        return abs(_size(position)) * position.number("entry") / position.number("leverage")
    raise NotSupported("lacks `margin`")


def _size(one: Given) -> float:
    size = one.position("qty", "size")
    if size == 0.0:
        raise NotSupported("a position has no size")
    one.side()  # a size without a side may be a short
    return size


def _tiered_perp(one: Given, size: float, price: float) -> Holding:
    """Return a perp with the one tier that the case gives."""
    rate = one.number("mmr") if one.has("mmr") else 0.5 / one.number("max_leverage")
    return Holding(
        UNIT,
        size * price,
        entry_usd=abs(size) * one.number("entry"),
        leverage=one.number("leverage", float("inf")),
        tiers=((0.0, rate, one.number("cum", 0.0)),),
    )


def _tier_regime(given: Given, positions: list[Given]) -> MarginRegime:
    bases = {_basis(one) for one in (given, *positions)} - {""}
    if len(bases) > 1:
        raise NotSupported("positions differ in what maintenance is charged on")
    fees = {one.number("taker_fee", 0.0) for one in (given, *positions) if one.has("taker_fee")}
    if len(fees) > 1:
        raise NotSupported("positions differ in their fees")
    return regime(
        "isolated" if len(positions) == 1 else "cross",
        tier_at_entry=bases == {"entry"},
        initial_over_maintenance=0.0,
        closing_fee_frac=next(iter(fees), 0.0),
    )


def _basis(one: Given) -> str:
    basis = one.text("mm_basis") if one.has("mm_basis") else ""
    if basis not in ("", "entry", "mark"):
        raise NotSupported(f"mm_basis {basis!r} is neither entry nor mark")
    return basis


def _read_margin_ratio(given: Given) -> Quantities:
    size, entry, mark = _size(given), given.number("entry"), given.number("mark")
    rules = _tier_regime(given, [given])
    now, opened = (_tiered_perp(given, size, price) for price in (mark, entry))
    is_told = any(given.has(name) for name in _MARGINS)
    margin = _margin(given, given) if is_told else initial_of(rules, opened)
    pocket: Pocket = book(margin - size * entry, now)
    maintenance = margin_of(rules, pocket).maintenance_usd
    ratio = ratio_of(maintenance, pocket.net_usd())
    return {
        "maintenance": lambda: maintenance,
        "margin": lambda: margin,
        "upnl": lambda: pocket.net_usd() - margin,
        "margin_ratio": lambda: float(ratio),
        # The venues that print it liquidate at 1, this one above it.
        "liquidatable": lambda: ratio >= 1.0,
    }


# --- resting orders ------------------------------------------------------------------------------


def _order_regime(rate: float) -> MarginRegime:
    return regime("paradex", scans=[scan([0.0])], charges=[charge(initial=rate)], nets_orders=True)


def _read_orders(given: Given) -> Quantities:
    if not given.has("imf", "buy_orders", "sell_orders"):
        raise NotSupported("no regime weighs resting orders for tokens so")
    mark, position = given.number("mark"), given.position("position")
    buys, sells = given.number("buy_orders"), given.number("sell_orders")
    held = Holding(UNIT, position * mark, buy_usd=buys * mark, sell_usd=sells * mark)
    return {
        # What is open is what a side's orders leave beyond the position.
        "buy_open": lambda: max(0.0, buys + position),
        "sell_open": lambda: max(0.0, sells - position),
        "imr": lambda: initial_of(_order_regime(given.number("imf")), held),
    }


def _read_check(given: Given) -> Quantities:
    if not given.has("new_order", "imf"):
        raise NotSupported("no policy compares accounts by collateral over requirement")
    mark, position = given.number("mark"), given.position("position")
    buys, sells = given.number("resting_buys", 0.0), given.number("resting_sells", 0.0)
    order = given.table("new_order")
    size, side = order.number("size"), order.text("side")
    if side not in ("buy", "sell"):
        raise NotSupported(f"side {side!r} is neither buy nor sell")
    limit = order.number("price", mark)
    value = given.number("collateral") + position * (mark - given.number("entry"))
    before = Holding(UNIT, position * mark, buy_usd=buys * mark, sell_usd=sells * mark)
    key = "buy_usd" if side == "buy" else "sell_usd"
    after = replace(before, **{key: getattr(before, key) + size * mark})
    rules = _order_regime(given.number("imf"))
    needed = initial_of(rules, before), initial_of(rules, after)
    loss = size * max(0.0, limit - mark if side == "buy" else mark - limit)
    return {
        "account_value": lambda: value,
        "imr_before": lambda: needed[0],
        "imr_after": lambda: needed[1],
        "accepted": lambda: bool(is_allowed(needed[0], needed[1], loss, value)),
    }


REQUIREMENTS: Final = {
    "addon": _read_addon,
    "tiered_margin": _read_tiered,
    "pm_ratio": _read_ratio,
    "liq_price": _read_price,
    "margin_ratio": _read_margin_ratio,
    "order_margin": _read_orders,
    "order_check": _read_check,
}
