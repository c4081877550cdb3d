"""What the tests of calibration share: the yardstick of recovery, and recordings to read."""

import gzip
import json

import numpy as np
import pandas as pd

from stressbook.experiments.calibration.funding import hourly_rate
from stressbook.experiments.calibration.hawkes import simulate_hawkes
from stressbook.experiments.calibration.series import unit_ar1
from stressbook.experiments.recorded import ASSETS

# Five standard errors: with new seeds a right estimator fails six times in ten million.
Z_MAX = 5.0
HALF_WIDTH_Z = 1.6449


def assert_recovers(estimate, planted, *, within, on_log=False):
    """Planted value within five standard errors, and these small enough to tell: `within`.

    `within` bounds the half-width of the 90 % interval (of the logarithm, with `on_log`), so that
    an estimator cannot pass by claiming to know nothing.
    """
    ends = np.array([estimate.low, estimate.value, estimate.high, planted])
    low, value, high, truth = np.log(ends) if on_log else ends
    half = (high - low) / 2.0
    assert 0.0 < half <= within, f"half-width {half:.4g}"
    assert abs(value - truth) <= Z_MAX * half / HALF_WIDTH_Z, f"{value:.4g} for {truth:.4g}"


def write_recordings(folder):
    """Write one short recording of each kind."""
    rng = np.random.default_rng(20240808)
    _write_closes(folder / "hl_perp_spot_5min_a.csv.gz", 12 * 288, 300, rng, with_range=False)
    _write_closes(folder / "hl_perp_spot_hourly_a.csv.gz", 60 * 24, 3_600, rng, with_range=True)
    _write_funding(folder / "hl_funding_hourly_a.csv", 60 * 24, rng)
    _write_basis_8h(folder / "btc_eth_spot_perp_funding_8h_a.csv", 200, rng)
    for name in ("usdm_btcusdt_a.gz", "usdm_ethusdt_a.gz", "spot_btcusdt_a.gz"):
        write_feed(folder / name, feed_lines(rng))
    write_feed(folder / "hyperliquid_btcusd_a.gz", snapshot_lines(20))


def _times(n, spacing_s):
    return pd.date_range("2025-05-01", periods=n, freq=f"{spacing_s}s", tz="UTC")


def _write_closes(path, n, bar_s, rng, *, with_range):
    table = pd.DataFrame(index=pd.Index(_times(n, bar_s), name="t"))
    common = rng.standard_normal(n)
    for asset in ASSETS:
        own = rng.standard_normal(n)
        wild = np.exp(0.3 * unit_ar1(0.9, n, rng=rng))
        step = 0.02 * (bar_s / 86_400.0) ** 0.5 * wild * (0.7 * common + 0.7 * own)
        perp = 100.0 * np.exp(np.cumsum(step))
        basis_bp = 2.0 + 2.0 * unit_ar1(0.8, n, rng=rng) + 3.0 * unit_ar1(0.99, n, rng=rng)
        table[f"{asset}_perp_close"] = perp
        table[f"{asset}_perp_vol"] = np.exp(rng.standard_normal(n)) * (1.0 + wild)
        if with_range:
            reach = np.abs(step) + 1e-4 * (1.0 + rng.random(n))
            table[f"{asset}_perp_low"] = perp * (1.0 - reach)
            table[f"{asset}_perp_high"] = perp * (1.0 + reach)
        table[f"{asset}_spot_close"] = perp / (1.0 + basis_bp * 1e-4)
        table[f"{asset}_spot_vol"] = np.exp(rng.standard_normal(n))
    table.to_csv(path)


def _write_funding(path, n, rng):
    table = pd.DataFrame(index=pd.Index(_times(n, 3_600), name="hour"))
    for asset in ASSETS:
        table[asset] = hourly_rate(2.0 + 6.0 * unit_ar1(0.9, n, rng=rng))
    table.to_csv(path)


def _write_basis_8h(path, n, rng):
    rows = []
    for coin, perp_pair in (("bitcoin", "BTCUSDT"), ("ethereum", "ETHUSDT")):
        basis_bp = rng.normal(0.0, 5.0, n)
        for i, time in enumerate(_times(n, 28_800)):
            rows.append([time, "binance", coin, "spot", "spot", 100.0, ""])
            price, rate = 100.0 * (1.0 + basis_bp[i] * 1e-4), basis_bp[i] * 1e-5
            rows.append([time, "binance", coin, perp_pair, "perpetual", price, rate])
    names = ["time", "exchange", "crypto", "pair", "contract", "close", "funding rate"]
    pd.DataFrame(rows, columns=names).to_csv(path, index=False)


def write_feed(path, lines):
    with gzip.open(path, "wt") as feed:
        feed.writelines(f"{line}\n" for line in lines)


def at(t_ms, message):
    """Return one line of a feed."""
    return f"{round(t_ms * 1e6)} {json.dumps(message)}"


def snapshot(bids, asks, update_id=10):
    return {"lastUpdateId": update_id, "bids": bids, "asks": asks}


def difference(bids, asks, update_id=11):
    return {"stream": "x@depth@0ms", "data": {"u": update_id, "b": bids, "a": asks}}


def touch(bid, ask):
    return {"stream": "x@bookTicker", "data": {"b": str(bid), "a": str(ask)}}


def trade(t_ms, price, qty, *, is_sell):
    data = {"T": t_ms, "p": str(price), "q": str(qty), "m": is_sell}
    return {"stream": "x@trade", "data": data}


def ladder(mid, side, n=400):
    """Levels 1 bp apart, depth in proportion to distance."""
    return [[f"{mid * (1.0 + side * (i + 1) * 1e-4):.6f}", "10"] for i in range(n)]


def feed_lines(rng, span_s=100):
    """Return a feed of 100 s with arrivals, touches and differences."""
    lines = [(0.0, snapshot(ladder(100.0, -1.0), ladder(100.0, 1.0)))]
    for t in simulate_hawkes(5.0, 0.5, 2.0, span_s=span_s, rng=rng):
        message = trade(
            round(1e3 * t), 100.0, rng.pareto(1.4) + 1.0, is_sell=bool(rng.random() < 0.5)
        )
        lines.append((1e3 * t, message))
    for t in np.arange(0.0, span_s, 0.25):
        mid = 100.0 + 0.002 * rng.standard_normal()
        lines.append((1e3 * t, touch(mid - 0.001, mid + 0.001)))
        lines.append((1e3 * t, difference(ladder(100.0, -1.0)[:2], ladder(100.0, 1.0)[:2])))
    lines.sort(key=lambda line: line[0])
    return [at(1.0 + t, message) for t, message in lines]


def snapshot_lines(n):
    """Return `n` Hyperliquid snapshots of 20 levels 0.1 bp apart."""
    levels = [
        [
            {"px": f"{100.0 * (1.0 + side * (i + 1) * 1e-5):.6f}", "sz": "10", "n": 1}
            for i in range(20)
        ]
        for side in (-1.0, 1.0)
    ]
    message = {"channel": "l2Book", "data": {"coin": "BTC", "levels": levels}}
    return [at(500.0 * (i + 1), message) for i in range(n)]
