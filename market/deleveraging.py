"""Auto-deleveraging: an account below zero is closed against the winners, at the previous mark.

Rank of a position of the other side: price gain x leverage, that is (mark / entry) x (notional /
equity), with entry / mark for shorts (the venue's page writes mark / entry for all; that would rank
losing shorts first). Source: Hyperliquid docs, auto-deleveraging, 2026.
"""

from __future__ import annotations

from stressbook.market.codes import CAUSE_DELEVERAGING, EV_DELEVERAGED
from stressbook.market.events import log_event
from stressbook.market.kernel import inline_kernel, sub_kernel
from stressbook.market.ledger import book_perp_at


@inline_kernel
def deleveraging_rank(lots, entry_cost_micro, lot_size, mark_usd, equity_usd):  # type: ignore[no-untyped-def]
    """Return the rank of one position; zero or less is never chosen."""
    if equity_usd <= 0.0:
        return 0.0
    entry_usd = float(entry_cost_micro) / 1e6 / (float(lots) * lot_size)
    if entry_usd <= 0.0:
        return 0.0
    notional_usd = float(abs(lots)) * lot_size * mark_usd
    gain = mark_usd / entry_usd if lots > 0 else entry_usd / mark_usd
    return gain * (notional_usd / equity_usd)


@inline_kernel
def _best_counterparty(v, inst, is_long, mark_usd):  # type: ignore[no-untyped-def]
    best_user = -1
    best_rank = 0.0
    for user in range(v.par[0].n_users):
        lots = v.perp[user, inst]
        if lots == 0 or (lots > 0) == is_long:
            continue
        rank = deleveraging_rank(
            lots,
            v.entry_cost[user, inst],
            v.inst[inst].lot_size,
            mark_usd,
            v.risk[user].equity_usd,
        )
        if rank > best_rank:
            best_rank = rank
            best_user = user
    return best_user


@sub_kernel
def deleverage(v, user, t_ms):  # type: ignore[no-untyped-def]
    """Close every perp of an account below zero against the highest ranks, in integer lots."""
    for inst in range(v.par[0].n_insts):
        price_e8 = v.price[v.inst[inst].asset].previous_mark_e8
        mark_usd = float(price_e8) / 1e8
        while v.perp[user, inst] != 0:
            lots = v.perp[user, inst]
            winner = _best_counterparty(v, inst, lots > 0, mark_usd)
            if winner < 0:
                break
            other = v.perp[winner, inst]
            moved = lots if abs(lots) <= abs(other) else -other
            book_perp_at(v, user, winner, inst, moved, price_e8, CAUSE_DELEVERAGING)
            log_event(
                v, t_ms, EV_DELEVERAGED, user, inst, moved, price_e8, 0, CAUSE_DELEVERAGING, winner
            )
