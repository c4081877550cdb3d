"""What the venue prints of an account: holds, what is available, health, liquidation prices.

No rule of the engine reads them: they are functions of the sums and requirements that it judges by,
and are compared with what live accounts show.

Source: Hyperliquid docs, portfolio margin, 2026-08-19, margining and margin tiers, 2026-04-24;
formulas of live account states, 2026-09-08 to 2026-09-14 (docs/decisions/0011-portfolio-margin.md).
"""

import math

from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.margin.equity import AccountSums, portfolio_equity_usd

__all__ = [
    "available_after_maintenance_usd",
    "collateral_available",
    "collateral_hold",
    "health",
    "hold_usd",
    "isolated_liquidation_price",
    "liquidation_price",
    "price_at_maintenance_share",
]


@inline_kernel
def available_after_maintenance_usd(s: AccountSums) -> float:
    """Return what could be lost before maintenance is reached: E + credit - MM.

    Parameters
    ----------
    s : AccountSums
        Of the account.

    Returns
    -------
    float
        USD.
    """
    return portfolio_equity_usd(s) + s.collateral_credit_usd - s.maintenance_usd


@inline_kernel
def collateral_available(
    balance: float, available_usd: float, price_usd: float, ltv: float
) -> float:
    """Return how much of a collateral could be lost before maintenance is reached.

    Parameters
    ----------
    balance : float
        Tokens.
    available_usd : float
        `available_after_maintenance_usd`.
    price_usd, ltv : float
        Borrow oracle price and loan-to-value.

    Returns
    -------
    float
        Tokens, at most the balance.

    Examples
    --------
    >>> collateral_available(100.0, 4_776.93, 84.035, 0.65) < 68.91
    True
    """
    return min(balance, max(0.0, available_usd) / (price_usd * ((1.0 + ltv) * 0.5)))


@inline_kernel
def hold_usd(s: AccountSums, commitment: float) -> float:
    """Return the hold that the venue prints for USDC.

    Parameters
    ----------
    s : AccountSums
        Of the account.
    commitment : float
        `commitment_usd`.

    Returns
    -------
    float
        USD; negative is unused room to borrow. `net - hold` is printed as available.
    """
    return commitment - s.collateral_capacity_usd


@inline_kernel
def collateral_hold(net: float, commitment: float, price_usd: float, ltv: float) -> float:
    """Return the collateral that cannot leave, where there is one.

    Parameters
    ----------
    net, commitment : float
        `net_usd` and `commitment_usd`.
    price_usd, ltv : float
        Borrow oracle price and loan-to-value.

    Returns
    -------
    float
        Tokens.

    Examples
    --------
    >>> collateral_hold(-100.0, 0.0, 40.0, 0.5)
    5.0
    """
    return max(0.0, commitment - net) / (price_usd * ltv)


@inline_kernel
def health(s: AccountSums) -> float:
    """Return what could be borrowed over what is; below 1 nothing more can.

    Parameters
    ----------
    s : AccountSums
        Of the account.

    Returns
    -------
    float
        Infinite without debt.
    """
    return s.collateral_capacity_usd / s.debt_usd if s.debt_usd > 0.0 else math.inf


@inline_kernel
def liquidation_price(
    mark_usd: float, size: float, available_usd: float, max_leverage: float
) -> float:
    """Return the price of one position at which maintenance is reached, others unchanged.

    Parameters
    ----------
    mark_usd : float
        Mark price.
    size : float
        Signed, not 0.
    available_usd : float
        Equity, with credit, less maintenance.
    max_leverage : float
        Of its tier.

    Returns
    -------
    float
        USD; 0 or less means that there is none.

    Examples
    --------
    >>> round(liquidation_price(10_000.0, 1.0, 875.0, 40.0), 6)
    9113.924051
    """
    side = 1.0 if size > 0.0 else -1.0
    return mark_usd - side * available_usd / (abs(size) * (1.0 - side / (2.0 * max_leverage)))


@inline_kernel
def isolated_liquidation_price(raw_usd: float, size: float, max_leverage: float) -> float:
    """Return the liquidation price of an isolated position.

    Parameters
    ----------
    raw_usd : float
        Signed quote ledger of the pocket.
    size : float
        Signed, not 0.
    max_leverage : float
        Of its tier.

    Returns
    -------
    float
        USD.

    Examples
    --------
    >>> round(isolated_liquidation_price(-2_801.468331, 29.72, 20.0), 8)
    96.67903272
    """
    side = 1.0 if size > 0.0 else -1.0
    return -raw_usd / (size * (1.0 - side / (2.0 * max_leverage)))


@inline_kernel
def price_at_maintenance_share(
    mark_usd: float, size: float, equity: float, max_leverage: float, share: float
) -> float:
    """Return the price at which the equity of one position is a share of its maintenance there.

    Parameters
    ----------
    mark_usd : float
        Mark price.
    size : float
        Signed, not 0.
    equity : float
        At the mark, USD.
    max_leverage : float
        Of its tier.
    share : float
        1 liquidation, 2/3 takeover, 0 bankruptcy.

    Returns
    -------
    float
        USD.

    Examples
    --------
    >>> price_at_maintenance_share(10_000.0, 1.0, 1_000.0, 40.0, 0.0)
    9000.0
    """
    side = 1.0 if size > 0.0 else -1.0
    return (equity / abs(size) - side * mark_usd) / (share / (2.0 * max_leverage) - side)
