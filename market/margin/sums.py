"""Sums over a row's pocket: perps and tokens in one pass each, then what all must hold.

The formulas of these sums stand in `equity`, `ratio`, `commitment` and `available` beside it. Rows
are dispatched by `row.regime`; a portfolio row without credit is judged by cross altogether.
"""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.margin.equity import AccountSums
from stressbook.market.margin.perp_sums import perp_sums
from stressbook.market.margin.protection import protected_credit_usd
from stressbook.market.margin.token_sums import token_sums
from stressbook.market.regimes.requirement import required_usd
from stressbook.market.regimes.tables import MarginTables, PocketScratch
from stressbook.market.state.codes import REGIME_PORTFOLIO, VALUE_MAX_NO_LOANS
from stressbook.market.state.records import VenueState

__all__ = ["account_sums", "filled_sums"]


@inline_kernel
def account_sums(v: VenueState, row: int) -> AccountSums:
    """Return the sums over a row's pocket and its user's resting orders.

    Parameters
    ----------
    v : VenueState
        Read only, but for scratch.
    row : int
        Main row of a user.

    Returns
    -------
    AccountSums
        At mark, oracle and borrow oracle as they stand.
    """
    return _sums(v, row, True)


@inline_kernel
def filled_sums(v: VenueState, row: int) -> AccountSums:
    """Return the sums over a row's pocket as if no orders rested that the regime would net.

    Parameters
    ----------
    v : VenueState
        Read only, but for scratch.
    row : int
        Main row of a user.

    Returns
    -------
    AccountSums
        As `account_sums`.
    """
    return _sums(v, row, False)


@sub_kernel
def _sums(v: VenueState, row: int, with_orders: bool) -> AccountSums:
    r = int(v.row[row].regime)
    regime = v.regime[r]
    gives_credit = r == REGIME_PORTFOLIO
    perps = perp_sums(v, row)
    tokens = token_sums(v, row, perps)
    debt = int(v.debt[row, 0])
    tables = MarginTables(
        v.regime, v.leg, v.move, v.unit, v.hedge_step, v.floor_step, v.loan_step, v.credit
    )
    scratch = PocketScratch(v.pocket, v.unit_scratch, v.loss_sums)
    initial, maintenance = required_usd(
        tables, r, v.tier, v.inst.shape[0], scratch, tokens.n_legs, float(debt) / 1e6, with_orders
    )
    own_cash = float(int(v.cash[row]) - debt) / 1e6
    capacity = tokens.capacity_usd
    if v.par[0].value_max_later_policy == VALUE_MAX_NO_LOANS and regime.margin_is_borrowed == 1:
        worth = own_cash + perps.value_usd + float(v.supply[row, 0]) / 1e6
        worth += tokens.value_usd - tokens.debt_usd
        if worth * 1e6 >= float(v.par[0].account_value_max_micro):
            capacity = min(capacity, float(debt) / 1e6)
    offset = 0.0
    if v.par[0].min_borrow_offset_on == 1:
        offset = v.par[0].min_borrow_offset_usd
    credit = protected_credit_usd(v, row, tokens.credit_usd, maintenance, tokens.debt_usd, offset)
    # By position: a call with this many keywords does not compile.
    return AccountSums(
        float(v.cash[row]) / 1e6,
        own_cash,
        float(v.supply[row, 0]) / 1e6,
        float(debt) / 1e6,
        perps.value_usd,
        perps.gross_usd,
        initial,
        maintenance,
        perps.order_margin_usd,
        tokens.spot_bid_usd,
        tokens.value_usd,
        tokens.collateral_usd,
        capacity,
        credit,
        0.0,
        offset,
        1 if gives_credit and regime.falls_back == 0 else 0,
        int(regime.debt_in_ratio),
        1 if gives_credit and regime.margin_is_borrowed == 0 else 0,
        tokens.bid_haircut_usd,
        tokens.debt_usd,
        tokens.bound_usd,
    )
