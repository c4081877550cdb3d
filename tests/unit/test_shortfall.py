"""What a sale over time brings, and medians, by hand and against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stressbook.experiments.losses import losses_of
from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.shortfall import (
    BANDS_FRAC,
    N_BANDS,
    SOLD_A_MINUTE_FRAC,
    median_of,
    sold_frac,
)
from stressbook.experiments.simulation import Simulation
from stressbook.market.state.codes import BUY
from tests.small_venue import HOUSE, HYPE_SPOT, borrower
from tests.watched_venue import Watch

NUMBERS = st.floats(-1e9, 1e9, allow_nan=False)


@given(st.lists(NUMBERS, min_size=1, max_size=40))
def test_the_median_is_numpys(values):
    assert median_of(np.array(values), len(values)) == pytest.approx(np.median(values))


def test_the_median_looks_at_the_first_values_only():
    assert median_of(np.array([1.0, 5.0, 3.0, -9.0, -9.0]), 3) == 3.0


def test_within_a_band_the_price_falls_evenly():
    # Minute k sells share x 2^(-k/10) of 1,000, and walks that share of the band of 10 bp.
    share, depth = SOLD_A_MINUTE_FRAC, 2_000.0
    squares = (share * 1_000.0) ** 2 / (1.0 - 2.0**-0.2)
    cost = 0.5 * BANDS_FRAC[0] / depth * squares
    assert sold_frac(1_000.0, np.full(N_BANDS, depth)) == pytest.approx(1.0 - cost / 1_000.0)


def test_what_finds_no_bid_is_worth_the_last_price():
    # The first minute's sale is 1e6 of which 1,000 are bid for evenly down to 25 bp; all minutes
    # that matter are alike.
    depth = np.array([0.0, *[1_000.0] * (N_BANDS - 1)])
    found = sold_frac(1e6 / SOLD_A_MINUTE_FRAC, depth)
    assert found == pytest.approx(1.0 - BANDS_FRAC[1], abs=2e-5)
    assert sold_frac(1.0, np.zeros(N_BANDS)) == pytest.approx(1.0 - BANDS_FRAC[-1])


def test_a_minutes_sale_walks_from_band_to_band():
    # Of 400 in the first minute 100 cost 5 bp, 100 cost 17.5, 200 of the next 300 from 25 bp on.
    depth = np.array([100.0, 200.0, 500.0, *[500.0] * (N_BANDS - 3)])
    first = 100.0 * 0.0005 + 100.0 * 0.00175 + 200.0 * (0.0025 + 0.5 * 0.0025 * 2.0 / 3.0)
    assert cost_of(400.0) == pytest.approx(first)
    total = sum(cost_of(400.0 * (1.0 - SOLD_A_MINUTE_FRAC) ** minute) for minute in range(300))
    value = 400.0 / SOLD_A_MINUTE_FRAC
    assert sold_frac(value, depth) == pytest.approx(1.0 - total / value, rel=1e-6)


def cost_of(sale):
    """Of a minute that walks bands of 100, 100 and 300: discounts rise evenly within each."""
    total, inner = 0.0, 0.0
    for outer, width in ((0.001, 100.0), (0.0025, 100.0), (0.005, 300.0)):
        part = min(sale, width)
        total += part * (inner + 0.5 * (outer - inner) * part / width)
        sale, inner = sale - part, outer
    return total


@given(value=st.floats(1.0, 1e9), depths=st.lists(st.floats(0.0, 1e7), min_size=8, max_size=8))
@settings(max_examples=50)
def test_more_to_sell_and_thinner_books_bring_less(value, depths):
    depth = np.cumsum(depths)
    found = sold_frac(value, depth)
    assert 1.0 - BANDS_FRAC[-1] - 1e-12 <= found <= 1.0
    assert sold_frac(2.0 * value, depth) <= found + 1e-9
    assert sold_frac(value, 2.0 * depth) >= sold_frac(2.0 * value, 2.0 * depth) - 1e-9


def test_the_depth_of_bids_is_measured_below_the_oracle(engine):
    s = borrower(engine=engine)
    for usd, lots in ((100.05, 10), (99.95, 20), (99.0, 30), (90.0, 40), (89.0, 50)):
        s.order(HOUSE, HYPE_SPOT, BUY, usd, lots)
    watch = Watch(s)
    watch.update(100.0)
    watch.minute()
    # A lot of .01 HYPE is worth a dollar at the oracle.
    found = watch.minutes.bid_depth_usd[0, 3]
    assert found == pytest.approx([30.0, 30.0, 30.0, 60.0, 60.0, 60.0, 60.0, 100.0])


def test_the_median_minute_decides_what_a_sale_brings(engine):
    """Two of three minutes had bids at the oracle: the third, without, does not count."""
    rules = {"liquidation__resolution_on": False}
    s = borrower(hype=10_000, debt_usd=600_000, engine=engine, **rules)
    watch = Watch(s)
    gaps = []
    for _ in range(3):
        watch.update(55.0)
        watch.minute()
        gaps.append(watch.losses()["gross_gaps_usd"])
    watch.minutes.bid_depth_usd[:2, 3] = 1e12
    gaps.append(watch.losses()["gross_gaps_usd"])
    assert gaps == pytest.approx([105_000.0] * 3 + [50_000.0], rel=1e-6)


def test_the_median_looks_back_ten_minutes_of_short_steps(engine):
    """Of 600 steps of a second, the last 250 at 50 dollars are no majority."""
    s = borrower(hype=10_000, debt_usd=600_000, engine=engine, liquidation__resolution_on=False)
    watch = Watch(s)
    watch.update(100.0)
    watch.series.asset["oracle_usd"][:, 3] = 100.0
    watch.series.asset["oracle_usd"][350:600, 3] = 50.0
    watch.series.step[0], s.v.par[0].dt_ms = 600, 1_000
    assert watch.losses()["gross_gaps_usd"] == 0.0
    watch.series.asset["oracle_usd"][280:600, 3] = 50.0
    assert watch.losses()["gross_gaps_usd"] == pytest.approx(100_000.0)


@pytest.mark.parametrize(("dt_s", "n_steps"), [(0.5, 360), (7.0, 26), (60.0, 3)])
def test_minutes_end_in_steps_of_any_length(dt_s, n_steps):
    scenario = load_scenario("skeleton").with_(
        dt=dt_s, warmup=0.0, duration=n_steps * dt_s, stresses=()
    )
    sim = Simulation(scenario, seed=1)
    sim.advance(sim.n_steps_planned)
    n = int(sim.minutes.n[0])
    times = sim.minutes.row["t_ms"][:n].tolist()
    assert losses_of(sim)["reserve_shortfall_usd"] == 0.0
    sim.close()
    assert len(times) == min(sim.t_ms // 60_000, sim.n_steps_planned)
    assert all(0 <= t % 60_000 < dt_s * 1000 for t in times)
