"""Jobs in other processes: results in the order of the jobs, whatever the number of workers."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

from stressbook.errors import InvalidInput

__all__ = ["map_jobs"]

Job = TypeVar("Job")
Result = TypeVar("Result")


def map_jobs(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int = 1,
    progress: Callable[[float], None] | None = None,
) -> list[Result]:
    """Return the result of each job, in order.

    Parameters
    ----------
    function : callable
        At the top of a module, so that other processes can find it.
    jobs : sequence
        Its arguments.
    workers : int, default 1
        Processes; 1 runs all here.
    progress : callable, optional
        Called with the share that is done.

    Returns
    -------
    list

    Raises
    ------
    InvalidInput
        If `workers` is below 1.

    Examples
    --------
    >>> map_jobs(abs, [-2, 1])
    [2, 1]
    """
    if workers < 1:
        raise InvalidInput("is too small", name="workers", value=workers, allowed="1 or more")
    told = progress if progress is not None else _nothing
    told(0.0)
    if workers == 1 or len(jobs) < 2:
        return _map_here(function, jobs, told)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        min(workers, len(jobs)), mp_context=context, initializer=_ignore_interrupts
    )
    with pool:
        try:
            futures = [pool.submit(function, job) for job in jobs]
            for done, _ in enumerate(as_completed(futures), start=1):
                told(done / len(jobs))
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _map_here(
    function: Callable[[Job], Result], jobs: Sequence[Job], told: Callable[[float], None]
) -> list[Result]:
    found: list[Result] = []
    for job in jobs:
        found.append(function(job))
        told(len(found) / len(jobs))
    return found


def _nothing(_share: float) -> None:
    return None


def _ignore_interrupts() -> None:
    """Leave Ctrl-C, which the terminal sends to every process, to the one that started this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
