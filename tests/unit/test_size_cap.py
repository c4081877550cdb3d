"""The driver of a cap study on a loss whose law is known: what it proposes, certifies and says."""

import json
import math
import os
from dataclasses import replace

import numpy as np
import pytest

from stressbook.experiments.caps import runs as cap_runs
from stressbook.experiments.caps import size_cap as driver
from stressbook.experiments.caps.answer import CapGrid
from stressbook.experiments.caps.law import Draw
from stressbook.experiments.caps.runs import Runs
from stressbook.experiments.caps.study import SecondParams
from stressbook.experiments.statistics.critical_caps import propose
from stressbook.experiments.statistics.exact import upper_bound
from stressbook.experiments.sweeps.cell import Replicate
from stressbook.experiments.sweeps.cell_run import BOOKED
from stressbook.experiments.sweeps.ownership import owner_of
from tests.planted_caps import GRID, LAW, STUDY, Toy
from tests.planted_losses import true_cap


def test_the_true_cap_lies_between_the_certified_one_and_the_next_failing(monkeypatch):
    Toy(monkeypatch)
    answer = driver.size_cap(STUDY)
    assert answer.certified is not None
    # The smallest of 59 critical caps bounds the true one from below, within a few steps of it.
    assert true_cap(0.05) / 3.0 < answer.certified.value <= true_cap(0.05)
    judgement = answer.certified.judgement
    assert (judgement.plan.n, judgement.plan.allowed) == (234, 6)
    assert judgement.upper <= 0.05
    assert answer.binding.name == "fall"
    assert answer.binding.cleared == {"fall": answer.binding.n_failed, "thin": 0}
    today = answer.column(answer.certified.value)
    assert answer.at_tried().n == today.n + 234
    assert answer.break_even.value < 1.0
    worse, emergent, current = answer.rows
    assert worse.compared.failures >= emergent.compared.failures
    assert emergent.compared.failures == 0
    assert current.value == STUDY.current
    assert not answer.zero.of("reserve_shortfall_usd").any()


def test_certificates_rest_on_seeds_that_nothing_else_has_seen(monkeypatch):
    toy = Toy(monkeypatch)
    answer = driver.size_cap(STUDY)
    fresh = {job.seed for job in toy.calls if job.label.startswith("certificate")}
    shown = {job.seed for job in toy.calls if not job.label.startswith("certificate")}
    assert len(fresh) == 234
    assert not fresh & shown
    assert len(shown) == 59
    assert len(toy.calls) == answer.n_runs


def test_the_plan_is_stored_before_the_first_run(monkeypatch, tmp_path):
    toy = Toy(monkeypatch)
    driver.size_cap(STUDY, folder=tmp_path / "study")
    assert toy.plan_was_there
    assert all(toy.plan_was_there)
    plan = json.loads((tmp_path / "study" / "plan.json").read_text())
    assert (plan["n"], plan["allowed"], plan["study"]) == (234, 6, STUDY.digest())


def test_a_folder_is_held_between_two_tables_too(monkeypatch, tmp_path):
    Toy(monkeypatch)
    held = []

    def looked(*given):
        held.append(owner_of(tmp_path))
        return propose(*given)

    monkeypatch.setattr(driver, "propose", looked)
    driver.size_cap(STUDY, folder=tmp_path)
    assert [one.split()[0] for one in held] == [str(os.getpid())]
    assert owner_of(tmp_path) is None


def test_a_loss_that_does_not_rise_with_the_cap_gets_its_curve_and_no_number(monkeypatch):
    def toothed(seed, borrowed, changes):
        at = int(np.argmin(np.abs(np.array(GRID) - borrowed)))
        return 30e6 if (at + seed) % 3 == 0 else 0.0

    Toy(monkeypatch, toothed)
    answer = driver.size_cap(STUDY)
    assert answer.proposal.is_refused
    assert "pass above a failure" in answer.proposal.reason
    assert answer.attempts == ()
    assert answer.certified is None
    assert len(answer.critical.curve()) == len(GRID)


def test_a_cap_that_never_binds_says_so(monkeypatch):
    Toy(monkeypatch)
    study = replace(STUDY, cap=replace(STUDY.cap, grid=(300e6, 400e6), demand="emergent"))
    answer = driver.size_cap(study)
    assert str(answer.grid.binding(study.cap.lever)) == "not binding up to 400,000,000"


def test_every_cap_that_passes_is_above_the_grid(monkeypatch):
    Toy(monkeypatch, lambda *_: 0.0)
    answer = driver.size_cap(STUDY)
    assert math.isinf(answer.proposal.cap)
    assert answer.certified is not None
    assert answer.certified.value == GRID[-1]


def test_a_grid_that_fails_at_once_proposes_nothing(monkeypatch):
    Toy(monkeypatch, lambda *_: 1e9)
    answer = driver.size_cap(STUDY)
    assert answer.proposal.cap == 0.0
    assert answer.attempts == ()
    assert math.isnan(answer.step_limit)


def test_crashed_episodes_fail_and_are_not_drawn_again(monkeypatch):
    crashed = {cap_runs.episode_seed(STUDY.seed, "attempt 1", i) for i in range(7)}
    Toy(monkeypatch, lambda *_: 0.0, crashes=crashed)
    answer = driver.size_cap(STUDY)
    attempt = answer.attempts[0]
    assert attempt.judgement.word == "refused"
    assert attempt.judgement.failures == 7
    assert attempt.runs.errors == {"LadderExhausted: left": 7}
    assert attempt.upper(STUDY.outcome) == upper_bound(7, 234)


@pytest.mark.parametrize("name", ["reserve_shortfall_usd", "uncovered_usd"])
def test_episodes_stop_early_only_where_the_outcome_cannot_fall(monkeypatch, name):
    toy = Toy(monkeypatch)
    driver.size_cap(STUDY.with_outcome(name=name))
    decided = {job.decided for job in toy.calls} - {None}
    assert decided <= {(job_name, STUDY.outcome.budget) for job_name in BOOKED}
    assert bool(decided) == (name in BOOKED)
    # Means, peaks and the certificate's bound are read from these: they are run to their end.
    whole = [job for job in toy.calls if job.label.startswith(("filled at", "certificate"))]
    assert len(whole) >= 59 * len(GRID)
    assert {job.decided for job in whole} == {None}


def test_a_crashed_run_fails_in_every_row():
    runs = cap_runs.Runs((1, 2, 3), {"x": np.array([np.nan, 25.0, 26.0])}, {"left": 1})
    assert runs.failed("x", 25.0) == [True, False, True]
    assert runs.failed("none of them ended", 25.0) == [True, True, True]


def test_a_second_planned_attempt_tries_the_next_cap_below_on_seeds_of_its_own(monkeypatch):
    first = {cap_runs.episode_seed(STUDY.seed, "attempt 1", i) for i in range(400)}
    toy = Toy(monkeypatch, lambda seed, *_: 1e9 if seed in first else 0.0)
    answer = driver.size_cap(STUDY.with_outcome(attempts=2))
    assert [one.judgement.word for one in answer.attempts] == ["refused", "certified"]
    assert [one.value for one in answer.attempts] == [GRID[-1], GRID[-2]]
    assert (answer.attempts[0].judgement.plan.n, answer.attempts[0].judgement.plan.allowed) == (
        312,
        8,
    )
    del toy


def test_the_step_limit_is_at_most_double_and_without_a_failure(monkeypatch):
    Toy(monkeypatch, lambda *_: 0.0)
    answer = driver.size_cap(STUDY)
    assert answer.step_limit == max(value for value in GRID if value <= 2.0 * STUDY.current)
    doubles = tuple(factor * STUDY.current for factor in (1.0, 2.0, 4.0))
    study = replace(STUDY, cap=replace(STUDY.cap, grid=doubles))
    assert driver.size_cap(study).step_limit == 2.0 * STUDY.current


def test_failures_by_two_draws_count_every_episode_once(monkeypatch):
    law = replace(LAW, draws=(*LAW.draws, Draw("load", 0.4, 0.8, "1", "assumed")))
    Toy(monkeypatch)
    answer = driver.size_cap(replace(STUDY, law=law))
    cells = answer.failures_by(("part", "load"))
    assert len(cells) == 16
    value, runs = answer.with_failures()
    assert sum(cell["n"] for cell in cells) == runs.n
    total = sum(runs.failed("reserve_shortfall_usd", 25e6))
    assert sum(cell["failures"] for cell in cells) == total > 0
    assert answer.study.outcome.n_failed(answer.at_tried()) == 0
    above = [one for one in GRID if one > answer.last.value]
    assert value == next(v for v in above if answer.study.outcome.n_failed(answer.column(v)) >= 6)
    Toy(monkeypatch, lambda *_: 0.0)
    assert driver.size_cap(replace(STUDY, law=law)).failures_by(("part", "load")) == []


def test_two_caps_give_a_staircase(monkeypatch):
    def loss(_seed, borrowed, changes):
        second = changes.settings["venue.tokens.HYPE.ltv"] if _is_pair(changes) else 0.5
        return 30e6 if borrowed * second > 300e6 else 0.0

    def _is_pair(changes):
        return "venue.tokens.HYPE.ltv" in changes.settings

    Toy(monkeypatch, loss)
    study = replace(
        STUDY,
        cap=replace(STUDY.cap, grid=(400e6, 500e6, 600e6)),
        second=SecondParams(lever="venue.tokens.HYPE.ltv", unit="1", grid=(0.5, 0.6, 0.75)),
    )
    answer = driver.size_cap(study)
    assert answer.pairs.pairs == ((400e6, 0.75), (500e6, 0.6), (600e6, 0.5))


@pytest.mark.parametrize("name", ["usdc-borrow-cap", "usdc-user-borrow-cap"])
def test_shipped_studies_plan_fewer_runs_than_an_hour_holds(name):
    from stressbook.experiments.caps.study_file import load_cap_study

    assert driver.expected_runs(load_cap_study(name)) < 4000


def test_the_first_59_seeds_propose_however_many_are_run(monkeypatch):
    Toy(monkeypatch)
    few = driver.size_cap(STUDY)
    many = driver.size_cap(STUDY.with_outcome(seeds=120))
    assert (many.proposal.rank, many.proposal.n_seeds) == (1, 59)
    assert many.proposal.cap == few.proposal.cap
    assert many.critical.n == 120


def test_a_cap_that_passes_above_a_failing_one_neither_holds_nor_is_a_step(monkeypatch):
    odd = cap_runs.episode_seed(STUDY.seed, "proposal", 4)
    Toy(monkeypatch, lambda seed, usd, _: 30e6 if seed == odd and usd == GRID[3] else 0.0)
    answer = driver.size_cap(STUDY)
    assert answer.largest_that_holds == answer.step_limit == GRID[2]


def test_absorption_is_measured_at_the_break_even_too(monkeypatch):
    Toy(monkeypatch)
    monkeypatch.setattr(driver, "absorption", lambda changes, **_: changes.scales)
    about = replace(STUDY.absorption, asset="HYPE", median_of="part", divides=("world.slope",))
    answer = driver.size_cap(replace(STUDY, absorption=about))
    even = answer.break_even.value
    assert answer.absorption["agents.dip_buyer.size_factor"] == 1.0
    assert answer.absorption_at_break_even == {
        "agents.dip_buyer.size_factor": even,
        "world.slope": 1.0 / even,
    }


def test_a_cap_that_rations_opening_books_binds_below_95_percent_of_it():
    """Opening books owe nine tenths of a cap that rations them at most."""
    runs = [
        Runs((1,), {"peak_borrowed_usd": np.array([90.0]), "platform_cap_bound": np.array([k])}, {})
        for k in (3.0, 0.0)
    ]
    found = CapGrid("emergent", (100.0, 200.0), tuple(runs)).binding(STUDY.cap.lever)
    assert str(found) == "binding up to 100, not binding from 200 to 200"


def test_episodes_that_a_row_cannot_fill_are_left_out_of_it(monkeypatch):
    toy = Toy(monkeypatch, lambda *_: 0.0)
    one = toy._one
    refused = {cap_runs.episode_seed(STUDY.seed, "proposal", i) for i in range(4)}

    def run(job):
        if job.label == "worse" and job.seed in refused:
            return Replicate(job.seed, "", {}, "InvalidScenario: cannot be filled")
        return one(job)

    toy._one = run
    row = driver.size_cap(STUDY).rows[0]
    assert row.runs.n == 55
    assert row.note.startswith("4 of 59 episodes cannot be filled")
    assert (row.compared.n, row.compared.failures) == (55, 0)
    assert (row.compared.only_here, row.compared.only_default) == (0, 0)
    assert not row.infeasible
