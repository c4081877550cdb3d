"""A finished run as a folder: what replays it, what it came to, and its rows.

`manifest.json` replays the run, `scenario.toml` is its resolved form, `outcomes.json` what it came
to, `series.npz` and `events.npz` its rows, `plugins/` the sources of own agents and stresses,
`population.csv` the accounts of a population file, which `scenario.toml` holds as well. Every file
is written beside its place and then moved there, the manifest last: a folder with a manifest is
whole.
"""

from __future__ import annotations

import io
import json
import math
import os
import sys
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np

from stressbook.errors import InvalidInput
from stressbook.experiments.account_table import ACCOUNT_ROW
from stressbook.experiments.accounting import CLASS_SUM
from stressbook.experiments.plugins import PluginSource, load_plugin, plugin_sources
from stressbook.experiments.recorder import ASSET_ROW, BOOK_ROW, VENUE_ROW, Series
from stressbook.experiments.run import RunRecord, manifest
from stressbook.experiments.scenario import Scenario, scenario_from_table
from stressbook.experiments.words import json_text
from stressbook.market.compiling.arrays import Records
from stressbook.market.state.records import EVENT

__all__ = [
    "MANIFEST",
    "STUDY",
    "claim_folder",
    "keep_plugins",
    "load_kept_plugins",
    "load_run",
    "read_manifest",
    "run_folder_name",
    "run_mark",
    "save_run",
    "write_json",
    "write_whole",
]

MANIFEST: Final = "manifest.json"
STUDY: Final = "study.json"  # of a study of two margin regimes
_MARK: Final = ".stressbook"  # what a folder was taken for
_SCHEMA: Final = 1
_RUN: Final[dict[str, type]] = {"scenario": str, "seed": int, "engine": str, "digest": str}
_BATCH: Final[dict[str, type]] = {"scenarios": dict, "engine": str, "runs": list}


def run_folder_name(scenario: Scenario, seed: int) -> str:
    """Return the folder's name: scenario, seed, and eight digits that tell variants apart.

    Equal scenarios and seeds give equal runs, so that a folder is only ever written over by itself.
    """
    return f"{scenario.name}-{seed}-{scenario.digest()[:8]}"


def run_mark(scenario: Scenario, seed: int) -> str:
    """Return what `claim_folder` knows a single run by."""
    return f"run {scenario.digest()} {seed}"


def save_run(record: RunRecord, folder: Path) -> Path:
    """Write a run into a folder, which is made if it is missing.

    Parameters
    ----------
    record : RunRecord
        A finished run.
    folder : Path
        New, empty, or that of the same run, whose files are replaced one by one and whose report is
        removed. The files that own agents and stresses come from are copied into it.

    Returns
    -------
    Path
        The folder.
    """
    claim_folder(folder, run_mark(record.scenario, record.seed))
    # What is left of a run under other versions would pass for this one's.
    for stale in (MANIFEST, "report.html"):
        (folder / stale).unlink(missing_ok=True)
    kept = keep_plugins(folder, plugin_sources(record.scenario))
    write_whole(folder / "scenario.toml", record.scenario.to_toml().encode())
    if record.scenario.population is not None:
        write_whole(folder / "population.csv", record.scenario.population.text().encode())
    write_json(folder / "outcomes.json", record.outcomes)
    series = record.series
    _write_arrays(
        folder / "series.npz",
        {
            "book": series.book,
            "asset": series.asset,
            "venue": series.venue,
            "class": record.classes,
            "account": record.accounts,
        },
    )
    _write_arrays(folder / "events.npz", {"event": record.events})
    counted = {
        "refusals": record.refusals,
        "replies": record.replies,
        "enrolment": record.enrolment,
        "rationed": record.rationed,
        "system_usd": record.system_usd,
    }
    about = {**manifest(record), "plugins": kept, **counted}
    write_json(folder / MANIFEST, {**about, "onset_step": record.onset_step})
    return folder


def keep_plugins(folder: Path, plugins: tuple[PluginSource, ...]) -> list[dict[str, Any]]:
    """Copy the files of own classes into a folder, and return what its manifest says of them.

    Those of another run are removed from it.
    """
    kept: list[dict[str, Any]] = []
    for module, path in plugins:
        if path is None:
            kept.append({"module": module, "file": None, "sha256": None})
            continue
        text = path.read_bytes()
        write_whole(folder / "plugins" / path.name, text)
        kept.append({"module": module, "file": path.name, "sha256": sha256(text).hexdigest()})
    for stale in set(folder.glob("plugins/*.py")) - {
        folder / f"plugins/{one['file']}" for one in kept
    }:
        stale.unlink()
    return kept


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a run folder.

    Parameters
    ----------
    folder : Path
        As written by `save_run`, or the manifest itself.

    Returns
    -------
    dict
        Of a run: `scenario` (TOML), `seed`, `engine`, `digest`, `versions`, `plugins`. Of many
        runs, `kind` "batch": `scenarios` (TOML by arm), `engine`, `runs`, `versions`, `plugins`.

    Raises
    ------
    InvalidInput
        If there is no manifest, or it cannot be read.
    """
    path = folder if folder.name == MANIFEST else folder / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _no_manifest(folder) from error
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"cannot be read: {error}",
            name="manifest",
            value=str(path),
            allowed="JSON as `stressbook run` writes it",
        ) from error
    return _checked_manifest(found, path)


def _no_manifest(folder: Path) -> InvalidInput:
    """Return what is wrong with a folder, or with what was meant to be one."""
    problem, hint = "does not exist", "`stressbook run` prints the folder that it has saved"
    if (folder / STUDY).is_file():
        problem = "holds the study of two margin regimes"
        hint = f"its report is {folder / 'report.html'}; `stressbook replay` runs it again"
    elif folder.is_dir():
        problem = f"holds no {MANIFEST}"
        hint = "the run was stopped, or this is another folder: run the scenario again"
    return InvalidInput(
        problem, name="folder", value=str(folder), allowed="the folder of a finished run", hint=hint
    )


def _checked_manifest(found: Any, path: Path) -> dict[str, Any]:
    is_batch = isinstance(found, dict) and found.get("kind") == "batch"
    needed = _BATCH if is_batch else _RUN
    table = found if isinstance(found, dict) else {}
    missing = [key for key, kind in needed.items() if not isinstance(table.get(key), kind)]
    if missing or table.get("schema") != _SCHEMA:
        raise InvalidInput(
            f"lacks {', '.join(missing)}" if missing else "has another schema",
            name="manifest",
            value=str(path),
            allowed=f"schema {_SCHEMA} with {', '.join(needed)}",
            hint="run the scenario again with this version",
        )
    return table


def load_run(folder: Path) -> RunRecord:
    """Return the run that a folder holds.

    Parameters
    ----------
    folder : Path
        As written by `save_run`.

    Returns
    -------
    RunRecord

    Raises
    ------
    InvalidInput
        If a file is missing or cannot be read.
    """
    about = read_manifest(folder)
    if about.get("kind") == "batch":
        raise InvalidInput(
            "holds many runs, without their rows",
            name="folder",
            value=str(folder),
            allowed="the folder of one run",
            hint="run one of its seeds by itself: stressbook run NAME --seed SEED",
        )
    folder = folder.parent if folder.name == MANIFEST else folder
    load_kept_plugins(folder, about)
    series, events = _read_arrays(folder / "series.npz"), _read_arrays(folder / "events.npz")
    book = _records(series, "book", BOOK_ROW)
    outcomes = json.loads((folder / "outcomes.json").read_text(encoding="utf-8"))
    return RunRecord(
        scenario=scenario_from_table(tomllib.loads(about["scenario"]), source="scenario.toml"),
        seed=about["seed"],
        engine=about["engine"],
        digest=about["digest"],
        outcomes={name: math.nan if x is None else float(x) for name, x in outcomes.items()},
        series=Series(
            book,
            _records(series, "asset", ASSET_ROW),
            _records(series, "venue", VENUE_ROW),
            np.array([len(book)], np.int64),
        ),
        classes=_records(series, "class", CLASS_SUM),
        accounts=_records(series, "account", ACCOUNT_ROW),
        events=_records(events, "event", EVENT),
        refusals=dict(about.get("refusals", {})),
        replies=dict(about.get("replies", {})),
        enrolment=dict(about.get("enrolment", {})),
        rationed=dict(about.get("rationed", {})),
        onset_step=int(about.get("onset_step", 0)),
        system_usd=dict(about.get("system_usd", {})),
    )


def load_kept_plugins(folder: Path, about: Mapping[str, Any]) -> None:
    """Import the own agents and stresses that a run folder has kept.

    Raises
    ------
    InvalidInput
        If a class was typed into an interpreter, so that no file holds it.
    """
    for kept in about.get("plugins", ()):
        if _is_imported(kept):
            continue
        if kept["file"] is None:
            raise InvalidInput(
                "was typed in, no file holds it",
                name="own class of module",
                value=kept["module"],
                allowed="classes that come from a file",
                hint="define the class before, or put it into a file and run the scenario again",
            )
        load_plugin(folder / "plugins" / kept["file"])


def _is_imported(kept: Mapping[str, Any]) -> bool:
    """Say whether a module of own classes is here already, in the same words."""
    file = getattr(sys.modules.get(kept["module"]), "__file__", None)
    if not isinstance(file, str) or not Path(file).is_file():
        return kept["file"] is None and str(kept["module"]) in sys.modules
    return sha256(Path(file).read_bytes()).hexdigest() == str(kept["sha256"])


def write_json(path: Path, content: Any) -> None:
    """Write JSON in one move; what is no number becomes null."""
    write_whole(path, f"{json_text(content)}\n".encode())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in one move: readers see the old one, or the whole new one.

    Raises
    ------
    InvalidInput
        If the file cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_bytes(content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"cannot be written: {error.strerror}", name="file", value=str(path)
        ) from error


def claim_folder(folder: Path, made_by: str) -> None:
    """Take a folder for a result before it is made: a new or empty one, or that of the same.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    made_by : str
        What makes the result, the same for a command that goes on.

    Raises
    ------
    InvalidInput
        If files cannot be written there, or others would be written over.
    """
    mark = folder / _MARK
    try:
        former = mark.read_text(encoding="utf-8")
    except OSError:
        former = ""
    is_taken = folder.is_dir() and any(folder.iterdir())
    if is_taken and former != made_by:
        raise InvalidInput(
            "holds the result of something else" if former else "holds other files",
            name="folder",
            value=str(folder),
            allowed="a new or empty folder, or that of the same run",
            hint="give another folder",
        )
    write_whole(mark, made_by.encode())


def _write_arrays(path: Path, arrays: Mapping[str, Records]) -> None:
    buffer = io.BytesIO()
    plain: dict[str, Any] = {name: rows.view(_plain_dtype(rows)) for name, rows in arrays.items()}
    np.savez_compressed(buffer, **plain)
    write_whole(path, buffer.getvalue())


def _plain_dtype(array: Records) -> np.dtype[np.void]:
    return np.dtype([(name, array.dtype[name]) for name in array.dtype.names or ()])


def _read_arrays(path: Path) -> dict[str, Records]:
    try:
        with np.load(path, allow_pickle=False) as found:
            return dict(found)
    except (OSError, ValueError, EOFError) as error:
        raise InvalidInput(
            f"cannot be read: {error}",
            name="series",
            value=str(path),
            allowed="arrays as `stressbook run` writes them",
        ) from error


def _records(arrays: Mapping[str, Records], name: str, dtype: np.dtype[np.void]) -> Records:
    array = arrays.get(name)
    if array is None or array.dtype.names != dtype.names:
        raise InvalidInput(
            "has other columns than this version records",
            name=f"rows of {name}",
            value="none" if array is None else ", ".join(array.dtype.names or ()),
            allowed=", ".join(dtype.names or ()),
            hint="run the scenario again with this version",
        )
    return array.astype(dtype)
