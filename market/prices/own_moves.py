"""Moves between an account's rows at the venue and its own outside book.

A deposit that an account makes from its outside book is booked at the venue as any deposit; here
the outside book shrinks by as much, once the venue has accepted it. Without this second half,
moving tokens in would create them.
"""

from __future__ import annotations

from stressbook.market.compiling.arrays import Record
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.prices.outside_market import OUTSIDE_SPOT
from stressbook.market.prices.world import WorldState
from stressbook.market.state.codes import ACCEPTED, OP_DEPOSIT, OP_WITHDRAW, OWN_MOVE
from stressbook.market.state.records import C_REPLIES, VenueState

__all__ = ["settle_own_moves"]


@kernel
def settle_own_moves(v: VenueState, w: WorldState) -> None:
    """Take this step's accepted own moves out of, or put them into, outside books.

    Parameters
    ----------
    v : VenueState
        Read only, after its step was matched.
    w : WorldState
        Outside cash and spot inventory are changed in place; sums stay as they are.
    """
    for k in range(v.ctr[C_REPLIES]):
        message = v.merged[k]
        if v.reply[k].code == ACCEPTED and message.options & OWN_MOVE != 0:
            if message.op == OP_DEPOSIT:
                _take_out(v, w, message, 1)
            elif message.op == OP_WITHDRAW:
                _take_out(v, w, message, -1)


@inline_kernel
def _take_out(v: VenueState, w: WorldState, message: Record, sign: int) -> None:
    user, token = int(message.user), int(message.inst)
    others = w.cash.shape[0] - 1
    if token == 0:
        w.cash[user] -= sign * message.qty_lots
        w.cash[others] += sign * message.qty_lots
        return
    spec = v.token_spec[token]
    spot = v.inst[v.asset[spec.asset].spot_inst]
    # Outside lots have the size of the perp's; the rest of a division stays with the venue's row.
    per_lot = round(float(spot.lot_units) * w.asset[spec.asset].lot_size / spot.lot_size)
    lots = sign * (int(message.qty_lots) // int(per_lot))
    w.inventory[user, spec.asset, OUTSIDE_SPOT] -= lots
    w.inventory[others, spec.asset, OUTSIDE_SPOT] += lots
