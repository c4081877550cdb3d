"""Losses, each by its own name with a line of meaning: of a run, and of a stressed study."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from stressbook.experiments.inference import Estimate, mean_estimate, paired_difference
from stressbook.experiments.losses import LOSSES, Loss
from stressbook.experiments.outcome_words import BELOW_ZERO, kind_of, label_of
from stressbook.experiments.regimes import REGIMES, RegimeStudy
from stressbook.experiments.run import RunRecord
from stressbook.experiments.statistics.exact import share_estimate
from stressbook.market.compiling.arrays import F64
from stressbook.report.breakage import range_text
from stressbook.report.layout import Table, table_of, zeros_note
from stressbook.report.numbers import (
    NONE,
    UNITS,
    Cell,
    cell,
    is_zero,
    unit_of_size,
)

__all__ = ["closed_share", "run_loss_table", "study_loss_table"]

_SHARE: Final = "Lost by those deleveraged, of what was closed"
_SHARE_HELP: Final = "the same over the perps closed against winners, accounts' and the backstop's"


def closed_share(outcomes: Mapping[str, float]) -> float:
    """Return what the deleveraged lost against the mark over what was closed; NaN if nothing was.

    Examples
    --------
    >>> closed_share({"gap_at_adl_usd": 1.0, "deleveraged_usd": 4.0, "backstop_shed_usd": 6.0})
    0.1
    """
    closed = outcomes["deleveraged_usd"] + outcomes["backstop_shed_usd"]
    return outcomes["gap_at_adl_usd"] / closed if closed > 0.0 else float("nan")


def run_loss_table(record: RunRecord) -> Table:
    """Return the losses of one run; what is zero is named in a line below them."""
    rows, zeros = [], []
    for loss in LOSSES:
        value, label = record.outcomes[loss.name], _label_of(loss)
        if value == 0.0:
            zeros.append(label)
            continue
        rows.append(_run_row(label, value, kind_of(loss.name), loss.help))
        if loss.name == "gap_at_adl_usd":
            share = closed_share(record.outcomes)
            rows.append(_run_row(_SHARE, share, "bp", _SHARE_HELP))
    head = ("loss", "value", "unit", "meaning")
    return table_of("", head, rows, words=(2, 3), note=zeros_note(zeros))


def _run_row(label: str, value: float, kind: str, help_text: str) -> tuple[str, ...]:
    unit = UNITS[unit_of_size(kind, value)]
    return label, unit.text(value * unit.factor), unit.label, help_text


def study_loss_table(study: RegimeStudy) -> Table:
    """Return the losses of the stressed run: means by regime, and the paired difference."""
    rows: list[tuple[Cell | str, ...]] = []
    zeros = []
    for loss in LOSSES:
        values = _values(study, loss.name)
        if not any(x.any() for x in values):
            zeros.append(_label_of(loss))
            continue
        rows.append(_study_row(loss, values))
        if loss.name == "gap_at_adl_usd":
            rows.append(_closed_row(study))
        elif loss.name == "backstop_low_usd":
            rows.append(_below_zero_row(values))
    head = ("loss", "portfolio", "cross", "difference", "unit", "meaning")
    where = " in every seed under both regimes"
    note = zeros_note(zeros, where=where)
    return table_of("Losses, stressed", head, rows, words=(4, 5), note=note)


def _values(study: RegimeStudy, name: str) -> list[F64]:
    """Return a loss by regime, over seeds."""
    return [np.array([run.arms["R"].losses[name] for run in study.of(r)]) for r in REGIMES]


def _study_row(loss: Loss, values: list[F64]) -> tuple[Cell | str, ...]:
    portfolio, cross = (mean_estimate(x) for x in values)
    name = unit_of_size(kind_of(loss.name), portfolio.value, cross.value)
    least = -math.inf if loss.is_signed else 0.0
    return (
        _label_of(loss),
        *(_cell(e, name, least) for e in (portfolio, cross)),
        cell(paired_difference(*values), name, is_difference=True),
        UNITS[name].label,
        loss.help,
    )


def _cell(estimate: Estimate, unit: str, least: float) -> Cell:
    return Cell("0") if is_zero(estimate) else cell(estimate, unit, at_least=least)


def _below_zero_row(lows: list[F64]) -> tuple[Cell | str, ...]:
    """Return in how many seeds the backstop broke, with the interval of that share."""
    words = "seeds in which it fell below zero, however short, and share of such shocks, 95 %"
    return label_of(BELOW_ZERO), *(_count(low) for low in lows), NONE, "seeds", words


def _count(lows: F64) -> Cell:
    n, count = len(lows), int((lows < 0.0).sum())
    return Cell(f"{count} of {n}", range_text(share_estimate(count, n)))


def _closed_row(study: RegimeStudy) -> tuple[Cell | str, ...]:
    """Return the haircut of those closed against winners, over the seeds that had any."""
    cells, counts = [], []
    for regime in REGIMES:
        found = [
            closed_share(run.episodes["R"].outcomes | run.arms["R"].losses)
            for run in study.of(regime)
        ]
        shares = [share for share in found if np.isfinite(share)]
        counts.append(len(shares))
        mean = mean_estimate(shares)
        cells.append(cell(mean, "bp", at_least=0.0) if shares else Cell(NONE))
    n = f"mean over the {counts[0]} and {counts[1]} seeds with any"
    return _SHARE, *cells, NONE, UNITS["bp"].label, f"{_SHARE_HELP}; {n}"


def _label_of(loss: Loss) -> str:
    return label_of(loss.name, alone=True)
