"""The law of the world against theory: each test fails a sound law once in a million."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from stressbook.experiments.snapshot import copy_arrays, put_arrays
from stressbook.market.compiling.kernel import kernel
from stressbook.market.numbers.draws import key_from_seed
from stressbook.market.numbers.innovations import NORMAL, STUDENT4, TAIL_SD, innovation
from stressbook.market.prices.world import advance
from stressbook.market.prices.world_parameters import (
    AssetWorld,
    OutsideLeg,
    WorldParams,
    default_world,
)
from stressbook.market.prices.world_setup import make_world

ALPHA = 1e-6
Z = float(stats.norm.isf(ALPHA / 2.0))
DAY_MS = 86_400_000


@kernel
def record(w, start_step, fundamental, spot, perp):
    """Advance and note prices, one row a step."""
    for step in range(fundamental.shape[0]):
        advance(w, (start_step + step + 1) * w.par[0].dt_ms)
        for i in range(fundamental.shape[1]):
            fundamental[step, i] = w.outside[i].fundamental_usd
            spot[step, i] = w.outside[i].spot_usd
            perp[step, i] = w.outside[i].perp_usd


def prices(w, n_steps):
    shape = (n_steps, w.asset.shape[0])
    out = tuple(np.zeros(shape) for _ in range(3))
    record(w, 0, *out)
    return out


def one_price_world(params, *, seed=1, dt_ms=1_000):
    n = len(params.assets)
    return make_world(
        params,
        opening_usd=np.ones(n),
        lot_size=np.ones(n),
        mark_den=np.full(n, 100),
        n_users=1,
        seed=seed,
        dt_ms=dt_ms,
    )


def returns(params, n_steps, **options):
    fundamental, _, _ = prices(one_price_world(params, **options), n_steps)
    with_opening = np.vstack([np.ones(fundamental.shape[1]), fundamental])
    return np.diff(np.log(with_opening), axis=0)


def without_clusters(params):
    return replace(params, log_vol_variances=(), log_vol_halflives_s=())


def one_asset(daily_volatility, **options):
    return WorldParams(
        assets=(AssetWorld("BTC", daily_volatility=daily_volatility),),
        correlation=((1.0,),),
        **options,
    )


@pytest.mark.parametrize("kind", [NORMAL, STUDENT4])
def test_shocks_follow_their_law(kind):
    u = (np.arange(2_000) + 0.5) / 2_000.0
    shocks = np.sort([innovation(kind, float(x)) for x in u])
    if kind == NORMAL:
        expected = stats.norm.cdf(shocks)
    else:
        law, cut = stats.t(4), TAIL_SD * math.sqrt(2.0)
        unit = math.sqrt(1.996257018091079)
        expected = (law.cdf(shocks * unit) - law.cdf(-cut)) / (1.0 - 2.0 * law.sf(cut))
    assert np.abs(expected - u).max() < 1e-9


@pytest.mark.parametrize("name", ["normal", "student4"])
def test_prices_are_martingales_over_many_seeds(name):
    """Without the drift correction the mean would lie 12 standard errors below zero."""
    n_seeds, n_steps = 400, 500
    params = replace(default_world(["BTC", "HYPE"]), innovation=name)
    params = replace(
        params, assets=tuple(replace(asset, daily_volatility=0.05) for asset in params.assets)
    )
    w = one_price_world(params, dt_ms=DAY_MS)
    opening = copy_arrays(w)
    means = np.zeros((n_seeds, 2))
    for seed in range(n_seeds):
        put_arrays(w, opening)
        w.par[0].seed_key0, w.par[0].seed_key1 = key_from_seed(seed)
        fundamental, _, _ = prices(w, n_steps)
        growth = fundamental[1:] / fundamental[:-1] - 1.0
        means[seed] = growth.mean(axis=0)
    t = means.mean(axis=0) / (means.std(axis=0, ddof=1) / math.sqrt(n_seeds))
    assert (np.abs(t) < stats.t(n_seeds - 1).isf(ALPHA / 2.0)).all()


def test_the_drift_correction_is_what_makes_the_martingale():
    """The power of the test above: the mean log return is minus half the variance."""
    r = returns(one_asset(0.05, innovation="normal"), 200_000, dt_ms=DAY_MS)
    half_variance = 0.5 * (r**2).mean()
    assert r.mean() == pytest.approx(-half_variance, abs=Z * r.std() / math.sqrt(r.size))
    assert half_variance > 2.0 * Z * r.std() / math.sqrt(r.size)


@pytest.mark.parametrize(("name", "kurtosis"), [("normal", 3.0), ("student4", 16.3)])
def test_volatility_is_that_of_the_parameter(name, kurtosis):
    n = 400_000
    r = returns(without_clusters(one_asset(0.03, innovation=name)), n)
    daily = math.sqrt((r**2).mean() * 86_400.0)
    # Twice: the tails make the mean of squares converge slowly.
    error = 2.0 * Z * math.sqrt((kurtosis - 1.0) / n)
    assert daily == pytest.approx(0.03, rel=0.5 * error)


def test_clusters_leave_mean_square_volatility_alone():
    """Components that renew each second give an independent volatility a step."""
    params = one_asset(
        0.03, innovation="normal", log_vol_variances=(0.1,), log_vol_halflives_s=(0.05,)
    )
    n = 400_000
    square = returns(params, n) ** 2 * 86_400.0 / 0.03**2
    kurtosis = 3.0 * math.exp(4.0 * 0.1)
    assert square.mean() == pytest.approx(1.0, abs=Z * math.sqrt((kurtosis - 1.0) / n))


def test_residual_volatility_loads_with_its_exponent():
    params = replace(
        default_world(["BTC", "HYPE"]),
        innovation="normal",
        correlation=((1.0, 0.0), (0.0, 1.0)),
        log_vol_variances=(0.3,),
        log_vol_halflives_s=(1e9,),
    )
    for seed in range(6):
        w = one_price_world(params, seed=seed)
        log_vol = float(w.component[0].value)
        fundamental, _, _ = prices(w, 50_000)
        r = np.diff(np.log(fundamental), axis=0)
        ratio = np.log(r.std(axis=0) / w.asset["step_sd"])
        expected = [log_vol - 0.3, 0.75 * log_vol - 0.75**2 * 0.3]
        assert ratio.tolist() == pytest.approx(expected, abs=Z / math.sqrt(2 * 50_000) + 1e-3)


def test_correlations_are_those_of_the_matrix():
    n = 100_000
    params = without_clusters(
        replace(default_world(["BTC", "ETH", "SOL", "HYPE"]), innovation="normal")
    )
    r = returns(params, n)
    found, wanted = np.corrcoef(r.T), params.correlation_matrix()
    error = np.arctanh(np.tril(found, -1)) - np.arctanh(np.tril(wanted, -1))
    assert np.abs(error).max() < Z / math.sqrt(n - 3)


def test_volatility_clusters_and_returns_do_not():
    n = 20 * 86_400 // 60
    r = returns(default_world(["BTC"]), n, dt_ms=60_000)[:, 0]
    size = np.abs(r) - np.abs(r).mean()
    acf = [float((size[lag:] * size[:-lag]).mean() / (size**2).mean()) for lag in (1, 15, 240)]
    assert acf[0] > acf[1] > acf[2] > Z / math.sqrt(n)
    # Of returns: heavy clusters widen the usual bound by the correlation of squares.
    weight = math.sqrt(((r[1:] * r[:-1]) ** 2).mean()) / (r**2).mean()
    assert abs((r[1:] * r[:-1]).mean() / (r**2).mean()) < Z * weight / math.sqrt(n)


def test_the_outside_basis_has_its_mean_deviation_and_half_life():
    leg = OutsideLeg(basis_mean_bp=4.0, basis_fast_sd_bp=3.0, basis_fast_halflife_s=10.0)
    asset = AssetWorld("BTC", daily_volatility=0.0, perp=leg)
    n, decay = 200_000, 0.5 ** (1.0 / 10.0)
    _, spot, perp = prices(one_price_world(WorldParams(assets=(asset,), correlation=((1.0,),))), n)
    basis = np.log(perp / spot)[:, 0] / 1e-4
    n_free = n * (1.0 - decay) / (1.0 + decay)
    assert basis.mean() == pytest.approx(4.0, abs=Z * 3.0 / math.sqrt(n_free))
    assert basis.std() == pytest.approx(3.0, rel=Z / math.sqrt(2.0 * n_free))
    centred = basis - basis.mean()
    lag_one = (centred[1:] * centred[:-1]).mean() / (centred**2).mean()
    assert lag_one == pytest.approx(decay, abs=Z * math.sqrt((1.0 - decay**2) / n))


def test_results_agree_across_steps():
    """Daily variance does not depend on the length of a step."""
    n_days = 4_000
    found = []
    for dt_ms, n in ((DAY_MS, n_days), (DAY_MS // 24, n_days * 24)):
        params = without_clusters(one_asset(0.05, innovation="normal"))
        r = returns(params, n, dt_ms=dt_ms)[:, 0].reshape(n_days, -1).sum(axis=1)
        found.append(r.var())
    assert found[0] / found[1] == pytest.approx(1.0, abs=Z * math.sqrt(4.0 / n_days))
