"""What every account is worth, and whether it is in breach: taken at each mark update."""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.borrowing import borrowable_room
from stressbook.market.lending.reserve import refresh_collateral
from stressbook.market.margin.available import available_usd
from stressbook.market.margin.equity import (
    cross_equity_usd,
    equity_usd,
    is_judged_as_portfolio,
    net_usd,
)
from stressbook.market.margin.loans import draw_needed_debt
from stressbook.market.margin.pledges import has_pledge
from stressbook.market.margin.ratio import (
    breaches,
    margin_ratio,
    portfolio_requirement_usd,
    portfolio_value_usd,
)
from stressbook.market.margin.sums import account_sums
from stressbook.market.numbers.units import NEAREST, mul_div
from stressbook.market.state.codes import PERP, REGIME_PORTFOLIO
from stressbook.market.state.records import VenueState

__all__ = [
    "backing_usd",
    "holds_collateral",
    "holds_perps",
    "is_breached",
    "perp_value_micro",
    "value_account",
    "value_all",
]


@sub_kernel
def value_account(v: VenueState, user: int) -> None:
    """Write what one account is worth now.

    Parameters
    ----------
    v : VenueState
        Changed in `risk`, and in `backstop` if it is the backstop.
    user : int
        A user.
    """
    _value(v, user)


@inline_kernel
def value_all(v: VenueState) -> None:
    """Draw the debts that margin needs, and value every account.

    Parameters
    ----------
    v : VenueState
        Changed in `risk`, and by draws.
    """
    refresh_collateral(v)
    for user in range(v.par[0].n_users):
        if v.row[user].regime == REGIME_PORTFOLIO:
            draw_needed_debt(v, user)
        _value(v, user)


@inline_kernel
def is_breached(v: VenueState, user: int) -> bool:
    """Tell whether an account must be resolved, as of its last valuation.

    Parameters
    ----------
    v : VenueState
        Read only.
    user : int
        A user.

    Returns
    -------
    bool
        `requirements.breaches`. The backstop holds no margin: it is only ever deleveraged.
    """
    r = v.risk[user]
    if user == v.par[0].backstop_user:
        return r.equity_usd < 0.0 and holds_perps(v, user)
    trigger_ratio = v.par[0].pm_trigger_ratio
    return breaches(
        r.judged_as_portfolio == 1, r.ratio, r.equity_usd, r.maintenance_usd, trigger_ratio
    )


@inline_kernel
def holds_perps(v: VenueState, row: int) -> bool:
    """Tell whether any perp of a row is open.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        A row.
    """
    held = 0
    for inst in range(v.inst.shape[0]):
        held |= int(v.perp[row, inst])
    return held != 0


@inline_kernel
def holds_collateral(v: VenueState, row: int) -> bool:
    """Tell whether a row secures a loan with tokens: a pledge, and a loan-to-value above zero.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        A row.
    """
    for token in range(1, v.token_spec.shape[0]):
        if v.token_spec[token].ltv > 0.0 and v.token[row, token] > v.debt[row, token]:
            return has_pledge(v, row)
    return False


@inline_kernel
def backing_usd(v: VenueState, user: int) -> float:
    """Return what stands behind the perps of an account: equity, or net and credit.

    Parameters
    ----------
    v : VenueState
        Read only.
    user : int
        A user, as last valued.

    Returns
    -------
    float
        USD; a healthy portfolio account can have less equity than it must maintain.
    """
    r = v.risk[user]
    if r.judged_as_portfolio == 1:
        return float(r.net_usd + r.credit_usd)
    return float(r.equity_usd)


@sub_kernel
def perp_value_micro(v: VenueState, row: int) -> int:
    """Return what the perps of a row are worth at the mark, each to the nearest unit.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        A row.

    Returns
    -------
    int
        Micro-USDC, signed; cash plus this is the margin of the row.
    """
    total = 0
    for inst in range(v.inst.shape[0]):
        spec = v.inst[inst]
        if spec.kind == PERP and v.perp[row, inst] != 0:
            mark_e8 = int(v.price[spec.asset].mark_e8)
            total += mul_div(int(v.perp[row, inst]), mark_e8, int(spec.mark_den), NEAREST)
    return total


@inline_kernel
def _value(v: VenueState, user: int) -> None:
    s = account_sums(v, user)
    r = v.risk[user]
    portfolio = is_judged_as_portfolio(s)
    r.judged_as_portfolio = 1 if portfolio else 0
    r.net_usd = net_usd(s) - s.token_debt_usd
    r.equity_usd = equity_usd(s, portfolio)
    if user == v.par[0].backstop_user:
        # It has no credit, but what it took over is its own until sold.
        r.equity_usd = net_usd(s) + s.token_value_usd - s.token_debt_usd
        if r.equity_usd < r.deepest_negative_usd:
            v.backstop[0].debt_at_deepest_usd = s.debt_usd
    r.initial_usd = s.initial_usd
    r.maintenance_usd = s.maintenance_usd
    r.gross_notional_usd = s.gross_notional_usd
    r.token_value_usd = s.token_value_usd
    r.debt_usd = s.debt_usd + s.token_debt_usd
    r.credit_usd = s.collateral_credit_usd if portfolio else 0.0
    room = borrowable_room(
        v.token_spec[0], v.reserve[0], int(v.debt[user, 0]), s.collateral_capacity_usd
    )
    r.available_usd = available_usd(v.par[0], s, room)
    r.ratio = margin_ratio(s, portfolio)
    if portfolio:
        needed_usd = portfolio_requirement_usd(s)
        r.health_usd = v.par[0].pm_trigger_ratio * portfolio_value_usd(s) - needed_usd
    else:
        r.health_usd = cross_equity_usd(s) - s.maintenance_usd
    r.deepest_negative_usd = min(r.deepest_negative_usd, r.equity_usd)
