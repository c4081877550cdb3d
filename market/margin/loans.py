"""Loans of accounts: the debt that a commitment needs, what of it falls away, spare cash lent.

Source: Hyperliquid docs, portfolio margin, 2026-08-19 (docs/decisions/0012-reserves.md).
"""

from stressbook.market.compiling.arrays import Record
from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.borrowing import (
    borrowable_room,
    draw,
    give_back,
    lendable,
    move_units,
)
from stressbook.market.lending.reserve import USDC, is_token, refresh_collateral, repay, set_off
from stressbook.market.lending.token_debts import pay_token_debts
from stressbook.market.margin.available import spare_usd
from stressbook.market.margin.commitment import borrowed_commitment_usd
from stressbook.market.margin.equity import AccountSums, is_judged_as_portfolio, net_usd
from stressbook.market.margin.sums import account_sums
from stressbook.market.margin.token_margin import refusal_of_leaving
from stressbook.market.numbers.units import NOT_REPRESENTABLE, round_down, round_up
from stressbook.market.state.codes import (
    ACCEPTED,
    CAUSE_SUPPLY,
    R_BAD_QUANTITY,
    R_BAD_TOKEN,
    R_CAP_REACHED,
    R_INSUFFICIENT_BALANCE,
    REGIME_PORTFOLIO,
)
from stressbook.market.state.records import VenueState

__all__ = ["debt_target_micro", "draw_needed_debt", "repay_unneeded", "supply"]


@inline_kernel
def debt_target_micro(par: Record, s: AccountSums) -> int:
    """Return the debt that a portfolio account's commitment needs: max(0, commitment - net).

    Parameters
    ----------
    par : record of VENUE_PARAMS
        Rules.
    s : AccountSums
        Of the account.

    Returns
    -------
    int
        Micro-USDC, rounded up. Net does not change when debt is drawn or repaid, so neither does
        the target.
    """
    commitment = borrowed_commitment_usd(s, par.notional_floor_frac, par.order_margin_buffer_frac)
    return round_up(max(0.0, commitment - net_usd(s)) * 1e6)


@sub_kernel
def draw_needed_debt(v: VenueState, row: int) -> int:
    """Get a portfolio row what its commitment needs: lent cash first, then debt, as far as it goes.

    Parameters
    ----------
    v : VenueState
        Changed in `cash`, `debt`, `supply`, `flow`, `reserve`.
    row : int
        Borrower.

    Returns
    -------
    int
        What was drawn, micro-USDC; asking twice draws nothing more.
    """
    s = account_sums(v, row)
    debt = int(v.debt[row, USDC])
    missing = debt_target_micro(v.par[0], s) - debt
    if v.supply[row, USDC] > 0 and is_judged_as_portfolio(s):
        _give_back_needed(v, row, s)
    if missing <= 0:
        return 0
    capacity = s.collateral_capacity_usd
    drawn = min(missing, borrowable_room(v.token_spec[USDC], v.reserve[USDC], debt, capacity))
    if drawn > 0:
        draw(v, row, drawn)
    return drawn


@inline_kernel
def _give_back_needed(v: VenueState, row: int, s: AccountSums) -> None:
    par = v.par[0]
    commitment = borrowed_commitment_usd(s, par.notional_floor_frac, par.order_margin_buffer_frac)
    short_usd = max(0.0, commitment - (net_usd(s) - s.supplied_usd))
    short = round_up(short_usd * 1e6) - int(v.debt[row, USDC])
    amount = min(short, int(v.supply[row, USDC]), lendable(v.reserve[USDC]))
    if amount > 0:
        give_back(v, row, amount)


@sub_kernel
def repay_unneeded(v: VenueState) -> None:
    """Let the debts of portfolio rows fall to what they need, as cash and tokens allow.

    Parameters
    ----------
    v : VenueState
        Changed in `cash`, `token`, `debt`, `supply`, `flow`, `reserve`.
    """
    for row in range(v.par[0].n_users):
        if v.row[row].regime == REGIME_PORTFOLIO:
            pay_token_debts(v, row)
            if v.debt[row, USDC] > 0:
                _repay_to_target(v, row)
    refresh_collateral(v)


@inline_kernel
def _repay_to_target(v: VenueState, row: int) -> None:
    target = debt_target_micro(v.par[0], account_sums(v, row))
    if target != NOT_REPRESENTABLE:
        # What the row has lent itself first: else it would go on lending what it spent.
        set_off(v, row, USDC, int(v.debt[row, USDC]) - target)
        repay(v, row, USDC, int(v.debt[row, USDC]) - target)


@sub_kernel
def supply(v: VenueState, row: int, token: int, amount: int) -> int:
    """Lend cash or tokens that no margin needs to their reserve.

    Parameters
    ----------
    v : VenueState
        Changed in `cash` or `token`, `supply`, `flow`, `reserve`.
    row, token : int
        Lender, and what it lends: USDC, or a token that may be borrowed.
    amount : int
        Units.

    Returns
    -------
    int
        `ACCEPTED` or a refusal.
    """
    if token != USDC and (not is_token(v, token) or v.token_spec[token].borrowable == 0):
        return R_BAD_TOKEN
    if amount <= 0:
        return R_BAD_QUANTITY
    if token != USDC:
        refusal = refusal_of_leaving(v, row, token, amount)
        if refusal != ACCEPTED:
            return refusal
    elif amount > round_down(spare_usd(v.par[0], account_sums(v, row)) * 1e6):
        return R_INSUFFICIENT_BALANCE
    spec, reserve = v.token_spec[token], v.reserve[token]
    if amount > spec.user_supply_cap - v.supply[row, token]:
        return R_CAP_REACHED
    if amount > spec.platform_supply_cap - reserve.total_supply:
        return R_CAP_REACHED
    move_units(v, row, int(v.par[0].row_pool0) + token, token, amount, CAUSE_SUPPLY)
    v.supply[row, token] = int(v.supply[row, token]) + amount
    reserve.total_supply = int(reserve.total_supply) + amount
    return ACCEPTED
