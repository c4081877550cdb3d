"""What every account is worth, and whether it is in breach: taken at each mark update."""

from __future__ import annotations

from stressbook.market.borrowing import borrowable_room
from stressbook.market.codes import REGIME_PORTFOLIO
from stressbook.market.kernel import inline_kernel, sub_kernel
from stressbook.market.margin import account_sums, available_usd, is_judged_as_portfolio
from stressbook.market.requirements import equity_usd, margin_ratio, net_usd
from stressbook.market.reserve import draw_needed_debt, refresh_collateral


@sub_kernel
def value_account(v, user):  # type: ignore[no-untyped-def]
    """Write the RISK record of one user from the sums of its main row."""
    _value(v, user)


@inline_kernel
def _value(v, user):  # type: ignore[no-untyped-def]
    s = account_sums(v, user)
    r = v.risk[user]
    portfolio = is_judged_as_portfolio(s)
    r.judged_as_portfolio = 1 if portfolio else 0
    r.net_usd = net_usd(s)
    r.equity_usd = equity_usd(s, portfolio)
    r.initial_usd = s.initial_usd
    r.maintenance_usd = s.maintenance_usd
    r.gross_notional_usd = s.gross_notional_usd
    r.token_value_usd = s.token_value_usd
    r.debt_usd = s.debt_usd
    r.credit_usd = s.collateral_credit_usd if portfolio else 0.0
    room = borrowable_room(
        v.token_spec[0], v.reserve[0], int(v.debt[user, 0]), s.collateral_capacity_usd
    )
    r.available_usd = available_usd(v.par[0], s, room)
    r.ratio = margin_ratio(s, portfolio)
    r.deepest_negative_usd = min(r.deepest_negative_usd, r.equity_usd)


@inline_kernel
def value_all(v, t_ms):  # type: ignore[no-untyped-def]
    """Draw the debts that margin needs, then value every user's account."""
    refresh_collateral(v)
    for user in range(v.par[0].n_users):
        if v.row[user].regime == REGIME_PORTFOLIO:
            draw_needed_debt(v, user, t_ms)
        _value(v, user)


@inline_kernel
def is_breached(v, user):  # type: ignore[no-untyped-def]
    """Whether the account must be resolved: equity below maintenance, or ratio above the trigger."""
    r = v.risk[user]
    if r.judged_as_portfolio == 1:
        return r.ratio > v.par[0].pm_trigger_ratio
    return r.equity_usd < r.maintenance_usd


@inline_kernel
def holds_perps(v, row):  # type: ignore[no-untyped-def]
    """Whether any perp position is open in a row."""
    for i in range(v.par[0].n_insts):
        if v.perp[row, i] != 0:
            return True
    return False
