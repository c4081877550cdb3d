"""A study: combinations of levers and uncertainties times seeds, run as cells of one index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from stressbook.experiments.pool import Crew
from stressbook.experiments.progress import Progress
from stressbook.experiments.run import versions
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.store import write_json
from stressbook.experiments.sweeps.cell import Job, Replicate, keys_of
from stressbook.experiments.sweeps.cell_run import run_together
from stressbook.experiments.sweeps.design import Design
from stressbook.experiments.sweeps.factor import Factor, short_names
from stressbook.experiments.sweeps.index import Index
from stressbook.experiments.sweeps.runner import CellsFunction, run_cells
from stressbook.experiments.sweeps.series import require_parquet
from stressbook.experiments.sweeps.stopping import StopRule, run_in_rounds
from stressbook.experiments.versus import shared_onset_s

__all__ = ["Aim", "Point", "Study", "StudyRuns", "run_study", "save_study"]


@dataclass(frozen=True)
class Aim:
    """An outcome that a study looks at.

    Parameters
    ----------
    outcome : str
        Its name.
    budget : float, optional
        Largest allowed value, in the unit of the outcome.
    alpha : float
        Share of runs that may be over it.
    """

    outcome: str
    budget: float | None = None
    alpha: float = 0.05


@dataclass(frozen=True)
class Point:
    """One combination.

    Parameters
    ----------
    values : dict of str to object
        By place, levers first.
    scenario : Scenario
        Resolved.
    """

    values: dict[str, Any]
    scenario: Scenario


@dataclass(frozen=True)
class Study:
    """What a study file asks for; made by `load_study`.

    Parameters
    ----------
    name, summary : str
        What is printed.
    base : Scenario
        That is varied.
    seed, replicates : int
        Seeds are `seed`, `seed` + 1, ...; each combination has the same ones.
    design : str
        Which combinations are run.
    levers, uncertainties : tuple of Factor
        What is decided, and what is not known.
    aims : tuple of Aim
        Outcomes that are looked at.
    points : tuple of Point
        All combinations.
    series : tuple of str
        Rows of each step that are kept as Parquet.
    run_on_s : float
        How long an episode may go on past its end, s.
    table : mapping
        The file, as it was read.
    stop : StopRule, optional
        When a cell of levers is run no further; `replicates` is the most then.
    control : int, optional
        Rank of the cell of levers that all others are judged against.
    has_placebo : bool
        Whether the control runs again with one more order of one lot at the onset.
    """

    name: str
    summary: str
    base: Scenario
    seed: int
    replicates: int
    design: Design
    levers: tuple[Factor, ...]
    uncertainties: tuple[Factor, ...]
    aims: tuple[Aim, ...]
    points: tuple[Point, ...]
    series: tuple[str, ...] = ()
    run_on_s: float = 0.0
    table: Mapping[str, Any] = field(default_factory=dict)
    stop: StopRule | None = None
    control: int | None = None
    has_placebo: bool = False

    @property
    def n_cells(self) -> int:
        """Runs of the whole study; the most where cells stop."""
        return (len(self.points) + len(self.placebo_points())) * self.replicates

    def cells(self) -> tuple[tuple[int, ...], ...]:
        """Return the ranks of the combinations of each cell of levers."""
        found: dict[tuple[Any, ...], list[int]] = {}
        for rank, point in enumerate(self.points):
            levers = tuple(point.values[factor.place] for factor in self.levers)
            found.setdefault(levers, []).append(rank)
        return tuple(map(tuple, found.values()))

    def cell_levers(self) -> list[dict[str, Any]]:
        """Return what each cell of levers has in their places."""
        places = [factor.place for factor in self.levers]
        return [{p: self.points[ranks[0]].values[p] for p in places} for ranks in self.cells()]

    def paired_cells(self) -> tuple[int, ...]:
        """Return the cells that differ from the control, or the first, in nothing but levers."""
        cells, control = self.cells(), self.control or 0
        unknown = [[self._unknown(rank) for rank in ranks] for ranks in cells]
        return tuple(
            rank
            for rank in range(len(cells))
            if rank != control and unknown[rank] == unknown[control]
        )

    def placebo_points(self) -> tuple[int, ...]:
        """Return the combinations that run again with one more order."""
        return self.cells()[self.control or 0] if self.has_placebo else ()

    def _unknown(self, rank: int) -> tuple[Any, ...]:
        return tuple(self.points[rank].values[factor.place] for factor in self.uncertainties)

    @property
    def seeds(self) -> range:
        """Seeds of each combination."""
        return range(self.seed, self.seed + self.replicates)

    def labels(self) -> list[str]:
        """Return what each combination is counted under: the values of its levers."""
        return self._told(self.levers)

    def point_names(self) -> list[str]:
        """Return the values of levers and uncertainties of each combination."""
        return self._told((*self.levers, *self.uncertainties))

    def _told(self, factors: Sequence[Factor]) -> list[str]:
        names = short_names([factor.place for factor in factors])
        return [
            ", ".join(f"{name} = {_shown(point.values[place])}" for place, name in names.items())
            or self.base.name
            for point in self.points
        ]

    def jobs(self, folder: Path | None = None) -> list[Job]:
        """Return every run, seed by seed, so that a stopped study has whole rows.

        Parameters
        ----------
        folder : Path, optional
            Where series go.
        """
        labels = self.labels()
        series = "" if folder is None else str(folder / "series")
        onset_s = None
        if self.control is not None:  # what is paired is looked at from one moment on
            onset_s = shared_onset_s(*(point.scenario for point in self.points))
        ranks = [(rank, False) for rank in range(len(self.points))]
        ranks += [(rank, True) for rank in self.placebo_points()]
        return [
            Job(
                self.points[rank].scenario,
                seed,
                is_placebo=is_placebo,
                onset_s=onset_s,
                label=f"placebo of {labels[rank]}" if is_placebo else labels[rank],
                levers=tuple(self.points[rank].values.items()),
                run_on_s=self.run_on_s,
                series=() if is_placebo else self.series,
                series_folder=f"{series}/{rank:05d}" if self.series and not is_placebo else "",
            )
            for seed in self.seeds
            for rank, is_placebo in ranks
        ]


@dataclass(frozen=True)
class StudyRuns:
    """What came of a study.

    Parameters
    ----------
    study : Study
        What was asked.
    runs : tuple of tuple of Replicate
        Of each combination, in seed order; failed ones too. Those that were stopped have fewer.
    placebo : tuple of tuple of Replicate
        Of each combination of the control, with one more order; empty if none ran.
    """

    study: Study
    runs: tuple[tuple[Replicate, ...], ...]
    placebo: tuple[tuple[Replicate, ...], ...] = ()

    @property
    def n_runs(self) -> int:
        """Runs that were made."""
        return sum(map(len, self.runs)) + sum(map(len, self.placebo))

    def of_cell(self, cell: int) -> tuple[tuple[Replicate, ...], ...]:
        """Return the runs of each combination of a cell of levers."""
        return tuple(self.runs[rank] for rank in self.study.cells()[cell])

    def digest(self) -> str:
        """Return one SHA-256 for all runs, by combination and seed."""
        lines = [
            f"{rank} {run.seed} {run.digest}"
            for rank, several in enumerate(self.runs)
            for run in several
        ]
        lines += [
            f"placebo {rank} {run.seed} {run.digest}"
            for rank, several in enumerate(self.placebo)
            for run in several
        ]
        return sha256("\n".join(lines).encode()).hexdigest()


def run_study(
    study: Study,
    folder: Path | None = None,
    *,
    workers: int = 1,
    progress: Progress | None = None,
    executor: Executor | None = None,
    function: CellsFunction = run_together,
) -> StudyRuns:
    """Run what is missing of a study.

    Parameters
    ----------
    study : Study
        What is asked.
    folder : Path, optional
        Its index keeps each finished run; those that would come out the same now are not run
        again.
    workers, progress, executor
        As of `stressbook.experiments.sweeps.runner.run_jobs`.
    function : callable
        Runs cells; as of `run_cells`.

    Returns
    -------
    StudyRuns

    Raises
    ------
    InvalidInput, StressbookError
        As of `run_jobs`.
    """
    if study.series:
        require_parquet()
    jobs = study.jobs(folder)
    with Index(folder) as index, Crew() as crew:
        keys = keys_of(jobs)

        def run(ranks: Sequence[int], told: Progress | None) -> list[Replicate]:
            chosen = [keys[rank] for rank in ranks]
            run_cells(
                [jobs[rank] for rank in ranks],
                chosen,
                index,
                workers=workers,
                progress=told,
                executor=executor,
                function=function,
                crew=crew,
            )
            return index.runs(chosen)

        if study.stop is not None:
            rounds = run_in_rounds(study.stop, study.cells(), study.replicates, run, progress)
            return StudyRuns(study, rounds)
        found = _by_point(run(range(len(jobs)), progress), len(jobs) // study.replicates)
        n = len(study.points)
        return StudyRuns(study, found[:n], found[n:])


def save_study(found: StudyRuns, folder: Path) -> Path:
    """Write what a study asked, of which scenario, with which versions, and its digest.

    Parameters
    ----------
    found : StudyRuns
        What came of it.
    folder : Path
        Made if it is missing.

    Returns
    -------
    Path
        The file, `sweep.json`.
    """
    study = found.study
    about = {
        "schema": 1,
        "kind": "sweep",
        "study": dict(study.table),
        "scenario": study.base.to_toml(),
        "cells": found.n_runs,
        "digest": found.digest(),
        "versions": versions(),
    }
    write_json(folder / "sweep.json", about)
    return folder / "sweep.json"


def _by_point(runs: Sequence[Replicate], n_points: int) -> tuple[tuple[Replicate, ...], ...]:
    return tuple(tuple(runs[rank::n_points]) for rank in range(n_points))


def _shown(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.6g}" if is_number else str(value)
