"""A reference study: arms under the shipped law, run with the same episodes, and what they say."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from stressbook.errors import StressbookError
from stressbook.experiments.caps.episodes import Changes, Episodes
from stressbook.experiments.caps.law import episode_seed
from stressbook.experiments.caps.study import CapStudy
from stressbook.experiments.caps.study_file import load_cap_study
from stressbook.experiments.progress import Progress
from stressbook.experiments.sweeps.cell import Job
from stressbook.experiments.sweeps.runner import run_jobs
from stressbook.market.compiling.arrays import F64

__all__ = [
    "BUDGET_USD",
    "SEEDS",
    "Arm",
    "ReferenceStudy",
    "Values",
    "always",
    "episode_seeds",
    "run_arms",
    "shipped_law",
]

SEEDS: Final = 59  # the fewest that support alpha 5 %
BUDGET_USD: Final = 25e6  # of suppliers' loss, as in the shipped study
Values = Mapping[str, Mapping[str, F64]]  # by arm, by outcome: one value an episode, in seed order

_LAW: Final = "usdc-borrow-cap"
_PURPOSE: Final = "reference studies"
_DIGITS: Final = 12  # kept of each value, so that tables follow from the file


@dataclass(frozen=True)
class Arm:
    """One column of a study.

    Parameters
    ----------
    name : str
        Of the arm, as files name it.
    about : mapping of str to value
        What a table says of it: date, caps, regime.
    preset, regime : str
        Rules; those of the shipped law's scenario if empty.
    changes : callable
        From the draws of an episode to what is changed on top of the law.
    """

    name: str
    about: Mapping[str, Any]
    preset: str = ""
    regime: str = ""
    changes: Callable[[Mapping[str, float]], Changes] = lambda _: Changes()


@dataclass(frozen=True)
class ReferenceStudy:
    """A question, what is run for it, and how its answer is read.

    Parameters
    ----------
    name : str
        Of its files and of its part of the page.
    arms : tuple of Arm
        All with the same episodes.
    outcomes : tuple of str
        Kept of each episode.
    rows : callable
        From values to a table: a record for each row.
    answer : callable
        From that table to two sentences.
    page : callable
        From that table to the table of the page, in Markdown.
    draw : callable
        From that table to a figure.
    """

    name: str
    arms: tuple[Arm, ...]
    outcomes: tuple[str, ...]
    rows: Callable[[Values], list[dict[str, Any]]]
    answer: Callable[[Sequence[Mapping[str, Any]]], tuple[str, str]]
    page: Callable[[Sequence[Mapping[str, Any]]], str]
    draw: Callable[[Sequence[Mapping[str, Any]]], Figure]


def always(changes: Changes) -> Callable[[Mapping[str, float]], Changes]:
    """Return what changes every episode alike."""
    return lambda _: changes


@cache
def shipped_law() -> CapStudy:
    """Return the shipped study of the USDC borrow cap, whose law all reference studies share."""
    return load_cap_study(_LAW)


def episode_seeds(n: int) -> tuple[int, ...]:
    """Return the seeds of the first episodes: none is one of a proposal or of a certificate."""
    return tuple(episode_seed(shipped_law().seed, _PURPOSE, i) for i in range(n))


def run_arms(
    study: ReferenceStudy,
    arms: Sequence[Arm],
    n: int,
    *,
    workers: int = 1,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str, F64]]:
    """Run arms on the first episodes.

    Parameters
    ----------
    study : ReferenceStudy
        Whose outcomes are kept.
    arms : sequence of Arm
        Of it.
    n : int
        Episodes of each arm.
    workers : int, default 1
        Processes.
    folder : Path, optional
        Where finished runs are kept, to go on.
    progress : callable, optional
        Told the share that is done.

    Returns
    -------
    dict of str to dict of str to ndarray of float64, shape (n,)
        By arm and outcome, to 12 digits.

    Raises
    ------
    StressbookError
        If an episode crashed: a reference has none.
    """
    seeds = episode_seeds(n)
    jobs = [job for arm in arms for job in _jobs(arm, seeds)]
    found = run_jobs(jobs, workers=workers, folder=folder, progress=progress)
    broken = [
        f"{job.label}, seed {job.seed}: {run.error}"
        for job, run in zip(jobs, found, strict=True)
        if run.error
    ]
    if broken:
        raise StressbookError(f"{len(broken)} of {len(jobs)} runs failed: {broken[0]}")
    return {
        arm.name: {
            name: np.array([rounded(run.outcomes[name]) for run in found[k * n : (k + 1) * n]])
            for name in study.outcomes
        }
        for k, arm in enumerate(arms)
    }


def rounded(value: float) -> float:
    """Return a value as it is kept: to 12 digits."""
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else value


def _jobs(arm: Arm, seeds: Sequence[int]) -> list[Job]:
    shipped = shipped_law()
    more = {"preset": arm.preset} if arm.preset else {}
    more |= {"margin_regime": arm.regime} if arm.regime else {}
    law = shipped.law
    episodes = Episodes(shipped.scenario.with_(**more), law)
    return [
        Job(
            episodes.scenario(seed, arm.changes(law.drawn(seed))),
            seed,
            label=arm.name,
            run_on_s=law.run_on_s,
        )
        for seed in seeds
    ]
