"""How rare falls of the recorded assets were: the fitted tails that ship with the package.

Sizes are logarithms, ln(price before / price after): a fall by half is 0.69. The numbers are in
fall_tails.toml, which `stressbook.experiments.calibration.falls` writes from recordings.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from stressbook.errors import UnknownName
from stressbook.experiments.statistics.tails import Tail

__all__ = ["FALLS_FILE", "fall_tail", "fall_tails"]

FALLS_FILE = "fall_tails.toml"


def fall_tails() -> dict[tuple[str, int], Tail]:
    """Return all fitted tails by asset and window in minutes.

    Examples
    --------
    >>> sorted({window for _, window in fall_tails()})
    [10, 30, 60]
    """
    return {
        (asset, int(window)): Tail(source=_source(asset, table), **row)
        for asset, table in _read()["assets"].items()
        for window, row in table["windows"].items()
    }


def fall_tail(asset: str, window_min: int) -> Tail:
    """Return the tail of an asset's falls within a window.

    Parameters
    ----------
    asset : str
        "BTC", "ETH", "SOL" or "HYPE".
    window_min : int
        10, 30 or 60.

    Returns
    -------
    Tail
        Of log falls.

    Raises
    ------
    UnknownName
        If there is none.

    Examples
    --------
    >>> tail = fall_tail("BTC", 60)
    >>> tail.return_period_years(0.10).value > tail.return_period_years(0.05).value
    True
    """
    tails = fall_tails()
    if (asset, window_min) not in tails:
        known = [f"{name} {window}" for name, window in tails]
        raise UnknownName("tail of falls", f"{asset} {window_min}", known=known)
    return tails[asset, window_min]


@cache
def _read() -> dict[str, Any]:
    text = files("stressbook.experiments.statistics").joinpath(FALLS_FILE).read_text("utf-8")
    return tomllib.loads(text)


def _source(asset: str, table: dict[str, Any]) -> str:
    return f"{asset} perp on Hyperliquid, {table['tail_span']}; {_read()['source']}"
