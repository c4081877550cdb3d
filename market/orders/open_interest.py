"""Open-interest caps: what a perp still takes while all its longs are worth its cap.

Source: Hyperliquid docs, risks, 2026-01 (the page was taken down on 2026-08-07); readings in
docs/decisions/0042.
"""

from stressbook.market.compiling.bits import natural
from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.orders.fills import reducible_lots
from stressbook.market.orders.price_band import lies_within
from stressbook.market.state.codes import ACCEPTED, IOC, R_OPEN_INTEREST_CAP, REDUCE_ONLY
from stressbook.market.state.records import VenueState

__all__ = ["cap_refusal", "is_at_cap"]


@inline_kernel
def is_at_cap(v: VenueState, inst: int) -> bool:
    """Tell whether the open interest of a book has reached its cap.

    Parameters
    ----------
    v : VenueState
        Read only.
    inst : int
        An instrument.

    Returns
    -------
    bool
        False without a cap, which is 0.
    """
    spec = v.inst[inst]
    if spec.open_interest_cap_usd == 0.0:
        return False
    mark_usd = v.price[natural(spec.asset)].mark_usd
    held_usd = float(v.open_interest[inst]) * spec.lot_size * mark_usd
    return bool(held_usd >= spec.open_interest_cap_usd)


@inline_kernel
def cap_refusal(
    v: VenueState, user: int, inst: int, side: int, price_tick: int, lots: int, tif: int, flags: int
) -> int:
    """Return whether the cap of a perp forbids an order.

    Parameters
    ----------
    v : VenueState
        Read only.
    user, inst, side, price_tick, lots, tif, flags : int
        Of the order, its lots after the cut of a reduce-only one.

    Returns
    -------
    int
        `ACCEPTED`, or the refusal of an order that might open or increase a position, or that may
        rest too far from the oracle, in a perp at its cap. The backstop is exempt.
    """
    if not is_at_cap(v, inst) or user == v.par[0].backstop_user:
        return ACCEPTED
    if tif != IOC and not lies_within(v, inst, price_tick, int(v.par[0].cap_rest_band_frac_e6)):
        return R_OPEN_INTEREST_CAP
    only_reduces = flags & REDUCE_ONLY != 0 or int(
        v.open_lots[user, inst, side]
    ) + lots <= reducible_lots(v, user, inst, side)
    return ACCEPTED if only_reduces else R_OPEN_INTEREST_CAP
