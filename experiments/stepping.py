"""Steps a simulation on, and tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stressbook.experiments.progress import Progress
from stressbook.experiments.simulation import Simulation

__all__ = ["step_to"]

_TOLD: Final = 50  # times in a run


def step_to(
    sim: Simulation,
    step: int,
    progress: Progress | None = None,
    *,
    after_each: Callable[[], bool | None] | None = None,
) -> bool:
    """Run a simulation up to a step.

    Parameters
    ----------
    sim : Simulation
        At or before it.
    step : int
        Counted from the opening.
    progress : callable, optional
        Called with the share of all planned steps that is done, about fifty times in a run.
    after_each : callable, optional
        Called after each step; if it says so, that was the last.

    Returns
    -------
    bool
        Whether it was ended so, before all planned steps were done.
    """
    total = sim.n_steps_planned
    chunk = max(1, total // _TOLD)
    done = sim.t_ms // sim.dt_ms
    while done < step:
        n = 1 if after_each is not None else min(chunk - done % chunk, step - done)
        sim.advance(n)
        done += n
        if progress is not None and (done % chunk == 0 or done == total):
            progress(done / total)
        if after_each is not None and after_each():
            return done < total
    return False
