"""Jobs on their way to whoever runs them: what a job is, what is left of it, how it is sent."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from stressbook.errors import InvalidInput, StressbookError
from stressbook.experiments.plugins import PluginSource, load_sources
from stressbook.experiments.progress import Progress

__all__ = ["Failure", "Function", "Packed", "caught", "require_files", "run_packed"]

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
    is_killed : bool
        Whether the process died that ran it.
    """

    error: str
    is_killed: bool = False


class Function(Protocol[J_contra, R_co]):
    """What runs a job, at the top of a module; told of its progress where it runs here."""

    def __call__(self, job: J_contra, progress: Progress | None = None, /) -> R_co:
        """Return what came of a job."""
        ...


def caught(
    function: Function[JobT, ResultT], job: JobT, progress: Progress | None
) -> ResultT | Failure:
    """Run one job; what stressbook raises on purpose becomes the result."""
    try:
        return function(job, progress)
    except StressbookError as error:
        return Failure(f"{type(error).__name__}: {error}")


def require_files(sources: Sequence[PluginSource]) -> None:
    """Refuse own classes that no file holds: other processes would not find them."""
    typed = [source.module for source in sources if source.path is None]
    if typed:
        raise _not_found_elsewhere(", ".join(typed))


def _not_found_elsewhere(what: str) -> InvalidInput:
    return InvalidInput(
        "cannot be found by other processes",
        name="own class",
        value=what,
        allowed="classes at the top of a file",
        hint="put the class into a file that is imported, or use workers=1",
    )


class Packed:
    """Jobs as they are sent, packed one by one: files of own classes have to be imported first."""

    def __init__(
        self, function: Function[Any, Any], jobs: Sequence[Any], sources: Sequence[PluginSource]
    ) -> None:
        self._function, self._jobs = function, jobs
        self.sources = tuple(sources)

    def __len__(self) -> int:
        return len(self._jobs)

    def __getitem__(self, rank: int) -> bytes:
        try:
            return pickle.dumps((self._function, self._jobs[rank]))
        except (pickle.PicklingError, AttributeError) as error:
            raise _not_found_elsewhere(str(error)) from error


def run_packed(sources: tuple[PluginSource, ...], packed: bytes) -> Any:
    """Run a job of `Packed` in another process."""
    load_sources(sources)
    function, job = pickle.loads(packed)
    return caught(function, job, None)
