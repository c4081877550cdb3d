"""Margin tiers: what a position of a size must hold, at its leverage and at maintenance.

Source: Hyperliquid docs, margin tiers, 2026-04-24.
"""

from stressbook.market.compiling.arrays import Records
from stressbook.market.compiling.kernel import inline_kernel

__all__ = [
    "initial_of",
    "maintenance_of",
]


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
