"""Rules that change during a run: both engines go by the new ones, after a restore and without."""

from collections import deque
from dataclasses import is_dataclass

import numpy as np
import pytest

from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.snapshot import copy_venue, put_venue
from stressbook.experiments.stress import PriceGap
from stressbook.market.reference.reading import read_parts, read_rules
from stressbook.market.state.records import VENUE_PARAMS
from tests.small_venue import BTC_PERP, SmallVenue, differences, trader

# Sizes and rows are the shape of the arrays; the latency of accounts is drawn at the opening.
SHAPE = {f"n_{what}" for what in ("users", "pockets", "insts", "assets", "tokens")} | {
    "backstop_user",
    "latency_median_ms",
}
RULES = [n for n in VENUE_PARAMS.names if n not in SHAPE and not n.startswith("row_")]
SWITCHES = {n for n in RULES if n.endswith("_on")} | {
    "slice_at_partial_threshold",
    "slice_of_remaining",
    "slice_full_discount",
    "user_cap_in_credit",
    "borrowable_in_credit",
    "interest_is_simple",
}
UNCHANGED_IN_RUNS = {"seed_key0", "seed_key1", "dt_ms"}  # a new seed and a new step have tests


def changed(par, name):
    """Another value of a rule, within its range."""
    value = par[0][name]
    if name in SWITCHES:
        return 1 - value
    if name.endswith("_period_ms"):
        return 2 * value
    step = 0.001 if VENUE_PARAMS[name].kind == "f" else 1
    return value + max(step, type(step)(value / 20))


def flat(thing, path="", seen=()):
    """All numbers that an object holds, by where they are."""
    if is_dataclass(thing) or hasattr(thing, "__dict__"):
        assert id(thing) not in seen, path
        items = vars(thing).items()
    elif hasattr(thing, "_asdict"):
        items = thing._asdict().items()
    elif isinstance(thing, dict):
        items = thing.items()
    elif isinstance(thing, list | tuple | deque):
        items = enumerate(thing)
    else:
        return {path: thing}
    found = {}
    for name, value in items:
        found |= flat(value, f"{path}.{name}", (*seen, id(thing)))
    return found


@pytest.fixture(scope="module")
def traded():
    """A plain venue with positions, orders, averages and premium samples."""
    rules = {"margin__min_borrow_offset_on": True}
    venue = SmallVenue(trader(1, 50_000), trader(2, 50_000), engine="reference", **rules)
    for _ in range(12):
        venue.bid(0, BTC_PERP, 99_900.0, 10)
        venue.order(1, BTC_PERP, 1, 99_900.0, 5, tif=0)
        venue.step()
    return venue.v


@pytest.mark.parametrize("name", RULES)
def test_the_plain_venue_reads_every_rule_again_without_a_restore(traded, name):
    saved = copy_venue(traded)
    parts = read_parts(traded)
    before = flat(parts)
    try:
        traded.par[0][name] = changed(traded.par, name)
        read_rules(parts, traded)
        after, fresh = flat(parts), flat(read_parts(traded))
    finally:
        put_venue(traded, saved)
    assert {path for path in fresh if fresh[path] != after.get(path)} == set()
    assert fresh != before


def simulation(engine):
    fall = PriceGap(at=5, duration=20, assets=("HYPE",), fall_frac=0.7)
    changes = {"warmup": 5, "margin_regime": "hyperliquid-pm", "stresses": (fall,)}
    return Simulation(load_scenario("skeleton").with_(**changes), seed=5, engine=engine)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["restore", "in place"])
def test_both_engines_go_by_rules_that_changed(how):
    """A restore into a venue of other rules is how a study branches off one opening."""
    kernel, reference = (simulation(engine) for engine in ("kernel", "reference"))
    digests = []
    for sim in (kernel, reference):
        sim.advance(10)
        saved = sim.snapshot()
        sim.advance(20)
        digests.append(sim.digest())
        par = saved.venue["par"]
        values = {n: changed(par, n) for n in RULES if n not in UNCHANGED_IN_RUNS | SWITCHES}
        values |= {n: changed(par, n) for n in ("slice_of_remaining", "interest_is_simple")}
        if how == "in place":
            sim.restore(saved)
            par = sim.engine.state.par
        for name, value in values.items():
            par[0][name] = value
        if how == "restore":
            sim.restore(saved)
        sim.advance(20)
    assert differences(kernel.engine.state, reference.engine.state) == []
    assert kernel.digest() == reference.digest()
    assert digests[0] == digests[1]
    assert kernel.digest() != digests[0]
    assert len(np.concatenate(kernel.events)) > 0
