"""Ranges of a scan at equal coverage: planted quantiles are found, and what ships fits its use."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stressbook.errors import InvalidInput
from stressbook.experiments.calibration.scan_ranges import (
    POOLED,
    RANGE_STEP_FRAC,
    cross_fracs,
    markdown_ranges,
    recorded_scan_ranges,
    scan_ranges,
)
from stressbook.experiments.recorded import ASSETS, InvalidRecording
from stressbook.market.regimes import load_regime
from stressbook.market.regimes.pocket import Holding, Pocket, margin_of
from stressbook.market.rules.spec import load_preset

PAGE = (Path(__file__).parents[2] / "docs" / "regimes.md").read_text(encoding="utf-8")
N = 20_000
SD = {"BTC": 0.005, "HYPE": 0.012}
ASKED = {"BTC": 0.0125, "HYPE": 0.045}
# 20,000 windows asked 2.5 sd and 15,000 asked 3.75 sd miss 0.3586 % of a normal law together.
AIM_SD = 2.6887


def closes_of(returns):
    return 100.0 * np.cumprod(np.r_[1.0, 1.0 + np.asarray(returns)])


@pytest.fixture(scope="module")
def fits():
    rng = np.random.default_rng(52)
    table = {asset: closes_of(sd * rng.standard_normal(N)) for asset, sd in SD.items()}
    table["HYPE"][: N // 4] = np.nan  # listed later
    return scan_ranges(pd.DataFrame(table), ASKED, seed=1)


def test_planted_quantiles_are_found(fits):
    for fit in fits[:2]:
        planted = AIM_SD * SD[fit.asset]
        assert fit.range_frac.low < planted < fit.range_frac.high
        assert fit.range_frac.value == pytest.approx(planted, rel=0.06)
        assert fit.own_range_frac == pytest.approx(fit.cross_frac, rel=0.06)
    assert [fit.n for fit in fits] == [N, N - N // 4, 2 * N - N // 4]


def test_a_range_is_the_smallest_that_reaches_the_pooled_aim(fits):
    aim = fits[-1].cross_long.exact.value
    assert fits[-1].asset == POOLED
    rng = np.random.default_rng(52)
    for fit in fits[:2]:
        returns = SD[fit.asset] * rng.standard_normal(N)
        losses = -returns[-fit.n :]
        assert (
            fit.scan_long.exact.value >= aim > np.mean(losses <= fit.range_frac.value - 1.0001e-4)
        )
        steps = fit.range_frac.value / RANGE_STEP_FRAC
        assert steps == pytest.approx(round(steps), abs=1e-9)
        assert fit.scan_short.n_missed == np.sum(-losses > fit.range_frac.value)


def test_clustered_losses_widen_the_interval_by_blocks():
    """Losses that come in runs of 50 h say less than as many that do not."""
    rng = np.random.default_rng(3)
    wild = np.repeat(rng.random(200) < 0.1, 50)
    returns = np.where(wild, 0.03, 0.003) * rng.standard_normal(len(wild))
    fit = scan_ranges(pd.DataFrame({"BTC": closes_of(returns)}), {"BTC": 0.0125}, seed=1)[0]
    exact, blocks = fit.cross_long.exact, fit.cross_long.blocks
    assert exact.value == blocks.value
    assert blocks.half_width > 2.0 * exact.half_width
    assert fit.range_frac.value == pytest.approx(0.0125, abs=2e-4)


def test_missing_bars_make_no_window():
    prices = closes_of(np.zeros(1_000))
    prices[10:12] = np.nan
    prices[12:] = 50.0  # the fall lies in the gap
    fit = scan_ranges(pd.DataFrame({"BTC": prices}), {"BTC": 0.01}, seed=1)[0]
    assert (fit.n, fit.cross_long.n_missed, fit.range_frac.value) == (997, 0, 0.0)


def test_a_folder_of_recordings_gives_the_table(tmp_path):
    rng = np.random.default_rng(4)
    hours = pd.date_range("2025-05-01", periods=601, freq="h", tz="UTC")
    table = pd.DataFrame(index=hours)
    for asset in ASSETS:
        table[f"{asset}_perp_close"] = closes_of(0.01 * rng.standard_normal(600))
        table[f"{asset}_spot_close"] = 1.0
        table[[f"{asset}_perp_vol", f"{asset}_spot_vol"]] = 1.0
    with pytest.raises(InvalidRecording, match="closes_1h"):
        recorded_scan_ranges(tmp_path, {}, seed=1)
    table.to_csv(tmp_path / "hl_perp_spot_hourly_a.csv")
    rates = cross_fracs(load_preset("hyperliquid"))
    fits = recorded_scan_ranges(tmp_path, rates, seed=1)
    assert [fit.asset for fit in fits] == [*ASSETS, POOLED]
    text = markdown_ranges(fits)
    assert text.count("| scan |") == len(fits) == text.count("| cross |")
    with pytest.raises(InvalidInput, match="hourly windows of BTC"):
        scan_ranges(pd.DataFrame({"BTC": [1.0, 2.0]}), rates, seed=1)


@pytest.mark.parametrize("asset", ASSETS)
def test_floors_of_what_ships_do_not_bind_for_a_single_position(asset):
    scan = load_regime("scan")
    row = next(row for row in scan.scans if asset in row.assets)
    for value in (1e6, -1e6):
        found = margin_of(scan, Pocket(0.0, (Holding(asset, value),)))
        assert found.maintenance_usd == pytest.approx(row.range_frac * 1e6, rel=1e-12)


def test_the_page_has_the_ranges_that_ship():
    printed = dict(re.findall(r"^\| (\w+) \| [\d,]+ \| scan \| ([\d.]+)", PAGE, re.M))
    shipped = {name: row.range_frac for row in load_regime("scan").scans for name in row.assets}
    assert shipped.pop("*") == max(shipped.values())
    assert {name: float(text) for name, text in printed.items()} == pytest.approx(
        {name: 100.0 * value for name, value in shipped.items()}
    )
