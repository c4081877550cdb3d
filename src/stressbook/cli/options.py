"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Dask",
    "Engine",
    "Json",
    "Out",
    "Plugins",
    "Quiet",
    "Reps",
    "ScenarioName",
    "Seed",
    "Sets",
    "Stresses",
    "Workers",
]

ScenarioName = Annotated[
    str, typer.Argument(metavar="NAME|FILE", help="Name that `list` prints, or a TOML file.")
]
Seed = Annotated[
    int | None, typer.Option(min=0, help="Key of every draw; drawn and printed if left out.")
]
Sets = Annotated[
    list[str],
    typer.Option("--set", metavar="PLACE=VALUE", help="Change one number; may be repeated."),
]
Stresses = Annotated[
    list[str],
    typer.Option(
        "--stress",
        metavar="KIND:FIELD=VALUE,..",
        help="Add a stress, as in price_gap:at=30min,fall_frac=0.2; may be repeated.",
    ),
]
Plugins = Annotated[
    list[Path],
    typer.Option("--plugin", metavar="FILE", help="Import own agents and stresses; repeatable."),
]
Engine = Annotated[str, typer.Option(metavar="kernel|reference", help="Which venue runs.")]
Reps = Annotated[int, typer.Option(min=1, help="Number of seeds: SEED, SEED + 1, ...")]
Workers = Annotated[int, typer.Option(min=1, help="Processes; the numbers are the same for any.")]
Dask = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Scheduler of Dask, whose workers run the study."),
]
Out = Annotated[
    Path | None, typer.Option(help="Folder of the result; below results/runs if left out.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")]
