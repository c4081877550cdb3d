"""From a folder of recordings to the parameters of a world and its flow."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import pandas as pd

from stressbook.experiments.calibration.assumed import assumed_rows
from stressbook.experiments.calibration.basis_rows import basis_8h_rows, basis_rows
from stressbook.experiments.calibration.dependence_rows import dependence_rows
from stressbook.experiments.calibration.flow_rows import (
    feed_rows,
    funding_rows,
    snapshot_rows,
    volume_rows,
)
from stressbook.experiments.calibration.price_rows import return_rows, volatility_rows
from stressbook.experiments.calibration.result import CalibrationResult, FileRecord
from stressbook.experiments.calibration.rows import Row
from stressbook.experiments.recorded import (
    ASSETS,
    InvalidRecording,
    look_for_recordings,
)
from stressbook.experiments.recorded_feed import (
    OrderFeed,
    read_binance_feed,
    read_hyperliquid_snapshots,
)
from stressbook.experiments.recorded_tables import (
    read_basis_8h,
    read_closes,
    read_funding,
)

__all__ = ["calibrate"]

Read = TypeVar("Read")

SNAPSHOTS = "snapshots_btc"
BINANCE_FEEDS = (
    ("BTC", "perp", "feed_perp_btc"),
    ("ETH", "perp", "feed_perp_eth"),
    ("BTC", "spot", "feed_spot_btc"),
)
EIGHT_HOURS = (("BTC", "bitcoin", "BTCUSDT"), ("ETH", "ethereum", "ETHUSDT"))


def calibrate(
    folder: Path, *, seed: int = 1, ready: Callable[[], None] | None = None
) -> CalibrationResult:
    """Estimate the parameters of a world and its flow, and the moments to match, from recordings.

    Parameters
    ----------
    folder : Path
        Holds one file of each kind in `recorded.KINDS`, at any depth.
    seed : int, default 1
        Seed of bootstraps and simulated records.
    ready : callable, optional
        Called once all files are read and nothing is wrong with them, before the estimates.

    Returns
    -------
    CalibrationResult
        The same for the same files and seed. About 20 s for a year of hours, two months of five
        minutes and six minutes of three feeds.

    Raises
    ------
    InvalidRecording
        For files that are missing, and for what is wrong inside files: all of it at once.
    InvalidInput
        If a recording is too short for an estimator.
    """
    paths, missing = look_for_recordings(folder)
    reader = _Reader(paths)
    tables, eight_hours, feeds = _read(reader)
    if missing or reader.broken:
        raise InvalidRecording.of_files(missing, reader.broken)
    if ready is not None:
        ready()
    rows = [*_price_rows(tables, seed), *_venue_rows(eight_hours, feeds, seed), *assumed_rows()]
    order = {asset: i for i, asset in enumerate(ASSETS)}
    rows.sort(key=lambda row: order[row.asset])
    return CalibrationResult(tuple(rows), _records(paths), seed)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads what is there and keeps what is wrong: a missing or broken file hides no other."""

    paths: dict[str, Path]
    broken: list[InvalidRecording] = field(default_factory=list)

    def read(self, kind: str, read: Callable[[Path], Read]) -> Read | None:
        if kind not in self.paths:
            return None
        try:
            return read(self.paths[kind])
        except InvalidRecording as error:
            self.broken.append(error)
            return None


def _read(
    reader: _Reader,
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame], dict[str, OrderFeed]]:
    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        "closes_5min": partial(read_closes, bar_s=300),
        "closes_1h": partial(read_closes, bar_s=3_600, with_range=True),
        "funding_1h": read_funding,
    }
    tables = {kind: reader.read(kind, read) for kind, read in readers.items()}
    eight_hours = {
        asset: reader.read(
            "basis_8h", partial(read_basis_8h, exchange="binance", asset=coin, pair=pair)
        )
        for asset, coin, pair in EIGHT_HOURS
    }
    feeds = {kind: reader.read(kind, read_binance_feed) for _, _, kind in BINANCE_FEEDS}
    feeds[SNAPSHOTS] = reader.read(SNAPSHOTS, read_hyperliquid_snapshots)
    return _complete(tables), _complete(eight_hours), _complete(feeds)


def _complete(found: dict[str, Read | None]) -> dict[str, Read]:
    return {name: value for name, value in found.items() if value is not None}


def _price_rows(tables: dict[str, pd.DataFrame], seed: int) -> list[Row]:
    bars = {kind: tables[kind] for kind in ("closes_5min", "closes_1h")}
    rows: list[Row] = []
    for asset in ASSETS:
        rows += volatility_rows(asset, **bars, seed=seed)
        rows += basis_rows(asset, **bars, seed=seed)
        rows += return_rows(asset, **bars, seed=seed)
        rows += funding_rows(asset, funding_1h=tables["funding_1h"], seed=seed)
        rows += volume_rows(asset, closes_1h=bars["closes_1h"], seed=seed)
    return rows + dependence_rows(closes_1h=bars["closes_1h"], seed=seed)


def _venue_rows(
    eight_hours: dict[str, pd.DataFrame], feeds: dict[str, OrderFeed], seed: int
) -> list[Row]:
    rows: list[Row] = []
    for asset, table in eight_hours.items():
        rows += basis_8h_rows(asset, basis_8h=table, seed=seed)
    for asset, leg, kind in BINANCE_FEEDS:
        rows += feed_rows(asset, leg, feed=feeds[kind], kind=kind, seed=seed)
    return rows + snapshot_rows("BTC", feed=feeds[SNAPSHOTS], kind=SNAPSHOTS, seed=seed)


def _records(paths: dict[str, Path]) -> tuple[FileRecord, ...]:
    return tuple(
        FileRecord(kind, path.name, hashlib.sha256(path.read_bytes()).hexdigest())
        for kind, path in paths.items()
    )
