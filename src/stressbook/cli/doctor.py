"""`doctor`: what this installation is and where it keeps things."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer

from stressbook.cli.options import Json
from stressbook.cli.run import RUNS
from stressbook.cli.terminal import result, result_json
from stressbook.cli.warm import compiled_mark

__all__ = ["doctor"]

_PACKAGES = ("stressbook", "numpy", "numba", "mesa", "scipy", "pandas", "matplotlib")


def doctor(as_json: Json = False) -> None:
    """Check versions, the kernel cache and where results go; exit with 2 if something is wrong."""
    found, problems = _look()
    if as_json:
        result_json({**found, "problems": problems})
    else:
        from stressbook.experiments.words import table

        result(table([(name, str(value)) for name, value in found.items()], indent=0))
        for problem in problems:
            result(f"problem: {problem}")
    if problems:
        raise typer.Exit(2)


def _look() -> tuple[dict[str, Any], list[str]]:
    from numba import config

    from stressbook.experiments.scenario_files.file import catalogue_names

    mark = compiled_mark()
    found: dict[str, Any] = {name: version(name) for name in _PACKAGES}
    found["python"] = platform.python_version()
    found["processors"] = os.cpu_count()
    found["kernels"] = "not compiled" if config.DISABLE_JIT else _kernels(mark)
    found["results"] = str(RUNS.resolve())
    found["scenarios"] = ", ".join(catalogue_names())
    problems = []
    if mark is None and not config.DISABLE_JIT:
        problems.append("no folder for compiled kernels: set STRESSBOOK_CACHE_DIR to one")
    if not _is_writable(RUNS):
        problems.append(f"cannot write to {RUNS.resolve()}: use --out, or another folder")
    return found, problems


def _kernels(mark: Path | None) -> str:
    if mark is None:
        return "compiled in each process"
    state = "compiled" if mark.exists() else "to be compiled at the first run"
    return f"{state}, kept in {mark.parent}"


def _is_writable(folder: Path) -> bool:
    nearest = folder.resolve()
    while not nearest.exists():
        nearest = nearest.parent
    return os.access(nearest, os.W_OK)
