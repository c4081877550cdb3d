"""Account modes: who may switch between them, and who leaves portfolio margin again.

Of the three modes two have one set of rules here: standard and unified accounts are both margined
by cross, and portfolio accounts by the regime that they enrol in
(docs/decisions/0048-account-modes.md).
Source: Hyperliquid docs, portfolio margin, its FAQ and account modes, 2026-05 to 2026-08.
"""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.margin.equity import account_value_usd
from stressbook.market.margin.pledges import owes
from stressbook.market.margin.sums import account_sums
from stressbook.market.margin.token_margin import available_now_usd
from stressbook.market.numbers.units import round_nearest
from stressbook.market.state.codes import (
    ACCEPTED,
    ELIGIBLE,
    EV_LEFT_PORTFOLIO,
    MODE_PORTFOLIO,
    MODE_STANDARD,
    MODE_UNIFIED,
    PERP,
    R_BAD_QUANTITY,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_MARGIN,
    R_NOT_ELIGIBLE,
    R_NOT_SUPPORTED,
    REGIME_CROSS,
    REGIME_PORTFOLIO,
    TOO_LARGE,
    TOO_SMALL,
    VALUE_MAX_LEAVES,
)
from stressbook.market.state.events import log_event
from stressbook.market.state.records import VenueState

__all__ = ["VOLUME_PERIOD_MS", "eligibility", "enrol", "forget_volume", "send_off_too_large"]

VOLUME_PERIOD_MS = 86_400_000  # traded volume is counted by the day


@sub_kernel
def enrol(v: VenueState, user: int, mode: int) -> int:
    """Change the account mode; portfolio margin takes volume or value, and not too much of it.

    Parameters
    ----------
    v : VenueState
        Changed in `user` and `row`.
    user : int
        A user.
    mode : int
        One of the `MODE_` codes.

    Returns
    -------
    int
        `ACCEPTED` or a refusal. Entering portfolio margin takes an account without perps, resting
        orders and waiting triggers; leaving it takes an account without debt whose positions and
        orders pass cross margin.
    """
    account, row = v.user[user], v.row[user]
    if mode < MODE_STANDARD or mode > MODE_PORTFOLIO:
        return R_BAD_QUANTITY
    if account.breached != 0:
        return R_IN_RESOLUTION
    if mode == MODE_PORTFOLIO:
        if v.par[0].n_pockets > 0:
            return R_NOT_SUPPORTED  # its perps stand in pockets
        if row.regime != REGIME_PORTFOLIO and (_is_busy(v, user) or not _is_eligible(v, user)):
            return R_NOT_ELIGIBLE
        row.regime = REGIME_PORTFOLIO
        account.enrolled = 1
    elif row.regime == REGIME_PORTFOLIO:
        if owes(v, user):
            return R_NOT_ELIGIBLE
        row.regime = REGIME_CROSS
        if available_now_usd(v, user) < 0.0:
            row.regime = REGIME_PORTFOLIO
            return R_INSUFFICIENT_MARGIN
        account.enrolled = 0
    account.account_mode = mode
    return ACCEPTED


@sub_kernel
def send_off_too_large(v: VenueState, t_ms: int) -> None:
    """Have enrolled accounts beyond the largest value leave portfolio margin once they are idle.

    Parameters
    ----------
    v : VenueState
        Changed in `user`, `row` and `event`; only where `value_max_later` says so.
    t_ms : int
        Time of the step, the end of an hour: debts have fallen to what is needed.
    """
    if v.par[0].value_max_later_policy != VALUE_MAX_LEAVES:
        return
    for user in range(v.par[0].n_users):
        me = v.user[user]
        if v.row[user].regime != REGIME_PORTFOLIO or me.breached != 0:
            continue
        value_micro = account_value_usd(account_sums(v, user)) * 1e6
        if value_micro < float(v.par[0].account_value_max_micro):
            continue
        if not _is_busy(v, user) and not owes(v, user):
            v.row[user].regime = REGIME_CROSS
            me.enrolled = 0
            me.account_mode = MODE_UNIFIED
            amount = round_nearest(value_micro)
            log_event(v, t_ms, EV_LEFT_PORTFOLIO, user, -1, 0, 0, amount, 0, -1)


@sub_kernel
def forget_volume(v: VenueState) -> None:
    """Let a day of every user's traded volume fall out of the look-back.

    Parameters
    ----------
    v : VenueState
        Changed in `user.volume_14d_micro`: less 1 / days of it, rounded down, so that at a steady
        pace it stays at the volume of just as many days.
    """
    forget_e9 = int(v.par[0].volume_forget_e9)
    for user in range(v.par[0].n_users):
        volume = int(v.user[user].volume_14d_micro)
        whole, part = volume // 1_000_000_000, volume % 1_000_000_000
        v.user[user].volume_14d_micro = volume - (
            whole * forget_e9 + part * forget_e9 // 1_000_000_000
        )


@inline_kernel
def eligibility(
    volume_micro: int,
    value_micro: float,
    least_volume_micro: int,
    least_value_micro: int,
    most_value_micro: int,
) -> int:
    """Tell whether volume and account value admit to portfolio margin.

    Parameters
    ----------
    volume_micro : int
        Weighted volume of the look-back, micro-USDC.
    value_micro : float
        Account value, micro-USDC, `requirements.account_value_usd`.
    least_volume_micro, least_value_micro : int
        One of them must be exceeded.
    most_value_micro : int
        What the value must stay below.

    Returns
    -------
    int
        `ELIGIBLE`, `TOO_LARGE` or `TOO_SMALL`.

    Examples
    --------
    >>> eligibility(0, 2e10, 5_000_000_000_000, 10_000_000_000, 25_000_000_000_000)
    0
    """
    if value_micro >= float(most_value_micro):
        return TOO_LARGE
    if volume_micro > least_volume_micro or value_micro > float(least_value_micro):
        return ELIGIBLE
    return TOO_SMALL


@inline_kernel
def _is_eligible(v: VenueState, user: int) -> bool:
    par = v.par[0]
    value_micro = account_value_usd(account_sums(v, user)) * 1e6
    return (
        eligibility(
            int(v.user[user].volume_14d_micro),
            value_micro,
            int(par.eligible_volume_micro),
            int(par.eligible_value_micro),
            int(par.account_value_max_micro),
        )
        == ELIGIBLE
    )


@inline_kernel
def _is_busy(v: VenueState, user: int) -> bool:
    """Tell whether an account has perps, resting orders or waiting triggers."""
    held = int(v.user[user].n_orders) + int(v.n_triggers[user])
    for inst in range(v.inst.shape[0]):
        if v.inst[inst].kind == PERP:
            held |= int(v.perp[v.row_of[user, inst], inst])
    return held != 0
