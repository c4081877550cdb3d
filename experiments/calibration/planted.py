"""Recordings that are made up, with known parameters: to try a calibration, and to test it."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stressbook.experiments.calibration.funding import hourly_rate
from stressbook.experiments.calibration.hawkes import simulate_hawkes
from stressbook.experiments.calibration.series import unit_ar1
from stressbook.experiments.recorded import ASSETS

__all__ = ["PLANTED", "write_recordings"]

F64 = NDArray[np.float64]

# What every asset is made with, by the name of the number that is to find it again.
PLANTED: Final[dict[str, float]] = {
    "daily_vol_frac": 0.02166,
    "basis_mean_bp": 2.0,
    "basis_fast_sd_bp": 2.0,
    "basis_slow_sd_bp": 3.0,
    "premium_mean_bp": 2.0,
    "premium_sd_bp": 6.0,
    "outside_basis_8h_sd_bp": 5.0,
    "market_order_size_tail": 1.4,
    "hawkes_branching": 0.5,
}
_LOG_VOL_SD: Final = 0.3
_START: Final = pd.Timestamp("2025-05-01", tz="UTC")
_START_MS: Final = _START.timestamp() * 1e3
_LOADING: Final = 0.7  # of each asset on the common factor and on its own


def write_recordings(folder: Path, *, seed: int = 20240808) -> None:
    """Write one short recording of each kind: 60 days of hours, 12 of 5 minutes, 100 s of feeds.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    seed : int, default 20240808
        Of all draws.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_recordings(Path(folder))
    ...     len(list(Path(folder).iterdir()))
    8
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    _write_closes(folder / "hl_perp_spot_5min_a.csv.gz", 12 * 288, 300, rng, with_range=False)
    _write_closes(folder / "hl_perp_spot_hourly_a.csv.gz", 60 * 24, 3_600, rng, with_range=True)
    _write_funding(folder / "hl_funding_hourly_a.csv", 60 * 24, rng)
    _write_basis_8h(folder / "btc_eth_spot_perp_funding_8h_a.csv", 200, rng)
    for name in ("usdm_btcusdt_a.gz", "usdm_ethusdt_a.gz", "spot_btcusdt_a.gz"):
        write_feed(folder / name, feed_lines(rng, start_ms=_START_MS))
    write_feed(folder / "hyperliquid_btcusd_a.gz", snapshot_lines(20, start_ms=_START_MS))


def _times(n: int, spacing_s: int) -> pd.DatetimeIndex:
    return pd.date_range(_START, periods=n, freq=f"{spacing_s}s")


def _write_closes(
    path: Path, n: int, bar_s: int, rng: np.random.Generator, *, with_range: bool
) -> None:
    table = pd.DataFrame(index=pd.Index(_times(n, bar_s), name="t"))
    scale = PLANTED["daily_vol_frac"] / (np.exp(_LOG_VOL_SD**2) * _LOADING * 2.0**0.5)
    common = rng.standard_normal(n)
    for asset in ASSETS:
        own = rng.standard_normal(n)
        wild = np.exp(_LOG_VOL_SD * unit_ar1(0.9, n, rng=rng))
        step = scale * (bar_s / 86_400.0) ** 0.5 * wild * (_LOADING * common + _LOADING * own)
        perp = 100.0 * np.exp(np.cumsum(step))
        table[f"{asset}_perp_close"] = perp
        basis_bp = _basis_bp(n, rng)
        table[f"{asset}_perp_vol"] = np.exp(rng.standard_normal(n)) * (1.0 + wild)
        if with_range:
            reach = np.abs(step) + 1e-4 * (1.0 + rng.random(n))
            table[f"{asset}_perp_low"] = perp * (1.0 - reach)
            table[f"{asset}_perp_high"] = perp * (1.0 + reach)
        table[f"{asset}_spot_close"] = perp / (1.0 + basis_bp * 1e-4)
        table[f"{asset}_spot_vol"] = np.exp(rng.standard_normal(n))
    table.to_csv(path)


def _basis_bp(n: int, rng: np.random.Generator) -> F64:
    fast = PLANTED["basis_fast_sd_bp"] * unit_ar1(0.8, n, rng=rng)
    slow = PLANTED["basis_slow_sd_bp"] * unit_ar1(0.99, n, rng=rng)
    return PLANTED["basis_mean_bp"] + fast + slow


def _write_funding(path: Path, n: int, rng: np.random.Generator) -> None:
    table = pd.DataFrame(index=pd.Index(_times(n, 3_600), name="hour"))
    for asset in ASSETS:
        premium_bp = PLANTED["premium_sd_bp"] * unit_ar1(0.9, n, rng=rng)
        table[asset] = hourly_rate(PLANTED["premium_mean_bp"] + premium_bp)
    table.to_csv(path)


def _write_basis_8h(path: Path, n: int, rng: np.random.Generator) -> None:
    rows: list[list[Any]] = []
    for coin, perp_pair in (("bitcoin", "BTCUSDT"), ("ethereum", "ETHUSDT")):
        basis_bp = rng.normal(0.0, PLANTED["outside_basis_8h_sd_bp"], n)
        for i, time in enumerate(_times(n, 28_800)):
            rows.append([time, "binance", coin, "spot", "spot", 100.0, ""])
            price, rate = 100.0 * (1.0 + basis_bp[i] * 1e-4), basis_bp[i] * 1e-5
            rows.append([time, "binance", coin, perp_pair, "perpetual", price, rate])
    names = ["time", "exchange", "crypto", "pair", "contract", "close", "funding rate"]
    pd.DataFrame(rows, columns=names).to_csv(path, index=False)


def write_feed(path: Path, lines: Iterable[str]) -> None:
    """Write the lines of a feed, compressed."""
    with gzip.open(path, "wt") as feed:
        feed.writelines(f"{line}\n" for line in lines)


def at(t_ms: float, message: dict[str, Any]) -> str:
    """Return one line of a feed."""
    return f"{round(t_ms * 1e6)} {json.dumps(message)}"


def snapshot(bids: list[Any], asks: list[Any], update_id: int = 10) -> dict[str, Any]:
    """Return a whole book as Binance sends it."""
    return {"lastUpdateId": update_id, "bids": bids, "asks": asks}


def difference(bids: list[Any], asks: list[Any], update_id: int = 11) -> dict[str, Any]:
    """Return levels that are set anew."""
    return {"stream": "x@depth@0ms", "data": {"u": update_id, "b": bids, "a": asks}}


def touch(bid: float | str, ask: float | str) -> dict[str, Any]:
    """Return best bid and ask."""
    return {"stream": "x@bookTicker", "data": {"b": str(bid), "a": str(ask)}}


def trade(t_ms: float, price: float | str, qty: float | str, *, is_sell: bool) -> dict[str, Any]:
    """Return one trade, by the side of its taker."""
    data = {"T": t_ms, "p": str(price), "q": str(qty), "m": is_sell}
    return {"stream": "x@trade", "data": data}


def ladder(mid: float, side: float, n: int = 400) -> list[list[str]]:
    """Return levels 1 bp apart, depth in proportion to distance."""
    return [[f"{mid * (1.0 + side * (i + 1) * 1e-4):.6f}", "10"] for i in range(n)]


def feed_lines(rng: np.random.Generator, span_s: int = 100, *, start_ms: float = 0.0) -> list[str]:
    """Return a feed with arrivals, touches and differences."""
    tail = PLANTED["market_order_size_tail"]
    lines = [(0.0, snapshot(ladder(100.0, -1.0), ladder(100.0, 1.0)))]
    for t in simulate_hawkes(5.0, PLANTED["hawkes_branching"], 2.0, span_s=span_s, rng=rng):
        qty, is_sell = rng.pareto(tail) + 1.0, bool(rng.random() < 0.5)
        lines.append((1e3 * t, trade(round(start_ms + 1e3 * t), 100.0, qty, is_sell=is_sell)))
    for t in np.arange(0.0, span_s, 0.25):
        mid = 100.0 + 0.002 * rng.standard_normal()
        lines.append((1e3 * t, touch(mid - 0.001, mid + 0.001)))
        lines.append((1e3 * t, difference(ladder(100.0, -1.0)[:2], ladder(100.0, 1.0)[:2])))
    lines.sort(key=lambda line: line[0])
    return [at(start_ms + 1.0 + t, message) for t, message in lines]


def snapshot_lines(n: int, *, start_ms: float = 0.0) -> list[str]:
    """Return `n` Hyperliquid snapshots of 20 levels 0.1 bp apart."""
    levels = [
        [
            {"px": f"{100.0 * (1.0 + side * (i + 1) * 1e-5):.6f}", "sz": "10", "n": 1}
            for i in range(20)
        ]
        for side in (-1.0, 1.0)
    ]
    message = {"channel": "l2Book", "data": {"coin": "BTC", "levels": levels}}
    return [at(start_ms + 500.0 * (i + 1), message) for i in range(n)]
