"""Perps of a row, and its user's resting orders: what they are worth, and their legs laid out."""

from typing import NamedTuple

from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.state.codes import BUY, PERP, SELL
from stressbook.market.state.records import VenueState

__all__ = ["PerpSums", "perp_sums"]


class PerpSums(NamedTuple):
    """Sums over the perps of a row, USD, and how many legs of `v.pocket` they take."""

    value_usd: float  # signed, at the mark
    gross_usd: float
    order_margin_usd: float  # of orders that the regime does not net
    spot_bid_usd: float  # bids for tokens stand in the same list of books
    n_legs: int


@inline_kernel
def perp_sums(v: VenueState, row: int) -> PerpSums:
    """Return what a row's perps are worth, and lay them out leg by leg in the order of the books.

    Parameters
    ----------
    v : VenueState
        Changed in the scratch of `pocket`.
    row : int
        Main row of a user, or a pocket.

    Returns
    -------
    PerpSums
        At the mark.
    """
    user = int(v.row[row].user)
    nets_orders = v.regime[v.row[row].regime].nets_orders == 1
    rests = v.user[user].n_orders > 0
    n_legs = 0
    value = gross = order_margin = spot_bid = 0.0
    for i in range(v.inst.shape[0]):
        lots = int(v.perp[row, i])
        if lots == 0 and not rests:
            continue
        inst = v.inst[i]
        bid = ask = 0
        if rests:
            bid, ask = int(v.open_notional[user, i, BUY]), int(v.open_notional[user, i, SELL])
            if inst.kind != PERP:
                spot_bid += float(bid) / 1e6
                continue
            if lots == 0 and bid + ask == 0:
                continue
        price = v.price[inst.asset]
        leverage = float(v.leverage[user, i])
        signed = float(lots) * inst.lot_size * price.mark_usd
        value += signed
        gross += abs(signed)
        if not nets_orders:
            order_margin += float(bid + ask) / 1e6 / leverage
        held = v.pocket[n_legs]
        held.leg = i
        held.value_usd = signed
        held.oracle_usd = float(lots) * inst.lot_size * price.oracle_usd
        held.entry_usd = abs(float(v.entry_cost[row, i])) / 1e6
        # Beyond its first tier a position needs more than the chosen leverage says.
        held.leverage = leverage
        held.buy_usd, held.sell_usd = float(bid) / 1e6, float(ask) / 1e6
        held.confidence = v.dial[inst.asset].oracle_confidence
        n_legs += 1
    return PerpSums(value, gross, order_margin, spot_bid, n_legs)
