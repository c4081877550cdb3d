"""`sweep` and `status`: studies of many runs, and how far one is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stressbook.cli.options import Dask, Json, Out, Plugins, Quiet, Workers
from stressbook.cli.run import RUNS
from stressbook.cli.terminal import (
    goes_on,
    note,
    progress_of,
    result,
    result_json,
    stopping,
)
from stressbook.cli.warm import compile_once

if TYPE_CHECKING:
    from stressbook.api.study import StudyResult
    from stressbook.experiments.sweeps.status import Status

__all__ = ["status", "sweep"]

StudyFile = Annotated[
    str, typer.Argument(metavar="FILE", help="Study as TOML, or the name of a shipped one.")
]
SweepFolder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Folder of sweep, versus or run --reps.")
]


def sweep(
    file: StudyFile,
    workers: Workers = 1,
    dask: Dask = None,
    out: Out = None,
    plugins: Plugins = [],  # noqa: B006 - typer copies it
    yes: Annotated[
        bool, typer.Option("--yes", help="Run more cells than the limit of the study.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 if a cell is over a budget.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a study: levers and uncertainties times seeds, each outcome with its interval.

    What is finished is kept: a sweep that was stopped goes on by the same command.
    """
    from stressbook.api import Scenario, load_plugin
    from stressbook.api import sweep as run_sweep
    from stressbook.experiments.store import claim_folder
    from stressbook.experiments.sweeps.index import INDEX, is_there
    from stressbook.experiments.sweeps.study import save_study
    from stressbook.experiments.sweeps.study_file import load_study

    for path in plugins:
        load_plugin(path)
    study = load_study(file, allow_many=yes)
    place = out or RUNS / f"sweep-{study.name}"
    claim_folder(place, f"sweep of {study.name}")
    most = " at most" if study.stop is not None else ""
    note(f"{study.n_cells} runs{most}, kept in {place}: stressbook status {place}", quiet=quiet)
    with stopping(goes_on(place)):
        if dask is None:
            compile_once(Scenario(study.base), engine="kernel", quiet=quiet)
        with progress_of(study.name, quiet=quiet) as progress:
            found = run_sweep(
                study,
                workers=workers,
                folder=place if is_there(place / INDEX) else place / "runs",
                dask=dask,
                progress=progress,
            )
    save_study(found.found, place)
    _tell(found, place, as_json=as_json)
    if found.failures:
        raise typer.Exit(3)
    if check and not found.holds:
        raise typer.Exit(1)


def _tell(found: StudyResult, place: Path, *, as_json: bool) -> None:
    if not as_json:
        result(found.summary())
        result(f"digest {found.digest}")
        result(f"saved {place}")
        return
    from stressbook.experiments.sweeps.contrast import placebo_changed
    from stressbook.experiments.words import UNVALIDATED

    study = found.study
    result_json(
        {
            "study": study.name,
            "scenario": study.base.name,
            "design": study.design,
            "unvalidated": UNVALIDATED,
            "cells": found.found.n_runs,
            "seeds": list(study.seeds),
            "digest": found.digest,
            "path": str(place),
            "holds": found.holds,
            "outcomes": found.rows(),
            "control": study.control,
            "placebo_changed": placebo_changed(found.found),
            "moves": {
                str(cell): [asdict(one) for one in several]
                for cell, several in found.by_horizon().items()
            },
            "failed": found.failures,
        }
    )


def status(folder: SweepFolder, as_json: Json = False) -> None:
    """Say how far a sweep is: cells by state and label, rate, time left, failures."""
    from stressbook.experiments.sweeps.status import read_status

    found = read_status(folder)
    if as_json:
        result_json(_status_table(found))
        return
    for line in _status_lines(found):
        result(line)


def _status_table(found: Status) -> dict[str, Any]:
    return {
        "folder": str(found.folder),
        "process": found.owner,
        "cells": found.n_cells,
        "states": found.counts,
        "labels": found.by_label,
        "rate_per_s": found.rate_per_s,
        "cell_s": found.cell_s,
        "left_s": found.left_s,
        "stopped_early": found.stopped_early,
        "failures": [
            {"label": label, "seed": seed, "error": error} for label, seed, error in found.failures
        ],
    }


def _status_lines(found: Status) -> list[str]:
    from stressbook.experiments.sweeps.status import STATES
    from stressbook.experiments.words import table

    who = f"run by process {found.owner}" if found.owner else "not being run"
    states = ", ".join(f"{found.counts[state]} {state}" for state in STATES)
    lines = [f"{found.folder}: {found.n_cells} cells, {who}", f"{states}"]
    if found.stopped_early:
        lines.append(f"{found.stopped_early} stopped where their outcome was decided")
    if found.left_s is not None:
        lines.append(f"{found.rate_per_s:.3g} cells a second, about {_time(found.left_s)} left")
    if len(found.by_label) > 1:
        rows: list[tuple[str, ...]] = [("cell", *STATES)]
        rows += [
            (label or "-", *(str(counts[state]) for state in STATES))
            for label, counts in found.by_label.items()
        ]
        lines.append(table(rows, aligned="lrrrr"))
    lines += [
        f"failed, {label or '-'}, seed {seed}: {error}" for label, seed, error in found.failures
    ]
    return lines


def _time(seconds: float) -> str:
    if seconds < 90.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 5400.0 else f"{seconds / 3600.0:.1f} h"
