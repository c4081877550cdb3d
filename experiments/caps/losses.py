"""Losses of the episodes of a cap study, summarised."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from stressbook.experiments.caps.answer import CapAnswer
from stressbook.experiments.inference import Estimate, paired_difference
from stressbook.experiments.statistics.quantiles import quantile_estimate, tail_mean_estimate
from stressbook.market.compiling.arrays import F64

__all__ = ["LOSS_NAMES", "LossSummary", "column_means", "excess_over_zero", "loss_summary"]

LOSS_NAMES: Final = (
    "reserve_shortfall_usd",
    "reserve_shortfall_peak_usd",
    "uncovered_usd",
    "gap_at_adl_usd",
)


@dataclass(frozen=True)
class LossSummary:
    """A loss over episodes.

    Parameters
    ----------
    name : str
        Of the outcome.
    n, crashed : int
        Episodes that ended, and those that did not.
    median, p95, p99 : Estimate
        Quantiles with intervals of their order statistics; an end that the sample does not support
        is NaN.
    shortfall : Estimate
        Mean of the worst 5 % of the episodes; the uncertainty of where they begin is in its
        interval, whose ends are NaN where they are fewer than 5.
    """

    name: str
    n: int
    crashed: int
    median: Estimate
    p95: Estimate
    p99: Estimate
    shortfall: Estimate


def loss_summary(values: F64, name: str, *, level: float = 0.95) -> LossSummary:
    """Summarise a loss over episodes.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        One an episode; NaN of those that crashed.
    name : str
        Of the outcome.
    level : float, default 0.95
        Of the intervals.

    Returns
    -------
    LossSummary

    Examples
    --------
    >>> found = loss_summary(np.arange(100.0), "uncovered_usd")
    >>> found.median.value, found.p95.value, found.shortfall.value, found.p99.high
    (49.0, 94.0, 97.0, nan)
    """
    there = np.sort(values[np.isfinite(values)])
    median, p95, p99 = (quantile_estimate(there, q, level=level) for q in (0.5, 0.95, 0.99))
    worst = tail_mean_estimate(there, level=level)
    worst = replace(worst, low=0.0 if worst.low < 0.0 else worst.low)
    return LossSummary(name, len(there), len(values) - len(there), median, p95, p99, worst)


def column_means(table: F64) -> F64:
    """Return the mean of each column over the episodes that ended; NaN where none did.

    Examples
    --------
    >>> column_means(np.array([[1.0, np.nan], [3.0, np.nan]])).tolist()
    [2.0, nan]
    """
    ended = np.isfinite(table)
    counts = ended.sum(axis=0)
    sums = np.where(ended, table, 0.0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), math.nan)


def excess_over_zero(answer: CapAnswer, name: str) -> Estimate | None:
    """Return by how much a loss at the cap last tried exceeds that with nobody borrowing.

    Paired by the seeds of the proposal; None where no cap of the grid was tried.
    """
    column = answer.column(answer.last.value) if answer.last is not None else None
    if column is None or not answer.zero.n:
        return None
    return paired_difference(column.of(name), answer.zero.of(name))
