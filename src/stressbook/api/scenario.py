"""The front door: a scenario that can be looked at, changed, run and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from stressbook.api.result import RunResult
from stressbook.experiments.run import Progress, run_scenario
from stressbook.experiments.scenario import Scenario as Resolved
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.stress import Stress

__all__ = ["Scenario", "demo", "scenario"]


class Scenario:
    """Everything that a run needs beside its seed; made by `scenario`, changed by its methods.

    Parameters
    ----------
    resolved : stressbook.experiments.scenario.Scenario
        The checked numbers, with every default in.

    Examples
    --------
    >>> calm = scenario("skeleton").with_(stresses=[], duration="10min")
    >>> calm
    <Scenario skeleton: BTC, HYPE under cross margin, 10 min after 5 min of warm-up, no stress>
    """

    def __init__(self, resolved: Resolved) -> None:
        self.resolved = resolved

    def with_(self, **changes: Any) -> Self:
        """Return the scenario with some of it replaced; see `Resolved.with_`."""
        return type(self)(self.resolved.with_(**changes))

    def stressed(self, *stresses: Stress) -> Self:
        """Return the scenario with stresses added after those it has."""
        return type(self)(self.resolved.stressed(*stresses))

    def run(
        self, *, seed: int, engine: str = "kernel", progress: Progress | None = None
    ) -> RunResult:
        """Run the scenario from its opening to its end."""
        record = run_scenario(self.resolved, seed=seed, engine=engine, progress=progress)
        return RunResult(record)


def scenario(name_or_path: str | Path) -> Scenario:
    """Return a scenario of the catalogue or of a file."""
    return Scenario(load_scenario(name_or_path))


def demo(seed: int = 7) -> RunResult:
    """Run the smallest shipped scenario."""
    return scenario("skeleton").run(seed=seed)
