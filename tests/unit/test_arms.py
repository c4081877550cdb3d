"""What each arm leaves out: the shock, the crowd, its defence, forced trading, or nothing."""

from dataclasses import dataclass

import numpy as np
import pytest

from stressbook.experiments.account_table import equities_usd
from stressbook.experiments.arms import ARMS, CONTROL_OF, loss_usd, one_lot_order, run_arms
from stressbook.experiments.losses import LOSSES
from stressbook.experiments.running_on import is_unsettled
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.stress import PriceGap
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.state.codes import EV_BREACH
from tests.short_runs import short_scenario
from tests.small_venue import borrower

N_WARM_UP, N_STEPS = 20, 70
FALL = PriceGap(at=20, duration=40, assets=("HYPE",), fall_frac=0.25)
HYPE = 1


@dataclass
class End:
    """What the venue looks like at the end of an arm."""

    perp: np.ndarray
    token: np.ndarray
    outside_usd: np.ndarray
    n_breaches: int
    defence: float


def simulation():
    return Simulation(short_scenario(warmup=20.0, duration=70.0, stresses=[]).resolved, seed=7)


@pytest.fixture(scope="module")
def onset():
    sim = simulation()
    sim.advance(N_WARM_UP)
    yield sim
    sim.close()


@pytest.fixture(scope="module")
def ended(onset):
    """Return every arm, and what its end looked like."""
    ends = {}

    def look(arm, sim):
        v = sim.engine.state
        kinds = [kind for events in sim.events for kind in events["kind"]]
        ends[arm] = End(
            v.perp.copy(),
            v.token.copy(),
            v.outside["perp_usd"].copy(),
            kinds.count(EV_BREACH),
            float(v.dial["defence"][0]),
        )

    return run_arms(onset, [FALL], horizon_s=70.0, arms=ARMS, after=look), ends


def test_an_arm_leaves_the_simulation_as_it_was(onset, ended):
    fresh = simulation()
    fresh.advance(N_WARM_UP)
    assert fresh.digest() == onset.digest()
    fresh.advance(5)
    start = onset.snapshot()
    onset.advance(5)
    assert onset.digest() == fresh.digest()
    onset.restore(start)
    fresh.close()


def test_without_a_shock_the_calm_run_goes_on(ended):
    calm = simulation()
    calm.advance(N_WARM_UP + N_STEPS)
    marks = np.log(calm.series.asset["mark_usd"][N_WARM_UP - 1 : N_WARM_UP + N_STEPS])
    assert np.array_equal(ended[0]["0"].log_mark, marks)
    calm.close()


def test_with_everything_it_is_the_run_with_the_shock(ended):
    scenario = short_scenario(warmup=20.0, duration=70.0, stresses=[FALL])
    shocked = Simulation(scenario.resolved, seed=7)
    shocked.advance(N_WARM_UP + N_STEPS)
    marks = np.log(shocked.series.asset["mark_usd"][N_WARM_UP - 1 : N_WARM_UP + N_STEPS])
    assert np.array_equal(ended[0]["R"].log_mark, marks)
    shocked.close()


def test_forced_trading_happens_in_r_and_z_alone(ended):
    runs, ends = ended
    assert ends["R"].n_breaches > 0
    liquidated = {arm: run.liquidated_frac.max() > 0.0 for arm, run in runs.items()}
    assert {arm for arm, is_so in liquidated.items() if is_so} == {"R", "Z"}
    assert runs["R"].log_drawdown(HYPE) > runs["F"].log_drawdown(HYPE)


def test_defence_is_off_in_n_alone(ended):
    runs, ends = ended
    off = {arm for arm, end in ends.items() if end.defence == 0.0}
    assert off == {"N"}
    assert not np.array_equal(runs["N"].log_mark, runs["F"].log_mark)


@pytest.mark.parametrize("arm", ["P", "P0"])
def test_nobody_trades_in_a_passive_arm(onset, ended, arm):
    runs, ends = ended
    v = onset.engine.state
    assert np.array_equal(ends[arm].perp, v.perp)
    assert np.array_equal(ends[arm].token, v.token)
    # Levered traders hold one perp and cash: they gain what the outside perp moves, on their lots.
    users = np.flatnonzero(v.user["class_id"] == CLASS_NUMBERS["directional"])
    inst = int(v.asset[HYPE].perp_inst)
    notional_usd = v.perp[users, inst] * float(v.inst[inst].lot_size) * v.price["mark_usd"][HYPE]
    held = users[notional_usd != 0.0]
    moved = runs[arm].equity_usd[held] - equities_usd(onset)[held]
    share = np.expm1(runs[arm].log_mark[-1, HYPE] - runs[arm].log_mark[0, HYPE])
    assert len(held) > 50
    assert moved == pytest.approx(notional_usd[notional_usd != 0.0] * share, rel=1e-6, abs=0.1)


def test_the_passive_arm_feels_the_shock_of_the_world(ended):
    runs, ends = ended
    fell = runs["P"].log_mark[-1, HYPE] - runs["P0"].log_mark[-1, HYPE]
    assert fell == pytest.approx(np.log(0.75), rel=0.02)
    assert ends["P"].outside_usd[HYPE] < ends["P0"].outside_usd[HYPE]


def test_the_placebo_is_one_order_more(onset, ended):
    runs, _ = ended
    assert runs["Z"].log_drawdown(HYPE) == pytest.approx(runs["R"].log_drawdown(HYPE), abs=0.03)


@pytest.mark.parametrize("seed", range(1, 7))
def test_the_order_of_the_placebo_fills(seed):
    sim = Simulation(short_scenario(warmup=20.0, duration=70.0, stresses=[]).resolved, seed=seed)
    sim.advance(N_WARM_UP)
    start, v, ends = sim.snapshot(), sim.engine.state, []
    for orders in ([], [one_lot_order]):
        for order in orders:
            sim.inject(order)
        sim.advance(2)  # latency may carry it into the second step
        ends.append(v.perp.copy())
        sim.restore(start)
    sim.close()
    buyer = int(np.flatnonzero(v.user["class_id"] == CLASS_NUMBERS["order_flow"])[0])
    assert (ends[1] - ends[0])[buyer, int(v.asset[0].perp_inst)] == 1


def test_sums_of_classes_go_back_with_the_arms(onset):
    sums = []
    run_arms(
        onset,
        [],
        horizon_s=20.0,
        arms=("0", "R"),
        after=lambda _, sim: sums.append(sim.classes.tobytes()),
    )
    assert sums[0] == sums[1]


def test_a_loss_is_what_accounts_lack_against_the_control(ended):
    runs, _ = ended
    assert set(CONTROL_OF) == set(ARMS)
    lost = runs["0"].equity_usd - runs["R"].equity_usd
    assert loss_usd(runs["0"], runs["R"]) == pytest.approx(lost[lost > 0.0].sum())
    assert loss_usd(runs["R"], runs["R"]) == 0.0


def test_every_arm_that_trades_says_what_was_lost_by_each_name(ended):
    runs, _ = ended
    names = [loss.name for loss in LOSSES]
    assert {arm for arm, run in runs.items() if list(run.losses) == names} == set("0NFRZ")
    level = runs["0"].losses["backstop_low_usd"]  # no loss, but what its capital never fell below
    assert level > 0.0
    assert max(runs["0"].losses.values()) == level
    assert sorted(runs["0"].losses.values())[-2] == 0.0
    # Nobody is closed in F; in R it is the backstop that is caught.
    assert runs["F"].losses["negative_equity_usd"] > 1e6 > runs["F"].losses["gap_at_adl_usd"]
    assert runs["R"].losses["gap_at_adl_usd"] > 1e6 > runs["R"].losses["negative_equity_usd"]
    assert runs["P"].losses == {}
    assert {run.ran_on_s for run in runs.values()} == {0.0}


def test_an_unsettled_arm_runs_on_without_new_stress(monkeypatch):
    """An account still in debt at the horizon, in breach for 4 s more."""
    scenario = short_scenario(warmup=20.0, duration=70.0, stresses=[]).resolved
    sim = Simulation(scenario, seed=7, run_on_s=30.0)
    sim.advance(N_WARM_UP)
    later = PriceGap(at=90, duration=10, assets=("HYPE",), fall_frac=0.9)
    plain = run_arms(sim, [FALL, later], horizon_s=70.0, arms=("R",))["R"]
    seen = []

    def waits(v):
        seen.append([stress.at_s for stress in sim.schedule.stresses])
        return len(seen) <= 4

    monkeypatch.setattr("stressbook.experiments.running_on.is_unsettled", waits)
    run = run_arms(sim, [FALL, later], horizon_s=70.0, arms=("R",), run_on_s=30.0)["R"]
    sim.close()
    assert (run.ran_on_s, plain.ran_on_s) == (4.0, 0.0)
    assert seen == [[20.0]] * 5
    assert np.array_equal(run.log_mark, plain.log_mark)
    assert np.array_equal(run.equity_usd, plain.equity_usd)


def test_it_runs_on_while_assumed_debt_is_unpaid_or_a_debtor_in_breach():
    s = borrower(hype=10_000, debt_usd=600_000, backstop_usd=100_000.0, engine="kernel")
    assert not is_unsettled(s.v)
    s.update(HYPE=55.0)
    assert s.v.debt[s.backstop, 0] == 600_000 * 10**6
    assert is_unsettled(s.v)
    s.v.debt[s.backstop, 0] = 30_000 * 10**6  # a twentieth
    assert not is_unsettled(s.v)
    s.v.user[0].breached = 1
    assert not is_unsettled(s.v)
    s.v.debt[0, 0] = 1
    assert is_unsettled(s.v)
