"""Deficits that are shared: by those who hold positions, or by one factor on everybody's equity.

Whoever pays, pays at once in cash. Source of the factor: Paradex docs, socialized losses, at
9b82a75, its written formula; the worked example there divides by the total alone, and would take
more than is owed.
"""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.margin.valuation import holds_perps, value_account
from stressbook.market.numbers.units import round_down
from stressbook.market.state.codes import (
    CAUSE_DEFICIT,
    EV_SOCIALISED,
    FAULT_POLICY,
    SOCIALISE_FACTOR,
    SOCIALISE_NONE,
    SOCIALISE_POSITIONS,
)
from stressbook.market.state.events import log_event
from stressbook.market.state.ledger import move_cash, raise_fault
from stressbook.market.state.records import VenueState

__all__ = ["socialise", "withdrawal_factor"]


@inline_kernel
def withdrawal_factor(bankruptcy_usd: float, total_usd: float) -> float:
    """Return the share of every balance that a bankruptcy takes.

    Parameters
    ----------
    bankruptcy_usd : float
        What is owed and not there, at least 0.
    total_usd : float
        What is there for all balances, after that loss.

    Returns
    -------
    float
        0 to 1.

    Examples
    --------
    >>> withdrawal_factor(1_000.0, 4_000.0)
    0.2
    """
    claims_usd = total_usd + bankruptcy_usd
    if claims_usd <= 0.0:
        return 0.0
    return min(bankruptcy_usd / claims_usd, 1.0)


@sub_kernel
def socialise(v: VenueState, user: int, deficit: int, t_ms: int) -> int:
    """Share a deficit by the venue's rule.

    Parameters
    ----------
    v : VenueState
        Changed in `cash`, `flow`, `risk` and `event`.
    user : int
        Whose deficit; flat.
    deficit : int
        Micro-USDC, above 0.
    t_ms : int
        Time of the step.

    Returns
    -------
    int
        What others have paid, with what rounding leaves, which is its row's; the rest, of a lack of
        payers, is the treasury's.
    """
    way = int(v.par[0].socialise_policy)
    if way == SOCIALISE_NONE:
        return 0
    # Orders of the step and withdrawals have come between: shares are of what is there now.
    for other in range(v.par[0].n_users):
        value_account(v, other)
    if way == SOCIALISE_POSITIONS:
        paid = _by_positions(v, user, deficit)
    elif way == SOCIALISE_FACTOR:
        paid = _by_factor(v, user, deficit)
    else:
        raise_fault(v, FAULT_POLICY)
        return 0
    if paid > 0:
        log_event(v, t_ms, EV_SOCIALISED, user, -1, 0, 0, paid, CAUSE_DEFICIT, -1)
    left = deficit - paid
    # Each share is rounded down by less than a unit.
    if 0 < left <= v.par[0].n_users and paid > 0:
        move_cash(v, int(v.par[0].row_rounding), user, left, CAUSE_DEFICIT)
        return deficit
    return paid


@inline_kernel
def _by_positions(v: VenueState, user: int, deficit: int) -> int:
    """Share over accounts with positions, by equity."""
    total_usd = 0.0
    for other in range(v.par[0].n_users):
        if v.risk[other].equity_usd > 0.0 and holds_perps(v, other):
            total_usd += v.risk[other].equity_usd
    paid = 0
    for other in range(v.par[0].n_users):
        equity_usd = v.risk[other].equity_usd
        if equity_usd > 0.0 and holds_perps(v, other):
            share_micro = round_down(min(float(deficit) / total_usd, 1e6) * equity_usd)
            move_cash(v, other, user, share_micro, CAUSE_DEFICIT)
            paid += share_micro
            value_account(v, other)  # the next deficit of the step is shared by what is left
    return paid


@inline_kernel
def _by_factor(v: VenueState, user: int, deficit: int) -> int:
    """Cut every equity above zero by one factor, whether or not it holds positions."""
    claims_usd = 0.0
    for other in range(v.par[0].n_users):
        if other != user and v.risk[other].equity_usd > 0.0:
            claims_usd += v.risk[other].equity_usd
    deficit_usd = float(deficit) / 1e6
    factor = withdrawal_factor(deficit_usd, claims_usd - deficit_usd)
    paid = 0
    for other in range(v.par[0].n_users):
        if other != user and v.risk[other].equity_usd > 0.0:
            share_micro = round_down(factor * v.risk[other].equity_usd * 1e6)
            share_micro = min(share_micro, deficit - paid)
            move_cash(v, other, user, share_micro, CAUSE_DEFICIT)
            paid += share_micro
            value_account(v, other)
    return paid
