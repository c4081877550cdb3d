"""Who is enrolled when a run begins: the same rule as of a message, and whom it refuses is kept."""

import re

import numpy as np
import pytest

import stressbook as sb
from stressbook.agents.enrolment import EnrolmentCount
from stressbook.agents.population import build_population
from stressbook.experiments.enrolment import opening_enrolment
from stressbook.experiments.run import run_scenario
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.store import load_run, read_manifest, save_run
from stressbook.market.margin.equity import account_value_usd
from stressbook.market.margin.sums import account_sums
from stressbook.market.rules.spec import load_preset
from stressbook.market.state.codes import ACCEPTED, MODE_PORTFOLIO, OP_ENROL, REGIME_PORTFOLIO
from stressbook.market.state.records import C_REPLIES
from tests.own_names import own_names_forgotten
from tests.small_venue import HOUSE_CASH, SmallVenue, trader

VENUE = load_preset("hyperliquid")
NO_DOOR = {"margin.eligible_volume_usd": 1e12, "margin.eligible_value_usd": 1e12}


def enrolled_keys(population):
    return {one.key for one in population.accounts if one.regime == REGIME_PORTFOLIO}


def population(**values):
    named = {name.replace("__", "."): value for name, value in values.items()}
    return build_population({}, VENUE.with_values(named), seed=7)


def test_at_the_shipped_rules_nobody_is_refused():
    found = population()
    assert len(enrolled_keys(found)) == 72
    assert {name: count.asked for name, count in found.enrolment.items()} == {
        name: count.enrolled for name, count in found.enrolment.items()
    }
    assert sum(count.asked for count in found.enrolment.values()) == 72


def test_who_is_too_large_opens_under_cross_margin_on_the_same_equity():
    before = population()
    equity = {
        int(key): float(usd)
        for cohort in before.cohorts
        if "equity_usd" in cohort.parameters.dtype.names
        for key, usd in zip(
            (before.accounts[user].key for user in cohort.users),
            cohort.parameters["equity_usd"],
            strict=True,
        )
    }
    keys = enrolled_keys(before)
    bound = float(np.median([equity[key] for key in keys]))
    after = population(margin__account_value_max_usd=bound)
    assert enrolled_keys(after) == {key for key in keys if equity[key] < bound}
    refused = sum(count.too_large for count in after.enrolment.values())
    assert refused == len(keys) - len(enrolled_keys(after)) > 0
    for one, other in zip(before.accounts, after.accounts, strict=True):
        assert one.key == other.key
        if one.key in keys - enrolled_keys(after):
            assert (other.debt, other.borrowed) == (0, {})


def test_classes_without_the_volume_are_refused_where_volume_alone_admits():
    found = population(margin__eligible_volume_usd=7e6, margin__eligible_value_usd=1e12).enrolment
    holders = found["holder"]  # 6 M of volume
    assert holders == EnrolmentCount(holders.asked, 0, 0, holders.asked)
    assert holders.asked > 0
    for name in ("basis_trader", "hedger"):
        assert found[name].enrolled == found[name].asked > 0


def test_nobody_asks_where_nothing_can_be_enrolled_in():
    assert build_population({}, VENUE, seed=7, regime="cross").enrolment == {}


def test_the_value_that_is_asked_about_is_the_one_that_margin_sees():
    sim = Simulation(load_scenario("skeleton").with_(margin_regime="hyperliquid-pm"), seed=7)
    v = sim.engine.state
    seen = 0
    for desk in sim.desks:
        if "equity_usd" not in (desk.parameters.dtype.names or ()):
            continue
        for user, usd in zip(desk.users, desk.parameters["equity_usd"], strict=True):
            if v.row[user].regime == REGIME_PORTFOLIO:
                value = account_value_usd(account_sums(v, int(user)))
                assert value == pytest.approx(float(usd), abs=1e-3 * 1e3)
                seen += 1
    assert seen == sum(count.enrolled for count in sim.enrolment.values()) > 0
    sim.close()


# --- own classes ----------------------------------------------------------------------------------


CASES = [
    (10_000.0, 0.0),
    (10_000.000001, 0.0),
    (9_000.0, 5e6),
    (9_000.0, 5_000_000.000001),
    (24_999_999.999999, 0.0),
    (25e6, 1e9),
]


@pytest.mark.parametrize(("cash_usd", "volume_usd"), CASES)
def test_an_own_class_is_answered_as_a_message_would_be(cash_usd, volume_usd, engine):
    s = SmallVenue(
        trader(1, cash_usd, volume_14d_micro=round(volume_usd * 1e6)),
        trader(2, HOUSE_CASH),
        engine=engine,
    )
    s.send(op=OP_ENROL, user=0, qty_lots=MODE_PORTFOLIO)
    s.step()
    [reply] = s.v.reply[: s.v.ctr[C_REPLIES]]
    asked = {"accounts": 3, "cash_usd": cash_usd, "volume_14d_usd": volume_usd, "enrolled": True}
    with own_names_forgotten():

        class Idle(sb.Account):
            """Does nothing."""

            def decide(self, view, out):
                """Stay as it is."""

        scenario = sb.scenario("skeleton").with_(margin_regime="hyperliquid-pm").add(Idle, n=3)
        scenario = scenario.with_(agents={"Idle": asked})
        count = opening_enrolment(scenario.resolved, seed=7)["Idle"]
    assert count.asked == 3
    assert count.enrolled == (3 if reply["code"] == ACCEPTED else 0)
    assert count.too_large == (3 if cash_usd >= 25e6 else 0)


# --- what is printed and kept ---------------------------------------------------------------------


def refusing():
    """A short run whose hedged accounts are refused, but for one class's."""
    values = {"venue": {"margin": {"eligible_volume_usd": 1e8, "eligible_value_usd": 1e12}}}
    scenario = sb.scenario("hype-fall").with_(warmup="0s", duration="2s", stresses=[])
    return scenario.with_(**values)


def test_the_plan_says_who_is_refused_by_which_rule():
    plan = refusing().plan(seed=7)
    found = opening_enrolment(refusing().resolved, seed=7)
    for name, count in found.items():
        row = rf"{name} +{count.asked} +{count.enrolled} +{count.too_large} +{count.too_small}\n"
        assert re.search(row, plan)
    assert found["basis_trader"].enrolled > 0
    assert found["hedger"].too_small > 0
    cross = sb.scenario("hype-fall").with_(margin_regime="cross").plan()
    assert "nobody asks" in cross


def test_a_run_keeps_who_was_refused(tmp_path):
    record = run_scenario(refusing().resolved, seed=7)
    kept = {
        name: count._asdict()
        for name, count in opening_enrolment(refusing().resolved, seed=7).items()
    }
    assert record.enrolment == kept
    assert record.accounts["enrolled"].sum() == sum(one["enrolled"] for one in kept.values())
    save_run(record, tmp_path / "run")
    assert read_manifest(tmp_path / "run")["enrolment"] == kept
    assert load_run(tmp_path / "run").enrolment == kept
