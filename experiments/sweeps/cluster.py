"""Dask's workers as an executor: the cluster engine of sweeps, an optional extra."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import Any, Final

from stressbook.errors import InvalidInput
from stressbook.market.compiling.kernel_cache import sources_digest

__all__ = ["chosen_executor", "dask_executor"]

_TIMEOUT_S: Final = 10.0


def chosen_executor(
    dask: str | None, executor: Executor | None
) -> AbstractContextManager[Executor | None]:
    """Return what runs cells: the workers of a scheduler, a given executor, or own processes.

    Parameters
    ----------
    dask : str, optional
        Address of a Dask scheduler.
    executor : concurrent.futures.Executor, optional
        Any other.

    Raises
    ------
    InvalidInput
        If both are given.

    Examples
    --------
    >>> with chosen_executor(None, None) as chosen:
    ...     print(chosen)
    None
    """
    if dask is None:
        return nullcontext(executor)
    if executor is not None:
        raise InvalidInput("excludes an executor", name="dask", value=dask, allowed="one of them")
    return dask_executor(dask)


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """Give an executor that runs on the workers of a Dask scheduler.

    Parameters
    ----------
    address : str
        Of the scheduler: "tcp://10.0.0.1:8786".

    Raises
    ------
    InvalidInput
        If `distributed` is not installed, the scheduler does not answer, it has no workers, or
        they have other sources of stressbook than this process.
    """
    client = _client(address)
    try:
        _require_same_sources(client, address)
        executor = client.get_executor(pure=False)
        executor.num_workers = sum(client.nthreads().values())  # how many cells run at a time
        yield executor
    finally:
        client.close()


def _client(address: str) -> Any:
    try:
        distributed = import_module("distributed")
    except ImportError as error:
        raise InvalidInput(
            "is not installed",
            name="distributed",
            allowed="workers of Dask need it",
            hint="pip install 'stressbook[cluster]'",
        ) from error
    try:
        return distributed.Client(address, timeout=_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InvalidInput(
            "does not answer",
            name="scheduler",
            value=address,
            allowed="an address as `dask scheduler` prints it, as in tcp://10.0.0.1:8786",
        ) from error


def _require_same_sources(client: Any, address: str) -> None:
    """Refuse workers whose results would be kept under the key of other sources."""
    found = client.run(_digest_of_worker, on_error="return")
    if not found:
        hint = "start some: dask worker ADDRESS"
        raise InvalidInput("has no workers", name="scheduler", value=address, hint=hint)
    others = [worker for worker, digest in found.items() if digest != sources_digest()]
    if others:
        raise InvalidInput(
            "lack these sources of stressbook",
            name="workers",
            value=", ".join(others),
            allowed="the same version on every worker as here",
        )


def _digest_of_worker() -> str:
    return sources_digest()
