"""Rows of each step of a cell as Parquet, where a study asks for them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from stressbook.errors import InvalidInput
from stressbook.experiments.run import RunRecord
from stressbook.experiments.sweeps.cell import Job
from stressbook.market.compiling.arrays import Records

__all__ = ["SERIES", "require_parquet", "series_file", "write_series"]

# Name of the table, its rows, and what names the columns of their second axis.
SERIES: Final = {"market": "book", "assets": "asset", "venue": "venue"}


def series_file(job: Job, name: str) -> Path:
    """Return the file of one table of a cell."""
    return Path(job.series_folder) / f"{job.seed}-{name}.parquet"


def require_parquet() -> None:
    """Refuse to begin what would end without its series.

    Raises
    ------
    InvalidInput
        If pyarrow is missing.
    """
    try:
        import_module("pyarrow")
    except ImportError as error:
        raise InvalidInput(
            "is not installed",
            name="pyarrow",
            allowed="series in Parquet need it",
            hint="pip install 'stressbook[parquet]', or leave out [series]",
        ) from error


def write_series(record: RunRecord, job: Job) -> None:
    """Write the tables that a job asks for, each in one move.

    Parameters
    ----------
    record : RunRecord
        Of the cell.
    job : Job
        With `series` and `series_folder`.
    """
    parquet, arrow = import_module("pyarrow.parquet"), import_module("pyarrow")
    for name in job.series:
        rows: Records = getattr(record.series, SERIES[name])
        path = series_file(job, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}")
        parquet.write_table(arrow.table(_columns(record, name, rows)), beside)
        beside.replace(path)


def _columns(record: RunRecord, name: str, rows: Records) -> dict[str, Any]:
    t_s = (np.arange(len(rows)) + 1) * record.scenario.dt_s
    if rows.ndim == 1:
        keys: dict[str, Any] = {"t_s": t_s}
    else:
        names = _names(record, name)
        key = "asset" if name == "assets" else "instrument"
        keys = {"t_s": np.repeat(t_s, len(names)), key: names * len(rows)}
    flat = rows.reshape(-1)
    return keys | {field: np.ascontiguousarray(flat[field]) for field in rows.dtype.names or ()}


def _names(record: RunRecord, name: str) -> list[str]:
    if name == "assets":
        return list(record.scenario.assets)
    return [book.name for book in record.scenario.venue_spec().instruments]
