"""Sweeps that stop by what they find, and sweeps against a control with its placebo."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from stressbook.api.study import StudyResult
from stressbook.errors import InvalidInput, InvalidScenario
from stressbook.experiments.claims import claims
from stressbook.experiments.inference import mean_estimate
from stressbook.experiments.statistics.sequences import failure_sequence, mean_sequence
from stressbook.experiments.sweeps.by_seed import shares_over
from stressbook.experiments.sweeps.cell import Replicate
from stressbook.experiments.sweeps.contrast import judged_cells, placebo_changed
from stressbook.experiments.sweeps.index import reading
from stressbook.experiments.sweeps.study import run_study
from stressbook.experiments.sweeps.study_file import load_study, study_from_table
from stressbook.experiments.sweeps.summary import study_cells
from stressbook.experiments.words import UNVALIDATED
from tests.short_runs import short_scenario
from tests.tiny_cells import drawn

FALL = "stresses.0.fall_frac"
SIZE = "world.HYPE.daily_volatility"
BUDGET = {"liquidated_usd": {"budget": 15.0, "alpha": 0.1}, "fees_usd": {}}
DECIDE = {"outcome": "liquidated_usd", "decide": True, "check_every": 7}
WIDE = {"outcome": "liquidated_usd", "half_width": 2.0, "low": 0.0, "high": 40.0}


def study(**changes):
    table = {
        "scenario": "skeleton",
        "seed": 5,
        "replicates": 84,
        "levers": {FALL: [0.1, 0.2, 0.4]},
        "outcomes": BUDGET,
        "limits": {"cells": 1000},
        **changes,
    }
    return study_from_table(table, source="s.toml")


def problems(**changes):
    with pytest.raises(InvalidScenario) as error:
        study(**changes)
    return {problem.name: str(problem) for problem in error.value.problems}


def stops(found):
    return [len(runs) for runs in found.runs]


# --- stopping ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stopped():
    return run_study(study(stop=DECIDE), function=drawn)


def test_cells_stop_where_their_sequence_tells_the_share_from_alpha(stopped):
    # Never over; a quarter of seeds over; five eighths over. Looks are every 7 seeds.
    cells = [cell for cell in study_cells(stopped) if cell.outcome == "liquidated_usd"]
    for cell, runs, fall in zip(cells, stopped.runs, (0.1, 0.2, 0.4), strict=True):
        whole = run_study(study(levers={FALL: [fall]}), function=drawn).runs[0]
        over = [run.outcomes["liquidated_usd"] > 15.0 for run in whole]
        sequence = failure_sequence(over)
        told = [
            n for n in range(7, 85, 7) if sequence.low[n - 1] > 0.1 or sequence.high[n - 1] <= 0.1
        ]
        n = told[0] if told else 84
        assert (cell.n_seeds, len(runs), cell.over.n) == (n, n, n)
        assert runs == whole[:n]
        assert cell.over == sequence.at(n)
        assert cell.stopped == ("all run" if not told else "above" if fall > 0.1 else "at most")
    assert cells[0].stopped == "at most"
    assert cells[2].stopped == "above"
    assert cells[2].n_seeds < cells[0].n_seeds < 84


def test_neither_order_of_arrival_nor_a_resume_change_where_cells_stop(stopped, tmp_path):
    ended = []

    def noted(jobs, progress=None):
        found = drawn(jobs)
        ended.extend((job.seed, job.label) for job in jobs)
        return found

    wanted = (stops(stopped), stopped.digest())
    with ThreadPoolExecutor(3) as threads:
        place = tmp_path / "threads"
        found = run_study(study(stop=DECIDE), place, executor=threads, function=drawn)
    assert (stops(found), found.digest()) == wanted
    with reading(place) as db:
        arrived = [seed for (seed,) in db.execute("SELECT seed FROM cells ORDER BY ended_at")]
    assert arrived != sorted(arrived)

    def broken(jobs, progress=None):
        if len(ended) >= 50:
            raise KeyboardInterrupt
        return noted(jobs)

    with pytest.raises(KeyboardInterrupt):
        run_study(study(stop=DECIDE), tmp_path, function=broken)
    told = []
    found = run_study(study(stop=DECIDE), tmp_path, function=noted, progress=told.append)
    assert (stops(found), found.digest()) == wanted
    assert len(ended) == len(set(ended)) == found.n_runs  # none twice, none beyond
    assert told == sorted(told)
    assert told[-1] == 1.0


@pytest.mark.slow
def test_workers_change_nothing_in_where_cells_stop(stopped):
    found = run_study(study(stop=DECIDE), workers=2, function=drawn)
    assert (stops(found), found.digest()) == (stops(stopped), stopped.digest())


def test_a_mean_stops_narrow_enough_with_the_interval_that_holds():
    found = run_study(study(stop=WIDE, replicates=200), function=drawn)
    first, fees, _, _, wide, _ = study_cells(found)
    values = [run.outcomes["liquidated_usd"] for run in found.runs[0]]
    assert first.mean == mean_sequence(values, low=0.0, high=40.0).at(len(values))
    assert (
        first.mean.half_width
        <= 2.0
        < mean_sequence(values, low=0.0, high=40.0).at(len(values) - 10).half_width
    )
    assert first.mean.half_width > mean_estimate(values).half_width  # a t interval would not hold
    assert (first.stopped, first.mean.n) == ("narrow", first.n_seeds)
    assert first.n_seeds < wide.n_seeds  # the deeper fall varies more
    assert (fees.mean.value > 0.0, np.isnan(fees.mean.low)) == (True, True)
    assert {cell.word for cell in study_cells(found)} == {"not judged"}


def test_a_seed_is_one_replicate_over_what_is_not_known_and_a_failure_the_worst():
    unknown = {SIZE: [0.05, 0.1]}

    def fails(jobs, progress=None):
        return [
            replace(run, outcomes={}, error="LadderExhausted: left") if run.seed == 6 else run
            for run in drawn(jobs)
        ]

    lax = {**DECIDE, "low": 0.0, "high": 40.0}
    asked = study(stop=lax, uncertainties=unknown, levers={FALL: [0.2]})
    found = run_study(asked, function=fails)
    cell = study_cells(found)[0]
    n = cell.n_seeds
    assert stops(found) == [n, n]
    values = [40.0 if run.error else run.outcomes["liquidated_usd"] for run in found.runs[0]]
    assert cell.mean == mean_sequence(values, low=0.0, high=40.0).at(n)
    shares = [float(x > 15.0) for x in values]
    assert cell.over == mean_sequence(shares, low=0.0, high=1.0).at(n)
    assert cell.n_failed == 2


def test_what_has_no_value_is_over_a_budget():
    def lacks(jobs, progress=None):
        return [
            replace(run, outcomes={"liquidated_usd": math.nan}) if run.seed == 6 else run
            for run in drawn(jobs)
        ]

    found = run_study(study(levers={FALL: [0.2]}), function=lacks)
    cell = study_cells(found)[0]
    over = [not run.outcomes["liquidated_usd"] <= 15.0 for run in found.runs[0]]
    assert (cell.over.value, cell.n_failed) == (np.mean(over), 0)
    assert np.mean(over) > np.mean([run.outcomes["liquidated_usd"] > 15.0 for run in found.runs[0]])
    assert shares_over(found.runs, "liquidated_usd", 15.0).tolist() == over


def test_a_value_outside_of_the_stated_range_ends_the_study():
    with pytest.raises(InvalidInput, match=r"liquidated_usd = .* leaves the range .* with seed"):
        run_study(study(stop={**WIDE, "high": 10.0}), function=drawn)


def test_what_a_stop_cannot_mean_is_told():
    both = {**WIDE, "decide": True}
    assert "one thing that ends a cell" in problems(stop=both)["stop"]
    assert "one thing that ends a cell" in problems(stop={"outcome": "fees_usd"})["stop"]
    other = {"outcome": "fees_usd", "decide": True}
    assert "needs a budget" in problems(stop=other)["stop.decide"]
    assert "is not looked at" in problems(stop={"outcome": "fee"})["stop.outcome"]
    found = problems(stop={"outcome": "fees_usd", "half_width": 1.0, "every": 3})
    assert "is missing" in found["stop.low"]
    assert "is missing" in found["stop.high"]
    assert "is read by nothing" in found["stop.every"]
    assert "0.04 to below 20" in problems(stop={**WIDE, "half_width": 0.01})["stop.half_width"]
    assert "empty range" in problems(stop={**WIDE, "high": -1.0})["stop.high"]
    assert "excludes [stop]" in problems(stop=WIDE, control="first")["control"]
    for key in ("outcome", "half_width", "low", "high"):
        for value in ([], {"a": 1}, ""):
            assert f"stop.{key}" in problems(stop={**WIDE, key: value})


def test_a_study_that_stopped_says_which_interval_it_shows(stopped):
    text = StudyResult(stopped).summary()
    assert f"{stopped.n_runs} runs of 252 at most: 3 combinations" in text
    assert f"\n({UNVALIDATED})\n" in text
    assert text.count("95% sequence") == 3
    assert "95% interval" not in text
    assert "told from 0.1 in liquidated_usd: looked at every 7 seeds, in their order, 84" in text
    assert "intervals are confidence sequences, 95 % for each cell" in text
    row = next(line for line in text.splitlines() if line.split()[:1] == ["0.4"])
    assert row.split()[-2:] == [str(stops(stopped)[2]), "above"]


# --- control -------------------------------------------------------------------------------------

PAIRED = {
    "replicates": 12,
    "levers": {FALL: [0.1, 0.2, 0.3]},
    "uncertainties": {SIZE: [0.05, 0.1]},
    "control": {FALL: 0.2},
}


def test_cells_are_judged_against_the_control_beside_its_placebo():
    asked = study(**PAIRED)
    jobs = asked.jobs()
    assert asked.n_cells == len(jobs) == 12 * (6 + 2)
    assert [job.is_placebo for job in jobs[:8]] == [False] * 6 + [True] * 2
    assert {job.scenario.stresses[0].fall_frac for job in jobs if job.is_placebo} == {0.2}
    assert {job.onset_s for job in jobs} == {900.0}
    found = run_study(asked, function=drawn)
    cells = {(cell.levers[FALL], cell.outcome): cell for cell in study_cells(found)}
    usd = {fall: cells[fall, "liquidated_usd"] for fall in (0.1, 0.2, 0.3)}
    assert [cell.is_control for cell in usd.values()] == [False, True, False]
    assert [cell.word for cell in usd.values()] == ["lower", "not judged", "higher"]
    u = np.array([run.outcomes["liquidated_usd"] / 20.0 for run in found.runs[2]])
    assert usd[0.1].difference.value == pytest.approx(-10.0 * u.mean())
    assert usd[0.1].difference.n == 12  # seeds, not their runs
    assert usd[0.1].correlation == pytest.approx(1.0)
    # Fees are higher by 1 in every seed; one more order moves them by up to 3.
    fees = cells[0.3, "fees_usd"]
    assert (fees.word, fees.difference.value) == ("inside noise", pytest.approx(1.0))
    assert fees.noise > 1.0
    bare = run_study(study(**PAIRED, placebo=False), function=drawn)
    assert {c.word for c in study_cells(bare) if c.outcome == "fees_usd" and not c.is_control} == {
        "lower",
        "higher",
    }
    assert placebo_changed(found) == ("fees_usd",)
    assert placebo_changed(bare) is None
    assert found.digest() != bare.digest()


def test_holm_runs_over_all_combinations_and_outcomes():
    # An effect with p = .011: claimed of one cell, not among five.
    rng = np.random.default_rng(3)
    noise = rng.normal(0.0, 1.0, (6, 12))
    noise -= noise.mean(axis=1, keepdims=True)

    def known(jobs, progress=None):
        found = []
        for job in jobs:
            rank = round(10.0 * job.scenario.stresses[0].fall_frac) - 1
            x = 0.0 if rank == 0 else float(noise[rank][job.seed - 5]) + 0.6 * (rank == 1)
            found.append(Replicate(job.seed, "d", {"liquidated_usd": x, "fees_usd": 1.0}))
        return found

    def judged(n):
        levers = {FALL: [round(0.1 * (k + 1), 1) for k in range(n)]}
        outcomes = {"liquidated_usd": {}}
        asked = study(levers=levers, outcomes=outcomes, replicates=12, control="first")
        return judged_cells(run_study(asked, function=known))[1, "liquidated_usd"]

    few, many = judged(2), judged(6)
    assert few.p == many.p
    assert 0.01 < few.p < 0.05
    assert (few.word, many.word) == ("higher", "inconclusive")
    alone = claims([("x", noise[1] + 0.6, np.zeros(12), ())])[0]
    assert few.p == pytest.approx(alone.p)


def test_a_seed_that_failed_in_either_cell_counts_in_none_of_the_two():
    def fails(jobs, progress=None):
        return [
            Replicate(run.seed, "", {}, "LadderExhausted: left")
            if (run.seed, job.scenario.stresses[0].fall_frac) == (7, 0.1)
            else run
            for run, job in zip(drawn(jobs), jobs, strict=True)
        ]

    result = StudyResult(run_study(study(**PAIRED), function=fails))
    pairs = {cell.levers[FALL]: cell.difference.n for cell in result.estimates()}
    assert pairs == {0.1: 11, 0.2: 0, 0.3: 12}
    assert result.by_horizon()[0][0].n == 11
    assert len(result.failures) == 2


def test_a_sweep_says_what_pairing_achieved_by_horizon():
    result = StudyResult(run_study(study(**PAIRED), function=drawn))
    shallow, deep = result.by_horizon().values()
    assert shallow[0].correlations == pytest.approx((1.0, 1.0))
    assert deep[0].blind_from_min == 30
    text = result.summary()
    assert (
        "correlation of the mark's move over seeds, the least of 2, at 5/30 min: HYPE 1.00 -1.00; "
        "pairing does not help the mark of HYPE from 30 min on"
    ) in text
    assert "differences are to fall_frac = 0.2, paired by seed" in text
    assert "after Holm's correction over 2 combinations x 2 outcomes" in text
    assert "only fees_usd: here it sets no bound on noise" in text
    assert "96 runs: 6 combinations (grid) and a placebo" in text
    heads = [line.split()[-3:] for line in text.splitlines() if "corr " in line]
    assert heads == [["interval", "corr", "verdict"]] * 2
    assert not any("mark_move" in name for name in result.runs().columns)
    assert "<li>differences are to" in result._repr_html_()


def test_what_a_control_cannot_be_is_told():
    assert "is none of the combinations" in problems(control={FALL: 0.15})["control"]
    assert "is none of the combinations" in problems(control={SIZE: 0.1})["control"]
    assert "is no combination" in problems(control="second")["control"]
    assert "needs a control" in problems(placebo=True)["placebo"]
    assert "pairs with no other" in problems(levers={FALL: [0.1]}, control="first")["control"]
    spread = {"design": "sobol", "samples": 4, "uncertainties": {SIZE: [0.05, 0.1, 0.2]}}
    assert "pairs with no other" in problems(**spread, control="first")["control"]
    timed = problems(levers={"warmup": [600.0, 610.0]}, control="first")
    assert "runs do not pair" in timed["warmup, duration and dt"]
    assert "336" in problems(control="first", limits={"cells": 300})["cells"]
    unquoted = study(control={"stresses": {"0": {"fall_frac": 0.2}}})
    assert (unquoted.control, unquoted.has_placebo) == (1, True)


def test_a_real_study_against_its_control(tmp_path):
    scenario = short_scenario(duration=340.0)
    (tmp_path / "base.toml").write_text(scenario.to_toml())
    (tmp_path / "caps.toml").write_text(
        'scenario = "base.toml"\nseed = 7\nreplicates = 3\ncontrol = "first"\n[levers]\n'
        '"stresses.0.fall_frac" = [0.05, 0.4]\n[outcomes]\ndrawdown_HYPE_frac = {}\n'
    )
    result = StudyResult(run_study(load_study(tmp_path / "caps.toml"), tmp_path / "runs"))
    assert not result.failures
    found = result.found
    deep = result.estimates()[1]
    assert deep.difference.value > 0.2
    assert (deep.word, deep.difference.n) == ("not evidence", 3)
    assert [len(runs) for runs in found.placebo] == [3]
    pairs = zip(found.placebo[0], found.runs[0], strict=True)
    assert all(one.digest != other.digest for one, other in pairs)
    (horizons,) = result.by_horizon()[1]
    assert (horizons.asset, horizons.minutes, horizons.n) == ("HYPE", (5,), 3)
    assert "3 pairs are not evidence" in result.summary()
