"""What happens on a breach: who is resolved when, and by which measure.

At a mark update every account in breach, in an order drawn by account, loses its resting orders
and gets exactly one measure, the first that applies:

1. *deleveraging*, if it is worth less than nothing and holds perps; after all others, the deepest
   first;
2. *takeover*: of everything, if it owes more than the full threshold of its collateral; of perps
   and margin, below 2/3 of maintenance, while the backstop's loss limit holds;
3. *orders* to the book for each perp;
4. a *slice* of its loan, with collateral.

Rules may put an auction or an insurance fund before them, and change which perps are lost, to
whom, and who bears what is left: docs/decisions/0043-resolution-policies.md.

Source: Hyperliquid docs, liquidations, 2026-01; portfolio margin, 2026-08-19. The order in which
measures are tried is ours: docs/decisions/0032-way-down.md.
"""

from typing import Final

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.token_debts import backs_token_debt
from stressbook.market.margin.pockets import return_flat_pockets
from stressbook.market.margin.valuation import (
    backing_usd,
    holds_collateral,
    holds_perps,
    is_breached,
    value_account,
    value_all,
)
from stressbook.market.numbers.draws import PURPOSE_BREACH_ORDER, uniform
from stressbook.market.numbers.units import round_nearest
from stressbook.market.orders.book import cancel_all
from stressbook.market.orders.trigger_table import cancel_triggers
from stressbook.market.resolution.auction import auction_account, has_bidder
from stressbook.market.resolution.backstop import (
    loss_limit_holds,
    repay_assumed_debt,
    sell_taken_over,
)
from stressbook.market.resolution.deficit import (
    end_breach,
    pay_from_own,
    settle_backstop,
    settle_flat_rows,
)
from stressbook.market.resolution.deleveraging import deleverage
from stressbook.market.resolution.insurance_fund import is_fund_able, take_at_bankruptcy
from stressbook.market.resolution.interruptions import is_check_due, resolves
from stressbook.market.resolution.liquidation import liquidate_perps
from stressbook.market.resolution.takeover import (
    loan_threshold_usd,
    take_everything,
    take_perps,
    take_slice,
)
from stressbook.market.state.codes import (
    ALLOCATE_PROFIT_HAIRCUT,
    EV_BREACH,
    EV_RISK_ORDER_CANCELLED,
    TAKER_AUCTION,
)
from stressbook.market.state.events import log_event
from stressbook.market.state.records import VenueState

__all__ = ["risk_step"]

# Columns of `work_index`: who, and whether it waits to be deleveraged.
_WHO: Final = 0
_WAITS: Final = 1


@inline_kernel
def risk_step(v: VenueState, t_ms: int) -> None:
    """Value all accounts, record breaches, resolve them, and let the backstop dispose.

    Parameters
    ----------
    v : VenueState
        Changed in `risk`, `user`, ledger, reserve, books, `outbox`, `event`, and in what the
        backstop has taken over.
    t_ms : int
        Time of the step, a mark update.
    """
    value_all(v)
    n = 0
    if is_check_due(v, t_ms):
        n = _collect_breaches(v, t_ms)
    if resolves(v):
        repay_assumed_debt(v, t_ms)
        for place in range(n):
            _resolve(v, place, t_ms)
        _deleverage_deepest_first(v, n, t_ms)
        sell_taken_over(v, t_ms)
        settle_backstop(v, t_ms)
    settle_flat_rows(v, t_ms)
    return_flat_pockets(v)


@sub_kernel
def _collect_breaches(v: VenueState, t_ms: int) -> int:
    """List accounts in breach in the order of their draws; note beginnings and ends."""
    n = 0
    for user in range(v.par[0].n_users):
        me = v.user[user]
        if not is_breached(v, user):
            if me.breached == 1:
                end_breach(v, user, t_ms)
            continue
        if me.breached == 0:
            me.breached = 1
            equity_micro = round_nearest(v.risk[user].equity_usd * 1e6)
            log_event(v, t_ms, EV_BREACH, user, -1, 0, 0, equity_micro, 0, -1)
        _insert_by_draw(v, user, n, t_ms)
        n += 1
    return n


@inline_kernel
def _insert_by_draw(v: VenueState, user: int, n: int, t_ms: int) -> None:
    key0, key1 = int(v.par[0].seed_key0), int(v.par[0].seed_key1)
    draw = uniform(key0, key1, PURPOSE_BREACH_ORDER, int(v.user[user].key), t_ms, 0)
    place = n
    while place > 0 and v.work_rank[place - 1, 0] > draw:
        v.work_rank[place, 0] = v.work_rank[place - 1, 0]
        v.work_index[place, _WHO] = v.work_index[place - 1, _WHO]
        place -= 1
    v.work_rank[place, 0] = draw
    v.work_index[place, _WHO] = user


@sub_kernel
def _resolve(v: VenueState, place: int, t_ms: int) -> None:
    """Cancel an account's orders and apply the first measure that fits."""
    user = int(v.work_index[place, _WHO])
    v.work_index[place, _WAITS] = 0
    parent = int(v.user[user].parent)
    n_cancelled = cancel_all(v, user, -1) + cancel_triggers(v, user, -1)
    if parent >= 0:
        inst = int(v.user[user].pocket_inst)
        n_cancelled += cancel_all(v, parent, inst) + cancel_triggers(v, parent, inst)
    if n_cancelled > 0:
        log_event(v, t_ms, EV_RISK_ORDER_CANCELLED, user, -1, n_cancelled, 0, 0, 0, -1)
    r = v.risk[user]
    has_perps = holds_perps(v, user)
    has_collateral = holds_collateral(v, user)
    has_loan = has_collateral or backs_token_debt(v, user)
    before_usd = float(r.equity_usd)
    if (has_perps or has_collateral) and _goes_to_auction(v, user):
        auction_account(v, user, t_ms)
        _note_what_was_taken(v, user, before_usd)
    elif has_perps and _goes_to_the_fund(v, user):
        take_at_bankruptcy(v, user, t_ms)
        _note_what_was_taken(v, user, before_usd)
    elif has_perps and r.equity_usd < 0.0 and _closes_against_winners(v):
        v.work_index[place, _WAITS] = 1
    elif user == v.par[0].backstop_user:
        return  # judged by the first alone
    elif has_loan and -r.net_usd > loan_threshold_usd(v, user, True):
        take_everything(v, user, has_perps and loss_limit_holds(v), t_ms)
        _note_what_was_taken(v, user, before_usd)
    elif has_perps and _is_below_backstop_margin(v, user) and loss_limit_holds(v):
        take_perps(v, user, t_ms)
        value_account(v, int(v.par[0].backstop_user))
        value_account(v, user)
    elif has_perps:
        liquidate_perps(v, user, t_ms)
    elif has_loan:
        _slice_if_due(v, user, t_ms)


@sub_kernel
def _note_what_was_taken(v: VenueState, user: int, before_usd: float) -> None:
    """Value both sides of a takeover; what lay below zero is the backstop's now."""
    value_account(v, int(v.par[0].backstop_user))
    value_account(v, user)
    taken_usd = min(v.risk[user].equity_usd, 0.0) - min(before_usd, 0.0)
    v.taken_negative_usd[user] += max(taken_usd, 0.0)


@inline_kernel
def _closes_against_winners(v: VenueState) -> bool:
    """Tell whether accounts below zero lose their positions to others, not to the book."""
    return v.par[0].adl_on == 1 and v.par[0].allocate_policy != ALLOCATE_PROFIT_HAIRCUT


@inline_kernel
def _goes_to_auction(v: VenueState, user: int) -> bool:
    if v.par[0].taker_policy != TAKER_AUCTION or user == v.par[0].backstop_user:
        return False
    return has_bidder(v, user)


@inline_kernel
def _goes_to_the_fund(v: VenueState, user: int) -> bool:
    """Tell whether an insurance fund takes an account's perps: below the backstop's threshold."""
    if user == v.par[0].backstop_user or not _is_below_backstop_margin(v, user):
        return False
    if holds_collateral(v, user) and -v.risk[user].net_usd > loan_threshold_usd(v, user, True):
        return False
    return is_fund_able(v, user)


@inline_kernel
def _is_below_backstop_margin(v: VenueState, user: int) -> bool:
    threshold_usd = v.par[0].backstop_mm_frac * v.risk[user].maintenance_usd
    return backing_usd(v, user) < threshold_usd


@inline_kernel
def _slice_if_due(v: VenueState, user: int, t_ms: int) -> None:
    me = v.user[user]
    if t_ms < me.next_slice_ms:
        return
    waits = v.par[0].slice_at_partial_threshold == 1
    if waits and -v.risk[user].net_usd <= loan_threshold_usd(v, user, False):
        return
    pay_from_own(v, user)
    take_slice(v, user, t_ms)
    me.next_slice_ms = t_ms + v.par[0].price_period_ms
    value_account(v, int(v.par[0].backstop_user))
    value_account(v, user)


@sub_kernel
def _deleverage_deepest_first(v: VenueState, n: int, t_ms: int) -> None:
    """Close the accounts that wait for it, the deepest first, by their valuation before."""
    for _ in range(n):
        deepest = -1
        for place in range(n):
            if v.work_index[place, _WAITS] == 1:
                equity_usd = v.risk[v.work_index[place, _WHO]].equity_usd
                if deepest < 0 or equity_usd < v.work_rank[deepest, 1]:
                    deepest = place
                    v.work_rank[deepest, 1] = equity_usd
        if deepest < 0:
            return
        v.work_index[deepest, _WAITS] = 0
        deleverage(v, int(v.work_index[deepest, _WHO]), t_ms)
