"""Sequential stopping: a cell of levers is run no further once its interval says enough.

Seeds are read in their order and looked at every so many; what is left of a look is the same for
any order of arrival, any workers and after any interruption. Intervals are confidence sequences,
which hold at every look at once; a t interval, or an exact one, at an n that the data chose has not
the coverage that it says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from stressbook.errors import InvalidInput
from stressbook.experiments.progress import Progress
from stressbook.experiments.statistics.sequences import (
    ConfidenceSequence,
    Stop,
    failure_sequence,
    mean_sequence,
    stop_when,
)
from stressbook.experiments.sweeps.by_seed import PointRuns, means_by_seed, shares_over
from stressbook.experiments.sweeps.cell import Replicate

__all__ = ["StopRule", "mean_interval", "run_in_rounds", "share_sequence", "stop_of"]


@dataclass(frozen=True)
class StopRule:
    """When a cell of levers is run no further.

    Parameters
    ----------
    outcome : str
        That is looked at.
    half_width : float, optional
        Stop once half of the interval of its mean is at most this wide, in its unit.
    low, high : float, optional
        Ends of the range that the outcome never leaves; its mean has an interval with them only.
    budget, alpha : float, optional
        Stop once the share of runs over the budget is told from alpha.
    check_every : int
        Seeds between two looks.
    """

    outcome: str
    half_width: float | None = None
    low: float | None = None
    high: float | None = None
    budget: float | None = None
    alpha: float = 0.05
    check_every: int = 10


def stop_of(rule: StopRule, runs: PointRuns, *, level: float = 0.95) -> Stop | None:
    """Return whether, and for what reason, a cell may stop after the seeds that it has.

    Parameters
    ----------
    rule : StopRule
        When.
    runs : sequence of sequence of Replicate
        Of each combination of the cell, in seed order.
    level : float, default 0.95
        Confidence of the whole path.

    Returns
    -------
    Stop or None
        At the first seed that would have been enough; a sequence that was narrow enough once stays
        so. None if the cell has to go on.

    Raises
    ------
    InvalidInput
        If a value leaves the range that the study has stated, or is none.
    """
    _require_range(rule, runs)
    if rule.half_width is not None:
        return stop_when(_mean_sequence(rule, runs, level), half_width=rule.half_width)
    budget = np.inf if rule.budget is None else rule.budget
    return stop_when(share_sequence(runs, rule.outcome, budget, level), budget=rule.alpha)


def mean_interval(rule: StopRule, runs: PointRuns, level: float) -> ConfidenceSequence | None:
    """Return the confidence sequence of the mean of the outcome; None without a stated range."""
    is_bounded = rule.low is not None and rule.high is not None
    return _mean_sequence(rule, runs, level) if is_bounded else None


def share_sequence(
    runs: PointRuns, outcome: str, budget: float, level: float
) -> ConfidenceSequence:
    """Return the confidence sequence of the share of runs over a budget, seed by seed.

    Parameters
    ----------
    runs : sequence of sequence of Replicate
        As of `stop_of`.
    outcome : str
        Its name.
    budget : float
        Largest allowed value; a run that failed is over it.
    level : float
        Confidence of the whole path.

    Returns
    -------
    ConfidenceSequence
        Of failures where a seed is one run; else of the mean over seeds of their shares, as of any
        number between 0 and 1.
    """
    shares = shares_over(runs, outcome, budget)
    if len(runs) == 1:
        return failure_sequence([bool(share) for share in shares], confidence=level)
    return mean_sequence(shares.tolist(), low=0.0, high=1.0, confidence=level)


def run_in_rounds(
    rule: StopRule,
    cells: Sequence[tuple[int, ...]],
    n_seeds: int,
    run: Callable[[Sequence[int], Progress | None], Sequence[Replicate]],
    progress: Progress | None = None,
) -> tuple[tuple[Replicate, ...], ...]:
    """Run so many seeds of each cell that goes on, look, and go on with what has to.

    Parameters
    ----------
    rule : StopRule
        When a cell stops.
    cells : sequence of tuple of int
        Ranks of the combinations of each cell of levers.
    n_seeds : int
        Most of them.
    run : callable
        Runs jobs by rank - seed by seed, in each all combinations - and returns what came of them.
    progress : callable, optional
        Called with the share of all that could be run.

    Returns
    -------
    tuple of tuple of Replicate
        Of each combination, in seed order, as far as it was run.
    """
    n = sum(map(len, cells))
    found: list[list[Replicate]] = [[] for _ in range(n)]
    going = list(cells)
    for first in range(0, n_seeds, rule.check_every):
        seeds = range(first, min(first + rule.check_every, n_seeds))
        ranks = sorted(rank for cell in going for rank in cell)
        asked = [(seed, rank) for seed in seeds for rank in ranks]
        told = _part_of(progress, first, len(seeds), n_seeds)
        runs = run([seed * n + rank for seed, rank in asked], told)
        for (_, rank), one in zip(asked, runs, strict=True):
            found[rank].append(one)
        going = [cell for cell in going if stop_of(rule, [found[r] for r in cell]) is None]
        if not going:
            break
    if progress is not None:
        progress(1.0)
    return tuple(map(tuple, found))


def _part_of(progress: Progress | None, done: int, part: int, total: int) -> Progress | None:
    if progress is None:
        return None
    return lambda share: progress((done + part * share) / total)


def _require_range(rule: StopRule, runs: PointRuns) -> None:
    if rule.low is None or rule.high is None:
        return
    low, high = rule.low, rule.high
    for run in (run for several in runs for run in several):
        value = run.outcomes.get(rule.outcome, np.nan)
        if not (run.error or low <= value <= high):
            raise InvalidInput(
                f"leaves the range that [stop] states, with seed {run.seed}",
                name=rule.outcome,
                value=value,
                allowed=f"{low:g} to {high:g}",
                hint="state a range that holds whatever happens; what has finished is kept",
            )


def _mean_sequence(rule: StopRule, runs: PointRuns, level: float) -> ConfidenceSequence:
    low, high = rule.low or 0.0, rule.high or 0.0
    values = means_by_seed(runs, rule.outcome, failed=high)
    return mean_sequence(values.tolist(), low=low, high=high, confidence=level)
