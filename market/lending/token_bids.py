"""Bids that buy back tokens that are owed: their cash is bound behind the debt already."""

from stressbook.market.compiling.kernel import sub_kernel
from stressbook.market.lending.token_debts import debt_need_usd
from stressbook.market.state.codes import BUY
from stressbook.market.state.records import VenueState

__all__ = ["bid_overlap_usd"]


@sub_kernel
def bid_overlap_usd(v: VenueState, row: int) -> float:
    """Return what resting bids for owed tokens bind that the debts bind as well.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        Main row of a user.

    Returns
    -------
    float
        USD, at most what the bids bind: a bid far below the market frees nothing.
    """
    total, user = 0.0, int(v.row[row].user)
    for token in range(1, v.token_spec.shape[0]):
        spec = v.token_spec[token]
        owed = int(v.debt[row, token]) - int(v.token[row, token])
        inst = int(v.asset[spec.asset].spot_inst)
        if owed > 0 and inst >= 0:
            bid_units = int(v.open_lots[user, inst, BUY]) * int(v.inst[inst].lot_units)
            price_usd: float = v.price[spec.asset].borrow_oracle_usd
            worth = float(min(owed, bid_units)) / float(spec.unit) * price_usd
            bid_usd = float(v.open_notional[user, inst, BUY]) / 1e6
            total += min(debt_need_usd(worth, spec.ltv), bid_usd)
    return total
