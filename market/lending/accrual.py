"""The hour: interest at the utilisation just before.

Each token that may be borrowed has its own rate, and interest in its own units.

Every debt is charged, rounded up; suppliers are credited pro rata, rounded down, with what the
protocol does not retain. What rounding leaves is the reserve's claim.

Source: Hyperliquid docs, portfolio margin, 2026-08-19 (docs/decisions/0012-reserves.md).
"""

from typing import Final

from stressbook.market.compiling.arrays import I64
from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.claims import claims_column
from stressbook.market.lending.lending_rates import hourly_step_e15
from stressbook.market.lending.reserve import (
    USDC,
    borrow_rate,
    supply_rate,
    utilisation,
)
from stressbook.market.numbers.units import CEIL, FLOOR, RATE_ONE, mul_div
from stressbook.market.state.codes import CAUSE_INTEREST, EV_INTEREST
from stressbook.market.state.events import log_event
from stressbook.market.state.records import VenueState

__all__ = ["accrue"]

_E6: Final = 1_000_000


@sub_kernel
def accrue(v: VenueState, t_ms: int) -> None:
    """Book an hour's interest at the utilisation just before.

    Parameters
    ----------
    v : VenueState
        Changed in `debt`, `supply`, `reserve`; interest stands in `flow` as claims on the pool,
        `claims.claims_column`.
    t_ms : int
        Time of the step.
    """
    for token in range(v.token_spec.shape[0]):
        if token == USDC or v.token_spec[token].borrowable == 1:
            _accrue_token(v, token, t_ms)


@inline_kernel
def _accrue_token(v: VenueState, token: int, t_ms: int) -> None:
    spec, reserve = v.token_spec[token], v.reserve[token]
    reserve.utilisation = utilisation(reserve)
    reserve.borrow_rate = borrow_rate(spec, reserve)
    reserve.supply_rate = supply_rate(spec, reserve, int(v.par[0].retained_frac_e6))
    step = hourly_step_e15(reserve.borrow_rate, v.par[0].interest_is_simple == 1)
    reserve.last_step_e15 = step
    if spec.borrowable == 0 or reserve.total_debt <= 0:
        return
    column = claims_column(v, token)
    interest = _charge_debts(v.debt, v.flow, token, column, step)
    reserve.total_debt = int(reserve.total_debt) + interest
    retained = mul_div(interest, int(v.par[0].retained_frac_e6), _E6, FLOOR)
    supplied = int(reserve.total_supply)
    credited = _credit_suppliers(v.supply, v.flow, token, column, interest - retained, supplied)
    left = interest - retained - credited
    reserve.total_supply = supplied + credited
    reserve.retained = int(reserve.retained) + retained
    reserve.claim = int(reserve.claim) + left
    v.flow[v.par[0].row_pool0 + token, column, CAUSE_INTEREST] += retained
    v.flow[v.par[0].row_rounding, column, CAUSE_INTEREST] += left
    if token == USDC:
        log_event(v, t_ms, EV_INTEREST, -1, -1, 0, 0, interest, CAUSE_INTEREST, -1)
    else:
        borrow_e8 = int(v.price[spec.asset].borrow_oracle_e8)
        log_event(v, t_ms, EV_INTEREST, -1, token, interest, borrow_e8, 0, CAUSE_INTEREST, -1)


@sub_kernel
def _charge_debts(debt: I64, flow: I64, token: int, column: int, step: int) -> int:
    """Let every debt grow by a step, rounded up; return the sum of interest."""
    interest = 0
    for row in range(debt.shape[0]):
        owed = int(debt[row, token])
        if owed > 0:
            grown = mul_div(owed, step, RATE_ONE, CEIL)
            debt[row, token] = owed + grown
            flow[row, column, CAUSE_INTEREST] -= grown
            interest += grown
    return interest


@sub_kernel
def _credit_suppliers(
    supply: I64, flow: I64, token: int, column: int, amount: int, supplied: int
) -> int:
    """Share an amount over suppliers, each part rounded down; return the sum of the parts."""
    credited = 0
    for row in range(supply.shape[0]):
        own = int(supply[row, token])
        if own > 0:
            grown = mul_div(amount, own, supplied, FLOOR)
            supply[row, token] = own + grown
            flow[row, column, CAUSE_INTEREST] += grown
            credited += grown
    return credited
