"""An order meets the other side again: trades at resting prices, and how both sides are booked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stressbook.market.reference.book import RestingOrder
from stressbook.market.reference.ledger import fee_of
from stressbook.market.reference.pockets import move_margin_of_trade
from stressbook.market.reference.records import (
    Fill,
    Instrument,
    Message,
)
from stressbook.market.state.codes import (
    BUY,
    CAUSE_FORCED_TRADE,
    CAUSE_TRADE,
    CAUSE_TWAP_SALE,
    EV_MARGIN_EXPIRED,
    EV_REDUCE_ONLY_EXPIRED,
    EV_SELF_TRADE,
    FORCED,
    TWAP,
)

if TYPE_CHECKING:
    from stressbook.market.reference.match import ReferenceExchange

__all__ = ["take"]


def take(exchange: ReferenceExchange, order: Message, lots: int, t_ms: int) -> int:
    """Trade best price first, oldest order first; return what is left."""
    first_fill = len(exchange.fills)
    closing = exchange.reducible_lots(order.user, order.inst, order.side)
    left = lots
    while left > 0 and (maker := exchange.meets(order)) is not None:
        if maker.user == order.user:
            exchange.expire(maker, EV_SELF_TRADE, t_ms)
            continue
        available = exchange.available_lots(maker)
        traded = min(left, available)
        if traded > 0 and not exchange.desk.fill_keeps_margin(exchange, maker, lots=traded):
            exchange.expire(maker, EV_MARGIN_EXPIRED, t_ms)
            continue
        if traded > 0:
            _trade(exchange, order, maker, traded, t_ms)
            left -= traded
        if maker.lots == 0:
            exchange.orders.remove(maker)
        elif traded == available:
            exchange.expire(maker, EV_REDUCE_ONLY_EXPIRED, t_ms)
    _book_taker(exchange, order, exchange.fills[first_fill:], closing=closing)
    return left


def _trade(
    exchange: ReferenceExchange, order: Message, maker: RestingOrder, lots: int, t_ms: int
) -> None:
    """Log one trade, and book the side of the order that rested."""
    rules = exchange.instruments[order.inst]
    value = lots * maker.price_tick * rules.k
    taker_fee = fee_of(value, _rate_e7(exchange, order.user, rules, is_taker=True))
    maker_fee = fee_of(value, _rate_e7(exchange, maker.user, rules, is_taker=False))
    sign = 1 if maker.side == BUY else -1
    _book(exchange, order, maker.user, sign * lots, sign * value, maker_fee)
    maker.lots -= lots
    fill = Fill(
        t_ms=t_ms,
        inst=order.inst,
        price_tick=maker.price_tick,
        qty_lots=lots,
        taker=order.user,
        maker=maker.user,
        taker_side=order.side,
        flags=order.flags,
        taker_client_id=order.client_id,
        maker_client_id=maker.client_id,
        taker_fee_micro=taker_fee,
        maker_fee_micro=maker_fee,
    )
    exchange.fills.append(fill)


def _book_taker(
    exchange: ReferenceExchange, order: Message, fills: Sequence[Fill], *, closing: int
) -> None:
    """Book the incoming side as one, or in two where it turns a perp position."""
    if not fills:
        return
    k = exchange.instruments[order.inst].k
    lots = sum(fill.qty_lots for fill in fills)
    value = sum(fill.qty_lots * fill.price_tick * k for fill in fills)
    fees = sum(fill.taker_fee_micro for fill in fills)
    sign = 1 if order.side == BUY else -1
    if exchange.instruments[order.inst].is_perp and 0 < closing < lots:
        closed = _value_of_first(fills, closing) * k
        _book(exchange, order, order.user, sign * closing, sign * closed, 0)
        _book(exchange, order, order.user, sign * (lots - closing), sign * (value - closed), fees)
    else:
        _book(exchange, order, order.user, sign * lots, sign * value, fees)
    exchange.last_ticks[order.inst] = fills[-1].price_tick
    step = exchange.steps[order.inst]
    step.n_trades += len(fills)
    if order.side == BUY:
        step.bought_lots += lots
    else:
        step.sold_lots += lots


def _book(
    exchange: ReferenceExchange, order: Message, row: int, lots: int, cost: int, fee: int
) -> None:
    rules = exchange.instruments[order.inst]
    weight_e6 = exchange.volume_weights_e6[0 if rules.is_perp else 1]
    exchange.users[row].volume_14d_micro += abs(cost) * weight_e6 // 10**6
    cause = _cause_of(order.flags, rules)
    if rules.is_perp:
        place = exchange.row_of(row, order.inst)
        before = exchange.ledger.perp(place, order.inst)
        exchange.ledger.trade_perp(
            place, order.inst, lots=lots, cost_micro=cost, fee_micro=fee, cause=cause
        )
        if place != row:
            move_margin_of_trade(
                exchange,
                row,
                order.inst,
                before=before,
                lots=lots,
                cost_micro=cost,
                fee_micro=fee,
                mark_usd=exchange.desk.mark_usd(rules.asset),
            )
    else:
        units = lots * rules.lot_units
        exchange.ledger.trade_token(
            row, rules.token, units=units, cost_micro=cost, fee_micro=fee, cause=cause
        )


def _rate_e7(exchange: ReferenceExchange, user: int, rules: Instrument, *, is_taker: bool) -> int:
    tier = exchange.fee_tiers[exchange.users[user].fee_tier]
    if rules.is_perp:
        return tier.perp_taker_e7 if is_taker else tier.perp_maker_e7
    return tier.spot_taker_e7 if is_taker else tier.spot_maker_e7


def _value_of_first(fills: Sequence[Fill], lots: int) -> int:
    """Return lots x ticks of the first lots of some trades."""
    value = 0
    for fill in fills:
        part = min(lots, fill.qty_lots)
        value += part * fill.price_tick
        lots -= part
    return value


def _cause_of(flags: int, rules: Instrument) -> int:
    if not flags & (FORCED | TWAP):
        return CAUSE_TRADE
    return CAUSE_TWAP_SALE if flags & TWAP and not rules.is_perp else CAUSE_FORCED_TRADE
