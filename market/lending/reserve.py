"""Reserves: lenders' pool, drawn debts, and who bears a loss.

Each token that may be borrowed has one, in its own units. At every moment
`pool + debts = supplies + retained + claim` to the last unit, where `retained` is
the protocol's share of interest and `claim` what rounding has left. Debts are never recomputed:
they rise by draws and interest, and fall by repayment and write-off.

Source: Hyperliquid docs, portfolio margin, 2026-08-19 (docs/decisions/0012-reserves.md).
"""

from typing import Final

from stressbook.market.compiling.arrays import I64, Record
from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.borrowing import (
    give_back_units,
    lendable,
    move_units,
)
from stressbook.market.lending.claims import claims_column
from stressbook.market.lending.lending_rates import (
    borrow_rate_at,
    supply_rate_at,
    utilisation_of,
)
from stressbook.market.numbers.units import (
    FLOOR,
    mul_div,
)
from stressbook.market.state.codes import (
    ACCEPTED,
    CAUSE_DEFICIT,
    CAUSE_REPAY,
    R_BAD_QUANTITY,
    R_BAD_TOKEN,
    R_INSUFFICIENT_BALANCE,
    R_UTILISATION_FULL,
    REGIME_PORTFOLIO,
)
from stressbook.market.state.records import VenueState

__all__ = [
    "CLAIMS",
    "USDC",
    "borrow_rate",
    "is_token",
    "redeem",
    "refresh_collateral",
    "repay",
    "set_off",
    "supply_rate",
    "utilisation",
    "write_off",
]

USDC: Final = 0
CLAIMS: Final = 1  # column of `flow` for claims on the pool: supply less debt of USDC


@inline_kernel
def utilisation(reserve: Record) -> float:
    """Return the share of a reserve's supply that is lent.

    Parameters
    ----------
    reserve : record of RESERVE
        Read only.

    Returns
    -------
    float
        From 0 to 1; 0 for collateral, which is not lent.
    """
    return utilisation_of(float(reserve.total_debt), float(reserve.total_supply))


@inline_kernel
def borrow_rate(token: Record, reserve: Record) -> float:
    """Return the yearly borrow rate of a reserve at its utilisation.

    Parameters
    ----------
    token : record of TOKEN
        Its curve.
    reserve : record of RESERVE
        Read only.

    Returns
    -------
    float
        APY.
    """
    return borrow_rate_at(
        utilisation(reserve),
        token.rate_base,
        token.rate_low_slope,
        token.rate_slope,
        token.kink_utilisation,
    )


@inline_kernel
def supply_rate(token: Record, reserve: Record, retained_frac_e6: int) -> float:
    """Return the yearly rate of a reserve's suppliers.

    Parameters
    ----------
    token : record of TOKEN
        Its curve.
    reserve : record of RESERVE
        Read only.
    retained_frac_e6 : int
        Share of interest that the protocol keeps, 1e-6.

    Returns
    -------
    float
        APY.
    """
    retained_frac = float(retained_frac_e6) / 1e6
    return supply_rate_at(borrow_rate(token, reserve), utilisation(reserve), retained_frac)


@inline_kernel
def repay(v: VenueState, row: int, token: int, amount: int) -> int:
    """Book a repayment; raw cash may go below zero, as it does behind a perp bought.

    Parameters
    ----------
    v : VenueState
        Changed in `cash` or `token`, `debt`, `flow`, `reserve`.
    row, token : int
        Borrower, and what it owes.
    amount : int
        Units.

    Returns
    -------
    int
        What was repaid: at most the debt, and of tokens what there is.
    """
    repaid = min(amount, int(v.debt[row, token]))
    if token != USDC:
        repaid = min(repaid, int(v.token[row, token]))
    if repaid <= 0:
        return 0
    move_units(v, row, int(v.par[0].row_pool0) + token, token, repaid, CAUSE_REPAY)
    v.debt[row, token] = int(v.debt[row, token]) - repaid
    v.reserve[token].total_debt = int(v.reserve[token].total_debt) - repaid
    return repaid


@sub_kernel
def redeem(v: VenueState, row: int, token: int, amount: int) -> int:
    """Take lent cash or tokens back, as far as they are not lent on.

    Parameters
    ----------
    v : VenueState
        Changed in `cash` or `token`, `supply`, `flow`, `reserve`.
    row, token : int
        Lender, and what it has lent.
    amount : int
        Units.

    Returns
    -------
    int
        `ACCEPTED` or a refusal; the whole amount or nothing.
    """
    if token != USDC:
        if not is_token(v, token):
            return R_BAD_TOKEN
        if v.token_spec[token].borrowable == 0 and v.supply[row, token] == 0:
            return R_BAD_TOKEN
    if amount <= 0:
        return R_BAD_QUANTITY
    if amount > v.supply[row, token]:
        return R_INSUFFICIENT_BALANCE
    if amount > lendable(v.reserve[token]):
        return R_UTILISATION_FULL
    give_back_units(v, row, token, amount)
    return ACCEPTED


@inline_kernel
def is_token(v: VenueState, token: int) -> bool:
    """Tell whether a number is that of a token other than USDC."""
    return 0 < token < v.token_spec.shape[0]


@sub_kernel
def set_off(v: VenueState, row: int, token: int, most: int) -> None:
    """Have a row pay its debt out of what it has lent; an empty pool is no obstacle.

    Parameters
    ----------
    v : VenueState
        Changed in `cash` or `token`, `debt`, `supply`, `flow`, `reserve`.
    row, token : int
        A row, and what it owes.
    most : int
        Units of debt to pay at most.
    """
    lent = min(int(v.supply[row, token]), int(v.debt[row, token]), most)
    if lent > 0:
        give_back_units(v, row, token, lent)
        repay(v, row, token, lent)


@sub_kernel
def write_off(v: VenueState, row: int, token: int, amount: int) -> int:
    """Cancel debt that nothing is left to pay: retained interest first, then suppliers pro rata.

    Parameters
    ----------
    v : VenueState
        Changed in `debt`, `supply`, `reserve`, and in `flow` as claims on the pool.
    row, token : int
        Borrower, and what it owes.
    amount : int
        Units, at most the debt.

    Returns
    -------
    int
        What suppliers lose, to the last unit; only the claim of rounding stands behind them.
    """
    loss = min(amount, int(v.debt[row, token]))
    if loss <= 0:
        return 0
    column, reserve = claims_column(v, token), v.reserve[token]
    retained = min(loss, int(reserve.retained))
    borne = min(loss - retained, int(reserve.total_supply))
    left = loss - retained - borne
    _charge_suppliers(v.supply, v.flow, token, column, borne, int(reserve.total_supply))
    v.debt[row, token] = int(v.debt[row, token]) - loss
    reserve.total_debt = int(reserve.total_debt) - loss
    reserve.total_supply = int(reserve.total_supply) - borne
    reserve.retained = int(reserve.retained) - retained
    reserve.retained_used = int(reserve.retained_used) + retained
    reserve.supplier_loss = int(reserve.supplier_loss) + borne
    reserve.claim = int(reserve.claim) - left
    v.flow[row, column, CAUSE_DEFICIT] += loss
    v.flow[v.par[0].row_pool0 + token, column, CAUSE_DEFICIT] -= retained
    v.flow[v.par[0].row_rounding, column, CAUSE_DEFICIT] -= left
    return borne


@sub_kernel
def _charge_suppliers(
    supply: I64, flow: I64, token: int, column: int, loss: int, supplied: int
) -> None:
    """Split a loss over suppliers pro rata, exactly: each takes its part of what is left."""
    left = loss
    for row in range(supply.shape[0]):
        own = int(supply[row, token])
        if own > 0 and left > 0:
            part = mul_div(left, own, supplied, FLOOR)
            supplied -= own
            left -= part
            supply[row, token] = own - part
            flow[row, column, CAUSE_DEFICIT] -= part


@sub_kernel
def refresh_collateral(v: VenueState) -> None:
    """Add up the collateral of portfolio accounts and scale its use in new borrowing to the cap.

    Parameters
    ----------
    v : VenueState
        Changed in `counted_share` of collateral tokens, and in `total_supply` of those that are
        not lent. Beyond the platform's supply cap, of which what is lent takes its part, each
        account's capacity counts in the same proportion; credit at maintenance is untouched.
    """
    for token in range(1, v.token_spec.shape[0]):
        spec = v.token_spec[token]
        total = 0
        if spec.ltv > 0.0:
            for row in range(v.par[0].n_users):
                if v.row[row].regime == REGIME_PORTFOLIO:
                    owned = int(v.token[row, token]) - int(v.debt[row, token])
                    total += max(0, min(owned, int(spec.user_supply_cap)))
        cap = int(spec.platform_supply_cap)
        if spec.borrowable == 1:
            cap = max(0, cap - int(v.reserve[token].total_supply))
        else:
            v.reserve[token].total_supply = total
        v.reserve[token].counted_share = float(cap) / float(total) if total > cap else 1.0
