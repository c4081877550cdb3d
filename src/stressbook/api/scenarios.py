"""The front door: a scenario that can be looked at, changed, run and compared."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from html import escape
from pathlib import Path
from typing import Any, Self, overload

from stressbook.agents.account import Account
from stressbook.api.effect import Effect
from stressbook.api.effect_table import EffectTable
from stressbook.api.parameters import Parameter, parameter_rows
from stressbook.api.plan import PLAN_SEED, plan_text
from stressbook.api.replicates import Replicates
from stressbook.api.result import RunResult
from stressbook.api.sides import side_names, under_regimes
from stressbook.errors import InvalidInput, UnknownName
from stressbook.experiments.contrasts import compare_sides
from stressbook.experiments.progress import Progress
from stressbook.experiments.replicates import require_any, seeds_from
from stressbook.experiments.run import run_scenario
from stressbook.experiments.scenario import Scenario as Resolved
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.stress import Stress
from stressbook.experiments.sweeps.cell import Job
from stressbook.experiments.sweeps.runner import run_jobs
from stressbook.experiments.versus import compare
from stressbook.experiments.words import Text, duration, html_table, table

__all__ = ["Scenario", "demo", "scenario"]


class Scenario:
    """Everything that a run needs beside its seed; made by `scenario`, changed by its methods.

    Every change gives a new scenario, checked as a whole.

    Parameters
    ----------
    resolved : stressbook.experiments.scenario.Scenario
        The checked numbers, with every default in.

    Attributes
    ----------
    resolved : stressbook.experiments.scenario.Scenario
        As given.

    Examples
    --------
    >>> calm = scenario("skeleton").with_(stresses=[], duration="10min")
    >>> calm
    <Scenario skeleton: BTC, HYPE under cross margin, 10 min after 5 min of warm-up, no stress>
    """

    def __init__(self, resolved: Resolved) -> None:
        self.resolved = resolved

    # --- change ------------------------------------------------------------------------------
    def with_(self, **changes: Any) -> Self:
        """Return the scenario with some of it replaced.

        Parameters
        ----------
        **changes
            By key of a scenario file: `margin_regime="cross"`, `duration="1h"`,
            `world={"HYPE": {"daily_volatility": 0.1}}`. Tables are merged, `stresses` and `assets`
            replaced.

        Returns
        -------
        Scenario

        Raises
        ------
        InvalidScenario
            With every problem at once.
        """
        return type(self)(self.resolved.with_(**changes))

    def stressed(self, *stresses: Stress) -> Self:
        """Return the scenario with stresses added after those it has.

        Parameters
        ----------
        *stresses : Stress
            In the order of application.

        Returns
        -------
        Scenario

        Raises
        ------
        InvalidScenario
            If a stress does not fit the assets or the clock.
        """
        return type(self)(self.resolved.stressed(*stresses))

    def add(self, agent: type[Account], *, n: int = 1, **params: Any) -> Self:
        """Return the scenario with accounts of an own class.

        Parameters
        ----------
        agent : type
            Subclass of `Account`.
        n : int, default 1
            Number of accounts.
        **params
            Parameters that the class declares, or `cash_usd` and the others of every account.

        Returns
        -------
        Scenario

        Raises
        ------
        InvalidInput
            If `agent` is no class of accounts with a `decide`.
        InvalidScenario
            If a parameter is unknown or out of range.
        """
        given: Any = agent  # what a caller may get wrong
        if not isinstance(given, type) or not issubclass(given, Account) or given is Account:
            raise InvalidInput(
                "is no class of accounts",
                name="agent",
                value=agent,
                allowed="a subclass of stressbook.Account",
                hint="give the class itself: .add(BasisArb, n=20)",
            )
        if agent.decide is Account.decide:
            raise InvalidInput(
                "has no decide",
                name=agent.__name__,
                allowed="a class with `def decide(self, view, out)`",
            )
        return self.with_(agents={agent.__name__: {"accounts": n, **params}})

    # --- look --------------------------------------------------------------------------------
    @property
    def name(self) -> str:
        """Name of the scenario."""
        return self.resolved.name

    def plan(self, seed: int = PLAN_SEED) -> Text:
        """Return the steps of the clock, the timeline and who is enrolled, as text.

        Parameters
        ----------
        seed : int, default 1
            Of what accounts open with.
        """
        return Text(plan_text(self.resolved, seed=seed))

    def parameters(self, prefix: str = "") -> list[Parameter]:
        """Return every number with its place in the file, unit, meaning and source.

        Parameters
        ----------
        prefix : str
            Only numbers whose place starts so.

        Raises
        ------
        UnknownName
            If no place starts so.
        """
        rows = parameter_rows(self.resolved)
        found = [row for row in rows if row.place.startswith(prefix)]
        if not found:
            above = {".".join(row.place.split(".")[:depth]) for row in rows for depth in (1, 2)}
            raise UnknownName("place", prefix, known=above)
        return found

    def describe(self, prefix: str = "") -> Text:
        """Return every number as text.

        Parameters
        ----------
        prefix : str
            Only numbers whose place starts so: "agents.hedger", "world.HYPE", "venue".

        Raises
        ------
        UnknownName
            If no place starts so.
        """
        rows = [_cells(row) for row in self.parameters(prefix)]
        return Text(f"{self.name}: {self.resolved.summary}\n{table(rows, aligned='lr')}")

    def to_toml(self) -> str:
        """Return the resolved form, which reads back to an equal scenario."""
        return self.resolved.to_toml()

    # --- run ---------------------------------------------------------------------------------
    def run(
        self, *, seed: int, engine: str = "kernel", progress: Progress | None = None
    ) -> RunResult:
        """Run the scenario from its opening to its end.

        Parameters
        ----------
        seed : int
            Key of every draw.
        engine : {"kernel", "reference"}
            The compiled venue, or the venue in plain Python: slower, with the same digest.
        progress : callable, optional
            Called with the share that is done, 0 to 1.

        Returns
        -------
        RunResult

        Raises
        ------
        UnknownName
            If there is no such engine.
        AgentError
            If an own agent fails.
        """
        record = run_scenario(self.resolved, seed=seed, engine=engine, progress=progress)
        return RunResult(record)

    def replicate(
        self,
        *,
        reps: int,
        seed: int,
        engine: str = "kernel",
        workers: int = 1,
        folder: str | Path | None = None,
        progress: Progress | None = None,
        executor: Executor | None = None,
    ) -> Replicates:
        """Run the scenario with several seeds, and keep the outcomes.

        Parameters
        ----------
        reps : int
            Number of seeds.
        seed : int
            First of them: `seed`, `seed` + 1, ...
        engine : {"kernel", "reference"}
            Which venue.
        workers : int, default 1
            Processes; the numbers are the same for any. A script that asks for more than 1 has to
            keep what runs below `if __name__ == "__main__":`, since each process imports it.
        folder : str or Path, optional
            Finished runs are kept there, and read again by the same call.
        progress : callable, optional
            Called with the share that is done.
        executor : concurrent.futures.Executor, optional
            Runs them instead of own processes.

        Returns
        -------
        Replicates

        Raises
        ------
        InvalidInput
            If `reps` or `workers` is below 1, or `seed` below 0.
        StressbookError
            If every run failed.
        """
        jobs = [Job(self.resolved, s, engine) for s in seeds_from(seed, reps)]
        found = run_jobs(
            jobs,
            workers=workers,
            folder=None if folder is None else Path(folder),
            progress=progress,
            executor=executor,
        )
        require_any(found)
        return Replicates(self.resolved, found)

    @overload
    def versus(
        self,
        other: Scenario | Stress,
        /,
        *,
        reps: int,
        seed: int,
        engine: str = ...,
        workers: int = ...,
        placebo: bool = ...,
        level: float = ...,
        folder: str | Path | None = ...,
        progress: Progress | None = ...,
        executor: Executor | None = ...,
        against: str = ...,
    ) -> Effect: ...
    @overload
    def versus(
        self,
        *others: Scenario | Stress,
        reps: int,
        seed: int,
        engine: str = ...,
        workers: int = ...,
        placebo: bool = ...,
        level: float = ...,
        folder: str | Path | None = ...,
        progress: Progress | None = ...,
        executor: Executor | None = ...,
        against: str = ...,
    ) -> Effect | EffectTable: ...
    def versus(
        self,
        *others: Scenario | Stress,
        reps: int,
        seed: int,
        engine: str = "kernel",
        workers: int = 1,
        placebo: bool = True,
        level: float = 0.95,
        folder: str | Path | None = None,
        progress: Progress | None = None,
        executor: Executor | None = None,
        against: str = "",
    ) -> Effect | EffectTable:
        """Compare with other scenarios on the same draws.

        Parameters
        ----------
        *others : Scenario or Stress
            What is judged against this scenario; a stress is added to it.
        reps, seed, engine, workers, folder, progress, executor
            As of `replicate`.
        placebo : bool, default True
            Whether one scenario also runs with one more order of one lot at the onset, the other
            of two or this one of more: effects within what that changes are not claimed.
        level : float, default 0.95
            Confidence of the intervals.
        against : str
            Side that is the control, by the name of its column, such as "cross" or "scan, offset
            0.5"; this scenario if left out.

        Returns
        -------
        Effect or EffectTable
            Of each outcome: means, the paired difference with its interval, the correlation that
            pairing achieved. An `EffectTable` for more than one other: a column each.

        Raises
        ------
        InvalidInput
            If there is nothing to compare with, or the same scenario twice among several; if
            `reps` or `workers` is below 1, or `seed` below 0; if they differ in warm-up, length
            or step.
        UnknownName
            If no side has the name of the control.
        StressbookError
            If every run failed.
        """
        sides = [self.stressed(one) if isinstance(one, Stress) else one for one in others]
        options: dict[str, Any] = {
            "reps": reps,
            "seed": seed,
            "engine": engine,
            "workers": workers,
            "placebo": placebo,
            "level": level,
            "folder": None if folder is None else Path(folder),
            "progress": progress,
            "executor": executor,
        }
        named = named_sides(self, *sides)
        if against and against not in named:
            raise UnknownName("side", against, known=named)
        if len(sides) == 1:
            control, treated = named.values()
            if against and against != next(iter(named)):
                control, treated = treated, control
            return Effect(compare(control, treated, **options))
        return EffectTable(compare_sides(named, control=against, **options))

    def under(self, *regimes: str | Mapping[str, Any]) -> tuple[Self, ...]:
        """Return the scenario under each of several margin regimes, all else as it is.

        Parameters
        ----------
        *regimes : str or mapping
            A name, "scan:0.5" for a scan with that offset between underlyings, or changes by
            place: {"margin_regime": "scan", "venue.regime.initial_factor": 1.2}.

        Returns
        -------
        tuple of Scenario
            In that order, for `first.versus(*others, reps=..., seed=...)`.

        Raises
        ------
        InvalidInput
            With every regime that there is not, and every offset that is none.
        InvalidScenario
            If changes do not fit.
        """
        return tuple(type(self)(one) for one in under_regimes(self.resolved, regimes))

    def _in_a_line(self) -> str:
        mine = self.resolved
        stresses = ", ".join(stress.kind for stress in mine.stresses) or "no stress"
        return (
            f"Scenario {mine.name}: {', '.join(mine.assets)} under {mine.margin_regime} margin, "
            f"{duration(mine.duration_s)} after {duration(mine.warmup_s)} of warm-up, {stresses}"
        )

    def __repr__(self) -> str:
        return f"<{self._in_a_line()}>"

    def _repr_html_(self) -> str:
        head = ("place", "value", "unit", "meaning", "source")
        rows = html_table([head, *map(_cells, self.parameters())])
        return f"<p>{escape(self._in_a_line())}</p>{rows}"


def named_sides(*scenarios: Scenario) -> dict[str, Resolved]:
    """Return the sides of a comparison by names that tell them apart."""
    resolved = [one.resolved for one in scenarios]
    return dict(zip(side_names(resolved), resolved, strict=True))


def _cells(row: Parameter) -> tuple[str, ...]:
    return row.place, str(row.value), row.unit, row.meaning, row.source


def scenario(name_or_path: str | Path, *, overrides: tuple[str, ...] = ()) -> Scenario:
    """Return a scenario of the catalogue or of a file.

    Parameters
    ----------
    name_or_path : str or Path
        A name that `stressbook list` prints, or the path of a TOML file.
    overrides : tuple of str
        Single values, each "place=value", as `--set` takes them.

    Returns
    -------
    Scenario

    Raises
    ------
    UnknownName
        If the catalogue has no such name.
    InvalidScenario
        With every problem of the file at once.

    Examples
    --------
    >>> scenario("skeleton").with_(margin_regime="hyperliquid-pm").resolved.margin_regime
    'hyperliquid-pm'
    """
    return Scenario(load_scenario(name_or_path, overrides=overrides))


def demo(*, seed: int = 7, progress: Progress | None = None) -> RunResult:
    """Run the smallest shipped scenario: HYPE falls by 10 % under cross margin.

    Parameters
    ----------
    seed : int, default 7
        Key of every draw.
    progress : callable, optional
        Called with the share that is done.

    Returns
    -------
    RunResult
        `demo().plot()` and `demo().summary()` are a first look.
    """
    return scenario("skeleton").run(seed=seed, progress=progress)
