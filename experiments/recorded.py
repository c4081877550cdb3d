"""Files of recorded data: which kinds there are, where they lie, and what is wrong with them.

A folder of recordings is searched for the files named in `KINDS`, at any depth; a missing one is
reported with the others. Raw recordings stay outside the package: what ships is fitted numbers.
"""

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

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
