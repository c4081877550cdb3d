"""How far a folder of runs is: cells by state and by label, rate, time left, failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stressbook.errors import InvalidInput, StressbookError
from stressbook.experiments.sweeps.index import INDEX, is_there, reading
from stressbook.experiments.sweeps.ownership import owner_of

__all__ = ["STATES", "Status", "index_folder", "mean_cell_s", "n_done", "read_status"]

STATES: Final = ("done", "failed", "running", "waiting")
_MOST_TOLD: Final = 20  # failures that are spelt out
_RECENT: Final = 200  # cells whose ends tell the rate


@dataclass(frozen=True)
class Status:
    """How far a folder of runs is.

    Parameters
    ----------
    folder : Path
        That holds the index.
    owner : str, optional
        Process that runs it, "1234 on host"; None if nobody does.
    counts : dict of str to int
        Cells by state. What runs while nobody runs it, waits.
    by_label : dict of str to dict of str to int
        The same of each label.
    rate_per_s : float
        Cells that ended a second, of late; 0 if that is not known.
    left_s : float, optional
        Time until all have ended at that rate; None if nobody runs it or the rate is not known.
    failures : tuple of (str, int, str)
        Label, seed and reason of the first of them.
    stopped_early : int
        Cells that ended where their outcome was decided.
    cell_s : float
        Mean time of a cell that is done, where it ran, s; 0 where none is.
    """

    folder: Path
    owner: str | None
    counts: dict[str, int]
    by_label: dict[str, dict[str, int]]
    rate_per_s: float
    left_s: float | None
    failures: tuple[tuple[str, int, str], ...]
    stopped_early: int
    cell_s: float

    @property
    def n_cells(self) -> int:
        """All cells."""
        return sum(self.counts.values())


def index_folder(folder: Path) -> Path:
    """Return where the index of a folder of results is: in it, or in its `runs`."""
    runs = folder / "runs"
    return runs if not is_there(folder / INDEX) and is_there(runs / INDEX) else folder


def n_done(folder: Path) -> int:
    """Return the number of cells that are done, 0 where there is no index."""
    try:
        return read_status(folder).counts["done"]
    except StressbookError:
        return 0


def mean_cell_s(folder: Path) -> float:
    """Return the mean time of a cell that is done, s; 0 where none is."""
    try:
        return read_status(folder).cell_s
    except StressbookError:
        return 0.0


def read_status(folder: Path) -> Status:
    """Return how far a folder of runs is; it may be run meanwhile.

    Parameters
    ----------
    folder : Path
        Of a sweep, or of what `versus` and `run --reps` have saved.

    Returns
    -------
    Status

    Raises
    ------
    InvalidInput
        If there is no index, or it cannot be read.
    """
    place = index_folder(folder)
    with reading(place) as db:
        owner = owner_of(place)
        rows = db.execute("SELECT label, state, count(*) FROM cells GROUP BY label, state")
        by_label: dict[str, dict[str, int]] = {}
        for label, state, n in rows:
            shown = "waiting" if state == "running" and owner is None else state
            counts = by_label.setdefault(label, dict.fromkeys(STATES, 0))
            if shown not in counts:
                raise InvalidInput(
                    f"holds cells that are {shown!r}",
                    name="index",
                    value=str(place / INDEX),
                    allowed=", ".join(STATES),
                )
            counts[shown] += n
        failures = db.execute(
            "SELECT label, seed, error FROM cells WHERE state = 'failed' ORDER BY id LIMIT ?",
            (_MOST_TOLD,),
        ).fetchall()
        early, cell_s = db.execute(
            "SELECT coalesce(sum(stopped_early), 0), coalesce(avg(seconds), 0.0) FROM cells "
            "WHERE state = 'done'"
        ).fetchone()
        ends = db.execute(
            "SELECT ended_at * 86400.0 FROM cells WHERE ended_at IS NOT NULL "
            "ORDER BY ended_at DESC LIMIT ?",
            (_RECENT,),
        ).fetchall()
    counts = {state: sum(each[state] for each in by_label.values()) for state in STATES}
    rate = _rate_per_s([end for (end,) in ends])
    left = counts["running"] + counts["waiting"]
    left_s = left / rate if owner is not None and rate > 0.0 else None
    return Status(place, owner, counts, by_label, rate, left_s, tuple(failures), early, cell_s)


def _rate_per_s(ends_s: Sequence[float]) -> float:
    """Return the rate of ends, the latest first."""
    span_s = ends_s[0] - ends_s[-1] if ends_s else 0.0
    return (len(ends_s) - 1) / span_s if span_s > 0.0 else 0.0
