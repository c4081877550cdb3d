"""Formulas of margin: what an account is worth, what it must hold, and where it breaks.

All are functions of the sums over one pocket. What a portfolio account owes is not what counts:
they use the debt that it would need at maintenance (`debt_at_maintenance_usd`) and the debt that
its commitment needs, so that idle borrowed cash changes nothing.

Source: Hyperliquid docs, portfolio margin, 2026-08-19, margining and margin tiers, 2026-04-24;
formulas of live account states, 2026-09-08 to 2026-09-14 (docs/decisions/0011-portfolio-margin.md).
"""

import math
from typing import Final, NamedTuple

from stressbook.market.kernel import inline_kernel
from stressbook.market.regimes.tables import DEBT_AT_MAINTENANCE, DEBT_DRAWN
from stressbook.market.state import Records

__all__ = [
    "AccountSums",
    "account_value_usd",
    "borrowed_commitment_usd",
    "breaches",
    "commitment_usd",
    "cross_equity_usd",
    "debt_at_maintenance_usd",
    "debt_need_usd",
    "equity_usd",
    "initial_of",
    "is_judged_as_portfolio",
    "maintenance_of",
    "margin_need_usd",
    "margin_ratio",
    "net_usd",
    "order_requirement_usd",
    "portfolio_equity_usd",
    "portfolio_ratio",
    "portfolio_requirement_usd",
    "portfolio_value_usd",
    "ratio_of",
    "transfer_requirement_usd",
]

_INF: Final = math.inf
_LEAST_LTV: Final = 0.01  # where a loan-to-value was cut to nothing while tokens were owed


class AccountSums(NamedTuple):
    """Sums over one pocket, all in USD; each loop starts from 0 and runs in index order."""

    cash_usd: float  # raw: a perp bought lowers it by its cost
    own_cash_usd: float  # raw cash less debt, subtracted in whole units: a draw leaves it as it is
    supplied_usd: float  # USDC lent to the reserve
    debt_usd: float
    position_value_usd: float  # signed, at the mark
    gross_notional_usd: float
    initial_usd: float  # of positions, at their leverage
    maintenance_usd: float
    order_margin_usd: float  # of resting perp orders that are not reduce-only, at their limits
    spot_bid_usd: float  # resting bids for tokens, but for what is bound behind token debts already
    token_value_usd: float  # every token, at the oracle
    collateral_value_usd: float  # tokens with a loan-to-value, at the oracle; 0 without credit
    collateral_capacity_usd: float  # value at the borrow oracle x LTV, supply caps in
    collateral_credit_usd: float  # x (1 + LTV) / 2, user caps in; 0 outside the portfolio regime
    isolated_equity_usd: float  # inside the cash but ring-fenced
    borrow_offset_usd: float  # of the ratio; 0 where the switch is off
    # What the regime says of them, in codes that are 0 for the venue's own rules.
    always_judged: int  # 1: portfolio rules apply without credit too
    debt_in_ratio: int  # tables.DEBTS_IN_RATIO
    collateral_covers: int  # 1: collateral covers margin as it is, 0: margin is borrowed against it
    bid_haircut_usd: float  # what bids for tokens lose of their value by becoming collateral
    token_debt_usd: float  # tokens owed beyond those held, at the borrow oracle
    token_bound_usd: float  # what must stand behind them beyond the capacity of collateral


@inline_kernel
def maintenance_of(tiers: Records, asset: int, n_tiers: int, notional_usd: float) -> float:
    """Return the maintenance requirement of a notional: rate of its tier less deduction.

    Parameters
    ----------
    tiers : ndarray of TIER, shape (n_assets, MAX_TIERS)
        Rising lower bounds.
    asset, n_tiers : int
        Row of `tiers`, and how many of it are valid; at least 1.
    notional_usd : float
        At least 0.

    Returns
    -------
    float
        USD; continuous in the notional.
    """
    t = n_tiers - 1
    while t > 0 and notional_usd <= tiers[asset, t].lower_usd:
        t -= 1
    tier = tiers[asset, t]
    requirement: float = notional_usd * tier.maintenance_rate - tier.deduction_usd
    return requirement


@inline_kernel
def initial_of(
    tiers: Records, asset: int, n_tiers: int, leverage: float, notional_usd: float
) -> float:
    """Return the initial requirement of a notional: by leverage, twice maintenance at least.

    Parameters
    ----------
    tiers : ndarray of TIER, shape (n_assets, MAX_TIERS)
        Rising lower bounds.
    asset, n_tiers : int
        Row of `tiers`, and how many of it are valid; at least 1.
    leverage : float
        That the user chose.
    notional_usd : float
        At least 0.

    Returns
    -------
    float
        USD.
    """
    maintenance = maintenance_of(tiers, asset, n_tiers, notional_usd)
    return max(notional_usd / leverage, 2.0 * maintenance)


@inline_kernel
def net_usd(s: AccountSums) -> float:
    """Return the USDC total of a portfolio account: cash, lent cash and perps less debt.

    Parameters
    ----------
    s : AccountSums
        Of the account.

    Returns
    -------
    float
        USD; may be negative in a healthy account.
    """
    return s.own_cash_usd + s.supplied_usd + s.position_value_usd


@inline_kernel
def portfolio_equity_usd(s: AccountSums) -> float:
    """Return the net USDC that backs cross positions: without what is ring-fenced.

    Parameters
    ----------
    s : AccountSums
        Of the account.

    Returns
    -------
    float
        USD; E of the formulas.
    """
    return net_usd(s) - s.isolated_equity_usd


@inline_kernel
def cross_equity_usd(s: AccountSums) -> float:
    """Return the equity under cross margin: cash and perps less debt, tokens and lent cash not.

    Parameters
    ----------
    s : AccountSums
        Of the account.

    Returns
    -------
    float
        USD.
    """
    return s.own_cash_usd + s.position_value_usd - s.isolated_equity_usd


@inline_kernel
def account_value_usd(s: AccountSums) -> float:
    """Return what eligibility goes by: USDC, lent as well, perps and every token, less debt.

    Parameters
    ----------
    s : AccountSums
        Of the account.

    Returns
    -------
    float
        USD, tokens at the oracle.
    """
    return cross_equity_usd(s) + s.supplied_usd + s.token_value_usd - s.token_debt_usd


@inline_kernel
def equity_usd(s: AccountSums, portfolio: bool) -> float:
    """Return what an account is worth where it is judged, collateral at the oracle price.

    Parameters
    ----------
    s : AccountSums
        Of the account.
    portfolio : bool
        Whether it is judged as portfolio.

    Returns
    -------
    float
        USD; below zero the account owes more than it has.
    """
    if portfolio:
        return portfolio_equity_usd(s) + s.collateral_value_usd - s.token_debt_usd
    return cross_equity_usd(s)


@inline_kernel
def is_judged_as_portfolio(s: AccountSums) -> bool:
    """Tell whether portfolio rules apply: in that regime, with credit left or tokens owed.

    Parameters
    ----------
    s : AccountSums
        Of the account.

    Returns
    -------
    bool
        A portfolio account without credit falls back to cross altogether where the regime says so.
    """
    return s.collateral_credit_usd > 0.0 or s.always_judged == 1 or s.token_debt_usd > 0.0


@inline_kernel
def debt_at_maintenance_usd(s: AccountSums) -> float:
    """Return the debt that would be needed to keep the maintenance requirement.

    Parameters
    ----------
    s : AccountSums
        Of the account.

    Returns
    -------
    float
        USD, at least 0: B* = max(0, MM - E), whatever is really borrowed.
    """
    return max(0.0, s.maintenance_usd - portfolio_equity_usd(s))


@inline_kernel
def ratio_of(requirement_usd: float, value_usd: float) -> float:
    """Return a requirement over what backs it.

    Parameters
    ----------
    requirement_usd, value_usd : float
        USD.

    Returns
    -------
    float
        0 without a requirement, infinite where nothing backs one.

    Examples
    --------
    >>> ratio_of(0.0, -5.0), ratio_of(1.0, 0.0), ratio_of(9_370.0, 21_000.0) > 0.446
    (0.0, inf, True)
    """
    if requirement_usd <= 0.0:
        return 0.0
    if value_usd <= 0.0:
        return _INF
    return requirement_usd / value_usd


@inline_kernel
def _debt_in_ratio_usd(s: AccountSums) -> float:
    if s.debt_in_ratio == DEBT_AT_MAINTENANCE:
        return debt_at_maintenance_usd(s)
    return s.debt_usd if s.debt_in_ratio == DEBT_DRAWN else 0.0


@inline_kernel
def portfolio_requirement_usd(s: AccountSums) -> float:
    """Return the upper part of a portfolio account's ratio: MM + B + tokens owed + offset.

    Parameters
    ----------
    s : AccountSums
        Of the account.

    Returns
    -------
    float
        USD. B is the debt at maintenance, on this venue; what was drawn, or nothing, by other
        regimes. The offset counts only where there is a requirement.
    """
    requirement = s.maintenance_usd + _debt_in_ratio_usd(s) + s.token_debt_usd
    if requirement > 0.0:
        requirement += s.borrow_offset_usd
    return requirement


@inline_kernel
def portfolio_value_usd(s: AccountSums) -> float:
    """Return the lower part of a portfolio account's ratio: E + B + credit.

    Parameters
    ----------
    s : AccountSums
        Of the account.

    Returns
    -------
    float
        USD.
    """
    return portfolio_equity_usd(s) + _debt_in_ratio_usd(s) + s.collateral_credit_usd


@inline_kernel
def portfolio_ratio(s: AccountSums) -> float:
    """Return the ratio of a portfolio account: (MM + B + tokens owed) / (E + B + credit).

    Parameters
    ----------
    s : AccountSums
        Of the account.

    Returns
    -------
    float
        Above the trigger the account is in breach.
    """
    return ratio_of(portfolio_requirement_usd(s), portfolio_value_usd(s))


@inline_kernel
def margin_ratio(s: AccountSums, portfolio: bool) -> float:
    """Return the ratio that an account is watched by.

    Parameters
    ----------
    s : AccountSums
        Of the account.
    portfolio : bool
        Whether it is judged as portfolio.

    Returns
    -------
    float
        The portfolio margin ratio; under cross maintenance over equity, infinite below zero.
    """
    if portfolio:
        return portfolio_ratio(s)
    equity = cross_equity_usd(s)
    return _INF if equity < 0.0 else ratio_of(s.maintenance_usd, equity)


@inline_kernel
def breaches(
    portfolio: bool, ratio: float, equity_usd: float, maintenance_usd: float, trigger_ratio: float
) -> bool:
    """Tell whether an account must be resolved.

    Parameters
    ----------
    portfolio : bool
        Whether it is judged as portfolio.
    ratio, equity_usd, maintenance_usd : float
        `margin_ratio`, `equity_usd` and requirement of the account.
    trigger_ratio : float
        Of portfolio margin, 0.95.

    Returns
    -------
    bool
        Portfolio: ratio above the trigger; cross: equity below maintenance.

    Examples
    --------
    >>> breaches(True, 0.95, 5.0, 95.0, 0.95), breaches(False, 0.5, 94.9, 95.0, 0.95)
    (False, True)
    """
    if portfolio:
        return ratio > trigger_ratio
    return equity_usd < maintenance_usd


@inline_kernel
def commitment_usd(s: AccountSums, floor_frac: float, buffer_frac: float) -> float:
    """Return what a portfolio account's positions and orders bind, by the published holds.

    Parameters
    ----------
    s : AccountSums
        Of the account.
    floor_frac : float
        Least requirement of positions, of their notional: 0.1.
    buffer_frac : float
        Surcharge on the margin of orders: 0.01.

    Returns
    -------
    float
        USD; what net USDC does not cover of it is borrowed.
    """
    if s.collateral_covers == 1:
        return max(margin_need_usd(s) - s.collateral_capacity_usd, s.spot_bid_usd)
    positions = max(s.initial_usd, floor_frac * s.gross_notional_usd)
    orders = (1.0 + buffer_frac) * s.order_margin_usd
    return s.isolated_equity_usd + positions + orders + s.spot_bid_usd + s.token_bound_usd


@inline_kernel
def debt_need_usd(owed_usd: float, ltv: float) -> float:
    """Return what must stand behind a debt of a token when it is taken: its value / loan-to-value.

    Parameters
    ----------
    owed_usd : float
        Value of what is owed, USD.
    ltv : float
        Loan-to-value of the token.

    Returns
    -------
    float
        USD, of cash or of the capacity of other collateral.

    Examples
    --------
    >>> debt_need_usd(100.0, 0.5)
    200.0
    """
    return owed_usd / max(ltv, _LEAST_LTV)


@inline_kernel
def margin_need_usd(s: AccountSums) -> float:
    """Return the initial margin of positions and orders where collateral covers it as it is.

    Parameters
    ----------
    s : AccountSums
        Of the account.

    Returns
    -------
    float
        USD, what bids for tokens lose by becoming collateral in it.
    """
    return s.initial_usd + s.order_margin_usd + s.bid_haircut_usd


@inline_kernel
def borrowed_commitment_usd(s: AccountSums, floor_frac: float, buffer_frac: float) -> float:
    """Return what of a commitment is borrowed where net USDC does not cover it.

    Parameters
    ----------
    s, floor_frac, buffer_frac
        As of `commitment_usd`.

    Returns
    -------
    float
        USD: all of it; under regimes where collateral covers margin as it is, bids for tokens.
    """
    if s.collateral_covers == 1:
        return s.spot_bid_usd
    return commitment_usd(s, floor_frac, buffer_frac)


@inline_kernel
def order_requirement_usd(s: AccountSums, buffer_frac: float) -> float:
    """Return what a cross account's positions and orders bind: without the floor of transfers.

    Parameters
    ----------
    s : AccountSums
        Of the account.
    buffer_frac : float
        Surcharge on the margin of orders: 0.01.

    Returns
    -------
    float
        USD.
    """
    orders = (1.0 + buffer_frac) * s.order_margin_usd
    return s.isolated_equity_usd + s.initial_usd + orders + s.spot_bid_usd


@inline_kernel
def transfer_requirement_usd(s: AccountSums, floor_frac: float) -> float:
    """Return what must stay when something leaves a cross account.

    Parameters
    ----------
    s : AccountSums
        Of the account.
    floor_frac : float
        Least requirement of positions, of their notional: 0.1.

    Returns
    -------
    float
        USD: max(initial requirement, floor) plus what orders bind, without a buffer.
    """
    positions = max(s.initial_usd, floor_frac * s.gross_notional_usd)
    return positions + s.order_margin_usd + s.spot_bid_usd
