"""Several scenarios beside each other: means, differences to the control, what is claimed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stressbook.api.effect_cells import (
    UNIT_WORDS,
    difference_text,
    interval_text,
    mean_text,
    short,
)
from stressbook.api.effect_notes import notes_of
from stressbook.api.frames import runs_frame
from stressbook.errors import UnknownName
from stressbook.experiments.contrasts import Cell, Contrasts
from stressbook.experiments.outcome_words import (
    BELOW_ZERO,
    groups_of,
    is_signed,
    kind_of,
    label_of,
    shown_outcomes,
    why_not_judged,
)
from stressbook.experiments.words import Text, html_table, table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EffectTable"]

_COLUMNS: Final = 100  # of a terminal
_SIDES_A_BLOCK: Final = 6  # what they hold
_WIDTH: Final = 13  # of a column's head
_SAID: Final = ("higher", "lower", "equal", "inside noise")
_Line = tuple[str, ...]


class EffectTable:
    """The differences of several scenarios to one of them, run with the same seeds.

    Parameters
    ----------
    comparison : Contrasts
        All runs of all sides, and of the placebo.

    Attributes
    ----------
    comparison : Contrasts
        As given: single runs by side and seed.
    shown : tuple of str
        Outcomes that `summary` shows.
    judged : tuple of str
        Those of them that are judged, all together.
    """

    def __init__(self, comparison: Contrasts) -> None:
        self.comparison = comparison
        self.shown = shown_outcomes(comparison.outcomes)
        differ = comparison.regimes_differ
        self._reasons = {x: why_not_judged(x, regimes_differ=differ) for x in self.shown}
        self.judged = tuple(name for name in self.shown if not self._reasons[name])
        self._cells: dict[str, dict[str, Cell]] = {}
        for cell in comparison.cells(self.judged):
            self._cells.setdefault(cell.outcome, {})[cell.side] = cell

    def __getitem__(self, outcome: str) -> Mapping[str, Cell]:
        if outcome not in self._cells:
            raise UnknownName("outcome", outcome, known=self._cells)
        return self._cells[outcome]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def against(self, side: str) -> EffectTable:
        """Return the table of the same runs with another side as the control.

        Parameters
        ----------
        side : str
            Its name. The placebo stays that of the side it ran for.

        Raises
        ------
        UnknownName
            If there is no such side.
        """
        return EffectTable(self.comparison.against(side))

    def summary(self) -> Text:
        """Return means and differences to the control, group by group, a column a side."""
        first, *others = self.comparison.in_order
        step = _SIDES_A_BLOCK - 1
        blocks = [[first, *others[k : k + step]] for k in range(0, max(len(others), 1), step)]
        bodies = [_with_titles(self._lines(block)) for block in blocks]
        notes = [fill(note, _COLUMNS, subsequent_indent="  ") for note in self._notes()]
        return Text("\n".join([self._headline(), *bodies, *notes]))

    def frame(self) -> pd.DataFrame:
        """Return one row for each outcome and side.

        Returns
        -------
        pandas.DataFrame
            Mean and difference to the control with bounds, correlation, p-value before
            correction, n, verdict, and why there is none; then what people call the outcome.
        """
        import pandas as pd

        return pd.DataFrame(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of `frame` as plain tables."""
        return [
            _record(cell, self._reasons.get(name, "not in the table"))
            for name, by_side in self._cells.items()
            for cell in by_side.values()
        ]

    def below_zero(self) -> dict[str, dict[str, Any]]:
        """Return in how many seeds the backstop's equity fell below zero: k of n, by side."""
        return {
            side: {"k": round(e.value * e.n) if e.n else 0, "n": e.n, "low": e.low, "high": e.high}
            for side, e in self.comparison.below_zero().items()
        }

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
        what = f"{names.pop()} · " if len(names) == 1 else ""
        span = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
        n_failed = len(seeds) - found.n_pairs
        failed = f" · {n_failed} of {len(seeds)} failed" if n_failed else ""
        return (
            f"{what}against {found.control} · {len(found.sides)} sides · n = {found.n_pairs} · "
            f"{span}{failed}"
        )

    def _lines(self, sides: list[str]) -> list[_Line]:
        lines = self._heads(sides)
        for title, names in groups_of(self.comparison.outcomes):
            rows = [line for name in names for line in self._row(name, sides)]
            if rows:
                lines += [("",), (title.upper(),), *rows]
        return lines

    def _heads(self, sides: list[str]) -> list[_Line]:
        """Return names of sides, and for whom each rule holds."""
        heads = [_two_lines(side) for side in sides]
        lines: list[_Line] = [
            ("", *(head[0] for head in heads)),
            (f"n = {self.comparison.n_pairs}", *(head[1] for head in heads)),
        ]
        told = ("n_accounts", "n_accounts_under_regime", "equity_under_regime_usd")
        if all(name in self._cells for name in told):
            lines.append(("accounts / equity under the rule",))
            lines.append(("", *(self._share_of(side, *told[1::-1]) for side in sides)))
            lines.append(("", *(self._equity_of(side) for side in sides)))
        return lines

    def _share_of(self, side: str, part: str, whole: str) -> str:
        means = [self._cells[name][side].mean.value for name in (part, whole)]
        return "" if math.isnan(means[0]) else f"{means[0]:.0f} of {means[1]:.0f}"

    def _equity_of(self, side: str) -> str:
        means = [
            self._cells[name][side].mean.value
            for name in ("equity_under_regime_usd", "accounts_equity_usd")
        ]
        if math.isnan(means[0]) or means[1] <= 0.0:
            return ""
        return f"{short(means[0], digits=2)}, {means[0] / means[1]:.0%}"

    def _row(self, name: str, sides: list[str]) -> list[_Line]:
        if self._is_nothing(name):
            return []
        cells = [self._cells[name][side] for side in sides]
        kind = kind_of(name)
        scale = self._scale_of(name)
        at_least = -math.inf if is_signed(name) else 0.0
        n = self.comparison.n_pairs
        means = [mean_text(cell.mean, kind, scale=scale, n=n) for cell in cells]
        reason = self._reasons[name]
        title = f"{label_of(name)}, {UNIT_WORDS[kind]}" + (f" ({reason})" if reason else "")
        lines: list[_Line] = [(title,), ("mean", *means)]
        bounds = [interval_text(c.mean, kind, scale=scale, at_least=at_least) for c in cells]
        if any(bounds) and not reason:
            lines.append(("", *bounds))
        lines.append(("diff", *(_difference(cell, kind, scale, n) for cell in cells)))
        words = [cell.verdict if cell.verdict in _SAID else "" for cell in cells]
        if any(words):
            lines.append(("", *words))
        if name == "backstop_low_usd":
            lines += self._below_zero_lines(sides)
        return lines

    def _below_zero_lines(self, sides: list[str]) -> list[_Line]:
        found = self.below_zero()
        texts = [f"{found[x]['k']} of {found[x]['n']}" if x in found else "" for x in sides]
        return [(label_of(BELOW_ZERO),), ("", *texts)]

    def _scale_of(self, name: str) -> float:
        means = [abs(cell.mean.value) for cell in self._cells[name].values() if cell.mean.n]
        return max(means, default=0.0)

    def _is_nothing(self, name: str) -> bool:
        values = self.comparison.values(name)
        told = [values[side] for side in self.comparison.sides if side in values]
        return not any(np.nan_to_num(x).any() for x in told)

    def _notes(self) -> list[str]:
        nothing = [name for name in self.shown if self._is_nothing(name)]
        reasons = [self._reasons[name] for name in self.shown if name not in nothing]
        return notes_of(
            self.comparison,
            n_judged=len(self.judged),
            not_judged=[reason for reason in reasons if reason],
            nothing=nothing,
            n_outcomes=len(self),
        )

    def __repr__(self) -> str:
        found = self.comparison
        return (
            f"<EffectTable of {len(found.sides)} sides against {found.control}: "
            f"{found.n_pairs} pairs, {len(self)} outcomes>"
        )

    def _repr_html_(self) -> str:
        sides = list(self.comparison.in_order)
        rows = [("outcome", *sides)]
        for name in self.shown:
            title, *lines = self._row(name, sides) or [()]
            cells = zip(*(line[1:] for line in lines if len(line) > 1), strict=True)
            if title:
                rows.append((title[0], *("; ".join(filter(None, texts)) for texts in cells)))
        notes = "".join(f"<li>{escape(note)}</li>" for note in self._notes())
        return f"<p>{escape(self._headline())}</p>{html_table(rows)}<ul>{notes}</ul>"


def _with_titles(lines: list[_Line]) -> str:
    """Return lines as columns of equal width; a line of one cell is a title across them."""
    columns = [line for line in lines if len(line) > 1]
    laid_out = iter(table(columns, aligned="l" + "r" * (len(lines[0]) - 1), indent=0).split("\n"))
    return "\n".join(next(laid_out) if len(line) > 1 else line[0] for line in lines)


def _difference(cell: Cell, kind: str, scale: float, n: int) -> str:
    """Return a difference; nothing for the control and a side that never ended."""
    is_empty = cell.difference.n == 0
    return "" if is_empty else difference_text(cell.difference, kind, scale=scale, n=n)


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


def _record(cell: Cell, reason: str) -> dict[str, Any]:
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
        "not_judged": reason,
        "label": label_of(cell.outcome, alone=True),
    }
