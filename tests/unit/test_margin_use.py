"""What accounts hold and must hold, by hand-worked numbers under several regimes."""

import numpy as np
import pytest

from stressbook.experiments.margin_use import MARGIN_USES, add_up, make_margin_use, margin_uses
from stressbook.experiments.outcomes import meaning_of, unit_of
from stressbook.experiments.simulation import Simulation
from tests.short_runs import short_run, short_scenario
from tests.small_venue import BTC, BTC_PERP, HYPE, HYPE_PERP, SmallVenue, trader


def use_of(*accounts, regime="hyperliquid-pm", **values):
    venue = SmallVenue(*accounts, regime=regime, **values)
    found = make_margin_use()
    add_up(venue.v, found, 1)
    return {name: float(found[1][name]) for name in found.dtype.names}


def test_perps_tokens_and_debts_of_all_accounts_add_up():
    """HYPE at 100, up to 10 times levered."""
    found = use_of(
        # 1,000 HYPE against 1,000 HYPE short, 20,000 of USDC borrowed and spent
        trader(1, 0, {HYPE_PERP: (-100_000, 100.0)}, tokens={HYPE: 1_000}, debt_usd=20_000),
        trader(2, 50_000, {HYPE_PERP: (100_000, 100.0)}),
        trader(3, 0, supply_usd=40_000),
    )
    assert found["gross_usd"] == pytest.approx(100_000 + 100_000 + 100_000)
    assert found["equity_usd"] == pytest.approx(80_000 + 50_000 + 40_000)
    assert found["borrowed_usd"] == pytest.approx(20_000)
    assert found["initial_margin_usd"] == pytest.approx(10_000 + 10_000)


def test_the_backstop_is_no_account():
    alone = use_of(trader(1, 50_000))
    assert alone["equity_usd"] == 50_000.0
    assert alone == {**alone, "gross_usd": 0.0, "initial_margin_usd": 0.0, "borrowed_usd": 0.0}


def test_pockets_of_isolated_perps_are_part_of_their_account():
    """100,000 at 10 times and 50,000 at 5 times leverage, as under cross margin."""
    both = {BTC_PERP: (50_000, 100_000.0), HYPE_PERP: (-100_000, 99.0)}
    other = {BTC_PERP: (-50_000, 100_000.0), HYPE_PERP: (100_000, 99.0)}
    accounts = (
        trader(1, 60_000, both, leverage={BTC_PERP: 5, HYPE_PERP: 10}),
        trader(2, 60_000, other, leverage={BTC_PERP: 5, HYPE_PERP: 10}),
    )
    isolated, cross = use_of(*accounts, regime="isolated"), use_of(*accounts, regime="cross")
    assert isolated == pytest.approx(cross)
    assert isolated["initial_margin_usd"] == pytest.approx(2 * (10_000 + 10_000))
    assert isolated["gross_usd"] == pytest.approx(2 * 150_000)
    assert isolated["equity_usd"] == pytest.approx(2 * 60_000)


LONG = trader(1, 50_000, {HYPE_PERP: (100_000, 100.0)}, tokens={BTC: 1})
SHORT = trader(2, 50_000, {HYPE_PERP: (-100_000, 100.0)}, portfolio=True)
CROSSED = trader(2, 50_000, {HYPE_PERP: (-100_000, 100.0)}, tokens={BTC: 1})
HEDGED = trader(3, 50_000, {BTC_PERP: (-100_000, 100_000.0)}, tokens={BTC: 1})
BUYER = trader(4, 50_000, {BTC_PERP: (100_000, 100_000.0)})  # cross, 40 times leverage


@pytest.mark.parametrize(
    ("accounts", "offset", "usd"),
    [
        # Initial is 1.3 of what is scanned: 4.13 % of HYPE, with 1.41 % of BTC in the same fall.
        ((SHORT, LONG), 0.0, 1.3 * (4_130 + 5_540)),
        ((SHORT, LONG), 1.0, 1.3 * (4_130 + 5_540)),
        # What BTC gains while HYPE loses counts by the offset.
        ((CROSSED, LONG), 0.0, 1.3 * (5_540 + 5_540)),
        ((CROSSED, LONG), 0.5, 1.3 * (4_130 + 5_540)),
        ((CROSSED, LONG), 1.0, 1.3 * (2_720 + 5_540)),
        # A hedge is left with 1 % of the hedged value.
        ((HEDGED, BUYER), 0.0, 1.3 * 1_000 + 2_500),
    ],
)
def test_a_scan_asks_for_the_worst_of_its_moves(accounts, offset, usd):
    found = use_of(*accounts, regime="scan", regime__offset_frac=offset)
    assert found["initial_margin_usd"] == pytest.approx(usd)


# --- in a run -----------------------------------------------------------------------------------


def test_a_run_has_margin_at_its_onset_and_at_its_end():
    run = short_run()
    found = run.outcomes
    assert [one.name for one in MARGIN_USES] == [name for name in found if name in _NAMES]
    onset = run.record.onset_step
    debts = run.record.series.venue["borrowed_usd"]
    assert found["borrowed_usd"] == pytest.approx(debts[onset - 1], rel=1e-3)
    assert found["end_borrowed_usd"] == pytest.approx(debts[-1], rel=1e-3)
    assert 0.0 < found["initial_margin_over_equity_frac"] < 1.0
    assert found["gross_over_equity_frac"] != found["end_gross_over_equity_frac"]
    assert meaning_of("gross_over_equity_frac").startswith("perp notional and tokens")
    assert (unit_of("borrowed_usd"), unit_of("gross_over_equity_frac")) == ("USD", "1")


_NAMES = {one.name for one in MARGIN_USES}


def test_margin_is_noted_before_the_step_that_the_stress_is_in():
    short = short_scenario().resolved  # from 20 s on
    sim = Simulation(short, seed=7)
    sim.advance(19)
    assert not sim.has_met_onset
    assert margin_uses(sim)["borrowed_usd"] == margin_uses(sim)["end_borrowed_usd"]
    sim.advance(1)
    now = make_margin_use()
    add_up(sim.engine.state, now, 0)
    saved = sim.snapshot()
    sim.advance(3)
    assert sim.has_met_onset
    assert sim.margin_use[0] == now[0]
    sim.margin_use[0] = np.zeros((), now.dtype)
    sim.restore(saved)
    assert sim.margin_use[0] == now[0]
    sim.close()


def test_without_a_warm_up_it_is_that_of_the_opening():
    sim = Simulation(short_scenario(warmup=0.0, stresses=[]).resolved, seed=7)
    assert sim.has_met_onset
    assert sim.margin_use["equity_usd"][0] > 0.0
    sim.close()
