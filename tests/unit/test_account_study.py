"""One account followed through runs: what must happen to it, what cannot, and what it cost."""

import json
import math

import numpy as np
import pytest

import stressbook as sb
from stressbook.agents.near_breach import valued_copy
from stressbook.cli import warm
from stressbook.cli.main import main
from stressbook.errors import InvalidInput, InvalidScenario, UnknownName
from stressbook.experiments.own_book.account_outcomes import (
    ACCOUNT_OUTCOMES,
    hedge_legs,
    run_followed,
)
from stressbook.experiments.own_book.account_study import calm_of
from stressbook.experiments.own_book.distance import _breached, own_openings
from stressbook.experiments.run import run_scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.statistics.quantiles import quantile_estimate
from stressbook.experiments.sweeps.status import read_status
from stressbook.market.margin.valuation import is_breached
from stressbook.market.state.codes import EV_DELEVERAGED, EV_SLICE, EV_TAKEOVER_ALL

HEAD = "account,kind,asset,amount,entry_price_usd,leverage,account_mode\n"
# The short of `hedged` has the highest score of the venue: entered at thrice the mark, levered.
BOOK = HEAD + (
    "doomed,cash,USDC,400000,,,unified\n"
    "doomed,perp,BTC,100,78803,40,\n"
    "hedged,cash,USDC,-17819700,,,unified\n"
    "hedged,token,BTC,100,,,\n"
    "hedged,perp,BTC,-100,260000,40,\n"
    "idle,cash,USDC,1000.000001,,,\n"
    "idle,token,HYPE,3,,,\n"
    "borrower,token,BTC,150,,,portfolio\n"
    "borrower,debt,USDC,5700000,,,\n"
    "borrower,cash,USDC,0.5,,,\n"
)
GAP = {"kind": "price_gap", "at": 20, "duration": 2, "assets": ["BTC"], "fall_frac": 0.4}
SEEDS = 2


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "book.csv"
    path.write_text(BOOK)
    return path


def fast_fall(**changes):
    given = {"margin_regime": "hyperliquid-pm", "warmup": 10.0, "duration": 80.0}
    return sb.scenario("skeleton").with_(**(given | {"stresses": [GAP]} | changes))


@pytest.fixture(scope="module")
def followed(book):
    """Answers by account."""
    names = ("doomed", "hedged", "idle", "borrower")
    return {
        name: sb.account(book, account=name, scenario=fast_fall(), reps=SEEDS, seed=7)
        for name in names
    }


def lines_of(answer):
    return {line.what: line for line in answer.lines}


def shares(answer, what):
    line = lines_of(answer)[what]
    return line.stressed.value, line.calm.value


def test_what_must_be_liquidated_is_in_every_seed_and_what_cannot_in_none(followed):
    assert shares(followed["doomed"], "P(liquidated)") == (1.0, 0.0)
    assert shares(followed["borrower"], "P(liquidated)") == (1.0, 0.0)
    assert shares(followed["idle"], "P(liquidated)") == (0.0, 0.0)
    low = 0.025 ** (1 / SEEDS)  # exact interval of 2 out of 2
    assert lines_of(followed["doomed"])["P(liquidated)"].stressed.low == pytest.approx(low)
    assert lines_of(followed["idle"])["P(liquidated)"].stressed.high == pytest.approx(1.0 - low)
    when = lines_of(followed["doomed"])["first breach after the onset, median"]
    assert 0.0 < when.stressed.value <= 3.0 / 60.0
    assert math.isinf(when.calm.value)


def test_a_hedge_leg_is_deleveraged_and_its_haircut_is_that_of_the_events(book, followed):
    assert shares(followed["hedged"], "P(a hedge leg deleveraged)") == (1.0, 0.0)
    assert shares(followed["doomed"], "P(a hedge leg deleveraged)") == (0.0, 0.0)
    scenario = fast_fall().with_(population=str(book)).resolved
    assert hedge_legs(scenario, "hedged") == [0]
    assert hedge_legs(scenario, "doomed") == []
    record = run_followed(scenario, account="hedged", seed=7)
    assert record.digest == run_scenario(scenario, seed=7).digest  # looking changes nothing
    events = record.events[record.events["kind"] == EV_DELEVERAGED]
    users = {int(u) for u in events["counterparty"]}
    me = len(record.accounts) - 1 - 3  # the backstop is the last, three accounts come between
    assert me in users
    mine = events[events["counterparty"] == me]
    # Short: what the mark had fallen below the price at which it was closed.
    marks = record.series.asset["mark_usd"][mine["t_ms"] // 1000 - 1, 0]
    worse = mine["price_e8"] / 1e8 - marks
    haircut = (np.abs(mine["lots"]) * 1e-5 * np.maximum(worse, 0.0)).sum()
    assert haircut > 1e5
    assert record.outcomes["account_haircut_usd"] == pytest.approx(haircut, rel=1e-6)
    assert record.outcomes["account_forced_usd"] == 0.0


def test_exit_cost_of_slices_and_takeovers_is_collateral_less_debt(book):
    scenario = fast_fall().with_(population=str(book)).resolved
    record = run_followed(scenario, account="borrower", seed=7)
    me = len(record.accounts) - 2
    events = record.events[record.events["user"] == me]
    slices = events[np.isin(events["kind"], (EV_SLICE, EV_TAKEOVER_ALL))]
    assert len(slices) > 1
    oracle = record.series.asset["oracle_usd"][slices["t_ms"] // 1000 - 1, 0]
    given = (slices["lots"] / 1e10 * oracle).sum()
    owed = slices["amount_micro"].sum() / 1e6
    assert set(slices["kind"].tolist()) == {EV_SLICE}
    assert record.outcomes["account_forced_usd"] == pytest.approx(given, rel=1e-9)
    assert record.outcomes["account_takeover_cost_usd"] == pytest.approx(given - owed, rel=1e-6)
    assert record.outcomes["account_exit_cost_usd"] == pytest.approx(given - owed, rel=1e-6)


def test_equity_change_and_what_else_is_asked(followed):
    idle = followed["idle"]
    change = lines_of(idle)["equity change, mean"]
    assert abs(change.stressed.value) < 250.0  # three HYPE
    assert change.difference.n == idle.study.n == SEEDS
    assert idle.frame().shape[0] == 2 * SEEDS
    assert {one.name for one in ACCOUNT_OUTCOMES} < set(idle.frame().columns)
    text = str(idle.summary())
    assert "Unvalidated model" in text
    assert "n = 2 pairs, seeds 7 to 8" in text
    assert "<table>" in idle._repr_html_()
    assert lines_of(followed["doomed"])["exit cost over forced size"].unit == "bp"


def test_an_isolated_account_is_followed_into_its_pockets(tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("".join(BOOK.splitlines(keepends=True)[:3]))
    scenario = fast_fall(margin_regime="isolated", population=str(path)).resolved
    found = run_followed(scenario, account="doomed", seed=7).outcomes
    assert found["account_opening_equity_usd"] == pytest.approx(400_000.0)
    assert found["account_liquidated"] == 1.0
    assert found["account_forced_usd"] > 1e6
    assert found["account_first_breach_min"] >= 0.0


def test_paired_control_has_severity_zero_and_the_same_onset(book):
    scenario = fast_fall().with_(population=str(book)).resolved
    calm = calm_of(scenario)
    assert calm.stresses[0].severity == 0.0
    assert calm.onset_s == scenario.onset_s
    assert calm_of(calm) is None
    unstressed = run_scenario(calm.with_(stresses=()), seed=7)
    assert unstressed.digest == run_scenario(calm, seed=7).digest


def test_an_account_that_is_not_there_is_refused(book):
    with pytest.raises(UnknownName, match="did you mean 'hedged'"):
        sb.account(book, account="hedge", scenario=fast_fall(), reps=2)
    with pytest.raises(InvalidInput, match="has no accounts of its own"):
        run_followed(fast_fall().resolved, account="hedged", seed=7)


def test_what_cannot_open_is_told_once(tmp_path):
    path = tmp_path / "breach.csv"
    path.write_text(HEAD + "late,cash,USDC,9000,,,\nlate,perp,BTC,10,78803,,\n")
    with pytest.raises(InvalidScenario, match="opens in breach: 1 accounts, by name late"):
        sb.account(path, account="late", scenario=fast_fall(), reps=2)


def test_quantiles_have_exact_intervals():
    # Of ten values the second and the ninth hold the median with 97.9 %.
    found = quantile_estimate(range(1, 11), 0.5)
    assert (found.value, found.low, found.high) == (5.0, 2.0, 9.0)
    assert math.isnan(quantile_estimate([1.0, 2.0], 0.95).high)
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(400):
        one = quantile_estimate(rng.random(59), 0.9)
        hits += not (one.low > 0.9 or one.high < 0.9)  # an open end covers
    assert hits / 400 > 0.95


def test_the_nearest_to_a_breach_stands_first(book):
    rows = own_openings(fast_fall().with_(population=str(book)).resolved, seed=1)
    by_name = {row.account: row for row in rows}
    assert [row.account for row in rows][-1] == "idle"
    # doomed: 400,000 USD less 1.25 % of maintenance over 7.88 M USD: a fall by 4 %.
    assert (by_name["doomed"].asset, by_name["doomed"].move_frac) == ("BTC", -0.04)
    assert by_name["doomed"].gross_usd == pytest.approx(7_880_300.0)
    # borrower: breach where 5.7 M is .95 of (1 + .5) / 2 of the value, at .677 of the price.
    assert (by_name["borrower"].asset, by_name["borrower"].move_frac) == ("BTC", -0.33)
    assert by_name["borrower"].debt_usd == pytest.approx(5.7e6)
    assert by_name["idle"].asset == ""


def test_breaches_are_those_of_the_venues_own_rule(book):
    sim = Simulation(fast_fall().with_(population=str(book)).resolved, seed=7)
    v = valued_copy(sim.engine.state, np.array([0.7, 1.0]))
    n_users = len(v.user) - 1  # the backstop has a rule of its own
    assert _breached(v)[:n_users].tolist() == [bool(is_breached(v, u)) for u in range(n_users)]
    assert _breached(v)[:n_users].any()


def test_the_command_answers_and_goes_on(book, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warm, "compiled_mark", lambda: None)
    (tmp_path / "fall.toml").write_text(fast_fall().to_toml())
    line = ["account", str(book), "--account", "doomed", "--scenario", "fall.toml", "--seed", "7"]
    for out in ("first", "first"):
        code, shown = call(
            [*line, "--reps", "2", "--out", out, "--json", "-q"], monkeypatch, capsys
        )
        assert code == 0
    answer = json.loads(shown)
    assert answer["n"] == 2
    assert answer["lines"][0]["what"] == "P(liquidated)"
    assert answer["lines"][0]["stressed"]["value"] == 1.0
    assert answer["lines"][0]["severity_0"]["value"] == 0.0
    assert read_status(tmp_path / "first").counts["done"] == 4
    code, shown = call(["plan", "first/scenario.toml", "--json"], monkeypatch, capsys)
    assert code == 0
    nearest = json.loads(shown)["own_book"][0]
    assert (nearest["account"], nearest["move_frac"] > 0.0) == ("hedged", True)  # short, at 26 x
    code, _ = call([*line[:3], "nobody", *line[4:], "-q"], monkeypatch, capsys)
    assert code == 2


def call(words, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["stressbook", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0, capsys.readouterr().out
