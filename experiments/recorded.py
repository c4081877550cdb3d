"""Recorded data from files, checked as a whole: every problem at once, with its place.

A folder of recordings is searched for the files named in `KINDS`, at any depth; a missing one is
reported with the others. Raw recordings stay outside the package: what ships is fitted numbers.
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np
import pandas as pd

from stressbook.errors import InvalidInput, Problem

__all__ = [
    "ASSETS",
    "KINDS",
    "UNREADABLE",
    "InvalidRecording",
    "Kind",
    "find_recordings",
    "look_for_recordings",
    "open_recording",
    "read_basis_8h",
    "read_closes",
    "read_funding",
]

ASSETS = ("BTC", "ETH", "SOL", "HYPE")

# What a damaged, truncated or foreign file raises while it is read.
UNREADABLE = (OSError, EOFError, UnicodeDecodeError, zlib.error, pd.errors.ParserError)

# Beyond these the rest is counted: a broken column would otherwise print a line for each row.
MAX_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of recording.

    Parameters
    ----------
    pattern : str
        Glob of the file's name.
    holds : str
        What is in it.
    source : str
        Public repository and commit that the reference numbers were fitted to, with its licence.
    sha256 : str
        Of the recording behind the reference: any other file is not from `source`.
    """

    pattern: str
    holds: str
    source: str
    sha256: str


_HL = "hippocritical/freqtrade_hyperliquid_download-data @ 1ca28f4 (GPL-3.0)"
_LOB = "nkaz001/hftbacktest, examples (MIT)"
_CEX = "AHA-HH/optimising-funding-rate-arbitrage @ 110bc95 (MIT)"

KINDS = {
    "closes_5min": Kind(
        "hl_perp_spot_5min_*.csv*",
        "Hyperliquid closes and volumes, 5 min",
        _HL,
        "247d357bf3c019ad18af2858efe9a45740b1c7dcc23e42343af6250812052f81",
    ),
    "closes_1h": Kind(
        "hl_perp_spot_hourly_*.csv*",
        "Hyperliquid bars, 1 h",
        _HL,
        "ed2a1a52e98d7c0d048b078d4bc8b285bd002d9dc5e3d2ab149a7d0c9a95d313",
    ),
    "funding_1h": Kind(
        "hl_funding_hourly_*.csv*",
        "Hyperliquid funding rates, 1 h",
        _HL,
        "7d4dbc1233e5c058db4286cbc9d5221c034e7398411b65552c920c429917a21a",
    ),
    "basis_8h": Kind(
        "btc_eth_spot_perp_funding_8h_*.csv*",
        "three other venues, 8 h",
        _CEX,
        "49630fa10ea6e1aa33d4be69db0ee74bf0f4d9053c567365146d6fb74ad61508",
    ),
    "feed_perp_btc": Kind(
        "usdm_btcusdt_*.gz",
        "Binance BTC perp, depth and trades",
        _LOB,
        "0ad7b3a0f5cff220761ea890cfd6e3c15f6899edc7f94637ec915043d7a72251",
    ),
    "feed_perp_eth": Kind(
        "usdm_ethusdt_*.gz",
        "Binance ETH perp, depth and trades",
        _LOB,
        "6b76bc224bbb7fe402e7206066775e17e18dbc697247fbab8ebcc38289a3f772",
    ),
    "feed_spot_btc": Kind(
        "spot_btcusdt_*.gz",
        "Binance BTC spot, depth and trades",
        _LOB,
        "5d263f4c5379cfc27379ef0e22779aa33804463d1b69c292e9c0714e31f2e1b4",
    ),
    "snapshots_btc": Kind(
        "hyperliquid_btcusd_*.gz",
        "Hyperliquid BTC perp, 20 levels",
        _LOB,
        "0e48db38986847092dede9975bf64e108ffa3646a6d2ec1672bd1099627249e1",
    ),
}


class InvalidRecording(InvalidInput):
    """Recorded files that cannot be read; reports every problem at once.

    Examples
    --------
    >>> print(InvalidRecording.from_problems([Problem("is not a price", "a.csv, line 3", -1.0)]))
    a.csv, line 3 = -1.0 is not a price.
    """

    @classmethod
    def from_problems(cls, problems: Sequence[Problem]) -> Self:
        """Return one error for all problems.

        Parameters
        ----------
        problems : sequence of Problem
            At least one. Past 20 the rest is counted.

        Returns
        -------
        InvalidRecording
            To be raised by the caller.
        """
        shown = list(problems[:MAX_PROBLEMS])
        if len(problems) > MAX_PROBLEMS:
            shown.append(Problem(f"and {len(problems) - MAX_PROBLEMS} more problems"))
        return super().from_problems(shown)

    @classmethod
    def of_files(cls, missing: Sequence[Problem], broken: Sequence["InvalidRecording"]) -> Self:
        """Return one error for files that are missing and files that are broken.

        Parameters
        ----------
        missing : sequence of Problem
            All of them are shown, first.
        broken : sequence of InvalidRecording
            One a file; up to 20 problems of each are shown, so that none hides the next.

        Returns
        -------
        InvalidRecording
            To be raised by the caller.

        Examples
        --------
        >>> broken = InvalidRecording.from_problems([Problem("holds no rows", "a.csv")])
        >>> print(InvalidRecording.of_files([Problem("has no file", "closes_1h")], [broken]))
        closes_1h has no file.
        a.csv holds no rows.
        """
        # A file that several numbers are read from says the same each time.
        problems = dict.fromkeys([*missing, *(one for error in broken for one in error.problems)])
        return super().from_problems(list(problems))


def look_for_recordings(folder: Path) -> tuple[dict[str, Path], list[Problem]]:
    """Find what a folder holds of the kinds, at any depth, and what is wrong with the rest.

    Parameters
    ----------
    folder : Path
        Where to look.

    Returns
    -------
    (dict of str to Path, list of Problem)
        One file for each key of `KINDS` that has one, and a problem for each other key.

    Raises
    ------
    InvalidRecording
        If the folder does not exist.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "usdm_btcusdt_a.gz").touch()
    ...     found, problems = look_for_recordings(Path(folder))
    >>> list(found), len(problems)
    (['feed_perp_btc'], 7)
    """
    if not folder.is_dir():
        hint = "name the folder that holds the recordings"
        problem = Problem("is not a folder", "folder", str(folder), hint=hint)
        raise InvalidRecording.from_problems([problem])
    found: dict[str, Path] = {}
    problems: list[Problem] = []
    for name, kind in KINDS.items():
        paths = sorted(path for path in folder.rglob(kind.pattern) if path.is_file())
        if len(paths) == 1:
            found[name] = paths[0]
        else:
            problems.append(_missing_or_many(name, kind, paths))
    return found, problems


def find_recordings(folder: Path) -> dict[str, Path]:
    """Find the file of each kind in a folder, at any depth.

    Parameters
    ----------
    folder : Path
        Where to look.

    Returns
    -------
    dict of str to Path
        One file for each key of `KINDS`.

    Raises
    ------
    InvalidRecording
        If the folder does not exist, or for every kind without a file or with several.

    Examples
    --------
    >>> find_recordings(Path("nowhere"))
    Traceback (most recent call last):
    ...
    stressbook.experiments.recorded.InvalidRecording: folder = 'nowhere' is not a folder.
      hint   : name the folder that holds the recordings
    """
    found, problems = look_for_recordings(folder)
    if problems:
        raise InvalidRecording.from_problems(problems)
    return found


def _missing_or_many(name: str, kind: Kind, paths: list[Path]) -> Problem:
    if not paths:
        hint = f"{kind.holds}; public source: {kind.source}"
        return Problem("has no file", name, allowed=f"one file {kind.pattern}", hint=hint)
    names = [path.name for path in paths]
    return Problem("has several files", name, names, f"one file {kind.pattern}", "move the others")


def open_recording(path: Path) -> IO[str]:
    """Open a text file, compressed or not, for reading.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.csv")
    ...     _ = path.write_text("x")
    ...     with open_recording(path) as lines:
    ...         print(lines.read())
    x
    """
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def read_closes(path: Path, *, bar_s: int, with_range: bool = False) -> pd.DataFrame:
    """Read bars of perps and spots.

    Parameters
    ----------
    path : Path
        CSV whose first column is the bar's start (UTC) and whose others are named
        ``BTC_perp_close`` and so on: asset, ``perp`` or ``spot``, ``close``, ``low``, ``high`` in
        USD or ``vol`` in units of the asset. Empty cells are missing bars.
    bar_s : int
        Length of a bar, s.
    with_range : bool, default False
        Whether lows and highs of the perps have to be there.

    Returns
    -------
    DataFrame
        float64 columns as in the file, index every `bar_s` in UTC; gaps are rows of NaN.

    Raises
    ------
    InvalidRecording
        For cells that are no numbers, prices not above 0, volumes below 0, highs below lows,
        times that do not rise or do not lie on the grid, and missing columns.

    Examples
    --------
    >>> import tempfile
    >>> names = [f"{asset}_perp_close" for asset in ASSETS]
    >>> names += [f"{asset}_{leg}_vol" for asset in ASSETS for leg in ("perp", "spot")]
    >>> names += [f"{asset}_spot_close" for asset in ASSETS]
    >>> text = "t," + ",".join(names) + chr(10) + "2025-06-01 00:00:00+00:00" + ",1" * len(names)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text(text)
    ...     read_closes(Path(folder, "a.csv"), bar_s=300).shape
    (1, 16)
    """
    needed = [
        f"{asset}_{leg}_{what}"
        for asset in ASSETS
        for leg in ("perp", "spot")
        for what in ("close", "vol")
    ]
    if with_range:
        needed += [f"{asset}_perp_{end}" for asset in ASSETS for end in ("low", "high")]
    table, lines, problems = _read_table(path, needed)
    for name in table.columns:
        if name.endswith("_vol"):
            problems += _outside(path, lines, table[name], table[name] < 0.0, "0 or more")
        else:
            problems += _outside(path, lines, table[name], table[name] <= 0.0, "above 0 USD")
    problems += _crossed_ranges(path, lines, table)
    return _on_grid(path, table, lines, problems, bar_s)


def read_funding(path: Path) -> pd.DataFrame:
    """Read hourly funding rates.

    Parameters
    ----------
    path : Path
        CSV of the hour (UTC) and one column an asset: fraction of notional paid for the hour.

    Returns
    -------
    DataFrame
        float64, index every hour in UTC; missing hours are NaN.

    Raises
    ------
    InvalidRecording
        For cells that are no numbers, rates beyond 4 % an hour (the venue's cap), times that do
        not rise or lie off the hour, and missing columns.

    Examples
    --------
    >>> import tempfile
    >>> text = "hour,BTC,ETH,SOL,HYPE" + chr(10) + "2025-06-01 00:00:00+00:00,1e-5,1e-5,1e-5,"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text(text)
    ...     read_funding(Path(folder, "a.csv")).shape
    (1, 4)
    """
    table, lines, problems = _read_table(path, list(ASSETS))
    for name in ASSETS:
        if name in table:
            is_out = table[name].abs() > 0.04
            problems += _outside(path, lines, table[name], is_out, "-0.04 to 0.04 an hour")
    return _on_grid(path, table, lines, problems, 3_600)


def read_basis_8h(path: Path, *, exchange: str, asset: str, pair: str) -> pd.DataFrame:
    """Read perp, spot and funding of another venue every eight hours.

    Parameters
    ----------
    path : Path
        CSV with columns ``time, exchange, crypto, pair, contract, close, funding rate``.
    exchange, asset : str
        Which rows: "binance", "bitcoin".
    pair : str
        The perp's pair: "BTCUSDT". The spot is the asset's one row with contract "spot".

    Returns
    -------
    DataFrame
        Columns ``basis_bp`` and ``rate`` (fraction for eight hours), index in UTC.

    Raises
    ------
    InvalidRecording
        If columns or rows are missing, or a close is not above 0.

    Examples
    --------
    >>> import tempfile
    >>> text = chr(10).join([
    ...     "time,exchange,crypto,pair,contract,close,funding rate",
    ...     "2023-01-01 00:00:00,binance,bitcoin,BTC/USDT,spot,100,",
    ...     "2023-01-01 00:00:00,binance,bitcoin,BTCUSDT,perpetual,100.1,0.0001"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text(text)
    ...     frame = read_basis_8h(
    ...         Path(folder, "a.csv"), exchange="binance", asset="bitcoin", pair="BTCUSDT")
    >>> frame.round(6).values.tolist()
    [[10.0, 0.0001]]
    """
    table = _csv(path, text=False)
    needed = ["time", "exchange", "crypto", "pair", "contract", "close", "funding rate"]
    _require_columns(path, needed, list(table.columns))
    problems: list[Problem] = []
    lines = pd.Series(np.arange(len(table)) + 2)
    close = pd.to_numeric(table["close"], errors="coerce")
    problems += _outside(path, lines, close, ~(close > 0.0), "above 0 USD")
    rows = table[(table["exchange"] == exchange) & (table["crypto"] == asset)]
    spot = rows[rows["contract"] == "spot"].set_index("time")
    perp = rows[rows["pair"] == pair].set_index("time")
    for what, found in (("spot", spot), (pair, perp)):
        if found.empty:
            problems.append(Problem("has no rows", f"{path.name}, {exchange} {asset} {what}"))
    if problems:
        raise InvalidRecording.from_problems(problems)
    frame = pd.DataFrame(
        {"basis_bp": (perp["close"] / spot["close"] - 1.0) * 1e4, "rate": perp["funding rate"]}
    )
    frame.index = pd.to_datetime(frame.index, utc=True)
    return frame.dropna().sort_index()


def _csv(path: Path, *, text: bool) -> pd.DataFrame:
    try:
        with open_recording(path) as lines:
            if text:
                return pd.read_csv(lines, dtype=str, keep_default_na=False)
            return pd.read_csv(lines)
    except (*UNREADABLE, pd.errors.EmptyDataError) as bad:
        problem = Problem("cannot be read", path.name, hint=str(bad))
        raise InvalidRecording.from_problems([problem]) from bad


def _read_table(path: Path, needed: list[str]) -> tuple[pd.DataFrame, pd.Series, list[Problem]]:
    text = _csv(path, text=True)
    time_name, *names = text.columns
    _require_columns(path, needed, names)
    problems: list[Problem] = []
    lines = pd.Series(np.arange(len(text)) + 2)
    table = pd.DataFrame(index=range(len(text)))
    for name in names:
        column = pd.to_numeric(text[name], errors="coerce")
        is_bad = (~np.isfinite(column)) & (text[name].str.strip() != "")
        problems += _outside(path, lines, text[name], is_bad, "a finite number", "is not a number")
        table[name] = column
    time = pd.to_datetime(text[time_name], utc=True, errors="coerce", format="ISO8601")
    problems += _outside(
        path, lines, text[time_name], time.isna(), "2025-06-01 00:05:00+00:00", "is not a time"
    )
    if len(text) == 0:
        problems.append(Problem("holds no rows", path.name))
    table.insert(0, "time", time)
    return table.set_index("time"), lines, problems


def _require_columns(path: Path, needed: list[str], names: list[str]) -> None:
    """Refuse a file without them at once: what else it holds is not what its name says."""
    missing = [name for name in needed if name not in names]
    if missing:
        word = "columns" if len(missing) > 1 else "column"
        hint = "docs/calibration.md has the columns of each file"
        problem = Problem(f"lacks the {word} {', '.join(missing)}", path.name, hint=hint)
        raise InvalidRecording.from_problems([problem])


def _outside(
    path: Path,
    lines: pd.Series,
    column: pd.Series,
    is_bad: pd.Series,
    allowed: str,
    problem: str = "is out of range",
) -> Iterator[Problem]:
    for i in np.flatnonzero(is_bad.to_numpy()):
        name = f"{path.name}, line {lines.iloc[i]}, {column.name}"
        value = column.iloc[i]
        yield Problem(problem, name, value.item() if hasattr(value, "item") else value, allowed)


def _crossed_ranges(path: Path, lines: pd.Series, table: pd.DataFrame) -> Iterator[Problem]:
    for low_name in [name for name in table.columns if name.endswith("_low")]:
        high_name = low_name.removesuffix("_low") + "_high"
        if high_name in table:
            low, high = table[low_name], table[high_name]
            allowed = f"at most {high_name} of the line"
            yield from _outside(path, lines, low, low > high, allowed)


def _on_grid(
    path: Path, table: pd.DataFrame, lines: pd.Series, problems: list[Problem], bar_s: int
) -> pd.DataFrame:
    seconds = table.index.to_series().astype("datetime64[s, UTC]").astype("int64")
    time = pd.Series(table.index.to_numpy(), name="time")
    known = time.notna().to_numpy()
    step = seconds.diff().to_numpy()
    # A time that is none has been reported, and so are its neighbours' steps.
    follows = known & np.r_[False, known[:-1]]
    is_back = pd.Series(follows & (step <= 0))
    is_off = pd.Series(known & ~is_back.to_numpy() & (seconds.to_numpy() % bar_s != 0))
    problems += _outside(path, lines, time, is_back, "later than the line before", "does not rise")
    problems += _outside(path, lines, time, is_off, f"a multiple of {bar_s} s", "is off the grid")
    if problems:
        raise InvalidRecording.from_problems(problems)
    return table.asfreq(f"{bar_s}s")
