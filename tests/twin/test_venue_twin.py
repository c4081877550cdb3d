"""Whole runs: the venue in plain Python gives the digest of the kernels, and goes on from it."""

import numpy as np
import pytest

from stressbook.errors import LadderExhausted
from stressbook.experiments.accounting import look_at_classes
from stressbook.experiments.episode import _total_by_asset_usd, system_usd
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.stress import DepthThinning, PriceGap, VenueHalt
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.state.codes import (
    EV_BREACH,
    EV_DELEVERAGED,
    EV_FORCED_ORDER,
    EV_FUNDING,
    EV_INTEREST,
    EV_SLICE,
    EV_TAKEOVER_ALL,
    EV_TAKEOVER_PERPS,
)
from stressbook.market.state.conservation import Conservation
from stressbook.market.venue import Venue
from tests.small_venue import SmallVenue, differences, trader

BOTH_FALL = PriceGap(at=10, duration=30, assets=("BTC", "HYPE"), fall_frac=0.9)
RUNS = {
    # name: (changes of the skeleton, steps, events that it must reach)
    "cross_fall_and_rally": (
        {
            "stresses": (
                PriceGap(at=10, duration=30, assets=("HYPE",), fall_frac=0.3),
                PriceGap(at=45, duration=15, assets=("HYPE", "BTC"), fall_frac=-0.5),
            )
        },
        70,
        {EV_BREACH, EV_FORCED_ORDER, EV_TAKEOVER_PERPS, EV_DELEVERAGED},
    ),
    "portfolio_crash": (
        {
            "margin_regime": "hyperliquid-pm",
            "stresses": (PriceGap(at=10, duration=40, assets=("HYPE",), fall_frac=0.7),),
        },
        70,
        {EV_SLICE, EV_TAKEOVER_ALL, EV_TAKEOVER_PERPS, EV_DELEVERAGED},
    ),
    "portfolio_crash_without_capital_or_depth": (
        {
            "margin_regime": "hyperliquid-pm",
            "venue": {"liquidation.backstop_capital_usd": 0.0},
            "stresses": (BOTH_FALL, DepthThinning(at=10, duration=40, cut_frac=0.99)),
        },
        60,
        {EV_BREACH, EV_TAKEOVER_ALL, EV_DELEVERAGED},
    ),
    "halts_with_and_without_a_clock": (
        {
            "stresses": (
                PriceGap(at=10, duration=20, assets=("HYPE",), fall_frac=0.3),
                VenueHalt(at=12, duration=8),
                VenueHalt(at=26, duration=8, clock_runs=False),
            )
        },
        50,
        {EV_BREACH, EV_TAKEOVER_PERPS, EV_DELEVERAGED},
    ),
    "hours_in_long_steps": (
        {"margin_regime": "hyperliquid-pm", "dt": 60, "warmup": 60, "stresses": ()}
        | {"duration": "70min"},
        65,
        {EV_FUNDING, EV_INTEREST},
    ),
}


def simulation(name, *, engine="kernel", seed=5):
    changes = {"warmup": 5} | RUNS[name][0]
    return Simulation(load_scenario("skeleton").with_(**changes), seed=seed, engine=engine)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(RUNS))
def test_both_engines_have_one_digest(name):
    _, n_steps, wanted = RUNS[name]
    kernel, reference = simulation(name), simulation(name, engine="reference")
    kernel.advance(n_steps)
    reference.advance(n_steps)
    assert wanted <= set(np.concatenate(kernel.events)["kind"].tolist())
    assert differences(kernel.engine.state, reference.engine.state) == []
    assert kernel.digest() == reference.digest()


def two_way(engine):
    """Basis traders that own nothing yet, where HYPE and BTC are lent and funding is negative."""
    traders = {"hurdle_low": 0.2, "hurdle_high": 0.25, "interval_low_s": 5, "interval_high_s": 10}
    changes = {"preset": "two-way-borrow", "margin_regime": "hyperliquid-pm", "warmup": 5}
    rally = PriceGap(at=20, duration=15, assets=("HYPE",), fall_frac=-0.6)
    changes |= {"agents": {"basis_trader": traders}, "stresses": (rally,)}
    sim = Simulation(load_scenario("skeleton").with_(**changes), seed=5, engine=engine)
    for desk in sim.desks:
        if desk.rule.name == "basis_trader":
            desk.memory["funding_ema"] = -1.5
    return sim


@pytest.mark.slow
def test_carry_runs_both_ways_where_tokens_are_lent():
    kernel, reference = two_way("kernel"), two_way("reference")
    v = kernel.engine.state
    hype, books = 2, Conservation(v)
    assert int(v.supply[:, hype].sum()) == round(1.25 * 1e6 * 1e8)
    assert not v.debt[:, 1:].any()
    for _ in range(40):
        kernel.step()
        books.check(v, t_ms=kernel.t_ms)
        if kernel.t_ms == 20_000:
            shorts = v.debt[:, hype] > v.token[:, hype]
            owners = v.user["class_id"][np.flatnonzero(shorts[: len(v.user)])]
            assert len(owners) >= 5
            assert set(owners.tolist()) == {CLASS_NUMBERS["basis_trader"]}
    look_at_classes(v, kernel.world, kernel.class_sums, kernel._exposures)
    # Whatever is owed is somebody's: classes and venue add up to all tokens and cash inside.
    total = kernel.class_sums["equity_usd"].sum() + sum(system_usd(v).values())
    assert total == pytest.approx(_total_by_asset_usd(kernel), rel=1e-9)
    reference.advance(40)
    assert differences(v, reference.engine.state) == []
    assert kernel.digest() == reference.digest()


@pytest.mark.slow
def test_runs_conserve_on_every_step():
    sim = simulation("portfolio_crash")
    books = Conservation(sim.engine.state)
    for _ in range(RUNS["portfolio_crash"][1]):
        sim.step()
        books.check(sim.engine.state, t_ms=sim.t_ms)


@pytest.mark.slow
def test_each_engine_goes_on_from_a_snapshot_of_the_other():
    kernel = simulation("portfolio_crash")
    reference = simulation("portfolio_crash", engine="reference")
    for sim in (kernel, reference):
        sim.advance(20)
    of_kernel, of_reference = kernel.snapshot(), reference.snapshot()
    for sim in (kernel, reference):
        sim.advance(15)
    digest = kernel.digest()
    kernel.restore(of_reference)
    reference.restore(of_kernel)
    for sim in (kernel, reference):
        sim.advance(15)
        assert sim.digest() == digest


@pytest.mark.slow
def test_fresh_streams_after_a_restore_are_the_same_on_both_engines():
    digests = []
    for engine in ("kernel", "reference"):
        sim = simulation("cross_fall_and_rally", engine=engine)
        sim.advance(12)
        start = sim.snapshot()
        sim.advance(5)
        sim.restore(start, seed=99)
        sim.advance(8)
        digests.append(sim.digest())
    assert digests[0] == digests[1]


def test_a_mirrored_state_runs_on_under_kernels():
    """Books, lists and tables that only kernels read are in the mirror as well."""
    one, other = (
        SmallVenue(trader(1, 50_000), trader(2, 50_000), engine=engine)
        for engine in ("kernel", "reference")
    )
    for venue in (one, other):
        for client_id in range(1, 6):
            venue.bid(0, 3, 100.0 - client_id, 10, client_id=client_id)
            venue.order(1, 3, 1, 100.0 + client_id, 10, client_id=client_id)
        venue.step()
        venue.send(op=2, user=0, client_id=2)
        venue.send(op=2, user=1, client_id=4)
        venue.step()
    other.engine = Venue(other.v)
    for venue in (one, other):
        venue.send(op=2, user=0, client_id=5)
        venue.bid(0, 3, 97.5, 3, client_id=2)
        venue.order(1, 3, 1, 96.0, 25, client_id=9, tif=0)
        venue.step()
    assert differences(one.v, other.v) == []
    assert len(one.fills) > 0


@pytest.mark.parametrize("engine", ["kernel", "reference"])
def test_a_price_off_its_ladder_is_an_error(engine):
    venue = SmallVenue(trader(1, 1_000), engine=engine)
    with pytest.raises(LadderExhausted, match="left the price ladder"):
        venue.update(BTC=300_000.0)
