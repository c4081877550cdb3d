"""One task for many seeds, in two processes, each result kept on disk as soon as it is there."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from stressbook.experiments.plugins import plugin_sources, sources_key
from stressbook.experiments.pool import Failure, map_missing, require_whole
from stressbook.experiments.progress import Progress
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.store import write_json

__all__ = ["Found", "Task", "run_seeds"]

Found = dict[str, float]  # what one seed came to, by name
Task = Callable[..., Found]  # (scenario, seed, **options), at the top of a module


def run_seeds(
    task: Task,
    scenario: Scenario,
    seeds: Sequence[int],
    *,
    options: dict[str, Any] | None = None,
    workers: int = 1,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> list[Found]:
    """Return what a task finds for each seed; what a former call has left on disk is read.

    Parameters
    ----------
    task : callable
        Called as `task(scenario, seed, **options)`, in another process when `workers` is above 1.
    scenario : Scenario
        What is run.
    seeds : sequence of int
        In the order of the results.
    options : dict, optional
        Plain values.
    workers : int, default 1
        Processes.
    folder : Path, optional
        Where results are kept, keyed by scenario, options and sources.
    progress : callable, optional
        Called with the share of seeds that is done.

    Returns
    -------
    list of dict of str to float
        By seed.

    Raises
    ------
    InvalidInput
        If `workers` is below 1.
    StressbookError
        If seeds failed, once all others have ended.
    """
    calls = [_Call(task, scenario, seed, options or {}) for seed in seeds]

    def keep(call: _Call, result: Found | Failure) -> Found | Failure:
        return result if isinstance(result, Failure) else _keep(_file(folder, call), result)

    found = map_missing(
        _run,
        calls,
        kept=lambda call: _read(_file(folder, call)),
        keep=keep,
        workers=workers,
        sources=plugin_sources(scenario),
        progress=progress,
    )
    return require_whole(found, [f"seed {seed}" for seed in seeds])


class _Call(NamedTuple):
    task: Task
    scenario: Scenario
    seed: int
    options: dict[str, Any]


def _run(call: _Call, _progress: Progress | None = None, /) -> Found:
    return call.task(call.scenario, call.seed, **call.options)


def _file(folder: Path | None, call: _Call) -> Path | None:
    if folder is None:
        return None
    made_by = f"{call.scenario.digest()} {sorted(call.options.items())} {_sources()}"
    key = sha256(made_by.encode() + _own(call.scenario)).hexdigest()[:12]
    task = call.task.__module__.rpartition(".")[2]
    return folder / f"{task}-{call.scenario.name}-{key}-{call.seed}.json"


def _own(scenario: Scenario) -> bytes:
    sources = plugin_sources(scenario)
    return sources_key(sources) if sources else b""


# What makes verdicts and tables anew from results that were kept.
_JUDGING: Final = ("verdicts.py", "table.py", "rebuild.py", "stressed.py")


def _sources() -> str:
    """Return a digest of what a result depends on: the model, and all that measures."""
    package = Path(__file__).parent.parent.parent
    digest = sha256()
    for folder in ("market", "agents", "experiments"):
        for name, content in _contents(package / folder):
            path = Path(name)
            if path.parent.name != "validation" or path.name not in _JUDGING:
                digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


@cache
def _contents(folder: Path) -> tuple[tuple[str, bytes], ...]:
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".toml"))
    return tuple((path.relative_to(folder.parent).as_posix(), path.read_bytes()) for path in files)


def _read(file: Path | None) -> Found | None:
    if file is None:
        return None
    try:
        found: dict[str, float | None] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return {name: math.nan if value is None else value for name, value in found.items()}


def _keep(file: Path | None, found: Found) -> Found:
    """Write a result; not-a-number becomes null, as JSON has none."""
    if file is not None:
        write_json(file, found)
    return found
