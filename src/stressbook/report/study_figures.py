"""Figures of the study of two regimes: computed first, as plain arrays, then drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stressbook.experiments.inference import Estimate, mean_estimate
from stressbook.experiments.regimes import REGIMES, RegimeStudy
from stressbook.market.compiling.arrays import F64
from stressbook.report.study_tables import ClassRow
from stressbook.report.svg import COLOURS, LINES, MARKERS, axes_or_new

__all__ = [
    "ARM_LABELS",
    "Dots",
    "arm_dots",
    "dose_dots",
    "draw_classes",
    "draw_dose",
    "draw_doses",
    "draw_dots",
    "size_dots",
]

ARM_LABELS: Final = {
    "0": "calm (0)",
    "P": "passive: holdings frozen (P)",
    "N": "no forced orders, no defence (N)",
    "F": "no forced orders (F)",
    "R": "everything (R)",
}


class Dots(NamedTuple):
    """One row of a dot plot: the values of all seeds under each regime."""

    label: str
    values: dict[str, F64]
    is_hollow: bool = False


def arm_dots(study: RegimeStudy) -> list[Dots]:
    """Return the fall of the target in each arm, %."""
    arms = [arm for arm in ARM_LABELS if arm in study.plan.arms]
    return [Dots(ARM_LABELS[arm], {r: 100.0 * study.fall(r, arm) for r in REGIMES}) for arm in arms]


def size_dots(study: RegimeStudy) -> list[Dots]:
    """Return the fall of the target under other laws of the outside's impact, %.

    With and without forced orders; the reference on the same seeds as the variants.
    """
    plan = study.plan
    keep = len(plan.variant_seeds)
    names = [variant.name for variant in plan.variants]
    rows = []
    for name in ["", *names]:
        for arm, word in (("R", "everything"), ("F", "no forced orders")):
            values = {r: 100.0 * study.fall(r, arm, name)[:keep] for r in REGIMES}
            rows.append(Dots(f"{name or 'reference'}: {word}", values, arm == "F"))
    return rows


def dose_dots(study: RegimeStudy, what: str) -> tuple[F64, dict[str, F64]]:
    """Return severities, and of each regime the values of all seeds at each severity.

    Parameters
    ----------
    study : RegimeStudy
        All runs.
    what : {"fall", "liquidated"}
        Of the target, %.

    Returns
    -------
    severities : ndarray, shape (k,)
    values : dict of str to ndarray, shape (k, n)
    """
    plan = study.plan
    arms = {0.0: "0", **{s: f"R@{s:g}" for s in plan.severities}, 1.0: "R"}
    get = study.fall if what == "fall" else study.liquidated
    values = {r: np.stack([100.0 * get(r, arms[s]) for s in sorted(arms)]) for r in REGIMES}
    return np.array(sorted(arms)), values


def draw_dots(rows: Sequence[Dots], *, unit: str, ax: Axes | None = None) -> Axes:
    """Draw a dot for each seed, and mean with interval, of each regime on each row.

    Parameters
    ----------
    rows : sequence of Dots
        From top to bottom.
    unit : str
        Label of the axis.
    ax : matplotlib.axes.Axes, optional
        Where; a new figure is made if it is left out.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax, width=8.6, height=0.9 + 0.48 * len(rows))
    for place, row in enumerate(rows):
        for regime, shift in zip(REGIMES, (-0.16, 0.16), strict=True):
            values, y = row.values[regime], place + shift
            mean = mean_estimate(values)
            colour = COLOURS[regime]
            ax.plot(
                values, np.full(len(values), y), ls="", marker="|", ms=7, color=colour, alpha=0.6
            )
            if np.isfinite(mean.low):
                ax.plot([mean.low, mean.high], [y, y], color=colour, lw=1.2, ls=LINES[regime])
            ax.plot(
                [mean.value], [y], ls="", marker=MARKERS[regime], ms=6.5, color=colour,
                mfc="white" if row.is_hollow else colour,
                label=f"{regime} margin" if place == 0 else None,
            )  # fmt: skip
            right = np.nanmax([mean.high, *values, mean.value])
            ax.annotate(
                f"{mean.value:.1f}", (right, y), xytext=(6, 0), textcoords="offset points",
                va="center", fontsize=8, color=colour,
            )  # fmt: skip
    ax.set_yticks(range(len(rows)), [row.label for row in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(left=0.0)
    ax.set_xlabel(unit)
    ax.grid(visible=False, axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
    return ax


def draw_dose(
    severities: F64, values: dict[str, F64], *, title: str, unit: str, ax: Axes | None = None
) -> Axes:
    """Draw an outcome against the severity of the shock, a thin line for each seed."""
    ax = axes_or_new(ax, width=4.5)
    for regime in REGIMES:
        colour, x = COLOURS[regime], severities + (-0.008 if regime == REGIMES[0] else 0.008)
        ax.plot(x, values[regime], color=colour, ls=LINES[regime], lw=1.0, alpha=0.7)
        ax.plot(
            x, values[regime].mean(axis=1), color=colour, ls=LINES[regime],
            lw=3.0, marker=MARKERS[regime], ms=7, label=f"{regime} margin, mean",
        )  # fmt: skip
    ax.set_xticks(severities)
    ax.set_xlabel("severity of the shock (1: as in the scenario)")
    ax.set_ylabel(unit)
    ax.set_title(title)
    ax.legend(loc="upper left")
    return ax


def draw_doses(study: RegimeStudy) -> Figure:
    """Draw fall and liquidations against the severity of the shock."""
    figure = Figure(figsize=(10.0, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    target = study.plan.target
    severities, falls = dose_dots(study, "fall")
    title = f"Largest fall of the {target} mark"
    draw_dose(severities, falls, title=title, unit="largest fall, %", ax=left)
    severities, shares = dose_dots(study, "liquidated")
    title = f"Liquidated {target} perps"
    draw_dose(severities, shares, title=title, unit="% of open interest at the onset", ax=right)
    return figure


def draw_classes(rows: Sequence[ClassRow]) -> Figure:
    """Draw gains and losses of classes: revaluation on the left, the rest on the right.

    Parameters
    ----------
    rows : sequence of ClassRow
        From top to bottom, without their sum.

    Returns
    -------
    matplotlib.figure.Figure
        Means over seeds, with their intervals where there are any.
    """
    figure = Figure(figsize=(10.0, 1.1 + 0.42 * len(rows)), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)  # sizes may be compared across
    columns = (
        ("Revaluation of what was held", [row.revaluation for row in rows]),
        ("Net of revaluation: trading, costs, losses passed on", [row.net for row in rows]),
    )
    for ax, (title, values) in zip(axes, columns, strict=True):
        for k, regime in enumerate(REGIMES):
            _class_bars(ax, [value[k] for value in values], regime)
        ax.axvline(0.0, color="#444444", lw=0.8)
        ax.set_title(title)
        ax.set_xlabel("M USD, mean over seeds with 95 % interval")
        ax.grid(visible=False, axis="y")
    axes[0].set_yticks(range(len(rows)), [row.label for row in rows])
    axes[0].invert_yaxis()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return figure


def _class_bars(ax: Axes, values: Sequence[Estimate], regime: str) -> None:
    is_first = regime == REGIMES[0]
    y = np.arange(len(values)) + (-0.19 if is_first else 0.19)
    ax.barh(
        y, [e.value / 1e6 for e in values], 0.36, color=COLOURS[regime],
        hatch=None if is_first else "///", edgecolor="white", lw=0.0, label=f"{regime} margin",
    )  # fmt: skip
    for place, e in zip(y, values, strict=True):
        if np.isfinite(e.low) and e.high > e.low:
            ax.plot([e.low / 1e6, e.high / 1e6], [place, place], color="#000000", lw=1.0)
