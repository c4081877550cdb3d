"""What came of every cell, in one SQLite file that can be read while it is written.

A row a cell - key, label, seed, levers, state, digest, error, tries, seconds - and its outcomes as
rows of key, name and value, NULL for NaN; moves of marks likewise, apart from them. What a process
that was killed has left running waits again.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final, Literal, Self

from stressbook.errors import InvalidInput, StressbookError
from stressbook.experiments.sweeps.cell import Job, Replicate
from stressbook.experiments.sweeps.ownership import owned

__all__ = ["INDEX", "Index", "State", "is_there", "reading"]

INDEX: Final = "index.sqlite"
State = Literal["waiting", "running", "done", "failed"]
_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE cells (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    seed INTEGER NOT NULL,
    levers TEXT NOT NULL,
    state TEXT NOT NULL,
    digest TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    tries INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0,
    stopped_early INTEGER NOT NULL DEFAULT 0,
    ended_at REAL
);
CREATE TABLE values_of_cells (
    cell INTEGER NOT NULL,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    value REAL,
    PRIMARY KEY (cell, place)
) WITHOUT ROWID;
CREATE VIEW outcomes AS
    SELECT key, name, value FROM values_of_cells JOIN cells ON cells.id = cell;
"""
# Apart from the schema: an index of before has none, and gets it.
_MOVES: Final = """
CREATE TABLE IF NOT EXISTS moves_of_cells (
    cell INTEGER NOT NULL,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    value REAL,
    PRIMARY KEY (cell, place)
) WITHOUT ROWID
"""


class Index:
    """The cells of a folder; one process writes, any number read.

    Parameters
    ----------
    folder : Path, optional
        Made if it is missing; without one the index is in memory.

    Raises
    ------
    InvalidInput
        If the folder cannot be written, another process writes it, or its index is none.

    Examples
    --------
    >>> with Index(None) as index:
    ...     index.counts()
    {}
    """

    def __init__(self, folder: Path | None) -> None:
        self._held = ExitStack()
        with ExitStack() as held:
            if folder is not None:
                _make(folder)
                held.enter_context(owned(folder))
            self._path = None if folder is None else folder / INDEX
            place = ":memory:" if folder is None else str(folder / INDEX)
            self._place = place
            with self._told("opened"):
                self._db = sqlite3.connect(place, isolation_level=None, timeout=60.0)
                held.enter_context(closing(self._db))
                self._prepare()
            self._held = held.pop_all()

    def _prepare(self) -> None:
        db = self._db
        is_new = _version(db) == 0 and not _tables(db)
        if not is_new:
            _require_ours(db, self._place)  # before anything is changed
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")  # survives the end of a process
        if is_new:
            db.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {_VERSION};COMMIT;")
        db.execute(_MOVES)
        # Who had them running is gone: the folder is ours.
        db.execute("UPDATE cells SET state = 'waiting' WHERE state = 'running'")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let what has not ended wait, and give the folder back."""
        with self._held:
            try:
                self._db.execute("UPDATE cells SET state = 'waiting' WHERE state = 'running'")
            except sqlite3.Error:
                return  # the disk is full: what is left running waits at the next call

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Say in our words what SQLite says of disks and files."""
        try:
            yield
        except sqlite3.Error as error:
            if _is_no_database(error):
                raise _not_ours(self._place) from error
            raise StressbookError(
                f"cannot be {what}: {error}",
                name="index",
                value=self._place,
                hint="make room, or give another folder; what has finished is kept and read again",
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        if self._path is not None and not is_there(self._path):
            # SQLite would go on in a file that nobody can open any more.
            raise StressbookError(
                "was deleted or moved while it was written",
                name="index",
                value=self._place,
                hint="leave the folder alone while it is run; the same command starts afresh",
            )
        with self._told("written"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def queue(self, keys: Sequence[str], jobs: Sequence[Job]) -> None:
        """Let cells wait that are not done: new ones, and those that failed in a former call."""
        rows = [
            (key, job.label, job.seed, json.dumps(dict(job.levers)))
            for key, job in zip(keys, jobs, strict=True)
        ]
        new = (
            "INSERT INTO cells (key, label, seed, levers, state) VALUES (?, ?, ?, ?, 'waiting') "
            "ON CONFLICT (key) DO UPDATE SET label = excluded.label, levers = excluded.levers, "
            "state = CASE state WHEN 'failed' THEN 'waiting' ELSE state END"
        )
        with self._writing() as db:
            db.executemany(new, rows)

    def waiting(self, keys: Sequence[str]) -> list[int]:
        """Return the ranks of those keys whose cells have to be run; each cell once."""
        with self._told("read"):
            rows = self._db.execute("SELECT key FROM cells WHERE state = 'waiting'")
            to_run = {key for (key,) in rows}
        found = []
        for rank, key in enumerate(keys):
            if key in to_run:
                to_run.discard(key)
                found.append(rank)
        return found

    def start(self, keys: Sequence[str]) -> None:
        """Note that cells run."""
        with self._writing() as db:
            db.executemany(
                "UPDATE cells SET state = 'running', tries = tries + 1 WHERE key = ?",
                [(key,) for key in keys],
            )

    def wait_again(self, keys: Sequence[str]) -> None:
        """Note that cells have to be run again: who ran them is gone."""
        with self._writing() as db:
            db.executemany(
                "UPDATE cells SET state = 'waiting' WHERE key = ?", [(key,) for key in keys]
            )

    def finish(self, keys: Sequence[str], runs: Sequence[Replicate], seconds: float) -> None:
        """Keep what came of cells.

        Parameters
        ----------
        keys : sequence of str
            Of each.
        runs : sequence of Replicate
            Those with an error have failed.
        seconds : float
            That each took.
        """
        with self._writing() as db:
            for key, run in zip(keys, runs, strict=True):
                (cell,) = db.execute(
                    "UPDATE cells SET state = ?, digest = ?, error = ?, seconds = ?, "
                    "stopped_early = ?, ended_at = julianday('now') WHERE key = ? RETURNING id",
                    (_state(run), run.digest, run.error, seconds, int(run.stopped_early), key),
                ).fetchone()
                for kept, values in (("values", run.outcomes), ("moves", run.moves)):
                    rows = enumerate(values.items())
                    db.executemany(
                        f"INSERT OR REPLACE INTO {kept}_of_cells VALUES (?, ?, ?, ?)",
                        [(cell, place, name, _stored(value)) for place, (name, value) in rows],
                    )

    def runs(self, keys: Sequence[str]) -> list[Replicate]:
        """Return what came of cells, in order; an error says so of one that has not ended."""
        with self._told("read"):
            return read_runs(self._db, keys)

    def counts(self) -> dict[str, int]:
        """Return the number of cells by state."""
        with self._told("read"):
            return dict(self._db.execute("SELECT state, count(*) FROM cells GROUP BY state"))


def read_runs(db: sqlite3.Connection, keys: Sequence[str]) -> list[Replicate]:
    """Return what came of cells, in the order of their keys."""
    ids = dict(db.execute("SELECT key, id FROM cells"))
    found = []
    for key in keys:
        cell = ids.get(key)
        seed, digest, error, state, early = db.execute(
            "SELECT seed, digest, error, state, stopped_early FROM cells WHERE id = ?", (cell,)
        ).fetchone() or (0, "", "", "missing", 0)
        if state in ("done", "failed"):
            outcomes, moves = ({}, {}) if error else (_values(db, cell), _values(db, cell, "moves"))
            run = Replicate(seed, digest, outcomes, error, bool(early), moves)
        else:
            run = Replicate(seed, "", {}, f"is {state}")
        found.append(run)
    return found


def _values(db: sqlite3.Connection, cell: int | None, kept: str = "values") -> dict[str, float]:
    rows = db.execute(
        f"SELECT name, value FROM {kept}_of_cells WHERE cell = ? ORDER BY place", (cell,)
    )
    return {name: math.nan if value is None else float(value) for name, value in rows}


@contextmanager
def reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that only reads; a sweep may write meanwhile.

    Raises
    ------
    InvalidInput
        If the folder holds no index, or it cannot be read.
    """
    path = folder / INDEX
    if not is_there(path):
        raise InvalidInput(
            "holds no index of runs",
            name="folder",
            value=str(folder),
            allowed=f"a folder with {INDEX}, as sweep, versus and run --reps write it",
        )
    try:
        with closing(_reader(path)) as db:
            _require_ours(db, str(path))
            yield db
    except sqlite3.Error as error:
        if _is_no_database(error):
            raise _not_ours(str(path)) from error
        raise InvalidInput(f"cannot be read: {error}", name="index", value=str(path)) from error


def is_there(path: Path) -> bool:
    """Tell whether a file is there; one that cannot be, such as of a name too long, is not."""
    try:
        return path.is_file()
    except OSError:
        return False


def _require_ours(db: sqlite3.Connection, place: str) -> None:
    """Refuse what another program, or another version of this one, has written."""
    if not _tables(db) >= {"cells", "values_of_cells"}:
        raise _not_ours(place)
    if _version(db) != _VERSION:
        raise InvalidInput(
            "was written by another version",
            name="index",
            value=place,
            hint="give another folder",
        )


def _tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


def _is_no_database(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorname", "") in ("SQLITE_NOTADB", "SQLITE_CORRUPT")


def _not_ours(place: str) -> InvalidInput:
    return InvalidInput(
        "is no index of runs",
        name="index",
        value=place,
        hint="move it away, or give another folder",
    )


def _reader(path: Path) -> sqlite3.Connection:
    """Return a connection; in a folder that is read-only, to a file that stands still."""
    place = path.resolve().as_uri()
    db = sqlite3.connect(f"{place}?mode=ro", uri=True, timeout=10.0)
    try:
        db.execute("SELECT count(*) FROM cells").fetchone()
    except sqlite3.OperationalError:
        db.close()
        db = sqlite3.connect(f"{place}?immutable=1", uri=True)
    return db


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"cannot be written: {error.strerror}", name="folder", value=str(folder)
        ) from error


def _state(run: Replicate) -> State:
    return "failed" if run.error else "done"


def _stored(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
