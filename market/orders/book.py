"""The order book: price-time priority, one absolute ladder of ticks for each instrument.

A new order is checked, meets the other side, and what is left rests or drops. An order is
cancelled by handle, by client id, or with all others of its user.
Source: Hyperliquid docs, order book and order types, 2026.
"""

from stressbook.market.compiling.bits import natural, widened
from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.orders.client_ids import find_client_id, hash_client_id
from stressbook.market.orders.depth import sample_book
from stressbook.market.orders.fills import is_marketable, meets_live_order, reducible_lots, take
from stressbook.market.orders.price_band import is_near_oracle
from stressbook.market.orders.resting import (
    cancel_order,
    has_free_slot,
    link_of_handle,
    rest_order,
)
from stressbook.market.orders.trigger_table import is_waiting
from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    CANCELLED,
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
    R_PRICE_BAND,
    R_REDUCE_ONLY_WOULD_INCREASE,
    R_UNKNOWN_ORDER,
    REDUCE_ONLY,
    RESTING,
    SELL,
)
from stressbook.market.state.ledger import position_lots
from stressbook.market.state.records import C_REPLIES, N_TICKS, VenueState

__all__ = [
    "cancel_all",
    "cancel_client_id",
    "cancel_handle",
    "cancel_newest_risk_increasing",
    "check_order",
    "lots_allowed",
    "place",
]


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
    if side not in (BUY, SELL):
        return R_BAD_SIDE
    if tif < GTC or tif > POST_ONLY:
        return R_BAD_TIF
    bound = int(v.inst[inst].max_position_lots)
    if lots <= 0 or lots > bound:
        return R_BAD_QUANTITY
    if price_tick <= 0 or price_tick >= N_TICKS:
        return R_BAD_PRICE
    if tif != IOC and not is_near_oracle(v, inst, price_tick):
        return R_PRICE_BAND
    if client_id != 0 and (_is_known(v, user, client_id) or is_waiting(v, user, client_id)):
        return R_DUPLICATE_CLIENT_ID
    allowed = lots_allowed(v, user, inst, side, lots, flags)
    if allowed == 0:
        return R_REDUCE_ONLY_WOULD_INCREASE
    held = position_lots(v, natural(v.row_of[user, inst]), inst)
    if held * (1 - 2 * side) + int(v.open_lots[user, inst, side]) + allowed > bound:
        return R_POSITION_BOUND
    crosses = tif == POST_ONLY and is_marketable(v, inst, side, price_tick)
    if crosses and meets_live_order(v, user, inst, side, price_tick):
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
        remaining = take(v, user, inst, side, price_tick, lots, flags, client_id, t_ms)
    reply = v.reply[natural(v.ctr[C_REPLIES])]
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


@sub_kernel
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
    if link == 0 or v.order[natural(link - 1)].user != user:
        return R_UNKNOWN_ORDER
    cancel_order(v, link)
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
    cancel_order(v, link)
    return CANCELLED


@sub_kernel
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
        link = natural(v.own_head[user, book])
        while link != 0:
            cancel_order(v, link)
            n_cancelled += 1
            link = natural(v.own_head[user, book])
    return n_cancelled


@sub_kernel
def cancel_newest_risk_increasing(v: VenueState, user: int) -> int:
    """Cancel the newest resting order of a user that could add to its risk.

    Parameters
    ----------
    v : VenueState
        Changed in all that knows of resting orders.
    user : int
        Whose.

    Returns
    -------
    int
        The instrument of that order; -1 if none is left that bids for a token, or is for a perp,
        not reduce-only, and goes beyond the position of its book.
    """
    newest = 0
    for inst in range(v.inst.shape[0]):
        link = natural(v.own_head[user, inst])
        while link != 0:
            order = v.order[natural(link - 1)]
            if _adds_risk(v, user, inst, widened(order.side), widened(order.options)):
                if newest == 0 or order.sequence > v.order[newest - 1].sequence:
                    newest = link
                break
            link = widened(order.next_own)
    if newest == 0:
        return -1
    inst = widened(v.order[natural(newest - 1)].inst)
    cancel_order(v, newest)
    return inst


@inline_kernel
def _adds_risk(v: VenueState, user: int, inst: int, side: int, flags: int) -> bool:
    if v.inst[inst].kind != PERP:
        return side == BUY
    if flags & REDUCE_ONLY != 0:
        return False
    return v.open_lots[user, inst, side] > reducible_lots(v, user, inst, side)


@inline_kernel
def _is_known(v: VenueState, user: int, client_id: int) -> bool:
    return find_client_id(v, user, client_id, hash_client_id(user, client_id)) != 0
