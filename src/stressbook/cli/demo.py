"""`demo`: from a fresh clone to a page that can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stressbook.cli.options import Json, Quiet
from stressbook.cli.terminal import note, progress_of, result, result_json
from stressbook.cli.warm import compile_once

__all__ = ["demo"]


def demo(
    seed: Annotated[int, typer.Option(min=0, help="Key of every draw.")] = 7,
    out: Annotated[Path, typer.Option(help="Folder of the result.")] = Path("results/runs/demo"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a small stress and write its report: the path printed is a page for a browser."""
    from stressbook.api import scenario
    from stressbook.experiments.store import write_whole

    small = scenario("skeleton")
    compile_once(small, engine="kernel", quiet=quiet)
    with progress_of("demo", quiet=quiet) as progress:
        run = small.run(seed=seed, progress=progress)
    run.save(out)
    page = out / "report.html"
    head = "<!doctype html><html lang=en><meta charset=utf-8><title>stressbook demo</title>"
    write_whole(page, f"{head}{run._repr_html_()}</html>\n".encode())
    if as_json:
        result_json({"path": str(page), "digest": run.digest, "outcomes": run.outcomes})
    else:
        result(str(page))
    note("open it in a browser", quiet=quiet)
