"""Cells of a study against its control: paired by seed, judged together, beside a placebo.

A pair is a seed: of each cell its mean over what is not known. One that failed in either cell
counts in none of the two. The judge is that of all comparisons, `stressbook.experiments.claims`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stressbook.experiments.claims import Claim, claims
from stressbook.experiments.moves import Horizons, paired_horizons, target_assets
from stressbook.experiments.paired_runs import PairedRuns
from stressbook.experiments.sweeps.by_seed import all_ended, means_by_seed, moves_by_seed
from stressbook.experiments.sweeps.cell import Replicate
from stressbook.experiments.sweeps.study import StudyRuns

__all__ = ["cells_by_horizon", "judged_cells", "placebo_changed"]


def judged_cells(found: StudyRuns, *, level: float = 0.95) -> dict[tuple[int, str], Claim]:
    """Return what may be claimed of every cell that pairs, in every outcome of the study.

    Parameters
    ----------
    found : StudyRuns
        What came of a study whose cells all have the same seeds.
    level : float, default 0.95
        Of the intervals, and 1 - the familywise error rate over all cells and outcomes.

    Returns
    -------
    dict of (int, str) to Claim
        By cell and outcome; against the control, or the first cell of a study without one.
    """
    study = found.study
    control = found.of_cell(study.control or 0)
    keys, table = [], []
    for cell in study.paired_cells():
        treated = found.of_cell(cell)
        both = all_ended(treated) & all_ended(control)
        for aim in study.aims:
            name = aim.outcome
            base = means_by_seed(control, name)
            noise = [means_by_seed(found.placebo, name) - base] if found.placebo else []
            keys.append((cell, name))
            table.append((name, means_by_seed(treated, name)[both], base[both], noise))
    return dict(zip(keys, claims(table, level=level), strict=True))


def cells_by_horizon(found: StudyRuns) -> dict[int, tuple[Horizons, ...]]:
    """Return what pairing with the control achieved for marks, by cell; empty without a control."""
    study = found.study
    if study.control is None:
        return {}
    assets = target_assets(*(point.scenario for point in study.points))
    control = found.of_cell(study.control)
    by_cell = {}
    for cell in study.paired_cells():
        treated = found.of_cell(cell)
        both = all_ended(treated) & all_ended(control)
        moves = [
            {name: values[both] for name, values in moves_by_seed(runs).items()}
            for runs in (treated, control)
        ]
        by_cell[cell] = paired_horizons(moves[0], moves[1], assets)
    return by_cell


@dataclass(frozen=True)
class _Arms(PairedRuns):
    runs: Mapping[str, tuple[Replicate, ...]]


def placebo_changed(found: StudyRuns) -> tuple[str, ...] | None:
    """Return what one more order changed in any run of the control; None if no placebo ran."""
    if not found.placebo:
        return None
    control = found.of_cell(found.study.control or 0)
    arms = {"placebo": found.placebo, "control": control}
    flat = {arm: tuple(run for several in runs for run in several) for arm, runs in arms.items()}
    return _Arms(flat).changed("placebo", "control")
