"""`demo`: from a fresh clone to a page that can be read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from stressbook.cli.options import Json, Quiet
from stressbook.cli.terminal import goes_on, note, progress_of, result, result_json, stopping
from stressbook.cli.warm import compile_once

__all__ = ["demo"]


def demo(
    seeds: Annotated[int, typer.Option(min=1, help="How many paired seeds, from 1 on.")] = 8,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; as many as processors if not given.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Long warm-up and horizon.")] = False,
    out: Annotated[Path, typer.Option(help="Folder of the result.")] = Path("results/runs/demo"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Break the calibrated market under two margin regimes; the path printed is a page to read."""
    from stressbook.api import scenario
    from stressbook.experiments.store import STUDY
    from stressbook.report import run_demo

    with stopping(goes_on(out)):
        compile_once(scenario("hyperliquid"), engine="kernel", quiet=quiet)
        with progress_of("demo", quiet=quiet) as progress:
            page = run_demo(
                out,
                seeds=range(1, seeds + 1),
                workers=workers or os.cpu_count() or 1,
                full=full,
                progress=progress,
            )
    study = page.with_name(STUDY)
    verdict = json.loads(study.read_text(encoding="utf-8"))["verdict"]
    if as_json:
        result_json({"path": str(page), "study": str(study), "verdict": verdict})
    else:
        result("\n".join([f"{verdict['tag']}.", *verdict["sentences"], str(page)]))
    note("open it in a browser", quiet=quiet)
