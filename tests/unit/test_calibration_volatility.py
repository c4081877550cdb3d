import numpy as np
import pytest

from stressbook.errors import InvalidInput
from stressbook.experiments.calibration.series import autocovariance, unit_ar1
from stressbook.experiments.calibration.volatility import (
    COARSE_COMPONENTS,
    COARSE_LAGS,
    FINE_COMPONENTS,
    FINE_LAGS,
    _Proxy,
    _season_variance,
    _two_step,
    log_vol_variances,
)
from stressbook.experiments.calibration.volatility_law import (
    HALFLIFE_S,
    bar_mean_autocorrelation,
    daily_volatility,
    implied_moments,
    simulate_log_vol,
)
from tests.unit.calibration_planted import assert_recovers

PLANTED = {"20min": 0.08, "4h": 0.09, "3d": 0.10}
STEP_S = 15.0
DAYS = 240
DAILY_VOL = 0.03
SEASON = 0.5


def planted_prices(rng, variances=PLANTED, season=0.0):
    """Log prices every 15 s of a world whose volatility follows the law, clock on top."""
    n = int(DAYS * 86_400 / STEP_S)
    x = np.zeros(n)
    for name, variance in variances.items():
        phi = 0.5 ** (STEP_S / HALFLIFE_S[name])
        x += variance**0.5 * unit_ar1(phi, n, rng=rng)
    x += season * np.sin(2.0 * np.pi * np.arange(n) * STEP_S / 86_400.0)
    scale = DAILY_VOL * (STEP_S / 86_400.0) ** 0.5
    return np.cumsum(scale * np.exp(x - sum(variances.values())) * rng.standard_normal(n))


def recorded(log_price):
    """Closes of 5 min over the last 55 days, ranges and returns of 1 h over all."""
    hours = log_price.reshape(DAYS * 24, -1)
    opens = np.r_[log_price[0], hours[:-1, -1]][:, None]
    path = np.concatenate([opens, hours], axis=1)
    close = np.exp(log_price[19::20][-55 * 288 :])
    return close, np.ptp(path, axis=1), np.diff(hours[:, -1])


def fit_of(close, spread, rng, n_draws=40):
    return log_vol_variances(
        close,
        spread,
        cell_5min=np.arange(len(close)) // 12 % 24,
        cell_1h=np.arange(len(spread)) % 24,
        rng=rng,
        n_draws=n_draws,
    )


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(11)
    close, spread, hourly = recorded(planted_prices(rng, season=SEASON))
    # Prices on a grid, as recorded: a share of the returns is exactly zero.
    return fit_of(np.round(close, 4), spread, rng), hourly


@pytest.mark.parametrize(("name", "within"), [("20min", 0.035), ("4h", 0.03), ("3d", 0.06)])
def test_planted_variances_are_recovered_from_prices(planted, name, within):
    assert_recovers(planted[0].variances[name], PLANTED[name], within=within)


def test_the_clock_is_told_from_the_law(planted):
    # A sine of amplitude a has variance a^2 / 2.
    assert_recovers(planted[0].season_var, SEASON**2 / 2.0, within=0.03)


def season_of_a_record(rng, season_var, days=60):
    n = 24 * days
    hour = np.arange(n) % 24
    cell = hour + 24 * (np.arange(n) // 24 % 7 >= 5)
    law = {"20min": 0.05, "4h": 0.07, "3d": 0.08}
    halflives = [HALFLIFE_S[name] for name in law]
    y = simulate_log_vol(list(law.values()), halflives, n_bars=n, bar_s=3_600.0, rng=rng)
    y += 0.3 * rng.standard_normal(n)
    y += np.sqrt(2.0 * season_var) * np.sin(2.0 * np.pi * hour / 24.0)
    proxy = _Proxy(y, cell, 3_600.0, COARSE_LAGS, COARSE_COMPONENTS, False)
    return _season_variance(proxy, rng)


def test_chance_among_the_hours_of_a_short_record_is_no_season():
    rng = np.random.default_rng(31)
    found = [season_of_a_record(rng, 0.0) for _ in range(40)]
    assert all(one.low <= one.value <= one.high for one in found)
    assert all(one.covers(0.0) for one in found)
    # Uncorrected, 60 days show 0.008 of nothing.
    assert np.mean([one.value for one in found]) < 0.003


def test_the_season_of_a_short_record_is_in_its_interval_without_bias():
    rng = np.random.default_rng(32)
    found = [season_of_a_record(rng, 0.02) for _ in range(60)]
    values = np.array([one.value for one in found])
    assert abs(values.mean() - 0.02) < 5.0 * values.std() / np.sqrt(len(values))
    # 42 of 60 are five standard errors from nine in ten.
    assert sum(one.covers(0.02) for one in found) > 42


def test_nothing_is_found_at_a_time_scale_that_has_nothing():
    rng = np.random.default_rng(12)
    close, spread, _ = recorded(planted_prices(rng, {"4h": 0.2}))
    fit = fit_of(close, spread, rng)
    assert fit.variances["20min"].low == 0.0
    assert fit.variances["20min"].value < 0.04
    assert_recovers(fit.variances["4h"], 0.2, within=0.05)


def test_fast_volatility_is_not_taken_for_slower_one():
    # Over an hour a fifth of the 20-minute variance is left, and most of it at the first lag.
    rng = np.random.default_rng(15)
    close, spread, _ = recorded(planted_prices(rng, {"20min": 0.6, "4h": 0.05}))
    fit = fit_of(close, spread, rng)
    assert_recovers(fit.variances["20min"], 0.6, within=0.15)
    assert_recovers(fit.variances["4h"], 0.05, within=0.03)


def test_the_fast_component_is_taken_off_before_the_slow_ones_are_fitted():
    rng = np.random.default_rng(19)
    n = 40_000
    law = {"20min": 0.6, "4h": 0.05}
    bars = [
        simulate_log_vol(
            list(law.values()), [HALFLIFE_S[k] for k in law], n_bars=n, bar_s=bar_s, rng=rng
        )
        for bar_s in (300.0, 3_600.0)
    ]
    clock = np.zeros(n, dtype=np.int64)
    fine = _Proxy(bars[0], clock, 300.0, FINE_LAGS, FINE_COMPONENTS, False)
    coarse = _Proxy(bars[1], clock, 3_600.0, COARSE_LAGS, COARSE_COMPONENTS, False)
    raw, _ = _two_step(fine, coarse, fine.y, coarse.y)
    assert raw["20min"] == pytest.approx(0.6, abs=0.05)
    assert raw["4h"] == pytest.approx(0.05, abs=0.012)


def test_fitted_curve_is_the_expectation_of_the_sample_autocovariance():
    rng = np.random.default_rng(16)
    n, records = 400, 1_500
    clock = np.zeros(n, dtype=np.int64)
    proxy = _Proxy(np.zeros(n), clock, 3_600.0, COARSE_LAGS, ("3d",), False)
    found = [
        autocovariance(
            simulate_log_vol([1.0], [HALFLIFE_S["3d"]], n_bars=n, bar_s=3_600.0, rng=rng),
            COARSE_LAGS[:12],
        )
        for _ in range(records)
    ]
    error = np.std(found, axis=0) / records**0.5
    gap = np.mean(found, axis=0) - proxy.basis("3d")[:12]
    # The correction is of order .6 here; what is left is of the order of lag / n.
    assert (np.abs(gap) < 5.0 * error + 0.1 * COARSE_LAGS[:12] / n + 0.01).all()


def test_interval_of_the_level_lies_around_it():
    hourly = np.random.default_rng(17).normal(0.0, 0.03 / 24**0.5, 5_000)
    laws = np.tile([0.3, 0.0, 0.0, 0.0], (60, 1))
    fit = daily_volatility(hourly, bar_s=3_600.0, laws=laws, rng=np.random.default_rng(18))
    assert fit.low < fit.value < fit.high
    assert fit.high / fit.low < 1.3


def test_daily_volatility_is_the_unconditional_one(planted):
    fit, hourly = planted
    # The clock adds to the mean of sigma^2: E exp(2 a sin) = I0(2 a).
    truth = DAILY_VOL * np.i0(2.0 * SEASON) ** 0.5
    rng = np.random.default_rng(3)
    daily = daily_volatility(hourly, bar_s=3_600.0, laws=fit.laws, rng=rng)
    assert_recovers(daily, truth, within=0.25, on_log=True)


def test_slow_volatility_widens_the_interval_of_the_level():
    hourly = np.random.default_rng(4).normal(0.0, 0.03 / 24**0.5, 5_000)
    widths = []
    for slow in (0.0, 0.1):
        laws = np.tile([0.0, 0.0, 0.0, slow], (60, 1))
        fit = daily_volatility(hourly, bar_s=3_600.0, laws=laws, rng=np.random.default_rng(5))
        widths.append(fit.high - fit.low)
    assert widths[1] > 5.0 * widths[0]


def test_missing_bars_do_not_move_the_fit_much():
    rng = np.random.default_rng(13)
    close, spread, _ = recorded(planted_prices(rng))
    whole = fit_of(close, spread, np.random.default_rng(1), n_draws=10)
    holed = close.copy()
    holed[np.random.default_rng(2).random(len(close)) < 0.02] = np.nan
    fit = fit_of(holed, spread, np.random.default_rng(1), n_draws=10)
    assert fit.variances["20min"].value == pytest.approx(whole.variances["20min"].value, abs=0.03)


@pytest.mark.parametrize(("bar_s", "x"), [(300.0, np.log(2.0) / 4.0), (3_600.0, 3.0 * np.log(2.0))])
def test_simulated_bars_have_the_autocovariance_of_bar_means(bar_s, x):
    rng = np.random.default_rng(6)
    bars = simulate_log_vol([0.3], [1_200.0], n_bars=400_000, bar_s=bar_s, rng=rng)
    lags = np.array([1, 2, 4, 8])
    expected = 0.3 * bar_mean_autocorrelation(lags, x)
    np.testing.assert_allclose(autocovariance(bars, lags), expected, atol=0.008)


def test_bar_means_forget_as_the_process_does():
    rng = np.random.default_rng(7)
    per_bar = 20
    fine = unit_ar1(0.5 ** (1.0 / per_bar), 4_000_000, rng=rng)
    means = fine.reshape(-1, per_bar).mean(axis=1)
    expected = bar_mean_autocorrelation(np.array([1, 3]), np.log(2.0))
    np.testing.assert_allclose(autocovariance(means, np.array([1, 3])), expected, atol=0.01)


def test_wilder_volatility_means_fatter_tails():
    tails = [
        implied_moments({"4h": v}, rng=np.random.default_rng(8), n_days=50, n_records=8)
        for v in (0.05, 0.4)
    ]
    assert tails[1]["hill_15min"].high < tails[0]["hill_15min"].low
    assert tails[1]["acf_abs_15min"].low > tails[0]["acf_abs_15min"].high


def test_short_records_are_refused():
    with pytest.raises(InvalidInput, match="5-minute returns = 99 "):
        fit_of(np.exp(np.linspace(0.0, 1.0, 100)), np.ones(600), np.random.default_rng(1))
    with pytest.raises(InvalidInput, match="hourly ranges = 60 "):
        fit_of(np.exp(np.linspace(0.0, 1.0, 1_100)), np.ones(60), np.random.default_rng(1))
