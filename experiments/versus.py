"""Two scenarios on the same draws: paired differences, what pairing achieved, and a placebo.

Both scenarios run with each seed. Where they differ in a stress, everything before it is the same
run; where they differ in a structural lever (margin regime, caps, population), each has its own
opening book on the same draws. The placebo is the second scenario once more with one more order of
one lot at the onset: an effect inside what that changes is not claimed. All outcomes are judged
together, by the one judge of `stressbook.experiments.claims`. Drawdowns of all arms are looked at
from the first onset of either scenario on.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stressbook.errors import InvalidInput, Problem
from stressbook.experiments.claims import Word, claims
from stressbook.experiments.inference import Estimate, mean_estimate
from stressbook.experiments.moves import Horizons, target_assets
from stressbook.experiments.outcomes import unit_of
from stressbook.experiments.paired_runs import PairedRuns
from stressbook.experiments.progress import Progress
from stressbook.experiments.replicates import require_any, seeds_from
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.sweeps.cell import Job, Replicate
from stressbook.experiments.sweeps.runner import run_jobs
from stressbook.experiments.words import duration

__all__ = ["Comparison", "OutcomeEffect", "compare", "require_same_clock", "shared_onset_s"]

_ARMS: Final = ("control", "treated", "placebo")


@dataclass(frozen=True)
class OutcomeEffect:
    """What the second scenario changed in one outcome.

    Parameters
    ----------
    name, unit : str
        Of the outcome.
    control, treated : Estimate
        Means of the first and of the second scenario.
    difference : Estimate
        Of treated - control, paired by seed.
    placebo : Estimate
        Of placebo - treated, paired by seed: the noise of a single lot; n is 0 without a placebo.
    correlation : float
        Of the two over seeds; NaN where one does not vary.
    p : float
        Of the difference, two-sided, before Holm's correction over all outcomes.
    verdict : str
        What may be said; see `stressbook.experiments.claims`.
    """

    name: str
    unit: str
    control: Estimate
    treated: Estimate
    difference: Estimate
    placebo: Estimate
    correlation: float
    p: float
    verdict: Word


@dataclass(frozen=True)
class Comparison(PairedRuns):
    """Two scenarios, run with the same seeds.

    Parameters
    ----------
    control, treated : Scenario
        The first and the second.
    runs : dict of str to tuple of Replicate
        By arm: "control", "treated", and "placebo" unless it was left out; each in seed order.
    level : float
        Confidence of the intervals.
    """

    control: Scenario
    treated: Scenario
    runs: dict[str, tuple[Replicate, ...]]
    level: float = 0.95

    def by_horizon(self) -> tuple[Horizons, ...]:
        """Return what pairing achieved for the marks of the stressed assets, by horizon."""
        return self.horizons("treated", "control", target_assets(self.control, self.treated))

    def effects(self) -> tuple[OutcomeEffect, ...]:
        """Return what changed in every outcome, all judged together."""
        judged, noises = [], []
        for name in self.outcomes:
            found = self.values(name)
            noise = [found["placebo"] - found["treated"]] if "placebo" in found else []
            judged.append((name, found["treated"], found["control"], noise))
            noises.append(mean_estimate(noise[0] if noise else (), level=self.level))
        return tuple(
            OutcomeEffect(
                name=claim.name,
                unit=unit_of(claim.name),
                control=claim.control,
                treated=claim.treated,
                difference=claim.difference,
                placebo=placebo,
                correlation=claim.correlation,
                p=claim.p,
                verdict=claim.word,
            )
            for claim, placebo in zip(claims(judged, level=self.level), noises, strict=True)
        )


def compare(
    control: Scenario,
    treated: Scenario,
    *,
    reps: int,
    seed: int,
    engine: str = "kernel",
    workers: int = 1,
    placebo: bool = True,
    level: float = 0.95,
    folder: Path | None = None,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> Comparison:
    """Run two scenarios with the same seeds.

    Parameters
    ----------
    control, treated : Scenario
        The second is judged against the first.
    reps : int
        Number of seeds.
    seed : int
        First of them: `seed`, `seed` + 1, ...; keys of draws are hashed from them.
    engine : {"kernel", "reference"}
        Which venue.
    workers : int, default 1
        Processes; the numbers are the same for any.
    placebo : bool, default True
        Whether the placebo runs too, which makes three runs a seed of two.
    level : float, default 0.95
        Confidence of the intervals.
    folder : Path, optional
        Finished runs are kept there, and read again by the same call.
    progress : callable, optional
        Called with the share that is done.
    executor : concurrent.futures.Executor, optional
        Runs the jobs instead of own processes.

    Returns
    -------
    Comparison

    Raises
    ------
    InvalidInput
        If `reps` or `workers` is below 1, or `seed` below 0; if the two differ in warm-up, length
        or step, all differences at once.
    StressbookError
        If every run failed.
    """
    require_same_clock(control, treated)
    arms = _ARMS if placebo else _ARMS[:2]
    # Seed by seed, so that a stopped comparison has whole pairs.
    onset_s = shared_onset_s(control, treated)
    jobs = [
        Job(control if arm == "control" else treated, s, engine, arm == "placebo", onset_s)
        for s in seeds_from(seed, reps)
        for arm in arms
    ]
    found = run_jobs(jobs, workers=workers, folder=folder, progress=progress, executor=executor)
    require_any(found)
    return Comparison(control, treated, _by_arm(found, arms), level)


def shared_onset_s(*scenarios: Scenario) -> float:
    """Return when the first stress of any starts; without one, when the last warm-up ends."""
    starts = [stress.at_s for scenario in scenarios for stress in scenario.stresses]
    return min(starts) if starts else max(scenario.warmup_s for scenario in scenarios)


def require_same_clock(control: Scenario, treated: Scenario) -> None:
    """Refuse runs of unequal length: what they add up would differ by the time alone.

    Raises
    ------
    InvalidInput
        With every difference of warm-up, length and step.
    """
    differing = [
        Problem(
            "is not that of the first scenario",
            f"{field} of {treated.name}",
            duration(getattr(treated, f"{field}_s")),
            duration(getattr(control, f"{field}_s")),
            f"the second takes it with --set {field}=.., or with_({field}=..)",
        )
        for field in ("warmup", "duration", "dt")
        if getattr(control, f"{field}_s") != getattr(treated, f"{field}_s")
    ]
    if differing:
        raise InvalidInput.from_problems(differing)


def _by_arm(found: Sequence[Replicate], arms: Sequence[str]) -> dict[str, tuple[Replicate, ...]]:
    return {arm: tuple(found[k :: len(arms)]) for k, arm in enumerate(arms)}
