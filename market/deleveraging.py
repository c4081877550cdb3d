"""Auto-deleveraging: an account below zero is closed against winners, at the previous mark.

Positions of the other side are ranked by price gain x leverage, (mark / entry) x (notional /
account value), for shorts with entry / mark; the venue's page writes mark / entry for all, which
would rank losing shorts first. Accounts below zero come last, so that every position can be closed.
Source: Hyperliquid docs, auto-deleveraging, 2026-01.
"""

from typing import Final

from stressbook.market.codes import CAUSE_DELEVERAGING, EV_DELEVERAGED
from stressbook.market.events import log_event
from stressbook.market.kernel import inline_kernel, sub_kernel
from stressbook.market.ledger import book_perp_at
from stressbook.market.state import VenueState
from stressbook.market.units import NEAREST, mul_div

__all__ = ["deleverage", "deleveraging_rank"]

_NOBODY: Final = -1


@inline_kernel
def deleveraging_rank(
    lots: int, entry_cost_micro: int, lot_size: float, mark_usd: float, equity_usd: float
) -> float:
    """Return the rank of a position; the highest is closed first.

    Parameters
    ----------
    lots : int
        Signed, not 0.
    entry_cost_micro : int
        What the position was bought for, with the sign of `lots`.
    lot_size : float
        Units of a lot.
    mark_usd : float
        The mark at which it would be closed.
    equity_usd : float
        Of the account.

    Returns
    -------
    float
        Below zero where equity is; 0 where equity or entry is 0.

    Examples
    --------
    A long of 2 entered at 80, marked 100, on an equity of 50; a short alike, entered at 125:

    >>> deleveraging_rank(2, 160_000_000, 1.0, 100.0, 50.0)
    5.0
    >>> deleveraging_rank(-2, -250_000_000, 1.0, 100.0, 50.0)
    5.0
    """
    entry_usd = float(entry_cost_micro) / 1e6 / (float(lots) * lot_size)
    if equity_usd == 0.0 or entry_usd <= 0.0:
        return 0.0
    gain = mark_usd / entry_usd if lots > 0 else entry_usd / mark_usd
    return gain * (float(abs(lots)) * lot_size * mark_usd / equity_usd)


@sub_kernel
def deleverage(v: VenueState, user: int, t_ms: int) -> None:
    """Close every perp of an account against the highest ranks, in whole lots.

    Parameters
    ----------
    v : VenueState
        Changed in the ledger and `event`: one for each counterparty, its lots those that the
        account gave up, its amount what the counterparty lost against the present mark.
    user : int
        An account below zero.
    t_ms : int
        Time of the step.
    """
    for inst in range(v.inst.shape[0]):
        price = v.price[v.inst[inst].asset]
        price_e8 = int(price.previous_mark_e8)
        worse_e8 = price_e8 - int(price.mark_e8)
        while v.perp[user, inst] != 0:
            lots = int(v.perp[user, inst])
            winner = _first_of_rank(v, inst, lots > 0, float(price_e8) / 1e8)
            if winner == _NOBODY:
                break
            other = int(v.perp[winner, inst])
            moved = lots if abs(lots) <= abs(other) else -other
            book_perp_at(v, user, winner, inst, moved, price_e8, CAUSE_DELEVERAGING)
            loss = mul_div(moved, worse_e8, int(v.inst[inst].mark_den), NEAREST)
            log_event(
                v,
                t_ms,
                EV_DELEVERAGED,
                user,
                inst,
                moved,
                price_e8,
                loss,
                CAUSE_DELEVERAGING,
                winner,
            )


@inline_kernel
def _first_of_rank(v: VenueState, inst: int, against_longs: bool, mark_usd: float) -> int:
    """Return the user of the highest rank on the other side, the first of equals."""
    first = _NOBODY
    highest = 0.0
    for user in range(v.par[0].n_users):
        lots = int(v.perp[user, inst])
        if lots == 0 or (lots > 0) == against_longs:
            continue
        rank = deleveraging_rank(
            lots,
            int(v.entry_cost[user, inst]),
            v.inst[inst].lot_size,
            mark_usd,
            v.risk[user].equity_usd,
        )
        if first == _NOBODY or rank > highest:
            first, highest = user, rank
    return first
