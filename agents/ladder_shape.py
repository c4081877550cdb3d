"""The shape of a quoted ladder: sizes of its levels, and who shows them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from stressbook.market.compiling.arrays import F64
from stressbook.market.numbers.elementary import exp, ln, pow_

__all__ = ["DEPTH_DISTANCE_BP", "level_sizes", "shared_sizes", "zipf_shares"]

DEPTH_DISTANCE_BP: Final = 10.0  # where depth is stated


def level_sizes(distances_bp: Sequence[float], depth_usd: float, exponent: float) -> list[float]:
    """Return the size of each level, so that cumulative depth is a power of distance.

    Parameters
    ----------
    distances_bp : sequence of float
        Of the levels, increasing, bp.
    depth_usd : float
        Cumulative depth at 10 bp.
    exponent : float
        Of the power.

    Returns
    -------
    list of float
        USD; a level stands for the distances up to half-way to the next.

    Examples
    --------
    >>> sizes = level_sizes((2.0, 6.0, 14.0), 100.0, 1.0)
    >>> [round(size, 6) for size in sizes]
    [40.0, 60.0, 40.0]
    """
    ends = [0.5 * (a + b) for a, b in pairwise(distances_bp)]
    ends.append(distances_bp[-1])
    total = [depth_usd * pow_(end / DEPTH_DISTANCE_BP, exponent) for end in ends]
    return [a - b for a, b in zip(total, [0.0, *total[:-1]], strict=True)]


def zipf_shares(n: int, exponent: float) -> F64:
    """Return shares by rank that fall with a power of the rank.

    Parameters
    ----------
    n : int
        Number of ranks.
    exponent : float
        Of the power.

    Returns
    -------
    ndarray of float64, shape (n,)
        Largest first, of sum 1.

    Examples
    --------
    >>> zipf_shares(2, 1.0).round(6).tolist()
    [0.666667, 0.333333]
    """
    weights = np.array([exp(-exponent * ln(float(rank + 1))) for rank in range(n)], np.float64)
    total = 0.0
    for weight in weights:
        total += float(weight)
    return weights / (total if total > 0.0 else 1.0)


def shared_sizes(sizes: Sequence[float], shares: F64, every: Sequence[int]) -> F64:
    """Deal each level out to some of the makers, in proportion to their shares.

    Parameters
    ----------
    sizes : sequence of float, length n_levels
        Of the levels, all makers together.
    shares : ndarray of float64, shape (n,)
        Of the makers.
    every : sequence of int, length n_levels
        Every how many-th maker shows the level.

    Returns
    -------
    ndarray of float64, shape (n, n_levels)

    Examples
    --------
    >>> shared_sizes([6.0, 6.0], np.array([0.5, 0.3, 0.2]), [1, 2]).round(6).tolist()
    [[3.0, 0.0], [1.8, 6.0], [1.2, 0.0]]
    """
    own = np.zeros((len(shares), len(sizes)))
    for level, size in enumerate(sizes):
        shows = (np.arange(len(shares)) + level) % every[level] == 0
        total = float(shares[shows].sum())
        if total > 0.0:
            own[:, level] = np.where(shows, shares * (size / total), 0.0)
    return own
