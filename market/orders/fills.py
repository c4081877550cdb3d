"""An order meets the other side: trades at resting prices, best price first, oldest order first.

A partly filled order keeps its place. An order that would meet one of its own user cancels that
one and goes on (expire maker). A resting reduce-only order fills at most what its owner still has
to reduce, and expires with nothing left to do. A resting order that adds to a position, or bids for
a token, expires if its owner no longer has the margin; where orders are netted, any does whose fill
would leave more missing than before. Each trade is booked for the resting side,
with its fee, as it happens; the incoming side of all trades of an order is booked as one at the
end, in two where it turns a position.
Source: Hyperliquid docs, order book, order types, self-trade prevention, 2026.
"""

from stressbook.market.compiling.arrays import Record
from stressbook.market.compiling.bits import natural, widened
from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.margin.admission import fill_keeps_margin
from stressbook.market.margin.pockets import book_trade
from stressbook.market.orders.occupancy import next_tick
from stressbook.market.orders.resting import cancel_order, remove_order, take_lots_off
from stressbook.market.state.codes import (
    BUY,
    CAUSE_FORCED_TRADE,
    CAUSE_TRADE,
    CAUSE_TWAP_SALE,
    EV_MARGIN_EXPIRED,
    EV_REDUCE_ONLY_EXPIRED,
    EV_SELF_TRADE,
    FORCED,
    PERP,
    REDUCE_ONLY,
    TWAP,
)
from stressbook.market.state.events import log_event
from stressbook.market.state.ledger import fee_micro, pay_fees, position_lots
from stressbook.market.state.records import C_FILLS, EMPTY_ASK, EMPTY_BID, VenueState

__all__ = ["cause_of_trade", "is_marketable", "meets_live_order", "reducible_lots", "take"]


@inline_kernel
def is_marketable(v: VenueState, inst: int, side: int, price_tick: int) -> bool:
    """Tell whether an order would meet a resting one.

    Parameters
    ----------
    v : VenueState
        Read only.
    inst, side, price_tick : int
        Of the order.

    Returns
    -------
    bool
        Its price reaches the best of the other side.
    """
    # One comparison: which side it is cannot be predicted.
    return (int(v.best[inst, 1 - side]) - price_tick) * (1 - 2 * side) <= 0


@sub_kernel
def meets_live_order(v: VenueState, user: int, inst: int, side: int, price_tick: int) -> bool:
    """Tell whether an order reaches one that can trade, or one of its own user.

    Parameters
    ----------
    v : VenueState
        Read only.
    user, inst, side, price_tick : int
        Of the order.

    Returns
    -------
    bool
        False if all in its reach are reduce-only with nothing left to reduce: these expire.
    """
    other = 1 - side
    empty = EMPTY_BID if other == BUY else EMPTY_ASK
    tick = int(v.best[inst, other])
    while tick != empty and (tick - price_tick) * (1 - 2 * side) <= 0:
        link = widened(v.level[inst, tick].head)
        while link != 0:
            order = v.order[natural(link - 1)]
            if order.user == user or _available_lots(v, link, inst, other) > 0:
                return True
            link = widened(order.next_slot)
        tick = next_tick(v, inst, other, tick)
    return False


@inline_kernel
def reducible_lots(v: VenueState, user: int, inst: int, side: int) -> int:
    """Return how many lots an order of one side can take off its user's position.

    Parameters
    ----------
    v : VenueState
        Read only.
    user, inst, side : int
        Of the order.

    Returns
    -------
    int
        At least 0.
    """
    position = position_lots(v, natural(v.row_of[user, inst]), inst)
    return max(position * (2 * side - 1), 0)


@inline_kernel
def cause_of_trade(flags: int, kind: int) -> int:
    """Return the cause under which the trades of an order are booked.

    Parameters
    ----------
    flags : int
        Of the incoming order.
    kind : int
        `SPOT` or `PERP`.

    Returns
    -------
    int
        One of the `CAUSE_` codes.

    Examples
    --------
    >>> cause_of_trade(0, PERP) == CAUSE_TRADE, cause_of_trade(FORCED, PERP) == CAUSE_FORCED_TRADE
    (True, True)
    """
    if flags & (FORCED | TWAP) == 0:
        return CAUSE_TRADE
    return CAUSE_TWAP_SALE if flags & TWAP != 0 and kind != PERP else CAUSE_FORCED_TRADE


@inline_kernel
def take(
    v: VenueState,
    user: int,
    inst: int,
    side: int,
    limit_tick: int,
    lots: int,
    flags: int,
    client_id: int,
    t_ms: int,
) -> int:
    """Trade an order against what its limit reaches.

    Parameters
    ----------
    v : VenueState
        Changed in books, ledger, logs.
    user, inst, side, limit_tick, flags, client_id : int
        Of the order.
    lots : int
        At least 1.
    t_ms : int
        Time of the step.

    Returns
    -------
    int
        The lots that are left.
    """
    kind = int(v.inst[inst].kind)
    k = int(v.inst[inst].k)
    cause = cause_of_trade(flags, kind)
    rate_e7 = _taker_rate_e7(v, user, kind)
    needs_margin = v.par[0].admission_on != 0
    remaining, tick, cost_micro, fees_micro = lots, 0, 0, 0
    maker_fees_micro, n_trades = 0, 0
    # What an order closes before it turns the position is booked at its own prices.
    closing = reducible_lots(v, user, inst, side) if kind == PERP else 0
    closed_micro = 0
    while remaining > 0 and is_marketable(v, inst, side, limit_tick):
        tick_here = natural(v.best[inst, 1 - side])
        link = widened(v.level[inst, tick_here].head)
        order = v.order[natural(link - 1)]
        if order.user == user:
            _expire(v, link, EV_SELF_TRADE, t_ms)
            continue
        available = _available_lots(v, link, inst, 1 - side)
        traded = min(remaining, available)
        if needs_margin and traded > 0 and not _has_margin(v, link, inst, 1 - side, traded):
            _expire(v, link, EV_MARGIN_EXPIRED, t_ms)
            continue
        if traded > 0:
            tick = tick_here
            value = traded * tick * k
            fee = fee_micro(value, rate_e7)
            maker_fee = _book_maker(v, link, inst, side, traded, value, kind, cause)
            fill = _log_fill(v, t_ms, inst, tick, traded, user, side, flags, client_id)
            fill.maker = order.user
            fill.maker_client_id = order.client_id
            fill.taker_fee_micro = fee
            fill.maker_fee_micro = maker_fee
            take_lots_off(v, link, traded)
            if closing > lots - remaining:
                closed_micro += min(traded, closing - (lots - remaining)) * tick * k
            remaining -= traded
            cost_micro += value
            fees_micro += fee
            maker_fees_micro += maker_fee
            n_trades += 1
        if order.qty_lots == 0:
            remove_order(v, link)
        elif traded == available:
            _expire(v, link, EV_REDUCE_ONLY_EXPIRED, t_ms)
    if n_trades > 0:
        traded = lots - remaining
        if 0 < closing < traded:
            _book_taker(v, user, inst, side, closing, closed_micro, 0, cause)
            traded -= closing
            cost_micro -= closed_micro
        _book_taker(v, user, inst, side, traded, cost_micro, fees_micro, cause)
        pay_fees(v, fees_micro + maker_fees_micro)
        _note_trades(v, inst, side, tick, lots - remaining, n_trades)
    return remaining


@inline_kernel
def _available_lots(v: VenueState, link: int, inst: int, side: int) -> int:
    order = v.order[natural(link - 1)]
    if widened(order.options) & REDUCE_ONLY == 0:
        return int(order.qty_lots)
    return min(int(order.qty_lots), reducible_lots(v, widened(order.user), inst, side))


@inline_kernel
def _has_margin(v: VenueState, link: int, inst: int, side: int, lots: int) -> bool:
    """Tell whether a resting order may fill: what only reduces does, unless orders are netted."""
    order = v.order[natural(link - 1)]
    user, flags = widened(order.user), widened(order.options)
    if flags & (FORCED | TWAP) != 0:
        return True
    if v.regime[natural(v.row[user].regime)].nets_orders == 0:
        if flags & REDUCE_ONLY != 0:
            return True
        if v.inst[inst].kind == PERP and reducible_lots(v, user, inst, side) >= lots:
            return True
    return fill_keeps_margin(v, user, inst, side, widened(order.price_tick), lots)


@inline_kernel
def _taker_rate_e7(v: VenueState, user: int, kind: int) -> int:
    tier = v.fee_tier[natural(v.user[user].fee_tier)]
    return int(tier.perp_taker_e7) if kind == PERP else int(tier.spot_taker_e7)


@inline_kernel
def _maker_rate_e7(v: VenueState, user: int, kind: int) -> int:
    tier = v.fee_tier[natural(v.user[user].fee_tier)]
    return int(tier.perp_maker_e7) if kind == PERP else int(tier.spot_maker_e7)


@inline_kernel
def _book_maker(
    v: VenueState,
    link: int,
    inst: int,
    taker_side: int,
    lots: int,
    value_micro: int,
    kind: int,
    cause: int,
) -> int:
    user = widened(v.order[natural(link - 1)].user)
    fee = fee_micro(value_micro, _maker_rate_e7(v, user, kind))
    v.user[user].volume_14d_micro += _counted_micro(v, value_micro, kind)
    sign = 2 * taker_side - 1
    book_trade(v, user, inst, sign * lots, sign * value_micro, fee, cause)
    return fee


@inline_kernel
def _counted_micro(v: VenueState, value_micro: int, kind: int) -> int:
    """Return what a trade adds to the weighted volume, rounded down: spot counts twice."""
    par = v.par[0]
    weight_e6 = int(par.volume_perp_weight_e6 if kind == PERP else par.volume_spot_weight_e6)
    whole, part = value_micro // 1_000_000, value_micro % 1_000_000
    return whole * weight_e6 + part * weight_e6 // 1_000_000


@inline_kernel
def _book_taker(
    v: VenueState,
    user: int,
    inst: int,
    side: int,
    lots: int,
    cost_micro: int,
    fees_micro: int,
    cause: int,
) -> None:
    v.user[user].volume_14d_micro += _counted_micro(v, cost_micro, int(v.inst[inst].kind))
    sign = 1 - 2 * side
    book_trade(v, user, inst, sign * lots, sign * cost_micro, fees_micro, cause)


@inline_kernel
def _log_fill(
    v: VenueState,
    t_ms: int,
    inst: int,
    tick: int,
    lots: int,
    taker: int,
    side: int,
    flags: int,
    client_id: int,
) -> Record:
    """Open an entry of the fill log with what the incoming order knows."""
    n = natural(v.ctr[C_FILLS])
    v.ctr[C_FILLS] = n + 1
    fill = v.fill[n]
    fill.t_ms = t_ms
    fill.inst = inst
    fill.price_tick = tick
    fill.qty_lots = lots
    fill.taker = taker
    fill.taker_side = side
    fill.options = flags
    fill.taker_client_id = client_id
    return fill


@inline_kernel
def _note_trades(v: VenueState, inst: int, side: int, tick: int, lots: int, n: int) -> None:
    book = v.book[inst]
    book.last_tick = tick
    book.traded_lots += lots
    book.n_trades += n
    book.buy_lots += lots * (1 - side)
    book.sell_lots += lots * side


@sub_kernel
def _expire(v: VenueState, link: int, kind: int, t_ms: int) -> None:
    order = v.order[natural(link - 1)]
    user = widened(order.user)
    inst = widened(order.inst)
    price_e8 = widened(order.price_tick) * int(v.inst[inst].tick_e8)
    log_event(v, t_ms, kind, user, inst, int(order.qty_lots), price_e8, 0, 0, -1)
    cancel_order(v, link)
