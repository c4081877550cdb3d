import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stressbook.errors import InvalidInput
from stressbook.experiments.calibration.flow import (
    flow_fit,
    impact_1s,
    market_orders,
    sign_exponent,
)
from stressbook.experiments.calibration.hawkes import (
    dispersion,
    dispersion_fit,
    expected_dispersion,
    hawkes_fit,
    simulate_hawkes,
)
from stressbook.experiments.recorded_feed import OrderFeed
from tests.unit.calibration_planted import assert_recovers

BASE, BRANCHING, DECAY = 2.0, 0.6, 4.0


@pytest.fixture(scope="module")
def arrivals():
    return simulate_hawkes(BASE, BRANCHING, DECAY, span_s=1_000.0, rng=np.random.default_rng(61))


def test_planted_self_excitation_is_recovered(arrivals):
    fit = hawkes_fit(arrivals, span_s=1_000.0)
    assert_recovers(fit.base_per_s, BASE, within=0.15, on_log=True)
    assert_recovers(fit.branching, BRANCHING, within=0.1, on_log=True)
    assert_recovers(fit.decay_per_s[0], DECAY, within=0.2, on_log=True)
    # Under the law the scaled distance exceeds 2.7 about once in a million.
    assert fit.ks_distance * len(arrivals) ** 0.5 < 2.7


def test_likelihood_intervals_cover_what_they_say():
    n_records = 40
    n_covered = np.zeros(3)
    for seed in range(n_records):
        t = simulate_hawkes(2.0, 0.5, 3.0, span_s=100.0, rng=np.random.default_rng(seed))
        fit = hawkes_fit(t, span_s=100.0)
        found = (fit.base_per_s, fit.branching, fit.decay_per_s[0])
        n_covered += [e.covers(p) for e, p in zip(found, (2.0, 0.5, 3.0), strict=True)]
    assert (n_covered >= stats.binom.ppf(1e-6, n_records, 0.83)).all()


def test_poisson_arrivals_have_no_branching():
    t = np.sort(np.random.default_rng(62).uniform(0.0, 500.0, 2_000))
    assert hawkes_fit(t, span_s=500.0).branching.value < 0.1
    assert dispersion(t, span_s=500.0, window_s=2.0) == pytest.approx(1.0, abs=0.2)


def test_two_kernels_are_told_apart():
    rng = np.random.default_rng(63)
    # Slow clusters whose members each set off a fast one.
    slow = simulate_hawkes(2.0, 0.4, 1.0, span_s=700.0, rng=rng)
    echoes = np.repeat(slow, rng.poisson(0.5, len(slow)))
    t = np.sort(np.concatenate([slow, echoes + rng.exponential(0.01, len(echoes))]))
    t = t[t < 700.0]
    one, two = (hawkes_fit(t, span_s=700.0, n_kernels=k) for k in (1, 2))
    assert two.log_likelihood - one.log_likelihood > 20.0
    assert two.decay_per_s[0].value > 30.0
    assert two.decay_per_s[1].value < 3.0
    assert two.ks_distance < one.ks_distance
    assert two.branching.value > one.branching.value


def test_planted_dispersion_is_recovered(arrivals):
    fit = dispersion_fit(arrivals, span_s=1_000.0, rng=np.random.default_rng(64), n_draws=60)
    assert_recovers(fit.branching, BRANCHING, within=0.15, on_log=True)
    planted = np.log(2.0) / (DECAY * (1.0 - BRANCHING))
    assert_recovers(fit.halflife_s, planted, within=1.0, on_log=True)


def test_dispersion_is_that_of_theory():
    t = simulate_hawkes(BASE, BRANCHING, DECAY, span_s=60_000.0, rng=np.random.default_rng(69))
    for window_s in (0.5, 2.0, 10.0):
        expected = expected_dispersion(BRANCHING, DECAY * (1.0 - BRANCHING), np.array([window_s]))
        measured = dispersion(t, span_s=60_000.0, window_s=window_s)
        assert measured == pytest.approx(expected[0], rel=0.1)


def test_few_arrivals_are_refused():
    t = np.arange(100.0)
    with pytest.raises(InvalidInput, match="arrivals = 100 "):
        hawkes_fit(t, span_s=100.0)
    with pytest.raises(InvalidInput, match="arrivals = 100 "):
        dispersion_fit(t, span_s=100.0, rng=np.random.default_rng(1))


def long_memory_sides(gamma, n, rng):
    """Signs whose autocorrelation falls as lag^-gamma: of a Gaussian series that does."""
    lags = np.arange(n)
    # For signs of a Gaussian series the autocorrelation is 2/pi asin(rho).
    target = 0.3 * np.r_[1.0, lags[1:] ** -gamma]
    target[0] = 1.0
    rho = np.sin(np.pi / 2.0 * target)
    circle = np.r_[rho, rho[-2:0:-1]]
    power = np.clip(np.fft.rfft(circle).real, 0.0, None)
    noise = np.fft.rfft(rng.standard_normal(len(circle)))
    return np.sign(np.fft.irfft(np.sqrt(power) * noise, len(circle))[:n])


@pytest.mark.parametrize("gamma", [0.4, 0.8])
def test_planted_memory_of_sides_is_recovered(gamma):
    rng = np.random.default_rng(65)
    fit = sign_exponent(long_memory_sides(gamma, 20_000, rng), rng=rng)
    assert_recovers(fit, gamma, within=0.2)


def feed_of(trades, quotes, n_level_changes=0, span_s=0.0):
    return OrderFeed(quotes, quotes, trades, n_level_changes, span_s, 0.0)


@pytest.fixture(scope="module")
def planted_feed():
    """600 s with 5,000 market orders; each million moves mid by 2 bp, beside noise of 1 bp."""
    rng = np.random.default_rng(66)
    t = np.sort(rng.uniform(0.0, 600.0, 5_000))
    side = rng.choice([-1.0, 1.0], 5_000)
    qty = 100.0 * (rng.pareto(1.4, 5_000) + 1.0)
    qty = np.minimum(qty, 5_000.0)
    trades = pd.DataFrame({"t_ms": np.floor(1e3 * t), "seen_ms": 1e3 * t + 40.0})
    trades = trades.assign(price=100.0, qty=qty, side=side)
    seconds = np.arange(601.0)
    net = np.histogram(t + 0.04, bins=seconds, weights=side * qty * 100.0 / 1e6)[0]
    moves = 2.0 * net + rng.standard_normal(600)
    mid = 100.0 * np.exp(np.r_[0.0, np.cumsum(moves)] * 1e-4)
    quotes = pd.DataFrame({"t_ms": 1e3 * seconds, "bid": mid - 0.01, "ask": mid + 0.01})
    return feed_of(trades, quotes, n_level_changes=200_000, span_s=600.0)


def test_planted_impact_is_recovered_on_the_recorders_clock(planted_feed):
    assert_recovers(impact_1s(planted_feed, rng=np.random.default_rng(67)), 2.0, within=0.8)


def test_flow_counts_orders_not_trades(planted_feed):
    fit = flow_fit(planted_feed, rng=np.random.default_rng(68))
    n = len(market_orders(planted_feed.trades))
    assert fit.rate_per_s.value == pytest.approx(n / 600.0)
    assert_recovers(fit.rate_per_s, n / 600.0, within=0.5)
    assert fit.changes_per_order.value == pytest.approx(200_000 / n)
    assert fit.changes_per_order.low < fit.changes_per_order.value < fit.changes_per_order.high
    # Cut at 50 sizes of the smallest, the tail is a little thinner than planted.
    assert 1.2 < fit.size_tail.value < 2.2
    assert_recovers(fit.median_usd, 1e4 * 2.0 ** (1.0 / 1.4), within=600.0)


def test_trades_of_one_millisecond_and_side_are_one_order():
    trades = pd.DataFrame(
        {
            "t_ms": [5.0, 5.0, 5.0, 6.0],
            "side": [1.0, -1.0, 1.0, 1.0],
            "price": [10.0, 10.0, 11.0, 12.0],
            "qty": [1.0, 2.0, 3.0, 4.0],
        }
    )
    orders = market_orders(trades)
    assert orders.values.tolist() == [[5.0, -1.0, 20.0], [5.0, 1.0, 43.0], [6.0, 1.0, 48.0]]


def test_few_orders_and_seconds_are_refused(planted_feed):
    few = planted_feed.trades.iloc[:100]
    rng = np.random.default_rng(1)
    with pytest.raises(InvalidInput, match="market orders = 100 "):
        flow_fit(feed_of(few, planted_feed.quotes), rng=rng)
    with pytest.raises(InvalidInput, match="market orders = 100 "):
        sign_exponent(few["side"].to_numpy(), rng=rng)
    with pytest.raises(InvalidInput, match="seconds = 9 "):
        impact_1s(feed_of(few, planted_feed.quotes.iloc[:10]), rng=rng)
