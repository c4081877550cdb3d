"""What an account is worth: the sums over one pocket, and the equities made of them.

Source: Hyperliquid docs, portfolio margin, 2026-08-19; formulas of live account states, 2026-09-08
to 2026-09-14 (docs/decisions/0011-portfolio-margin.md).
"""

from typing import NamedTuple

from stressbook.market.compiling.kernel import inline_kernel

__all__ = [
    "AccountSums",
    "account_value_usd",
    "cross_equity_usd",
    "equity_usd",
    "is_judged_as_portfolio",
    "net_usd",
    "portfolio_equity_usd",
]


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
