"""`stressbook demo`: from a fresh clone to a page that can be read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["demo"]


def demo(
    seed: Annotated[int, typer.Option(help="Key of every draw.")] = 7,
    out: Annotated[Path, typer.Option(help="Folder of the result.")] = Path("results/runs/demo"),
) -> None:
    """Run a small stress and write a report of it."""
    from stressbook.api import demo as run_demo

    run = run_demo(seed=seed)
    run.save(out)
    page = out / "report.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><title>demo</title>{run._repr_html_()}")
    sys.stdout.write(f"{page}\n")
