"""What an account is committed to: margin of positions and orders, and the debt that this needs.

Source: Hyperliquid docs, portfolio margin, 2026-08-19, margining, 2026-04-24; formulas of live
account states, 2026-09-08 to 2026-09-14 (docs/decisions/0011-portfolio-margin.md).
"""

from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.margin.equity import (
    AccountSums,
)

__all__ = [
    "borrowed_commitment_usd",
    "commitment_usd",
    "margin_need_usd",
    "order_requirement_usd",
    "transfer_requirement_usd",
]


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
