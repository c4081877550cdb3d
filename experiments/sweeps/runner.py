"""Runs what is missing: on this process, on own ones or on any executor, and survives their end.

Cells that share a warm-up go together. A worker that dies costs the cells that it ran; each of them
is then tried alone, in a fresh worker, and one that kills three is marked as failed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stressbook.experiments.plugins import PluginSource, plugin_sources
from stressbook.experiments.pool import Crew, Failure, Function, each_job, width_of
from stressbook.experiments.progress import Progress, Share
from stressbook.experiments.sweeps.cell import Job, Replicate, keys_of
from stressbook.experiments.sweeps.cell_run import run_together
from stressbook.experiments.sweeps.index import Index
from stressbook.experiments.sweeps.warm_up import Contents, warm_key

__all__ = ["MOST_KILLS", "CellsFunction", "run_cells", "run_jobs"]

MOST_KILLS: Final = 3
_MOST_TOGETHER: Final = 16  # what a killed worker costs at most

# What runs cells that share a warm-up.
CellsFunction = Function[Sequence[Job], Sequence[Replicate]]


@dataclass(frozen=True)
class _Timed:
    """Runs cells and takes the time, where they run."""

    function: CellsFunction

    def __call__(
        self, jobs: tuple[Job, ...], progress: Progress | None = None, /
    ) -> tuple[tuple[Replicate, ...], float]:
        start_s = time.monotonic()
        found = tuple(self.function(jobs, progress))
        return found, (time.monotonic() - start_s) / len(jobs)


def run_jobs(
    jobs: Sequence[Job],
    *,
    workers: int = 1,
    folder: Path | None = None,
    index: Index | None = None,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> list[Replicate]:
    """Run jobs, one failure not stopping the others.

    Parameters
    ----------
    jobs : sequence of Job
        In the order of the results.
    workers : int, default 1
        Processes; 1 runs all here.
    folder : Path, optional
        Its index keeps each finished run; those of a former call that would come out the same now
        are read instead of run.
    index : Index, optional
        Of the folder, where the caller holds it for more than these jobs.
    progress : callable, optional
        Called with the share that is done.
    executor : concurrent.futures.Executor, optional
        Runs the jobs instead of own processes; `workers` is not read then.

    Returns
    -------
    list of Replicate
        One for each job.

    Raises
    ------
    InvalidInput
        If `workers` is below 1, or own classes that no file holds should go to another process; if
        another process runs jobs in the same folder.
    StressbookError
        If the index cannot be written, or processes do not start.
    """
    with Index(folder) if index is None else nullcontext(index) as held:
        keys = keys_of(jobs)
        run_cells(jobs, keys, held, workers=workers, progress=progress, executor=executor)
        return held.runs(keys)


def run_cells(
    jobs: Sequence[Job],
    keys: Sequence[str],
    index: Index,
    *,
    workers: int = 1,
    progress: Progress | None = None,
    executor: Executor | None = None,
    function: CellsFunction = run_together,
    crew: Crew | None = None,
) -> None:
    """Run those cells that an index does not hold, and keep them there.

    Parameters
    ----------
    jobs, keys : sequence
        Cells, and the key of each.
    index : Index
        Open for writing.
    workers, progress, executor
        As of `run_jobs`.
    function : callable
        Called with cells that share a warm-up; returns a Replicate of each.
    crew : Crew, optional
        Own processes that stay for the next call.
    """
    index.queue(keys, jobs)
    missing = index.waiting(keys)
    share = Share(progress, len(jobs), n_done=len(jobs) - len(missing))
    run = _Run(jobs, keys, index, _Timed(function), workers, executor, share, crew)
    width = workers if executor is None else width_of(executor) or 1
    killed = run.tasks(_grouped(jobs, missing, width), most_kills=1)
    if killed:
        run.tasks([(rank,) for rank in killed], most_kills=MOST_KILLS - 1)


@dataclass(frozen=True)
class _Run:
    """One call of `run_cells`."""

    jobs: Sequence[Job]
    keys: Sequence[str]
    index: Index
    function: _Timed
    workers: int
    executor: Executor | None
    share: Share
    crew: Crew | None

    def tasks(self, tasks: Sequence[tuple[int, ...]], *, most_kills: int) -> list[int]:
        """Run cells by rank, task by task; return those whose worker died, to be run alone."""
        killed: list[int] = []
        results = each_job(
            self.function,
            [tuple(self.jobs[rank] for rank in ranks) for ranks in tasks],
            workers=self.workers,
            sources=_sources(self.jobs, tasks),
            executor=self.executor,
            started=lambda task: self._start(tasks[task]),
            part=self.share.part,
            most_kills=most_kills,
            crew=self.crew,
        )
        with closing(results):
            for task, result in results:
                ranks = tasks[task]
                if isinstance(result, Failure) and result.is_killed and most_kills == 1:
                    self.index.wait_again(self._keys(ranks))
                    killed += ranks
                    continue
                self._keep(ranks, result)
                self.share.add(len(ranks))
        return killed

    def _keys(self, ranks: Sequence[int]) -> list[str]:
        return [self.keys[rank] for rank in ranks]

    def _start(self, ranks: Sequence[int]) -> None:
        self.share.n_running = len(ranks)
        self.index.start(self._keys(ranks))

    def _keep(
        self, ranks: Sequence[int], result: tuple[tuple[Replicate, ...], float] | Failure
    ) -> None:
        if isinstance(result, Failure):
            runs = tuple(Replicate(self.jobs[rank].seed, "", {}, result.error) for rank in ranks)
            result = runs, 0.0
        self.index.finish(self._keys(ranks), *result)


def _sources(jobs: Sequence[Job], tasks: Sequence[tuple[int, ...]]) -> tuple[PluginSource, ...]:
    scenarios = {id(jobs[rank].scenario): jobs[rank].scenario for task in tasks for rank in task}
    found = (source for scenario in scenarios.values() for source in plugin_sources(scenario))
    return tuple(dict.fromkeys(found))


def _grouped(jobs: Sequence[Job], ranks: Sequence[int], workers: int) -> list[tuple[int, ...]]:
    """Return cells as tasks: those of one warm-up together, but enough tasks for all workers."""
    contents = Contents()
    groups: dict[object, list[int]] = {}
    for rank in ranks:
        groups.setdefault(warm_key(jobs[rank], contents) or rank, []).append(rank)
    most = (
        min(_MOST_TOGETHER, max(1, len(ranks) // (2 * workers))) if workers > 1 else _MOST_TOGETHER
    )
    return [part for group in groups.values() for part in _parts(group, most)]


def _parts(group: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
    for first in range(0, len(group), most):
        yield tuple(group[first : first + most])
