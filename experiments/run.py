"""Run a scenario with a seed, and keep what came of it."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from stressbook.experiments.account_table import account_rows
from stressbook.experiments.accounting import own_class_ids
from stressbook.experiments.agent_classes import is_own_class
from stressbook.experiments.episode import system_usd
from stressbook.experiments.outcomes import measure, onset_step
from stressbook.experiments.progress import Progress
from stressbook.experiments.recorder import Series, used
from stressbook.experiments.replies import replies_by_class
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.stepping import step_to
from stressbook.market.compiling.arrays import Records
from stressbook.market.numbers.draws import class_numbers
from stressbook.market.state.codes import REFUSAL_NAMES


@dataclass(frozen=True)
class RunRecord:
    """A finished run: plain data, no engine behind it.

    Parameters
    ----------
    scenario : Scenario
        What was run.
    seed : int
        Key of its draws.
    engine : str
        "kernel" or "reference".
    digest : str
        SHA-256 over steps, rows and final state, 64 hex digits.
    outcomes : dict of str to float
        By name; units in `stressbook.experiments.outcomes.OUTCOMES`.
    series : Series
        Rows of every step.
    classes : ndarray of CLASS_SUM
        Holdings, profits and transfers of each class at the end; `own_classes` are the last.
    accounts : ndarray of ACCOUNT_ROW
        What each account opened and ended with, in the order of users.
    events : ndarray of EVENT
        Every breach, forced order, takeover, deleveraging, deficit, funding and interest booking.
    refusals : dict of str to int
        Refused messages by reason.
    replies : dict of str to dict of str to int
        What the venue answered to each class of agents, by kind; refusals by reason.
    enrolment : dict of str to dict of str to int
        Of each class of which any account asked to be enrolled at the opening: how many did, and
        how many were or were refused by which rule, fields of `agents.enrolment.EnrolmentCount`.
    rationed : dict of str to dict of str to int
        Of each class, accounts whose opening book a limit makes smaller, by the limit that binds
        most: `agents.carry_book.RATIONS`.
    onset_step : int
        First step under stress; end of the warm-up where there is none.
    system_usd : dict of str to float
        What "treasury" and "reserve" gained, USD; empty of a run that was kept without it.
    """

    scenario: Scenario
    seed: int
    engine: str
    digest: str
    outcomes: dict[str, float]
    series: Series
    classes: Records
    accounts: Records
    events: Records
    refusals: dict[str, int]
    replies: dict[str, dict[str, int]]
    enrolment: dict[str, dict[str, int]]
    rationed: dict[str, dict[str, int]]
    onset_step: int
    system_usd: dict[str, float] = field(default_factory=dict)

    @property
    def own_classes(self) -> dict[str, int]:
        """Numbers of the own classes that took part, by name, in the order of their rows."""
        numbers = class_numbers(name for name in self.scenario.agents if is_own_class(name))
        names = {number: name for name, number in numbers.items()}
        return {names[c]: c for c in own_class_ids(self.accounts["class_id"])}


def run_scenario(
    scenario: Scenario,
    *,
    seed: int,
    engine: str = "kernel",
    progress: Progress | None = None,
    onset_s: float | None = None,
) -> RunRecord:
    """Run a scenario from its opening to its end.

    Parameters
    ----------
    scenario : Scenario
        What to run.
    seed : int
        Key of every draw.
    engine : {"kernel", "reference"}
        Which venue.
    progress : callable, optional
        Called with the share that is done, about fifty times.
    onset_s : float, optional
        From when on drawdowns are looked at, and when margin is; the onset of the scenario if it
        is left out.

    Returns
    -------
    RunRecord

    Examples
    --------
    >>> from stressbook.experiments.scenario import load_scenario
    >>> calm = load_scenario("skeleton").with_(duration=5.0, warmup=0.0, stresses=())
    >>> record = run_scenario(calm, seed=7)
    >>> record.series.asset.shape
    (5, 2)
    """
    sim = Simulation(scenario, seed=seed, engine=engine, onset_s=onset_s)
    try:
        step_to(sim, sim.n_steps_planned, progress)
        return record_of(sim, seed=seed, engine=engine, onset_s=onset_s)
    finally:
        sim.close()


def record_of(
    sim: Simulation, *, seed: int, engine: str, onset_s: float | None = None
) -> RunRecord:
    """Return the record of a simulation as it stands."""
    v = sim.engine.state
    counts = {name: int(v.reply_count[code]) for code, name in REFUSAL_NAMES.items()}
    return RunRecord(
        scenario=sim.scenario,
        seed=seed,
        engine=engine,
        digest=sim.digest(),
        outcomes=measure(sim, onset_s=onset_s),
        series=used(sim.series),
        classes=sim.classes.copy(),
        accounts=account_rows(sim),
        events=np.concatenate(sim.events) if sim.events else v.event[:0].copy(),
        refusals={name: n for name, n in counts.items() if n},
        replies=replies_by_class(v, sim.replies, sim.scenario.agents),
        enrolment={name: count._asdict() for name, count in sim.enrolment.items()},
        rationed=sim.rationed,
        onset_step=onset_step(sim, onset_s),
        system_usd=system_usd(v),
    )


def manifest(record: RunRecord) -> dict[str, Any]:
    """Return what replays a run: the resolved scenario, seed, engine, digest and versions."""
    return {
        "schema": 1,
        "scenario": record.scenario.to_toml(),
        "scenario_digest": record.scenario.digest(),
        "seed": record.seed,
        "engine": record.engine,
        "digest": record.digest,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Return the versions of what a run depends on: of Python, and by package."""
    packages = ("stressbook", "numpy", "numba", "mesa", "scipy")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


__all__ = ["RunRecord", "manifest", "record_of", "run_scenario", "versions"]
