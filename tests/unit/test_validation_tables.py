"""Tables of validation from planted results: each verdict follows the number that was planted."""

import math

import numpy as np
import pytest

from stressbook.experiments.validation.basis import basis_bp, halflife_min, lag_correlation
from stressbook.experiments.validation.calm import calm_rows, profit_rates
from stressbook.experiments.validation.depth_profile import (
    DISTANCES_BP,
    depth_exponent,
    depth_hump_bp,
)
from stressbook.experiments.validation.regimes import regime_rows
from stressbook.experiments.validation.stationarity import _funding, stationarity_rows
from stressbook.experiments.validation.stressed import stressed_rows

RNG = np.random.default_rng(11)


def ar1(rho, n, *, sd=1.0):
    noise = RNG.normal(0.0, sd * math.sqrt(1.0 - rho * rho), n)
    out = np.empty(n)
    out[0] = RNG.normal(0.0, sd)
    for i in range(1, n):
        out[i] = rho * out[i - 1] + noise[i]
    return out


def verdicts(rows, name):
    return {row.where: row.verdict for row in rows if row.name == name}


def values(rows, name):
    return {row.where: row.estimate.value for row in rows if row.name == name}


# --- basis and books ----------------------------------------------------------------------------


def test_halflife_of_a_planted_autoregression():
    # Half-life of 20 minutes at closes of 5: rho = 2^(-1/4).
    assert halflife_min(ar1(0.5**0.25, 200_000)) == pytest.approx(20.0, rel=0.05)
    assert halflife_min(RNG.normal(size=500_000)) < 1.5
    assert math.isnan(halflife_min(np.ones(10)))


def test_gaps_are_left_out_of_correlations():
    x = ar1(0.8, 100_000)
    x[::7] = np.nan
    assert lag_correlation(x) == pytest.approx(0.8, abs=0.01)


class Closes:
    last_usd = np.array([[101.0, 100.0, np.nan], [99.0, 100.0, 100.0]])
    mid_usd = np.array([[100.5, 100.0, 100.0], [99.5, 100.0, 100.0]])
    oracle_usd = np.array([[50.5], [49.5]])


def test_the_basis_is_perp_over_spot_or_over_the_oracle():
    np.testing.assert_allclose(basis_bp(Closes, 0, 0, 1), [100.0, -100.0])
    np.testing.assert_allclose(basis_bp(Closes, 0, 0, 1, at="mid"), [50.0, -50.0])
    np.testing.assert_allclose(basis_bp(Closes, 0, 0, -1), [10_000.0, 10_000.0])
    assert np.isnan(basis_bp(Closes, 0, 0, 2)[0])


def test_the_exponent_looks_beyond_five_bp_only():
    depth = 2.0 * DISTANCES_BP**0.7
    depth[:3] = 1e9
    assert depth_exponent(depth) == pytest.approx(0.7)
    depth[-1] = 0.0
    assert math.isnan(depth_exponent(depth))


def test_the_hump_is_where_most_lies_a_bp():
    density = np.ones(len(DISTANCES_BP))
    density[8] = 5.0  # 14 to 20 bp
    depth = np.cumsum(density * np.diff(np.concatenate(([0.0], DISTANCES_BP))))
    assert depth_hump_bp(depth) == 17.0


# --- calm days ------------------------------------------------------------------------------------


def calm_found(seed, *, drift=0.0, spread_bp=0.1, near=0.999, profit=-0.001):
    noise = 0.001 * math.sin(seed)
    found = {"venue.messages": 100.0, "venue.hours": 24.0}
    for when in ("warm-up", "end"):
        for what in ("open interest", "depth"):
            found[f"BTC.{when} {what}"] = drift + noise
        found[f"venue.{when} borrowed"] = noise
    for kind in ("spot", "perp"):
        found |= {
            f"BTC.{kind}_spread_bp": spread_bp + noise,
            f"BTC.{kind}_depth_usd": 1e6,
            f"BTC.{kind}_two_sided": 1.0,
            f"BTC.{kind}_volume_usd": 1e9,
            f"BTC.{kind}_exponent": 0.8 + noise,
            f"BTC.{kind}_hump_bp": 10.0 + noise,
        }
    found |= {
        "BTC.near_outside": near + noise / 10.0,
        "BTC.basis_mean_bp": 2.0,
        "BTC.basis_sd_bp": 3.2 + noise,
        "BTC.basis_halflife_min": 12.0 + noise,
        "BTC.basis_mid_sd_bp": 3.0,
        "BTC.floor_share": 0.5 + 10.0 * noise,
        "BTC.negative_share": 0.1,
        "BTC.funding_yearly": 0.2,
        "BTC.liquidated_frac": 0.01 + noise,
        "holder.equity_usd": 1e6,
        "holder.profit_usd": 1e6 * (profit + noise / 10.0),
    }
    return found


def test_a_market_as_it_should_be_passes_everywhere():
    rows = calm_rows([calm_found(seed) for seed in range(30)], ("BTC",))
    judged = {row.verdict for row in rows if row.verdict}
    assert judged == {"inside", "met"}


@pytest.mark.parametrize(
    ("changed", "name", "where", "verdict"),
    [
        ({"drift": 0.05}, "drift in the last hour of the day", "BTC, depth", "missed"),
        ({"drift": 0.0199}, "drift in the last hour of the day", "BTC, depth", "undecided"),
        ({"spread_bp": 0.5}, "spread", "BTC perp", "miss"),
        ({"spread_bp": 0.5}, "spread", "BTC spot", ""),
        ({"near": 0.90}, "steps with spot within 10 bp of outside", "BTC", "miss"),
        ({"profit": -0.03}, "profit net of revaluation", "holder", "miss"),
    ],
)
def test_what_is_planted_is_found(changed, name, where, verdict):
    rows = calm_rows([calm_found(seed, **changed) for seed in range(30)], ("BTC",))
    assert verdicts(rows, name)[where] == verdict


def test_profit_is_summed_over_summed_equity_a_day():
    found = [
        {"venue.hours": 48.0, "holder.profit_usd": 4.0, "holder.equity_usd": 100.0},
        {"venue.hours": 48.0, "holder.profit_usd": 0.0, "holder.equity_usd": 300.0},
    ]
    assert profit_rates(found)["holder"].value == pytest.approx(2.0 / 400.0)


# --- long runs ------------------------------------------------------------------------------------


def long_found(seed, *, growth=0.0, rate=0.0, transfers=0.0):
    base = 100.0 + math.sin(seed)
    found = {
        "days": 20.0,
        "first BTC|open interest, lots": base * (1.0 + growth),
        "last BTC|open interest, lots": base,
        "first holder|equity": base,
        "last holder|equity": base * 1.5,
        "first holder|equity less luck": base * (1.0 + 0.5 * rate),
        "last holder|equity less luck": base * (1.0 + 15.0 * rate) + transfers,
        "first holder|transfers": 0.0,
        "last holder|transfers": transfers,
    }
    funding = _funding(np.abs(ar1(0.8, 480, sd=1e-5)) + 1.25e-5)
    found |= {f"BTC.{name}": x for name, x in funding.items()}
    return found | {"BTC.basis_sd_bp": 5.0, "BTC.basis_halflife_min": 20.0}


def test_what_stays_is_met_and_what_grows_is_missed():
    name = "first day less last ten"
    for growth, verdict in ((0.0, "met"), (0.2, "missed"), (-0.2, "missed")):
        rows = stationarity_rows(
            [long_found(seed, growth=growth) for seed in range(8)], ("BTC",), {}
        )
        assert verdicts(rows, name)["BTC, open interest, lots"] == verdict


def test_equity_is_judged_less_what_the_class_earns():
    name, where = "first day less last ten", "holder, equity less revaluation and profit"
    found = [long_found(seed, rate=-0.01) for seed in range(8)]
    earned = stationarity_rows(found, ("BTC",), {"holder": -0.01})
    assert verdicts(earned, name)[where] == "met"
    assert values(earned, name)[where] == pytest.approx(0.0, abs=0.1)
    ignored = stationarity_rows(found, ("BTC",), {"holder": 0.0})
    assert verdicts(ignored, name)[where] == "missed"


def test_funding_is_described_as_planted():
    rates = np.full(4_800, 1.25e-5)
    rates[::4] = 8e-5
    rates[1::8] = -2e-5
    found = _funding(rates)
    assert found["floor_share"] == pytest.approx(0.625)
    assert found["negative share of hours"] == pytest.approx(0.125)
    assert found["99 % of hours, yearly"] == pytest.approx(8e-5 * 8760.0)
    assert found["daily_floor_sd"] == pytest.approx(0.0, abs=1e-12)
    persistent = _funding(ar1(0.8, 100_000, sd=1e-5))
    assert persistent["AR(1) of hours"] == pytest.approx(0.8, abs=0.02)
    assert persistent["half-life, h"] == pytest.approx(math.log(0.5) / math.log(0.8), rel=0.1)
    assert persistent["autocorrelation at 24 h"] == pytest.approx(0.8**24, abs=0.02)


# --- shocks and regimes -------------------------------------------------------------------


def shock_found(seed, leverage, *, forced=0.01):
    noise = 0.0005 * math.sin(seed)
    found = {"leverage.HYPE": 2.4 * leverage}
    case = "hype-fall"
    falls = {"0": 0.01, "P": 0.22, "N": 0.219, "F": 0.22, "R": 0.22 + forced * leverage + noise}
    falls["Z"] = falls["R"] + 1e-6 * math.cos(seed)
    for arm, fall in falls.items():
        found[f"{case}.{arm}.drawdown"] = fall
        found[f"{case}.{arm}.liquidated_HYPE"] = 0.1
    found |= {
        f"{case}.R.loss_usd": 130.0 + noise,
        f"{case}.Z.loss_usd": 1.0 + noise,
        f"{case}.P.loss_usd": 100.0 + noise,
        f"{case}.opening_equity_usd": 1000.0,
    }
    return found


def unlevered_found(gap):
    return {
        "hype-fall.gap": gap,
        "hype-fall.equity_gap_usd": 0.0,
        "venue.debt_usd": 0.0,
        "venue.most_leverage": 0.9,
    }


def shock_table(*, forced=0.01, gaps=(0.0, 0.0)):
    by = {m: [shock_found(seed, m, forced=forced) for seed in range(8)] for m in (0.5, 1.0, 2.0)}
    return stressed_rows(by, {1.0: by[1.0]}, [unlevered_found(gap) for gap in gaps])


def test_planted_shocks_come_back():
    rows = shock_table()
    where = "hype-fall, outside impact x1"
    assert values(rows, "R - F, forced trading")[where] == pytest.approx(1.0, abs=0.05)
    assert verdicts(rows, "R - F, forced trading")[where] == "met"
    slope = values(rows, "R - F for a doubling of leverage")["hype-fall, same positions"]
    assert slope == pytest.approx(0.75, abs=0.01)  # of .5, 1, 2 over -1, 0, 1
    amplified = values(rows, "price amplification (R - 0) / (F - 0)")[where]
    assert amplified == pytest.approx(0.22 / 0.21, abs=0.001)
    assert values(rows, "loss amplification")[where] == pytest.approx(1.29, abs=0.001)


def test_no_forced_trading_is_no_effect():
    rows = shock_table(forced=0.0)
    assert set(verdicts(rows, "R - F, forced trading").values()) == {"undecided"}
    assert set(verdicts(rows, "R - F for a doubling of leverage").values()) == {"undecided"}


def test_a_single_bit_without_leverage_is_a_miss():
    name = "gap between R and F in any mark"
    assert list(verdicts(shock_table(), name).values()) == ["met"]
    assert list(verdicts(shock_table(gaps=(0.0, 1e-16)), name).values()) == ["missed"]


def test_regimes_are_compared_where_accounts_are_enrolled():
    def found(seed, credit):
        noise = 0.01 * math.sin(seed)
        one = {}
        for group in ("all", "enrolled"):
            key = f"holder.HYPE.{group}"
            one |= {
                f"{key}.hyperliquid-pm": 1.0 + credit + noise,
                f"{key}.cross": 1.0,
                f"{key}.opening_usd.hyperliquid-pm": 5.0,
                f"{key}.opening_usd.cross": 5.0,
            }
        return one

    for credit, verdict in ((0.5, "met"), (0.0, "undecided"), (-0.5, "missed")):
        rows = regime_rows([found(seed, credit) for seed in range(12)])
        assert verdicts(rows, "hyperliquid-pm - cross") == {
            "holder HYPE, all accounts": "",
            "holder HYPE, enrolled accounts": verdict,
        }
