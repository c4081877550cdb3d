"""A study run: frames, a summary and a figure of what came of each cell."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stressbook.api.figure import make_axes
from stressbook.api.study_table import heads, notes_of, row_of, shown
from stressbook.errors import UnknownName
from stressbook.experiments.moves import Horizons
from stressbook.experiments.outcomes import unit_of
from stressbook.experiments.progress import Progress
from stressbook.experiments.sweeps.cluster import chosen_executor
from stressbook.experiments.sweeps.contrast import cells_by_horizon
from stressbook.experiments.sweeps.factor import short_names
from stressbook.experiments.sweeps.status import index_folder
from stressbook.experiments.sweeps.study import Study, StudyRuns, run_study
from stressbook.experiments.sweeps.study_file import load_study
from stressbook.experiments.sweeps.summary import StudyCell, holds, study_cells
from stressbook.experiments.words import UNVALIDATED, Text, amount, html_table, table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["StudyResult", "sweep"]


def sweep(
    study: str | Path | Study,
    *,
    workers: int = 1,
    folder: str | Path | None = None,
    dask: str | None = None,
    executor: Executor | None = None,
    allow_many: bool = False,
    progress: Progress | None = None,
) -> StudyResult:
    """Run a study, or what is missing of it.

    Parameters
    ----------
    study : str, Path or Study
        A TOML file, a name of the shipped studies, or what `load_study` has returned.
    workers : int, default 1
        Processes; the numbers are the same for any. A script that asks for more than 1 has to
        keep what runs below `if __name__ == "__main__":`.
    folder : str or Path, optional
        Finished runs are kept there, and read again by the same call; those that `stressbook sweep
        --out FOLDER` has kept are among them.
    dask : str, optional
        Address of a Dask scheduler, whose workers run instead of own processes.
    executor : concurrent.futures.Executor, optional
        Any other, as of MPI, that runs instead of own processes.
    allow_many : bool, default False
        Whether more runs may be made than the limit of the study.
    progress : callable, optional
        Called with the share that is done.

    Returns
    -------
    StudyResult

    Raises
    ------
    InvalidScenario
        With every problem of the study file.
    InvalidInput
        If another process runs the same folder, or the scheduler does not answer.
    StressbookError
        If the folder cannot be written.
    """
    found = study if isinstance(study, Study) else load_study(study, allow_many=allow_many)
    place = None if folder is None else index_folder(Path(folder))
    with chosen_executor(dask, executor) as chosen:
        runs = run_study(found, place, workers=workers, progress=progress, executor=chosen)
    return StudyResult(runs)


class StudyResult:
    """What a study came to.

    Parameters
    ----------
    found : StudyRuns
        Every run.

    Attributes
    ----------
    study : Study
        What was asked.
    found : StudyRuns
        As given.
    """

    def __init__(self, found: StudyRuns) -> None:
        self.study, self.found = found.study, found
        self._names = short_names([factor.place for factor in self.study.levers])

    @property
    def digest(self) -> str:
        """One SHA-256 for all runs, whoever ran them in which order."""
        return self.found.digest()

    @property
    def failures(self) -> dict[str, str]:
        """Why runs failed, by "combination, seed"."""
        names = self.study.point_names()
        told = list(zip(names, self.found.runs, strict=True))
        if self.found.placebo:
            of = [f"placebo of {names[rank]}" for rank in self.study.placebo_points()]
            told += zip(of, self.found.placebo, strict=True)
        return {
            f"{label}, seed {run.seed}": run.error
            for label, runs in told
            for run in runs
            if run.error
        }

    @property
    def holds(self) -> bool:
        """Whether every cell is within every budget."""
        return holds(self.estimates())

    def estimates(self, *, level: float = 0.95) -> list[StudyCell]:
        """Return every outcome of every cell, with intervals at a level of confidence."""
        return study_cells(self.found, level=level)

    def cells(self) -> pd.DataFrame:
        """Return every outcome of every cell: a row each."""
        import pandas as pd

        return pd.DataFrame(self.rows())

    def runs(self) -> pd.DataFrame:
        """Return every outcome of every run: a row for each run, with levers and seed."""
        import pandas as pd

        points = zip(self.study.points, self.found.runs, strict=True)
        return pd.DataFrame(
            [
                {
                    **point.values,
                    "seed": run.seed,
                    "digest": run.digest,
                    "error": run.error,
                    "stopped_early": run.stopped_early,
                    **run.outcomes,
                }
                for point, runs in points
                for run in runs
            ]
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return `cells` as plain data."""
        return [_record(cell) for cell in self.estimates()]

    def by_horizon(self) -> dict[int, tuple[Horizons, ...]]:
        """Return what pairing with the control achieved for marks, by cell and horizon."""
        return cells_by_horizon(self.found)

    def summary(self) -> Text:
        """Return each outcome in each cell, with intervals, as text."""
        cells = self.estimates()
        lines = [self._headline(), f"({UNVALIDATED})"]
        for aim in self.study.aims:
            lines += ["", self._title(aim.outcome)]
            lines.append(table(self._table(cells, aim.outcome), aligned=self._aligned()))
        notes = notes_of(self.found, cells)
        lines += ["", *notes] if notes else []
        failures = list(self.failures.items())
        lines += [f"failed, {where}: {error}" for where, error in failures[:10]]
        if len(failures) > 10:
            lines.append(f"and {len(failures) - 10} more failed")
        return Text("\n".join(lines))

    def plot(self, outcome: str, *, over: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw the mean of an outcome over a lever, with its interval.

        Parameters
        ----------
        outcome : str
            One that the study looks at.
        over : str, optional
            Place of a lever, or its short name; the first if it is left out. Other levers give a
            line for each of their combinations.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a figure is made if it is left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        place = self._lever(over)
        chosen = [cell for cell in self.estimates() if cell.outcome == outcome]
        if not chosen:
            raise UnknownName("outcome", outcome, known=[aim.outcome for aim in self.study.aims])
        (axes,) = [ax] if ax is not None else make_axes(1)
        for label, cells in self._lines(chosen, place).items():
            _draw_line(axes, label, [cell.levers[place] for cell in cells], cells)
        axes.set_xlabel(place)
        axes.set_ylabel(f"{outcome}, {unit_of(outcome)}")
        if len(self._names) > 1:
            axes.legend(fontsize="small", frameon=False)
        return axes

    def _lever(self, name: str | None) -> str:
        by_name = {short: place for place, short in self._names.items()}
        if name is None and by_name:
            return next(iter(self._names))
        if name not in self._names and name not in by_name:
            raise UnknownName("lever", name, known=self._names)
        return by_name.get(str(name), str(name))

    def _lines(self, cells: Sequence[StudyCell], place: str) -> dict[str, list[StudyCell]]:
        found: dict[str, list[StudyCell]] = {}
        for cell in cells:
            others = [
                f"{self._names[p]} = {shown(v)}" for p, v in cell.levers.items() if p != place
            ]
            found.setdefault(", ".join(others), []).append(cell)
        return found

    def _headline(self) -> str:
        study = self.study
        n_failed = len(self.failures)
        n = self.found.n_runs
        failed = f" · {n_failed} of {n} failed" if n_failed else ""
        seeds = f"seeds {study.seeds[0]} to {study.seeds[-1]}"
        shape = f"{len(study.points)} combinations ({study.design})"
        shape += " and a placebo" if self.found.placebo else ""
        most = f" of {study.n_cells} at most" if study.stop is not None else ""
        return f"{study.name} · {n} runs{most}: {shape} · {seeds}{failed}"

    def _title(self, outcome: str) -> str:
        aim = next(aim for aim in self.study.aims if aim.outcome == outcome)
        if aim.budget is None:
            return f"{outcome}, {unit_of(outcome)}"
        share = f"at most {100 * aim.alpha:g} % of runs over"
        return f"{outcome}, {unit_of(outcome)}, budget {amount(aim.budget)}: {share}"

    def _table(self, cells: Sequence[StudyCell], outcome: str) -> list[tuple[str, ...]]:
        aim = next(aim for aim in self.study.aims if aim.outcome == outcome)
        head = (*self._names.values(), *heads(self.study, has_budget=aim.budget is not None))
        rows = (row_of(cell, self.study) for cell in cells if cell.outcome == outcome)
        return [head, *rows]

    def _aligned(self) -> str:
        return "r" * (len(self._names) + 4)

    def __repr__(self) -> str:
        return f"<StudyResult of {self._headline()}>"

    def _repr_html_(self) -> str:
        cells = self.estimates()
        tables = (
            f"<h4>{self._title(aim.outcome)}</h4>{html_table(self._table(cells, aim.outcome))}"
            for aim in self.study.aims
        )
        notes = "".join(f"<li>{escape(note)}</li>" for note in notes_of(self.found, cells))
        return f"<p>{self._headline()} ({UNVALIDATED})</p>{''.join(tables)}<ul>{notes}</ul>"


def _record(cell: StudyCell) -> dict[str, Any]:
    return {
        "cell": cell.cell,
        **cell.levers,
        "outcome": cell.outcome,
        "unit": cell.unit,
        "mean": cell.mean.value,
        "low": cell.mean.low,
        "high": cell.mean.high,
        "n": cell.mean.n,
        "failed": cell.n_failed,
        "budget": cell.budget,
        "alpha": cell.alpha if cell.budget is not None else None,
        "over": cell.over.value,
        "over_low": cell.over.low,
        "over_high": cell.over.high,
        "within": cell.within,
        "seeds": cell.n_seeds,
        "stopped": cell.stopped,
        "difference": cell.difference.value,
        "difference_low": cell.difference.low,
        "difference_high": cell.difference.high,
        "pairs": cell.difference.n,
        "correlation": cell.correlation,
        "p": cell.p,
        "noise": cell.noise,
        "verdict": cell.word,
    }


def _draw_line(ax: Axes, label: str, x: Sequence[Any], cells: Sequence[StudyCell]) -> None:
    means = np.array([cell.mean.value for cell in cells])
    bounds = [[cell.mean.low for cell in cells], [cell.mean.high for cell in cells]]
    spread = np.abs(np.nan_to_num(np.array(bounds) - means))
    ax.errorbar(list(x), means, yerr=spread, label=label, marker="o", capsize=3, linewidth=1.2)
