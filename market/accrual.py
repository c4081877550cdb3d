"""The hour: interest at the utilisation just before, then debts fall to what is needed.

Every debt is charged, rounded up; suppliers are credited pro rata, rounded down, with what the
protocol does not retain. What rounding leaves is the reserve's claim.

Source: Hyperliquid docs, portfolio margin, 2026-08-19 (docs/decisions/0012-reserves.md).
"""

from typing import Final

from stressbook.market.codes import CAUSE_INTEREST, EV_INTEREST, REGIME_PORTFOLIO
from stressbook.market.events import log_event
from stressbook.market.kernel import sub_kernel
from stressbook.market.lending_rates import hourly_step_e15
from stressbook.market.margin import account_sums
from stressbook.market.reserve import (
    CLAIMS,
    USDC,
    borrow_rate,
    debt_target_micro,
    refresh_collateral,
    repay,
    set_off,
    supply_rate,
    utilisation,
)
from stressbook.market.state import I64, VenueState
from stressbook.market.units import CEIL, FLOOR, NOT_REPRESENTABLE, RATE_ONE, mul_div

__all__ = ["accrue"]

_E6: Final = 1_000_000


@sub_kernel
def accrue(v: VenueState, t_ms: int) -> None:
    """Book an hour's interest at the utilisation just before, then let debts fall to their target.

    Parameters
    ----------
    v : VenueState
        Changed in `debt`, `supply`, `reserve`; by repayment in `cash`; interest stands in `flow`
        under the column of token 0, as claims on the pool.
    t_ms : int
        Time of the step.
    """
    token, reserve = v.token_spec[USDC], v.reserve[USDC]
    reserve.utilisation = utilisation(reserve)
    reserve.borrow_rate = borrow_rate(token, reserve)
    reserve.supply_rate = supply_rate(token, reserve, int(v.par[0].retained_frac_e6))
    step = hourly_step_e15(reserve.borrow_rate, v.par[0].interest_is_simple == 1)
    reserve.last_step_e15 = step
    if token.borrowable == 1 and reserve.total_debt > 0:
        interest = _charge_debts(v.debt, v.flow, step)
        reserve.total_debt = int(reserve.total_debt) + interest
        retained = mul_div(interest, int(v.par[0].retained_frac_e6), _E6, FLOOR)
        supplied = int(reserve.total_supply)
        credited = _credit_suppliers(v.supply, v.flow, interest - retained, supplied)
        left = interest - retained - credited
        reserve.total_supply = supplied + credited
        reserve.retained = int(reserve.retained) + retained
        reserve.claim = int(reserve.claim) + left
        v.flow[v.par[0].row_pool0, CLAIMS, CAUSE_INTEREST] += retained
        v.flow[v.par[0].row_rounding, CLAIMS, CAUSE_INTEREST] += left
        log_event(v, t_ms, EV_INTEREST, -1, -1, 0, 0, interest, CAUSE_INTEREST, -1)
    for row in range(v.par[0].n_users):
        if v.row[row].regime == REGIME_PORTFOLIO and v.debt[row, USDC] > 0:
            target = debt_target_micro(v.par[0], account_sums(v, row))
            if target != NOT_REPRESENTABLE:
                # What the row has lent itself first: else it would go on lending what it spent.
                set_off(v, row, int(v.debt[row, USDC]) - target)
                repay(v, row, USDC, int(v.debt[row, USDC]) - target)
    refresh_collateral(v)


@sub_kernel
def _charge_debts(debt: I64, flow: I64, step: int) -> int:
    """Let every debt grow by a step, rounded up; return the sum of interest."""
    interest = 0
    for row in range(debt.shape[0]):
        owed = int(debt[row, USDC])
        if owed > 0:
            grown = mul_div(owed, step, RATE_ONE, CEIL)
            debt[row, USDC] = owed + grown
            flow[row, CLAIMS, CAUSE_INTEREST] -= grown
            interest += grown
    return interest


@sub_kernel
def _credit_suppliers(supply: I64, flow: I64, amount: int, supplied: int) -> int:
    """Share an amount over suppliers, each part rounded down; return the sum of the parts."""
    credited = 0
    for row in range(supply.shape[0]):
        own = int(supply[row, USDC])
        if own > 0:
            grown = mul_div(amount, own, supplied, FLOOR)
            supply[row, USDC] = own + grown
            flow[row, CLAIMS, CAUSE_INTEREST] += grown
            credited += grown
    return credited
