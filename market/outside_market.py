r"""The outside market: what else trades the same underlyings, and how it answers to flow.

Each asset has two outside legs, spot and perp. A leg's price is the fundamental, times its own
basis, times one plus a displacement by flow. Signed flow enters a load that decays, most of it
within minutes, the rest within hours; the displacement x is the load y up to `concave_from` and
grows with the square root beyond,

.. math:: x(y) = y, \ |y| \le x_0; \qquad x(y) = \mathrm{sign}(y) \sqrt{x_0 |y|}, \ |y| > x_0,

so that a large sale neither moves the outside without bound nor for ever. Flow in one leg also
loads the other. Orders that accounts send outside in one step are one batch: all fill at the
average displacement of their sum (docs/decisions/0021-outside-orders.md).
"""

from __future__ import annotations

import math
from typing import Final

from stressbook.market.kernel import inline_kernel, kernel
from stressbook.market.state import Record, record_dtype

__all__ = ["LEG", "OUTSIDE_PERP", "OUTSIDE_SPOT", "add_flow", "displacement", "mean_displacement"]

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
    >>> displacement(0.02, 0.03), displacement(-0.12, 0.03)
    (0.02, -0.06)
    """
    size = abs(load)
    if size <= concave_from:
        return load
    root = math.sqrt(concave_from * size)
    return root if load > 0.0 else -root


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
    if change == 0.0:
        return displacement(load, concave_from)
    return (_area(end, concave_from) - _area(load, concave_from)) / change


@inline_kernel
def _area(load: float, concave_from: float) -> float:
    """Integrate the displacement from 0 to a load; even in the load."""
    size = abs(load)
    if size <= concave_from:
        return 0.5 * load * load
    square = concave_from * concave_from
    return 0.5 * square + (2.0 / 3.0) * (size * math.sqrt(concave_from * size) - square)


@inline_kernel
def add_flow(leg: Record, load: float) -> None:
    """Let a load enter a leg, part of it decaying fast, the rest slowly.

    Parameters
    ----------
    leg : record of LEG
        Changed in place.
    load : float
        Signed fraction of the price.
    """
    leg.load_fast += leg.fast_share * load
    leg.load_slow += (1.0 - leg.fast_share) * load
