"""Runs of one cell of levers, read seed by seed: a seed is one replicate, whatever is not known.

Runs of one seed share their draws, so that values of a cell count as their mean over what is not
known: one number a seed, and seeds are independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stressbook.experiments.moves import move_table
from stressbook.experiments.sweeps.cell import Replicate
from stressbook.market.compiling.arrays import F64

__all__ = ["all_ended", "means_by_seed", "moves_by_seed", "shares_over"]

PointRuns = Sequence[Sequence[Replicate]]


def all_ended(runs: PointRuns) -> npt.NDArray[np.bool_]:
    """Return of each seed whether every run of it ended.

    Parameters
    ----------
    runs : sequence of sequence of Replicate
        Of each combination of the cell, in seed order.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    return np.array([not any(run.error for run in seed) for seed in zip(*runs, strict=True)], bool)


def means_by_seed(runs: PointRuns, outcome: str, *, failed: float = math.nan) -> F64:
    """Return an outcome of each seed, its mean over what is not known.

    Parameters
    ----------
    runs : sequence of sequence of Replicate
        As of `all_ended`.
    outcome : str
        Its name.
    failed : float
        What a run counts as that failed.

    Returns
    -------
    ndarray of float64, shape (n,)

    Examples
    --------
    >>> runs = [[Replicate(7, "a", {"x": 1.0})], [Replicate(7, "", {}, "LadderExhausted: left")]]
    >>> means_by_seed(runs, "x"), means_by_seed(runs, "x", failed=5.0)
    (array([nan]), array([3.]))
    """
    rows = [
        [failed if run.error else run.outcomes.get(outcome, math.nan) for run in several]
        for several in runs
    ]
    return np.mean(np.array(rows, np.float64), axis=0)


def shares_over(runs: PointRuns, outcome: str, budget: float) -> F64:
    """Return of each seed the share of its runs that are over a budget.

    A run that failed is over it, and so is one without a value: nothing shows it to be within.

    Parameters
    ----------
    runs : sequence of sequence of Replicate
        As of `all_ended`.
    outcome : str
        Its name.
    budget : float
        Largest allowed value.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    rows = [
        [bool(run.error) or not run.outcomes.get(outcome, math.nan) <= budget for run in several]
        for several in runs
    ]
    return np.mean(np.array(rows, np.float64), axis=0)


def moves_by_seed(runs: PointRuns) -> dict[str, F64]:
    """Return the moves of marks of each seed by name, their means over what is not known."""
    tables = [move_table([run.moves for run in several]) for several in runs]
    names = dict.fromkeys(name for table in tables for name in table)
    return {
        name: np.mean([table[name] for table in tables], axis=0)
        for name in names
        if all(name in table for table in tables)
    }
