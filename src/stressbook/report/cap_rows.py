"""What was varied singly at the cap last tried, in one table with the default first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from stressbook.experiments.caps.answer import CapAnswer, RowAnswer
from stressbook.experiments.caps.losses import column_means
from stressbook.experiments.caps.reading import row_notes, value_text
from stressbook.experiments.caps.runs import Runs
from stressbook.experiments.claims import MIN_PAIRS
from stressbook.experiments.inference import paired_difference
from stressbook.experiments.statistics.exact import upper_bound
from stressbook.report.layout import Table, table_of
from stressbook.report.numbers import Cell, percent, sensible

__all__ = ["row_table"]

Cells = Sequence[Cell | str]

_NUMERICS: Final = "numerics"
_HEAD: Final = ("varied singly", "above the budget", "at most", "p", "")
_WIDTH: Final = len(_HEAD) + 2


def row_table(answer: CapAnswer) -> Table | None:
    """Return all rows by group, the law as it is first; None if there are no rows.

    The default stands once more among the rows of numerics, with its period and step.
    """
    if not answer.rows:
        return None
    groups: dict[str, list[RowAnswer]] = {}
    for row in answer.rows:
        groups.setdefault(row.about.group or "varied", []).append(row)
    default = answer.column(answer.last.value) if answer.last is not None else None
    cells: list[Cells] = []
    if default is not None:
        cells.append(_plain_row(answer, "the law as it is", default))
    titles = []
    for group, rows in groups.items():
        titles.append(group.capitalize())
        cells.append((titles[-1], *[""] * (_WIDTH - 1)))
        if group == _NUMERICS and default is not None:
            cells.append(_plain_row(answer, _numerics(answer), default))
        cells += [_row(answer, row, default) for row in rows]
    head = (*_HEAD, answer.study.outcome.titled("mean loss"), "more than by default")
    return table_of("", head, cells, words=(4,), totals=titles)


def _numerics(answer: CapAnswer) -> str:
    scenario = answer.study.scenario
    period_s = scenario.venue_spec().clock.price_period_ms / 1000
    return f"oracle and mark every {period_s:g} s, steps of {scenario.dt_s:g} s: the default"


def _row(answer: CapAnswer, row: RowAnswer, default: Runs | None) -> Cells:
    if row.infeasible:
        told = Cell(row.about.name, row.infeasible), "cannot be run"
        return *told, *[""] * (_WIDTH - len(told))
    at = "" if row.about.at == "certified" else f"at {value_text(answer, row.value)}"
    _, *counts, mean, _ = _plain_row(answer, row.about.name, row.runs)
    if row.compared is not None:
        counts[2:] = [f"{row.compared.p:.2g}", "differs" if row.compared.differs else ""]
    below = ", ".join(filter(None, (at, row_notes(row))))
    return Cell(row.about.name, below), *counts, mean, _difference(answer, row.runs, default)


def _difference(answer: CapAnswer, runs: Runs, default: Runs | None) -> Cell:
    """Return by how much more is lost than by default, of the seeds that ended in both."""
    if default is None:
        return Cell("")
    name, by = answer.study.outcome.name, answer.study.outcome.shown_in[0]
    plain = dict(zip(default.seeds, default.of(name).tolist(), strict=True))
    pairs = [
        (mine, plain[seed])
        for seed, mine in zip(runs.seeds, runs.of(name).tolist(), strict=True)
        if math.isfinite(mine) and math.isfinite(plain.get(seed, math.nan))
    ]
    if len(pairs) < MIN_PAIRS:
        return Cell("")
    found = paired_difference([a for a, _ in pairs], [b for _, b in pairs])
    return Cell(
        sensible(found.value / by), f"{sensible(found.low / by)} to {sensible(found.high / by)}"
    )


def _plain_row(answer: CapAnswer, name: str, runs: Runs) -> tuple[str, ...]:
    outcome = answer.study.outcome
    failed = outcome.n_failed(runs)
    upper = upper_bound(failed, runs.n, confidence=outcome.confidence)
    mean = sensible(float(column_means(runs.of(outcome.name)[:, None])[0]) / outcome.shown_in[0])
    return name, f"{failed}/{runs.n}", f"{percent(upper)} %", "", "", mean, ""
