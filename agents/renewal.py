"""Renewal of accounts that hold positions: the ruined are replaced, the rich take out.

A market with losers cannot be stationary without it. An account that has lost most of its money
gives up its book; a day later, on average, a new one with the opening money stands in its place.
Winnings beyond a multiple of it are withdrawn. Short runs go without: they study one episode.
"""

from __future__ import annotations

from typing import Any, Final

from stressbook.agents.outbox import Outbox, deposit, withdraw
from stressbook.agents.view import Market, Me
from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.numbers.draws import PURPOSE_RENEWAL_DELAY, uniform
from stressbook.market.numbers.quantiles import exponential_from_uniform

RUIN_SHARE: Final = 0.25  # of the opening money: below it an account gives up
RICH_SHARE: Final = 4.0  # beyond it the surplus is withdrawn
FREE_SHARE: Final = 0.9  # of what is free for new margin may a withdrawal take


@inline_kernel
def is_away(me: Me, mkt: Market, p: Any, out: Outbox, wealth: float) -> bool:
    """Whether the account has given up; replaces it when its time has come.

    `renewal_ms` of the parameters is the mean time until it is replaced, 0 without renewal;
    `back_ms` of the memory is when that will be, 0 for an account in business.
    """
    m = me.memory
    clock = mkt.clock[0]
    if p.renewal_ms <= 0:
        return False
    if m.back_ms > 0:
        if clock.t_ms < m.back_ms:
            return True
        m.back_ms = 0
        missing = int((p.equity_usd - wealth) * 1e6)
        if missing > 0:
            deposit(out, me, 0, missing)
        return False
    if wealth < RUIN_SHARE * p.equity_usd:
        key0, key1 = clock.seed_key0, clock.seed_key1
        u = uniform(key0, key1, PURPOSE_RENEWAL_DELAY, me.account.key, clock.t_ms, 0)
        m.back_ms = clock.t_ms + 1 + int(exponential_from_uniform(u, float(p.renewal_ms)))
        return True
    surplus = wealth - RICH_SHARE * p.equity_usd
    if surplus > 0.0:
        free = FREE_SHARE * me.account.available_usd
        micro = int((surplus if surplus < free else free) * 1e6)
        if micro > 0:
            withdraw(out, me, 0, micro)
    return False
