"""Which combinations of values a study runs: all, pairs, or points that fill the space.

Sources: McKay, Beckman and Conover, Technometrics 21, 1979 (Latin hypercube); Owen, J. Complexity
14, 1998 (scrambled Sobol points); Cohen, Dalal, Fredman and Patton, IEEE Trans. Softw. Eng. 23,
1997 (greedy rows that hold all pairs).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from math import prod
from typing import Any, Final, Literal, get_args

from stressbook.experiments.sweeps.factor import Factor

__all__ = ["DESIGNS", "Design", "n_points", "points"]

Design = Literal["grid", "latin_hypercube", "sobol", "pairs"]
DESIGNS: Final[tuple[Design, ...]] = get_args(Design)
_Pair = tuple[int, int, int, int]  # two factors, and a level of each


def n_points(factors: Sequence[Factor], design: Design, samples: int) -> int:
    """Return how many combinations a design has; of pairs the least that it can have.

    Examples
    --------
    >>> two = [Factor("x", values=(1, 2)), Factor("y", values=(1, 2, 3))]
    >>> n_points(two, "grid", 0), n_points(two, "sobol", 64)
    (6, 64)
    """
    sizes = sorted((len(factor.levels()) for factor in factors), reverse=True)
    if design == "grid":
        return prod(sizes)
    return prod(sizes[:2]) if design == "pairs" else samples


def points(
    factors: Sequence[Factor], design: Design, *, samples: int = 0, seed: int = 0
) -> list[tuple[Any, ...]]:
    """Return the combinations of a design.

    Parameters
    ----------
    factors : sequence of Factor
        The last varies fastest on a grid.
    design : {"grid", "latin_hypercube", "sobol", "pairs"}
        `pairs` holds every pair of levels of any two factors.
    samples : int
        Combinations of the two that fill the space; of Sobol points best a power of two.
    seed : int
        Of their scrambling.

    Returns
    -------
    list of tuple
        Values in the order of the factors.

    Examples
    --------
    >>> three = [Factor(name, values=(0, 1)) for name in "xyz"]
    >>> len(points(three, "grid")), len(points(three, "pairs"))
    (8, 4)
    """
    if design == "grid" or not factors:
        return list(product(*(factor.levels() for factor in factors)))
    if design == "pairs":
        return _pairs([factor.levels() for factor in factors])
    shares = _shares(len(factors), design, samples, seed)
    return [
        tuple(factor.at(share) for factor, share in zip(factors, row, strict=True))
        for row in shares
    ]


def _shares(n_factors: int, design: Design, samples: int, seed: int) -> list[list[float]]:
    from scipy.stats import qmc  # noqa: PLC0415 - a second to import, and rarely asked for

    if design == "latin_hypercube":
        found = qmc.LatinHypercube(n_factors, rng=seed).random(samples)
    else:
        # All of the next power of two are drawn: a shorter call would warn of its imbalance.
        sobol = qmc.Sobol(n_factors, scramble=True, rng=seed)
        found = sobol.random_base2(max(samples - 1, 0).bit_length())[:samples]
    return [[float(share) for share in row] for row in found]


def _pairs(levels: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    if len(levels) == 1:
        return [(value,) for value in levels[0]]
    wanted: dict[_Pair, None] = {}
    for i, j in combinations(range(len(levels)), 2):
        wanted |= dict.fromkeys(
            (i, j, a, b) for a in range(len(levels[i])) for b in range(len(levels[j]))
        )
    rows = []
    while wanted:
        row = _row(levels, wanted)
        for i, j in combinations(range(len(levels)), 2):
            wanted.pop((i, j, row[i], row[j]), None)
        rows.append(tuple(levels[i][row[i]] for i in range(len(levels))))
    return rows


def _row(levels: Sequence[tuple[Any, ...]], wanted: dict[_Pair, None]) -> dict[int, int]:
    """Return a row that holds a wanted pair, and greedily as many as can be."""
    i, j, a, b = next(iter(wanted))
    row = {i: a, j: b}
    for k in range(len(levels)):
        if k not in row:
            gains = [
                sum(_pair(k, level, other, row[other]) in wanted for other in row)
                for level in range(len(levels[k]))
            ]
            row[k] = gains.index(max(gains))
    return row


def _pair(i: int, a: int, j: int, b: int) -> _Pair:
    return (i, j, a, b) if i < j else (j, i, b, a)
