"""Several scenarios on the same draws, each judged against one of them, the control.

Every side runs with each seed, with its own opening book of the same draws. The placebo is the
control once more with one more order of one lot at the onset: a difference inside what that
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

from stressbook.errors import InvalidInput, Problem, UnknownName
from stressbook.experiments.claims import Claim, Word, claims
from stressbook.experiments.inference import Estimate, mean_estimate
from stressbook.experiments.moves import Horizons, target_assets
from stressbook.experiments.outcome_words import MARGIN_ASKED
from stressbook.experiments.outcomes import unit_of
from stressbook.experiments.paired_runs import PairedRuns
from stressbook.experiments.progress import Progress
from stressbook.experiments.replicates import require_any, seeds_from
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.statistics.exact import share_estimate
from stressbook.experiments.sweeps.cell import Job, Replicate
from stressbook.experiments.sweeps.runner import run_jobs
from stressbook.experiments.versus import require_same_clock, shared_onset_s
from stressbook.market.compiling.arrays import F64
from stressbook.market.rules.spec import VenueSpec

__all__ = ["PLACEBO", "Cell", "Contrasts", "compare_sides", "require_sides"]

PLACEBO: Final = "placebo"


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
        To the control, paired by seed; n is 0 for the control itself.
    correlation : float
        With the control over seeds; NaN where one does not vary.
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
class Contrasts(PairedRuns):
    """Several scenarios, run with the same seeds.

    Parameters
    ----------
    sides : mapping of str to Scenario
        By name.
    runs : mapping of str to tuple of Replicate
        By side in seed order, and "placebo" unless it was left out.
    level : float
        Confidence of the intervals.
    control : str
        Side that all others are compared with; the first if it is left out.
    placebo_of : str
        Side that ran with one more order; that one if it is left out.
    """

    sides: Mapping[str, Scenario]
    runs: Mapping[str, tuple[Replicate, ...]]
    level: float = 0.95
    control: str = ""
    placebo_of: str = ""

    def __post_init__(self) -> None:
        first = self.control or next(iter(self.sides))
        object.__setattr__(self, "control", first)
        object.__setattr__(self, "placebo_of", self.placebo_of or first)

    @property
    def in_order(self) -> tuple[str, ...]:
        """Names of the sides, the one that others are compared with first."""
        return (self.control, *(side for side in self.sides if side != self.control))

    @property
    def regimes_differ(self) -> bool:
        """Whether sides are margined by different rules."""
        rules = [(one.margin_regime, one.venue_spec().enrolled) for one in self.sides.values()]
        return any(one != rules[0] for one in rules)

    def against(self, side: str) -> Contrasts:
        """Return the same runs, compared with another side; the placebo stays what it was.

        Raises
        ------
        UnknownName
            If there is no such side.
        """
        if side not in self.sides:
            raise UnknownName("side", side, known=self.sides)
        return replace(self, control=side)

    def below_zero(self) -> dict[str, Estimate]:
        """Return the share of seeds in which the backstop's equity fell below zero, by side.

        Returns
        -------
        dict of str to Estimate
            With exact intervals; empty if runs do not tell.
        """
        if "backstop_low_usd" not in self.outcomes:
            return {}
        lows = self.values("backstop_low_usd")
        return {
            side: share_estimate(int((x < 0.0).sum()), len(x), level=self.level)
            for side, x in lows.items()
            if side in self.sides
        }

    def by_horizon(self) -> dict[str, tuple[Horizons, ...]]:
        """Return what pairing with the control achieved for marks, by side and horizon."""
        ended, assets = self._ended(), target_assets(*self.sides.values())
        others = [side for side in ended if side not in (self.control, PLACEBO)]
        if self.control not in ended:
            return {}
        return {side: self.horizons(side, self.control, assets) for side in others}

    def alike(self) -> list[tuple[str, ...]]:
        """Return groups of sides that came out the same but for the margin that is asked."""
        groups: list[list[str]] = []
        for side in self._ended():
            if side == PLACEBO:
                continue
            same = [group for group in groups if not self._beyond_margin(side, group[0])]
            if same:
                same[0].append(side)
            else:
                groups.append([side])
        return [tuple(group) for group in groups if len(group) > 1]

    def placebo_changed(self) -> tuple[str, ...] | None:
        """Return what one more order changed in any seed; None if no placebo ran."""
        ended = self._ended()
        if PLACEBO not in ended or self.placebo_of not in ended:
            return None
        return self.changed(PLACEBO, self.placebo_of)

    def _beyond_margin(self, side: str, other: str) -> list[str]:
        return [name for name in self.changed(side, other) if name not in MARGIN_ASKED]

    def _counted(self) -> list[str]:
        return self._ended()

    def cells(self, judged: Sequence[str]) -> tuple[Cell, ...]:
        """Return every outcome of every side, outcome by outcome.

        Parameters
        ----------
        judged : sequence of str
            Outcomes that get a verdict; Holm's correction is over these times the other sides.
        """
        told = {name: self.values(name) for name in self.outcomes}
        others = [side for side in self._ended() if side not in (self.control, PLACEBO)]
        asked = [(name, side) for name in told if name in judged for side in others]
        rest = [(name, side) for name in told if name not in judged for side in others]
        found = self._claims(told, asked)
        found |= {
            key: replace(one, word="not judged") for key, one in self._claims(told, rest).items()
        }
        return tuple(
            self._cell(name, side, told[name], found.get((name, side)))
            for name in told
            for side in self.in_order
        )

    def _claims(
        self, told: Mapping[str, Mapping[str, F64]], keys: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Claim]:
        rows = []
        for name, side in keys:
            by_side = told[name]
            noise = self._noise(by_side)
            rows.append((name, by_side[side], by_side[self.control], noise))
        return dict(zip(keys, claims(rows, level=self.level), strict=True))

    def _noise(self, by_side: Mapping[str, F64]) -> list[F64]:
        both = PLACEBO in by_side and self.placebo_of in by_side
        return [by_side[PLACEBO] - by_side[self.placebo_of]] if both else []

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
    control: str = "",
) -> Contrasts:
    """Run several scenarios with the same seeds.

    Parameters
    ----------
    sides : mapping of str to Scenario
        By name.
    reps, seed, engine, workers, level, folder, progress, executor
        As of `stressbook.experiments.versus.compare`.
    placebo : bool, default True
        Whether the control also runs with one more order of one lot at the onset.
    control : str
        Side that all others are judged against; the first if it is left out.

    Returns
    -------
    Contrasts

    Raises
    ------
    InvalidInput
        As `require_sides`; if `reps` or `workers` is below 1, or `seed` below 0.
    StressbookError
        If every run of the control failed, or every run of all others.
    UnknownName
        If the control is none of the sides.
    """
    require_sides(sides)
    onset_s = shared_onset_s(*sides.values())
    first = control or next(iter(sides))
    if first not in sides:
        raise UnknownName("side", first, known=sides)
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
    require_any([run for side in sides if side != first for run in runs[side]])
    return Contrasts(dict(sides), runs, level, first)
