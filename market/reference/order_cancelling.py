"""Orders of an account below initial margin again: the newest first, or all that offset nothing."""

from __future__ import annotations

from collections.abc import Sequence

from stressbook.market.reference.book import RestingOrder
from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.valuation import value_account
from stressbook.market.state.codes import (
    BUY,
    CANCEL_NEWEST,
    CANCEL_NOT_OFFSETTING,
    EV_RISK_ORDER_CANCELLED,
    SELL,
)

__all__ = ["cancel_for_margin", "orders_beyond", "settle_step"]


def settle_step(parts: VenueParts, t_ms: int) -> None:
    """Have accounts below initial margin lose resting orders."""
    for user in range(len(parts.exchange.users)):
        if not parts.exchange.orders.of_user(user):
            continue
        value_account(parts, user)
        if parts.valuations[user].available_usd < 0.0:
            cancel_for_margin(parts, user, t_ms)


def cancel_for_margin(parts: VenueParts, user: int, t_ms: int) -> None:
    """Take orders from an account that has been valued below initial margin."""
    way = parts.rules.cancel_below_initial_policy
    if way == CANCEL_NEWEST:
        _cancel_newest(parts, user, t_ms)
    elif way == CANCEL_NOT_OFFSETTING:
        _cancel_not_offsetting(parts, user, t_ms)
    else:
        parts.has_unknown_policy = True


def _cancel_newest(parts: VenueParts, user: int, t_ms: int) -> None:
    while parts.valuations[user].available_usd < 0.0:
        inst = parts.exchange.cancel_newest_risk_increasing(user)
        if inst < 0:
            break
        parts.log(t_ms, EV_RISK_ORDER_CANCELLED, user, inst=inst, lots=1)
        value_account(parts, user)


def _cancel_not_offsetting(parts: VenueParts, user: int, t_ms: int) -> None:
    exchange, n_all = parts.exchange, 0
    for inst in range(len(exchange.instruments)):
        going = [
            order
            for side in (BUY, SELL)
            for order in orders_beyond(
                exchange.orders.by_side[user, inst, side],
                exchange.reducible_lots(user, inst, side),
            )
        ]
        for order in going:
            exchange.orders.remove(order)
        if going:
            parts.log(t_ms, EV_RISK_ORDER_CANCELLED, user, inst=inst, lots=len(going))
        n_all += len(going)
    if n_all:
        value_account(parts, user)


def orders_beyond(orders: Sequence[RestingOrder], position_lots: int) -> list[RestingOrder]:
    """Return the orders that go so that the rest fits what they can take off a position.

    Parameters
    ----------
    orders : sequence of RestingOrder
        Of one side of a book.
    position_lots : int
        What that side can take off; 0 where it offsets nothing.

    Returns
    -------
    list of RestingOrder
        The most passive first, at one price the newest. Source: Paradex docs, deleveraging, 2026.

    Examples
    --------
    >>> asks = [RestingOrder(user=0, inst=0, side=1, price_tick=p, lots=5) for p in (107, 105)]
    >>> [order.price_tick for order in orders_beyond(asks, 9)], len(orders_beyond(asks, 0))
    ([107], 2)
    """

    def how_passive(order: RestingOrder) -> tuple[int, int]:
        return (order.price_tick if order.side == SELL else -order.price_tick, order.sequence)

    queue = sorted(orders, key=how_passive, reverse=True)
    rest = sum(order.lots for order in queue)
    going = []
    for order in queue:
        if rest <= position_lots:
            break
        going.append(order)
        rest -= order.lots
    return going
