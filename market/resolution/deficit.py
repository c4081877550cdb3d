"""Deficits: what an account owes when there is nothing left to take or to close.

They are booked at once, so that the account's next deposit does not pay them: debt down the
reserve's waterfall; cash below zero to an insurance fund, to winners (profit haircuts), to others
by the rule of sharing - each if rules say so - and what is left to the treasury.
Source: Hyperliquid docs, liquidations, 2026-01; portfolio margin, 2026-08-19.
"""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.claims import sell_claim
from stressbook.market.lending.reserve import repay, set_off, write_off
from stressbook.market.lending.token_debts import (
    backs_token_debt,
    lends_tokens,
    owes_tokens,
    pay_token_debts,
    worth_micro,
)
from stressbook.market.margin.pledges import counts_lent_cash
from stressbook.market.margin.valuation import holds_collateral, holds_perps, value_account
from stressbook.market.resolution.backstop import can_buy_back, has_sold_out
from stressbook.market.resolution.haircuts import cut_profits
from stressbook.market.resolution.insurance_fund import pay_from_fund
from stressbook.market.resolution.socialising import socialise
from stressbook.market.state.codes import (
    ALLOCATE_PROFIT_HAIRCUT,
    BORNE_BY_RETAINED,
    BORNE_BY_SUPPLIERS,
    CAUSE_DEFICIT,
    EV_BREACH_ENDED,
    EV_DEFICIT,
    EV_WRITTEN_OFF,
)
from stressbook.market.state.events import log_event
from stressbook.market.state.ledger import move_cash
from stressbook.market.state.records import VenueState

__all__ = [
    "end_breach",
    "pay_from_own",
    "settle_backstop",
    "settle_flat_rows",
]


@inline_kernel
def settle_flat_rows(v: VenueState, t_ms: int) -> None:
    """Book the deficit of every flat account but the backstop, and end its breach.

    Parameters
    ----------
    v : VenueState
        Changed in the ledger, `reserve`, `risk`, `user` and `event`.
    t_ms : int
        Time of the step.
    """
    lends = lends_tokens(v)
    for user in range(v.par[0].n_users):
        below = v.cash[user] < v.debt[user, 0] or (lends and owes_tokens(v, user))
        if (below or v.user[user].breached == 1) and _is_flat(v, user):
            _settle(v, user, t_ms)


@sub_kernel
def settle_backstop(v: VenueState, t_ms: int) -> None:
    """Book the deficit of the backstop once it has sold all, and its capital is spent.

    Parameters
    ----------
    v : VenueState
        Changed in the ledger, `reserve`, `risk`, `user` and `event`.
    t_ms : int
        Time of the step, after `repay_assumed_debt`.
    """
    user = int(v.par[0].backstop_user)
    below = v.cash[user] < v.debt[user, 0]
    if owes_tokens(v, user):
        if can_buy_back(v):
            return
        below = True
    if (below or v.user[user].breached == 1) and has_sold_out(v):
        _settle(v, user, t_ms)


@sub_kernel
def pay_from_own(v: VenueState, user: int) -> None:
    """Have a flat account pay each debt out of what it has lent, then out of what it holds.

    Parameters
    ----------
    v : VenueState
        Changed in the ledger and `reserve`.
    user : int
        Without perps: its cash is its own.
    """
    set_off(v, user, 0, int(v.debt[user, 0]))
    repay(v, user, 0, int(v.cash[user]))
    pay_token_debts(v, user)


@sub_kernel
def end_breach(v: VenueState, user: int, t_ms: int) -> None:
    """Note that an account is no longer in breach.

    Parameters
    ----------
    v : VenueState
        Changed in `user` and `event`.
    user : int
        A user.
    t_ms : int
        Time of the step.
    """
    me = v.user[user]
    me.breached = 0
    me.slice_micro = 0
    me.next_slice_ms = 0
    me.auction_from_ms = 0
    log_event(v, t_ms, EV_BREACH_ENDED, user, -1, 0, 0, 0, 0, -1)


@sub_kernel
def _is_flat(v: VenueState, user: int) -> bool:
    """Tell whether nothing is left to close or to take."""
    if user == v.par[0].backstop_user:
        return False
    # What it owes in tokens can be taken for cash as well.
    has_loan = holds_collateral(v, user) or backs_token_debt(v, user)
    return not holds_perps(v, user) and not has_loan


@sub_kernel
def _settle(v: VenueState, user: int, t_ms: int) -> None:
    counts_lent = user == v.par[0].backstop_user or counts_lent_cash(v, user)
    pay_from_own(v, user)
    _write_off(v, user, t_ms)
    if counts_lent:
        sell_claim(v, user, int(v.par[0].row_treasury))
    deficit = -int(v.cash[user])
    if deficit > 0:
        left = deficit - pay_from_fund(v, user, deficit, CAUSE_DEFICIT, t_ms)
        cuts_profits = v.par[0].allocate_policy == ALLOCATE_PROFIT_HAIRCUT
        if cuts_profits and v.par[0].adl_on == 1 and left > 0:
            left -= cut_profits(v, user, left, t_ms)
        if left > 0:
            left -= socialise(v, user, left, t_ms)
        move_cash(v, int(v.par[0].row_treasury), user, left, CAUSE_DEFICIT)
        log_event(v, t_ms, EV_DEFICIT, user, -1, 0, 0, deficit, CAUSE_DEFICIT, -1)
    value_account(v, user)
    if v.user[user].breached == 1:
        end_breach(v, user, t_ms)


@sub_kernel
def _write_off(v: VenueState, user: int, t_ms: int) -> None:
    for token in range(v.token_spec.shape[0]):
        owed = int(v.debt[user, token])
        if owed > 0:
            retained = int(v.reserve[token].retained)
            borne = write_off(v, user, token, owed)
            retained -= int(v.reserve[token].retained)
            _log_write_off(v, user, token, retained, BORNE_BY_RETAINED, t_ms)
            _log_write_off(v, user, token, borne, BORNE_BY_SUPPLIERS, t_ms)


@inline_kernel
def _log_write_off(
    v: VenueState, user: int, token: int, units: int, bearer: int, t_ms: int
) -> None:
    if units <= 0:
        return
    if token == 0:
        log_event(v, t_ms, EV_WRITTEN_OFF, user, -1, 0, 0, units, bearer, -1)
    else:
        borrow_e8 = int(v.price[v.token_spec[token].asset].borrow_oracle_e8)
        value = worth_micro(v, token, units)
        log_event(v, t_ms, EV_WRITTEN_OFF, user, token, units, borrow_e8, value, bearer, -1)
