"""Several sides in one table: planted numbers, names of sides, words for what is refused."""

import math
import re
from dataclasses import replace

import pytest

import stressbook as sb
from stressbook.api.effect_cells import short
from stressbook.api.effect_table import EffectTable
from stressbook.api.scenarios import named_sides
from stressbook.api.sides import regime_label, side_names
from stressbook.errors import InvalidInput, InvalidScenario, StressbookError, UnknownName
from stressbook.experiments.contrasts import Contrasts, compare_sides
from stressbook.experiments.outcome_words import GROUPS, kind_of, label_of, shown_outcomes
from stressbook.experiments.outcomes import OUTCOMES
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.sweeps import runner
from stressbook.experiments.sweeps.cell import Replicate

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
    assert lines[4:6] == ["LIQUIDATED, AND WHO TOOK IT", "Liquidated perps of all assets, USD"]
    assert lines[6].split()[:3] == ["mean", "-4.5B", "-4.5B"]


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
    assert "0 or none in every run: Accounts that share deficits" in text
    assert "no placebo ran" in text
    assert re.search(r"diff +1\.00±0.1\d* +0.5±0\n", text)
    few = EffectTable(contrasts(placebo=UP[:2], a=UP[:2], b=CLEAR[:2], c=UP[1:3]))
    assert "2 pairs are not evidence: ask for 8 reps or more" in few.summary()
    assert "placebo: a with one more order of one lot at the onset changed nothing" in few.summary()
    assert "not evidence" not in few.summary().split("2 pairs are")[0]
    assert repr(few) == "<EffectTable of 3 sides against a: 2 pairs, 2 outcomes>"
    # 12.706 x .7071 / sqrt 2, the same for the difference's .1414
    page = few._repr_html_()
    assert "<td>1.5; 0\N{DAGGER} to 7.9</td>" in page
    assert "<td>2.5; 0\N{DAGGER} to 7.6; 1.00±1.27</td>" in page


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
    [(999.6, "1k"), (0.9996e6, "1M"), (-123_456.0, "-123k"), (99.96, "100"), (3e-4, "<0.001")],
)
def test_numbers_are_short(value, text):
    assert short(value) == text


def test_what_no_table_knows_is_shown_whole():
    assert shown_outcomes(["own"]) == ("own",)


def several(**by_side):
    """Sides with outcomes by name and seed; margin, losses, what they like."""
    runs = {
        side: tuple(
            Replicate(seed, "", dict(zip(outcomes, values, strict=True)))
            for seed, values in enumerate(zip(*outcomes.values(), strict=True))
        )
        for side, outcomes in by_side.items()
    }
    sides = {name: replace(BASE, name=name) for name in runs if name != "placebo"}
    return Contrasts(sides, runs)


def row_of(text, label):
    lines = text.splitlines()
    place = next(k for k, line in enumerate(lines) if line.startswith(label))
    return [line.split() for line in lines[place + 1 : place + 3]]


def test_another_side_may_be_the_control():
    """Differences between the others cannot be read off those to the first."""
    table = EffectTable(contrasts(placebo=UP, a=UP, b=CLEAR, c=[x + 3.0 for x in UP]))
    other = table.against("b")
    assert list(other["liquidated_usd"]) == ["b", "a", "c"]
    assert other["liquidated_usd"]["c"].difference.value == pytest.approx(2.0)
    assert other["liquidated_usd"]["a"].verdict == "lower"
    assert "against b" in other.summary().splitlines()[0]
    assert "placebo: a with one more order" in " ".join(other.summary().split())
    with pytest.raises(UnknownName, match="side = 'bb'"):
        table.against("bb")


def test_a_head_says_for_whom_a_rule_holds():
    accounts = {"n_accounts": [830.0, 830.0], "accounts_equity_usd": [5e9, 5e9]}
    part = {"n_accounts_under_regime": [72.0, 72.0], "equity_under_regime_usd": [5.5e8, 5.5e8]}
    whole = {"n_accounts_under_regime": [830.0, 830.0], "equity_under_regime_usd": [5e9, 5e9]}
    found = several(cross=accounts | whole, pm=accounts | part, scan=accounts | part)
    text = EffectTable(found).summary()
    assert re.search(r"830 of 830 +72 of 830 +72 of 830\n +5B, 100% +550M, 11% +550M, 11%\n", text)


def test_who_broke_is_counted_over_seeds():
    lows = {"a": [3e6, -1.0, -4e4], "b": [3e6, 1.0, 2.0], "c": [1.0, 2.0, -5.0]}
    table = EffectTable(several(**{side: {"backstop_low_usd": x} for side, x in lows.items()}))
    assert row_of(table.summary(), "Backstop's equity below zero")[0] == [
        "2",
        "of",
        "3",
        "0",
        "of",
        "3",
        "1",
        "of",
        "3",
    ]
    told = table.below_zero()["a"]
    assert (told["k"], told["n"]) == (2, 3)
    assert told["low"] == pytest.approx(0.0943, abs=1e-4)  # Clopper and Pearson
    assert math.isnan(EffectTable(contrasts(a=UP, b=UP))["fees_usd"]["a"].p)
    assert EffectTable(contrasts(a=UP, b=UP)).below_zero() == {}


def test_a_loss_is_cut_at_zero_and_a_result_is_not():
    wild = [0.0, 0.0, 9e6]
    found = several(
        a={"backstop_result_usd": wild, "treasury_paid_usd": wild},
        b={"backstop_result_usd": wild, "treasury_paid_usd": wild},
    )
    text = EffectTable(found).summary()
    # 3 M, give or take 4.3027 x 5.196 M / sqrt 3
    assert row_of(text, "Treasury, without limit, USD")[1] == ["0\N{DAGGER}", "to", "16M"] * 2
    assert row_of(text, "Backstop's result")[1] == ["-10", "to", "16M"] * 2


def test_sums_of_floats_leave_no_dust():
    a = {"gross_over_equity_frac": [0.5, 0.7, 0.6]}
    b = {"gross_over_equity_frac": [0.5 + 2e-16, 0.7 - 1e-16, 0.6 + 3e-16]}
    text = EffectTable(several(a=a, b=b, c=a)).summary()
    assert "e-" not in text.split("mean, below it")[0]
    assert re.search(r"\ndiff +0 +0\n", text)


def test_a_share_of_nothing_is_blank_and_says_over_how_many_seeds_it_stands():
    name = "backstop_rest_10min_frac"
    found = several(a={name: [0.5, 0.5, 0.6]}, b={name: [math.nan, 0.5, 0.7]})
    table = EffectTable(found)
    assert row_of(table.summary(), "Backstop holds still, 10 min")[0] == [
        "mean",
        "53.3",
        "60",
        "(2)",
    ]
    assert table[name]["b"].difference.n == 2


def test_sides_that_differ_in_the_margin_asked_alone_are_named():
    one = {"initial_margin_usd": [5.0, 6.0], "liquidated_usd": [1.0, 2.0]}
    less = one | {"initial_margin_usd": [4.0, 5.0]}
    more = one | {"liquidated_usd": [1.0, 2.5]}
    text = " ".join(EffectTable(several(a=one, b=less, c=more)).summary().split())
    assert "a; b: alike in every seed and outcome but the margin asked" in text
    assert several(a=one, b=more).alike() == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"fees_usd": [1.0, 3.0]},
            "changed no loss and no liquidation in any of 2 seeds, only fees",
        ),
        ({"liquidated_usd": [1.0, 4.0]}, "a difference within what that changes is not claimed"),
        ({}, "changed nothing in any of 2 seeds: here it sets no bound on noise"),
    ],
)
def test_a_placebo_that_changed_nothing_says_so(changed, words):
    one = {"fees_usd": [1.0, 2.0], "liquidated_usd": [1.0, 2.0]}
    text = EffectTable(several(a=one, b=one, placebo=one | changed)).summary()
    assert words in " ".join(text.split())


def test_what_is_by_construction_is_not_judged():
    """Each regime opens from a book of its own: what that borrows is no effect."""
    runs = several(
        a={"borrowed_usd": UP, "liquidated_usd": UP},
        b={"borrowed_usd": CLEAR, "liquidated_usd": CLEAR},
    )
    same = EffectTable(runs)
    assert same["borrowed_usd"]["b"].verdict == "higher"
    scan = replace(BASE, name="b").with_(margin_regime="scan")
    table = EffectTable(replace(runs, sides={**runs.sides, "b": scan}))
    assert table["borrowed_usd"]["b"].verdict == "not judged"
    assert table["liquidated_usd"]["b"].verdict == "higher"
    assert table.judged == ("liquidated_usd",)
    rows = {(row["outcome"], row["side"]): row for row in table.rows()}
    assert rows["borrowed_usd", "b"]["not_judged"] == "by construction"
    assert rows["liquidated_usd", "b"]["label"] == "Liquidated perps of all assets"
    text = table.summary()
    assert "USDC borrowed at the onset, USD (by construction)" in text
    assert "each regime opens from a book of its own" in " ".join(text.split())


def test_every_row_of_a_table_is_an_outcome_with_a_label_and_a_unit():
    names = {outcome.name for outcome in OUTCOMES}
    for _, shown in GROUPS:
        assert set(shown) <= names
        assert all(label_of(name) != name for name in shown)
    assert {kind_of(name) for name in names} == {"usd", "frac", "ratio", "hours", "count"}


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

    def run(cells, progress=None):
        return tuple(map(one, cells))

    def one(job):
        jobs.append(job)
        is_scan = job.scenario.margin_regime == "scan"
        if is_scan and job.seed == 13:
            return Replicate(13, "", {}, "OverflowFault: too large")
        return Replicate(job.seed, f"d{job.seed}", {"x": float(job.seed + is_scan)})

    monkeypatch.setitem(runner.run_cells.__kwdefaults__, "function", run)
    return jobs


def test_all_sides_run_with_each_seed_and_the_first_once_more(counted, tmp_path):
    sides = sb.scenario("skeleton").under("cross", "hyperliquid-pm", "scan")
    table = sides[0].versus(*sides[1:], reps=2, seed=7, folder=tmp_path)
    assert isinstance(table, EffectTable)
    # In whichever order: a placebo shares the warm-up of its arm.
    assert {(j.seed, j.scenario.margin_regime, j.is_placebo) for j in counted} == {
        (seed, regime, placebo)
        for seed in (7, 8)
        for regime, placebo in (
            ("cross", False),
            ("hyperliquid-pm", False),
            ("scan", False),
            ("cross", True),
        )
    }
    assert len(counted) == 8
    assert table["x"]["scan, offset 0.5"].difference.value == 1.0
    again = sides[0].versus(*sides[1:], reps=2, seed=7, folder=tmp_path, placebo=False)
    other = "hyperliquid-pm"
    turned = sides[0].versus(*sides[1:], reps=2, seed=7, folder=tmp_path, against=other)
    assert [(j.scenario.margin_regime, j.is_placebo) for j in counted[8:]] == [(other, True)] * 2
    assert turned["x"]["cross"].difference.n == 2
    assert turned.comparison.control == turned.comparison.placebo_of == other
    assert len(counted) == 10  # kept ones are not repeated
    assert set(again.comparison.runs) == {"cross", "hyperliquid-pm", "scan, offset 0.5"}


def test_two_sides_are_an_effect_as_ever(counted):
    one, two = sb.scenario("skeleton").under("cross", "scan")
    effect = one.versus(two, reps=2, seed=7)
    assert isinstance(effect, sb.Effect)
    assert effect["x"].difference.value == 1.0
    turned = one.versus(two, reps=2, seed=7, against="scan, offset 0.5")
    assert turned["x"].difference.value == -1.0
    with pytest.raises(UnknownName, match="side"):
        one.versus(two, reps=2, seed=7, against="isolated")


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
