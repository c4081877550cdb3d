"""The answer of a cap study on a terminal: one screen, the verdict first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from stressbook.experiments.caps.absorption import Absorption
from stressbook.experiments.caps.answer import CapAnswer, RowAnswer
from stressbook.experiments.caps.reading import (
    Fact,
    binding_words,
    certificate_sentence,
    crashes,
    facts,
    row_notes,
    rows_with_failures,
    value_text,
    verdict,
)
from stressbook.experiments.inference import Estimate
from stressbook.experiments.statistics.certificate import supported_alphas
from stressbook.experiments.statistics.exact import upper_bound
from stressbook.experiments.words import UNVALIDATED, Text, table

__all__ = ["answer_text"]

_MILLION: Final = 1e6
_WIDE: Final = 84  # characters of a note
_SHOWN_ROWS: Final = 6
_SHOWN_CAPS: Final = 14


def answer_text(answer: CapAnswer) -> Text:
    """Return the answer for a terminal, verdict first; the page holds what is left out here."""
    parts = [
        [verdict(answer), certificate_sentence(answer), f"({UNVALIDATED})"],
        [_fact_table(facts(answer))],
        list(_curve_lines(answer)),
        list(_row_lines(answer)),
        list(_check_lines(answer)),
    ]
    return Text("\n\n".join("\n".join(filter(None, part)) for part in parts if any(part)))


def _fact_table(found: Sequence[Fact]) -> str:
    lever, *others = found
    return "\n".join(
        [f"  {lever.value}", table([(fact.name, fact.value, _short(fact.note)) for fact in others])]
    )


def _short(note: str) -> str:
    return note if len(note) <= _WIDE else f"{note[: _WIDE - 3].rstrip()}..."


def _curve_lines(answer: CapAnswer) -> Iterator[str]:
    curves = [
        dict(zip(grid.values, answer.critical_of(grid).curve(), strict=True))
        for grid in answer.grids.values()
    ]
    yield "episodes above the budget by cap, with exact 95 % bounds"
    rows = [
        (value, tuple(_share(curve.get(value)) for curve in curves)) for value in answer.grid.values
    ]
    shown = [("cap", *answer.grids)]
    for cells, alike in groupby(rows, key=lambda row: row[1]):
        values = [value for value, _ in alike]
        ends = dict.fromkeys(value_text(answer, value) for value in (values[0], values[-1]))
        shown.append((" to ".join(ends), *cells))
    left_out = len(shown) - 1 - _SHOWN_CAPS
    yield table(shown[: 1 + _SHOWN_CAPS], aligned="rrr")
    if left_out > 0:
        yield f"  and {left_out} larger caps on the page"
    for grid in answer.grids.values():
        yield f"  {grid.demand}: {binding_words(answer, grid)}"


def _share(share: Estimate | None) -> str:
    if share is None:
        return "binds nowhere"
    return f"{share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"


def _row_lines(answer: CapAnswer) -> Iterator[str]:
    """Tell rows that fail more often than the default, those that cannot be run, and the rest."""
    compared = [row for row in answer.rows if row.compared is not None]
    last = answer.last
    if not compared or last is None:
        return
    worse = rows_with_failures(answer)
    named = {row.about.name for row in worse}
    fewer = [row for row in compared if _differs(row) and row.about.name not in named]
    default = answer.column(last.value)
    outcome = answer.study.outcome
    k = outcome.n_failed(default) if default else 0
    yield (
        f"varied singly at {value_text(answer, last.value)}, where {k} of "
        f"{outcome.seeds} fail: failures, upper bound, p against that"
    )
    if worse:
        yield table([_row_cells(answer, row) for row in worse[:_SHOWN_ROWS]], aligned="lrrl")
    if len(worse) > _SHOWN_ROWS:
        yield f"  and {len(worse) - _SHOWN_ROWS} more with more failures, on the page"
    if fewer:
        yield table([_row_cells(answer, row) for row in fewer], aligned="lrrl")
    left = len(compared) - len(worse) - len(fewer)
    rows = "row" if left == 1 else "rows"
    yield f"  {left} {rows} without more failures, which is no proof of no difference"
    yield from (f"  {row.about.name}: {row.infeasible}" for row in answer.rows if row.infeasible)


def _differs(row: RowAnswer) -> bool:
    return row.compared is not None and row.compared.differs


def _row_cells(answer: CapAnswer, row: RowAnswer) -> tuple[str, ...]:
    one = row.compared
    assert one is not None
    at = "" if row.about.at == "certified" else f", {value_text(answer, row.value)}"
    told = " differs" if one.differs else ""
    notes = row_notes(row)
    told += f" ({notes})" if notes else ""
    outcome, n = answer.study.outcome, row.runs.n
    failed = outcome.n_failed(row.runs)
    upper = upper_bound(failed, n, confidence=outcome.confidence)
    return f"{row.about.name}{at}", f"{failed}/{n}", f"{upper:.1%}", f"p {one.p:.2g}{told}"


def _check_lines(answer: CapAnswer) -> Iterator[str]:
    if answer.break_even is not None:
        found = answer.break_even
        told = "lies" if found.is_outside else "x"
        yield f"break-even absorption, of what is assumed: {told} {found}"
    if answer.absorption is not None:
        yield f"absorption at x 1: {_absorbed(answer.absorption)}"
    if answer.absorption_at_break_even is not None:
        yield f"absorption at the break-even: {_absorbed(answer.absorption_at_break_even)}"
    yield "; ".join(str(one) for one in supported_alphas(_n_fresh(answer)))
    crashed = sum(crashes(answer).values())
    yield f"{answer.n_runs:,} episodes, {answer.run_s:.2f} s of a core each, {crashed} crashed"


def _absorbed(taken: Absorption) -> str:
    sold = f"{taken.sold_usd / _MILLION:,.0f} M USD of {taken.asset} sold in 30 min"
    too_much = f"{taken.too_much_usd / _MILLION:,.0f} M USD"
    if taken.sold_usd <= 0.0:
        return f"{too_much} of {taken.asset} sold in 30 min lower it by over 35 %"
    more = f"{too_much} by over 35 %" if math.isfinite(taken.too_much_usd) else "none by over 35 %"
    return f"{sold} lower it by {taken.fall_frac:.0%}, {more}"


def _n_fresh(answer: CapAnswer) -> int:
    return answer.last.judgement.plan.n if answer.last is not None else answer.critical.n
