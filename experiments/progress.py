"""How far something is: the share that is done, told while jobs finish and within them."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "Share"]

Progress = Callable[[float], None]  # told the share that is done, 0 to 1


class Share:
    """Turns finished jobs, and parts of those that run, into the share that is told.

    Parameters
    ----------
    progress : callable, optional
        Told at once, and after each change.
    n_jobs : int
        All of them.
    n_done : int, default 0
        Those that a former call has finished.

    Examples
    --------
    >>> told = []
    >>> share = Share(told.append, 4, n_done=1)
    >>> share.part(0.5)
    >>> share.add()
    >>> told
    [0.25, 0.375, 0.5]
    """

    def __init__(self, progress: Progress | None, n_jobs: int, *, n_done: int = 0) -> None:
        self._progress, self._n_done, self._n_jobs = progress, n_done, max(n_jobs, 1)
        self.n_running = 1  # jobs that a part is a share of
        self.part(0.0)

    def part(self, share: float) -> None:
        """Tell that a share of what runs is done."""
        if self._progress is not None:
            self._progress((self._n_done + share * self.n_running) / self._n_jobs)

    def add(self, n_jobs: int = 1) -> None:
        """Tell that jobs have finished."""
        self._n_done += n_jobs
        self.part(0.0)
