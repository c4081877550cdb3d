"""One process at a time writes a folder of runs; the lock of one that was killed is none.

The lock is an exclusive one of SQLite on an empty file: the system drops it with the process,
however that ends, on every platform. Who holds it stands in a text file beside it.
"""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from stressbook.errors import InvalidInput

__all__ = ["owned", "owner_of"]

_LOCK: Final = "index.lock"
_OWNER: Final = "index.owner"
_WAIT_S: Final = 0.2  # a look of `owner_of` holds it for a moment


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Hold a folder, so that no other process writes to it.

    Parameters
    ----------
    folder : Path
        That exists.

    Raises
    ------
    InvalidInput
        If another process holds it, with its number; if files cannot be written there.
    """
    try:
        lock = sqlite3.connect(folder / _LOCK, timeout=_WAIT_S, isolation_level=None)
    except sqlite3.Error as error:
        raise _unwritable(folder, error) from error
    with closing(lock):
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise _held(folder) from error
            raise _unwritable(folder, error) from error
        try:
            (folder / _OWNER).write_text(f"{os.getpid()} on {socket.gethostname()}")
        except OSError as error:
            raise _unwritable(folder, error) from error
        yield


def owner_of(folder: Path) -> str | None:
    """Return who writes a folder now, "1234 on host"; None if nobody does.

    Parameters
    ----------
    folder : Path
        Only read.
    """
    path = folder / _LOCK
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as lock:
            lock.execute("PRAGMA busy_timeout = 0")
            lock.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        return _name(folder) if "locked" in str(error) else None
    return None


def _name(folder: Path) -> str:
    try:
        return (folder / _OWNER).read_text()
    except OSError:
        return "another"


def _held(folder: Path) -> InvalidInput:
    return InvalidInput(
        f"is being run by process {_name(folder)}",
        name="folder",
        value=str(folder),
        allowed="one process at a time",
        hint="wait for it, or stop it: what it has finished is kept; or give another folder",
    )


def _unwritable(folder: Path, error: Exception) -> InvalidInput:
    return InvalidInput(
        f"cannot be written: {error}", name="folder", value=str(folder), hint="give another folder"
    )
