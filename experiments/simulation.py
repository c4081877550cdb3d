"""One run: a Mesa model that owns the ten steps of the clock."""

from __future__ import annotations

from typing import Any

import mesa
import numpy as np

from stressbook.agents.base import Desk
from stressbook.agents.observe import (
    make_accounts,
    make_market,
    make_outbox,
    observe_accounts,
    observe_market,
)
from stressbook.agents.population import build_population
from stressbook.errors import OverflowFault
from stressbook.experiments.recorder import make_series, record_step
from stressbook.experiments.scenario import Scenario, load_scenario
from stressbook.experiments.stress import StressSchedule
from stressbook.market.digest import DigestChain, canonical_state
from stressbook.market.engine import Engine
from stressbook.market.setup import make_state
from stressbook.market.spec import load_preset
from stressbook.market.state import C_OUTBOX
from stressbook.market.venue import Venue
from stressbook.market.world import advance, make_world


class Simulation(mesa.Model):  # type: ignore[misc]
    """A closed market that is stepped; stresses write dials, nothing else is scripted.

    Parameters
    ----------
    scenario : Scenario, optional
        What is run; the shipped skeleton if left out.
    seed : int, default 0
        Key of every draw.
    engine : {"kernel", "reference"}, default "kernel"
        Compiled venue, or the venue in plain Python.

    Examples
    --------
    >>> sim = Simulation(load_scenario("skeleton"), seed=7)
    >>> sim.advance(3)
    >>> sim.t_ms
    3000
    """

    def __init__(
        self, scenario: Scenario | None = None, seed: int = 0, engine: str = "kernel"
    ) -> None:
        super().__init__(rng=0)  # Mesa's own generator is never drawn from
        self.scenario = scenario if scenario is not None else load_scenario("skeleton")
        self.seed_value = seed
        self.t_ms = 0
        spec = load_preset(self.scenario.preset)
        population = build_population(self.scenario, spec, seed=seed)
        self.world = make_world(self.scenario, spec, population, seed=seed)
        state = make_state(spec, population.openings, world=self.world, seed=seed)
        self.engine: Engine = _make_engine(engine, state)
        self.market = make_market(self.engine.state)
        self.accounts = make_accounts(self.engine.state, self.world)
        self.outbox = make_outbox(self.engine.state, self.world)
        self.desks = [Desk(self, d.rule, d.users, d.parameters) for d in population.desks]
        self.schedule = StressSchedule(
            self.scenario.stresses, assets=self.scenario.assets, dt_ms=self.dt_ms
        )
        self.series = make_series(self.n_steps_planned, self.engine.state)
        self.digest_chain = DigestChain()
        observe_market(self.engine.state, self.market, 0)

    @property
    def dt_ms(self) -> int:
        """Length of a step, ms."""
        return round(self.scenario.dt_s * 1000)

    @property
    def n_steps_planned(self) -> int:
        """Steps of the whole run, warm-up inside."""
        total_s = self.scenario.warmup_s + self.scenario.duration_s
        return round(total_s * 1000) // self.dt_ms

    def advance(self, n_steps: int) -> None:
        """Run a number of steps."""
        for _ in range(n_steps):
            self.step()

    def step(self) -> None:
        """Run the ten steps of the clock once."""
        t = self.t_ms = self.t_ms + self.dt_ms
        v = self.engine.state
        self.schedule.apply(v.dial, t)  # 1
        advance(self.world, t)  # 2
        self.engine.before_decide(t)  # 3-5
        self._decide(t)  # 6
        self.engine.match(t)  # 7-9
        observe_market(v, self.market, t)
        record_step(v, self.series)  # 10
        self.digest_chain.add_step(v)

    def _decide(self, t_ms: int) -> None:
        v = self.engine.state
        out = self.outbox
        out.count[0] = v.ctr[C_OUTBOX]
        out.count[1] = 0
        observe_accounts(v, self.accounts)
        for desk in self.desks:
            desk.decide(self.accounts, self.market, out)
        v.ctr[C_OUTBOX] = out.count[0]
        if out.count[1]:
            raise OverflowFault("found no room in the outbox", name="messages", value=t_ms)

    def digest(self) -> str:
        """Return the digest of the run so far, final state inside."""
        chain = self.digest_chain.copy()
        chain.add(canonical_state(self.engine.state))
        return chain.hexdigest()

    def close(self) -> None:
        """Let Mesa forget this model: 3.3.1 keeps every model that ever made an agent."""
        mesa.Agent._ids.pop(self, None)


def _make_engine(name: str, state: Any) -> Engine:
    if name == "reference":
        from stressbook.market.reference.venue import ReferenceVenue

        return ReferenceVenue(state)
    return Venue(state)


__all__ = ["Simulation", "np"]
