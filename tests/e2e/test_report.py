"""A tiny study and a tiny run, from scenario to page."""

import json
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from stressbook.errors import InvalidInput, LadderExhausted, StressbookError
from stressbook.experiments import regimes
from stressbook.experiments.regime_plan import RegimePlan, demo_plan, impact_variants
from stressbook.experiments.regimes import REGIMES, run_regimes
from stressbook.experiments.replay import plan_of, replay
from stressbook.experiments.run import run_scenario
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.stress import DepthThinning, PriceGap
from stressbook.report import demo, write_run_report, write_study_report
from stressbook.report.manifest import study_manifest
from stressbook.report.study_tables import class_rows
from stressbook.report.timeline_panels import USED_UP, milestones
from tests.unit.test_report_page import outside_references


def plan(n_seeds):
    calm = load_scenario("skeleton").with_(warmup=240.0, duration=240.0, stresses=[])
    return RegimePlan(
        scenario=calm,
        stresses=(
            PriceGap(at=240.0, duration=60.0, assets=("HYPE",), fall_frac=0.3),
            DepthThinning(at=240.0, duration=60.0, assets=("HYPE",), cut_frac=0.9),
        ),
        target="HYPE",
        seeds=tuple(range(1, n_seeds + 1)),
        variants=impact_variants(calm, "HYPE")[:1],
        n_variant_seeds=1,
    )


@pytest.fixture(scope="module")
def study():
    return run_regimes(plan(2))


@pytest.fixture(scope="module")
def record():
    return run_scenario(load_scenario("skeleton").with_(warmup=120.0, duration=900.0), seed=7)


def test_every_dollar_of_an_episode_is_accounted_for(study):
    for run in study.runs:
        for episode in run.episodes.values():
            net = episode.classes[:, 1] - episode.classes[:, 2]
            assert net.sum() + episode.outside_usd == pytest.approx(0.0, abs=0.01)
    assert class_rows(study)[-1].net[0].value == pytest.approx(0.0, abs=0.01)


def test_a_backstop_is_used_up_at_a_time_if_and_only_if_a_seed_broke(study):
    for run in study.runs:
        for episode in run.episodes.values():
            found = milestones(episode.timeline, stress_min=1.0)
            assert np.isfinite(found[USED_UP]) == (episode.outcomes["backstop_short_usd"] > 0.0)
            assert episode.outcomes["backstop_low_usd"] == pytest.approx(
                min(episode.timeline.backstop_low_usd[episode.timeline.t_min > 0.0])
            )


def test_the_stressed_run_moved_money_between_classes(study):
    net = np.array([run.episodes["R"].classes for run in study.of("hyperliquid-pm")])
    assert (np.abs(net[:, :, 1]).max(axis=1) > 1e6).all()


def test_only_enrolled_accounts_borrow(study):
    for regime, borrows in zip(REGIMES, (True, False), strict=True):
        for run in study.of(regime):
            assert (run.episodes["0"].outcomes["mean_borrowed_usd"] > 0.0) is borrows


def test_arms_of_a_seed_share_the_market_before_the_onset(study):
    for run in study.of("hyperliquid-pm"):
        lead = run.episodes["R"].timeline.t_min <= 0.0
        calm, stressed = (run.episodes[arm].timeline for arm in ("0", "R"))
        assert lead.sum() > 3
        assert np.array_equal(calm.mark_usd[lead], stressed.mark_usd[lead])
        assert stressed.mark_usd[-1] < 0.9 * calm.mark_usd[-1]


def test_the_imposed_cut_is_on_the_clock_of_the_shock(study):
    line = study.of("cross")[0].episodes["R"].timeline
    acts = (line.t_min > 0.0) & (line.t_min <= 1.0)
    assert line.depth_left_frac[acts] == pytest.approx(0.1)
    assert line.depth_left_frac[~acts] == pytest.approx(1.0)


def test_arms_without_forced_orders_liquidate_nothing(study):
    assert (study.liquidated("hyperliquid-pm", "F") == 0.0).all()
    assert (study.liquidated("hyperliquid-pm", "R") > 0.0).any()


def test_variants_run_their_seeds_only(study):
    name = study.plan.variants[0].name
    assert [run.seed for run in study.of("cross", name)] == [1]


def test_the_page_of_a_study_is_the_same_twice(study, tmp_path):
    first = write_study_report(study, tmp_path / "a.html").read_bytes()
    assert first == write_study_report(study, tmp_path / "b.html").read_bytes()
    assert outside_references(first.decode()) == []
    assert b"2 seeds, not evidence." in first


@pytest.mark.slow
def test_workers_change_no_number(study):
    assert run_regimes(plan(2), workers=2).digest == study.digest


def test_progress_ends_at_one_and_a_seed_alone_has_the_same_digests(study):
    told = []
    small = replace(plan(1), arms=("0", "R"), severities=(), variants=())
    alone = run_regimes(small, progress=told.append)
    assert told == [0.0, 0.5, 1.0]
    assert alone.digests.items() <= study.digests.items()


def test_only_enrolled_accounts_count_as_under_portfolio_margin(study):
    for run in study.of("hyperliquid-pm"):
        found = run.enrolled
        assert 0 < found.n_accounts < found.all_accounts == run.n_accounts - 1
        assert 0.0 < found.equity_usd < found.all_equity_usd
        total = run.arms["R"].opening_equity_usd
        # All equity is that of the arms, less what the backstop has.
        assert found.all_equity_usd == pytest.approx(total - 12.3e6, abs=1.0)
    assert {run.enrolled.n_accounts for run in study.of("cross")} == {0}


def test_finished_runs_of_a_study_are_kept_to_the_bit(study, tmp_path, monkeypatch):
    run, calls = regimes._run, count()

    def fails_once(job, progress=None, /):
        if next(calls) == 3:
            raise LadderExhausted("left the ladder")
        return run(job, progress)

    monkeypatch.setattr(regimes, "_run", fails_once)
    with pytest.raises(StressbookError, match="1 of 6 runs failed\nreference, cross, seed 2: Lad"):
        run_regimes(plan(2), folder=tmp_path)
    again = run_regimes(plan(2), folder=tmp_path)
    assert next(calls) == 7
    assert again.digest == study.digest
    pages = [
        write_study_report(each, tmp_path / name).read_bytes()
        for name, each in (("a.html", study), ("b.html", again))
    ]
    assert pages[0] == pages[1]
    other = replace(plan(1), arms=("0", "R"), severities=(), variants=())
    run_regimes(other, folder=tmp_path)
    assert next(calls) == 10


def test_a_study_is_replayed_from_what_it_says_of_itself(tmp_path):
    small = replace(plan(1), arms=("0", "R"))
    about = study_manifest(run_regimes(small))
    assert replace(plan_of(about), summary=small.summary) == small
    (tmp_path / "study.json").write_text(json.dumps(about))
    found = replay(tmp_path)
    assert [each.run for each in found] == list(about["episodes"])
    assert all(each.is_equal for each in found)
    name = found[0].run
    about["episodes"][name] = "0" * 64
    (tmp_path / "study.json").write_text(json.dumps(about))
    assert [each.run for each in replay(tmp_path / "study.json") if not each.is_equal] == [name]
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(InvalidInput, match=r"study = .*cannot be read"):
        replay(tmp_path)


def test_the_demo_writes_page_and_manifest(study, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "run_regimes", lambda *_, **__: study)
    page = demo.run_demo(tmp_path / "out", seeds=(1, 2))
    assert page == tmp_path / "out" / "report.html"
    found = json.loads((tmp_path / "out" / "study.json").read_text())
    assert found["digest"] == study.digest
    assert found["verdict"]["tag"] == "Not evidence"
    assert found["verdict"]["sentences"][0] == "2 seeds, not evidence."
    falls = {
        (row["regime"], row["seed"]): row["numbers"]["log_fall_HYPE"]
        for row in found["runs"]
        if row["arm"] == "R" and row["variant"] == "reference"
    }
    calm, stressed = (
        next(r for r in found["runs"] if (r["arm"], r["seed"]) == (arm, 2)) for arm in ("0", "R")
    )
    assert calm["n_accounts"] > 0
    assert calm["caps_at_onset"]["USDC borrowed, platform"]["used_usd"] > 0.0
    assert sum(row["equity_at_onset_usd"] for row in stressed["classes"].values()) > 1e6
    assert len(found["timelines"]["cross"]["R"]["mark_usd"]) > 10
    traced = [falls[regime, seed] for regime in REGIMES for seed in (1, 2)]
    means = [study.drawdown(regime, "R").mean() for regime in REGIMES]
    assert [sum(traced[:2]) / 2, sum(traced[2:]) / 2] == pytest.approx(means)


def test_the_long_demo_runs_variants_on_all_seeds():
    long, short = demo_plan(full=True), demo_plan()
    assert (long.scenario.warmup_s, long.scenario.duration_s) == (3600.0, 7200.0)
    assert (len(long.variant_seeds), len(short.variant_seeds)) == (8, 3)
    assert all(stress.at_s == 1200.0 for stress in short.stresses)


def test_the_page_of_a_run_is_the_same_twice_and_no_evidence(record, tmp_path):
    first = write_run_report(record, tmp_path / "a.html").read_bytes()
    assert first == write_run_report(record, str(tmp_path / "b.html")).read_bytes()
    text = first.decode()
    assert outside_references(text) == []
    assert "One draw, not evidence" in text
    assert record.digest in text


def test_a_run_of_a_few_steps_has_a_page_without_a_timeline(tmp_path):
    few = load_scenario("skeleton").with_(warmup=0.0, duration=2.0, stresses=[])
    text = write_run_report(run_scenario(few, seed=7), tmp_path / "a.html").read_text()
    assert "No stress: the market is left alone." in text
    assert "<svg" not in text


def test_the_backstop_is_not_said_to_be_empty_before_it_was_valued(record):
    assert record.outcomes["backstop_low_usd"] > 1e6
