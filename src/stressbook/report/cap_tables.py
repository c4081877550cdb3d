"""Tables of a cap study: the recommendation, failures and losses by cap and severity."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import numpy as np

from stressbook.experiments.caps.answer import CapAnswer, CapGrid
from stressbook.experiments.caps.draw_bins import draw_bins
from stressbook.experiments.caps.losses import (
    LOSS_NAMES,
    column_means,
    excess_over_zero,
    loss_summary,
)
from stressbook.experiments.caps.reading import crashes, facts, value_text
from stressbook.experiments.inference import Estimate
from stressbook.experiments.outcomes import meaning_of
from stressbook.experiments.statistics.certificate import supported_alphas
from stressbook.experiments.statistics.critical_caps import cap_interval, order_rank
from stressbook.experiments.statistics.exact import least_runs, share_estimate
from stressbook.report.cap_words import crash_reasons
from stressbook.report.layout import Table, table_of
from stressbook.report.numbers import Cell, percent, plain, sensible, usd

__all__ = [
    "alpha_table",
    "count_table",
    "curve_table",
    "fact_table",
    "loss_table",
    "pair_table",
    "severity_table",
]

_ALPHAS: Final = (0.05, 0.01, 0.001)
_IN_USD: Final = (1e6, "M USD")


def fact_table(answer: CapAnswer) -> Table:
    """Return the recommendation."""
    head = ("what", "answer", "read from")
    return table_of("Recommendation (unvalidated model)", head, facts(answer), words=(1, 2))


def curve_table(answer: CapAnswer) -> Table:
    """Return the failures of each cap and demand."""
    grids = list(answer.grids.values())
    columns = [_curve_cells(answer, grid) for grid in grids]
    nothing = (Cell("not run", "binds nowhere"), Cell(""))
    marks = _marks(answer)
    rows = [
        (
            Cell(value_text(answer, value), ", ".join(marks.get(value, ()))),
            *(cell for one in columns for cell in one.get(value, nothing)),
        )
        for value in answer.grid.values
    ]
    head = ["cap"]
    for grid in grids:
        head += [f"{grid.demand}: above the budget", answer.study.outcome.titled("mean loss")]
    return table_of("Failures by cap", head, rows)


def loss_table(answer: CapAnswer) -> Table | None:
    """Return losses at the cap last tried, with their excess over nobody borrowing."""
    runs, last = answer.at_tried(), answer.last
    if runs is None or last is None:
        return None
    rows = []
    for name in LOSS_NAMES:
        one = loss_summary(runs.of(name), name)
        excess = excess_over_zero(answer, name)
        cells = [_cell(x) for x in (one.median, one.p95, one.p99, one.shortfall, excess)]
        n = Cell(str(one.n), f"{one.crashed} crashed" if one.crashed else "")
        rows.append([Cell(name, meaning_of(name)), *cells, n])
    head = ("M USD", "median", "95 % point", "99 % point", "worst 5 %", "above cap 0", "n")
    return table_of(f"Losses at {value_text(answer, last.value)}", head, rows)


def severity_table(answer: CapAnswer, loss_name: str) -> Table | None:
    """Return a loss at the cap last tried by quarters of the first draw of the study."""
    runs, about, outcome = answer.at_tried(), answer.study.absorption, answer.study.outcome
    if runs is None or not about.table_by:
        return None
    name = about.table_by[0]
    is_outcome = loss_name == outcome.name
    by, unit = outcome.shown_in if is_outcome else _IN_USD
    failed = np.array(outcome.failed(runs))
    bins = draw_bins(answer.study.law, name, runs.seeds)
    rows = []
    for k, (low, high) in enumerate(pairwise(bins.edges)):
        inside = bins.rank == k
        one = loss_summary(runs.of(loss_name)[inside], loss_name)
        cells = [_cell(x, by) for x in (one.median, one.p95, one.p99, one.shortfall)]
        n = int(inside.sum())
        counted = _share_cell(int(failed[inside].sum()), n) if is_outcome else Cell(str(one.n))
        rows.append([Cell(f"{low:.3g} to {high:.3g}"), counted, *cells])
    count = "above the budget" if is_outcome else "n"
    head = (name, count, "median", "95 % point", "99 % point", "worst 5 %")
    return table_of(f"{loss_name} by {name}, {unit}".rstrip(", "), head, rows)


def alpha_table(answer: CapAnswer) -> Table:
    """Return what the episodes say of other alphas, each by itself."""
    alphas = sorted({*_ALPHAS, answer.study.outcome.alpha}, reverse=True)
    rows = [
        (f"{percent(alpha)} %", _grid_alpha(answer, alpha), _fresh_alpha(answer, alpha))
        for alpha in alphas
    ]
    head = ("alpha", f"cap from {answer.critical.n} episodes on the grid", _fresh_head(answer))
    return table_of("Other alphas", head, rows, words=(1, 2))


def pair_table(answer: CapAnswer) -> Table | None:
    """Return the largest pairs of two caps that every episode bears."""
    if answer.pairs is None:
        return None
    unit = answer.study.second.unit
    rows = [(value_text(answer, a), _second(b, unit)) for a, b in answer.pairs.pairs]
    head = (answer.study.cap.lever, answer.study.second.lever)
    odd = answer.pairs.non_monotone
    note = (
        f"Episodes in which a pair passes above a failing one: {round(odd.value * odd.n)} of "
        f"{odd.n}. Each pair is a proposal, to be certified by itself."
    )
    return table_of("Two caps: the largest pairs without a failure", head, rows, note=note)


def count_table(answer: CapAnswer) -> Table:
    """Return how many episodes the answer rests on, and which crashed."""
    critical, outcome = answer.critical, answer.study.outcome
    rows = [("episodes", plain(answer.n_runs, 0))]
    parts = {
        "grid": sum(runs.n for grid in answer.grids.values() for runs in grid.runs),
        "certificates": sum(one.runs.n for one in answer.attempts),
        "rows": sum(row.runs.n for row in answer.rows),
    }
    rows += [(f"of them: {name}", plain(n, 0)) for name, n in parts.items()]
    rest = answer.n_runs - sum(parts.values())
    others = "of them: nobody borrowing, binding stress, break-even, absorption"
    rows.append((others, plain(rest, 0)))
    for k, one in enumerate(answer.attempts, start=1):
        text = f"{outcome.n_failed(one.runs)} of {one.runs.n}, {one.judgement.plan.allowed} allowed"
        at = value_text(answer, one.value)
        rows.append((f"failures of certificate {k}, {at}: {one.judgement.word}", text))
    odd = int(critical.is_non_monotone.sum())
    rows.append(("episodes that pass above a failure", f"{odd} of {critical.n}"))
    rows += [(f"crashed: {why}", str(n)) for why, n in crash_reasons(answer).items()]
    if not crashes(answer):
        rows.append(("crashed", "0"))
    return table_of("", ("what", "count"), rows)


def _second(value: float, unit: str) -> str:
    return f"{usd(value)} M USD" if unit == "USD" and value >= 1e6 else f"{value:g}"


def _curve_cells(answer: CapAnswer, grid: CapGrid) -> dict[float, tuple[Cell, Cell]]:
    outcome = answer.study.outcome
    by, _ = outcome.shown_in
    means = column_means(grid.table(outcome.name))
    return {
        value: (
            _share_cell(outcome.n_failed(runs), runs.n, runs.n_crashed),
            Cell(sensible(float(mean) / by)),
        )
        for value, runs, mean in zip(grid.values, grid.runs, means, strict=True)
    }


def _marks(answer: CapAnswer) -> dict[float, list[str]]:
    found: dict[float, list[str]] = {answer.study.current: ["as it stands"]}
    if answer.last is not None:
        word = "certified" if answer.certified else "tried, refused"
        found.setdefault(answer.last.value, []).append(word)
    return found


def _grid_alpha(answer: CapAnswer, alpha: float) -> str:
    critical, confidence = answer.critical, answer.study.outcome.confidence
    rank = order_rank(critical.n, alpha, confidence)
    if not rank:
        return f"not supported, needs {plain(least_runs(alpha, confidence), 0)} episodes"
    odd = int(critical.is_non_monotone.sum())
    if odd:
        return f"not read: {odd} episodes pass above a failure"
    value = float(np.sort(critical.critical)[rank - 1])
    found = cap_interval(critical, alpha)
    low, high = _end(answer, found.low), _end(answer, found.high)
    return f"{_end(answer, value)} (95 % interval {low} to {high})"


def _end(answer: CapAnswer, value: float) -> str:
    return "below the grid" if value == 0.0 else value_text(answer, value)


def _fresh_head(answer: CapAnswer) -> str:
    if answer.last is None:
        return "fresh episodes"
    return f"fresh episodes at {value_text(answer, answer.last.value)}"


def _fresh_alpha(answer: CapAnswer, alpha: float) -> str:
    last, outcome = answer.last, answer.study.outcome
    if last is None:
        return "none run: no cap was tried"
    plan = last.judgement.plan
    (found,) = supported_alphas(
        plan.n, alphas=[alpha], confidence=plan.confidence, attempts=plan.attempts
    )
    if found.allowed < 0:
        return f"not supported, needs {plain(found.least_runs, 0)} episodes"
    text = f"{outcome.n_failed(last.runs)} of {plan.n} failed, {found.allowed} allowed"
    return text if alpha == outcome.alpha else f"{text}; read afterwards, not planned"


def _share_cell(hits: int, n: int, crashed: int = 0) -> Cell:
    share: Estimate = share_estimate(hits, n)
    if not n:
        return Cell("0/0")
    low, high = percent(share.low), percent(share.high)
    told = f"; {crashed} crashed" if crashed else ""
    return Cell(f"{hits}/{n}", f"{low} to {high} %{told}")


def _cell(estimate: Estimate | None, by: float = _IN_USD[0]) -> Cell:
    if estimate is None or math.isnan(estimate.value):
        return Cell("none")
    ends = (estimate.low, estimate.high)
    if all(map(math.isnan, ends)):
        return Cell(sensible(estimate.value / by), "?")
    if all(end == estimate.value for end in ends):
        return Cell(sensible(estimate.value / by))
    shown = ("?" if math.isnan(end) else sensible(end / by) for end in ends)
    return Cell(sensible(estimate.value / by), " to ".join(shown))
