"""Recorded prices and funding, tables from files: every problem at once, with its place."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from stressbook.errors import Problem
from stressbook.experiments.recorded import ASSETS, UNREADABLE, InvalidRecording, open_recording

__all__ = ["read_basis_8h", "read_closes", "read_funding"]


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
