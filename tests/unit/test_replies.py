"""What the venue answered to whom: counts of a run by class, exact on both engines."""

import re
from collections import Counter

import pytest

import stressbook as sb
from stressbook.experiments.replies import MEANINGS, VENUE, lost_messages
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.simulation import Simulation
from stressbook.market.state.codes import REFUSAL_NAMES
from tests.own_names import own_names_forgotten
from tests.short_runs import short_run


@pytest.fixture
def hasty():
    """Three accounts that send six messages each, of which four come to nothing."""
    with own_names_forgotten():

        class Hasty(sb.Account):
            """Sends before it looks."""

            def decide(self, view, out):
                if view.t_s == 0:
                    out.buy("BTC-PERP", 20, 70e3, tif="ioc")  # nobody offers yet
                elif view.t_s == 3:
                    out.sell("BTC-SPOT", 20)  # it has none
                    out.cancel(5)
                    out.cancel(6)
                elif view.t_s == 4:
                    out.buy("BTC-PERP", 20)
                    out.buy("BTC-PERP", 20, 1.0)  # far below the oracle

        calm = sb.scenario("skeleton").with_(warmup=0.0, duration=8.0, stresses=[])
        yield calm.add(Hasty, n=3)


def test_each_class_has_its_own_counts(hasty, engine):
    run = hasty.run(seed=7, engine=engine)
    assert run.record.replies["Hasty"] == {
        "filled": 3,
        "unknown_order": 6,
        "insufficient_balance": 3,
        "price_outside_band": 3,
        "no_counterparty": 3,
    }
    table = run.frame("refusals")
    assert list(table.columns) == ["class", "code", "meaning", "n"]
    mine = table[table["class"] == "Hasty"]
    assert dict(zip(mine["code"], mine["n"], strict=True)) == {
        "unknown_order": 6,
        "insufficient_balance": 3,
        "price_outside_band": 3,
    }


def test_the_summary_says_what_own_agents_sent_in_vain(hasty, tmp_path):
    run = hasty.run(seed=7)
    words = (
        "Hasty: 12 of 18 messages refused: 6 unknown_order, 3 insufficient_balance, "
        "3 price_outside_band; 3 of 18 messages found nobody to trade with "
        "at their limit"
    )
    assert run.summary().splitlines()[-1] == words
    assert words in run._repr_html_()
    again = sb.RunResult.load(run.save(tmp_path))
    assert again.summary() == run.summary()
    assert again.frame("refusals").equals(run.frame("refusals"))


def test_each_own_class_has_a_row_and_a_line_of_its_own(hasty, tmp_path):
    class Idle(sb.Account):
        """Pays in, and that is no gain."""

        def decide(self, view, out):
            if view.t_s == 3:
                out.deposit_usd(500.0)

    run = hasty.add(Idle, n=2).run(seed=7)
    table, accounts = run.frame("classes").set_index("class"), run.frame("accounts")
    assert list(table.index[-3:]) == ["others", "Hasty", "Idle"]
    assert list(table["n_accounts"][-3:]) == [1, 3, 2]
    for name in ("Hasty", "Idle"):
        mine = accounts[accounts["class"] == name]
        change = table["equity_usd"] - table["opening_equity_usd"] - table["transfers_usd"]
        assert change[name] == pytest.approx(mine["gain_usd"].sum(), abs=1e-6)
    assert table["transfers_usd"]["Idle"] == 1000.0
    assert table["profit_usd"]["Hasty"] < 0.0 == table["profit_usd"]["Idle"]
    lines = run.summary().splitlines()
    assert re.match(r"Hasty: 3 accounts, lost [\d.]+ USD net of deposits", lines[-3])
    assert lines[-2] == "Idle: 2 accounts, gained 0 USD net of deposits"
    page = run.report(tmp_path / "report.html").read_text()
    assert re.search(r">Hasty\s*</td><td[^>]*>3\s*<", page)
    assert re.search(r">Idle\s*</td><td[^>]*>2\s*<", page)


def test_shipped_classes_are_in_the_table_but_not_in_the_summary():
    run = short_run()
    assert "market_maker" in set(run.frame("refusals")["class"])
    assert not [line for line in run.summary().splitlines() if "refused" in line]


def test_classes_add_up_to_the_run_and_forced_orders_are_the_venues():
    record = short_run().record
    total = Counter()
    for counts in record.replies.values():
        total.update(counts)
    assert total.total() == record.series.venue["n_messages"].sum()
    assert {name: n for name, n in total.items() if name in MEANINGS} == record.refusals
    forced = short_run().frame("events")["kind"].value_counts()["forced_order"]
    sent = record.replies[VENUE]  # and what the backstop sells, of which no event tells
    assert set(sent) <= {"filled", "partly_filled", "no_counterparty"}
    assert sum(sent.values()) >= forced > 0


def test_counts_go_back_with_a_snapshot():
    scenario = load_scenario("skeleton").with_(warmup=0.0, duration=6.0, stresses=())
    sim = Simulation(scenario, seed=7)
    sim.advance(3)
    saved = sim.snapshot()
    sim.advance(3)
    ended = sim.replies.n.copy()
    sim.restore(saved)
    assert sim.replies.n.sum() < ended.sum()
    sim.advance(3)
    assert (sim.replies.n == ended).all()


def test_every_refusal_has_a_meaning():
    assert set(MEANINGS) == set(REFUSAL_NAMES.values())


def test_nothing_lost_is_nothing_said():
    assert lost_messages("Lucky", {"filled": 3, "partly_filled": 1, "cancelled": 2}) == ""
