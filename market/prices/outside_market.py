r"""The outside market: what else trades the same underlyings, and how it answers to flow.

Each asset has two outside legs, spot and perp. A leg's price is the fundamental, times its own
basis, times one plus a displacement by flow. Signed flow enters a load that decays, most of it
within minutes, the rest within hours; the displacement x is the load y up to `concave_from` and
grows with the square root beyond: falls in log price, so that no sale brings a price to zero,

.. math::
    x(y) = y, \ |y| \le x_0; \qquad x(y) = \sqrt{x_0 y}, \ y > x_0; \qquad
    1 + x(y) = (1 - x_0) \, e^{-(\sqrt{x_0 |y|} - x_0) / (1 - x_0)}, \ y < -x_0,

so that a large sale neither moves the outside without bound nor for ever. Flow in one leg also
loads the other. Orders that accounts send outside in one step are one batch: all fill at the
average displacement of their sum (docs/decisions/0021-outside-orders.md).
"""

from __future__ import annotations

import math
from typing import Final

from stressbook.market.compiling.arrays import Record, record_dtype
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.numbers.elementary import exp
from stressbook.market.numbers.units import round_nearest

__all__ = [
    "LEG",
    "OUTSIDE_PERP",
    "OUTSIDE_SPOT",
    "decay_loads",
    "displacement",
    "leg_price",
    "mean_displacement",
    "price_batch",
]

SMALL: Final = 1e-5  # changes of a load up to it, of `concave_from`
OUTSIDE_SPOT: Final = 0
OUTSIDE_PERP: Final = 1

# Parameters and state of one outside leg; basis in log price, load and displacement as fractions.
LEG = record_dtype(
    "net_lots buy_e8 sell_e8",  # sum and prices of this step's batch
    "basis_mean basis_fast basis_fast_decay basis_fast_noise basis_slow basis_slow_decay "
    "basis_slow_noise half_spread "
    # per 1 M USD; share of a load that decays fast; decays and rates a step
    "slope_per_musd concave_from fast_share fast_decay fast_rate slow_decay slow_rate "
    # decaying loads; log price over the fundamental, the displacement left out
    "load_fast load_slow basis",
)


@inline_kernel
def displacement(load: float, concave_from: float) -> float:
    """Return by how much a load displaces a price.

    Parameters
    ----------
    load : float
        Signed fraction of the price: what a linear impact would give.
    concave_from : float
        Displacement from which it grows with the square root; inf for never.

    Returns
    -------
    float
        Fraction of the price.

    Examples
    --------
    >>> displacement(0.02, 0.03), displacement(0.12, 0.03), round(displacement(-0.12, 0.03), 5)
    (0.02, 0.06, -0.05954)
    """
    size = abs(load)
    if size <= concave_from:
        return load
    root = math.sqrt(concave_from * size)
    if load > 0.0:
        return root
    if concave_from >= 1.0:  # linear until there is no price left
        return -root
    rest = 1.0 - concave_from
    return rest * exp((concave_from - root) / rest) - 1.0


@kernel
def mean_displacement(load: float, change: float, concave_from: float) -> float:
    """Return the average displacement on the way from one load to another.

    Parameters
    ----------
    load : float
        Before, as a fraction of the price.
    change : float
        What a trade adds to it.
    concave_from : float
        As for `displacement`.

    Returns
    -------
    float
        Fraction of the price that the trade as a whole pays beside basis and spread.

    Examples
    --------
    >>> mean_displacement(0.0, 0.02, 0.03), mean_displacement(0.0, 0.0, 0.03)
    (0.01, 0.0)
    """
    end = load + change
    if abs(load) <= concave_from and abs(end) <= concave_from:
        return load + 0.5 * change
    if abs(change) <= SMALL * concave_from:  # areas would cancel, the middle is as exact
        return displacement(load + 0.5 * change, concave_from)
    return (_area(end, concave_from) - _area(load, concave_from)) / change


@inline_kernel
def _area(load: float, concave_from: float) -> float:
    """Integrate the displacement from 0 to a load, which is positive on both sides."""
    size = abs(load)
    if size <= concave_from:
        return 0.5 * load * load
    square = concave_from * concave_from
    root = math.sqrt(concave_from * size)
    if load > 0.0 or concave_from >= 1.0:
        return 0.5 * square + (2.0 / 3.0) * (size * root - square)
    rest = 1.0 - concave_from
    left = 1.0 - (root + rest) * exp((concave_from - root) / rest)
    return 0.5 * square + size - concave_from - 2.0 * rest * rest / concave_from * left


@inline_kernel
def decay_loads(leg: Record, recovery: float) -> None:
    """Let the loads of a leg decay by one step.

    Parameters
    ----------
    leg : record of LEG
        Changed in place.
    recovery : float
        Speed of the decay over the usual one.
    """
    if recovery == 1.0:
        leg.load_fast *= leg.fast_decay
        leg.load_slow *= leg.slow_decay
    else:
        leg.load_fast *= exp(-recovery * leg.fast_rate)
        leg.load_slow *= exp(-recovery * leg.slow_rate)


@inline_kernel
def leg_price(leg: Record, fundamental_usd: float) -> float:
    """Return the price of a leg, USD: the fundamental, its basis and its displacement.

    Parameters
    ----------
    leg : record of LEG
        Read only.
    fundamental_usd : float
        Of the asset.

    Returns
    -------
    float
    """
    moved = displacement(leg.load_fast + leg.load_slow, leg.concave_from)
    return fundamental_usd * exp(leg.basis) * (1.0 + moved)


@inline_kernel
def price_batch(
    asset: Record, spot: Record, perp: Record, dial: Record, fundamental_usd: float
) -> None:
    """Set the prices of an asset's orders, and let their flow displace both legs.

    Parameters
    ----------
    asset : record of FUNDAMENTAL
        Read only: lot size and cross slope.
    spot, perp : record of LEG
        Its legs, with the net lots of the batch; prices and loads are changed in place.
    dial : record of DIAL
        Of the asset: depth and spread outside.
    fundamental_usd : float
        Of the asset.
    """
    # Flow counts at the fundamental: at displaced prices a round trip would gain.
    musd_per_lot = asset.lot_size * fundamental_usd / (1e6 * dial.outside_depth)
    spot_musd = float(spot.net_lots) * musd_per_lot
    perp_musd = float(perp.net_lots) * musd_per_lot
    cross = asset.cross_slope_per_musd
    spot_load = spot.slope_per_musd * spot_musd + cross * perp_musd
    perp_load = perp.slope_per_musd * perp_musd + cross * spot_musd
    _price_leg(spot, spot_load, dial.outside_spread, fundamental_usd)
    _price_leg(perp, perp_load, dial.outside_spread, fundamental_usd)


@inline_kernel
def _price_leg(leg: Record, load: float, spread: float, fundamental_usd: float) -> None:
    moved = mean_displacement(leg.load_fast + leg.load_slow, load, leg.concave_from)
    mid_e8 = fundamental_usd * exp(leg.basis) * (1.0 + moved) * 1e8
    half_spread = leg.half_spread * spread
    leg.buy_e8 = round_nearest(mid_e8 * (1.0 + half_spread))
    leg.sell_e8 = round_nearest(mid_e8 * (1.0 - half_spread))
    _add_flow(leg, load)


@inline_kernel
def _add_flow(leg: Record, load: float) -> None:
    """Let a load enter a leg, part of it decaying fast, the rest slowly."""
    leg.load_fast += leg.fast_share * load
    leg.load_slow += (1.0 - leg.fast_share) * load
