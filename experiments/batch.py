"""The manifest of many runs, and the replay of any folder."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from stressbook.experiments.plugins import plugin_sources
from stressbook.experiments.replicates import Job, Replicate, run_jobs
from stressbook.experiments.run import Progress, versions
from stressbook.experiments.scenario import Scenario, scenario_from_table
from stressbook.experiments.store import (
    keep_plugins,
    load_kept_plugins,
    read_manifest,
    write_json,
)

__all__ = ["Replayed", "batch_digest", "batch_folder_name", "replay", "save_batch"]

_PLACEBO: Final = "placebo"


class Replayed(NamedTuple):
    """One run of a folder, run again."""

    run: str  # "seed 7", or "treated, seed 7"
    expected: str  # digest in the manifest
    found: str  # digest now; the error if it failed

    @property
    def is_equal(self) -> bool:
        """Whether the run came out the same."""
        return self.expected == self.found


def batch_digest(runs: Mapping[str, Sequence[Replicate]]) -> str:
    """Return one SHA-256 for all runs, by arm and seed."""
    lines = [f"{arm} {run.seed} {run.digest}" for arm, several in runs.items() for run in several]
    return sha256("\n".join(lines).encode()).hexdigest()


def batch_folder_name(scenarios: Mapping[str, Scenario], *, seed: int, reps: int) -> str:
    """Return the name of the folder of many runs: scenarios, seeds, digits that tell variants."""
    names = dict.fromkeys(scenario.name for scenario in scenarios.values())
    joined = sha256(" ".join(scenario.digest() for scenario in scenarios.values()).encode())
    return f"{'-versus-'.join(names)}-{seed}x{reps}-{joined.hexdigest()[:8]}"


def save_batch(
    folder: Path,
    scenarios: Mapping[str, Scenario],
    runs: Mapping[str, Sequence[Replicate]],
    *,
    engine: str,
) -> Path:
    """Write the manifest of many runs.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    scenarios : mapping of str to Scenario
        By arm; the placebo is run with the scenario of the last arm.
    runs : mapping of str to sequence of Replicate
        By arm.
    engine : str
        Of all runs.

    Returns
    -------
    Path
        The folder.
    """
    sources = dict.fromkeys(s for one in scenarios.values() for s in plugin_sources(one))
    about = {
        "schema": 1,
        "kind": "batch",
        "scenarios": {arm: scenario.to_toml() for arm, scenario in scenarios.items()},
        "engine": engine,
        "digest": batch_digest(runs),
        "runs": [
            {"arm": arm, "seed": run.seed, "digest": run.digest, "error": run.error}
            for arm, several in runs.items()
            for run in several
        ],
        "versions": versions(),
        "plugins": keep_plugins(folder, tuple(sources)),
    }
    write_json(folder / "manifest.json", about)
    return folder


def replay(folder: Path, *, workers: int = 1, progress: Progress | None = None) -> list[Replayed]:
    """Run again what a folder holds.

    Parameters
    ----------
    folder : Path
        Of one run, or of many.
    workers : int, default 1
        Processes.
    progress : callable, optional
        Called with the share that is done.

    Returns
    -------
    list of Replayed
        One for each run that had not failed.

    Raises
    ------
    InvalidInput
        If there is no manifest, or it cannot be read.
    """
    about = read_manifest(folder)
    load_kept_plugins(folder.parent if folder.suffix == ".json" else folder, about)
    jobs, names, expected = _jobs(about)
    found = run_jobs(jobs, workers=workers, progress=progress)
    return [
        Replayed(name, digest, run.digest or run.error)
        for name, digest, run in zip(names, expected, found, strict=True)
    ]


def _jobs(about: Mapping[str, Any]) -> tuple[list[Job], list[str], list[str]]:
    """Return jobs, their names and the digests that they had."""
    engine = about["engine"]
    if about.get("kind") != "batch":
        job = Job(_scenario(about["scenario"]), about["seed"], engine)
        return [job], [f"seed {about['seed']}"], [about["digest"]]
    scenarios = {arm: _scenario(text) for arm, text in about["scenarios"].items()}
    last = list(scenarios)[-1]
    whole = [run for run in about["runs"] if run["digest"]]
    jobs = [
        Job(scenarios.get(run["arm"], scenarios[last]), run["seed"], engine, run["arm"] == _PLACEBO)
        for run in whole
    ]
    names = [f"{run['arm']}, seed {run['seed']}" for run in whole]
    return jobs, names, [run["digest"] for run in whole]


def _scenario(text: str) -> Scenario:
    return scenario_from_table(tomllib.loads(text), source="manifest.json")
