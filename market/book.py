"""The order book: price-time priority, one absolute ladder of ticks for each instrument.

Trades happen at the price of the resting order; a partly filled order keeps its place. An order
that would meet one of its own user cancels that one and goes on (expire maker). A resting
reduce-only order fills at most what its owner still has to reduce, and expires with nothing left.
Each trade books at once: position, cash, the fees of both sides.
Source: Hyperliquid docs, order book, order types, self-trade prevention, 2026.
"""

import numpy as np

from stressbook.market.client_ids import find_client_id, hash_client_id
from stressbook.market.codes import (
    ACCEPTED,
    BUY,
    CANCELLED,
    CAUSE_FORCED_TRADE,
    CAUSE_TRADE,
    CAUSE_TWAP_SALE,
    EV_REDUCE_ONLY_EXPIRED,
    EV_SELF_TRADE,
    FILLED,
    FORCED,
    GTC,
    IOC,
    PARTLY_FILLED_CANCELLED,
    PERP,
    POST_ONLY,
    R_BAD_INSTRUMENT,
    R_BAD_PRICE,
    R_BAD_QUANTITY,
    R_BAD_SIDE,
    R_BAD_TIF,
    R_BAD_USER,
    R_BOOK_FULL,
    R_DUPLICATE_CLIENT_ID,
    R_POSITION_BOUND,
    R_POST_ONLY_WOULD_TAKE,
    R_REDUCE_ONLY_WOULD_INCREASE,
    R_UNKNOWN_ORDER,
    REDUCE_ONLY,
    REFUSED,
    RESTING,
    SELL,
    TWAP,
)
from stressbook.market.depth import depth_usd_within, impact_price, sample_book
from stressbook.market.events import log_event
from stressbook.market.kernel import inline_kernel
from stressbook.market.ledger import book_fee, position_lots, trade_rows
from stressbook.market.resting import (
    has_free_slot,
    link_of_handle,
    remove_order,
    rest_order,
    take_lots_off,
)
from stressbook.market.state import C_FILLS, C_REPLIES, N_TICKS, VenueState

__all__ = [
    "cancel_all",
    "cancel_client_id",
    "cancel_handle",
    "cancel_newest_risk_increasing",
    "check_order",
    "depth_usd_within",
    "impact_price",
    "is_marketable",
    "lots_allowed",
    "place",
    "reducible_lots",
    "submit",
]


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
    if side == BUY:
        return v.best[inst, SELL] <= price_tick
    return v.best[inst, BUY] >= price_tick


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
    position = position_lots(v, v.row_of[user, inst], inst)
    return max(position, 0) if side == SELL else max(-position, 0)


@inline_kernel
def lots_allowed(v: VenueState, user: int, inst: int, side: int, lots: int, flags: int) -> int:
    """Return the lots of an order after a reduce-only order is cut to the position.

    Parameters
    ----------
    v : VenueState
        Read only.
    user, inst, side, lots, flags : int
        Of the message.

    Returns
    -------
    int
        `lots`, or fewer; 0 if a reduce-only order would increase the position.
    """
    if flags & REDUCE_ONLY == 0:
        return lots
    return min(lots, reducible_lots(v, user, inst, side))


@inline_kernel
def check_order(
    v: VenueState,
    user: int,
    inst: int,
    side: int,
    price_tick: int,
    lots: int,
    tif: int,
    flags: int,
    client_id: int,
) -> int:
    """Return why a new order is refused before its margin is looked at; nothing is changed.

    Parameters
    ----------
    v : VenueState
        Read only.
    user, inst, side, price_tick, lots, tif, flags, client_id : int
        Of the message; any int64.

    Returns
    -------
    int
        `ACCEPTED` or the first refusal that applies.
    """
    if user < 0 or user >= v.user.shape[0]:
        return R_BAD_USER
    if inst < 0 or inst >= v.inst.shape[0]:
        return R_BAD_INSTRUMENT
    if side != BUY and side != SELL:
        return R_BAD_SIDE
    if tif < GTC or tif > POST_ONLY:
        return R_BAD_TIF
    bound = int(v.inst[inst].max_position_lots)
    if lots <= 0 or lots > bound:
        return R_BAD_QUANTITY
    if price_tick <= 0 or price_tick >= N_TICKS:
        return R_BAD_PRICE
    if client_id != 0 and _is_known(v, user, client_id):
        return R_DUPLICATE_CLIENT_ID
    allowed = lots_allowed(v, user, inst, side, lots, flags)
    if allowed == 0:
        return R_REDUCE_ONLY_WOULD_INCREASE
    held = position_lots(v, v.row_of[user, inst], inst)
    if (held if side == BUY else -held) + int(v.open_lots[user, inst, side]) + allowed > bound:
        return R_POSITION_BOUND
    if tif == POST_ONLY and is_marketable(v, inst, side, price_tick):
        return R_POST_ONLY_WOULD_TAKE
    if tif != IOC and not has_free_slot(v):
        return R_BOOK_FULL
    return ACCEPTED


@inline_kernel
def place(
    v: VenueState,
    user: int,
    inst: int,
    side: int,
    price_tick: int,
    lots: int,
    tif: int,
    flags: int,
    client_id: int,
    t_ms: int,
) -> int:
    """Match an order that passed its checks, and let the rest of it rest or drop.

    Parameters
    ----------
    v : VenueState
        Changed in books, ledger, logs; handle and filled lots go to the open entry of `reply`.
    user, inst, side, price_tick, tif, flags, client_id : int
        Of the message.
    lots : int
        `lots_allowed` of the message.
    t_ms : int
        Time of the step.

    Returns
    -------
    int
        `RESTING`, `FILLED`, `PARTLY_FILLED_CANCELLED` or `CANCELLED`.
    """
    remaining = lots
    meets = is_marketable(v, inst, side, price_tick)
    if v.book[inst].sampled == 0 and (meets or flags & FORCED != 0):
        sample_book(v, inst)
    if meets:
        remaining = _take(v, user, inst, side, price_tick, lots, flags, client_id, t_ms)
    reply = v.reply[v.ctr[C_REPLIES]]
    reply.filled_lots = lots - remaining
    if remaining == 0:
        return FILLED
    if tif == IOC:
        return CANCELLED if remaining == lots else PARTLY_FILLED_CANCELLED
    client_hash = hash_client_id(user, client_id)
    reply.handle = rest_order(
        v, user, inst, side, price_tick, remaining, flags, client_id, client_hash
    )
    return RESTING


@inline_kernel
def submit(
    v: VenueState,
    user: int,
    inst: int,
    side: int,
    price_tick: int,
    lots: int,
    tif: int,
    flags: int,
    client_id: int,
    t_ms: int,
) -> int:
    """Check and place a new order without looking at its margin.

    Parameters
    ----------
    v : VenueState
        Changed as by `place`.
    user, inst, side, price_tick, lots, tif, flags, client_id : int
        Of the message; any int64.
    t_ms : int
        Time of the step.

    Returns
    -------
    int
        A reply code.
    """
    code = check_order(v, user, inst, side, price_tick, lots, tif, flags, client_id)
    if code >= REFUSED:
        return code
    allowed = lots_allowed(v, user, inst, side, lots, flags)
    return place(v, user, inst, side, price_tick, allowed, tif, flags, client_id, t_ms)


@inline_kernel
def cancel_handle(v: VenueState, user: int, handle: int) -> int:
    """Cancel the order of a handle.

    Parameters
    ----------
    v : VenueState
        Changed in all that knows of resting orders.
    user : int
        Who asks; another user's order is unknown to it.
    handle : int
        Any int64.

    Returns
    -------
    int
        `CANCELLED` or `R_UNKNOWN_ORDER`.
    """
    link = link_of_handle(v, handle)
    if link == 0 or v.order[link - 1].user != user:
        return R_UNKNOWN_ORDER
    _cancel(v, link)
    return CANCELLED


@inline_kernel
def cancel_client_id(v: VenueState, user: int, client_id: int) -> int:
    """Cancel the order of a client id.

    Parameters
    ----------
    v : VenueState
        Changed in all that knows of resting orders.
    user : int
        Who asks.
    client_id : int
        Any int64; 0 names nothing.

    Returns
    -------
    int
        `CANCELLED` or `R_UNKNOWN_ORDER`.
    """
    link = 0
    if client_id != 0:
        link = find_client_id(v, user, client_id, hash_client_id(user, client_id))
    if link == 0:
        return R_UNKNOWN_ORDER
    _cancel(v, link)
    return CANCELLED


@inline_kernel
def cancel_all(v: VenueState, user: int, inst: int) -> int:
    """Cancel the resting orders of a user, newest first within each book.

    Parameters
    ----------
    v : VenueState
        Changed in all that knows of resting orders.
    user : int
        Whose.
    inst : int
        One book, or -1 for all of them.

    Returns
    -------
    int
        How many there were.
    """
    first = 0 if inst < 0 else inst
    last = v.inst.shape[0] if inst < 0 else inst + 1
    n_cancelled = 0
    for book in range(first, last):
        link = int(v.own_head[user, book])
        while link != 0:
            _cancel(v, link)
            n_cancelled += 1
            link = int(v.own_head[user, book])
    return n_cancelled


@inline_kernel
def cancel_newest_risk_increasing(v: VenueState, user: int) -> int:
    """Cancel the newest resting order of a user that could add to a perp position.

    Parameters
    ----------
    v : VenueState
        Changed in all that knows of resting orders.
    user : int
        Whose.

    Returns
    -------
    int
        Slot + 1 of that order, whose fields can be read until the slot is used again; 0 if no
        order is left that is not reduce-only and goes beyond the position of its book.
    """
    newest = 0
    for inst in range(v.inst.shape[0]):
        link = int(v.own_head[user, inst])
        while link != 0:
            order = v.order[link - 1]
            if _adds_risk(v, user, inst, np.int64(order.side), np.int64(order.flags)):
                if newest == 0 or order.sequence > v.order[newest - 1].sequence:
                    newest = link
                break
            link = np.int64(order.next_own)
    if newest != 0:
        _cancel(v, newest)
    return newest


@inline_kernel
def _adds_risk(v: VenueState, user: int, inst: int, side: int, flags: int) -> bool:
    if v.inst[inst].kind != PERP or flags & REDUCE_ONLY != 0:
        return False
    return v.open_lots[user, inst, side] > reducible_lots(v, user, inst, side)


@inline_kernel
def _is_known(v: VenueState, user: int, client_id: int) -> bool:
    return find_client_id(v, user, client_id, hash_client_id(user, client_id)) != 0


@inline_kernel
def _cancel(v: VenueState, link: int) -> None:
    take_lots_off(v, link, int(v.order[link - 1].qty_lots))
    remove_order(v, link)


@inline_kernel
def _take(
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
    """Trade against the other side, best price first, oldest order first; return what is left."""
    remaining = lots
    while remaining > 0 and is_marketable(v, inst, side, limit_tick):
        tick = int(v.best[inst, 1 - side])
        link = np.int64(v.level[inst, tick].head)
        maker = v.order[link - 1]
        if maker.user == user:
            _expire(v, link, EV_SELF_TRADE, t_ms)
            continue
        available = int(maker.qty_lots)
        is_reduce_only = np.int64(maker.flags) & REDUCE_ONLY != 0
        if is_reduce_only:
            available = min(available, reducible_lots(v, np.int64(maker.user), inst, 1 - side))
        traded = min(remaining, available)
        if traded > 0:
            _trade(v, link, user, side, tick, traded, flags, client_id, t_ms)
            remaining -= traded
        if maker.qty_lots == 0:
            remove_order(v, link)
        elif traded == available:
            _expire(v, link, EV_REDUCE_ONLY_EXPIRED, t_ms)
    return remaining


@inline_kernel
def _expire(v: VenueState, link: int, kind: int, t_ms: int) -> None:
    order = v.order[link - 1]
    inst = np.int64(order.inst)
    price_e8 = np.int64(order.price_tick) * int(v.inst[inst].tick_e8)
    log_event(v, t_ms, kind, np.int64(order.user), inst, int(order.qty_lots), price_e8, 0, 0, -1)
    _cancel(v, link)


@inline_kernel
def _trade(
    v: VenueState,
    link: int,
    taker: int,
    side: int,
    tick: int,
    lots: int,
    flags: int,
    client_id: int,
    t_ms: int,
) -> None:
    """Book one trade and its fees, and log it."""
    order = v.order[link - 1]
    maker = np.int64(order.user)
    inst = np.int64(order.inst)
    spec = v.inst[inst]
    cost_micro = lots * tick * int(spec.k)
    taker_row = int(v.row_of[taker, inst])
    maker_row = int(v.row_of[maker, inst])
    cause = _cause(flags, spec.kind)
    if side == BUY:
        trade_rows(v, taker_row, maker_row, inst, lots, cost_micro, cause)
    else:
        trade_rows(v, maker_row, taker_row, inst, lots, cost_micro, cause)
    taker_tier = v.fee_tier[v.user[taker].fee_tier]
    maker_tier = v.fee_tier[v.user[maker].fee_tier]
    taker_rate = taker_tier.perp_taker_e7 if spec.kind == PERP else taker_tier.spot_taker_e7
    maker_rate = maker_tier.perp_maker_e7 if spec.kind == PERP else maker_tier.spot_maker_e7
    taker_fee = book_fee(v, taker_row, cost_micro, int(taker_rate))
    maker_fee = book_fee(v, maker_row, cost_micro, int(maker_rate))
    take_lots_off(v, link, lots)
    v.user[taker].volume_14d_micro += cost_micro
    v.user[maker].volume_14d_micro += cost_micro
    _note_trade(v, inst, side, tick, lots)
    fill = v.fill[v.ctr[C_FILLS]]
    v.ctr[C_FILLS] += 1
    fill.t_ms = t_ms
    fill.inst = inst
    fill.price_tick = tick
    fill.qty_lots = lots
    fill.taker = taker
    fill.maker = maker
    fill.taker_side = side
    fill.flags = flags
    fill.taker_client_id = client_id
    fill.maker_client_id = order.client_id
    fill.taker_fee_micro = taker_fee
    fill.maker_fee_micro = maker_fee


@inline_kernel
def _cause(flags: int, kind: int) -> int:
    if flags & (FORCED | TWAP) == 0:
        return CAUSE_TRADE
    return CAUSE_TWAP_SALE if flags & TWAP != 0 and kind != PERP else CAUSE_FORCED_TRADE


@inline_kernel
def _note_trade(v: VenueState, inst: int, side: int, tick: int, lots: int) -> None:
    book = v.book[inst]
    book.last_tick = tick
    book.traded_lots += lots
    if side == BUY:
        book.buy_lots += lots
    else:
        book.sell_lots += lots
    book.n_trades += 1
