"""What a cap study came to: every run that was shown, and what is read from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np

from stressbook.experiments.caps.absorption import Absorption
from stressbook.experiments.caps.draw_bins import N_BINS, draw_bins
from stressbook.experiments.caps.runs import Runs
from stressbook.experiments.caps.study import CapStudy, OutcomeParams, RowParams
from stressbook.experiments.statistics.binding import Binding, platform_binding, user_binding
from stressbook.experiments.statistics.break_even import BreakEven
from stressbook.experiments.statistics.certificate import Judgement
from stressbook.experiments.statistics.critical_caps import CriticalCaps, Proposal, read_caps
from stressbook.experiments.statistics.exact import share_estimate, upper_bound
from stressbook.experiments.statistics.paired import ComparedRow
from stressbook.experiments.statistics.staircase import Staircase
from stressbook.market.compiling.arrays import F64

__all__ = ["Attempt", "BindingStress", "CapAnswer", "CapGrid", "RowAnswer", "largest_clear"]

FAILED_ENOUGH: Final = 6  # seeds, to tell what they fail by


@dataclass(frozen=True)
class CapGrid:
    """A grid of caps under one demand.

    Parameters
    ----------
    demand : str
        Who borrows.
    values : tuple of float
        Of the lever, rising.
    runs : tuple of Runs
        One for each value, on the same seeds.
    """

    demand: str
    values: tuple[float, ...]
    runs: tuple[Runs, ...]

    def table(self, outcome: str) -> F64:
        """Return an outcome, shape (n_seeds, n_values); NaN of crashed runs."""
        return np.stack([runs.of(outcome) for runs in self.runs], axis=1)

    def critical(self, outcome: str, budget: float) -> CriticalCaps:
        """Return what each seed still bears."""
        return read_caps(self.table(outcome), self.values, budget)

    def binding(self, lever: str) -> Binding:
        """Return where the cap binds, by debts and by opening books that it rations."""
        if ".user_" in lever:
            return user_binding(self.table("user_cap_bound") > 0.0, self.values)
        rationed = self.table("platform_cap_bound") > 0.0
        return platform_binding(self.table("peak_borrowed_usd"), self.values, rationed)


@dataclass(frozen=True)
class Attempt:
    """A certificate at one cap.

    Parameters
    ----------
    value : float
        Of the lever.
    judgement : Judgement
        By its plan.
    runs : Runs
        On seeds of its own.
    """

    value: float
    judgement: Judgement
    runs: Runs

    def upper(self, outcome: OutcomeParams) -> float:
        """Return the exact upper bound on P(failure) of all its episodes, whose n was planned."""
        confidence = self.judgement.plan.attempt_confidence
        return upper_bound(outcome.n_failed(self.runs), self.runs.n, confidence=confidence)


@dataclass(frozen=True)
class RowAnswer:
    """One thing varied, on the seeds of the proposal.

    Parameters
    ----------
    about : RowParams
        As in the study.
    value : float
        Of the lever.
    runs : Runs
        In seed order; empty if it cannot be run.
    compared : ComparedRow, optional
        Beside the default row.
    infeasible : str
        Why it cannot be run; empty if it can.
    note : str
        What its numbers leave out.
    """

    about: RowParams
    value: float
    runs: Runs
    compared: ComparedRow | None
    infeasible: str = ""
    note: str = ""


@dataclass(frozen=True)
class BindingStress:
    """Which element of the law clears how many failed seeds when it is taken away.

    Parameters
    ----------
    value : float
        Of the lever: the smallest of the grid with failures enough.
    n_failed : int
        Seeds that fail there.
    cleared : dict of str to int
        By element, those that pass without it; seeds in which it did not act cannot be cleared.
    """

    value: float
    n_failed: int
    cleared: dict[str, int]

    @property
    def name(self) -> str:
        """The element that clears most; empty if none clears any."""
        best = max(self.cleared, key=lambda name: self.cleared[name], default="")
        return best if best and self.cleared[best] > 0 else ""


@dataclass(frozen=True)
class CapAnswer:
    """The whole answer.

    Parameters
    ----------
    study : CapStudy
        What was asked.
    grids : dict of str to CapGrid
        By demand; the first is that of the answer.
    proposal : Proposal
        From the first seeds.
    attempts : tuple of Attempt
        Certificates, the last one first to pass; none where nothing is proposed.
    rows : tuple of RowAnswer
        At the certified cap, or the one last tried.
    zero : Runs
        The same episodes with nobody borrowing.
    binding : BindingStress, optional
        Where any seed fails.
    break_even : BreakEven, optional
        Of absorption, where a cap was tried.
    absorption : Absorption, optional
        At multiplier 1, in the seed with median depth.
    step_limit : float
        Largest raise of the present value without a failure, at most double; NaN if it fails.
    pairs : Staircase, optional
        Of two caps, where a second one is decided.
    n_runs : int
        Episodes that the answer rests on.
    run_s : float
        Mean time of one where it ran, s; of this machine.
    absorption_at_break_even : Absorption, optional
        As `absorption`, at the multiplier of the break-even; None where that is out of range.
    """

    study: CapStudy
    grids: dict[str, CapGrid]
    proposal: Proposal
    attempts: tuple[Attempt, ...]
    rows: tuple[RowAnswer, ...]
    zero: Runs
    binding: BindingStress | None
    break_even: BreakEven | None
    absorption: Absorption | None
    step_limit: float
    pairs: Staircase | None
    n_runs: int
    run_s: float
    absorption_at_break_even: Absorption | None = None

    @property
    def grid(self) -> CapGrid:
        """The grid of the answer."""
        return next(iter(self.grids.values()))

    @property
    def last(self) -> Attempt | None:
        """The attempt at the cap last tried, if any was."""
        return self.attempts[-1] if self.attempts else None

    @property
    def certified(self) -> Attempt | None:
        """The certificate, if there is one."""
        last = self.last
        return last if last is not None and last.judgement.word == "certified" else None

    @property
    def critical(self) -> CriticalCaps:
        """What each seed still bears."""
        return self.critical_of(self.grid)

    def critical_of(self, grid: CapGrid) -> CriticalCaps:
        """Return what each seed still bears under a demand."""
        outcome = self.study.outcome
        return grid.critical(outcome.name, outcome.budget)

    @property
    def largest_that_holds(self) -> float:
        """Largest value of the grid up to which no episode fails; NaN if the first has one."""
        return largest_clear(self.grid, self.study.outcome)

    def column(self, value: float) -> Runs | None:
        """Return the runs of a value of the answer's grid."""
        found = dict(zip(self.grid.values, self.grid.runs, strict=True))
        return found.get(value)

    def at_tried(self) -> Runs | None:
        """Return all episodes at the cap last tried: those of the proposal and its certificate."""
        last = self.last
        if last is None:
            return None
        first = self.column(last.value)
        return last.runs if first is None else joined(first, last.runs)

    def with_failures(self) -> tuple[float, Runs] | None:
        """Return the smallest cap, from the one last tried on, with failures enough to be sorted.

        With its episodes. Where none has so many, the one with most; None if none fails, or no cap
        was tried.
        """
        last, tried = self.last, self.at_tried()
        if last is None or tried is None:
            return None
        above = zip(self.grid.values, self.grid.runs, strict=True)
        columns = [(last.value, tried), *((v, runs) for v, runs in above if v > last.value)]
        counts = [self.study.outcome.n_failed(runs) for _, runs in columns]
        enough = min(FAILED_ENOUGH, max(counts))
        return columns[next(k for k, n in enumerate(counts) if n >= enough)] if enough else None

    def failures_by(self, names: tuple[str, str], *, n_bins: int = N_BINS) -> list[dict[str, Any]]:
        """Table failures by two draws, at the cap that `with_failures` finds.

        Parameters
        ----------
        names : (str, str)
            Of two draws.
        n_bins : int, default 4
            Of equal width over the range of each.

        Returns
        -------
        list of dict
            Bounds of both draws, failures, n, share with exact bounds; none without failures.
        """
        found = self.with_failures()
        if found is None:
            return []
        _, runs = found
        failed = np.array(self.study.outcome.failed(runs))
        first, second = (draw_bins(self.study.law, name, runs.seeds, n=n_bins) for name in names)
        rows = []
        for i, j in product(range(n_bins), repeat=2):
            inside = (first.rank == i) & (second.rank == j)
            share = share_estimate(int(failed[inside].sum()), int(inside.sum()))
            rows.append(
                {
                    **first.ends(i),
                    **second.ends(j),
                    "failures": int(failed[inside].sum()),
                    "n": int(inside.sum()),
                    "share": share.value,
                    "low": share.low,
                    "high": share.high,
                }
            )
        return rows


def largest_clear(grid: CapGrid, outcome: OutcomeParams, *, most: float = math.inf) -> float:
    """Return the largest value of a grid, up to `most`, at and below which no episode fails.

    A value that passes above one that fails is none: it would flatter, as of single seeds.
    """
    found = math.nan
    for value, runs in zip(grid.values, grid.runs, strict=True):
        if value > most or outcome.n_failed(runs):
            break
        found = value
    return found


def joined(first: Runs, second: Runs) -> Runs:
    """Return the episodes of two columns one after the other."""
    names = dict.fromkeys([*first.outcomes, *second.outcomes])
    errors = dict(first.errors)
    for why, n in second.errors.items():
        errors[why] = errors.get(why, 0) + n
    return Runs(
        (*first.seeds, *second.seeds),
        {name: np.concatenate([first.of(name), second.of(name)]) for name in names},
        errors,
    )
