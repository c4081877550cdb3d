"""Stresses that reach into the venue: both engines stay equal, and runs resume through them."""

import numpy as np
import pytest

from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.stress import (
    LenderRun,
    LiquidatorOutage,
    ParameterStep,
    PriceGap,
    RiskCheckDelay,
)
from stressbook.market.rules.changes import CHANGEABLE, RuleChanges, changed_value
from stressbook.market.state.codes import EV_BREACH, EV_FORCED_ORDER
from stressbook.market.state.digest import canonical_state
from tests.distress import RULE_SETS, DistressedVenue
from tests.small_venue import differences

FACTORS = (0.0, 0.3, 0.9, 1.1, 2.0)


class InterruptedVenue(DistressedVenue):
    """A venue near the edge whose checks come late, whose liquidator fails, whose rules move."""

    def __init__(self, seed, *, engine, values):
        super().__init__(seed, engine=engine, values=values)
        self.changes, self.rules = RuleChanges(self.spec), self.spec
        self.places = [place for place in self.spec.places() if is_changeable(place)]

    def random_step(self):
        rng = self.rng
        self.v.dial["check_delay_s"] = rng.choice([0.0, 0.0, 7.0, 30.0])
        self.v.dial["liquidator_out"] = float(rng.random() < 0.2)
        self.v.dial["liquidator_out"][0] = 1.0  # of one asset: nothing
        for place in rng.choice(self.places, size=3, replace=False):
            self.rules = moved(self.rules, str(place), float(rng.choice(FACTORS)))
        if rng.random() < 0.2:
            self.rules = self.spec
        self.changes.write(self.v, self.rules)
        super().random_step()


def is_changeable(place):
    section, *_, attribute = place.split(".")
    return attribute in CHANGEABLE.get(section, ())


def moved(spec, place, factor):
    """The venue with one number changed, unchanged where that value is out of range."""
    try:
        value = changed_value(spec, place, to=None, factor=factor, severity=1.0)
        return spec.with_values({place: value})
    except ValueError:
        return spec


@pytest.mark.boundscheck
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rules", ["as_published", "little_capital", "slices_of_the_rest", "scan"])
def test_engines_agree_whatever_is_late_out_or_changed(seed, rules):
    kernel, reference = (
        InterruptedVenue(seed, engine=engine, values=RULE_SETS[rules])
        for engine in ("kernel", "reference")
    )
    for _ in range(14):
        for venue in (kernel, reference):
            venue.random_step()
        assert differences(kernel.v, reference.v) == []


STEPS = (
    PriceGap(at=10, duration=30, assets=("HYPE",), fall_frac=0.4),
    ParameterStep(at=12, place="tokens.USDC.platform_borrow_cap", factor=0.1, severity=0.5),
    ParameterStep(at=14, duration=16, place="tokens.HYPE.ltv", to=0.3, reverts=True),
    ParameterStep(at=15, place="margin.trigger_ratio", to=0.9),
    RiskCheckDelay(at=16, duration=12, delay_s=6),
    LiquidatorOutage(at=28, duration=6),
    LenderRun(at=11, duration=40, run_per_hour=60),
)


def simulation(engine="kernel", stresses=STEPS):
    changes = {"warmup": 5, "margin_regime": "hyperliquid-pm", "stresses": stresses}
    changes |= {"agents": {"lender": {"interval_s": 5}}}
    changes |= {"world": {"HYPE": {"crowd": {"open_interest_usd": 3e7}}}}
    return Simulation(load_scenario("skeleton").with_(**changes), seed=5, engine=engine)


@pytest.fixture(scope="module")
def uninterrupted():
    """A run with snapshots before, inside and after the steps, and what came of it."""
    sim = simulation()
    saved = {}
    for at in (10, 20, 40):
        sim.advance(at - sim.t_ms // 1_000)
        saved[at] = sim.snapshot()
    sim.advance(5)
    return sim, saved, sim.digest()


@pytest.mark.slow
def test_both_engines_have_one_digest(uninterrupted):
    sim, _, digest = uninterrupted
    reference = simulation("reference")
    reference.advance(45)
    assert differences(sim.engine.state, reference.engine.state) == []
    assert reference.digest() == digest
    assert reference.world.crowd.tobytes() == sim.world.crowd.tobytes()
    assert sim.world.crowd["done_lots"][1, 0] > 0
    assert sim.engine.state.supply[:, 0].sum() < simulation().engine.state.supply[:, 0].sum()
    kinds = {*np.concatenate(sim.events)["kind"].tolist()}
    assert {EV_BREACH, EV_FORCED_ORDER} <= kinds


@pytest.mark.slow
@pytest.mark.parametrize("at", [10, 20, 40])
def test_a_run_goes_on_from_before_inside_and_after_a_step(uninterrupted, at):
    sim, saved, digest = uninterrupted
    fresh = simulation()
    for one in (sim, fresh):  # from later on, and into a venue that opens, which has other rows
        one.restore(saved[at])
        one.advance(45 - at)
    assert sim.digest() == digest
    assert fresh.digest_chain.hexdigest() == sim.digest_chain.hexdigest()
    assert canonical_state(fresh.engine.state) == canonical_state(sim.engine.state)


@pytest.mark.slow
def test_an_arm_without_stresses_goes_by_the_rules_of_the_opening_again(uninterrupted):
    _, saved, _ = uninterrupted
    calm = simulation(stresses=())
    opening = calm.engine.state.token_spec.copy(), calm.engine.state.par[0].copy()
    sim = simulation(stresses=())
    sim.restore(saved[20])
    assert sim.engine.state.token_spec.tobytes() != opening[0].tobytes()
    assert sim.market.token["ltv"][2] == 0.3 != opening[0]["ltv"][2]  # what agents see
    sim.set_stresses(())
    sim.engine.state.par[0].resolution_on = 0  # set by hand, as an arm does
    sim.step()
    assert sim.engine.state.token_spec.tobytes() == opening[0].tobytes()
    assert sim.engine.state.par[0].pm_trigger_ratio == opening[1].pm_trigger_ratio
    assert sim.engine.state.par[0].resolution_on == 0
    assert sim.market.token["ltv"].tolist() == opening[0]["ltv"].tolist()
