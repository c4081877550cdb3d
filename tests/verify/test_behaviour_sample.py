"""A taste of the table of behaviour: one seed, an hour; the whole of it is `make verify`."""

import numpy as np
import pytest

from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.validation.bands import SPOT_GAP_BP
from stressbook.experiments.validation.regimes import regime_pair
from stressbook.experiments.validation.shocks import shock_arms, unlevered_arms
from stressbook.experiments.validation.watch import watch

WARMUP_H = 1.0 / 6.0

PAIR = ("hyperliquid-pm", "cross")


@pytest.fixture(scope="module")
def scenario():
    return load_scenario("hyperliquid")


def test_books_stand_and_spot_follows_the_outside_for_an_hour(scenario):
    sim = Simulation(scenario.with_(warmup=600.0, duration="1h"), seed=1)
    sim.advance(600)
    hour = watch(sim, 1)
    sim.close()
    assert hour.two_sided.mean(axis=0).min() >= 0.99
    bounded = [scenario.assets.index(name) for name in SPOT_GAP_BP]
    assert hour.near_outside.mean(axis=0)[bounded].min() >= 0.95
    assert np.isfinite(hour.depth_profile_usd).all()


def test_without_leverage_forced_orders_change_not_a_bit(scenario):
    found = unlevered_arms(scenario, 1, warmup_h=WARMUP_H, horizon_s=1_200.0)
    assert found["venue.debt_usd"] == 0.0
    assert found["venue.most_leverage"] < 1.0
    for case in ("hype-fall", "btc-fall-thin"):
        assert found[f"{case}.gap"] == 0.0
        assert found[f"{case}.equity_gap_usd"] == 0.0
        assert found[f"{case}.drawdown"] > 0.05


def test_forced_orders_deepen_a_fall_of_levered_longs(scenario):
    found = shock_arms(
        scenario, 1, leverage=2.0, arms=("F", "R"), warmup_h=WARMUP_H, horizon_s=1_200.0
    )
    assert found["hype-fall.R.drawdown"] > found["hype-fall.F.drawdown"] + 0.001
    assert found["hype-fall.R.liquidated_HYPE"] > 0.01
    assert found["hype-fall.F.liquidated_HYPE"] == 0.0


def test_the_same_equity_carries_more_under_portfolio_margin(scenario):
    found = regime_pair(scenario, 1, warmup_h=0, hours=1)
    for name in ("basis_trader.BTC", "hedger.HYPE", "holder.HYPE"):
        opened = [
            found[f"{name}.enrolled.opening_usd.{one}"] for one in ("hyperliquid-pm", "cross")
        ]
        assert opened[0] == pytest.approx(opened[1], abs=0.01)
        assert found[f"{name}.enrolled.hyperliquid-pm"] > found[f"{name}.enrolled.cross"] + 0.1
