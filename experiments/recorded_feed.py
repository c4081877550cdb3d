"""Recorded order feeds: a snapshot, its differences and trades become book samples and trades.

One line is a local receive time in nanoseconds and one JSON message, as the recorder of
nkaz001/hftbacktest writes them.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stressbook.errors import Problem
from stressbook.experiments.recorded import UNREADABLE, InvalidRecording, open_recording

__all__ = ["DEPTH_BP", "OrderFeed", "read_binance_feed", "read_hyperliquid_snapshots"]

F64 = NDArray[np.float64]

DEPTH_BP = np.array([1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 25.0, 35.0, 50.0])
SAMPLE_NS = 1_000_000_000
# A level at exactly a band's distance counts, whichever way its ratio to mid is rounded.
ROUNDING_BP = 1e-6


@dataclass(frozen=True, slots=True)
class OrderFeed:
    """What a feed shows of one book.

    Parameters
    ----------
    samples : DataFrame
        One row each second (each snapshot, for snapshots): ``t_ms``, ``bid``, ``ask`` in USD and
        ``depth_1`` ... ``depth_50``, the USD within so many basis points of mid, mean of the two
        sides. NaN where the recorded levels do not reach so far.
    quotes : DataFrame
        Each change of the touch: ``t_ms``, ``bid``, ``ask``.
    trades : DataFrame
        ``t_ms`` on the venue's clock, ``seen_ms`` on the recorder's as the other tables, ``price``,
        ``qty``, ``side`` of the taker, +1 or -1.
    n_level_changes : int
        Price levels that differences set anew.
    span_s : float
        From first to last message, s.
    snapshot_reach_bp : float
        How far from mid the snapshot knows every level; beyond, depth counts what has changed
        since and is a lower bound.
    """

    samples: pd.DataFrame
    quotes: pd.DataFrame
    trades: pd.DataFrame
    n_level_changes: int
    span_s: float
    snapshot_reach_bp: float


@dataclass(slots=True)
class _Book:
    bids: dict[float, float] = field(default_factory=dict)
    asks: dict[float, float] = field(default_factory=dict)

    def apply(self, side: dict[float, float], levels: list[list[str]]) -> None:
        for price_text, qty_text in levels:
            price, qty = float(price_text), float(qty_text)
            _require(price > 0.0, "price", price, "above 0 USD")
            _require(qty >= 0.0, "size", qty, "0 or more")
            if qty > 0.0:
                side[price] = qty
            else:
                side.pop(price, None)

    def sample(self, t_ns: int) -> list[float]:
        bid, ask = max(self.bids), min(self.asks)
        _require(bid < ask, "best bid", bid, f"below the best ask {ask}")
        mid = (bid + ask) / 2.0
        sides = (_depth(self.bids, mid, -1.0), _depth(self.asks, mid, 1.0))
        return [t_ns / 1e6, bid, ask, *((sides[0] + sides[1]) / 2.0)]


class _BadMessage(Exception):
    """A message that breaks the format: name, value and what is allowed."""


def _require(holds: bool, name: str, value: object, allowed: str) -> None:
    if not holds:
        raise _BadMessage(name, value, allowed)


def _depth(side: dict[float, float], mid: float, sign: float) -> F64:
    price = np.fromiter(side.keys(), float, len(side))
    notional = price * np.fromiter(side.values(), float, len(side))
    distance_bp = sign * (price / mid - 1.0) * 1e4
    order = np.argsort(distance_bp)
    cumulative = np.r_[0.0, np.cumsum(notional[order])]
    within = np.searchsorted(distance_bp[order], DEPTH_BP + ROUNDING_BP, side="right")
    return np.asarray(cumulative[within])


@dataclass(slots=True)
class _Reader:
    path: Path
    book: _Book = field(default_factory=_Book)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    snapshot_id: int = -1
    reach_bp: float = float("nan")
    next_sample_ns: int = 0
    first_ns: int = 0
    last_ns: int = 0
    n_level_changes: int = 0
    samples: list[list[float]] = field(default_factory=list)
    quotes: list[tuple[float, float, float]] = field(default_factory=list)
    trades: list[tuple[float, float, float, float, float]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def run(self) -> None:
        try:
            with open_recording(self.path) as lines:
                for number, line in enumerate(lines, start=1):
                    self.line(number, line)
        except UNREADABLE as bad:
            self.problems.append(Problem("cannot be read", self.path.name, hint=str(bad)))

    def line(self, number: int, line: str) -> None:
        time_text, _, body = line.partition(" ")
        try:
            t_ns, message = int(time_text), json.loads(body)
        except ValueError:
            self.problem(number, "line", line[:40], "is no time and JSON message")
            return
        if t_ns < self.last_ns:
            self.problem(number, "time", t_ns, "goes back", f"{self.last_ns} ns or later")
            return
        self.first_ns = self.first_ns or t_ns
        self.last_ns = t_ns
        try:
            self.take(t_ns, message)
            self.sample_if_due(t_ns)
        except _BadMessage as bad:
            name, value, allowed = bad.args
            self.problem(number, f"{name}", value, "is out of range", allowed)
        except (KeyError, TypeError, ValueError) as bad:
            self.problem(number, "message", repr(bad), "lacks a field or holds no number")

    def problem(
        self, number: int, name: str, value: object, problem: str, allowed: str = ""
    ) -> None:
        place = f"{self.path.name}, line {number}, {name}"
        self.problems.append(Problem(problem, place, value, allowed))

    def take(self, t_ns: int, message: dict[str, Any]) -> None:
        if "lastUpdateId" in message:
            self.snapshot(message)
            return
        stream, data = message["stream"], message["data"]
        if "@depth" in stream:
            self.n_level_changes += len(data["b"]) + len(data["a"])
            self.difference(data)
        elif "@bookTicker" in stream:
            self.quotes.append((t_ns / 1e6, float(data["b"]), float(data["a"])))
        elif "@trade" in stream:
            # m: the buyer was the maker, so that the taker sold.
            side = -1.0 if data["m"] else 1.0
            row = (float(data["T"]), t_ns / 1e6, float(data["p"]), float(data["q"]))
            self.trades.append((*row, side))

    def snapshot(self, message: dict[str, Any]) -> None:
        self.book = _Book()
        self.book.apply(self.book.bids, message["bids"])
        self.book.apply(self.book.asks, message["asks"])
        bids, asks = self.book.bids, self.book.asks
        _require(bool(bids and asks), "snapshot", len(bids) + len(asks), "levels on both sides")
        mid = (max(bids) + min(asks)) / 2.0
        self.reach_bp = min(mid - min(bids), max(asks) - mid) / mid * 1e4
        self.snapshot_id = int(message["lastUpdateId"])
        for data in self.waiting:
            self.difference(data)
        self.waiting.clear()

    def difference(self, data: dict[str, Any]) -> None:
        if self.snapshot_id < 0:
            self.waiting.append(data)
        elif data["u"] > self.snapshot_id:
            self.book.apply(self.book.bids, data["b"])
            self.book.apply(self.book.asks, data["a"])

    def sample_if_due(self, t_ns: int) -> None:
        if self.snapshot_id >= 0 and t_ns >= self.next_sample_ns:
            self.next_sample_ns = max(self.next_sample_ns, t_ns - SAMPLE_NS) + SAMPLE_NS
            self.samples.append(self.book.sample(t_ns))


def read_binance_feed(path: Path) -> OrderFeed:
    """Read a Binance feed: one depth snapshot, depth differences, touch and trades.

    Parameters
    ----------
    path : Path
        Lines of nanoseconds and JSON, compressed or not.

    Returns
    -------
    OrderFeed

    Raises
    ------
    InvalidRecording
        For lines that are no message, fields that are missing or out of range, times that go
        back, crossed books, and a feed without snapshot, differences or trades.

    Examples
    --------
    >>> import tempfile
    >>> book = '{"lastUpdateId": 1, "bids": [["99.9", "2"]], "asks": [["100.1", "3"]]}'
    >>> trade = '{"stream": "x@trade", "data": {"T": 5, "p": "100.1", "q": "1", "m": false}}'
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a").write_text(f"1000000 {book}" + chr(10) + f"5000000 {trade}")
    ...     feed = read_binance_feed(Path(folder, "a"))
    >>> feed.trades.side.tolist(), round(float(feed.samples.depth_10[0]), 2)
    ([1.0], 250.05)
    """
    reader = _Reader(path)
    reader.run()
    if reader.snapshot_id < 0:
        reader.problems.append(Problem("holds no snapshot", path.name, allowed="one or more"))
    if not reader.trades:
        reader.problems.append(Problem("holds no trades", path.name, allowed="one or more"))
    return _feed(reader)


def _feed(reader: _Reader) -> OrderFeed:
    if reader.problems:
        raise InvalidRecording.from_problems(reader.problems)
    depth_names = [f"depth_{band:g}" for band in DEPTH_BP]
    return OrderFeed(
        pd.DataFrame(reader.samples, columns=["t_ms", "bid", "ask", *depth_names]),
        pd.DataFrame(reader.quotes, columns=["t_ms", "bid", "ask"]),
        pd.DataFrame(reader.trades, columns=["t_ms", "seen_ms", "price", "qty", "side"]),
        reader.n_level_changes,
        (reader.last_ns - reader.first_ns) / 1e9,
        reader.reach_bp,
    )


@dataclass(slots=True)
class _SnapshotReader(_Reader):
    def take(self, t_ns: int, message: dict[str, Any]) -> None:
        data = message["data"]
        if message["channel"] == "trades":
            sides = {"B": 1.0, "A": -1.0}
            for trade in data:
                prices = (float(trade["px"]), float(trade["sz"]))
                self.trades.append(
                    (float(trade["time"]), t_ns / 1e6, *prices, sides[trade["side"]])
                )
        elif message["channel"] == "l2Book":
            bids, asks = ([[level["px"], level["sz"]] for level in side] for side in data["levels"])
            self.snapshot({"lastUpdateId": 0, "bids": bids, "asks": asks})
            t_ms, bid, ask, *depth = self.book.sample(t_ns)
            known = np.where(self.reach_bp >= DEPTH_BP, depth, np.nan)
            self.samples.append([t_ms, bid, ask, *known])
            self.quotes.append((t_ms, bid, ask))

    def sample_if_due(self, t_ns: int) -> None:
        """Every snapshot is a sample."""


def read_hyperliquid_snapshots(path: Path) -> OrderFeed:
    """Read Hyperliquid snapshots of 20 levels, and trades.

    Parameters
    ----------
    path : Path
        Lines of nanoseconds and JSON, channels ``l2Book`` and ``trades``.

    Returns
    -------
    OrderFeed
        `samples` holds each snapshot, `n_level_changes` is 0.

    Raises
    ------
    InvalidRecording
        As `read_binance_feed`, and for a file without snapshots.

    Examples
    --------
    >>> import tempfile
    >>> levels = '[[{"px": "99.99", "sz": "2", "n": 1}], [{"px": "100.01", "sz": "3", "n": 1}]]'
    >>> line = f'1 {{"channel": "l2Book", "data": {{"levels": {levels}}}}}'
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a").write_text(line)
    ...     feed = read_hyperliquid_snapshots(Path(folder, "a"))
    >>> feed.samples.bid.tolist()
    [99.99]
    """
    reader = _SnapshotReader(path)
    reader.run()
    if not reader.samples:
        reader.problems.append(Problem("holds no snapshot", path.name, allowed="one or more"))
    return _feed(reader)
