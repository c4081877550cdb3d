"""Resting orders of an account below initial margin: which of them the venue takes away.

The venue's way is the newest that could add risk, until margin is enough. The other, for
comparison, takes at once every order that does not offset a position, and of those that do the most
passive until the rest fits the position, whatever margin that sets free.

Source: Paradex docs, deleveraging, 2026: orders below the initial margin requirement. That orders
at one price go newest first is ours: docs/decisions/0043-resolution-policies.md.
"""

from stressbook.market.compiling.bits import natural, widened
from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.margin.valuation import value_account
from stressbook.market.orders.book import cancel_newest_risk_increasing
from stressbook.market.orders.fills import reducible_lots
from stressbook.market.orders.resting import cancel_order
from stressbook.market.state.codes import (
    BUY,
    CANCEL_NEWEST,
    CANCEL_NOT_OFFSETTING,
    EV_RISK_ORDER_CANCELLED,
    FAULT_POLICY,
    SELL,
)
from stressbook.market.state.events import log_event
from stressbook.market.state.ledger import raise_fault
from stressbook.market.state.records import VenueState

__all__ = ["cancel_beyond_position", "cancel_for_margin", "settle_step"]


@inline_kernel
def settle_step(v: VenueState, t_ms: int) -> None:
    """Have accounts below initial margin lose resting orders.

    Parameters
    ----------
    v : VenueState
        Changed in `risk`, books and `event`.
    t_ms : int
        Time of the step, a mark update.
    """
    for user in range(v.par[0].n_users):
        if v.user[user].n_orders == 0:
            continue
        value_account(v, user)
        if v.risk[user].available_usd < 0.0:
            cancel_for_margin(v, user, t_ms)


@inline_kernel
def cancel_for_margin(v: VenueState, user: int, t_ms: int) -> None:
    """Take orders from an account that has been valued below initial margin.

    Parameters
    ----------
    v : VenueState
        Changed in books, `risk` and `event`.
    user : int
        Whose.
    t_ms : int
        Time of the step.
    """
    way = int(v.par[0].cancel_below_initial_policy)
    if way == CANCEL_NEWEST:
        _cancel_newest(v, user, t_ms)
    elif way == CANCEL_NOT_OFFSETTING:
        _cancel_not_offsetting(v, user, t_ms)
    else:
        raise_fault(v, FAULT_POLICY)


@sub_kernel
def _cancel_newest(v: VenueState, user: int, t_ms: int) -> None:
    while v.risk[user].available_usd < 0.0:
        inst = cancel_newest_risk_increasing(v, user)
        if inst < 0:
            break
        log_event(v, t_ms, EV_RISK_ORDER_CANCELLED, user, inst, 1, 0, 0, 0, -1)
        value_account(v, user)


@sub_kernel
def _cancel_not_offsetting(v: VenueState, user: int, t_ms: int) -> None:
    n_all = 0
    for inst in range(v.inst.shape[0]):
        n_cancelled = 0
        for side in range(2):
            n_cancelled += cancel_beyond_position(v, user, inst, side)
        if n_cancelled > 0:
            log_event(v, t_ms, EV_RISK_ORDER_CANCELLED, user, inst, n_cancelled, 0, 0, 0, -1)
        n_all += n_cancelled
    if n_all > 0:
        value_account(v, user)


@sub_kernel
def cancel_beyond_position(v: VenueState, user: int, inst: int, side: int) -> int:
    """Cancel orders of one side, the most passive first, until the rest fits the position.

    Parameters
    ----------
    v : VenueState
        Changed in all that knows of resting orders.
    user, inst, side : int
        Whose, of which book, and which of its sides.

    Returns
    -------
    int
        How many: all of them where they offset nothing.
    """
    room = reducible_lots(v, user, inst, side)
    n_cancelled = 0
    while v.open_lots[user, inst, side] > room:
        cancel_order(v, _most_passive(v, user, inst, side))
        n_cancelled += 1
    return n_cancelled


@inline_kernel
def _most_passive(v: VenueState, user: int, inst: int, side: int) -> int:
    """Return the link of the order farthest from the other side, the newest at its price."""
    found = 0
    link = natural(v.own_head[user, inst])
    while link != 0:  # newest first
        order = v.order[natural(link - 1)]
        if widened(order.side) == side:
            tick = widened(order.price_tick)
            best = widened(v.order[natural(found - 1)].price_tick) if found != 0 else 0
            is_lower = side == BUY and tick < best
            is_higher = side == SELL and tick > best
            if found == 0 or is_lower or is_higher:
                found = link
        link = widened(order.next_own)
    return found
