"""Jobs, here or in other processes: the same results in the same order, whatever runs them.

The one pool of the package. What stressbook raises on purpose ends one job, not the others; Ctrl-C
ends all at once, in the middle of what they do; own classes are imported where they are needed.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    as_completed,
)
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any, Final, Protocol, TypeVar

from stressbook.errors import InvalidInput, StressbookError
from stressbook.experiments.plugins import PluginSource, load_sources
from stressbook.experiments.run import Progress

__all__ = ["Failure", "map_jobs", "map_missing", "require_whole"]

_MOST_TOLD: Final = 5  # failures that a message spells out
_DIED_EARLY: Final = "died before any run had ended"
_GUARD: Final = (
    'a script keeps what it runs below `if __name__ == "__main__":`, and is a file, not standard '
    "input; else memory may have run out: ask for fewer workers"
)
J_contra = TypeVar("J_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Failure:
    """What is left of a job that did not end.

    Parameters
    ----------
    error : str
        Kind and message.
    """

    error: str


class Function(Protocol[J_contra, R_co]):
    """What runs a job, at the top of a module; told of its progress where it runs here."""

    def __call__(self, job: J_contra, progress: Progress | None = None, /) -> R_co: ...


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
    if workers < 1:
        raise InvalidInput("is too small", name="workers", value=workers, allowed="1 or more")
    share = _Share(progress, n_before, len(jobs))
    found: dict[int, ResultT | Failure] = {}

    def keep(rank: int, result: ResultT | Failure) -> None:
        found[rank] = result
        if finished is not None:
            finished(rank, result)
        share.finish()

    if executor is not None:
        _collect(executor, _packed(function, jobs, sources), sources, keep)
    elif workers == 1 or len(jobs) < 2:
        for rank, job in enumerate(jobs):
            keep(rank, _caught(function, job, share.part))
    else:
        _in_processes(min(workers, len(jobs)), _packed(function, jobs, sources), sources, keep)
    return [found[rank] for rank in range(len(jobs))]


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


class _Share:
    """Turns finished jobs, and parts of one, into a share."""

    def __init__(self, progress: Progress | None, n_before: int, n_jobs: int) -> None:
        self._progress, self._done = progress, n_before
        self._total = max(n_before + n_jobs, 1)
        self.part(0.0)

    def part(self, share: float) -> None:
        if self._progress is not None:
            self._progress((self._done + share) / self._total)

    def finish(self) -> None:
        self._done += 1
        self.part(0.0)


def _caught(
    function: Function[JobT, ResultT], job: JobT, progress: Progress | None
) -> ResultT | Failure:
    """Run one job; what stressbook raises on purpose becomes the result."""
    try:
        return function(job, progress)
    except StressbookError as error:
        return Failure(f"{type(error).__name__}: {error}")


def _packed(
    function: Function[Any, Any], jobs: Sequence[Any], sources: Sequence[PluginSource]
) -> list[bytes]:
    """Return jobs as they are sent: the files of own classes have to be imported first."""
    typed = [source.module for source in sources if source.path is None]
    try:
        if not typed:
            return [pickle.dumps((function, job)) for job in jobs]
    except (pickle.PicklingError, AttributeError) as error:
        typed = [str(error)]
    raise InvalidInput(
        "cannot be found by other processes",
        name="own class",
        value=", ".join(typed),
        allowed="classes at the top of a file",
        hint="put the class into a file that is imported, or use workers=1",
    )


def _in_processes(
    n_workers: int,
    sent: Sequence[bytes],
    sources: Sequence[PluginSource],
    keep: Callable[[int, Any], None],
) -> None:
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # A script without a guard, imported by a worker that it has started: the traceback that
        # multiprocessing would print tells less than what the parent says of the worker's end.
        raise SystemExit(1)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(n_workers, mp_context=context, initializer=_begin_worker)
    try:
        _collect(pool, sent, sources, keep)
    except BaseException:
        _stop(pool)
        raise
    pool.shutdown()


def _collect(
    executor: Executor,
    sent: Sequence[bytes],
    sources: Sequence[PluginSource],
    keep: Callable[[int, Any], None],
) -> None:
    # Workers start at these calls, and would inherit a handler that prints a traceback.
    with _interrupts_held():
        futures: dict[Future[Any], int] = {
            executor.submit(_run_elsewhere, tuple(sources), packed): rank
            for rank, packed in enumerate(sent)
        }
    n_ended = 0
    for future in as_completed(futures):
        try:
            result = future.result()
            n_ended += 1
        except BrokenExecutor:
            if n_ended == 0:
                raise StressbookError(_DIED_EARLY, name="workers", hint=_GUARD) from None
            result = Failure("the process that ran it died")
        keep(futures[future], result)


def _run_elsewhere(sources: tuple[PluginSource, ...], packed: bytes) -> Any:
    load_sources(sources)
    function, job = pickle.loads(packed)
    return _caught(function, job, None)


def _begin_worker() -> None:
    """Leave Ctrl-C, which the terminal sends to every process, to the one that started this.

    And end with it: a worker whose parent was killed would wait for work for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _stop(pool: ProcessPoolExecutor) -> None:
    """End workers in the middle of their runs: nothing of them would be kept."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
