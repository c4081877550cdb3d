"""Scenarios at the front door: looked at, changed, described."""

import re

import pytest

import stressbook as sb
from stressbook.api.parameters import parameter_rows, scenario_changes
from stressbook.api.plan import STEPS, timeline
from stressbook.errors import InvalidInput, InvalidScenario, UnknownName
from stressbook.experiments.words import Text, amount, duration, html_table, table


@pytest.fixture(scope="module")
def skeleton():
    return sb.scenario("skeleton")


def test_a_change_gives_another_scenario(skeleton):
    changed = skeleton.with_(margin_regime="hyperliquid-pm")
    assert (skeleton.resolved.margin_regime, changed.resolved.margin_regime) == (
        "cross",
        "hyperliquid-pm",
    )


def test_stresses_are_added_after_those_there(skeleton):
    both = skeleton.stressed(sb.DepthThinning(at="16min", duration="1min"))
    assert [stress.kind for stress in both.resolved.stresses] == ["price_gap", "depth_thinning"]


def test_overrides_are_those_of_the_command_line():
    assert sb.scenario("skeleton", overrides=("duration=20min",)).resolved.duration_s == 1200.0


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda s: sb.scenario("skelton"), UnknownName, "did you mean 'skeleton'?"),
        (lambda s: sb.scenario("no-such.toml"), InvalidScenario, "does not exist"),
        (lambda s: s.with_(dt=0), InvalidScenario, "dt = 0 is out of range"),
        (lambda s: s.with_(wamup=1), InvalidScenario, "wamup is read by nothing"),
        (lambda s: s.stressed(sb.PriceGap(at=0.0)), InvalidScenario, "stresses[1].at"),
        (lambda s: s.replicate(reps=0, seed=1), InvalidInput, "reps = 0 is too small"),
        (lambda s: s.replicate(reps=1, seed=-1), InvalidInput, "seed = -1 is too small"),
        (lambda s: s.replicate(reps=1, seed=1, workers=0), InvalidInput, "workers = 0"),
        (lambda s: s.versus(s, reps=0, seed=1), InvalidInput, "reps = 0 is too small"),
        (lambda s: s.add(type("Idle", (sb.Account,), {})), InvalidInput, "Idle has no decide"),
        (lambda s: s.describe("agents.hodler"), UnknownName, "did you mean 'agents.holder'?"),
        (lambda s: s.run(seed=1, engine="fast"), UnknownName, "engine = 'fast' is unknown"),
    ],
)
def test_what_cannot_be_done_is_said(skeleton, make, error, words):
    with pytest.raises(error) as caught:
        make(skeleton)
    assert words in str(caught.value)


# --- plan ----------------------------------------------------------------------------------------


def test_the_plan_lists_ten_steps_and_the_timeline(skeleton):
    plan = skeleton.plan()
    assert len(STEPS) == 10
    for name, _ in STEPS:
        assert f"  {name}" in plan
    assert "oracle and mark, every 3 s" in plan
    assert "15 min  price_gap starts: assets HYPE, fall_frac 0.1" in plan


def test_the_plan_says_how_far_each_price_may_go(skeleton):
    assert re.search(r"HYPE-PERP +0.01 +0.001 +0.001 +84.0\d+ +262.1 +x 3.1\d", skeleton.plan())
    tripled = skeleton.with_(opening_price_usd={"HYPE": 252.0})
    assert re.search(r"HYPE-PERP +0.01 +0.01 +0.01 +252 +2 621 +x 10.40", tripled.plan())


def test_the_timeline_is_in_order_of_time_and_ends_with_the_run(skeleton):
    late = sb.DepthThinning(at="34min", duration="10min", severity=0.5)
    rows = timeline(skeleton.stressed(late).resolved)
    assert [what.split(":")[0] for _, what in rows] == [
        "the book opens; order books settle",
        "the warm-up ends",
        "price_gap starts",
        "price_gap ends",
        "depth_thinning starts",
        "the run ends",
    ]
    assert "severity 0.5" in rows[4][1]


def test_the_plan_tells_how_rare_a_severity_above_one_is_and_what_stays_changed(skeleton):
    step = sb.ParameterStep(at="20min", duration="1min", place="tokens.HYPE.ltv", to=0.3)
    gap = sb.PriceGap(at="20min", duration="10min", assets=["HYPE"], fall_frac=0.2, severity=1.5)
    plan = skeleton.with_(stresses=[]).stressed(step, gap).plan()
    assert "parameter_step starts: place tokens.HYPE.ltv, to 0.3" in plan
    assert "parameter_step ends" not in plan
    assert "  severity 1.5: a fall of 30 % in 10 min; HYPE: return period" in plan
    assert "extrapolated" not in skeleton.plan()


# --- numbers -------------------------------------------------------------------------------------


def test_each_number_has_a_unit_and_a_source(skeleton):
    rows = parameter_rows(skeleton.resolved)
    places = [row.place for row in rows]
    assert len(set(places)) == len(places) > 200
    assert [row.place for row in rows if not row.unit] == []
    assert [row.place for row in rows if not row.source] == []
    assert [row.place for row in rows if not row.meaning] == []


def test_what_a_scenario_has_set_is_marked(skeleton):
    changed = skeleton.with_(
        dt=2.0,
        venue={"tokens": {"HYPE": {"ltv": 0.5}}},
        agents={"lender": {"supply_usd": 1e6}},
        world={"HYPE": {"daily_volatility": 0.2}},
    )
    sources = {row.place: row.source for row in changed.parameters()}
    for place in ("dt", "venue.tokens.HYPE.ltv", "agents.lender.supply_usd"):
        assert sources[place] == "this scenario"
    assert sources["world.HYPE.daily_volatility"] == "this scenario"
    assert sources["venue.tokens.BTC.ltv"] != "this scenario"


def test_numbers_can_be_set_by_the_place_that_is_shown(skeleton):
    rows = {row.place: row.value for row in skeleton.parameters()}
    place = "agents.hedger.HYPE.accounts"
    changed = sb.scenario("skeleton", overrides=(f"{place}={rows[place] + 1}",))
    assert {row.place: row.value for row in changed.parameters()}[place] == rows[place] + 1


def test_a_description_can_be_narrowed(skeleton):
    text = skeleton.describe("agents.lender")
    assert "agents.lender.supply_usd" in text
    assert "agents.hedger" not in text


def test_changes_are_said_in_words_and_counted_when_many(skeleton):
    other = skeleton.with_(margin_regime="hyperliquid-pm", dt=2.0, warmup="10min", duration="20min")
    changes = scenario_changes(skeleton.resolved, other.resolved, most=2)
    assert changes == ["margin_regime cross -> hyperliquid-pm", "dt 1.0 -> 2.0", "2 more"]
    assert scenario_changes(skeleton.resolved, skeleton.resolved) == []


# --- how it shows itself -------------------------------------------------------------------------


def test_scenarios_show_themselves(skeleton):
    assert repr(skeleton) == (
        "<Scenario skeleton: BTC, HYPE under cross margin, "
        "30 min after 5 min of warm-up, price_gap>"
    )
    page = skeleton._repr_html_()
    assert page.startswith("<p>Scenario skeleton: BTC, HYPE")
    assert "<td>agents.lender.supply_usd</td>" in page


def test_texts_show_as_they_are():
    assert repr(Text("a\nb")) == "a\nb"
    assert Text("<b>")._repr_html_() == "<pre>&lt;b&gt;</pre>"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (999.4, "999.4"), (-1234.5, "-1 234"), (1e9, "1 000 000 000"), (2e-9, "2e-09")],
)
def test_amounts(value, shown):
    assert amount(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, "0 s"), (90.0, "90 s"), (7200.0, "2 h"), (172_800.0, "2 d")]
)
def test_durations(seconds, shown):
    assert duration(seconds) == shown


def test_tables_align_and_escape():
    assert table([("a", "1"), ("bb", "22")], aligned="rl", indent=0) == " a  1\nbb  22"
    assert "<td>&lt;x&gt;</td>" in html_table([("h",), ("<x>",)])
