"""The tables and notes of a study's result, as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from stressbook.api.effect import interval
from stressbook.api.effect_cells import without_dust
from stressbook.api.effect_notes import placebo_note
from stressbook.experiments.claims import MIN_PAIRS
from stressbook.experiments.moves import horizons_note, least_of
from stressbook.experiments.sweeps.by_seed import all_ended
from stressbook.experiments.sweeps.contrast import cells_by_horizon, placebo_changed
from stressbook.experiments.sweeps.study import Study, StudyRuns
from stressbook.experiments.sweeps.summary import StudyCell
from stressbook.experiments.words import amount

__all__ = ["heads", "notes_of", "row_of", "shown"]


def heads(study: Study, *, has_budget: bool) -> tuple[str, ...]:
    """Return the heads of a table beside those of the levers."""
    if study.stop is not None:
        over = ("over", "95% sequence", "within") if has_budget else ()
        return ("mean", "95% sequence", "n", "failed", *over, "seeds", "stopped")
    over = ("over", "95% interval", "within") if has_budget else ()
    paired = ("difference", "95% interval", "corr") if study.control is not None else ()
    return ("mean", "95% interval", "n", "failed", *over, *paired, "verdict")


def row_of(cell: StudyCell, study: Study) -> tuple[str, ...]:
    """Return a row of a table: levers, then what stands below `heads`."""
    over: tuple[str, ...] = ()
    if cell.budget is not None:
        over = (amount(cell.over.value), interval(cell.over), cell.within or "")
    first = (
        *(shown(value) for value in cell.levers.values()),
        amount(cell.mean.value),
        interval(cell.mean),
        str(cell.mean.n),
        str(cell.n_failed),
        *over,
    )
    if study.stop is not None:
        return (*first, str(cell.n_seeds), cell.stopped)
    if study.control is None:
        return (*first, cell.word)
    return (*first, *_paired(cell), "control" if cell.is_control else cell.word)


def _paired(cell: StudyCell) -> tuple[str, ...]:
    if cell.difference.n == 0:
        return ("", "", "")
    difference = without_dust(cell.difference, abs(cell.mean.value))
    corr = "" if math.isnan(cell.correlation) else f"{cell.correlation:.2f}"
    return (amount(difference.value), interval(difference), corr)


def shown(value: Any) -> str:
    """Return the value of a lever as text."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return amount(value) if is_number else str(value)


def notes_of(found: StudyRuns, cells: Sequence[StudyCell]) -> list[str]:
    """Return how the tables of a study are to be read."""
    study = found.study
    if study.stop is not None:
        return _stop_notes(study)
    if study.control is None:
        words = "judged against the first cell, all together, after Holm; paired by seed"
        return [words] if any(cell.word != "not judged" for cell in cells) else []
    return _control_notes(found, cells)


def _stop_notes(study: Study) -> list[str]:
    rule = study.stop
    assert rule is not None
    goal = (
        f"the share over {amount(rule.budget)} is told from {rule.alpha:g}"
        if rule.budget is not None
        else f"the mean is known to ± {amount(rule.half_width or 0.0)}"
    )
    notes = [
        f"a cell stops where {goal} in {rule.outcome}: looked at every {rule.check_every} seeds, "
        f"in their order, {study.replicates} at most",
        "intervals are confidence sequences, 95 % for each cell, which hold although what came out "
        "chose n; exact and t intervals would not, so means without a stated range have none, and "
        "cells are not judged against each other",
    ]
    if rule.low is not None:
        notes.append(
            f"the mean of {rule.outcome} is over seeds, a failed run counting as "
            f"{amount(rule.high or 0.0)}"
        )
    return notes


def _control_notes(found: StudyRuns, cells: Sequence[StudyCell]) -> list[str]:
    study, control = found.study, found.study.control or 0
    label = study.labels()[study.cells()[control][0]]
    n_others = len(study.paired_cells())
    largest = max((cell.difference.n for cell in cells), default=0)
    notes = [f"differences are to {label}, paired by seed, with t intervals"]
    if largest < MIN_PAIRS:
        notes.append(f"{largest} pairs are not evidence: ask for {MIN_PAIRS} replicates or more")
    else:
        notes.append(
            f"a verdict stands after Holm's correction over {n_others} combinations x "
            f"{len(study.aims)} outcomes"
        )
    n = int(all_ended((*found.of_cell(control), *found.placebo)).sum())
    notes.append(placebo_note(placebo_changed(found), label, n=n))
    pairs = list(cells_by_horizon(found).values())
    by_horizon = horizons_note(least_of(pairs), n_pairs_of_arms=len(pairs))
    return [*notes, by_horizon] if by_horizon else notes
