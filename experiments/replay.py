"""What a folder of results holds, run again: one run, many, or the study of two regimes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from stressbook.errors import InvalidInput
from stressbook.experiments.progress import Progress
from stressbook.experiments.regime_plan import RegimePlan, Variant
from stressbook.experiments.regimes import run_regimes
from stressbook.experiments.scenario import Scenario, scenario_from_table
from stressbook.experiments.store import MANIFEST, STUDY, load_kept_plugins, read_manifest
from stressbook.experiments.sweeps.cell import Job
from stressbook.experiments.sweeps.runner import run_jobs

__all__ = ["Replayed", "plan_of", "replay"]

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


def replay(folder: Path, *, workers: int = 1, progress: Progress | None = None) -> list[Replayed]:
    """Run again what a folder holds.

    Parameters
    ----------
    folder : Path
        Of one run, of many, or of a study; or its `manifest.json` or `study.json`.
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
        If the folder holds neither a manifest nor a study, or it cannot be read.
    StressbookError
        If a run of a study fails.
    """
    is_file = folder.name in (MANIFEST, STUDY)
    place = folder.parent if is_file else folder
    study = place / STUDY
    if folder == study or (not (place / MANIFEST).is_file() and study.is_file()):
        return _replay_study(study, workers, progress)
    about = read_manifest(place)
    load_kept_plugins(place, about)
    jobs, names, expected = _jobs(about)
    found = run_jobs(jobs, workers=workers, progress=progress)
    return [
        Replayed(name, digest, run.digest or run.error)
        for name, digest, run in zip(names, expected, found, strict=True)
    ]


def plan_of(about: Mapping[str, Any]) -> RegimePlan:
    """Return the plan that a study says it has run.

    Parameters
    ----------
    about : mapping
        Content of its `study.json`.

    Returns
    -------
    RegimePlan
        Without the shock in a sentence.
    """
    scenario = _scenario(about["scenario"])
    return RegimePlan(
        scenario=scenario,
        stresses=scenario.with_(stresses=about["stresses"]).stresses,
        target=about["target"],
        seeds=tuple(about["seeds"]),
        arms=tuple(about["arms"]),
        severities=tuple(about["severities"]),
        variants=tuple(Variant(name, world) for name, world in about["variants"].items()),
        n_variant_seeds=len(about["variant_seeds"]),
        shock_name=about.get("shock_name", ""),
    )


def _replay_study(path: Path, workers: int, progress: Progress | None) -> list[Replayed]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        plan, expected = plan_of(about), dict(about["episodes"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InvalidInput(
            f"cannot be read: {error}",
            name="study",
            value=str(path),
            allowed="JSON as `stressbook demo` writes it",
            hint="run the study again with this version",
        ) from error
    found = run_regimes(plan, workers=workers, progress=progress).digests
    return [Replayed(name, digest, found.get(name, "none")) for name, digest in expected.items()]


def _jobs(about: Mapping[str, Any]) -> tuple[list[Job], list[str], list[str]]:
    """Return jobs, their names and the digests that they had."""
    engine = about["engine"]
    if about.get("kind") != "batch":
        job = Job(_scenario(about["scenario"]), about["seed"], engine)
        return [job], [f"seed {about['seed']}"], [about["digest"]]
    scenarios = {arm: _scenario(text) for arm, text in about["scenarios"].items()}
    scenarios[_PLACEBO] = scenarios[about.get("placebo_of", list(scenarios)[-1])]
    whole = [run for run in about["runs"] if run["digest"]]
    jobs = [
        Job(scenarios[run["arm"]], run["seed"], engine, run["arm"] == _PLACEBO) for run in whole
    ]
    names = [f"{run['arm']}, seed {run['seed']}" for run in whole]
    return jobs, names, [run["digest"] for run in whole]


def _scenario(text: str) -> Scenario:
    return scenario_from_table(tomllib.loads(text), source="manifest.json")
