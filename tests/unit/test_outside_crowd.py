"""The levered crowd outside: who is liquidated when, what it does to prices, that none is lost."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from stressbook.errors import InvalidScenario
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.snapshot import copy_arrays, put_arrays
from stressbook.market.prices.outside_crowd import (
    CROWD_LONGS,
    CROWD_SHORTS,
    N_SHARES,
    OutsideCrowd,
    liquidation_distances,
)
from stressbook.market.prices.outside_market import OUTSIDE_PERP
from stressbook.market.prices.world import advance
from stressbook.market.prices.world_parameters import AssetWorld, WorldParams, checked
from tests.unit.test_world import STILL_LEG, content, crowded, run, still_world, world

LAW = {"leverage_median": 4.0, "leverage_log_sd": 0.0}  # all of them at 23 % from the opening
LASTING = replace(STILL_LEG, impact_fast_halflife_s=1e12, impact_slow_halflife_s=1e12)


def still(open_interest_usd=2e6, leg=LASTING, **law):
    """One asset at 100 USD that only flow and dials move; a lot is a dollar."""
    asset = AssetWorld("SOL", daily_volatility=0.0, cross_share=0.5, spot=leg, perp=leg)
    plain = WorldParams(assets=(asset,), correlation=((1.0,),))
    return world(crowded(plain, open_interest_usd, **law))


def move(w, frac, n_steps=10):
    """Let the fundamental go to a fraction of where it stands."""
    start = int(w.par[0].step)
    w.dial[0].drift = math.log(frac) / n_steps
    run(w, n_steps, start_ms=1_000 * start)
    w.dial[0].drift = 0.0


def rest(w, n_steps):
    run(w, n_steps, start_ms=1_000 * int(w.par[0].step))


def side(w, which=CROWD_LONGS):
    return {name: int(w.crowd[0, which][name]) for name in ("n_gone", "due_lots", "done_lots")}


def test_distances_are_quantiles_of_the_leverage_law():
    law = OutsideCrowd(clear_frac=0.0, maintenance_frac=0.02)
    found = np.array(liquidation_distances(law))
    assert (np.diff(found) > 0.0).all()
    for distance in (0.1, 0.2, 0.4):
        leverage = 1.0 / (distance + law.maintenance_frac)
        expected = norm.sf((math.log(leverage) - math.log(3.7)) / 0.61)
        assert (found < distance).mean() == pytest.approx(expected, abs=2.0 / N_SHARES)


def test_what_lies_near_the_opening_has_gone_and_the_rest_is_the_whole_open_interest():
    near = still(clear_frac=0.2)
    assert int(near.crowd[0, 0].n_shares) < N_SHARES
    assert near.crowd_price[0, CROWD_LONGS].max() < 80.0
    assert near.crowd_price[0, CROWD_SHORTS, 0] > 120.0
    for one in (near, still()):
        lots = one.crowd["share_lots"] * one.crowd["n_shares"]
        assert (abs(lots - 2_000_000) < N_SHARES).all()


@pytest.mark.parametrize(("frac", "who", "sign"), [(0.76, CROWD_LONGS, -1), (1.3, CROWD_SHORTS, 1)])
def test_a_move_beyond_their_prices_is_deepened_by_those_that_are_liquidated(frac, who, sign):
    plain, w = still(0.0), still(**LAW)
    for one in (plain, w):
        move(one, frac)
        rest(one, 250)
    assert side(w, who)["done_lots"] == int(w.crowd[0, who].share_lots) * N_SHARES
    assert side(w, 1 - who) == {"n_gone": 0, "due_lots": 0, "done_lots": 0}
    # 2 M USD at the opening price: 1 % a million at the fundamental, the root beyond 3 %.
    load = 0.02 * frac
    assert w.outside[0].perp_usd / plain.outside[0].perp_usd - 1.0 == pytest.approx(
        sign * load, rel=0.01
    )
    assert w.outside[0].spot_usd / plain.outside[0].spot_usd - 1.0 == pytest.approx(
        sign * 0.5 * load, rel=0.01
    )


def test_a_fall_short_of_their_prices_moves_nobody():
    plain, w = still(0.0), still(**LAW)
    for one in (plain, w):
        move(one, 0.78)
    assert w.outside.tobytes() == plain.outside.tobytes()
    assert side(w) == {"n_gone": 0, "due_lots": 0, "done_lots": 0}


def test_each_share_is_liquidated_once_and_none_is_lost():
    w = still(4e6, leverage_median=6.0)
    total = int(w.crowd[0, 0].share_lots) * int(w.crowd[0, 0].n_shares)
    before, first_low = side(w), 0
    for frac in (0.8, 1.25, 0.8, 0.9):
        for _ in range(40):
            move(w, frac ** (1 / 40), 1)
            now = side(w)
            gone = now["n_gone"] * int(w.crowd[0, 0].share_lots)
            assert gone == now["due_lots"] + now["done_lots"] <= total
            assert all(now[name] >= before[name] for name in ("n_gone", "done_lots"))
            before = now
        if frac == 1.25:
            first_low = now["n_gone"]
    assert 0 < first_low < before["n_gone"]


def test_forced_flow_is_an_order_like_any_other_and_halves_with_its_half_life():
    w, by_hand = still(**LAW, flow_halflife_s=5.0), still(0.0)
    for one in (w, by_hand):
        one.dial[0].jump = math.log(0.76)
        rest(one, 1)
        one.dial[0].jump = 0.0
    due = 2_000_000 // N_SHARES * N_SHARES
    for step in range(1, 31):
        former = side(w)["done_lots"]
        rest(w, 1)
        sold = side(w)["done_lots"] - former
        by_hand.request[0, 0, OUTSIDE_PERP] = -sold
        rest(by_hand, 1)
        assert w.outside.tobytes() == by_hand.outside.tobytes()
        if step == 5:
            assert side(w)["due_lots"] == pytest.approx(due / 2, abs=10)
    assert not w.cash.any()
    rest(w, 200)
    assert side(w) == {"n_gone": N_SHARES, "due_lots": 0, "done_lots": due}


def test_a_copy_in_the_midst_of_a_cascade_is_a_snapshot():
    w = still(4e6)
    move(w, 0.75)
    saved = copy_arrays(w)
    assert side(w)["due_lots"] > 0
    rest(w, 20)
    once = content(w)
    put_arrays(w, saved)
    rest(w, 20)
    assert content(w) == once


def test_the_crowd_draws_no_number():
    plain, w = still_world(), still()
    run(plain, 30)
    run(w, 30)
    assert w.component.tobytes() == plain.component.tobytes()
    assert w.asset["shock"].tobytes() == plain.asset["shock"].tobytes()


def test_a_scenario_names_its_crowd_and_says_what_is_wrong_with_it():
    crowd = {"open_interest_usd": 5e8, "leverage_median": 5.0}
    found = load_scenario("skeleton").with_(world={"HYPE": {"crowd": crowd}})
    assert found.world.assets[1].crowd == OutsideCrowd(**crowd)
    assert load_scenario("skeleton").with_(world=found.to_table()["world"]) == found
    with pytest.raises(InvalidScenario, match=r"world\.HYPE\.crowd\.clear_frac"):
        checked(crowded(found.world, 1e6, leverage_median=100.0, leverage_log_sd=0.1))
    with pytest.raises(InvalidScenario, match=r"world\.BTC\.crowd\.open_interest_usd"):
        checked(crowded(found.world, -1.0))
    assert advance(still(1e11), 1_000) == 0
