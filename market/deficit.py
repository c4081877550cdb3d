"""Deficits: what an account owes when there is nothing left to take or to close.

They are booked at once, so that the account's next deposit does not pay them: debt down the
reserve's waterfall; cash below zero to an insurance fund, to winners (profit haircuts), to others
by the rule of sharing - each if rules say so - and what is left to the treasury.
Source: Hyperliquid docs, liquidations, 2026-01; portfolio margin, 2026-08-19.
"""

from stressbook.market.backstop import has_sold_out
from stressbook.market.claims import sell_claim
from stressbook.market.codes import (
    ALLOCATE_PROFIT_HAIRCUT,
    BORNE_BY_RETAINED,
    BORNE_BY_SUPPLIERS,
    CAUSE_DEFICIT,
    EV_BREACH_ENDED,
    EV_DEFICIT,
    EV_WRITTEN_OFF,
    REGIME_PORTFOLIO,
)
from stressbook.market.events import log_event
from stressbook.market.haircuts import cut_profits
from stressbook.market.insurance_fund import pay_from_fund
from stressbook.market.kernel import inline_kernel, sub_kernel
from stressbook.market.ledger import move_cash
from stressbook.market.reserve import repay, set_off, write_off
from stressbook.market.socialising import socialise
from stressbook.market.state import VenueState
from stressbook.market.valuation import holds_collateral, holds_perps, value_account

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
    for user in range(v.par[0].n_users):
        below = v.cash[user] < v.debt[user, 0]
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
    if (below or v.user[user].breached == 1) and has_sold_out(v):
        _settle(v, user, t_ms)


@sub_kernel
def pay_from_own(v: VenueState, user: int) -> None:
    """Have a flat account pay its debt out of what it has lent, then out of its cash.

    Parameters
    ----------
    v : VenueState
        Changed in the ledger and `reserve`.
    user : int
        Without perps: its cash is its own.
    """
    set_off(v, user, int(v.debt[user, 0]))
    repay(v, user, 0, int(v.cash[user]))


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
    log_event(v, t_ms, EV_BREACH_ENDED, user, -1, 0, 0, 0, 0, -1)


@sub_kernel
def _is_flat(v: VenueState, user: int) -> bool:
    """Tell whether nothing is left to close or to take."""
    if user == v.par[0].backstop_user:
        return False
    return not holds_perps(v, user) and not holds_collateral(v, user)


@sub_kernel
def _settle(v: VenueState, user: int, t_ms: int) -> None:
    pay_from_own(v, user)
    _write_off(v, user, t_ms)
    if v.row[user].regime == REGIME_PORTFOLIO or user == v.par[0].backstop_user:
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
    owed = int(v.debt[user, 0])
    if owed <= 0:
        return
    retained = int(v.reserve[0].retained)
    borne = write_off(v, user, 0, owed)
    retained -= int(v.reserve[0].retained)
    if retained > 0:
        log_event(v, t_ms, EV_WRITTEN_OFF, user, -1, 0, 0, retained, BORNE_BY_RETAINED, -1)
    if borne > 0:
        log_event(v, t_ms, EV_WRITTEN_OFF, user, -1, 0, 0, borne, BORNE_BY_SUPPLIERS, -1)
