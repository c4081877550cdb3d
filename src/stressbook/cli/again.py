"""`replay` and `report`: what a folder of results can still do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stressbook.cli.options import Json, Quiet, Workers
from stressbook.cli.terminal import STARTS_AFRESH, progress_of, result, result_json, stopping

__all__ = ["replay", "report"]

Replayable = Annotated[
    Path, typer.Argument(metavar="PATH", help="Folder that run, versus or demo has saved.")
]
RunFolder = Annotated[
    Path, typer.Argument(metavar="PATH", help="Folder of one run that `run` has saved.")
]


def replay(
    path: Replayable, workers: Workers = 1, as_json: Json = False, quiet: Quiet = False
) -> None:
    """Run again what a folder holds, and compare the digests; exit with 1 if one differs."""
    from stressbook.experiments.replay import replay as run_again

    with stopping(STARTS_AFRESH), progress_of(f"replay {path}", quiet=quiet) as progress:
        found = run_again(path, workers=workers, progress=progress)
    differing = [each for each in found if not each.is_equal]
    if as_json:
        rows = [{**each._asdict(), "equal": each.is_equal} for each in found]
        result_json({"path": str(path), "equal": not differing, "runs": rows})
    else:
        for each in differing:
            result(f"{each.run} differs: {each.expected} in the folder, {each.found} now")
        result(f"{len(found) - len(differing)} of {len(found)} runs came out the same")
    if differing:
        raise typer.Exit(1)


def report(
    path: RunFolder,
    out: Annotated[
        Path | None, typer.Option(help="The file; report.html in the folder if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the report of one run, saved by `run`, as one HTML file; `demo` writes its own."""
    from stressbook.api import RunResult

    page = RunResult.load(path).report(out or path / "report.html")
    if as_json:
        result_json({"path": str(page)})
    else:
        result(str(page))
