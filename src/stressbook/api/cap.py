"""How large a cap may be: the answer of a cap study as text, tables, figure and page."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stressbook.experiments.caps.answer import CapAnswer
from stressbook.experiments.caps.answer_text import answer_text
from stressbook.experiments.caps.reading import (
    certificate_sentence,
    crashes,
    facts,
    verdict,
)
from stressbook.experiments.caps.size_cap import require_few
from stressbook.experiments.caps.size_cap import size_cap as answer_study
from stressbook.experiments.caps.study import CapStudy
from stressbook.experiments.caps.study_file import load_cap_study
from stressbook.experiments.store import write_whole
from stressbook.experiments.sweeps.cluster import chosen_executor
from stressbook.experiments.words import UNVALIDATED, Text, html_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CapResult", "size_cap"]


class CapResult:
    """The answer of a cap study.

    Parameters
    ----------
    answer : CapAnswer
        Every run that is shown, and what is read from them.
    folder : Path, optional
        Where its runs are kept.

    Attributes
    ----------
    answer, folder
        As given.
    """

    def __init__(self, answer: CapAnswer, folder: Path | None = None) -> None:
        self.answer, self.folder = answer, folder

    @property
    def certified(self) -> float | None:
        """The cap that was certified, in the lever's unit; None if none was."""
        attempt = self.answer.certified
        return None if attempt is None else attempt.value

    @property
    def proposed(self) -> float:
        """The cap that the first seeds propose; NaN where losses do not rise with the cap."""
        return self.answer.proposal.cap

    @property
    def crashed(self) -> int:
        """Episodes that crashed: each has failed."""
        return sum(crashes(self.answer).values())

    def summary(self) -> Text:
        """Return the answer as a text, verdict first."""
        return answer_text(self.answer)

    def __repr__(self) -> str:
        return f"<CapResult of {self.answer.study.name}: {verdict(self.answer)}>"

    def _repr_html_(self) -> str:
        rows = [("", "", ""), *facts(self.answer)]
        said = (verdict(self.answer), certificate_sentence(self.answer), f"({UNVALIDATED})")
        lead = " ".join(filter(None, said))
        return f"<p>{escape(lead)}</p>{html_table(rows)}"

    def report(self, path: str | Path) -> Path:
        """Write the page of the study: one file, the same bytes whenever it is made.

        Parameters
        ----------
        path : str or Path
            Of the HTML file.

        Returns
        -------
        Path
            As given.
        """
        from stressbook.report.cap_page import cap_page

        write_whole(Path(path), cap_page(self.answer).encode())
        return Path(path)

    def to_json(self) -> dict[str, Any]:
        """Return what the command prints as JSON."""
        answer = self.answer
        even = answer.absorption_at_break_even
        return {
            "study": answer.study.name,
            "digest": answer.study.digest(),
            "verdict": verdict(answer),
            "certificate": certificate_sentence(answer),
            "certified": self.certified,
            "proposed": self.proposed,
            "facts": {fact.name: [fact.value, fact.note] for fact in facts(answer)},
            "curve": self._curve_rows(),
            "rows": self._varied(),
            "binding": {
                grid.demand: str(grid.binding(answer.study.cap.lever))
                for grid in answer.grids.values()
            },
            "break_even": None if answer.break_even is None else str(answer.break_even),
            "break_even_sold_usd": None if even is None else even.sold_usd,
            "episodes": answer.n_runs,
            "episode_s": answer.run_s,
            "attempts": [str(one.judgement) for one in answer.attempts],
            "crashed": crashes(answer),
            "validated": False,
        }

    def frame(self) -> pd.DataFrame:
        """Return one row for each value of the lever and each demand.

        Returns
        -------
        pandas.DataFrame
            `demand`, `value`, `n`, `failures`, `share` with exact bounds `low` and `high`,
            `mean_loss`, `p95_loss`, `crashed`.
        """
        import pandas as pd

        return pd.DataFrame(self._curve_rows())

    def rows(self) -> pd.DataFrame:
        """Return one row for each thing that was varied at the cap last tried."""
        import pandas as pd

        return pd.DataFrame(self._varied())

    def _varied(self) -> list[dict[str, Any]]:
        return [
            {
                "row": row.about.name,
                "group": row.about.group,
                "value": row.value,
                "failures": None if row.compared is None else row.compared.failures,
                "n": row.runs.n,
                "upper": None if row.compared is None else row.compared.upper,
                "p": None if row.compared is None else row.compared.p,
                "differs": None if row.compared is None else row.compared.differs,
                "infeasible": row.infeasible,
            }
            for row in self.answer.rows
        ]

    def runs(self) -> pd.DataFrame:
        """Return every outcome of every episode on the grid, with the draws of its law."""
        import pandas as pd

        law = self.answer.study.law
        return pd.DataFrame(
            {"demand": grid.demand, "value": value, "seed": seed}
            | law.drawn(seed)
            | {name: float(column[k]) for name, column in runs.outcomes.items()}
            for grid in self.answer.grids.values()
            for value, runs in zip(grid.values, grid.runs, strict=True)
            for k, seed in enumerate(runs.seeds)
        )

    def _curve_rows(self) -> list[dict[str, Any]]:
        import numpy as np

        outcome = self.answer.study.outcome
        found = []
        for grid in self.answer.grids.values():
            curve = self.answer.critical_of(grid).curve()
            for value, runs, share in zip(grid.values, grid.runs, curve, strict=True):
                losses = runs.of(outcome.name)
                there = losses[np.isfinite(losses)]
                found.append(
                    {
                        "demand": grid.demand,
                        "value": value,
                        "n": runs.n,
                        "failures": outcome.n_failed(runs),
                        "share": share.value,
                        "low": share.low,
                        "high": share.high,
                        "mean_loss": float(there.mean()) if len(there) else None,
                        "p95_loss": float(np.quantile(there, 0.95)) if len(there) else None,
                        "crashed": runs.n_crashed,
                    }
                )
        return found


def size_cap(
    study: str | Path | CapStudy,
    *,
    overrides: tuple[str, ...] = (),
    folder: str | Path | None = None,
    workers: int = 1,
    dask: str | None = None,
    executor: Executor | None = None,
    allow_many: bool = False,
    progress: Callable[[float], None] | None = None,
) -> CapResult:
    """Return how large a cap may be under a study's scenario law.

    Parameters
    ----------
    study : str, Path or CapStudy
        A name that ships ("usdc-borrow-cap"), the path of a TOML file, or a study.
    overrides : tuple of str
        Single values of it, each "place=value": "outcome.alpha=0.01".
    folder : str or Path, optional
        Where plan and runs are kept, so that the same call goes on; nothing is kept without.
    workers : int, default 1
        Processes.
    dask : str, optional
        Address of a Dask scheduler, whose workers run instead of own processes.
    executor : concurrent.futures.Executor, optional
        Any other, as of MPI.
    allow_many : bool, default False
        Whether a study may take more than 10,000 episodes.
    progress : callable, optional
        Told the share that is done, 0 to 1.

    Returns
    -------
    CapResult

    Raises
    ------
    UnknownName, InvalidScenario
        If there is no such study, or with all that is wrong with it.
    InvalidInput
        If the folder holds something else, or the study takes more episodes than are run without
        being asked for.
    """
    asked = study if isinstance(study, CapStudy) else load_cap_study(study, overrides=overrides)
    require_few(asked, allow_many=allow_many)
    place = None if folder is None else Path(folder)
    with chosen_executor(dask, executor) as chosen:
        answer = answer_study(
            asked, folder=place, workers=workers, executor=chosen, progress=progress
        )
    return CapResult(answer, place)
