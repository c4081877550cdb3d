"""Several scenarios on the same draws, each judged against the first.

Every side runs with each seed, with its own opening book of the same draws. The placebo is the
first side once more with one more order of one lot at the onset: a difference inside what that
changes is not claimed. What the table shows is judged together, rows times sides; other outcomes
are measured and not judged. Seeds that failed in one side count in none; a side that failed in
every seed stands empty and leaves the seeds to the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from stressbook.errors import InvalidInput, Problem
from stressbook.experiments.claims import Claim, Word, claims
from stressbook.experiments.inference import Estimate, mean_estimate
from stressbook.experiments.losses import LOSSES
from stressbook.experiments.outcomes import unit_of
from stressbook.experiments.replicates import Job, Replicate, require_any, run_jobs, seeds_from
from stressbook.experiments.run import Progress
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.versus import require_same_clock, shared_onset_s
from stressbook.market.compiling.arrays import F64
from stressbook.market.rules.spec import VenueSpec

__all__ = ["PLACEBO", "Cell", "Contrasts", "compare_sides", "require_sides", "shown_outcomes"]

PLACEBO: Final = "placebo"
_SHOWN: Final = (
    "initial_margin_over_equity_frac",
    "initial_margin_usd",
    "gross_over_equity_frac",
    "borrowed_usd",
    "end_borrowed_usd",
    "liquidated_usd",
    "n_breaches",
    *(loss.name for loss in LOSSES),
)


@dataclass(frozen=True)
class Cell:
    """One outcome of one side.

    Parameters
    ----------
    outcome, unit, side : str
        What, in which unit, of whom.
    mean : Estimate
        Over seeds.
    difference : Estimate
        To the first side, paired by seed; n is 0 for the first itself.
    correlation : float
        With the first side over seeds; NaN where one does not vary.
    p : float
        Of the difference, two-sided, before Holm's correction over the table.
    verdict : str
        What may be said; see `stressbook.experiments.claims`.
    """

    outcome: str
    unit: str
    side: str
    mean: Estimate
    difference: Estimate
    correlation: float
    p: float
    verdict: Word


@dataclass(frozen=True)
class Contrasts:
    """Several scenarios, run with the same seeds.

    Parameters
    ----------
    sides : mapping of str to Scenario
        By name; all are compared with the first.
    runs : mapping of str to tuple of Replicate
        By side in seed order, and "placebo" unless it was left out.
    level : float
        Confidence of the intervals.
    """

    sides: Mapping[str, Scenario]
    runs: Mapping[str, tuple[Replicate, ...]]
    level: float = 0.95

    @property
    def first(self) -> str:
        """Name of the side that all others are compared with."""
        return next(iter(self.sides))

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds, failed ones too."""
        return tuple(replicate.seed for replicate in self.runs[self.first])

    @property
    def n_pairs(self) -> int:
        """Seeds that ended in all sides but those that never did."""
        return len(self._whole())

    @property
    def failures(self) -> dict[str, str]:
        """Why runs failed, by "side seed"."""
        return {
            f"{side} {replicate.seed}": replicate.error
            for side, replicates in self.runs.items()
            for replicate in replicates
            if replicate.error
        }

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Names of all outcomes that any run has."""
        names: dict[str, None] = {}
        for replicates in self.runs.values():
            for replicate in replicates:
                names |= dict.fromkeys(replicate.outcomes)
        return tuple(names)

    def values(self, outcome: str) -> dict[str, F64]:
        """Return an outcome of each side that ever ended, over the seeds that count.

        Parameters
        ----------
        outcome : str
            Its name.

        Returns
        -------
        dict of str to ndarray of float64, shape (n,)
        """
        whole = self._whole()
        return {
            side: np.array([self.runs[side][k].outcomes.get(outcome, math.nan) for k in whole])
            for side in self._ended()
        }

    def cells(self, judged: Sequence[str]) -> tuple[Cell, ...]:
        """Return every outcome of every side, outcome by outcome.

        Parameters
        ----------
        judged : sequence of str
            Outcomes that get a verdict; Holm's correction is over these times the other sides.
        """
        told = {name: self.values(name) for name in self.outcomes}
        others = [side for side in self._ended() if side not in (self.first, PLACEBO)]
        asked = [(name, side) for name in told if name in judged for side in others]
        rest = [(name, side) for name in told if name not in judged for side in others]
        found = self._claims(told, asked)
        found |= {
            key: replace(one, word="not judged") for key, one in self._claims(told, rest).items()
        }
        return tuple(
            self._cell(name, side, told[name], found.get((name, side)))
            for name in told
            for side in self.sides
        )

    def _claims(
        self, told: Mapping[str, Mapping[str, F64]], keys: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Claim]:
        rows = []
        for name, side in keys:
            by_side = told[name]
            noise = [by_side[PLACEBO] - by_side[self.first]] if PLACEBO in by_side else []
            rows.append((name, by_side[side], by_side[self.first], noise))
        return dict(zip(keys, claims(rows, level=self.level), strict=True))

    def _cell(self, name: str, side: str, by_side: Mapping[str, F64], claim: Claim | None) -> Cell:
        nothing = mean_estimate((), level=self.level)
        mean = mean_estimate(by_side.get(side, ()), level=self.level)
        if claim is None:
            return Cell(name, unit_of(name), side, mean, nothing, math.nan, math.nan, "not judged")
        return Cell(
            name,
            unit_of(name),
            side,
            mean,
            claim.difference,
            claim.correlation,
            claim.p,
            claim.word,
        )

    def _ended(self) -> list[str]:
        return [side for side, runs in self.runs.items() if not all(run.error for run in runs)]

    def _whole(self) -> list[int]:
        ended = self._ended()
        return [
            rank
            for rank in range(len(self.seeds))
            if not any(self.runs[side][rank].error for side in ended)
        ]


def shown_outcomes(outcomes: Sequence[str]) -> tuple[str, ...]:
    """Return what a table of several sides shows: margin, liquidations, losses, drawdowns.

    Parameters
    ----------
    outcomes : sequence of str
        Those that runs have.

    Returns
    -------
    tuple of str
        All of them, if none is of the usual ones.

    Examples
    --------
    >>> shown_outcomes(["fees_usd", "drawdown_BTC_frac", "liquidated_usd"])
    ('liquidated_usd', 'drawdown_BTC_frac')
    """
    found = [name for name in _SHOWN if name in outcomes]
    found += [name for name in outcomes if name.startswith("drawdown_")]
    return tuple(found or outcomes)


def require_sides(sides: Mapping[str, Scenario]) -> None:
    """Refuse what cannot be compared: one side, the same one twice, unequal lengths.

    Parameters
    ----------
    sides : mapping of str to Scenario
        By name, the first first.

    Raises
    ------
    InvalidInput
        With every problem.
    """
    if len(sides) < 2:
        raise InvalidInput(
            "is nothing to compare",
            name="sides",
            value=list(sides),
            allowed="2 or more scenarios",
            hint="name another, or give regimes: --regimes cross,scan:0.5",
        )
    problems: list[Problem] = []
    seen: list[tuple[str, tuple[str, VenueSpec]]] = []
    for name, scenario in sides.items():
        if name == PLACEBO:
            problems.append(Problem("names the runs with one more order", "side", name))
        content = _content(scenario)
        same = [known for known, other in seen if other == content]
        if same:
            problems.append(
                Problem(f"is the same as {same[0]!r}", "side", name, "each scenario once")
            )
        seen.append((name, content))
    if problems:
        raise InvalidInput.from_problems(problems)
    first, *others = sides.values()
    for other in others:
        require_same_clock(first, other)


def _content(scenario: Scenario) -> tuple[str, VenueSpec]:
    """Return what a run is made of: no name, and rules as they are, written out or not."""
    return replace(scenario, name="", summary="", venue={}).to_toml(), scenario.venue_spec()


def compare_sides(
    sides: Mapping[str, Scenario],
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
) -> Contrasts:
    """Run several scenarios with the same seeds.

    Parameters
    ----------
    sides : mapping of str to Scenario
        By name; all are judged against the first.
    reps, seed, engine, workers, level, folder, progress, executor
        As of `stressbook.experiments.versus.compare`.
    placebo : bool, default True
        Whether the first side also runs with one more order of one lot at the onset.

    Returns
    -------
    Contrasts

    Raises
    ------
    InvalidInput
        As `require_sides`; if `reps` or `workers` is below 1, or `seed` below 0.
    StressbookError
        If every run of the first side failed, or every run of all others.
    """
    require_sides(sides)
    onset_s = shared_onset_s(*sides.values())
    first = next(iter(sides))
    arms = {**sides, **({PLACEBO: sides[first]} if placebo else {})}
    # Seed by seed, so that a stopped comparison has whole rows.
    jobs = [
        Job(scenario, s, engine, arm == PLACEBO, onset_s)
        for s in seeds_from(seed, reps)
        for arm, scenario in arms.items()
    ]
    found = run_jobs(jobs, workers=workers, folder=folder, progress=progress, executor=executor)
    runs = {arm: tuple(found[k :: len(arms)]) for k, arm in enumerate(arms)}
    require_any(runs[first])
    require_any([run for side in list(sides)[1:] for run in runs[side]])
    return Contrasts(dict(sides), runs, level)
