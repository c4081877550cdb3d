"""Jobs on somebody else's executor: Dask's, of MPI, any of `concurrent.futures`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any, Final

from stressbook.errors import StressbookError
from stressbook.experiments.interrupts import interrupts_held
from stressbook.experiments.packed_jobs import Failure, Packed, run_packed

__all__ = ["on_executor", "width_of"]

_IN_FLIGHT: Final = 512  # jobs handed to an executor that does not tell how many it runs


def on_executor(
    executor: Executor, packed: Packed, begin: Callable[[int], None]
) -> Iterator[tuple[int, Any]]:
    """Hand jobs to somebody else's executor, a bounded number at a time."""
    width = width_of(executor)
    most = _IN_FLIGHT if width is None else 2 * width
    running: dict[Future[Any], int] = {}
    rank = 0
    try:
        while running or rank < len(packed):
            while rank < len(packed) and len(running) < most:
                begin(rank)
                with interrupts_held():  # workers may start at this call
                    running[executor.submit(run_packed, packed.sources, packed[rank])] = rank
                rank += 1
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), _result_of(future)
    except BrokenExecutor as error:
        raise StressbookError(
            f"has broken: {error}",
            name="executor",
            hint="what has finished is kept where there is a folder; go on with a new executor",
        ) from error
    finally:
        for future in running:
            future.cancel()


def width_of(executor: Executor) -> int | None:
    """Return how many jobs an executor runs at a time, None if it does not say."""
    known = getattr(executor, "_max_workers", None) or getattr(executor, "num_workers", None)
    return known if isinstance(known, int) else None


def _result_of(future: Future[Any]) -> Any:
    try:
        return future.result()
    except Exception as error:
        # What Dask's scheduler raises of a job that has taken several of its workers with it.
        if type(error).__name__ == "KilledWorker":
            return Failure("killed its worker", is_killed=True)
        raise
