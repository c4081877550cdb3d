"""One task for many seeds, in two processes, each result kept on disk as soon as it is there."""

from __future__ import annotations

import inspect
import json
import math
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from stressbook.errors import InvalidInput
from stressbook.experiments.run import Progress
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
    """
    if workers < 1:
        raise InvalidInput("is too small", name="workers", value=workers, allowed="1 or more")
    given = options or {}
    files = {seed: _file(folder, task, scenario, seed, given) for seed in seeds}
    found = {seed: kept for seed in seeds if (kept := _read(files[seed])) is not None}
    missing = [seed for seed in dict.fromkeys(seeds) if seed not in found]
    for seed, result in _run(task, scenario, missing, given, workers):
        found[seed] = _keep(files[seed], result)
        if progress is not None:
            progress(len(found) / len(files))
    return [found[seed] for seed in seeds]


def _run(
    task: Task, scenario: Scenario, seeds: Sequence[int], options: dict[str, Any], workers: int
) -> Any:
    """Yield seeds with what they came to, as they come."""
    if workers == 1 or len(seeds) < 2:
        for seed in seeds:
            yield seed, task(scenario, seed, **options)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(seeds)), mp_context=context) as pool:
        futures = {pool.submit(task, scenario, seed, **options): seed for seed in seeds}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _file(
    folder: Path | None, task: Task, scenario: Scenario, seed: int, options: dict[str, Any]
) -> Path | None:
    if folder is None:
        return None
    made_by = f"{scenario.digest()} {sorted(options.items())} {_sources(task)}"
    key = sha256(made_by.encode()).hexdigest()[:12]
    return folder / f"{task.__module__.rpartition('.')[2]}-{scenario.name}-{key}-{seed}.json"


def _sources(task: Task) -> str:
    """Return a digest of what a result depends on: the model, and the measuring of this task.

    Verdicts and tables are made anew from what is kept, so that their sources do not count.
    """
    measuring = Path(inspect.getfile(task))
    here = Path(__file__).parent
    package = here.parent.parent
    digest = sha256()
    for folder in ("market", "agents", "experiments"):
        for name, content in _contents(package / folder):
            apart = "validation" in Path(name).parts and Path(name).name not in _MEASURES
            if not apart or Path(name).name == measuring.name:
                digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


_MEASURES = ("watch.py", "holdings.py", "depth_profile.py")


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
