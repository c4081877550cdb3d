"""Losses, each by its own name with a line of meaning: of a run, and of a stressed study."""

from __future__ import annotations

import math

import numpy as np

from stressbook.experiments.inference import mean_estimate, paired_difference
from stressbook.experiments.losses import LOSSES, Loss
from stressbook.experiments.outcome_words import BELOW_ZERO, label_of
from stressbook.experiments.regimes import REGIMES, RegimeStudy
from stressbook.experiments.run import RunRecord
from stressbook.report.layout import Table, table_of
from stressbook.report.numbers import UNITS, Cell, Unit, cell

__all__ = ["run_loss_table", "study_loss_table"]


def run_loss_table(record: RunRecord) -> Table:
    """Return the losses of one run."""
    rows = []
    for loss in LOSSES:
        unit = _unit_of(loss)
        value = unit.text(record.outcomes[loss.name] * unit.factor)
        rows.append((label_of(loss.name, alone=True), value, unit.label, loss.help))
    return table_of("", ("loss", "value", "unit", "meaning"), rows, words=(2, 3))


def study_loss_table(study: RegimeStudy) -> Table:
    """Return the losses of the stressed run: means by regime, and the paired difference."""
    rows: list[tuple[Cell | str, ...]] = []
    for loss in LOSSES:
        portfolio, cross = (
            np.array([run.arms["R"].losses[loss.name] for run in study.of(regime)])
            for regime in REGIMES
        )
        kind = _kind_of(loss)
        at_least = -math.inf if loss.is_signed else 0.0
        rows.append(
            (
                label_of(loss.name, alone=True),
                cell(mean_estimate(portfolio), kind, at_least=at_least),
                cell(mean_estimate(cross), kind, at_least=at_least),
                cell(paired_difference(portfolio, cross), kind, is_difference=True),
                _unit_of(loss).label,
                loss.help,
            )
        )
    rows.append(_below_zero_row(study))
    head = ("loss", "portfolio", "cross", "difference", "unit", "meaning")
    return table_of("Losses, stressed", head, rows, words=(4, 5))


def _below_zero_row(study: RegimeStudy) -> tuple[Cell | str, ...]:
    """Return in how many seeds the backstop broke; how many is no mean with an interval."""
    lows = [[run.arms["R"].losses["backstop_low_usd"] for run in study.of(r)] for r in REGIMES]
    found = [f"{sum(low < 0.0 for low in by_seed)} of {len(by_seed)}" for by_seed in lows]
    words = "seeds in which the equity of the backstop fell below zero, however short"
    return (label_of(BELOW_ZERO), *found, "", "seeds", words)


def _kind_of(loss: Loss) -> str:
    return {"USD": "usd", "h": "hours"}.get(loss.unit, "frac")


def _unit_of(loss: Loss) -> Unit:
    return UNITS[_kind_of(loss)]
