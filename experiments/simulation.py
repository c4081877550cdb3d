"""One run: a Mesa model that owns the ten steps of the clock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import mesa
import numpy as np

from stressbook.agents.base import Desk
from stressbook.agents.observe import (
    make_accounts,
    make_market,
    make_outbox,
    observe_accounts,
    observe_market,
    observe_owned,
    observe_rules,
)
from stressbook.agents.opening_check import check_opening
from stressbook.agents.outbox import Outbox
from stressbook.agents.own_agents import OwnAgents, open_own_accounts, own_enrolment
from stressbook.agents.population import build_population
from stressbook.agents.rule_account import RuleAccounts
from stressbook.errors import InvalidInput, OverflowFault, UnknownName
from stressbook.experiments.account_table import equities_usd
from stressbook.experiments.accounting import add_step, look_at_classes, make_class_sums
from stressbook.experiments.agent_classes import is_own_class
from stressbook.experiments.margin_use import add_up, make_margin_use
from stressbook.experiments.own_book.checks import scenario_accounts
from stressbook.experiments.recorder import make_series, record_step
from stressbook.experiments.replies import count_replies, make_replies
from stressbook.experiments.scenario import Scenario, load_scenario
from stressbook.experiments.shortfall import MINUTE_MS, make_minutes, record_minute
from stressbook.experiments.snapshot import (
    Snapshot,
    copy_arrays,
    copy_own_agent,
    copy_venue,
    put_arrays,
    put_own_agent,
    put_venue,
)
from stressbook.experiments.stress import Stress, StressSchedule
from stressbook.market.compiling.arrays import Records
from stressbook.market.compiling.by_address import compiled_call
from stressbook.market.engine import Engine
from stressbook.market.numbers.draws import class_numbers
from stressbook.market.numbers.philox import key_from_seed
from stressbook.market.opening.setup import make_state
from stressbook.market.prices.own_moves import settle_own_moves
from stressbook.market.prices.world import advance
from stressbook.market.prices.world_setup import (
    raise_world_faults,
    set_correlation_target,
    world_of_venue,
)
from stressbook.market.reference.venue import ReferenceVenue
from stressbook.market.rules.changes import RuleChanges
from stressbook.market.state.digest import DigestChain, canonical_state
from stressbook.market.state.records import C_EVENTS, VenueState
from stressbook.market.venue import Venue

ENGINES: Final[dict[str, Callable[[VenueState], Engine]]] = {
    "kernel": Venue,
    "reference": ReferenceVenue,
}
RENEWAL_FROM_S: Final = 43_200.0  # shorter runs study one episode: nobody is replaced


class Simulation(mesa.Model):
    """A closed market that is stepped; stresses write dials, nothing else is scripted.

    Parameters
    ----------
    scenario : Scenario, optional
        What is run; the shipped skeleton if left out.
    seed : int, default 0
        Key of every draw.
    engine : {"kernel", "reference"}, default "kernel"
        Compiled venue, or the venue in plain Python.
    uncompiled : collection of str, optional
        Classes of accounts whose rule runs as scalar agents in plain Python; the run is the same.
    run_on_s : float, default 0
        Room for steps beyond the length of the scenario, s.
    onset_s : float, optional
        When margin is noted as it stands before the shock; the onset of the scenario if left out.

    Examples
    --------
    >>> sim = Simulation(load_scenario("skeleton"), seed=7)
    >>> sim.advance(3)
    >>> sim.t_ms
    3000
    """

    def __init__(
        self,
        scenario: Scenario | None = None,
        seed: int = 0,
        engine: str = "kernel",
        *,
        uncompiled: Collection[str] = (),
        run_on_s: float = 0.0,
        onset_s: float | None = None,
    ) -> None:
        super().__init__(rng=0)  # Mesa's own generator is never drawn from
        if engine not in ENGINES:
            raise UnknownName("engine", engine, known=ENGINES)
        self.scenario = scenario if scenario is not None else load_scenario("skeleton")
        self.t_ms = 0
        self.dt_ms = round(self.scenario.dt_s * 1000)
        self.defence = 1.0
        self.run_on_s = run_on_s
        at_s = self.scenario.onset_s if onset_s is None else onset_s
        self._onset_ms = round(at_s * 1000) // self.dt_ms * self.dt_ms
        self.pending_injections: list[Callable[[Simulation, Outbox], None]] = []
        self._build(seed, engine, uncompiled)
        self.set_stresses(self.scenario.stresses)
        observe_market(self.engine.state, self.market, 0)

    def _build(self, seed: int, engine: str, uncompiled: Collection[str]) -> None:
        scenario, spec = self.scenario, self.scenario.venue_spec()
        own = {name: mine for name, mine in scenario.agents.items() if is_own_class(name)}
        shipped = {name: mine for name, mine in scenario.agents.items() if name not in own}
        population = build_population(
            shipped,
            spec,
            seed=seed,
            regime=scenario.margin_regime,
            world=scenario.world,
            renewal=scenario.warmup_s + scenario.duration_s >= RENEWAL_FROM_S,
            classes=shipped,
            own=(book := scenario_accounts(scenario)),
        )
        own_accounts = open_own_accounts(own, spec, seed=seed, regime=scenario.margin_regime)
        self.rule_changes = RuleChanges(spec)
        self._rules_moved = False
        self.enrolment = population.enrolment | own_enrolment(
            own, spec, regime=scenario.margin_regime
        )
        self.rationed = population.rationed
        state = make_state(spec, (*population.accounts, *own_accounts), seed=seed, dt_ms=self.dt_ms)
        check_opening(
            state,
            [token.name for token in spec.tokens],
            own_classes=_own_names(own),
            account_names=[one.name for one in book],
        )
        self.world = world_of_venue(scenario.world, state)
        self.engine: Engine = ENGINES[engine](state)
        self.market = make_market(state)
        self.accounts = make_accounts(state, self.world)
        self.outbox = make_outbox(state, self.world)
        self.desks: list[Desk | RuleAccounts] = [
            (RuleAccounts if cohort.rule.name in uncompiled else Desk)(self, *cohort)
            for cohort in population.cohorts
        ]
        first_own = len(population.accounts)
        self.own = OwnAgents(self, own, spec, self.accounts, self.market, first_user=first_own)
        n_steps = self.n_steps_planned + round(self.run_on_s * 1000) // self.dt_ms
        self.series = make_series(n_steps, state)
        self.minutes = make_minutes(n_steps, state)
        self.replies = make_replies(state)
        self.class_sums, self._exposures = make_class_sums(state, self.world)
        look_at_classes(state, self.world, self.class_sums, self._exposures)
        self.class_sums["opening_equity_usd"] = self.class_sums["equity_usd"]
        add_step(state, self.world, self.class_sums, self._exposures)
        self.class_sums["revaluation_usd"] = 0.0
        self.class_sums["transfers_usd"] = 0.0
        self.opening_equity_usd = equities_usd(self)
        self.digest_chain = DigestChain()
        self.events: list[Records] = []
        self.margin_use = make_margin_use()
        self._bind_kernels()
        if self._onset_ms == 0:
            self._note_margin()

    def _bind_kernels(self) -> None:
        """Bind the compiled calls to this state once: a look at every array costs 5 us."""
        v, w = self.engine.state, self.world
        listed = np.zeros(len(v.order), np.int64)
        self._advance_world = compiled_call(advance, w, then=(0,))
        self._observe_accounts = compiled_call(observe_accounts, v, self.accounts, listed)
        self._observe_owned = None
        if not np.may_share_memory(self.accounts.token, v.token):  # tokens are lent
            self._observe_owned = compiled_call(observe_owned, v, self.accounts)
        self._observe_market = compiled_call(observe_market, v, self.market, then=(0,))
        self._settle_own_moves = compiled_call(settle_own_moves, v, w)
        self._record_step = compiled_call(record_step, v, self.series)
        self._record_minute = compiled_call(record_minute, v, self.series, self.minutes)
        self._count_replies = compiled_call(count_replies, v, self.replies)
        self._add_step = compiled_call(add_step, v, w, self.class_sums, self._exposures)
        for desk in self.desks:
            desk.bind(self.accounts, self.market, self.outbox)

    @property
    def n_steps_planned(self) -> int:
        """Steps of the whole run, warm-up inside."""
        total_s = self.scenario.warmup_s + self.scenario.duration_s
        return round(total_s * 1000) // self.dt_ms

    @property
    def has_met_onset(self) -> bool:
        """Whether the first row of `margin_use` is that of the onset."""
        return self.t_ms >= self._onset_ms

    @property
    def classes(self) -> Records:
        """Holdings and running sums of each class as of now: CLASS_SUM, own classes last."""
        look_at_classes(self.engine.state, self.world, self.class_sums, self._exposures)
        return self.class_sums

    def advance(self, n_steps: int) -> None:
        """Run a number of steps."""
        for _ in range(n_steps):
            self.step()

    def step(self) -> None:
        """Run the ten steps of the clock once."""
        if self.series.step[0] >= len(self.series.venue):
            raise InvalidInput(
                "has no room for another step",
                name="duration",
                value=self.scenario.duration_s,
                allowed="the time that is run after the warm-up, s",
                hint="plan a longer run: scenario.with_(duration=...)",
            )
        t = self.t_ms = self.t_ms + self.dt_ms
        v = self.engine.state
        self.apply_dials(t)  # 1
        if self._advance_world(t):  # 2
            raise_world_faults(self.world, t)
        self.engine.before_decide(t)  # 3-5
        self._decide(t)  # 6
        self.engine.match(t)  # 7-9
        self._settle_own_moves()
        self._observe_market(t)
        if self._rules_moved:
            observe_rules(v, self.market)
            self._rules_moved = False
        self._record_step()  # 10
        if t // MINUTE_MS != (t - self.dt_ms) // MINUTE_MS:
            self._record_minute()
        self._count_replies()
        self._add_step()
        self.digest_chain.add_step(v)
        if v.ctr[C_EVENTS]:
            self.events.append(v.event[: v.ctr[C_EVENTS]].copy())
        if t == self._onset_ms:
            self._note_margin()

    def _note_margin(self) -> None:
        add_up(self.engine.state, self.margin_use, 0)

    def apply_dials(self, t_ms: int) -> None:
        """Write dials, and rules, of the stresses that act in the step that ends at `t_ms`."""
        dial = self.engine.state.dial
        if self.schedule.apply(dial, t_ms):
            self._apply_rules(t_ms)
        if self.defence != 1.0:
            dial["defence"] = self.defence

    def _apply_rules(self, t_ms: int) -> None:
        changes = self.rule_changes
        if self.schedule.changes_rules or changes.touched:
            rules = self.schedule.rules_at(t_ms, changes.spec)
            self._rules_moved |= changes.write(self.engine.state, rules)

    def set_stresses(self, stresses: Sequence[Stress]) -> None:
        """Replace the schedule of stresses from the next step on."""
        self.schedule = StressSchedule(stresses, assets=self.scenario.assets, dt_ms=self.dt_ms)
        calm = self.scenario.world.correlation_matrix()
        set_correlation_target(self.world, self.schedule.correlation_target(calm))

    def inject(self, emit: Callable[[Simulation, Outbox], None]) -> None:
        """Let a function add messages after the agents of the next step."""
        self.pending_injections.append(emit)

    def _decide(self, t_ms: int) -> None:
        out = self.outbox
        self._observe_accounts()
        if self._observe_owned is not None:
            self._observe_owned()
        for desk in self.desks:
            desk.decide()
        self.own.decide(out)
        while self.pending_injections:
            self.pending_injections.pop(0)(self, out)
        if out.count[1]:
            out.count[1] = 0
            raise OverflowFault("found no room in the outbox", name="messages", value=t_ms)

    def snapshot(self) -> Snapshot:
        """Copy the whole state; see `restore`."""
        return Snapshot(
            t_ms=self.t_ms,
            defence=self.defence,
            stresses=self.schedule.stresses,
            changed_rules=self.rule_changes.touched,
            venue=copy_venue(self.engine.state),
            world=copy_arrays(self.world),
            accounts=copy_arrays(self.accounts),
            market=copy_arrays(self.market),
            memories=tuple(desk.memory.copy() for desk in self.desks),
            own_agents=tuple(copy_own_agent(agent) for agent in self.own.agents),
            series={"step": self.series.step.copy()},
            minutes={"n": self.minutes.n.copy()},
            replies=self.replies.n.copy(),
            class_sums=self.class_sums.copy(),
            exposures=copy_arrays(self._exposures),
            margin_use=self.margin_use.copy(),
            events=tuple(self.events),
            digest_chain=self.digest_chain.copy(),
        )

    def restore(self, saved: Snapshot, *, seed: int | None = None) -> None:
        """Go back to a snapshot, with the same streams or, given a seed, with fresh ones.

        Rows recorded since the snapshot are written over by the steps that follow.
        """
        self.t_ms, self.defence = saved.t_ms, saved.defence
        self.set_stresses(saved.stresses)
        self.rule_changes.touched = saved.changed_rules
        put_venue(self.engine.state, saved.venue)
        self.engine.reload()
        put_arrays(self.world, saved.world)
        put_arrays(self.accounts, saved.accounts)
        put_arrays(self.market, saved.market)
        for desk, memory in zip(self.desks, saved.memories, strict=True):
            np.copyto(desk.memory, memory)
        for agent, kept in zip(self.own.agents, saved.own_agents, strict=True):
            put_own_agent(agent, kept)
        put_arrays(self.series, saved.series)
        put_arrays(self.minutes, saved.minutes)
        np.copyto(self.replies.n, saved.replies)
        np.copyto(self.class_sums, saved.class_sums)
        put_arrays(self._exposures, saved.exposures)
        np.copyto(self.margin_use, saved.margin_use)
        self.events = list(saved.events)
        self.digest_chain = saved.digest_chain.copy()
        if seed is not None:
            self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Key every draw from now on by another seed."""
        keys = key_from_seed(seed)
        for record in (self.engine.state.par[0], self.world.par[0], self.market.clock[0]):
            record.seed_key0, record.seed_key1 = keys

    def digest(self) -> str:
        """Return the digest of the run so far: steps, recorded rows and present state."""
        chain = self.digest_chain.copy()
        n = int(self.series.step[0])
        for rows in (self.series.book, self.series.asset, self.series.venue):
            chain.add(rows[:n].tobytes())
        chain.add(canonical_state(self.engine.state))
        return chain.hexdigest()

    def close(self) -> None:
        """End the run: what is kept can be read, and is freed with the last reference to it.

        Mesa 3.3.1 keeps every model that ever made an agent; model and agents, and the model and
        its step, refer to each other, and megabytes would wait for the garbage collector.
        """
        mesa.Agent._ids.pop(self, None)
        for agent in tuple(self.agents):
            agent.remove()
            agent.model = None
        for name in ("step", "_user_step"):
            self.__dict__.pop(name, None)


def _own_names(own: Collection[str]) -> dict[int, str]:
    return {number: name for name, number in class_numbers(own).items()}


__all__ = ["ENGINES", "Simulation"]
