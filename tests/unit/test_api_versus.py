"""Paired comparisons: what may be claimed, what is kept, and who runs it."""

import math
import re
from unittest.mock import Mock

import pytest

import stressbook as sb
from stressbook.api.effect import Effect
from stressbook.api.replicates import Replicates
from stressbook.errors import InvalidInput, StressbookError, UnknownName
from stressbook.experiments.kept import kept_file
from stressbook.experiments.plugins import (
    PluginSource,
    load_plugin,
    plugin_sources,
    sources_key,
)
from stressbook.experiments.run import record_of
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.sweeps import cell, cell_run
from stressbook.experiments.sweeps.cell import Job, Replicate
from stressbook.experiments.sweeps.cell_run import play
from stressbook.experiments.sweeps.index import INDEX
from stressbook.experiments.sweeps.runner import run_jobs
from stressbook.experiments.versus import Comparison, shared_onset_s
from tests.own_names import own_names_forgotten
from tests.short_runs import FALL, short_scenario

SKELETON = load_scenario("skeleton")
CROSS_TO_PORTFOLIO = SKELETON.with_(margin_regime="hyperliquid-pm")


def arm(values, *, failed=()):
    return tuple(
        Replicate(seed, "", {}, "LadderExhausted: left")
        if seed in failed
        else Replicate(seed, f"d{seed}", {"loss": value})
        for seed, value in enumerate(values)
    )


def comparison(control, treated, placebo=None, **failed):
    runs = {"control": arm(control), "treated": arm(treated, **failed)}
    if placebo is not None:
        runs["placebo"] = arm(placebo)
    return Comparison(SKELETON, CROSS_TO_PORTFOLIO, runs)


# --- statistics ----------------------------------------------------------------------------------


UP = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
SPREAD = [0.1, -0.1, 0.2, -0.2, 0.0, 0.1, -0.1, 0.0]
CLEAR = [x + 1.0 + dx for x, dx in zip(UP, SPREAD, strict=True)]
NOISY = [x + 3.0 * (-1.0) ** k for k, x in enumerate(CLEAR)]


def test_differences_are_paired_by_seed():
    (effect,) = comparison([1.0, 2.0, 3.0], [2.0, 3.5, 4.0]).effects()
    assert (effect.control.value, effect.treated.value) == (2.0, pytest.approx(19 / 6))
    assert effect.difference.value == pytest.approx(7 / 6)
    # t quantile 4.3027 of 2 degrees x sd .28868 / sqrt 3
    assert effect.difference.half_width == pytest.approx(0.71712, rel=1e-4)
    assert effect.correlation == pytest.approx(0.9607689)
    # t of 7 with 2 degrees of freedom: 1 - t / sqrt(t^2 + 2)
    assert effect.p == pytest.approx(1.0 - 7.0 / math.sqrt(51.0))


@pytest.mark.parametrize(
    ("control", "treated", "placebo", "verdict"),
    [
        (UP, UP, None, "equal"),
        (UP, CLEAR, None, "higher"),
        (CLEAR, UP, None, "lower"),
        (UP, UP[::-1], None, "inconclusive"),
        (UP[:7], CLEAR[:7], None, "not evidence"),
        ([1], [2], None, "not evidence"),
        (UP, CLEAR, CLEAR, "higher"),
        (UP, CLEAR, NOISY, "inside noise"),
        ([math.nan] * 8, [math.nan] * 8, None, "equal"),
    ],
)
def test_only_what_pairs_and_placebo_bear_is_claimed(control, treated, placebo, verdict):
    (effect,) = comparison(control, treated, placebo).effects()
    assert effect.verdict == verdict


def test_many_outcomes_are_judged_together():
    shift = [1.0 + 1.1 * (-1.0) ** k for k in range(8)]

    def runs(values, n_more):
        return tuple(
            Replicate(s, "d", {"x": x} | {f"{k}": math.sin(s * (k + 2)) for k in range(n_more)})
            for s, x in enumerate(values)
        )

    def verdict(n_more):
        found = {"control": runs([0.0] * 8, 0), "treated": runs(shift, n_more)}
        for k in range(n_more):
            for one in found["control"]:
                one.outcomes[f"{k}"] = 0.0
        return Comparison(SKELETON, CROSS_TO_PORTFOLIO, found).effects()[0].verdict

    assert (verdict(0), verdict(12)) == ("higher", "inconclusive")


def test_seeds_that_failed_in_one_arm_count_in_none():
    found = comparison([1.0, 2.0, 99.0], [2.0, 3.0, 0.0], failed={2})
    (effect,) = found.effects()
    assert (effect.difference.n, effect.control.value, effect.difference.value) == (2, 1.5, 1.0)
    assert found.failures == {"treated 2": "LadderExhausted: left"}


def test_drawdowns_are_looked_at_from_one_onset():
    fall = sb.PriceGap(at="12min", fall_frac=0.1)
    calm = SKELETON.with_(stresses=[])
    late = calm.stressed(fall)
    later = calm.stressed(sb.PriceGap(at="14min", fall_frac=0.1))
    assert shared_onset_s(calm, late) == shared_onset_s(late, calm) == 720.0
    assert shared_onset_s(later, late) == 720.0
    assert shared_onset_s(calm, calm) == calm.warmup_s


def test_an_effect_is_told_with_interval_placebo_and_failures():
    effect = Effect(comparison(UP, CLEAR, CLEAR))
    text = effect.summary()
    assert "skeleton against skeleton (margin_regime cross -> hyperliquid-pm) · 8 pairs" in text
    assert re.search(r"0\.89\d* to 1\.1\d* +1\.00  higher", text)
    assert "changed nothing in any of 8 seeds: here it sets no bound on noise" in text
    assert repr(effect).endswith("8 pairs, 1 of 1 outcomes differ>")
    assert "<td>higher</td>" in effect._repr_html_()
    assert "a verdict stands after Holm's correction over 1 outcomes" in text
    failed = Effect(comparison([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], failed={1})).summary()
    assert "2 pairs · seeds 0 to 2 · 1 of 3 failed" in failed
    assert "failed, treated 1: LadderExhausted: left" in failed
    assert "no placebo ran" in failed
    assert "2 pairs are not evidence: ask for 8 reps or more" in failed


def test_an_effect_is_a_table_too():
    effect = Effect(comparison([1.0, 2.0, 3.0], [3.0, 2.5, 1.0]))
    row = effect.frame().iloc[0]
    assert (row["outcome"], row["n"], row["verdict"]) == ("loss", 3, "not evidence")
    assert "pairing did not narrow: loss" in effect.summary()
    assert list(effect.values()["arm"]) == ["control"] * 3 + ["treated"] * 3
    assert effect["loss"].difference.n == len(effect.values()) // 2
    with pytest.raises(UnknownName, match="did you mean 'loss'"):
        effect["los"]


def test_replicates_are_told_with_intervals_and_failures():
    many = Replicates(SKELETON, arm([1.0, 2.0, 3.0], failed={0}))
    assert (many.estimate("loss").value, many.estimate("loss").n) == (2.5, 2)
    text = many.summary()
    assert "skeleton · 3 runs · seeds 0 to 2 · 1 of 3 failed" in text
    assert "failed, seed 0: LadderExhausted: left" in text
    assert list(many.frame()["seed"]) == [0, 1, 2]


# --- running -------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch):
    """Replace runs by a count: outcome x is the seed, seed 13 fails."""
    seeds = []

    def run(sim, job, progress=None):
        seeds.append(job.seed)
        if progress is not None:
            progress(0.5)
        if job.seed == 13:
            return Replicate(13, "", {}, "OverflowFault: too large")
        return Replicate(job.seed, f"d{job.seed}", {"x": float(job.seed), "y": math.nan})

    monkeypatch.setattr(cell_run, "_run", run)
    monkeypatch.setattr(cell_run, "Simulation", lambda *_, **__: Mock(dt_ms=1000))
    return seeds


def jobs(*seeds, **kwargs):
    return [Job(SKELETON, seed, **kwargs) for seed in seeds]


def test_results_come_in_the_order_of_the_jobs(counted):
    found = run_jobs(jobs(5, 3, 4))
    assert [each.seed for each in found] == counted == [5, 3, 4]


def test_one_failure_does_not_stop_the_others(counted):
    found = run_jobs(jobs(12, 13, 14))
    assert [each.error for each in found] == ["", "OverflowFault: too large", ""]


def test_progress_goes_from_nothing_to_all(counted):
    told = []
    run_jobs(jobs(1, 2), progress=told.append)
    assert told == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_finished_runs_are_kept_and_read_again(counted, tmp_path):
    first = run_jobs(jobs(1, 2), folder=tmp_path)
    again = run_jobs(jobs(1, 2, 3), folder=tmp_path)
    assert counted == [1, 2, 3]
    assert [each.outcomes["x"] for each in again] == [1.0, 2.0, 3.0]
    assert math.isnan(again[0].outcomes["y"])
    assert again[0].digest == first[0].digest


def test_where_every_run_failed_there_is_no_result(counted):
    scenario = sb.scenario("skeleton")
    with pytest.raises(StressbookError, match="1 of 1 runs failed: OverflowFault: too large"):
        scenario.replicate(reps=1, seed=13)
    with pytest.raises(StressbookError, match="3 of 3 runs failed: OverflowFault: too large"):
        scenario.versus(scenario, reps=1, seed=13)
    assert scenario.replicate(reps=2, seed=12).failures == {13: "OverflowFault: too large"}


def test_runs_of_unequal_length_are_not_compared(counted):
    calm = sb.scenario("skeleton")
    with pytest.raises(InvalidInput) as error:
        calm.versus(calm.with_(duration="20min", dt=2.0), reps=8, seed=1)
    assert [problem.name for problem in error.value.problems] == [
        "duration of skeleton",
        "dt of skeleton",
    ]
    assert "duration of skeleton = '20 min' is not that of the first" in str(error.value)
    assert "with --set duration=.." in str(error.value)
    assert counted == []


def test_failed_runs_are_tried_again(counted, tmp_path):
    run_jobs(jobs(13), folder=tmp_path)
    run_jobs(jobs(13), folder=tmp_path)
    assert counted == [13, 13]


@pytest.mark.parametrize(
    "other",
    [
        Job(SKELETON.with_(dt=2.0), 1),
        Job(SKELETON, 1, engine="reference"),
        Job(SKELETON, 1, is_placebo=True),
        Job(SKELETON, 1, onset_s=600.0),
    ],
)
def test_what_another_run_has_left_is_not_taken(counted, tmp_path, other):
    run_jobs(jobs(1), folder=tmp_path)
    run_jobs([other], folder=tmp_path)
    assert counted == [1, 1]


def test_what_other_sources_have_left_is_not_taken(counted, tmp_path, monkeypatch):
    run_jobs(jobs(1), folder=tmp_path)
    monkeypatch.setattr(cell, "sources_digest", lambda: "edited")
    run_jobs(jobs(1), folder=tmp_path)
    assert counted == [1, 1]


def test_an_edit_of_what_a_plugin_imports_runs_anew(tmp_path):
    plugin = tmp_path / "plug" / "own.py"
    plugin.parent.mkdir()
    plugin.write_text("from stressbook import Stress\n")
    helper = plugin.parent / "helper.py"
    helper.write_text("LAG = 5.0\n")
    sources = (PluginSource("own", plugin),)
    before = sources_key(sources)
    assert sources_key(sources) == before
    helper.write_text("LAG = 50.0\n")
    assert sources_key(sources) != before
    assert kept_file(tmp_path, "a run", sources) == kept_file(tmp_path, "a run", sources)
    typed = (PluginSource("__main__", None),)
    assert kept_file(tmp_path, "a run", typed) != kept_file(tmp_path, "a run", typed)


EDITED = """
import stressbook as sb


class Edited(sb.Stress):
    def apply(self, dials, severity):
        return dials.add("BTC", drift=0.0 * severity)
"""


def test_a_kept_run_follows_an_edit_of_its_plugin(counted, tmp_path):
    """Both stores of finished runs, that of comparisons and that of studies."""
    plugin = tmp_path / "edited.py"
    plugin.write_text(EDITED)
    with own_names_forgotten():
        stress = load_plugin(plugin).Edited(at="10min")
        job = Job(SKELETON.with_(stresses=[stress]), 1)
        run_jobs([job], folder=tmp_path / "runs")
        run_jobs([job], folder=tmp_path / "runs")
        assert counted == [1]
        before = kept_file(tmp_path, "a run", plugin_sources(job.scenario))
        plugin.write_text(EDITED.replace("0.0", "0.5"))
        run_jobs([job], folder=tmp_path / "runs")
        assert counted == [1, 1]
        assert kept_file(tmp_path, "a run", plugin_sources(job.scenario)) != before


def test_an_index_that_is_none_is_not_written_over(counted, tmp_path):
    (tmp_path / INDEX).write_text("no database, but somebody's")
    with pytest.raises(StressbookError, match="is no index of runs"):
        run_jobs(jobs(1), folder=tmp_path)
    assert (tmp_path / INDEX).read_text() == "no database, but somebody's"


def test_jobs_of_one_key_run_once(counted):
    found = run_jobs([*jobs(1, 2), Job(SKELETON.with_(name="other"), 1, label="again")])
    assert counted == [1, 2]
    assert [each.outcomes["x"] for each in found] == [1.0, 2.0, 1.0]


def test_classes_that_no_file_holds_cannot_go_to_another_process():
    class Typed(sb.Stress):
        def apply(self, dials, severity):
            return dials

    scenario = SKELETON.stressed(Typed(at="10min"))
    with pytest.raises(InvalidInput) as error:
        run_jobs([Job(scenario, 1), Job(scenario, 2)], workers=2)
    assert "cannot be found by other processes" in str(error.value)
    assert "workers=1" in str(error.value)


# --- on the market -------------------------------------------------------------------------------


def test_a_placebo_is_the_same_run_up_to_the_onset():
    scenario = short_scenario().resolved
    plain = short_scenario().run(seed=7).record
    sim = Simulation(scenario, seed=7)
    play(sim, Job(scenario, 7, is_placebo=True))
    placebo = record_of(sim, seed=7, engine="kernel")
    sim.close()
    before = slice(0, 20)
    mids, others = (record.series.book["end_mid_usd"][before] for record in (plain, placebo))
    assert (mids == others).all()
    assert plain.digest != placebo.digest
    assert plain.series.venue["n_messages"][20] + 1 == placebo.series.venue["n_messages"][20]


def test_a_stress_is_compared_with_its_absence():
    calm = short_scenario(stresses=[])
    fall = sb.PriceGap(**{name: value for name, value in FALL.items() if name != "kind"})
    effect = calm.versus(fall, reps=2, seed=7)
    assert effect.comparison.seeds == (7, 8)
    assert set(effect.comparison.runs) == {"control", "treated", "placebo"}
    assert effect["drawdown_HYPE_frac"].treated.value > 0.15
    assert effect["n_breaches"].control.value == 0.0
    # The onset is that of the fall in both, though the calm run has none.
    calm_run = calm.run(seed=7).record
    marks = calm_run.series.asset["mark_usd"][round(fall.at_s) :, 1]
    first = effect.comparison.runs["control"][0].outcomes["drawdown_HYPE_frac"]
    assert first == pytest.approx(math.log(marks[0] / marks.min()))
    assert first != calm_run.outcomes["drawdown_HYPE_frac"]
    alone = short_scenario().run(seed=7)
    assert effect.comparison.runs["treated"][0].digest == alone.digest


@pytest.mark.slow
def test_two_workers_give_the_numbers_of_one(tmp_path):
    scenario = short_scenario()
    one = scenario.replicate(reps=3, seed=1)
    two = scenario.replicate(reps=3, seed=1, workers=2, folder=tmp_path)
    assert two.runs == one.runs
    assert len(list(tmp_path.iterdir())) == 3
