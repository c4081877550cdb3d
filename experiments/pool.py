"""Jobs, here or in other processes: the same results in the same order, whatever runs them.

The one pool of the package. What stressbook raises on purpose ends one job, not the others; Ctrl-C
ends all at once, in the middle of what they do; own classes are imported where they are needed. A
job whose worker dies is tried again in a fresh one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from typing import Final, TypeVar

from stressbook.errors import InvalidInput, StressbookError
from stressbook.experiments.executors import on_executor, width_of
from stressbook.experiments.packed_jobs import Failure, Function, Packed, caught, require_files
from stressbook.experiments.plugins import PluginSource
from stressbook.experiments.progress import Progress, Share
from stressbook.experiments.workers import Crew, InProcesses

__all__ = [
    "Crew",
    "Failure",
    "Function",
    "each_job",
    "map_jobs",
    "map_missing",
    "require_whole",
    "width_of",
]

_MOST_TOLD: Final = 5  # failures that a message spells out
_MOST_KILLS: Final = 3  # workers that a job may take with it
JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


def map_jobs(
    function: Function[JobT, ResultT],
    jobs: Sequence[JobT],
    *,
    workers: int = 1,
    sources: Sequence[PluginSource] = (),
    executor: Executor | None = None,
    finished: Callable[[int, ResultT | Failure], None] | None = None,
    progress: Progress | None = None,
    n_before: int = 0,
) -> list[ResultT | Failure]:
    """Return what each job came to, in order.

    Parameters
    ----------
    function : callable
        Called with a job, and with a callable for the share of it that is done or None.
    jobs : sequence
        Its arguments.
    workers : int, default 1
        Processes; 1 runs all here.
    sources : sequence of PluginSource
        Files of own classes, which other processes import first.
    executor : concurrent.futures.Executor, optional
        Runs the jobs instead of own processes; `workers` is not read then.
    finished : callable, optional
        Called here with the rank of each job and its result, as they come.
    progress : callable, optional
        Called with the share that is done.
    n_before : int, default 0
        Jobs that a former call has finished, which count as done.

    Returns
    -------
    list
        Results; a `Failure` where stressbook raised an error, or where the process died.

    Raises
    ------
    InvalidInput
        If `workers` is below 1, or own classes that no file holds should go to another process.
    StressbookError
        If processes die before any job has ended.

    Examples
    --------
    >>> map_jobs(lambda job, progress=None: abs(job), [-2, 1])
    [2, 1]
    """
    share = Share(progress, n_before + len(jobs), n_done=n_before)
    found: dict[int, ResultT | Failure] = {}
    if len(jobs) < 2:
        workers = min(workers, 1)  # a process would start for it alone
    results = each_job(
        function, jobs, workers=workers, sources=sources, executor=executor, part=share.part
    )
    with closing(results):
        for rank, result in results:
            found[rank] = result
            if finished is not None:
                finished(rank, result)
            share.add()
    return [found[rank] for rank in range(len(jobs))]


def each_job(
    function: Function[JobT, ResultT],
    jobs: Sequence[JobT],
    *,
    workers: int = 1,
    sources: Sequence[PluginSource] = (),
    executor: Executor | None = None,
    started: Callable[[int], None] | None = None,
    part: Progress | None = None,
    most_kills: int = _MOST_KILLS,
    crew: Crew | None = None,
) -> Generator[tuple[int, ResultT | Failure], None, None]:
    """Give rank and result of each job as they come; only those that run are held in memory.

    Parameters
    ----------
    function, jobs, workers, sources, executor
        As of `map_jobs`.
    started : callable, optional
        Called here with the rank of each job that begins, or is handed to the executor.
    part : callable, optional
        Called with the share of a job that is done, where it runs here.
    most_kills : int, default 3
        Workers that a job may take with it before it is given up.
    crew : Crew, optional
        Own processes that a former call has started, or a later one is to find.

    Yields
    ------
    (int, object)
        A `Failure` where stressbook raised an error, or where processes died.

    Raises
    ------
    InvalidInput, StressbookError
        As of `map_jobs`.
    """
    if workers < 1:
        raise InvalidInput("is too small", name="workers", value=workers, allowed="1 or more")
    begin = started if started is not None else _nothing
    if executor is not None:
        require_files(sources)
        yield from on_executor(executor, Packed(function, jobs, sources), begin)
    elif workers == 1:
        for rank, job in enumerate(jobs):
            begin(rank)
            yield rank, caught(function, job, part)
    else:
        require_files(sources)
        packed = Packed(function, jobs, sources)
        yield from InProcesses(min(workers, len(jobs)), packed, begin, most_kills, crew).run()


def map_missing(
    function: Function[JobT, ResultT],
    jobs: Sequence[JobT],
    *,
    kept: Callable[[JobT], ResultT | None],
    keep: Callable[[JobT, ResultT | Failure], ResultT | Failure],
    workers: int = 1,
    sources: Sequence[PluginSource] = (),
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> list[ResultT | Failure]:
    """Return what each job came to, in order; what a former call has left is not run again.

    Parameters
    ----------
    function, jobs, workers, sources, executor, progress
        As of `map_jobs`.
    kept : callable
        Called with a job; returns what is left of it, None if it has to be run.
    keep : callable
        Called with a job and its result as soon as it is there; returns the result.

    Returns
    -------
    list
        As of `map_jobs`.

    Raises
    ------
    InvalidInput, StressbookError
        As of `map_jobs`.

    Examples
    --------
    >>> left = {-2: 2}
    >>> map_missing(lambda job, progress=None: abs(job), [-2, 1], kept=left.get,
    ...             keep=lambda job, result: left.setdefault(job, result))
    [2, 1]
    >>> left
    {-2: 2, 1: 1}
    """
    found = {i: one for i, job in enumerate(jobs) if (one := kept(job)) is not None}
    results: dict[int, ResultT | Failure] = dict(found)
    missing = [i for i in range(len(jobs)) if i not in found]

    def finished(rank: int, result: ResultT | Failure) -> None:
        results[missing[rank]] = keep(jobs[missing[rank]], result)

    map_jobs(
        function,
        [jobs[i] for i in missing],
        workers=workers,
        sources=sources,
        executor=executor,
        finished=finished,
        progress=progress,
        n_before=len(found),
    )
    return [results[i] for i in range(len(jobs))]


def require_whole(found: Sequence[ResultT | Failure], names: Sequence[str]) -> list[ResultT]:
    """Return results, if all jobs ended.

    Parameters
    ----------
    found : sequence
        As of `map_jobs`.
    names : sequence of str
        Of the jobs, for the message.

    Returns
    -------
    list

    Raises
    ------
    StressbookError
        With how many failed, and the first few of them with the reason.

    Examples
    --------
    >>> require_whole([2, Failure("LadderExhausted: left")], ["seed 1", "seed 2"])
    Traceback (most recent call last):
    ...
    stressbook.errors.StressbookError: 1 of 2 runs failed
    seed 2: LadderExhausted: left.
    """
    failed = [
        f"{name}: {one.error}"
        for name, one in zip(names, found, strict=True)
        if isinstance(one, Failure)
    ]
    if failed:
        lead = f"{len(failed)} of {len(found)} runs failed"
        raise StressbookError("\n".join([lead, *failed[:_MOST_TOLD]]).rstrip("."))
    return [one for one in found if not isinstance(one, Failure)]


def _nothing(_rank: int) -> None:
    pass
