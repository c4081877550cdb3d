"""Several scenarios beside each other: means, paired differences to the first, what is claimed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

from stressbook.api.frames import runs_frame
from stressbook.errors import UnknownName
from stressbook.experiments.claims import MIN_PAIRS
from stressbook.experiments.contrasts import PLACEBO, Cell, Contrasts, shown_outcomes
from stressbook.experiments.inference import Estimate
from stressbook.experiments.versus import shared_onset_s
from stressbook.experiments.words import Text, html_table, table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EffectTable"]

_COLUMNS: Final = 100  # of a terminal
_SIDES_A_BLOCK: Final = 6  # what they hold
_WIDTH: Final = 13  # of a column's head


class EffectTable:
    """The differences of several scenarios to the first, run with the same seeds.

    Parameters
    ----------
    comparison : Contrasts
        All runs of all sides, and of the placebo.

    Attributes
    ----------
    comparison : Contrasts
        As given: single runs by side and seed.
    shown : tuple of str
        Outcomes that `summary` shows; these are judged together.
    """

    def __init__(self, comparison: Contrasts) -> None:
        self.comparison = comparison
        self.shown = shown_outcomes(comparison.outcomes)
        self._cells: dict[str, dict[str, Cell]] = {}
        for cell in comparison.cells(self.shown):
            self._cells.setdefault(cell.outcome, {})[cell.side] = cell

    def __getitem__(self, outcome: str) -> Mapping[str, Cell]:
        if outcome not in self._cells:
            raise UnknownName("outcome", outcome, known=self._cells)
        return self._cells[outcome]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def summary(self) -> Text:
        """Return for each outcome means and differences to the first side, a column a side."""
        sides = list(self.comparison.sides)
        first, others = sides[0], sides[1:]
        step = _SIDES_A_BLOCK - 1
        blocks = [[first, *others[k : k + step]] for k in range(0, len(others), step)]
        bodies = [_with_titles(self._lines(block)) for block in blocks]
        notes = [fill(note, _COLUMNS, subsequent_indent="  ") for note in self._notes()]
        return Text("\n".join([self._headline(), *bodies, *notes]))

    def frame(self) -> pd.DataFrame:
        """Return one row for each outcome and side.

        Returns
        -------
        pandas.DataFrame
            Mean and difference to the first side with bounds, correlation, p-value before
            correction, n and verdict; outcomes that the table does not show are "not judged".
        """
        import pandas as pd

        return pd.DataFrame(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of `frame` as plain tables."""
        return [_record(cell) for by_side in self._cells.values() for cell in by_side.values()]

    def values(self) -> pd.DataFrame:
        """Return every outcome of every run.

        Returns
        -------
        pandas.DataFrame
            A row for each side and seed; runs that failed have an `error` and no outcomes.
        """
        return runs_frame("side", self.comparison.runs)

    def _headline(self) -> str:
        found = self.comparison
        seeds = found.seeds
        names = {scenario.name for scenario in found.sides.values()}
        what = names.pop() if len(names) == 1 else f"against {found.first}"
        span = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
        n_failed = len(seeds) - found.n_pairs
        failed = f" · {n_failed} of {len(seeds)} failed" if n_failed else ""
        return f"{what} · {len(found.sides)} sides · n = {found.n_pairs} · {span}{failed}"

    def _lines(self, sides: list[str]) -> list[tuple[str, ...]]:
        heads = [_two_lines(side) for side in sides]
        lines: list[tuple[str, ...]] = [
            ("", *(head[0] for head in heads)),
            (f"n = {self.comparison.n_pairs}", *(head[1] for head in heads)),
        ]
        for name in self.shown:
            cells = [self._cells[name][side] for side in sides]
            if self._is_nothing(name):
                continue
            lines.append((name,))
            lines.append(("mean", *(_plus_minus(cell.mean) for cell in cells)))
            lines.append(("diff", *(_plus_minus(cell.difference) for cell in cells)))
            lines.append(("corr", *(_correlation(cell) for cell in cells)))
            lines.append(("", *("" if not cell.difference.n else cell.verdict for cell in cells)))
        return lines

    def _is_nothing(self, name: str) -> bool:
        means = [cell.mean for cell in self._cells[name].values()]
        return all(mean.value == 0.0 and mean.low == mean.high for mean in means if mean.n)

    def _notes(self) -> list[str]:
        found = self.comparison
        percent = f"{found.level:.0%}"
        notes = [
            f"mean with its {percent} interval; diff: paired difference to {found.first} with "
            "its interval; corr: with it over seeds"
        ]
        if found.n_pairs < MIN_PAIRS:
            pairs = "1 pair is" if found.n_pairs == 1 else f"{found.n_pairs} pairs are"
            notes.append(f"{pairs} not evidence: ask for {MIN_PAIRS} reps or more")
        else:
            n_others = len(found.sides) - 1
            notes.append(
                f"a verdict stands after Holm's correction over {len(self.shown)} outcomes x "
                f"{n_others} sides"
            )
        nothing = [name for name in self.shown if self._is_nothing(name)]
        if nothing:
            notes.append(f"0 in every run: {', '.join(nothing)}")
        onset_s = shared_onset_s(*found.sides.values())
        notes.append(
            f"margin, gross and debt at minute {onset_s / 60.0:g}, drawdowns from it on; "
            f"{len(self)} outcomes are in the frame and in --json"
        )
        if PLACEBO in found.runs:
            notes.append(
                f"placebo: {found.first} with one more order of one lot at the onset; "
                "a difference within what that changes is not claimed"
            )
        else:
            notes.append("no placebo ran: differences may be noise of single orders")
        return notes + [f"failed, {place}: {error}" for place, error in found.failures.items()]

    def __repr__(self) -> str:
        found = self.comparison
        return (
            f"<EffectTable of {len(found.sides)} sides against {found.first}: "
            f"{found.n_pairs} pairs, {len(self)} outcomes>"
        )

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self._notes())
        head = ("outcome", *self.comparison.sides)
        rows = [
            (name, *(_in_one_cell(cell) for cell in self._cells[name].values()))
            for name in self.shown
        ]
        return f"<p>{escape(self._headline())}</p>{html_table([head, *rows])}<ul>{notes}</ul>"


def _with_titles(lines: list[tuple[str, ...]]) -> str:
    """Return lines as columns of equal width; a line of one cell is a title across them."""
    columns = [line for line in lines if len(line) > 1]
    laid_out = iter(table(columns, aligned="l" + "r" * (len(lines[0]) - 1), indent=0).split("\n"))
    return "\n".join(next(laid_out) if len(line) > 1 else line[0] for line in lines)


def _two_lines(name: str) -> tuple[str, str]:
    """Return a name on two lines, cut between words and at last anywhere."""
    if len(name) <= _WIDTH:
        return "", name
    cut = name.rfind(", ", 0, _WIDTH) + 1 or name.rfind(" ", 0, _WIDTH + 1)
    if cut < 0:
        cut = max(name.rfind("-", 0, _WIDTH) + 1, 1)
    head, rest = name[:cut].strip(), name[cut:].strip()
    if len(head) > _WIDTH:
        head = head[: _WIDTH - 1] + "…"
    return head, rest if len(rest) <= _WIDTH else rest[: _WIDTH - 1] + "…"


def short(value: float, *, digits: int = 3) -> str:
    """Return a number with the digits that matter, in thousands, millions or billions.

    Examples
    --------
    >>> [short(x) for x in (0.12345, -1234.0, 12_345_678.0, 0.0, 2e-5, float("nan"))]
    ['0.123', '-1.23k', '12.3M', '0', '2e-05', 'none']
    >>> short(0.01234), short(0.01234, digits=2)
    ('0.0123', '0.012')
    """
    if math.isnan(value):
        return "none"
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            return f"{_plain(value / size, digits)}{unit}"
    if 0.0 < abs(value) < 0.001:
        return f"{value:.0e}"
    return _plain(value, digits)


def _plain(value: float, digits: int) -> str:
    """Return so many digits, never as a power of ten, and not beyond what a column holds."""
    if value == 0.0:
        return "0"
    if abs(value) < 0.1:
        return f"{value:.{digits + 1}f}"
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.{digits}g}"


def _plus_minus(estimate: Estimate) -> str:
    if estimate.n == 0:
        return ""
    if math.isnan(estimate.low):
        return short(estimate.value)
    return f"{short(estimate.value)}±{short(estimate.half_width, digits=2)}"


def _correlation(cell: Cell) -> str:
    return "" if math.isnan(cell.correlation) else f"{cell.correlation:.2f}"


def _in_one_cell(cell: Cell) -> str:
    if not cell.difference.n:
        return _plus_minus(cell.mean)
    return f"{_plus_minus(cell.mean)}; {_plus_minus(cell.difference)}; {cell.verdict}"


def _record(cell: Cell) -> dict[str, Any]:
    return {
        "outcome": cell.outcome,
        "unit": cell.unit,
        "side": cell.side,
        "mean": cell.mean.value,
        "mean_low": cell.mean.low,
        "mean_high": cell.mean.high,
        "difference": cell.difference.value,
        "low": cell.difference.low,
        "high": cell.difference.high,
        "n": cell.mean.n,
        "p": cell.p,
        "correlation": cell.correlation,
        "verdict": cell.verdict,
    }
