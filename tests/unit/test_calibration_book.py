import numpy as np
import pandas as pd
import pytest

from stressbook.errors import InvalidInput
from stressbook.experiments.calibration.book import book_fit, depth_exponent, spread_bp
from stressbook.experiments.recorded_feed import DEPTH_BP, OrderFeed
from tests.unit.calibration_planted import assert_recovers


def feed_of(samples, quotes):
    return OrderFeed(samples, quotes, quotes, 0, 300.0, 25.0)


def planted_quotes(rng, n=6_000):
    """A spread of 1 bp held 90 ms and of 3 bp held 10 ms, by turns of random length."""
    is_wide = np.arange(n) % 2 == 1
    held = rng.exponential(np.where(is_wide, 10.0, 90.0))
    half = np.where(is_wide, 1.5, 0.5) * 1e-4 * 100.0
    return pd.DataFrame(
        {"t_ms": np.r_[0.0, np.cumsum(held)[:-1]], "bid": 100.0 - half, "ask": 100.0 + half}
    )


def planted_samples(rng, exponent=0.8, n=300):
    level = np.exp(0.1 * rng.standard_normal(n))
    samples = pd.DataFrame({"t_ms": 1e3 * np.arange(n), "bid": 99.99, "ask": 100.01})
    for band in DEPTH_BP:
        samples[f"depth_{band:g}"] = 1e6 * level * (band / 10.0) ** exponent
    return samples


def test_spread_is_weighted_by_time_not_by_quotes():
    rng = np.random.default_rng(71)
    fit = spread_bp(feed_of(None, planted_quotes(rng)), rng=rng)
    # Half of the quotes are wide, a tenth of the time is.
    assert_recovers(fit, 1.2, within=0.03)


def test_planted_depth_and_its_exponent_are_recovered():
    rng = np.random.default_rng(72)
    fit = book_fit(feed_of(planted_samples(rng), planted_quotes(rng)), rng=rng)
    assert_recovers(fit.depth_usd[10.0], 1e6 * np.exp(0.005), within=2e4)
    assert fit.exponent.value == pytest.approx(0.8)


def test_hump_is_the_densest_band():
    rng = np.random.default_rng(73)
    samples = planted_samples(rng, exponent=0.0)
    assert book_fit(feed_of(samples, planted_quotes(rng)), rng=rng).hump_bp == 0.5
    for band in DEPTH_BP[DEPTH_BP >= 15.0]:
        samples[f"depth_{band:g}"] += 5e7
    assert book_fit(feed_of(samples, planted_quotes(rng)), rng=rng).hump_bp == 12.5


def test_bands_beyond_the_recorded_levels_have_no_number():
    rng = np.random.default_rng(74)
    samples = planted_samples(rng)
    samples.loc[3, ["depth_25", "depth_35", "depth_50"]] = np.nan
    fit = book_fit(feed_of(samples, planted_quotes(rng)), rng=rng)
    assert np.isnan(fit.depth_usd[25.0].value)
    assert np.isfinite(fit.depth_usd[10.0].value)
    assert np.isnan(fit.exponent.value)


def test_exponent_needs_depth_at_every_distance():
    assert np.isnan(depth_exponent(np.where(DEPTH_BP < 25.0, 1.0, 0.0)))


def test_few_samples_and_quotes_are_refused():
    rng = np.random.default_rng(75)
    samples, quotes = planted_samples(rng), planted_quotes(rng)
    with pytest.raises(InvalidInput, match="book samples = 9 "):
        book_fit(feed_of(samples.iloc[:9], quotes), rng=rng)
    with pytest.raises(InvalidInput, match="quotes = 9 "):
        spread_bp(feed_of(samples, quotes.iloc[:9]), rng=rng)
