"""What a venue asks of an order apart from its margin: its size, and room under a cap.

Source: Hyperliquid docs, tick and lot size, contract specifications, error responses, 2026;
readings in docs/decisions/0042.
"""

from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.orders.fills import reducible_lots
from stressbook.market.orders.open_interest import cap_refusal
from stressbook.market.state.codes import (
    ACCEPTED,
    FORCED,
    IOC,
    PERP,
    PLACEBO,
    R_ORDER_TOO_LARGE,
    R_ORDER_TOO_SMALL,
    TWAP,
)
from stressbook.market.state.records import VenueState

__all__ = ["refusal_by_rules", "size_refusal"]


@inline_kernel
def refusal_by_rules(
    v: VenueState, user: int, inst: int, side: int, price_tick: int, lots: int, tif: int, flags: int
) -> int:
    """Return why a well-formed order is refused before its margin is looked at.

    Parameters
    ----------
    v : VenueState
        Read only.
    user, inst, side, price_tick, tif, flags : int
        Of an order that passed `book.check_order`.
    lots : int
        `book.lots_allowed` of it.

    Returns
    -------
    int
        `ACCEPTED` or a refusal; orders of the venue itself and of a study are asked nothing.
    """
    if flags & (FORCED | TWAP | PLACEBO) != 0:
        return ACCEPTED
    code = size_refusal(v, user, inst, side, price_tick, lots, tif)
    if code == ACCEPTED:
        code = cap_refusal(v, user, inst, side, price_tick, lots, tif, flags)
    return code


@inline_kernel
def size_refusal(
    v: VenueState, user: int, inst: int, side: int, price_tick: int, lots: int, tif: int
) -> int:
    """Return whether an order is worth too little or too much, at its limit.

    Parameters
    ----------
    v : VenueState
        Read only.
    user, inst, side, price_tick, lots, tif : int
        Of the order.

    Returns
    -------
    int
        `ACCEPTED` or a refusal. What closes a whole perp position may be small; one that takes at
        once is a market order, and has the smaller bound.
    """
    spec = v.inst[inst]
    value_micro = lots * price_tick * int(spec.k)
    largest = int(spec.market_order_max_micro) if tif == IOC else int(spec.limit_order_max_micro)
    if 0 < largest < value_micro:
        return R_ORDER_TOO_LARGE
    if value_micro < v.par[0].order_min_micro:
        closes = spec.kind == PERP and reducible_lots(v, user, inst, side) == lots
        return ACCEPTED if closes else R_ORDER_TOO_SMALL
    return ACCEPTED
