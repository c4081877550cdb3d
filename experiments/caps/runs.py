"""Runs of a cap study: a table of seeds and values, and what each outcome came to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stressbook.errors import InvalidScenario
from stressbook.experiments.caps.demand import Demand, demand_changes
from stressbook.experiments.caps.episodes import Changes
from stressbook.experiments.caps.law import episode_seed
from stressbook.experiments.caps.study import CapStudy
from stressbook.experiments.progress import Progress
from stressbook.experiments.sweeps.cell import Job, Replicate
from stressbook.experiments.sweeps.cell_run import BOOKED
from stressbook.experiments.sweeps.index import Index
from stressbook.experiments.sweeps.runner import run_jobs
from stressbook.market.compiling.arrays import F64

__all__ = ["Asked", "Runner", "Runs"]

PROPOSAL = "proposal"
_REFUSED = InvalidScenario.__name__


@dataclass(frozen=True)
class Asked:
    """One column of a table: what is run on every seed.

    Parameters
    ----------
    label : str
        Under which `status` counts it.
    value : float
        Of the lever.
    demand : str
        Who borrows.
    changes : Changes
        On top.
    """

    label: str
    value: float
    demand: Demand
    changes: Changes


@dataclass(frozen=True)
class Runs:
    """Episodes of one column, in seed order.

    Parameters
    ----------
    seeds : tuple of int
        Of the episodes.
    outcomes : dict of str to ndarray of float64, shape (n,)
        By name; NaN of a run that crashed.
    errors : dict of str to int
        Why runs crashed, and how many.
    refused : frozenset of int
        Seeds whose opening was refused: a cap that could not be filled.
    """

    seeds: tuple[int, ...]
    outcomes: dict[str, F64]
    errors: dict[str, int]
    refused: frozenset[int] = frozenset()

    @property
    def n(self) -> int:
        """Episodes."""
        return len(self.seeds)

    @property
    def n_crashed(self) -> int:
        """Those of them that crashed."""
        return sum(self.errors.values())

    def of(self, name: str) -> F64:
        """Return an outcome by seed; all NaN if every run crashed."""
        return self.outcomes.get(name, np.full(self.n, np.nan))

    def failed(self, name: str, budget: float) -> list[bool]:
        """Return which episodes failed: above the budget, or crashed."""
        return [not value <= budget for value in self.of(name).tolist()]

    def opened(self) -> Runs:
        """Return the episodes whose opening was not refused."""
        kept = [k for k, seed in enumerate(self.seeds) if seed not in self.refused]
        return Runs(
            tuple(self.seeds[k] for k in kept),
            {name: values[kept] for name, values in self.outcomes.items()},
            {why: n for why, n in self.errors.items() if not why.startswith(_REFUSED)},
        )


class Runner:
    """Makes the runs of a study in one folder, each once.

    Parameters
    ----------
    study : CapStudy
        Resolved.
    folder : Path, optional
        With the index of finished runs.
    index : Index
        Of the folder: held for the whole study, so that nobody takes it between two tables.
    workers : int
        Processes.
    executor : concurrent.futures.Executor, optional
        Instead of own processes.
    progress : callable, optional
        Told the share that is done.
    expected : int
        Runs of the whole study, as far as one can say before.
    """

    def __init__(
        self,
        study: CapStudy,
        *,
        folder: Path | None,
        index: Index,
        workers: int,
        executor: Executor | None,
        progress: Progress | None,
        expected: int,
    ) -> None:
        self.study, self.folder, self.workers = study, folder, workers
        self.index = index
        self.executor, self.progress, self.expected = executor, progress, max(expected, 1)
        self.episodes = study.episodes()
        self.n_done = 0
        self._spec = study.scenario.venue_spec()

    def seeds(self, purpose: str, n: int) -> tuple[int, ...]:
        """Return the seeds of a purpose."""
        return tuple(episode_seed(self.study.seed, purpose, i) for i in range(n))

    def job(self, asked: Asked, seed: int, *, decided: bool = False) -> Job:
        """Return one episode as it is run; `decided`: it may stop where it can only fail.

        Of outcomes that may still fall nothing is decided before the end.
        """
        outcome = self.study.outcome
        changes = demand_changes(asked.demand, self.study.cap.lever, asked.value, self._spec)
        return Job(
            self.episodes.scenario(seed, changes | asked.changes),
            seed,
            label=asked.label,
            run_on_s=self.study.law.run_on_s,
            decided=(outcome.name, outcome.budget) if decided and outcome.name in BOOKED else None,
            levers=((self.study.cap.lever, asked.value),),
        )

    def run(
        self, columns: Sequence[Asked], seeds: Sequence[int], *, decided: bool = False
    ) -> list[Runs]:
        """Run every column on every seed; a crashed run counts, and is not drawn again."""
        jobs = [self.job(asked, seed, decided=decided) for asked in columns for seed in seeds]
        found = run_jobs(
            jobs,
            workers=self.workers,
            folder=self.folder,
            index=self.index,
            progress=self._told(len(jobs)),
            executor=self.executor,
        )
        self.n_done += len(jobs)
        n = len(seeds)
        return [_table(found[k * n : (k + 1) * n]) for k in range(len(columns))]

    def _told(self, n: int) -> Callable[[float], None] | None:
        if self.progress is None:
            return None
        tell, before, total = self.progress, self.n_done, max(self.expected, self.n_done + n)
        return lambda share: tell(min((before + share * n) / total, 1.0))


def _table(found: Sequence[Replicate]) -> Runs:
    names = dict.fromkeys(name for run in found for name in run.outcomes)
    errors: dict[str, int] = {}
    for run in found:
        if run.error:
            errors[run.error] = errors.get(run.error, 0) + 1
    return Runs(
        tuple(run.seed for run in found),
        {name: np.array([run.outcomes.get(name, math.nan) for run in found]) for name in names},
        errors,
        frozenset(run.seed for run in found if run.error.startswith(_REFUSED)),
    )
