import numpy as np
import pytest
from scipy import stats

from stressbook.errors import InvalidInput
from stressbook.experiments.calibration.funding import (
    FLOOR_RATE,
    _both_beyond,
    funding_moments,
    hourly_rate,
    premium_fit,
)
from stressbook.experiments.calibration.series import unit_ar1
from tests.unit.calibration_planted import assert_recovers

MEAN_BP, SD_BP, CORR = 2.0, 6.0, 0.93


@pytest.fixture(scope="module")
def rate():
    rng = np.random.default_rng(31)
    return hourly_rate(MEAN_BP + SD_BP * unit_ar1(CORR, 16_000, rng=rng))


@pytest.fixture(scope="module")
def premium(rate):
    return premium_fit(rate, rng=np.random.default_rng(32))


def test_planted_premium_is_recovered_from_rates_that_show_half_of_it(premium):
    assert_recovers(premium.mean_bp, MEAN_BP, within=0.8)
    assert_recovers(premium.sd_bp, SD_BP, within=0.5)
    assert_recovers(premium.corr_1h, CORR, within=0.02)
    assert_recovers(premium.corr_24h, CORR**24, within=0.12)


def test_premium_of_exact_shares_is_exact():
    points = stats.norm(MEAN_BP, SD_BP).ppf((np.arange(20_000) + 0.5) / 20_000)
    shuffled = np.random.default_rng(35).permutation(hourly_rate(points))
    fit = premium_fit(shuffled, rng=np.random.default_rng(36))
    assert fit.mean_bp.value == pytest.approx(MEAN_BP, abs=0.01)
    assert fit.sd_bp.value == pytest.approx(SD_BP, abs=0.01)


def test_moments_are_those_of_the_censored_premium(rate):
    moments = funding_moments(rate, rng=np.random.default_rng(33))
    law = stats.norm(MEAN_BP, SD_BP)
    floor = law.cdf(6.0) - law.cdf(-4.0)
    # A negative rate needs a premium below -5 bp: P + 5 < 0.
    assert_recovers(moments["floor_share_frac"], floor, within=0.05)
    assert_recovers(moments["negative_share_frac"], law.cdf(-5.0), within=0.05)
    q95 = (law.ppf(0.95) - 5.0) / 8.0 * 1e-4 * 8_760.0
    assert_recovers(moments["q95_ann_frac"], q95, within=0.2)
    assert moments["q50_ann_frac"].value == pytest.approx(FLOOR_RATE * 8_760.0)


def test_floor_means_within_1e_9_of_the_rate():
    rate = np.full(600, FLOOR_RATE)
    rate[:60] += 0.9e-9
    rate[60:120] += 1.1e-9
    moments = funding_moments(rate, rng=np.random.default_rng(1))
    assert moments["floor_share_frac"].value == pytest.approx(0.9)


def test_missing_hours_leave_pairs_out():
    rng = np.random.default_rng(34)
    whole = hourly_rate(MEAN_BP + SD_BP * unit_ar1(CORR, 6_000, rng=rng))
    holed = whole.copy()
    holed[1_000:1_024] = np.nan
    fit = premium_fit(holed, rng=np.random.default_rng(1))
    assert (fit.mean_bp.n, fit.corr_1h.n) == (5_976, 5_974)
    assert fit.corr_1h.value == pytest.approx(
        premium_fit(whole, rng=np.random.default_rng(1)).corr_1h.value, abs=0.01
    )


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.4, 0.95])
def test_joint_tail_is_that_of_the_bivariate_normal_law(rho):
    law = stats.multivariate_normal([0.0, 0.0], [[1.0, rho], [rho, 1.0]])
    assert _both_beyond(0.7, rho) == pytest.approx(law.cdf([-0.7, -0.7]), abs=1e-6)


def test_formula_of_the_venue_at_its_corners():
    # Premium -4 to 6 bp pays 1 bp for eight hours; outside it, premium less or plus 5 bp.
    rates = hourly_rate(np.array([-4.0, 6.0, 7.0, -6.0])) * 8e4
    np.testing.assert_allclose(rates, [1.0, 1.0, 2.0, -1.0])


def test_rates_that_never_leave_one_side_are_refused():
    high = np.full(600, 2.0 * FLOOR_RATE)
    with pytest.raises(InvalidInput, match="hours below the floor = 0 "):
        premium_fit(high, rng=np.random.default_rng(1))
    with pytest.raises(InvalidInput, match="hours above the floor = 0 "):
        premium_fit(-high, rng=np.random.default_rng(1))
    with pytest.raises(InvalidInput, match="hours of funding = 100 "):
        funding_moments(high[:100], rng=np.random.default_rng(1))
