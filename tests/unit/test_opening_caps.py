"""Openings within every cap, by the venue's own valuation; what is not is refused by name."""

import pytest

from stressbook.agents.opening_check import opening_problems
from stressbook.agents.population import build_population
from stressbook.errors import InvalidScenario
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.simulation import Simulation
from stressbook.market.opening.setup import make_state
from stressbook.market.regimes import regime_names
from stressbook.market.rules.presets import preset_names

BASE = load_scenario("hyperliquid")


def opened(scenario, seed=7):
    spec = scenario.venue_spec()
    population = build_population(
        scenario.agents,
        spec,
        seed=seed,
        regime=scenario.margin_regime,
        world=scenario.world,
        classes=scenario.agents,
    )
    state = make_state(spec, population.accounts, seed=seed)
    names = [token.name for token in spec.tokens]
    return population, opening_problems(state, names, own_classes={})


def with_token(name, **caps):
    return BASE.with_(venue={"tokens": {name: caps}})


@pytest.mark.parametrize("name", ["hype-fall", "calm-two-assets", "correlation-break", "skeleton"])
def test_shipped_scenarios_open_within_caps(name):
    assert opened(load_scenario(name))[1] == []


@pytest.mark.parametrize("name", preset_names())
def test_rules_of_every_day_open_within_caps(name):
    assert opened(BASE.with_(preset=name))[1] == []


@pytest.mark.parametrize("name", regime_names())
def test_every_regime_opens_without_breach(name):
    assert opened(BASE.with_(margin_regime=name))[1] == []


@pytest.mark.parametrize(
    ("token", "cap", "most"),
    [
        ("USDC", "user_borrow_cap", 0.0),
        ("USDC", "user_borrow_cap", 2e5),
        ("USDC", "user_borrow_cap", 1e12),
        ("USDC", "platform_borrow_cap", 0.0),
        ("USDC", "platform_supply_cap", 1e6),
        ("HYPE", "user_supply_cap", 1_000.0),
        ("BTC", "platform_supply_cap", 10.0),
    ],
)
def test_caps_of_any_size_ration_and_are_named(token, cap, most):
    population, problems = opened(with_token(token, **{cap: most}))
    assert problems == []
    counts = [by for of in population.rationed.values() for by in of]
    binding = "pool" if (token, cap) == ("USDC", "platform_supply_cap") else cap
    assert (binding in counts) == (most < 1e12)
    largest = max(account.debt for account in population.accounts) / 1e6
    if cap == "user_borrow_cap":
        assert largest <= 0.9 * most


def test_opening_in_breach_is_refused_with_its_accounts():
    scenario = BASE.with_(venue={"margin": {"trigger_ratio": 0.5}})
    with pytest.raises(InvalidScenario, match="opens in breach: 28 accounts") as raised:
        Simulation(scenario, seed=7)
    assert raised.value.name == "opening.holder"
    assert "ratio 0.5" in str(raised.value)
    assert raised.value.allowed == "a margin ratio up to 0.5"


def test_debts_above_a_cap_are_named():
    spec = BASE.venue_spec()
    population = build_population({}, spec, seed=7)
    state = make_state(spec, population.accounts, seed=7)
    state.token_spec[0].user_borrow_cap = 10_000_000 * 10**6
    state.token_spec[0].platform_borrow_cap = 100_000_000 * 10**6
    found = opening_problems(state, ["USDC"], own_classes={})
    assert {one.name for one in found} == {"opening.holder", "opening.USDC"}
    assert any("user borrow cap" in one.problem for one in found)


@pytest.mark.parametrize(
    ("token", "caps"), [("USDC", {"user_borrow_cap": 2e5}), ("HYPE", {"user_supply_cap": 1_000.0})]
)
def test_low_caps_alone_liquidate_nobody(token, caps):
    scenario = with_token(token, **caps).with_(warmup="30s", duration="30s", stresses=[])
    sim = Simulation(scenario, seed=7)
    try:
        sim.advance(60)
        assert not sim.engine.state.user["breached"].any()
        assert sum(len(events) for events in sim.events) == 0
    finally:
        sim.close()
