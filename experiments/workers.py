"""Own processes that run jobs, one at a time in each.

Each worker is a pool of one process, so that one that dies takes nothing with it but its job, which
a fresh one tries again.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any, Final, Self

from stressbook.errors import StressbookError
from stressbook.experiments.interrupts import interrupts_held
from stressbook.experiments.packed_jobs import Failure, Packed, run_packed

__all__ = ["Crew", "InProcesses"]

_MOST_STARTS: Final = 3  # of a worker that dies before it begins
_AGAIN: Final = object()  # in place of a result: the job is tried again
_DIED_EARLY: Final = "died before any run had ended"
_GUARD: Final = (
    'a script keeps what it runs below `if __name__ == "__main__":`, and is a file, not standard '
    "input; else memory may have run out: ask for fewer workers"
)


class _Worker:
    """A process of its own, started at its first job and again after it has died."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._ready: Future[None] | None = None
        self._process: BaseProcess | None = None

    def submit(self, packed: Packed, rank: int) -> Future[Any]:
        """Hand over a job."""
        # The process starts here, and would inherit a handler that prints a traceback.
        with interrupts_held():
            try:
                return self._submit(packed, rank)
            except BrokenExecutor:  # killed between two jobs
                self.drop()
                return self._submit(packed, rank)

    def _submit(self, packed: Packed, rank: int) -> Future[Any]:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_begin_worker)
            self._ready = self._pool.submit(_ready)
            self._process = next(iter(self._pool._processes.values()))
        return self._pool.submit(run_packed, packed.sources, packed[rank])

    def has_begun(self) -> bool:
        """Tell whether the process came as far as its first job."""
        ready = self._ready
        return ready is not None and ready.done() and ready.exception() is None

    def was_killed(self) -> bool:
        """Tell whether a signal ended the process, which did not end by itself."""
        return self._process is not None and (self._process.exitcode or 0) < 0

    def drop(self) -> None:
        """Forget a process that has died."""
        if self._pool is not None:
            self._pool.shutdown()  # its thread has to see how the process ended
        self._pool = None

    def end(self, *, at_once: bool) -> None:
        """End the process: in the middle of its job, or idle."""
        if self._pool is None:
            return
        if at_once:
            _stop(self._pool)
        else:
            self._pool.shutdown()


class Crew:
    """Own processes that stay from one call to the next, and end with the block they are made in.

    Examples
    --------
    >>> with Crew() as crew:
    ...     len(crew.take(0))
    0
    """

    def __init__(self) -> None:
        self._workers: list[_Worker] = []

    def take(self, n: int) -> list[_Worker]:
        """Return so many workers; a process starts with the first job of each."""
        self._workers += [_Worker() for _ in range(n - len(self._workers))]
        return self._workers[:n]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for worker in self._workers:
            worker.end(at_once=kind is not None)


class InProcesses:
    """Jobs in own processes, one at a time in each."""

    def __init__(
        self,
        n_workers: int,
        packed: Packed,
        begin: Callable[[int], None],
        most_kills: int,
        crew: Crew | None = None,
    ) -> None:
        self._packed, self._begin, self._most_kills = packed, begin, most_kills
        self._is_own = crew is None
        self._workers = (crew or Crew()).take(n_workers)
        self._waiting = deque(range(len(packed)))
        self._running: dict[Future[Any], tuple[_Worker, int]] = {}
        self._kills: dict[int, int] = {}
        self._n_bad_starts = 0

    def run(self) -> Iterator[tuple[int, Any]]:
        """Give rank and result of each job as they come."""
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            # A script without a guard, imported by a worker that it has started: the traceback
            # that multiprocessing would print tells less than what the parent says of its end.
            raise SystemExit(1)
        is_whole = False
        try:
            for worker in self._workers:
                self._next(worker)
            while self._running:
                for future in wait(self._running, return_when=FIRST_COMPLETED).done:
                    yield from self._ended(future)
            is_whole = True
        finally:
            for worker in self._workers if self._is_own or not is_whole else ():
                worker.end(at_once=not is_whole)

    def _next(self, worker: _Worker) -> None:
        if self._waiting:
            rank = self._waiting.popleft()
            self._begin(rank)
            self._running[worker.submit(self._packed, rank)] = worker, rank

    def _ended(self, future: Future[Any]) -> Iterator[tuple[int, Any]]:
        worker, rank = self._running.pop(future)
        try:
            result = future.result()
            self._n_bad_starts = 0
        except BrokenExecutor:
            result = self._after_death(worker, rank)
        if result is not _AGAIN:
            yield rank, result  # kept before the next begins: a kill in between loses nothing
        self._next(worker)

    def _after_death(self, worker: _Worker, rank: int) -> Any:
        """Let a job be tried again, unless it has taken enough workers with it."""
        has_begun = worker.has_begun()
        worker.drop()
        if has_begun:
            self._kills[rank] = self._kills.get(rank, 0) + 1
            if self._kills[rank] >= self._most_kills:
                return Failure("killed its worker", is_killed=True)
        else:
            self._n_bad_starts += 1
            if self._n_bad_starts >= _MOST_STARTS or not worker.was_killed():
                raise StressbookError(_DIED_EARLY, name="workers", hint=_GUARD) from None
        self._waiting.appendleft(rank)
        return _AGAIN


def _ready() -> None:
    """Tell that a worker has started."""


def _begin_worker() -> None:
    """Leave Ctrl-C, which the terminal sends to every process, to the one that started this.

    And end with it: a worker whose parent was killed would wait for work for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _stop(pool: ProcessPoolExecutor) -> None:
    """End workers in the middle of their runs: nothing of them would be kept."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
