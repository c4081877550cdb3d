"""Resting orders: their slots, the queue of each price, and the list of each owner.

An order lies in two doubly linked lists: the queue of its level, in order of arrival, and the list
of its user in that book, newest first, so that cancelling all of a user's orders costs as many
steps as there are orders. A freed slot is the first to be used again, under the next generation: a
handle, `generation * 2**24 + slot`, never names a later order.

Links are slot + 1: 0 is none, and an untouched ladder is pages of zeros that were never written.
"""

from typing import Final

from stressbook.market.compiling.bits import natural, widened
from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.orders.client_ids import forget_client_id, note_client_id
from stressbook.market.orders.occupancy import clear_tick, mark_tick, next_tick
from stressbook.market.state.codes import REDUCE_ONLY
from stressbook.market.state.records import C_FREE, C_LIVE, C_SEQUENCE, C_USED_SLOTS, VenueState

__all__ = [
    "HANDLE_SLOTS",
    "cancel_order",
    "has_free_slot",
    "is_better",
    "link_of_handle",
    "remove_order",
    "rest_order",
    "take_lots_off",
]

HANDLE_SLOTS: Final = 2**24  # slots that a handle can tell apart
_SLOT_MASK: Final = HANDLE_SLOTS - 1
_SLOT_BITS: Final = 24


@inline_kernel
def has_free_slot(v: VenueState) -> bool:
    """Tell whether one more order can rest.

    Parameters
    ----------
    v : VenueState
        Read only.

    Returns
    -------
    bool
        False at the capacity of `order`.
    """
    return v.ctr[C_LIVE] < v.order.shape[0]


@inline_kernel
def is_better(side: int, tick: int, other_tick: int) -> bool:
    """Tell whether a resting price is nearer to the other side than another one.

    Parameters
    ----------
    side : int
        Of both.
    tick, other_tick : int
        Two prices.

    Returns
    -------
    bool
        Higher for bids, lower for asks.

    Examples
    --------
    >>> is_better(0, 101, 100), is_better(1, 101, 100)
    (True, False)
    """
    # One comparison: which side it is cannot be predicted.
    return (tick - other_tick) * (1 - 2 * side) > 0


@inline_kernel
def link_of_handle(v: VenueState, handle: int) -> int:
    """Return slot + 1 of the living order of a handle, 0 if there is none.

    Parameters
    ----------
    v : VenueState
        Read only.
    handle : int
        Any int64.

    Returns
    -------
    int
        Slot + 1, or 0.
    """
    slot = handle & _SLOT_MASK
    if handle <= 0 or slot >= v.ctr[C_USED_SLOTS]:
        return 0
    order = v.order[slot]
    if order.qty_lots == 0 or order.generation != handle >> _SLOT_BITS:
        return 0
    return slot + 1


@sub_kernel
def rest_order(
    v: VenueState,
    user: int,
    inst: int,
    side: int,
    price_tick: int,
    lots: int,
    flags: int,
    client_id: int,
    client_hash: int,
) -> int:
    """Put an order at the end of the queue of its price.

    Parameters
    ----------
    v : VenueState
        Changed in all that knows of resting orders.
    user, inst, side, price_tick : int
        Where.
    lots : int
        At least 1.
    flags : int
        Of the message.
    client_id, client_hash : int
        0 for none; not that of another resting order.

    Returns
    -------
    int
        The handle.
    """
    link = _take_slot(v)
    order = v.order[natural(link - 1)]
    generation = widened(order.generation) + 1
    sequence = int(v.ctr[C_SEQUENCE]) + 1
    v.ctr[C_SEQUENCE] = sequence
    order.qty_lots = lots
    order.client_id = client_id
    order.sequence = sequence
    order.price_tick = price_tick
    order.user = user
    order.inst = inst
    order.generation = generation
    order.client_hash = client_hash
    order.side = side
    order.options = flags
    if client_id != 0:
        note_client_id(v, link, client_hash)
    _join_queue(v, link, inst, side, price_tick, lots)
    _join_owner(v, link, user, inst)
    v.open_lots[user, inst, side] += lots
    if flags & REDUCE_ONLY == 0:
        v.open_notional[user, inst, side] += lots * price_tick * int(v.inst[inst].k)
    v.book[inst].n_orders += 1
    v.user[user].n_orders += 1
    v.ctr[C_LIVE] += 1
    return (int(generation) << _SLOT_BITS) + link - 1


@inline_kernel
def take_lots_off(v: VenueState, link: int, lots: int) -> None:
    """Lower what an order has left, in every sum that counts it; it keeps its priority.

    Parameters
    ----------
    v : VenueState
        Changed in `order`, `level`, `open_lots`, `open_notional`.
    link : int
        Slot + 1.
    lots : int
        At most what it has left; with nothing left it must be removed next.
    """
    order = v.order[natural(link - 1)]
    user = widened(order.user)
    inst = widened(order.inst)
    side = widened(order.side)
    tick = widened(order.price_tick)
    order.qty_lots -= lots
    v.level[inst, tick].qty_lots -= lots
    v.open_lots[user, inst, side] -= lots
    if widened(order.options) & REDUCE_ONLY == 0:
        v.open_notional[user, inst, side] -= lots * int(tick) * int(v.inst[inst].k)


@sub_kernel
def remove_order(v: VenueState, link: int) -> None:
    """Take an order with nothing left out of its lists, and free its slot.

    Parameters
    ----------
    v : VenueState
        Changed in all that knows of resting orders.
    link : int
        Slot + 1 of an order whose `qty_lots` is 0.
    """
    order = v.order[natural(link - 1)]
    inst = widened(order.inst)
    _leave_queue(v, link)
    _leave_owner(v, link)
    if order.client_id != 0:
        forget_client_id(v, link, widened(order.client_hash))
    order.next_slot = v.ctr[C_FREE]
    v.ctr[C_FREE] = link
    v.book[inst].n_orders -= 1
    v.user[widened(order.user)].n_orders -= 1
    v.ctr[C_LIVE] -= 1


@inline_kernel
def cancel_order(v: VenueState, link: int) -> None:
    """Take an order out of its book.

    Parameters
    ----------
    v : VenueState
        Changed in all that knows of resting orders.
    link : int
        Slot + 1.
    """
    take_lots_off(v, link, int(v.order[natural(link - 1)].qty_lots))
    remove_order(v, link)


@inline_kernel
def _take_slot(v: VenueState) -> int:
    link = natural(v.ctr[C_FREE])
    if link != 0:
        v.ctr[C_FREE] = v.order[natural(link - 1)].next_slot
        return link
    link = natural(v.ctr[C_USED_SLOTS]) + 1
    v.ctr[C_USED_SLOTS] = link
    return link


@inline_kernel
def _join_queue(v: VenueState, link: int, inst: int, side: int, tick: int, lots: int) -> None:
    level = v.level[inst, tick]
    order = v.order[natural(link - 1)]
    tail = widened(level.tail)
    order.prev_slot = tail
    order.next_slot = 0
    level.tail = link
    level.qty_lots += lots
    if tail != 0:
        v.order[natural(tail - 1)].next_slot = link
        return
    level.head = link
    mark_tick(v, inst, side, tick)
    if is_better(side, tick, v.best[inst, side]):
        v.best[inst, side] = tick


@inline_kernel
def _leave_queue(v: VenueState, link: int) -> None:
    order = v.order[natural(link - 1)]
    before = widened(order.prev_slot)
    after = widened(order.next_slot)
    level = v.level[widened(order.inst), widened(order.price_tick)]
    if after != 0:
        v.order[natural(after - 1)].prev_slot = before
    else:
        level.tail = before
    if before != 0:
        v.order[natural(before - 1)].next_slot = after
        return
    level.head = after
    if after == 0:
        _close_level(v, widened(order.inst), widened(order.side), widened(order.price_tick))


@inline_kernel
def _close_level(v: VenueState, inst: int, side: int, tick: int) -> None:
    clear_tick(v, inst, side, tick)
    if v.best[inst, side] == tick:
        v.best[inst, side] = next_tick(v, inst, side, tick)


@inline_kernel
def _join_owner(v: VenueState, link: int, user: int, inst: int) -> None:
    order = v.order[natural(link - 1)]
    head = natural(v.own_head[user, inst])
    order.prev_own = 0
    order.next_own = head
    if head != 0:
        v.order[natural(head - 1)].prev_own = link
    v.own_head[user, inst] = link


@inline_kernel
def _leave_owner(v: VenueState, link: int) -> None:
    order = v.order[natural(link - 1)]
    before = widened(order.prev_own)
    after = widened(order.next_own)
    if after != 0:
        v.order[natural(after - 1)].prev_own = before
    if before != 0:
        v.order[natural(before - 1)].next_own = after
    else:
        v.own_head[widened(order.user), widened(order.inst)] = after
