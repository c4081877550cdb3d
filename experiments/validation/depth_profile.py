"""How deep a book is at several distances from the middle."""

from __future__ import annotations

from typing import Final

import numpy as np

from stressbook.market.compiling.arrays import F64
from stressbook.market.compiling.kernel import kernel
from stressbook.market.orders.depth import depth_usd_within
from stressbook.market.state.codes import BUY, SELL
from stressbook.market.state.records import EMPTY_ASK, EMPTY_BID, VenueState

__all__ = ["DISTANCES_BP", "add_depth_profiles", "depth_exponent", "depth_hump_bp"]

DISTANCES_BP: Final = np.array([0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0, 20.0, 30.0, 40.0, 50.0])
_FIT_FROM_BP: Final = 5.0


@kernel
def add_depth_profiles(v: VenueState, frac: F64, total: F64) -> None:
    """Add the depth of all two-sided books within each fraction of the mid, both sides.

    Parameters
    ----------
    v : VenueState
        Read only.
    frac : ndarray of float64, shape (n_distances,)
        Fractions of the mid.
    total : ndarray of float64, shape (n_insts, n_distances)
        USD, summed over calls.
    """
    for inst in range(total.shape[0]):
        bid = int(v.best[inst, BUY])
        ask = int(v.best[inst, SELL])
        if bid == EMPTY_BID or ask == EMPTY_ASK:
            continue
        for k in range(frac.shape[0]):
            for side in range(2):
                total[inst, k] += depth_usd_within(v, inst, side, bid + ask, frac[k])


def depth_exponent(depth_usd: F64) -> float:
    """Return the exponent x of depth ~ distance^x, fitted to logarithms from 5 to 50 bp.

    Parameters
    ----------
    depth_usd : ndarray of float64, shape (n_distances,)
        Cumulative depth at `DISTANCES_BP`.

    Returns
    -------
    float
        NaN where a distance has no depth.

    Examples
    --------
    >>> round(depth_exponent(3.0 * DISTANCES_BP**0.8), 6)
    0.8
    """
    used = DISTANCES_BP >= _FIT_FROM_BP
    if not (depth_usd[used] > 0.0).all():
        return float("nan")
    x = np.log(DISTANCES_BP[used])
    y = np.log(depth_usd[used])
    x = x - x.mean()
    return float((x * y).sum() / (x * x).sum())


def depth_hump_bp(depth_usd: F64) -> float:
    """Return the distance at which depth per bp is largest, the middle of its bin.

    Parameters
    ----------
    depth_usd : ndarray of float64, shape (n_distances,)
        Cumulative depth at `DISTANCES_BP`.

    Returns
    -------
    float
        bp.

    Examples
    --------
    >>> depth_hump_bp(np.minimum(DISTANCES_BP, 10.0) ** 2)
    8.5
    """
    edges = np.concatenate(([0.0], DISTANCES_BP))
    density = np.diff(np.concatenate(([0.0], depth_usd))) / np.diff(edges)
    fullest = int(density.argmax())
    return float(0.5 * (edges[fullest] + edges[fullest + 1]))
