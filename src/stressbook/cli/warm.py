"""The first compile, announced once with its time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from typing import TYPE_CHECKING

from stressbook.cli.terminal import note

if TYPE_CHECKING:
    from pathlib import Path

    from stressbook.api import Scenario

__all__ = ["compile_once", "compiled_mark"]


def compiled_mark() -> Path | None:
    """Return the file that says that the present sources are compiled; None if nothing is kept."""
    from stressbook.market.compiling.kernel_cache import cache_folder

    folder = cache_folder()
    return None if folder is None else folder / "compiled"


def compile_once(scenario: Scenario, *, engine: str, quiet: bool) -> None:
    """Compile what a run needs, and say so, unless that has been done for these sources.

    With several workers each would compile it at the same time.
    """
    mark = compiled_mark()
    if mark is None or mark.exists() or engine != "kernel":
        return
    note("compiling kernels, once for this version ...", quiet=quiet)
    start_s = time.monotonic()
    least = scenario.with_(warmup=0.0, duration=scenario.resolved.dt_s, stresses=[])
    if (os.cpu_count() or 1) > 1:
        _compile_by_two(least)
    least.run(seed=0)
    note(f"compiled in {time.monotonic() - start_s:.0f} s", quiet=quiet)
    mark.touch()


def _compile_by_two(scenario: Scenario) -> None:
    """Compile all but the venue here, and the venue in another process.

    What either leaves out, or cannot keep on disk, is compiled by the run that follows.
    """
    from stressbook.experiments.simulation import Simulation

    venue = multiprocessing.get_context("spawn").Process(target=_compile_venue, daemon=True)
    venue.start()
    Simulation(scenario.resolved, seed=0).close()
    venue.join()


def _compile_venue() -> None:
    """Compile the calls of the venue: the same for every scenario, and half of all there is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from stressbook.experiments.scenario import load_scenario
    from stressbook.market.opening.setup import make_state
    from stressbook.market.venue import Venue

    empty = Venue(make_state(load_scenario("skeleton").venue_spec(), (), seed=0))
    empty.before_decide(0)
    empty.match(0)
