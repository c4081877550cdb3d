import numpy as np
import pytest

from stressbook.errors import InvalidInput
from stressbook.experiments.calibration.dependence import (
    CALM,
    MID,
    STRESS,
    pair_fit,
    shared_volatility,
    volatility_regime,
)
from stressbook.experiments.calibration.series import unit_ar1
from tests.unit.calibration_planted import assert_recovers

N = 8_000
CORR, RATIO = 0.7, 1.5


@pytest.fixture(scope="module")
def pair():
    """Two assets of constant correlation whose volatility wanders in common."""
    rng = np.random.default_rng(41)
    wild = np.exp(0.6 * unit_ar1(0.97, N, rng=rng))
    first, own = rng.standard_normal((2, N))
    second = RATIO * (CORR * first + np.sqrt(1.0 - CORR**2) * own)
    return wild * first, wild * second


@pytest.fixture(scope="module")
def fit(pair):
    first, second = pair
    return pair_fit(
        first,
        second,
        regime=volatility_regime(first),
        regime_before=volatility_regime(first, lag=1),
        rng=np.random.default_rng(42),
    )


def test_planted_correlation_and_beta_are_recovered(fit):
    assert_recovers(fit.corr, CORR, within=0.03)
    assert_recovers(fit.corr_calm, CORR, within=0.03)
    assert_recovers(fit.beta, CORR * RATIO, within=0.1)
    assert_recovers(fit.beta_calm, CORR * RATIO, within=0.1)


def test_stress_by_the_hours_before_does_not_select_on_the_outcome(fit):
    assert_recovers(fit.corr_stress_before, CORR, within=0.08)
    assert fit.corr_stress_before.n == pytest.approx(0.05 * N, abs=3)


def test_stress_that_includes_the_hour_overstates_a_constant_correlation(fit, pair):
    first, second = pair
    label = volatility_regime(first, window=1)
    sharp = pair_fit(
        first, second, regime=label, regime_before=label, rng=np.random.default_rng(43)
    )
    assert sharp.corr_stress.low > CORR + 0.05


def test_a_correlation_that_rises_in_stress_is_seen():
    rng = np.random.default_rng(44)
    wild = np.exp(0.8 * unit_ar1(0.995, N, rng=rng))
    rho = np.where(wild > np.quantile(wild, 0.9), 0.95, 0.4)
    first, own = rng.standard_normal((2, N))
    second = rho * first + np.sqrt(1.0 - rho**2) * own
    label = volatility_regime(wild * first)
    before = volatility_regime(wild * first, lag=1)
    fit = pair_fit(wild * first, wild * second, regime=label, regime_before=before, rng=rng)
    assert_recovers(fit.corr_calm, 0.4, within=0.05)
    assert fit.corr_stress_before.value > 0.8


def test_hours_without_both_returns_count_in_neither(pair):
    first, second = pair
    holed = second.copy()
    holed[:3_000] = np.nan
    label = np.zeros(N, dtype=np.int64)
    fit = pair_fit(first, holed, regime=label, regime_before=label, rng=np.random.default_rng(1))
    assert fit.corr.n == N - 3_000
    assert fit.corr_calm.n == 0
    assert np.isnan(fit.corr_calm.value)


def test_planted_loading_is_recovered_under_noise_of_both_proxies():
    rng = np.random.default_rng(45)
    common = 0.5 * unit_ar1(0.95, N, rng=rng)
    own = 0.3 * unit_ar1(0.95, N, rng=rng)
    log_range = common + 0.3 * rng.standard_normal(N)
    residual = 0.75 * common + own + np.log(np.abs(rng.standard_normal(N)))
    loading, corr = shared_volatility(log_range, residual, rng=np.random.default_rng(46))
    assert_recovers(loading, 0.75, within=0.2)
    assert_recovers(corr, 0.375 / np.hypot(0.375, 0.3), within=0.12)


def test_regime_counts_the_hours_it_says():
    r = np.zeros(400)
    r[100] = 1.0
    with_hour = volatility_regime(r, window=10)
    before = volatility_regime(r, window=10, lag=1)
    assert np.flatnonzero(with_hour == STRESS).tolist() == list(range(100, 110))
    assert np.flatnonzero(before == STRESS).tolist() == list(range(101, 111))
    assert with_hour[:9].tolist() == [MID] * 9


def test_half_of_the_hours_are_calm_and_one_in_twenty_stressed():
    r = np.random.default_rng(47).standard_normal(4_000)
    label = volatility_regime(r)
    assert (label == CALM).mean() == pytest.approx(0.5, abs=0.01)
    assert (label == STRESS).mean() == pytest.approx(0.05, abs=0.005)


def test_short_records_are_refused():
    x = np.zeros(150)
    label = np.zeros(150, dtype=np.int64)
    with pytest.raises(InvalidInput, match="hours with both returns = 150 "):
        pair_fit(x, x, regime=label, regime_before=label, rng=np.random.default_rng(1))
    with pytest.raises(InvalidInput, match="hours with range and residual = 150 "):
        shared_volatility(x, x, rng=np.random.default_rng(1))
