"""The first compile, announced once with its time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stressbook.cli.terminal import note

if TYPE_CHECKING:
    from pathlib import Path

    from stressbook.api import Scenario

__all__ = ["compile_once", "compiled_mark"]


def compiled_mark() -> Path | None:
    """Return the file that says that the present sources are compiled; None if nothing is kept."""
    from stressbook.market.kernel_cache import cache_folder

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
    dt_s = scenario.resolved.dt_s
    scenario.with_(warmup=0.0, duration=dt_s, stresses=[]).run(seed=0)
    note(f"compiled in {time.monotonic() - start_s:.0f} s", quiet=quiet)
    mark.touch()
