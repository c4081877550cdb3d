"""`calibrate`: from recordings to the numbers of a world and its flow."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from stressbook.cli.options import Json, Quiet
from stressbook.cli.terminal import STARTS_AFRESH, note, result, stopping

__all__ = ["calibrate"]


def calibrate(
    folder: Annotated[
        Path, typer.Argument(help="Holds one recording of each kind; docs/calibration.md has them.")
    ],
    seed: Annotated[int, typer.Option(min=0, help="Of bootstraps and simulated records.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Folder for calibration.json and calibration.toml.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Estimate the numbers of a world and its flow from recordings."""
    from stressbook.experiments.calibration import calibrate as estimate
    from stressbook.experiments.store import claim_folder, write_whole

    if out is not None:
        claim_folder(out, "calibration")
    told = partial(note, "estimating, about 20 s ...", quiet=quiet)
    with stopping(STARTS_AFRESH):
        found = estimate(folder, seed=seed, ready=told)
    if out is not None:
        write_whole(out / "calibration.json", found.to_json().encode())
        write_whole(out / "calibration.toml", found.to_toml().encode())
        note(f"saved {out}", quiet=quiet)
    result(found.to_json() if as_json else found.summary())
