"""What a run came to: numbers, tables, a figure, a report and a folder."""

from __future__ import annotations

from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stressbook.api.figure import draw_run
from stressbook.api.frames import frame
from stressbook.errors import UnknownName
from stressbook.experiments.account_table import gain_line
from stressbook.experiments.outcomes import meaning_of, unit_of
from stressbook.experiments.replies import lost_messages
from stressbook.experiments.run import RunRecord, manifest
from stressbook.experiments.store import load_run, run_folder_name, save_run
from stressbook.experiments.words import Text, amount, duration, html_table, table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["RunResult"]


class _Outcomes(dict[str, float]):
    """Outcomes by name; an unknown one is told with the nearest."""

    def __missing__(self, name: str) -> float:
        raise UnknownName("outcome", name, known=self)


class RunResult:
    """A finished run.

    Parameters
    ----------
    record : RunRecord
        Its rows and numbers.

    Attributes
    ----------
    record : RunRecord
        As given: arrays, for what the tables do not show.

    Examples
    --------
    >>> import stressbook as sb
    >>> run = sb.scenario("skeleton").with_(warmup=0.0, duration=5.0, stresses=[]).run(seed=7)
    >>> run
    <RunResult skeleton, seed 7: 5 steps of 1 s, no breach>
    >>> run.outcomes["n_breaches"], len(run.frame("assets"))
    (0.0, 10)
    """

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self._frames: dict[str, pd.DataFrame] = {}

    @property
    def name(self) -> str:
        """Name of the scenario."""
        return self.record.scenario.name

    @property
    def seed(self) -> int:
        """Key of the draws."""
        return self.record.seed

    @property
    def digest(self) -> str:
        """SHA-256 of the run, 64 hexadecimal digits; equal runs have equal ones."""
        return self.record.digest

    @property
    def outcomes(self) -> dict[str, float]:
        """Every outcome by name; the unit ends the name, or stands in `summary`."""
        return _Outcomes(self.record.outcomes)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What replays the run: resolved scenario, seed, engine, digest and versions."""
        return manifest(self.record)

    def frame(self, name: str = "market") -> pd.DataFrame:
        """Return a table of the run; see `stressbook.api.frames.frame`.

        Parameters
        ----------
        name : {"market", "assets", "venue", "classes", "accounts", "events", "refusals"}
            Which one.

        Returns
        -------
        pandas.DataFrame
            Made at the first call; the same object later.

        Raises
        ------
        UnknownName
            If there is no such table.
        """
        if name not in self._frames:
            self._frames[name] = frame(self.record, name)
        return self._frames[name]

    def summary(self) -> Text:
        """Return the outcomes as text, one a line with unit and meaning.

        Below them what each own class gained, and a line for each of them with messages that came
        to nothing.
        """
        lines = (self._headline(), table(self._rows(), aligned="lr"), *self._own())
        return Text("\n".join(lines))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw marks, liquidations, depth and open interest.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Place for the marks alone; a figure of four panels is made if it is left out.

        Returns
        -------
        matplotlib.axes.Axes
            That of the marks; `ax.figure` is the whole figure. Nothing is shown on a screen.
        """
        return draw_run(self.record, ax=ax)

    def save(self, folder: str | Path | None = None) -> Path:
        """Write the run into a folder: manifest, scenario, outcomes, rows, own sources.

        Parameters
        ----------
        folder : str or Path, optional
            `results/runs/NAME-SEED-VARIANT` if left out.

        Returns
        -------
        Path
            The folder, for `RunResult.load` and `stressbook replay`.
        """
        if folder is None:
            folder = Path("results/runs") / run_folder_name(self.record.scenario, self.seed)
        return save_run(self.record, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> RunResult:
        """Return the run that a folder holds.

        Raises
        ------
        InvalidInput
            If a file is missing or cannot be read.
        """
        return cls(load_run(Path(folder)))

    def report(self, path: str | Path) -> Path:
        """Write the report of the run, one HTML file without outside parts.

        Parameters
        ----------
        path : str or Path
            Of the file; its folder is made if it is missing.

        Returns
        -------
        Path
            The file.
        """
        from stressbook.report import write_run_report

        return write_run_report(self.record, Path(path))

    def _headline(self) -> str:
        scenario = self.record.scenario
        n_accounts = int(self.record.classes["n_accounts"].sum())
        n_steps = len(self.record.series.venue)
        return (
            f"{scenario.name} · {len(scenario.assets)} assets · {n_accounts} accounts · "
            f"{n_steps} steps of {duration(scenario.dt_s)} · seed {self.seed}"
        )

    def _own(self) -> list[str]:
        """Return what own agents gained, and what they sent in vain, a line for each class."""
        accounts, replies = self.record.accounts, self.record.replies
        own = self.record.own_classes
        gained = [gain_line(name, accounts[accounts["class_id"] == c]) for name, c in own.items()]
        lost = [lost_messages(name, replies.get(name, {})) for name in own]
        return [*gained, *filter(None, lost)]

    def _rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [("outcome", "value", "unit", "meaning")]
        for name, value in self.record.outcomes.items():
            rows.append((name, amount(value), unit_of(name), meaning_of(name)))
        return rows

    def __repr__(self) -> str:
        n_steps = len(self.record.series.venue)
        n_breaches = int(self.record.outcomes["n_breaches"])
        found = (
            f"{n_breaches} breaches" if n_breaches > 1 else ("no breach", "1 breach")[n_breaches]
        )
        step = duration(self.record.scenario.dt_s)
        return f"<RunResult {self.name}, seed {self.seed}: {n_steps} steps of {step}, {found}>"

    def _repr_html_(self) -> str:
        own = "".join(f"<p>{escape(line)}</p>" for line in self._own())
        return f"<p>{escape(self._headline())}</p>{html_table(self._rows())}{own}"
