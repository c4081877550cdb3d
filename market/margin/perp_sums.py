"""Perps of a row, and its user's resting orders: value, requirements, legs for the scan."""

from typing import NamedTuple

from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.regimes.requirement import (
    leg_initial_usd,
    leg_maintenance_usd,
    tier_maintenance_usd,
)
from stressbook.market.state.codes import BUY, PERP, SELL
from stressbook.market.state.records import VenueState

__all__ = ["PerpSums", "note_leg", "perp_sums"]


class PerpSums(NamedTuple):
    """Sums over the perps of a row, USD, and how many legs were laid out for the scan."""

    value_usd: float  # signed, at the mark
    gross_usd: float
    initial_usd: float
    maintenance_usd: float
    order_margin_usd: float  # of orders that the regime does not net
    spot_bid_usd: float  # bids for tokens stand in the same list of books
    n_legs: int
    has_orders: bool  # at one of those legs


@inline_kernel
def perp_sums(v: VenueState, row: int, with_orders: bool) -> PerpSums:
    """Return what a row's perps are worth and need, leg by leg in the order of the books.

    Parameters
    ----------
    v : VenueState
        Read only, but for scratch.
    row : int
        Main row of a user, or a pocket.
    with_orders : bool
        Whether orders that the regime nets count.

    Returns
    -------
    PerpSums
        Before the scan.
    """
    user = int(v.row[row].user)
    r = int(v.row[row].regime)
    regime = v.regime[r]
    scans = regime.n_moves > 0
    nets_orders = regime.nets_orders == 1
    counts_orders = nets_orders and with_orders
    rests = v.user[user].n_orders > 0
    n_legs = 0
    has_orders = False
    value = gross = initial = maintenance = order_margin = spot_bid = 0.0
    for i in range(v.inst.shape[0]):
        lots = int(v.perp[row, i])
        if lots == 0 and not rests:
            continue
        inst = v.inst[i]
        bid = open_micro = 0
        if rests:
            bid = int(v.open_notional[user, i, BUY])
            open_micro = bid + int(v.open_notional[user, i, SELL])
            if inst.kind != PERP:
                spot_bid += float(bid) / 1e6
                continue
            if lots == 0 and open_micro == 0:
                continue
        price = v.price[inst.asset]
        leverage = float(v.leverage[user, i])
        signed = notional = tier = charged = 0.0
        if lots != 0:
            signed = float(lots) * inst.lot_size * price.mark_usd
            notional = abs(signed)
            value += signed
            gross += notional
            # Beyond its first tier a position needs more than the chosen leverage says.
            tier = tier_maintenance_usd(
                regime,
                v.tier,
                int(inst.asset),
                int(v.asset[inst.asset].n_tiers),
                notional,
                abs(float(v.entry_cost[row, i])) / 1e6,
            )
            charged = notional
            if regime.rates_at_oracle == 1:
                charged = abs(float(lots) * inst.lot_size * price.oracle_usd)
            maintenance += leg_maintenance_usd(regime, v.leg[r, i], tier, notional, charged)
        if counts_orders and open_micro != 0:
            charged += _most_added_usd(v, user, i, signed)
        confidence = v.dial[inst.asset].oracle_confidence
        initial += leg_initial_usd(
            regime, v.leg[r, i], tier, notional, charged, leverage, confidence
        )
        if open_micro != 0 and not nets_orders:
            order_margin += float(open_micro) / 1e6 / leverage
        if scans:
            has_orders = has_orders or open_micro != 0
            note_leg(v, n_legs, i, signed, user, i)
            n_legs += 1
    return PerpSums(value, gross, initial, maintenance, order_margin, spot_bid, n_legs, has_orders)


@inline_kernel
def _most_added_usd(v: VenueState, user: int, inst: int, signed_usd: float) -> float:
    """Return how far orders of one side can raise the notional of a perp."""
    bought = abs(signed_usd + float(v.open_notional[user, inst, BUY]) / 1e6)
    sold = abs(signed_usd - float(v.open_notional[user, inst, SELL]) / 1e6)
    return max(0.0, max(bought, sold) - abs(signed_usd))


@inline_kernel
def note_leg(v: VenueState, n: int, leg: int, value_usd: float, user: int, inst: int) -> None:
    """Lay a leg out for the scan, with the resting orders of its book."""
    held = v.pocket[n]
    held.leg = leg
    held.value_usd = value_usd
    held.buy_usd = held.sell_usd = 0.0
    if inst >= 0:
        held.buy_usd = float(v.open_notional[user, inst, BUY]) / 1e6
        held.sell_usd = float(v.open_notional[user, inst, SELL]) / 1e6
