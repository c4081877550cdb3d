"""Two caps at once: the pairs that every seed bears, as a staircase of the largest ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stressbook.errors import InvalidInput, Problem
from stressbook.experiments.inference import Estimate
from stressbook.experiments.statistics.critical_caps import PROPOSING_SEEDS, grid_problems
from stressbook.experiments.statistics.exact import share_estimate

__all__ = ["Staircase", "maximal_pairs", "safe_pairs", "staircase"]

Bools = npt.NDArray[np.bool_]
Pair = tuple[float, float]


@dataclass(frozen=True)
class Staircase:
    """The largest pairs of two caps that are safe in all of the first seeds.

    Parameters
    ----------
    pairs : tuple of (float, float)
        First cap rising, second falling; empty if no pair of the grid is safe.
    by_seed : tuple of tuple of (float, float)
        The same for each seed that was read alone.
    non_monotone : Estimate
        Share of all seeds in which a pair passes above a failing one.
    """

    pairs: tuple[Pair, ...]
    by_seed: tuple[tuple[Pair, ...], ...]
    non_monotone: Estimate


def staircase(
    losses: npt.ArrayLike,
    first_caps: Sequence[float],
    second_caps: Sequence[float],
    budget: float,
    *,
    n_seeds: int = PROPOSING_SEEDS,
) -> Staircase:
    """Return the staircase of pairs that pass in all of the first seeds.

    Parameters
    ----------
    losses : array_like of float, shape (n_seeds, n_first, n_second)
        In the unit of `budget`; NaN of a run that crashed, which has failed.
    first_caps, second_caps : sequence of float
        Two rising grids.
    budget : float
        Largest loss that passes.
    n_seeds : int, default 59
        Seeds that propose. Each pair is a proposal of its own, to be certified by itself.

    Returns
    -------
    Staircase

    Raises
    ------
    InvalidInput
        If the shape is not that of the grids, a grid does not rise, or there are too few seeds.

    Examples
    --------
    >>> losses = np.zeros((59, 2, 2)); losses[3, 1, 1] = 9.0
    >>> staircase(losses, [100.0, 200.0], [5.0, 10.0], 5.0).pairs
    ((100.0, 10.0), (200.0, 5.0))
    """
    values = np.asarray(losses, np.float64)
    grids = [np.asarray(caps, np.float64) for caps in (first_caps, second_caps)]
    problems = [
        problem
        for name, grid in zip(("first_caps", "second_caps"), grids, strict=True)
        for problem in grid_problems(name, grid)
    ]
    if values.ndim != 3 or values.shape[1:] != (len(grids[0]), len(grids[1])):
        problems.append(Problem("do not fit the grids", "losses", values.shape))
    elif len(values) < n_seeds:
        problems.append(Problem("are too few", "seeds", len(values), f"{n_seeds} or more"))
    if not math.isfinite(budget):
        problems.append(Problem("is not a budget", "budget", budget, "a finite loss"))
    if problems:
        raise InvalidInput.from_problems(problems)
    failed = ~(values <= budget)
    safe = safe_pairs(failed)
    odd = np.asarray((~failed & ~safe).any(axis=(1, 2)))
    return Staircase(
        maximal_pairs(np.asarray(safe[:n_seeds].all(axis=0)), first_caps, second_caps),
        tuple(maximal_pairs(safe[i], first_caps, second_caps) for i in range(n_seeds)),
        share_estimate(int(odd.sum()), len(odd)),
    )


def safe_pairs(failed: Bools) -> Bools:
    """Return which pairs have no failing pair at or below them in both caps.

    Parameters
    ----------
    failed : ndarray, shape (n_seeds, n_first, n_second), dtype bool
        Not modified.

    Returns
    -------
    ndarray, as `failed`

    Examples
    --------
    >>> safe_pairs(np.array([[[False, True], [False, False]]])).tolist()
    [[[True, False], [True, False]]]
    """
    below = np.logical_or.accumulate(failed, axis=1)
    return np.asarray(~np.logical_or.accumulate(below, axis=2))


def maximal_pairs(
    safe: Bools, first_caps: Sequence[float], second_caps: Sequence[float]
) -> tuple[Pair, ...]:
    """Return the safe pairs that no other safe pair exceeds.

    Parameters
    ----------
    safe : ndarray, shape (n_first, n_second), dtype bool
        With every pair, all below it.
    first_caps, second_caps : sequence of float
        The grids.

    Returns
    -------
    tuple of (float, float)

    Examples
    --------
    >>> maximal_pairs(np.array([[True, True], [True, False]]), [1.0, 2.0], [5.0, 10.0])
    ((1.0, 10.0), (2.0, 5.0))
    """
    depth = np.append(safe.sum(axis=1), 0)
    return tuple(
        (float(first_caps[i]), float(second_caps[depth[i] - 1]))
        for i in range(len(first_caps))
        if depth[i] > depth[i + 1]
    )
