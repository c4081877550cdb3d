"""Correlations of the mark's move by horizon: measured right, kept apart from outcomes, told."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

import stressbook as sb
from stressbook.api.effect import Effect
from stressbook.experiments.contrasts import Contrasts
from stressbook.experiments.moves import (
    Horizons,
    horizons_note,
    least_of,
    mark_moves,
    target_assets,
)
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.sweeps.cell import Job, Replicate
from stressbook.experiments.sweeps.runner import run_jobs
from stressbook.experiments.versus import Comparison
from tests.short_runs import short_scenario

SKELETON = load_scenario("skeleton")


def record(marks, *, onset_step, planned, dt=1.0):
    scenario = SKELETON.with_(warmup=0.0, duration=planned * dt, dt=dt, stresses=[])
    series = SimpleNamespace(asset={"mark_usd": np.asarray(marks)})
    return SimpleNamespace(scenario=scenario, series=series, onset_step=onset_step)


def test_moves_are_logs_from_the_onset_up_to_the_planned_end():
    # BTC doubles at minute 10 + 5, HYPE falls to a quarter at minute 10 + 15; then runs on.
    marks = np.full((4000, 2), 8.0)
    marks[900:, 0] = 16.0
    marks[1500:, 1] = 2.0
    found = mark_moves(record(marks, onset_step=600, planned=1900))
    assert found == {
        "mark_move_BTC_5min": pytest.approx(math.log(2.0)),
        "mark_move_HYPE_5min": 0.0,
        "mark_move_BTC_15min": pytest.approx(math.log(2.0)),
        "mark_move_HYPE_15min": pytest.approx(-math.log(4.0)),
    }
    at_half = mark_moves(record(marks[::2], onset_step=300, planned=950, dt=2.0))
    assert at_half == found


# Moves of eight seeds whose correlation with their own order is known by hand: 1, 0.9048, -1.
UP = np.arange(8.0)
PAIRED = {5: UP, 15: np.array([1.0, 0.0, 3.0, 2.0, 5.0, 4.0, 7.0, 6.0]), 30: -UP}


def arm(by_minutes, *, failed=()):
    return tuple(
        Replicate(seed, "", {}, "LadderExhausted: left")
        if seed in failed
        else Replicate(
            seed,
            f"d{seed}",
            {"loss": float(seed)},
            moves={f"mark_move_HYPE_{m}min": float(x[seed]) for m, x in by_minutes.items()},
        )
        for seed in range(8)
    )


def test_versus_says_what_pairing_achieved_by_horizon():
    control, treated = arm(dict.fromkeys(PAIRED, UP)), arm(PAIRED)
    pair = Comparison(SKELETON, SKELETON, {"control": control, "treated": treated})
    (found,) = pair.by_horizon()
    assert (found.asset, found.minutes, found.n, found.blind_from_min) == (
        "HYPE",
        (5, 15, 30),
        8,
        30,
    )
    assert found.correlations == pytest.approx((1.0, 1.0 - 6.0 * 8.0 / (8.0 * 63.0), -1.0))
    assert pair.outcomes == ("loss",)  # moves are none
    text = Effect(pair).summary()
    assert (
        "correlation of the mark's move over seeds at 5/15/30 min: HYPE 1.00 0.90 -1.00; pairing "
        "does not help the mark of HYPE from 30 min on"
    ) in text
    assert not any("mark_move" in name for name in Effect(pair).values().columns)
    # A seed that failed in one arm counts in none.
    runs = {"control": control, "treated": arm(PAIRED, failed={3})}
    assert Comparison(SKELETON, SKELETON, runs).by_horizon()[0].n == 7


def test_of_several_sides_the_least_is_told():
    sides = {"a": SKELETON, "b": SKELETON, "c": SKELETON}
    same = dict.fromkeys(PAIRED, UP)
    found = Contrasts(sides, {"a": arm(same), "b": arm(PAIRED), "c": arm(same)})
    told = found.by_horizon()
    assert list(told) == ["b", "c"]
    assert told["c"][0].correlations == pytest.approx((1.0, 1.0, 1.0))
    (least,) = least_of(list(told.values()))
    assert least.correlations == pytest.approx(told["b"][0].correlations)
    note = horizons_note([least], n_pairs_of_arms=2)
    assert note.startswith("correlation of the mark's move over seeds, the least of 2, at 5/15/30")
    assert horizons_note([]) == ""
    still = Horizons("HYPE", (5,), (math.nan,), 8)
    assert horizons_note([still]).endswith("at 5 min: HYPE none; none where a mark does not vary")


def test_the_stressed_assets_are_looked_at():
    fall = short_scenario().resolved
    assert target_assets(fall) == target_assets(SKELETON.with_(stresses=[]), fall) == ("HYPE",)
    assert target_assets(SKELETON.with_(stresses=[])) == ("BTC", "HYPE")


def test_runs_keep_their_moves_apart_from_outcomes(tmp_path):
    scenario = short_scenario(duration=340.0)
    (kept,) = run_jobs([Job(scenario.resolved, 7)], folder=tmp_path)
    one = scenario.run(seed=7)
    assert kept.digest == one.digest
    assert kept.moves == mark_moves(one.record)
    assert list(kept.moves) == ["mark_move_BTC_5min", "mark_move_HYPE_5min"]
    marks = one.record.series.asset["mark_usd"][[20, 320], 1]
    assert kept.moves["mark_move_HYPE_5min"] == pytest.approx(math.log(marks[1] / marks[0]))
    assert not any("mark_move" in name for name in (*kept.outcomes, *one.outcomes))
    (again,) = run_jobs([Job(scenario.resolved, 7)], folder=tmp_path)
    assert again.moves == kept.moves  # read, not run
    short = sb.scenario("skeleton").with_(warmup=10.0, duration=30.0, stresses=[])
    assert run_jobs([Job(short.resolved, 7)])[0].moves == {}
