"""Many runs in parallel, each kept as soon as it is finished; the same numbers for any workers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from stressbook.errors import InvalidInput, StressbookError
from stressbook.experiments.arms import one_lot_order
from stressbook.experiments.plugins import plugin_sources, sources_key
from stressbook.experiments.pool import Failure, map_missing
from stressbook.experiments.run import Progress, RunRecord, record_of, run_scenario
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.store import write_json
from stressbook.market.compiling.kernel_cache import sources_digest

__all__ = ["Job", "Replicate", "require_any", "run_jobs", "run_placebo", "seeds_from"]


@dataclass(frozen=True)
class Job:
    """One run to be made.

    Parameters
    ----------
    scenario : Scenario
        What to run.
    seed : int
        Key of its draws.
    engine : {"kernel", "reference"}
        Which venue.
    is_placebo : bool
        Whether one order of one lot is added at the onset.
    onset_s : float, optional
        From when on drawdowns are looked at, and when margin is; the onset of the scenario if it
        is left out.
    """

    scenario: Scenario
    seed: int
    engine: str = "kernel"
    is_placebo: bool = False
    onset_s: float | None = None

    def file_name(self) -> str:
        """Return the name of its file in a folder of replicates."""
        mark = "-placebo" if self.is_placebo else ""
        return f"{self.scenario.name}-{self.scenario.digest()[:8]}{mark}-{self.seed}.json"


@dataclass(frozen=True)
class Replicate:
    """What is kept of one of many runs.

    Parameters
    ----------
    seed : int
        Key of its draws.
    digest : str
        SHA-256 of the run; empty if it failed.
    outcomes : dict of str to float
        By name; empty if it failed.
    error : str
        Why it failed; empty if it did not.
    """

    seed: int
    digest: str
    outcomes: dict[str, float]
    error: str = ""


def seeds_from(seed: int, reps: int) -> range:
    """Return consecutive seeds; keys of draws are hashed from them, so that runs are independent.

    Raises
    ------
    InvalidInput
        If `reps` is below 1, or `seed` below 0.

    Examples
    --------
    >>> list(seeds_from(7, 3))
    [7, 8, 9]
    """
    for name, value, low in (("reps", reps, 1), ("seed", seed, 0)):
        if value < low:
            raise InvalidInput("is too small", name=name, value=value, allowed=f"{low} or more")
    return range(seed, seed + reps)


def run_jobs(
    jobs: Sequence[Job],
    *,
    workers: int = 1,
    folder: Path | None = None,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> list[Replicate]:
    """Run jobs, one failure not stopping the others.

    Parameters
    ----------
    jobs : sequence of Job
        In the order of the results.
    workers : int, default 1
        Processes; 1 runs all here.
    folder : Path, optional
        Each finished run is written there; those of a former call with the same scenario, seed and
        sources are read instead of run.
    progress : callable, optional
        Called with the share that is done.
    executor : concurrent.futures.Executor, optional
        Runs the jobs instead of own processes; `workers` is not read then.

    Returns
    -------
    list of Replicate
        One for each job.

    Raises
    ------
    InvalidInput
        If `workers` is below 1, or own classes that no file holds should go to another process.
    """
    sources = dict.fromkeys(source for job in jobs for source in plugin_sources(job.scenario))
    found = map_missing(
        _run,
        jobs,
        kept=lambda job: _kept(job, folder),
        keep=lambda job, result: _keep(job, _replicate(job, result), folder),
        workers=workers,
        sources=tuple(sources),
        executor=executor,
        progress=progress,
    )
    return [_replicate(job, one) for job, one in zip(jobs, found, strict=True)]


def require_any(found: Sequence[Replicate]) -> None:
    """Refuse to go on with nothing.

    Raises
    ------
    StressbookError
        If every run failed, with the reasons.

    Examples
    --------
    >>> require_any([Replicate(7, "", {}, "LadderExhausted: left"), Replicate(8, "", {"x": 1.0})])
    >>> require_any([Replicate(7, "", {}, "LadderExhausted: left")])
    Traceback (most recent call last):
    ...
    stressbook.errors.StressbookError: 1 of 1 runs failed: LadderExhausted: left.
    """
    if all(run.error for run in found):
        reasons = "; ".join(dict.fromkeys(run.error.rstrip(".") for run in found))
        raise StressbookError(f"{len(found)} of {len(found)} runs failed: {reasons}")


def run_placebo(
    scenario: Scenario,
    *,
    seed: int,
    engine: str = "kernel",
    progress: Progress | None = None,
    onset_s: float | None = None,
) -> RunRecord:
    """Run a scenario with one more order of one lot at the onset: what differs then is noise.

    Parameters
    ----------
    scenario, seed, engine, progress, onset_s
        As of `run_scenario`; the order comes at the onset of the scenario.

    Returns
    -------
    RunRecord
    """
    sim = Simulation(scenario, seed=seed, engine=engine, onset_s=onset_s)
    try:
        before = min(round(scenario.onset_s * 1000) // sim.dt_ms, sim.n_steps_planned - 1)
        sim.advance(before)
        if progress is not None:
            progress(before / sim.n_steps_planned)
        sim.inject(one_lot_order)
        sim.advance(sim.n_steps_planned - before)
        return record_of(sim, seed=seed, engine=engine, onset_s=onset_s)
    finally:
        sim.close()


def _run(job: Job, progress: Progress | None = None, /) -> Replicate:
    run: Callable[..., RunRecord] = run_placebo if job.is_placebo else run_scenario
    record = run(
        job.scenario, seed=job.seed, engine=job.engine, progress=progress, onset_s=job.onset_s
    )
    return Replicate(job.seed, record.digest, record.outcomes)


def _replicate(job: Job, result: Replicate | Failure) -> Replicate:
    if isinstance(result, Failure):
        return Replicate(job.seed, "", {}, result.error)
    return result


def _kept(job: Job, folder: Path | None) -> Replicate | None:
    """Return what a former call has left of a job, if it would come out the same now."""
    if folder is None:
        return None
    try:
        found: dict[str, Any] = json.loads((folder / job.file_name()).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if found.pop("made_by", None) != _made_by(job) or found.get("error"):
        return None
    outcomes = {name: math.nan if x is None else x for name, x in found["outcomes"].items()}
    return Replicate(found["seed"], found["digest"], outcomes)


def _keep(job: Job, replicate: Replicate, folder: Path | None) -> Replicate:
    if folder is not None:
        write_json(folder / job.file_name(), {"made_by": _made_by(job), **asdict(replicate)})
    return replicate


def _made_by(job: Job) -> str:
    """Return what fixes a run beside its seed: scenario, engine, onset and all sources."""
    made_of = f"{job.scenario.digest()} {job.engine} {job.onset_s} {sources_digest()}"
    return sha256(made_of.encode() + sources_key(plugin_sources(job.scenario))).hexdigest()
