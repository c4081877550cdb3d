"""Borrowers who fill a cap: to the dollar, nested, within user caps, at unchanged utilisation."""

from types import SimpleNamespace

import numpy as np
import pytest

from stressbook.agents.borrower import BorrowerParams, owners
from stressbook.agents.population import build_population
from stressbook.errors import InvalidScenario
from stressbook.experiments.caps.demand import FILL, PLATFORM_CAP, demand_changes, lifted_caps
from stressbook.experiments.caps.episodes import _nested
from stressbook.experiments.outcomes import OUTCOMES
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.simulation import Simulation
from stressbook.market.margin.ratio import breaches
from stressbook.market.numbers.draws import CLASS_NUMBERS, account_key
from stressbook.market.numbers.units import MICRO

BASE = load_scenario("calm-two-assets").with_(duration="1min", warmup="0s")
BORROWER = CLASS_NUMBERS["borrower"]


def filled(cap_usd, **params):
    changes = demand_changes("filled", PLATFORM_CAP, cap_usd, BASE.venue_spec()).settings
    more = {f"agents.borrower.{name}": value for name, value in params.items()}
    return BASE.with_(**_nested(changes | more))


def population(scenario, seed=7):
    return build_population(
        scenario.agents,
        scenario.venue_spec(),
        seed=seed,
        world=scenario.world,
        classes=scenario.agents,
    )


def borrowers(found):
    return [one for one in found.accounts if one.class_id == BORROWER]


@pytest.mark.parametrize("cap_usd", [350e6, 700e6])
def test_the_platform_owes_what_it_may_and_supply_keeps_its_utilisation(cap_usd):
    empty, full = population(BASE), population(filled(cap_usd))
    owed = sum(one.debt for one in full.accounts) / MICRO
    assert cap_usd - 2.0 < owed <= cap_usd  # debts are rounded down, so that none exceeds its cap
    others = [one for one in full.accounts if one.class_id != BORROWER]
    before = [one for one in empty.accounts if one.class_id != BORROWER]
    assert [one.debt for one in others] == [one.debt for one in before]
    supplied = sum(one.supply for one in full.accounts)
    used = sum(one.debt for one in full.accounts) / supplied
    assert used == pytest.approx(empty.utilisation, rel=1e-6)


def test_a_larger_cap_adds_borrowers_and_changes_none():
    small, large = (borrowers(population(filled(cap))) for cap in (400e6, 800e6))
    whole = [one for one in small if one.debt][:-1]  # the last one was cut to what was left
    assert [(o.key, o.debt, o.tokens) for o in whole] == [
        (o.key, o.debt, o.tokens) for o in large[: len(whole)]
    ]
    assert sum(one.debt > 0 for one in large) > len(whole)


def test_debts_stay_below_user_caps_and_values_are_eligible():
    scenario = filled(900e6, load_mean=1.0, load_sd=0.0, load_high=1.0)
    spec = scenario.venue_spec()
    prices = {asset.name: asset.opening_price_usd for asset in spec.assets}
    for one in borrowers(population(scenario)):
        assert one.debt <= 0.9 * spec.tokens[0].user_borrow_cap * MICRO
        held = 0.0
        for token, units in one.tokens.items():
            rules = spec.tokens[token]
            assert units <= rules.user_supply_cap * rules.unit
            held += units / rules.unit * prices[rules.asset]
        assert held - one.debt / MICRO < spec.margin.account_value_max_usd


def test_loads_follow_the_cut_normal_law():
    params = BorrowerParams(load_mean=0.85, load_sd=0.12)
    keys = account_key(BORROWER, 0) + np.arange(4000)
    loads = np.array([one.load for one in owners(params, keys, seed=3)])
    assert loads.min() >= params.load_low
    assert loads.max() <= params.load_high
    # E of a normal law cut at .98: mean - sd x pdf(z) / cdf(z), z = (.98 - .85) / .12
    assert loads.mean() == pytest.approx(0.85 - 0.12 * 0.22188 / 0.86068, abs=0.006)


def test_a_split_owner_borrows_more_through_several_accounts():
    spec = {"tokens": {"USDC": {"user_borrow_cap": 2e6}}}
    one = borrowers(population(filled(400e6).with_(venue=spec)))
    ten = filled(400e6, accounts_when_bound=10).with_(venue=spec)
    many = borrowers(population(ten))
    owner = {account.key // 10 for account in many if account.debt}
    assert len(owner) < sum(account.debt > 0 for account in one)
    assert all(account.debt <= 0.9 * 2e6 * MICRO for account in [*one, *many])
    assert sum(a.debt for a in one) == pytest.approx(sum(a.debt for a in many), abs=2e6)
    bound = population(ten).rationed["borrower"]
    assert bound["user_borrow_cap"] > 0


def test_kept_supply_caps_raise_loads_and_refuse_what_cannot_be():
    lifted = filled(600e6)
    spec = BASE.venue_spec()
    tokens = {
        name: {"platform_supply_cap": cap} for name, cap in (("HYPE", 13e6), ("BTC", 4_000.0))
    }
    with pytest.raises(InvalidScenario, match=r"needs .* of collateral, the platform"):
        population(lifted.with_(venue={"tokens": tokens}))
    kept = filled(600e6, supply_caps="kept").with_(venue={"tokens": tokens})
    units = {}
    for one in population(kept).accounts:
        for token, held in one.tokens.items():
            rules = spec.tokens[token]
            most = round(rules.user_supply_cap * rules.unit)
            units[token] = units.get(token, 0) + (min(held, most) if one.regime else 0)
    hype = next(k for k, token in enumerate(spec.tokens) if token.asset == "HYPE")
    assert units[hype] <= 13e6 * spec.tokens[hype].unit
    with pytest.raises(InvalidScenario, match="cannot be filled"):
        population(filled(2000e6, supply_caps="kept").with_(venue={"tokens": tokens}))


def test_owners_at_the_user_cap_borrow_nine_tenths_of_it():
    found = borrowers(
        population(filled(700e6, sizes="user_cap", load_mean=1.0, load_sd=0.0, load_high=1.0))
    )
    largest = [one.debt for one in found if one.debt]
    assert max(largest) == pytest.approx(0.9 * 50e6 * MICRO, rel=1e-6)


def test_caps_are_lifted_for_the_fill_and_never_lowered():
    spec = BASE.venue_spec()
    before = {
        f"venue.tokens.{t.name}.platform_supply_cap": t.platform_supply_cap for t in spec.tokens
    }
    for place, value in lifted_caps(500e6, spec).items():
        assert value > before[place]
    changes = demand_changes("filled", "venue.tokens.HYPE.platform_supply_cap", 5e6, spec)
    assert changes.settings["venue.tokens.HYPE.platform_supply_cap"] == 5e6
    assert changes.settings[FILL] == spec.tokens[0].platform_borrow_cap


def test_borrowers_hold_no_cash_send_nothing_and_are_not_in_breach():
    sim = Simulation(filled(500e6), seed=7)
    try:
        v = sim.engine.state
        mine = np.flatnonzero(v.user["class_id"] == BORROWER)
        assert len(mine) > 50
        assert not v.cash[mine].any()
        sim.advance(30)
        assert not v.own_head[mine].any()
        assert not v.user["breached"][mine].any()
        assert not any(
            breaches(
                True,
                float(r["ratio"]),
                float(r["equity_usd"]),
                float(r["maintenance_usd"]),
                float(v.par[0].pm_trigger_ratio),
            )
            for r in v.risk[mine]
            if r["judged_as_portfolio"] == 1
        )
    finally:
        sim.close()


def test_owners_are_the_same_however_many_accounts_they_may_open():
    one, ten = (
        [(a.debt, a.tokens) for a in borrowers(population(filled(400e6, **more))) if a.debt]
        for more in ({"debt_ratio": 3.0}, {"debt_ratio": 3.0, "accounts_when_bound": 10})
    )
    assert len(one) > 20
    assert one == ten  # such wants are within all bounds


def test_a_cap_that_rations_opening_books_is_told():
    small = BASE.with_(venue={"tokens": {"USDC": {"platform_borrow_cap": 100e6}}})
    found = population(small)
    assert sum(one.debt for one in found.accounts) / MICRO < 0.9 * 100e6
    bound = next(one for one in OUTCOMES if one.name == "platform_cap_bound")
    assert bound.measure(SimpleNamespace(rationed=found.rationed)) > 0.0
    assert bound.measure(SimpleNamespace(rationed=population(BASE).rationed)) == 0.0
