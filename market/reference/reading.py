"""From a state's arrays to the parts of the plain venue, and the rules again as they change."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any, Final, get_type_hints

import numpy as np

from stressbook.market.compiling.arrays import I64
from stressbook.market.numbers.units import round_nearest
from stressbook.market.reference.book import RestingOrder
from stressbook.market.reference.funding import FundingMeter
from stressbook.market.reference.ledger import Asset
from stressbook.market.reference.margin_desk import MarginDesk
from stressbook.market.reference.opening import (
    desk_of,
    exchange_of,
    sequencer_of,
    volume_weights_of,
)
from stressbook.market.reference.oracle import AssetPrices
from stressbook.market.reference.order_rules import order_rules_of
from stressbook.market.reference.parts import (
    BackstopSums,
    Clock,
    ResolutionRules,
    Rows,
    Standing,
    Valuation,
    VenueParts,
)
from stressbook.market.reference.records import Message
from stressbook.market.reference.resting import RestingOrders
from stressbook.market.reference.sequence import TimedMessage
from stressbook.market.reference.triggers import Trigger
from stressbook.market.state.records import (
    C_FREE,
    C_PENDING,
    C_PRICE_UPDATES,
    C_SEQUENCE,
    C_STEP,
    C_TRIGGERS,
    C_USED_SLOTS,
    N_ORACLE_HISTORY,
    VenueState,
)

__all__ = ["CLAIMS", "balance_array", "read_parts", "read_rules"]

CLAIMS: Final[Asset] = ("token", 0)  # claims on the pool: USDC is cash, its token is unused
_LENDING_RULES: Final = (
    "user_borrow_cap",
    "platform_borrow_cap",
    "user_supply_cap",
    "platform_supply_cap",
    "rate_base",
    "rate_low_slope",
    "rate_slope",
    "kink",
    "retained_frac_e6",
    "is_simple",
    "borrowable",
)
_ROW_NAMES: Final = ("outside", "treasury", "rounding", "pool0", "backstop")


def read_parts(state: VenueState) -> VenueParts:
    """Return the parts of a venue that is in the state of these arrays.

    Parameters
    ----------
    state : VenueState
        Between two steps; read only.
    """
    par = state.par[0]
    exchange = exchange_of(state)
    assert isinstance(exchange.desk, MarginDesk)
    for sums in (exchange.ledger.balances, exchange.ledger.flows, exchange.ledger.entry_costs):
        _drop_zeros(sums)
    exchange.reply_count.update({code: int(n) for code, n in enumerate(state.reply_count)})
    _read_orders(state, exchange.orders)
    exchange.triggers = [Trigger(*t.tolist()) for t in state.trigger[: state.ctr[C_TRIGGERS]]]
    reserves = {0: exchange.desk.reserve} | exchange.desk.token_reserves
    for token, each in reserves.items():
        for array, claims in ((state.supply, each.supplies), (state.debt, each.debts)):
            rows = np.flatnonzero(array[:, token])
            claims.update({int(row): int(array[row, token]) for row in rows})
    sequencer = sequencer_of(state)
    sequencer.pending = _pending(state)
    parts = VenueParts(
        exchange=exchange,
        desk=exchange.desk,
        sequencer=sequencer,
        prices=[_prices(state, asset) for asset in range(len(state.asset))],
        meters=[_meter(state, asset) for asset in range(len(state.asset))],
        rates_e15=[int(price.last_funding_rate_e15) for price in state.price],
        standings=[Standing(**_ints(me, Standing)) for me in state.user],
        valuations=[_valuation(worth) for worth in state.risk],
        rows=Rows(*(int(par[f"row_{name}"]) for name in _ROW_NAMES)),
        clock=_clock(par),
        rules=_resolution_rules(par),
        n_rows=len(state.cash),
        perp_insts=[_index_or_none(asset.perp_inst) for asset in state.asset],
        spot_insts=[_index_or_none(asset.spot_inst) for asset in state.asset],
        mark_dens=[int(inst.mark_den) for inst in state.inst],
        impact_notionals_micro=[int(inst.impact_notional_micro) for inst in state.inst],
        max_spreads_frac=[],
        widths_usd=[],
        platform_supply_caps=[],
        collateral_units=[int(token.total_supply) for token in state.reserve],
        taken_negative_usd=[float(taken) for taken in state.taken_negative_usd],
        backstop=_backstop_sums(state.backstop[0]),
        n_steps=int(state.ctr[C_STEP]),
        n_price_updates=int(state.ctr[C_PRICE_UPDATES]),
    )
    read_rules(parts, state)
    return parts


def read_rules(parts: VenueParts, state: VenueState) -> None:
    """Take the rules as they stand now: a study may change them during a run.

    Parameters
    ----------
    parts : VenueParts
        Changed: rules, caps, loan-to-values, time constants, seed.
    state : VenueState
        Read only.
    """
    par = state.par[0]
    parts.clock = _clock(par)
    parts.rules = _resolution_rules(par)
    if all(float(dial.liquidator_out) > 0.0 for dial in state.dial):
        parts.rules = parts.rules._replace(resolution_on=False)
    delay_s = max(float(dial.check_delay_s) for dial in state.dial)
    parts.check_delay_ms = round_nearest(delay_s * 1000.0)
    parts.max_spreads_frac = [
        float(inst.two_sided_max_spread_frac) if par.sample_max_spread_on else math.inf
        for inst in state.inst
    ]
    parts.widths_usd = [float(token.slice_width_usd) for token in state.token_spec]
    parts.platform_supply_caps = [int(token.platform_supply_cap) for token in state.token_spec]
    _read_desk_rules(parts.desk, state)
    parts.exchange.order_rules = order_rules_of(state)
    parts.exchange.volume_weights_e6 = volume_weights_of(state)
    _read_sequencer_rules(parts, state)
    _read_averages(parts, par)


def _read_desk_rules(desk: MarginDesk, state: VenueState) -> None:
    fresh = desk_of(state, desk.regimes)
    for asset, changed in zip(desk.assets, fresh.assets, strict=True):
        asset.confidence = changed.confidence
    desk.rules, desk.eligibility = fresh.rules, fresh.eligibility
    desk.admission_on, desk.price_band_frac = fresh.admission_on, fresh.price_band_frac
    for token, new in zip(desk.tokens, fresh.tokens, strict=True):
        token.ltv, token.user_supply_cap = new.ltv, new.user_supply_cap
        token.credit_weight = new.credit_weight
    pairs = [(desk.reserve, fresh.reserve)]
    pairs += [(desk.token_reserves[token], new) for token, new in fresh.token_reserves.items()]
    for reserve, new_reserve in pairs:
        for name in _LENDING_RULES:
            setattr(reserve, name, getattr(new_reserve, name))


def _read_sequencer_rules(parts: VenueParts, state: VenueState) -> None:
    fresh = sequencer_of(state)
    fresh.pending = parts.sequencer.pending
    parts.sequencer = fresh


def _read_averages(parts: VenueParts, par: Any) -> None:
    """Take time constants and funding rules; what was averaged so far stays."""
    for prices in parts.prices:
        prices.mark_ema_ms = prices.gap.time_ms = int(par.mark_ema_ms)
        prices.last_ema_ms = prices.last.time_ms = int(par.last_ema_ms)
    for meter in parts.meters:
        meter.interest_frac = float(par.funding_interest_frac)
        meter.clamp_frac = float(par.funding_clamp_frac)
        meter.static_frac = float(par.funding_static_frac)
        meter.cap_frac = float(par.funding_cap_frac)
        meter.period_ms = int(par.funding_period_ms)


def balance_array(state: VenueState, asset: Asset) -> I64:
    """Return the balances of an asset by row, a view."""
    kind, number = asset
    if kind == "cash":
        return state.cash
    return state.token[:, number] if kind == "token" else state.perp[:, number]


def _drop_zeros(sums: dict[Any, int]) -> None:
    """Leave out what is 0 anyway: nine in ten sums by cause."""
    for key in [key for key, amount in sums.items() if amount == 0]:
        del sums[key]


def _clock(par: Any) -> Clock:
    periods = (par.price_period_ms, par.premium_period_ms, par.funding_period_ms)
    return Clock(int(par.dt_ms), *(int(period) for period in periods))


def _resolution_rules(par: Any) -> ResolutionRules:
    kinds = get_type_hints(ResolutionRules)
    return ResolutionRules(**{name: kinds[name](par[name]) for name in ResolutionRules._fields})


def _prices(state: VenueState, asset: int) -> AssetPrices:
    price, rules, par = state.price[asset], state.asset[asset], state.par[0]
    found = AssetPrices(
        opening_e8=int(price.oracle_e8),
        oracle_mode=int(rules.oracle_mode),
        oracle_venue_weight=float(rules.oracle_venue_weight),
        mark_ema_ms=int(par.mark_ema_ms),
        last_ema_ms=int(par.last_ema_ms),
        venue_spot_usd=float(price.venue_spot_usd) or None,
    )
    found.mark_e8, found.previous_mark_e8 = int(price.mark_e8), int(price.previous_mark_e8)
    found.borrow_oracle_e8 = int(price.borrow_oracle_e8)
    found.gap.num, found.gap.den = float(price.ema_num), float(price.ema_den)
    found.last.num, found.last.den = float(price.last_ema_num), float(price.last_ema_den)
    n = int(state.ctr[C_PRICE_UPDATES])
    ages = range(min(n, N_ORACLE_HISTORY - 1), -1, -1)
    ring = state.oracle_history[asset]
    found.history = [float(ring[(n - age) % N_ORACLE_HISTORY]) for age in ages]
    return found


def _meter(state: VenueState, asset: int) -> FundingMeter:
    par, price = state.par[0], state.price[asset]
    return FundingMeter(
        interest_frac=float(par.funding_interest_frac),
        clamp_frac=float(par.funding_clamp_frac),
        static_frac=float(par.funding_static_frac),
        cap_frac=float(par.funding_cap_frac),
        period_ms=int(par.funding_period_ms),
        premium_sum=float(price.premium_sum),
        n_samples=int(price.n_premium_samples),
    )


def _valuation(worth: Any) -> Valuation:
    names = [name for name in Valuation.__dataclass_fields__ if name != "is_portfolio"]
    numbers = {name: float(worth[name]) for name in names}
    return Valuation(is_portfolio=bool(worth.judged_as_portfolio), **numbers)


def _backstop_sums(sums: Any) -> BackstopSums:
    kinds = get_type_hints(BackstopSums)
    return BackstopSums(**{name: kind(sums[name]) for name, kind in kinds.items()})


def _ints(record: Any, kind: type) -> dict[str, int]:
    return {entry.name: int(record[entry.name]) for entry in fields(kind)}


def _index_or_none(inst: Any) -> int | None:
    return int(inst) if inst >= 0 else None


def _pending(state: VenueState) -> list[TimedMessage]:
    waiting = []
    for record in state.pending[: state.ctr[C_PENDING]]:
        numbers = [int(x) for x in record.tolist()]
        message = Message(*numbers[: len(Message._fields)])
        waiting.append(
            TimedMessage(
                message,
                effective_us=int(record.effective_us),
                emitted_ms=int(record.emitted_ms),
                number=int(record.number),
            )
        )
    return waiting


def _read_orders(state: VenueState, orders: RestingOrders) -> None:
    n_used = int(state.ctr[C_USED_SLOTS])
    used = state.order[:n_used]
    resting = []
    for slot, record in enumerate(used):
        orders.slots.generations[slot] = int(record.generation)
        if record.qty_lots > 0:
            resting.append((slot, record))
    for slot, record in sorted(resting, key=lambda found: int(found[1].sequence)):
        order = RestingOrder(
            user=int(record.user),
            inst=int(record.inst),
            side=int(record.side),
            price_tick=int(record.price_tick),
            lots=int(record.qty_lots),
            flags=int(record.options),
            client_id=int(record.client_id),
            handle=(int(record.generation) << 24) + slot,
            sequence=int(record.sequence),
        )
        _put_back(orders, order)
    orders.n_added = int(state.ctr[C_SEQUENCE])
    orders.slots.n_used = n_used
    link = int(state.ctr[C_FREE])
    while link:  # the first to be used again is the last of the list
        orders.slots.freed.insert(0, link - 1)
        link = int(state.order[link - 1].next_slot)


def _put_back(orders: RestingOrders, order: RestingOrder) -> None:
    orders.books[order.inst].join(order)
    orders.by_handle[order.handle] = order
    orders.by_side[order.user, order.inst, order.side].append(order)
    if order.client_id != 0:
        orders.by_client_id[order.user, order.client_id] = order
