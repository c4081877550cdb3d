"""What validation keeps of a run equals what the run recorded; results are kept and found again."""

import json

import numpy as np
import pytest

from stressbook.errors import InvalidInput, StressbookError
from stressbook.experiments.inference import Estimate
from stressbook.experiments.recorder import used
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.validation import rebuild, runner, watch
from stressbook.experiments.validation.depth_profile import DISTANCES_BP
from stressbook.experiments.validation.holdings import account_gross_usd, holdings
from stressbook.experiments.validation.runner import run_seeds
from stressbook.experiments.validation.table import as_record, shown


@pytest.fixture(scope="module")
def scenario():
    return load_scenario("skeleton").with_(warmup=0.0, duration="2h")


@pytest.fixture(scope="module")
def whole(scenario):
    """The same run, all rows kept."""
    sim = Simulation(scenario, seed=3)
    sim.advance(7_200)
    yield sim
    sim.close()


@pytest.fixture(scope="module")
def watched(scenario):
    """Watched with rows dropped every hour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch, "CHUNK_HOURS", 1)
        sim = Simulation(scenario, seed=3)
        found = watch.watch(sim, 2)
        assert sim.series.step[0] == 0
        assert not sim.events
        sim.close()
    return found


def test_minutes_are_means_of_the_rows(watched, whole):
    rows = used(whole.series)
    v = whole.engine.state
    first = rows.book[:60]
    depth = (first["bid_depth_usd"] + first["ask_depth_usd"]).mean(axis=0) / 2.0
    assert watched.depth_usd.shape == (120, len(v.inst))
    np.testing.assert_allclose(watched.depth_usd[0], depth)
    lots = rows.asset["open_interest_lots"].reshape(120, 60, -1).mean(axis=1)
    # Open interest is counted every third step, and afresh after rows were dropped.
    np.testing.assert_allclose(watched.open_interest_lots, lots, rtol=1e-5)
    narrow = first["spread_frac"] <= v.inst["two_sided_max_spread_frac"]
    np.testing.assert_allclose(watched.two_sided[0], narrow.mean(axis=0))
    spread = [first["spread_frac"][narrow[:, i], i].mean() for i in range(len(v.inst))]
    np.testing.assert_allclose(watched.spread_frac[0], spread)


def test_trades_of_all_minutes_sum_to_those_of_the_run(watched, whole):
    rows, v = used(whole.series), whole.engine.state
    for inst in range(len(v.inst)):
        traded = rows.book["traded_lots"][:, inst] > 0
        usd = (
            rows.book["traded_lots"][traded, inst]
            * rows.book["mid_usd"][traded, inst]
            * v.inst[inst].lot_size
        )
        assert watched.traded_usd[:, inst].sum() == pytest.approx(usd.sum())


def test_closes_are_those_of_every_fifth_minute(watched, whole):
    rows, v = used(whole.series), whole.engine.state
    np.testing.assert_array_equal(watched.mid_usd, rows.book["end_mid_usd"][299::300])
    np.testing.assert_array_equal(watched.oracle_usd, rows.asset["oracle_usd"][299::300])
    np.testing.assert_array_equal(watched.last_usd[-1], v.book["last_tick"] * v.inst["tick_usd"])
    assert np.nanmedian(np.abs(watched.last_usd / watched.mid_usd - 1.0)) < 0.001


def test_nearness_counts_steps_by_their_own_bound(watched, whole):
    rows, v = used(whole.series), whole.engine.state
    for a, bound_bp in enumerate((10.0, 25.0)):
        spot = rows.book["mid_usd"][:, int(v.asset[a].spot_inst)]
        near = np.abs(spot / rows.asset["outside_spot_usd"][:, a] - 1.0) <= bound_bp * 1e-4
        assert watched.near_outside[:, a].mean() == pytest.approx(near.mean())


def test_the_last_look_is_the_state_at_the_end(watched, whole):
    now = holdings(whole)
    for kept, field in zip(watched.held, now, strict=True):
        np.testing.assert_array_equal(kept[-1], field)
    np.testing.assert_array_equal(watched.sums[-1], whole.classes)
    assert watched.funding_frac.shape == (2, 2)


def test_depth_grows_with_the_distance(watched):
    assert watched.depth_profile_usd.shape[1] == len(DISTANCES_BP)
    assert (np.diff(watched.depth_profile_usd, axis=1) >= 0.0).all()
    assert (watched.depth_profile_usd[:, -1] > 0.0).all()


def test_holdings_add_up_to_the_venue(whole):
    now, rows = holdings(whole), used(whole.series)
    v = whole.engine.state
    for a in range(2):
        lots = now.long_units[:, a].sum() / v.inst[int(v.asset[a].perp_inst)].lot_size
        assert lots == pytest.approx(rows.asset["open_interest_lots"][-1, a])
        assert now.short_units[:, a].sum() == pytest.approx(now.long_units[:, a].sum())
    np.testing.assert_allclose(now.equity_usd.sum(axis=1), whole.classes["equity_usd"])
    np.testing.assert_allclose(now.gross_usd.sum(axis=1), whole.classes["gross_usd"])
    assert account_gross_usd(whole).sum() == pytest.approx(now.gross_usd.sum())
    assert (now.carry_units <= now.token_units + 1e-9).all()


def test_a_step_that_does_not_divide_a_minute_is_refused(scenario):
    sim = Simulation(scenario.with_(dt=7.0, duration=7_000.0, stresses=()), seed=1)
    with pytest.raises(InvalidInput, match="does not divide a minute"):
        watch.watch(sim, 1)
    sim.close()


CALLS: list[int] = []


def task(scenario, seed, *, factor=1.0):
    CALLS.append(seed)
    if seed == 13:
        raise InvalidInput("is unlucky", name="seed", value=seed)
    return {"double": 2.0 * factor * seed, "none": float("nan")}


def test_results_come_in_seed_order_and_are_found_again(scenario, tmp_path):
    CALLS.clear()
    first = run_seeds(task, scenario, [3, 1], folder=tmp_path)
    again = run_seeds(task, scenario, [1, 2, 3], folder=tmp_path)
    assert [one["double"] for one in first] == [6.0, 2.0]
    assert [one["double"] for one in again] == [2.0, 4.0, 6.0]
    assert np.isnan(again[0]["none"])
    assert CALLS == [3, 1, 2]


def test_other_options_and_scenarios_are_run_anew(scenario, tmp_path):
    CALLS.clear()
    run_seeds(task, scenario, [1], folder=tmp_path)
    (other,) = run_seeds(task, scenario, [1], folder=tmp_path, options={"factor": 5.0})
    run_seeds(task, scenario.with_(duration="3h"), [1], folder=tmp_path)
    assert other["double"] == 10.0
    assert CALLS == [1, 1, 1]


def test_a_broken_file_is_run_anew(scenario, tmp_path):
    CALLS.clear()
    run_seeds(task, scenario, [1], folder=tmp_path)
    next(tmp_path.iterdir()).write_text("{", encoding="utf-8")
    run_seeds(task, scenario, [1], folder=tmp_path)
    assert CALLS == [1, 1]


def test_the_other_seeds_of_one_that_failed_are_kept(scenario, tmp_path):
    CALLS.clear()
    for _ in range(2):
        with pytest.raises(StressbookError, match="1 of 3 runs failed\nseed 13: InvalidInput"):
            run_seeds(task, scenario, [1, 13, 2], folder=tmp_path)
    assert CALLS == [1, 13, 2, 13]


@pytest.mark.parametrize(
    ("edited", "counts"),
    [
        ("experiments/validation/basis.py", True),
        ("experiments/validation/bands.py", True),
        ("experiments/validation/estimators.py", True),
        ("experiments/validation/watch.py", True),
        ("experiments/arms.py", True),
        ("market/orders/book.py", True),
        ("experiments/validation/verdicts.py", False),
        ("experiments/validation/stressed.py", False),
    ],
)
def test_results_are_run_anew_if_what_measures_them_was_edited(
    scenario, tmp_path, monkeypatch, edited, counts
):
    CALLS.clear()
    run_seeds(task, scenario, [1], folder=tmp_path)
    contents = runner._contents
    seen = []

    def with_an_edit(folder):
        for name, content in contents(folder):
            seen.append(name)
            yield name, content + b"#" * (name == edited)

    monkeypatch.setattr(runner, "_contents", with_an_edit)
    run_seeds(task, scenario, [1], folder=tmp_path)
    assert edited in seen
    assert [1] * (1 + counts) == CALLS


def test_no_workers_are_refused(scenario):
    with pytest.raises(InvalidInput, match=r"workers = 0 is too small"):
        run_seeds(task, scenario, [1], workers=0)


def test_parts_are_written_and_others_stay(tmp_path):
    page, reference = tmp_path / "page.md", tmp_path / "rows.json"
    page.write_text("<!-- begin calm -->\n<!-- end calm -->\nend", encoding="utf-8")
    reference.write_text('{"stressed": []}', encoding="utf-8")
    row = shown("spread", "BTC", "bp", Estimate(0.1, 0.09, 0.11, 30, 0.9))
    rebuild.write({"calm": [row]}, page=page, reference=reference, scenario="abc")
    assert "| spread, bp | BTC | 0.1 |" in page.read_text(encoding="utf-8")
    kept = json.loads(reference.read_text(encoding="utf-8"))
    assert kept == {"stressed": [], "calm": {"scenario": "abc", "rows": [as_record(row)]}}
