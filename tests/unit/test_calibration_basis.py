import numpy as np
import pytest

from stressbook.errors import InvalidInput
from stressbook.experiments.calibration.basis import (
    _negative_whittle,
    _periodogram,
    basis_bp,
    basis_fit,
    simulate_basis,
)
from stressbook.experiments.calibration.basis_days import bars_to_halflife, basis_days
from stressbook.experiments.calibration.series import unit_ar1
from tests.unit.calibration_planted import assert_recovers

BAR_S = 300.0


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(21)
    basis = 4.0 + simulate_basis(
        (3.0, 4.0), (1_500.0, 21_600.0), noise_sd=2.0, n_bars=12_000, bar_s=BAR_S, rng=rng
    )
    return basis_fit(basis, bar_s=BAR_S, rng=rng, n_draws=60)


@pytest.mark.parametrize(
    ("name", "planted", "within"),
    [
        ("fast_sd_bp", 3.0, 0.15),
        ("fast_halflife_s", 1_500.0, 0.3),
        ("slow_sd_bp", 4.0, 0.3),
        ("slow_halflife_s", 21_600.0, 0.6),
        ("noise_sd_bp", 2.0, 0.05),
    ],
)
def test_planted_scales_are_recovered(fit, name, planted, within):
    assert_recovers(getattr(fit, name), planted, within=within, on_log=True)


def test_planted_mean_is_recovered(fit):
    assert_recovers(fit.mean_bp, 4.0, within=1.5)


def test_a_second_scale_that_is_there_gains_likelihood_and_one_that_is_not_does_not(fit):
    rng = np.random.default_rng(22)
    one = simulate_basis((4.0,), (7_200.0,), noise_sd=2.0, n_bars=6_000, bar_s=BAR_S, rng=rng)
    # Twice the gain is about chi-squared with two degrees: 12 is passed once in 1e5.
    assert fit.gain > 30.0
    assert basis_fit(one, bar_s=BAR_S, rng=rng, n_draws=4).gain < 12.0


def test_noise_is_not_taken_for_a_basis():
    rng = np.random.default_rng(23)
    b = simulate_basis(
        (2.0, 5.0), (1_500.0, 43_200.0), noise_sd=6.0, n_bars=9_000, bar_s=BAR_S, rng=rng
    )
    fit = basis_fit(b, bar_s=BAR_S, rng=rng, n_draws=30)
    assert_recovers(fit.noise_sd_bp, 6.0, within=0.1, on_log=True)
    assert fit.fast_sd_bp.value < 3.5


def test_gradient_is_that_of_the_likelihood():
    rng = np.random.default_rng(24)
    ordinates, cosine = _periodogram(rng.standard_normal(500).cumsum() / 5.0)
    theta = np.log([2.0, 5.0, 900.0, 30_000.0, 0.5])
    _, slope = _negative_whittle(theta, ordinates, cosine, BAR_S)
    for i, step in enumerate(np.eye(5) * 1e-5):
        ahead, _ = _negative_whittle(theta + step, ordinates, cosine, BAR_S)
        behind, _ = _negative_whittle(theta - step, ordinates, cosine, BAR_S)
        assert slope[i] == pytest.approx((ahead - behind) / 2e-5, rel=1e-5, abs=1e-4)


def test_missing_bars_are_bridged_and_not_counted():
    rng = np.random.default_rng(25)
    b = simulate_basis(
        (2.0, 5.0), (1_500.0, 43_200.0), noise_sd=1.0, n_bars=3_000, bar_s=BAR_S, rng=rng
    )
    b[100:103] = np.nan
    fit = basis_fit(b, bar_s=BAR_S, rng=rng, n_draws=4)
    assert fit.mean_bp.n == 2_997
    assert np.isfinite(fit.slow_sd_bp.value)


def test_bad_prints_are_dropped_and_ends_without_both_legs_cut():
    perp = np.array([np.nan, 100.0, 101.0, 100.0, 100.0])
    spot = np.array([100.0, 100.0, 100.0, 10.0, np.nan])
    basis, n_dropped = basis_bp(perp, spot)
    np.testing.assert_allclose(basis, [0.0, 100.0])
    assert n_dropped == 1


def test_a_print_of_500_bp_stays_and_one_beyond_goes():
    basis, n_dropped = basis_bp(np.array([105.0, 105.001, 95.0]), np.array([100.0, 100.0, 100.0]))
    np.testing.assert_allclose(basis, [500.0, np.nan, -500.0])
    assert n_dropped == 1


def test_days_report_deviation_and_half_life_within_days():
    rng = np.random.default_rng(26)
    phi = 0.5 ** (1.0 / 4.0)
    level = np.repeat(50.0 * np.arange(40), 288)
    days = basis_days(level + 3.0 * unit_ar1(phi, 40 * 288, rng=rng), bars_per_day=288, rng=rng)
    assert days.sd_bp.n == 40
    assert_recovers(days.sd_bp, 3.0, within=0.2)
    # Four bars of five minutes, a little less for the short day's own mean.
    assert days.halflife_min.value == pytest.approx(20.0, abs=2.5)
    assert days.sd_days_bp[0] < 3.0 < days.sd_days_bp[1]
    assert days.halflife_days_min[0] < 20.0 < days.halflife_days_min[1]


def test_half_life_is_undefined_without_memory():
    np.testing.assert_allclose(bars_to_halflife(np.array([0.5, -0.1, 1.0])), [1.0, np.nan, np.nan])


def test_short_records_are_refused():
    rng = np.random.default_rng(1)
    with pytest.raises(InvalidInput, match="bars of the basis = 499 "):
        basis_fit(rng.normal(size=499), bar_s=BAR_S, rng=rng)
    with pytest.raises(InvalidInput, match="whole days of the basis = 1 "):
        basis_days(rng.normal(size=400), bars_per_day=288, rng=rng)
