"""What a study came to: each outcome in each cell of levers, with intervals, all judged together.

A cell holds the runs of one combination of levers, over uncertainties and seeds. Failed runs have
no outcome; whatever has none counts as over a budget. Where cells stop by what comes out, intervals
are confidence sequences, or none, and cells are not judged against each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from stressbook.experiments.claims import Word
from stressbook.experiments.inference import Estimate, mean_estimate
from stressbook.experiments.outcomes import unit_of
from stressbook.experiments.statistics.exact import share_estimate
from stressbook.experiments.sweeps.cell import Replicate
from stressbook.experiments.sweeps.contrast import judged_cells
from stressbook.experiments.sweeps.stopping import StopRule, mean_interval, share_sequence, stop_of
from stressbook.experiments.sweeps.study import Aim, StudyRuns
from stressbook.market.compiling.arrays import F64

__all__ = ["StudyCell", "holds", "study_cells"]

_NONE: Final = Estimate(math.nan, math.nan, math.nan, 0)
_UNTOLD: Final = "all run"


@dataclass(frozen=True)
class StudyCell:
    """One outcome in one cell.

    Parameters
    ----------
    cell : int
        Rank, from 0.
    levers : dict of str to object
        By place.
    outcome, unit : str
        What, in which unit.
    mean : Estimate
        Over runs that ended. Where cells stop: of the outcome with a stated range over seeds, a
        failed run counting as its upper end, with its confidence sequence; without bounds else.
    n_failed : int
        Runs that did not.
    budget, alpha : float, optional
        As asked.
    over : Estimate
        Share of runs over the budget, those without a value among them, with the exact interval of
        Clopper and Pearson, where cells stop with the confidence sequence; n is 0 without a budget.
    n_seeds : int
        Seeds of the cell: where it stopped.
    stopped : str
        Why it stopped: "narrow", "above" or "at most" alpha, "all run" if it did not; empty
        where cells do not stop.
    is_control : bool
        Whether the others are judged against it.
    difference : Estimate
        To the control, or to the first cell, paired by seed; n is 0 where nothing is judged.
    correlation, p : float
        That pairing achieved, and of the difference before correction.
    noise : float
        What a placebo changes in the control at most; NaN if none ran.
    word : str
        Of the difference, after Holm's correction over the table; "not judged" of the control, and
        where runs do not pair.
    """

    cell: int
    levers: dict[str, Any]
    outcome: str
    unit: str
    mean: Estimate
    n_failed: int
    budget: float | None
    alpha: float
    over: Estimate
    n_seeds: int = 0
    stopped: str = ""
    is_control: bool = False
    difference: Estimate = _NONE
    correlation: float = math.nan
    p: float = math.nan
    noise: float = math.nan
    word: Word = "not judged"

    @property
    def is_within(self) -> bool | None:
        """Whether no more runs were over the budget than alpha allows; None without a budget."""
        return None if self.budget is None else self.over.value <= self.alpha

    @property
    def within(self) -> str | None:
        """Whether the share over the budget is at most alpha: "yes", "NO", or "open".

        Open where its interval reaches above alpha; None without a budget.
        """
        if self.budget is None:
            return None
        if self.over.value > self.alpha:
            return "NO"
        return "yes" if self.over.high <= self.alpha else "open"


def study_cells(found: StudyRuns, *, level: float = 0.95) -> list[StudyCell]:
    """Return every outcome of every cell, cell by cell.

    Parameters
    ----------
    found : StudyRuns
        What came of the study.
    level : float, default 0.95
        Of all intervals.

    Returns
    -------
    list of StudyCell
    """
    study, levers = found.study, found.study.cell_levers()
    rows = [
        _row(found, cell, levers[cell], aim, level)
        for cell in range(len(levers))
        for aim in study.aims
    ]
    if study.stop is not None:
        return [_sequential(row, found, study.stop, level) for row in rows]
    claimed = judged_cells(found, level=level)
    return [_judged(row, claimed) for row in rows]


def holds(cells: Sequence[StudyCell]) -> bool:
    """Tell whether every cell is within every budget."""
    return all(cell.is_within is not False for cell in cells)


def _row(found: StudyRuns, cell: int, levers: dict[str, Any], aim: Aim, level: float) -> StudyCell:
    by_point = found.of_cell(cell)
    runs = [run for several in by_point for run in several]
    values = _values(runs, aim.outcome)
    failed = sum(bool(run.error) for run in runs)
    over = share_estimate(0, 0, level=level)
    if aim.budget is not None:
        over = share_estimate(int((~(values <= aim.budget)).sum()), len(runs), level=level)
    return StudyCell(
        cell,
        levers,
        aim.outcome,
        unit_of(aim.outcome),
        mean_estimate(values, level=level),
        failed,
        aim.budget,
        aim.alpha,
        over,
        n_seeds=len(by_point[0]),
        is_control=cell == found.study.control,
    )


def _values(runs: Sequence[Replicate], outcome: str) -> F64:
    return np.array([run.outcomes.get(outcome, np.nan) for run in runs], np.float64)


def _judged(row: StudyCell, claimed: Mapping[tuple[int, str], Any]) -> StudyCell:
    claim = claimed.get((row.cell, row.outcome))
    if claim is None:
        return row
    return replace(
        row,
        difference=claim.difference,
        correlation=claim.correlation,
        p=claim.p,
        noise=claim.noise,
        word=claim.word,
    )


def _sequential(row: StudyCell, found: StudyRuns, rule: StopRule, level: float) -> StudyCell:
    """Return a row with intervals that hold although the runs chose n, or with none."""
    runs, n = found.of_cell(row.cell), row.n_seeds
    sequence = mean_interval(rule, runs, level) if row.outcome == rule.outcome else None
    mean = replace(row.mean, low=math.nan, high=math.nan)
    over = row.over
    if row.budget is not None:
        over = share_sequence(runs, row.outcome, row.budget, level).at(n)
    stop = stop_of(rule, runs)
    return replace(
        row,
        mean=mean if sequence is None else sequence.at(n),
        over=over,
        stopped=_UNTOLD if stop is None else stop.reason,
    )
