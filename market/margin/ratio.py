"""Where an account breaks: its requirement over its value, with the debt it needs at maintenance.

What a portfolio account owes is not what counts (`debt_at_maintenance_usd`), so that idle borrowed
cash changes nothing.

Source: Hyperliquid docs, portfolio margin, 2026-08-19, margining, 2026-04-24; formulas of live
account states, 2026-09-08 to 2026-09-14 (docs/decisions/0011-portfolio-margin.md).
"""

import math
from typing import Final

from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.margin.equity import (
    AccountSums,
    cross_equity_usd,
    portfolio_equity_usd,
)
from stressbook.market.regimes.tables import DEBT_AT_MAINTENANCE, DEBT_DRAWN

__all__ = [
    "breaches",
    "debt_at_maintenance_usd",
    "margin_ratio",
    "portfolio_ratio",
    "portfolio_requirement_usd",
    "portfolio_value_usd",
    "ratio_of",
]

_INF: Final = math.inf


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
