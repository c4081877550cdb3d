"""Takeovers by the backstop: of perps with their margin, of a loan with its collateral, of a slice.

What an account owes is `max(0, -net)`: debt less its own cash and lent cash, and perps at the mark.
For a pure loan that is the debt; idle borrowed cash changes nothing. Tokens owed beyond those held
count at the borrow oracle.
Source: Hyperliquid docs, liquidations, 2026-01; portfolio margin, 2026-08-19.
"""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.claims import move_claim, move_debt
from stressbook.market.lending.slices import (
    collateral_usd,
    collateral_value_usd,
    take_collateral,
    take_token_debts,
)
from stressbook.market.lending.token_debts import move_token_debt, token_debt_micro
from stressbook.market.margin.valuation import perp_value_micro
from stressbook.market.numbers.units import NEAREST, mul_div, round_up
from stressbook.market.state.codes import (
    CAUSE_TAKEOVER,
    EV_TAKEOVER_ALL,
    EV_TAKEOVER_PERPS,
)
from stressbook.market.state.events import log_event
from stressbook.market.state.ledger import book_perp_at, move_cash, move_token
from stressbook.market.state.records import VenueState

__all__ = [
    "loan_share",
    "loan_threshold_usd",
    "take_everything",
    "take_perp",
    "take_perps",
    "take_slice",
]


@inline_kernel
def loan_share(ltv: float, full: bool) -> float:
    """Return the share of its collateral's value that may be owed before that is taken.

    Parameters
    ----------
    ltv : float
        Loan-to-value.
    full : bool
        Of taking everything, else of taking a part.

    Returns
    -------
    float
        (2 + LTV) / 3, or (1 + LTV) / 2.

    Examples
    --------
    >>> loan_share(0.5, False), round(loan_share(0.5, True), 6)
    (0.75, 0.833333)
    """
    return (2.0 + ltv) / 3.0 if full else (1.0 + ltv) / 2.0


@sub_kernel
def loan_threshold_usd(v: VenueState, row: int, full: bool) -> float:
    """Return what an account may owe before its collateral is taken.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        A row.
    full : bool
        Of taking everything, else of taking a part (a switch has slices wait for that).

    Returns
    -------
    float
        USD: sum over collaterals of value at the borrow oracle x (2 + LTV) / 3, or (1 + LTV) / 2.
    """
    total = 0.0
    for token in range(1, v.token_spec.shape[0]):
        ltv = v.token_spec[token].ltv
        if ltv > 0.0 and v.token[row, token] > 0:
            total += collateral_value_usd(v, row, token) * loan_share(ltv, full)
    return total


@sub_kernel
def take_perp(v: VenueState, user: int, inst: int, lots: int, t_ms: int) -> None:
    """Move a perp, or a part of it, to the backstop at the mark.

    Parameters
    ----------
    v : VenueState
        Changed in the ledger, `backstop` and `event`.
    user, inst : int
        Whose, and what.
    lots : int
        Signed as the position.
    t_ms : int
        Time of the step.
    """
    backstop = int(v.par[0].row_backstop)
    mark_e8 = int(v.price[v.inst[inst].asset].mark_e8)
    paid = book_perp_at(v, user, backstop, inst, lots, mark_e8, CAUSE_TAKEOVER)
    v.backstop[0].perp_cash_micro -= paid
    log_event(v, t_ms, EV_TAKEOVER_PERPS, user, inst, lots, mark_e8, paid, CAUSE_TAKEOVER, backstop)


@sub_kernel
def take_perps(v: VenueState, user: int, t_ms: int) -> None:
    """Move every perp at the mark, and the margin behind them, to the backstop.

    Parameters
    ----------
    v : VenueState
        Changed in the ledger, `backstop` and `event`.
    user : int
        Whose. Its margin is what net USDC it has, under portfolio margin lent cash as well, last;
        borrowed cash stays with the debt, and collateral with the loan.
    t_ms : int
        Time of the step.
    """
    backstop = int(v.par[0].row_backstop)
    for inst in range(v.inst.shape[0]):
        lots = int(v.perp[user, inst])
        if lots != 0:
            take_perp(v, user, inst, lots, t_ms)
    # What stands for borrowed tokens stays with that debt.
    margin = int(v.cash[user]) - int(v.debt[user, 0]) - token_debt_micro(v, user)
    if v.risk[user].judged_as_portfolio == 1:
        margin += int(v.supply[user, 0])
    if margin > 0:
        own = min(margin, max(int(v.cash[user]), 0))
        move_cash(v, user, backstop, own, CAUSE_TAKEOVER)
        move_claim(v, user, backstop, margin - own, CAUSE_TAKEOVER)
        v.backstop[0].perp_cash_micro += margin


@sub_kernel
def take_everything(v: VenueState, user: int, perps_too: bool, t_ms: int) -> None:
    """Move collateral, debt and all margin to the backstop.

    Parameters
    ----------
    v : VenueState
        Changed in the ledger, `backstop` and `event`.
    user : int
        Whose.
    perps_too : bool
        Whether perps go as well; else they stay, with nothing behind them: equity 0 at the mark.
    t_ms : int
        Time of the step.
    """
    backstop = int(v.par[0].row_backstop)
    in_tokens = token_debt_micro(v, user)
    if perps_too:
        take_perps(v, user, t_ms)
    for token in range(1, v.token_spec.shape[0]):
        if v.token_spec[token].ltv > 0.0 and v.token[user, token] > 0:
            move_token(v, user, backstop, token, int(v.token[user, token]), CAUSE_TAKEOVER)
    for token in range(1, v.token_spec.shape[0]):
        units = int(v.debt[user, token])
        move_token_debt(v, user, backstop, token, units, CAUSE_TAKEOVER, t_ms)
    debt = int(v.debt[user, 0])
    margin = int(v.cash[user]) + perp_value_micro(v, user)
    move_debt(v, user, backstop, debt, CAUSE_TAKEOVER)
    v.backstop[0].assumed_micro += debt
    move_claim(v, user, backstop, int(v.supply[user, 0]), CAUSE_TAKEOVER)
    move_cash(v, user, backstop, margin, CAUSE_TAKEOVER)
    owed = debt + max(-margin, 0) + in_tokens
    log_event(v, t_ms, EV_TAKEOVER_ALL, user, -1, 0, 0, owed, CAUSE_TAKEOVER, backstop)


@sub_kernel
def take_slice(v: VenueState, user: int, t_ms: int) -> None:
    """Take one slice of what a flat account owes, for collateral at a discount.

    Parameters
    ----------
    v : VenueState
        Changed in the ledger, `user`, `backstop` and `event`.
    user : int
        Flat, with collateral; its own cash has paid what it could, so that it owes its debt and
        what its cash lies below zero (a loan that caps or an empty pool refused).
    t_ms : int
        Time of the step.

    Notes
    -----
    A slice is a fixed share of what is owed at the first one (a switch: of what is left), split
    over collaterals by value. Debts of tokens go first, for cash as far as there is any.
    """
    me = v.user[user]
    owed_usdc = int(v.debt[user, 0]) + max(-int(v.cash[user]), 0)
    owed = owed_usdc + token_debt_micro(v, user)
    if owed == 0:
        return
    if me.slice_micro == 0 or v.par[0].slice_of_remaining == 1:
        me.slice_micro = max(mul_div(owed, int(v.par[0].slice_frac_e6), 1_000_000, NEAREST), 1)
    slice_micro = min(int(me.slice_micro), owed)
    slice_micro -= take_token_debts(v, user, slice_micro, t_ms)
    owed = owed_usdc
    slice_micro = min(slice_micro, owed)
    if slice_micro <= 0:
        return
    total_usd = collateral_usd(v, user)
    for token in range(1, v.token_spec.shape[0]):
        if v.token_spec[token].ltv > 0.0 and v.token[user, token] > 0:
            share = collateral_value_usd(v, user, token) / total_usd
            part = min(round_up(float(slice_micro) * share), owed)
            owed -= _take_part(v, user, token, part, t_ms)


@sub_kernel
def _take_part(v: VenueState, user: int, token: int, part_micro: int, t_ms: int) -> int:
    """Take one token for a part; return what of it was taken: less if there is not enough."""
    backstop = int(v.par[0].row_backstop)
    part_micro = take_collateral(v, user, token, part_micro, t_ms)
    from_debt = min(part_micro, int(v.debt[user, 0]))
    move_debt(v, user, backstop, from_debt, CAUSE_TAKEOVER)
    v.backstop[0].assumed_micro += from_debt
    move_cash(v, backstop, user, part_micro - from_debt, CAUSE_TAKEOVER)
    return part_micro
