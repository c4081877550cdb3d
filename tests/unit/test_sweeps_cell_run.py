"""Cells that share a warm-up, run on or stop early come out as if they did not, where they must."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.stepping import step_to
from stressbook.experiments.sweeps import cell_run
from stressbook.experiments.sweeps.cell import Job, keys_of
from stressbook.experiments.sweeps.cell_run import run_together
from stressbook.experiments.sweeps.runner import run_jobs
from stressbook.experiments.sweeps.warm_up import Contents, is_sudden, warm_key
from tests.short_runs import FALL, short_scenario

CAP = {"tokens": {"USDC": {"platform_borrow_cap": 1e8}}}


def same(one, other):
    """Tell whether two runs are the same to the bit."""
    names = list(one.outcomes)
    return (
        one.digest == other.digest
        and one.error == other.error
        and names == list(other.outcomes)
        and np.array_equal(
            [one.outcomes[name] for name in names],
            [other.outcomes[name] for name in names],
            equal_nan=True,
        )
    )


def warm_keys(jobs):
    contents = Contents()
    return [warm_key(job, contents) for job in jobs]


def falling(**changes):
    return short_scenario(stresses=[{**FALL, **changes}]).resolved


# --- warm-ups ------------------------------------------------------------------------------------


def test_cells_that_share_a_warm_up_come_out_as_alone():
    deep, thin = falling(fall_frac=0.4), falling(duration=20)
    loud = short_scenario(
        stresses=[{"kind": "correlation_break", "at": 20, "duration": 30}]
    ).resolved
    scenarios = [falling(), deep, thin, loud]
    jobs = [Job(each, 7) for each in scenarios] + [Job(deep, 7, is_placebo=True)]
    assert len({*warm_keys(jobs)}) == 1
    together = run_together(jobs)
    alone = [run_together([job])[0] for job in jobs]
    assert all(map(same, together, alone))
    assert len({run.digest for run in together}) == 5


def test_a_mistake_in_one_cell_is_that_of_this_cell(monkeypatch):
    jobs = [Job(falling(fall_frac=fall), 7) for fall in (0.1, 0.2, 0.3)]
    whole = run_together(jobs)
    record_of = cell_run.record_of

    def breaks(sim, **about):
        if sim.scenario is jobs[1].scenario:
            raise ZeroDivisionError("ours")
        return record_of(sim, **about)

    monkeypatch.setattr(cell_run, "record_of", breaks)
    first, second, third = run_together(jobs)
    assert same(first, whole[0])
    assert same(third, whole[2])
    assert second.error.startswith("ZeroDivisionError: ours (test_sweeps_cell_run.py, line ")


def counted_simulations(monkeypatch):
    made = []

    def make(*args, **kwargs):
        made.append(kwargs["seed"])
        return Simulation(*args, **kwargs)

    monkeypatch.setattr(cell_run, "Simulation", make)
    return made


def test_what_is_kept_is_read_again_to_the_bit_and_in_order(tmp_path):
    job = Job(falling(), 7)
    (run,) = run_together([job])
    for _ in range(2):
        (kept,) = run_jobs([job], folder=tmp_path)
        assert same(kept, run)


def test_only_what_differs_in_stresses_alone_shares(monkeypatch):
    plain = falling()
    others = {
        "seed": Job(plain, 8),
        "engine": Job(plain, 7, "reference"),
        "onset": Job(falling(at=25), 7),
        "noted onset": Job(plain, 7, onset_s=30.0),
        "room": Job(plain, 7, run_on_s=60.0),
        "cap": Job(plain.with_(venue=CAP), 7),
        "world": Job(plain.with_(world={"HYPE": {"daily_volatility": 0.2}}), 7),
        "regime": Job(plain.with_(margin_regime="isolated"), 7),
        "no stress": Job(plain.with_(stresses=[]), 7),
    }
    shared = Job(falling(fall_frac=0.1), 7, label="another", decided=("reserve_shortfall_usd", 1.0))
    jobs = [Job(plain, 7), shared, *others.values()]
    keys = warm_keys(jobs)
    assert keys[0] == keys[1]
    assert len({*keys[1:]}) == len(others) + 1
    made = counted_simulations(monkeypatch)
    run_jobs([jobs[0], jobs[1], others["seed"]])
    assert made == [7, 8]


def test_a_cap_acts_before_the_onset_and_never_shares_its_warm_up():
    free = load_scenario("hype-fall")
    capped = free.with_(venue=CAP)
    keys = warm_keys([Job(free, 7), Job(capped, 7)])
    assert keys[0] != keys[1]
    borrowed = []
    for scenario in (free, capped):
        sim = Simulation(scenario, seed=7)
        sim.advance(30)
        assert sim.t_ms < 1000.0 * scenario.onset_s
        borrowed.append(sim.series.venue["borrowed_usd"][:30].max())
        sim.close()
    assert borrowed[1] <= 1e8 < borrowed[0]


# --- ends ----------------------------------------------------------------------------------------


@cache
def losing():
    """A small crowd of borrowers whose collateral is sold out within seven minutes of the run."""
    base = load_scenario("hype-fall")
    crowd = {
        name: {
            asset: {"equity_usd": usd / 40.0} for asset, usd in base.agents[name].equity_usd.items()
        }
        for name in ("holder", "hedger", "basis_trader")
    }
    fall = {"kind": "price_gap", "at": 120, "duration": 60, "assets": ["HYPE"], "fall_frac": 0.6}
    thin = {"kind": "depth_thinning", "at": 120, "duration": 100, "cut_frac": 0.5}
    return base.with_(
        warmup=60.0,
        duration=540.0,
        agents=crowd,
        venue={
            "liquidation": {"twap_halflife_ms": 2000, "backstop_capital_usd": 0.0},
            "lending": {"retained_frac": 0.0},
        },
        stresses=[fall, thin],
    )


@cache
def whole_run():
    return run_together([Job(losing(), 7)])[0]


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99, 1.0, 1.5])
def test_an_episode_stops_where_its_outcome_is_decided(share):
    shortfall_usd = whole_run().outcomes["reserve_shortfall_usd"]
    assert shortfall_usd > 500_000.0
    limit_usd = share * shortfall_usd
    found = run_together([Job(losing(), 7, decided=("reserve_shortfall_usd", limit_usd))])[0]
    # The decision is that of the whole run; where nothing is decided, so is all else.
    assert (found.outcomes["reserve_shortfall_usd"] > limit_usd) == (shortfall_usd > limit_usd)
    assert found.stopped_early == (share < 1.0)
    if not found.stopped_early:
        assert same(found, whole_run())


@pytest.mark.slow
def test_an_episode_runs_on_while_debt_is_unpaid():
    short = losing().with_(duration=260.0)
    cut, on = (run_together([Job(short, 7, run_on_s=s)])[0] for s in (0.0, 600.0))
    # The steps past the end are those of a longer run.
    longer = whole_run().outcomes
    assert cut.outcomes["reserve_shortfall_usd"] < 0.5 * on.outcomes["reserve_shortfall_usd"]
    assert on.outcomes["reserve_shortfall_usd"] == longer["reserve_shortfall_usd"]
    settled = Job(short, 7, run_on_s=600.0, decided=("reserve_shortfall_usd", 1000.0))
    early = run_together([settled])[0]
    assert early.outcomes["reserve_shortfall_usd"] > 1000.0


def test_what_cannot_be_decided_is_refused_with_what_can():
    job = Job(falling(), 7, decided=("reserve_shortfal_usd", 1.0))
    error = run_together([job])[0].error
    assert "did you mean 'reserve_shortfall_usd'?" in error


@pytest.mark.parametrize(
    ("place", "sudden"),
    [("stresses.0.fall_frac", True), ("venue.tokens.HYPE.ltv", False), ("agents.x", False)],
)
def test_a_lever_declares_whether_it_is_sudden(place, sudden):
    assert is_sudden(place) is sudden


# --- keys ----------------------------------------------------------------------------------------


def test_a_key_is_what_fixes_a_result_and_nothing_else():
    job = Job(falling(), 7)
    same_result = [
        replace(job, label="arm", levers=(("x", 1.0),)),
        replace(job, scenario=falling().with_(name="other", summary="told otherwise")),
    ]
    others = [
        replace(job, seed=8),
        replace(job, engine="reference"),
        replace(job, is_placebo=True),
        replace(job, onset_s=21.0),
        replace(job, run_on_s=60.0),
        replace(job, decided=("reserve_shortfall_usd", 1.0)),
        replace(job, scenario=falling(fall_frac=0.26)),
        replace(job, series=("market",)),
    ]
    first, *keys = keys_of([job, *same_result, *others])
    assert keys[:2] == [first, first]
    assert len({first, *keys[2:]}) == len(others) + 1
    assert len(first) == 64


# --- steps ---------------------------------------------------------------------------------------


class Clock:
    """A simulation of which only the clock runs."""

    dt_ms, n_steps_planned = 1000, 1000

    def __init__(self):
        self.t_ms = 0

    def advance(self, n):
        self.t_ms += n * self.dt_ms


def test_progress_is_told_about_fifty_times_wherever_a_run_halts_in_between():
    whole, parts = [], []
    assert step_to(Clock(), 1000, whole.append) is False
    clock = Clock()
    step_to(clock, 333, parts.append)
    step_to(clock, 1000, parts.append)
    assert parts == whole == [k / 50 for k in range(1, 51)]


def test_what_is_asked_after_each_step_ends_the_run_where_it_says_so():
    clock, told = Clock(), []
    assert step_to(clock, 1000, told.append, after_each=lambda: clock.t_ms == 40_000) is True
    assert (clock.t_ms, told) == (40_000, [0.02, 0.04])
    assert step_to(clock, 1000, after_each=lambda: clock.t_ms == 1_000_000) is False
