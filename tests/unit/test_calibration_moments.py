import numpy as np
import pytest

from stressbook.errors import InvalidInput
from stressbook.experiments.calibration.moments import (
    aggregate,
    correlation_at_lag,
    excess_kurtosis,
    hill_index,
    hill_of,
    leverage_corr,
    volume_corr,
)
from stressbook.experiments.calibration.series import unit_ar1
from tests.unit.calibration_planted import assert_recovers


@pytest.mark.parametrize("tail", [1.3, 3.0, 4.5])
def test_planted_tail_index_is_recovered(tail):
    rng = np.random.default_rng(51)
    x = rng.pareto(tail, 40_000) + 1.0
    fit = hill_index(x, share=0.02, block=20, rng=rng)
    assert fit.n == 800
    assert_recovers(fit, tail, within=0.1 * tail)


def test_hill_of_four_numbers_by_hand():
    # Tail of two above the threshold e: logs 1 and 2 over it, mean 1.5.
    x = np.exp([1.0, 2.0, 3.0, 0.0])
    assert hill_of(x, 0.5) == pytest.approx(1.0 / 1.5)


def test_hill_without_a_tail_is_undefined():
    assert np.isnan(hill_of(np.ones(10), 0.5))
    assert np.isnan(hill_of(np.zeros(10), 0.5))
    assert np.isnan(hill_of(np.arange(10.0), 0.1))


def test_small_tails_are_refused():
    with pytest.raises(InvalidInput, match="observations in the tail = 9 "):
        hill_index(np.arange(499.0), share=0.02, block=5, rng=np.random.default_rng(1))


@pytest.mark.parametrize(("lag", "planted"), [(1, 0.8), (5, 0.8**5)])
def test_planted_autocorrelation_is_recovered(lag, planted):
    rng = np.random.default_rng(52)
    fit = correlation_at_lag(unit_ar1(0.8, 20_000, rng=rng), lag, block=100, rng=rng)
    assert_recovers(fit, planted, within=0.03)


def test_long_lags_survive_blocks_shorter_than_they():
    # Pairs are resampled: a lag of 200 is intact in blocks of 20.
    x = np.tile(np.random.default_rng(53).standard_normal(200), 30)
    fit = correlation_at_lag(x, 200, block=20, rng=np.random.default_rng(1))
    assert fit.low == pytest.approx(1.0)


def test_planted_leverage_effect_is_seen_with_its_sign():
    rng = np.random.default_rng(54)
    r = rng.standard_normal(20_000)
    r[1:] *= np.exp(-0.2 * r[:-1])
    assert leverage_corr(r, block=20, rng=rng).high < -0.05


def test_volume_correlation_is_of_ranks():
    rng = np.random.default_rng(55)
    r = rng.standard_normal(2_000)
    volume = np.exp(8.0 * np.abs(r))
    volume[7] = np.nan
    fit = volume_corr(r, volume, block=20, rng=rng)
    assert fit.value == pytest.approx(1.0)
    assert fit.n == 1_999


def test_planted_kurtosis_is_recovered():
    rng = np.random.default_rng(56)
    r = rng.laplace(size=40_000)
    assert_recovers(excess_kurtosis(r, block=20, rng=rng), 3.0, within=0.4)


def test_aggregated_returns_do_not_overlap():
    log_price = np.array([0.0, 1.0, 4.0, 9.0, 16.0, 25.0])
    np.testing.assert_allclose(aggregate(log_price, 2), [4.0, 12.0])
