"""Several sides in one table: planted numbers, names of sides, words for what is refused."""

import math
import re
from dataclasses import replace

import pytest

import stressbook as sb
from stressbook.api.effect_table import EffectTable, short
from stressbook.api.scenarios import named_sides
from stressbook.api.sides import regime_label, side_names
from stressbook.errors import InvalidInput, InvalidScenario, StressbookError, UnknownName
from stressbook.experiments import replicates as replicates_module
from stressbook.experiments.contrasts import Contrasts, compare_sides, shown_outcomes
from stressbook.experiments.replicates import Replicate
from stressbook.experiments.scenario import load_scenario

BASE = load_scenario("skeleton")
UP = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
CLEAR = [2.1, 2.9, 4.2, 4.8, 6.0, 7.1, 7.9, 9.0]  # 1 more, give or take a little


def arm(values, *, failed=(), name="liquidated_usd"):
    return tuple(
        Replicate(seed, "", {}, "LadderExhausted: left")
        if seed in failed
        else Replicate(seed, f"d{seed}", {name: value, "fees_usd": 5.0})
        for seed, value in enumerate(values)
    )


def contrasts(level=0.95, placebo=None, **runs):
    sides = {name: replace(BASE, name=name) for name in runs}
    found = {name: one if isinstance(one, tuple) else arm(one) for name, one in runs.items()}
    if placebo is not None:
        found["placebo"] = arm(placebo)
    return Contrasts(sides, found, level)


# --- planted numbers ------------------------------------------------------------------------------


def test_each_side_is_paired_with_the_first():
    cells = EffectTable(contrasts(a=[1.0, 2.0, 3.0], b=[2.0, 3.5, 4.0], c=[3.0, 2.0, 1.0]))
    first, second, third = cells["liquidated_usd"].values()
    assert (first.mean.value, first.difference.n, first.verdict) == (2.0, 0, "not judged")
    assert first.mean.half_width == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)
    assert second.difference.value == pytest.approx(7 / 6)
    assert second.difference.half_width == pytest.approx(0.71712, rel=1e-4)
    assert second.correlation == pytest.approx(0.9607689)
    assert (third.difference.value, third.correlation) == (0.0, pytest.approx(-1.0))
    assert (third.side, third.unit, third.mean.n) == ("c", "USD", 3)


def test_what_the_table_shows_is_judged_together_and_nothing_else():
    """A p-value of .018 stands for one side, and not for one of four."""
    weak = [x + 1.0 + 1.0 * (-1.0) ** k for k, x in enumerate(UP)]
    p = EffectTable(contrasts(a=UP, b=weak))["liquidated_usd"]["b"].p
    assert 0.0125 < p < 0.05
    assert EffectTable(contrasts(a=UP, b=weak))["liquidated_usd"]["b"].verdict == "higher"
    crowd = EffectTable(contrasts(a=UP, b=weak, c=UP, d=UP[::-1], e=CLEAR))
    words = {side: cell.verdict for side, cell in crowd["liquidated_usd"].items()}
    assert words == {
        "a": "not judged",
        "b": "inconclusive",
        "c": "equal",
        "d": "inconclusive",
        "e": "higher",
    }
    assert crowd.shown == ("liquidated_usd",)
    assert {cell.verdict for cell in crowd["fees_usd"].values()} == {"not judged"}


def test_what_one_lot_changes_in_the_first_side_is_claimed_of_none():
    loud = [x + 3.0 * (-1.0) ** k for k, x in enumerate(UP)]
    quiet, noisy = (
        EffectTable(contrasts(placebo=placebo, a=UP, b=CLEAR, c=UP))["liquidated_usd"]["b"]
        for placebo in (UP, loud)
    )
    assert (quiet.verdict, noisy.verdict) == ("higher", "inside noise")


def test_a_seed_that_failed_anywhere_counts_nowhere():
    found = contrasts(a=[1.0, 2.0, 9.0], b=arm([2.0, 3.0, 0.0], failed={2}), c=[1.0, 1.0, 1.0])
    assert found.n_pairs == 2
    assert EffectTable(found)["liquidated_usd"]["c"].mean.n == 2
    assert EffectTable(found)["liquidated_usd"]["a"].mean.value == 1.5
    assert found.failures == {"b 2": "LadderExhausted: left"}


def test_a_side_that_never_ended_stands_empty_beside_the_others():
    table = EffectTable(contrasts(a=UP, b=arm(UP, failed=range(8)), c=CLEAR))
    assert table["liquidated_usd"]["b"].mean.n == 0
    assert table["liquidated_usd"]["c"].verdict == "higher"
    text = table.summary()
    assert "n = 8" in text
    assert "failed, b 3: LadderExhausted: left" in text


# --- as text and table ----------------------------------------------------------------------------


REGIMES = ("isolated", "cross", "hyperliquid-pm", "scan, offset 0", "scan, offset 0.5", "span")


def widest(text):
    return max(map(len, text.splitlines()))


def test_six_regimes_stand_on_100_columns():
    small = {name: [-0.0054 * x for x in UP] for name in REGIMES}
    assert widest(EffectTable(contrasts(**small)).summary()) <= 100
    text = EffectTable(contrasts(**{name: [-9.99e8 * x for x in UP] for name in REGIMES})).summary()
    assert widest(text) <= 100
    lines = text.splitlines()
    assert lines[0] == "against isolated · 6 sides · n = 8 · seeds 0 to 7"
    assert [line.split() for line in lines[1:3]] == [
        ["hyperliquid-", "scan,", "scan,"],
        ["n", "=", "8", "isolated", "cross", "pm", "offset", "0", "offset", "0.5", "span"],
    ]
    assert lines[3] == "liquidated_usd"
    assert lines[4].split()[:3] == ["mean", "-4.5B±2B", "-4.5B±2B"]


def test_more_sides_go_below_with_the_first_again():
    many = dict.fromkeys("abcdefgh", UP)
    heads = [
        line for line in EffectTable(contrasts(**many)).summary().splitlines() if "n =" in line
    ]
    assert [line.split()[3:] for line in heads[1:]] == [list("abcdef"), list("agh")]


def test_a_table_says_n_what_is_nothing_and_what_is_no_evidence():
    many = contrasts(a=UP, b=CLEAR, c=[x + 0.5 for x in UP])
    for runs in many.runs.values():
        for run in runs:
            run.outcomes["socialised_usd"] = 0.0
    text = EffectTable(many).summary()
    assert "after Holm's correction over 2 outcomes x 2 sides" in text
    assert "0 in every run: socialised_usd" in text
    assert "no placebo ran" in text
    assert re.search(r"diff +1±0.1\d* +0.5±0\n", text)
    few = EffectTable(contrasts(placebo=UP[:2], a=UP[:2], b=CLEAR[:2], c=UP[1:3]))
    assert "2 pairs are not evidence: ask for 8 reps or more" in few.summary()
    assert "placebo: a with one more order" in few.summary()
    assert repr(few) == "<EffectTable of 3 sides against a: 2 pairs, 2 outcomes>"
    # 12.706 x .7071 / sqrt 2, the same for the difference's .1414
    page = few._repr_html_()
    assert "<td>1.5±6.4</td>" in page
    assert "<td>2.5±5.1; 1±1.3; not evidence</td>" in page


def test_a_table_is_a_frame_too():
    table = EffectTable(contrasts(a=UP, b=CLEAR, c=UP))
    row = table.frame().set_index(["outcome", "side"]).loc[("liquidated_usd", "b")]
    assert (row["n"], row["verdict"], row["mean"]) == (8, "higher", pytest.approx(5.5))
    assert list(table.values()["side"]) == ["a"] * 8 + ["b"] * 8 + ["c"] * 8
    assert list(table) == ["liquidated_usd", "fees_usd"]
    assert len(table) == 2
    with pytest.raises(UnknownName, match="did you mean 'liquidated_usd'"):
        table["liquidated"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(999.6, "1k"), (0.9996e6, "1M"), (-123_456.0, "-123k"), (99.96, "100"), (3e-4, "3e-04")],
)
def test_numbers_are_short(value, text):
    assert short(value) == text


def test_what_no_table_knows_is_shown_whole():
    assert shown_outcomes(["own"]) == ("own",)


# --- sides ----------------------------------------------------------------------------------------


def test_a_scenario_stands_under_each_regime():
    base = sb.scenario("skeleton")
    one, two, three, four = base.under(
        "cross",
        "scan:0.5",
        {"margin_regime": "scan", "venue.regime.offset_frac": 1.0},
        {"margin_regime": "okx", "venue.regime.initial_factor": 1.5},
    )
    assert one.resolved == base.resolved
    assert [regime_label(each.resolved) for each in (two, three, four)] == [
        "scan, offset 0.5",
        "scan, offset 1",
        "okx, initial_factor 1.5",
    ]
    # Numbers of its own regime do not follow a scenario into another.
    (back,) = four.under("cross")
    assert back.resolved == base.resolved


@pytest.mark.parametrize(
    ("regime", "words"),
    [
        ("scann", "margin regime = 'scann' is unknown.*did you mean 'scan'"),
        ("cross:1", "margin regime = 'cross:1' has no offset.*scan"),
        ("scan:2", "margin regime = 'scan:2' is no offset.*a number from 0 to 1"),
        ("scan:nan", "is no offset"),
        ("scan:", "is no offset"),
        ("", "margin regime = '' is unknown.*hyperliquid-pm"),
    ],
)
def test_a_regime_that_is_none_is_refused(regime, words):
    with pytest.raises(InvalidInput, match=f"(?s){words}"):
        sb.scenario("skeleton").under("scan", regime)


def test_all_regimes_that_are_none_are_told_at_once():
    with pytest.raises(InvalidInput) as error:
        sb.scenario("skeleton").under("a", "scan:x")
    assert len(error.value.problems) == 2
    with pytest.raises(InvalidScenario, match="offset_fra"):
        sb.scenario("skeleton").under({"margin_regime": "scan", "venue.regime.offset_fra": 1.0})


def test_sides_are_called_by_what_tells_them_apart():
    scan = BASE.with_(margin_regime="scan")
    other = replace(BASE, name="other")
    assert side_names([BASE, other]) == ["skeleton", "other"]
    assert side_names([BASE, scan]) == ["cross", "scan, offset 0.5"]
    assert side_names([BASE, scan, other]) == [
        "skeleton, cross",
        "skeleton, scan, offset 0.5",
        "other, cross",
    ]
    slow = BASE.with_(opening_price_usd={"BTC": 90_000.0})
    assert side_names([BASE, slow, slow])[2].endswith(" (2)")


# --- running --------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch):
    """Replace runs by a count; of an unlucky seed those of a scan fail."""
    jobs = []

    def run(job, progress=None):
        jobs.append(job)
        is_scan = job.scenario.margin_regime == "scan"
        if is_scan and job.seed == 13:
            return Replicate(13, "", {}, "OverflowFault: too large")
        return Replicate(job.seed, f"d{job.seed}", {"x": float(job.seed + is_scan)})

    monkeypatch.setattr(replicates_module, "_run", run)
    return jobs


def test_all_sides_run_with_each_seed_and_the_first_once_more(counted, tmp_path):
    sides = sb.scenario("skeleton").under("cross", "hyperliquid-pm", "scan")
    table = sides[0].versus(*sides[1:], reps=2, seed=7, folder=tmp_path)
    assert isinstance(table, EffectTable)
    assert [(j.seed, j.scenario.margin_regime, j.is_placebo) for j in counted] == [
        (seed, regime, placebo)
        for seed in (7, 8)
        for regime, placebo in (
            ("cross", False),
            ("hyperliquid-pm", False),
            ("scan", False),
            ("cross", True),
        )
    ]
    assert table["x"]["scan, offset 0.5"].difference.value == 1.0
    again = sides[0].versus(*sides[1:], reps=2, seed=7, folder=tmp_path, placebo=False)
    assert len(counted) == 8  # kept ones are not repeated
    assert set(again.comparison.runs) == {"cross", "hyperliquid-pm", "scan, offset 0.5"}


def test_two_sides_are_an_effect_as_ever(counted):
    one, two = sb.scenario("skeleton").under("cross", "scan")
    assert isinstance(one.versus(two, reps=2, seed=7), sb.Effect)


def test_a_side_alone_or_twice_or_of_another_length_is_refused(counted):
    base = sb.scenario("skeleton")
    cross, scan = base.under("cross", "scan")
    with pytest.raises(InvalidInput, match="is nothing to compare") as error:
        base.versus(reps=2, seed=7)
    assert "--regimes cross,scan:0.5" in str(error.value)
    with pytest.raises(InvalidInput, match=r"\(2\)' is the same as 'margin_regime cross -> scan"):
        cross.versus(scan, scan, reps=2, seed=7)
    (written_out,) = base.under("scan:0.5")  # what a scan has by itself
    with pytest.raises(InvalidInput, match="is the same as"):
        cross.versus(scan, written_out, reps=2, seed=7)
    renamed = sb.scenario("skeleton")
    renamed.resolved = replace(renamed.resolved, name="other", summary="told otherwise")
    with pytest.raises(InvalidInput, match="is the same as"):
        cross.versus(scan, renamed, reps=2, seed=7)
    with pytest.raises(InvalidInput, match="is not that of the first scenario"):
        cross.versus(scan, scan.with_(duration="20min"), reps=2, seed=7)
    named = {**named_sides(cross, scan), "placebo": BASE.with_(margin_regime="okx")}
    with pytest.raises(InvalidInput, match="names the runs with one more order"):
        compare_sides(named, reps=2, seed=7)
    assert counted == []


def test_where_all_others_failed_there_is_no_table(counted):
    cross, *scans = sb.scenario("skeleton").under("cross", "scan:0", "scan:1")
    with pytest.raises(StressbookError, match="2 of 2 runs failed: OverflowFault"):
        cross.versus(*scans, reps=1, seed=13)
    assert cross.versus(*scans, reps=2, seed=12).comparison.n_pairs == 1
