"""What happened in one run, drawn: panels below each other, runs side by side."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from stressbook.report.svg import axes_or_new
from stressbook.report.timeline_panels import MARK, Panel

__all__ = ["draw_panel", "draw_timelines"]

_HEADROOM: Final = 1.1  # of an axis over its highest value


def draw_panel(panel: Panel, *, ax: Axes | None = None) -> Axes:
    """Draw one panel.

    Parameters
    ----------
    panel : Panel
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where; a new figure is made if it is left out.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax)
    width = float(panel.t_min[1] - panel.t_min[0]) if len(panel.t_min) > 1 else 1.0
    base = np.zeros(len(panel.t_min))
    for bar in panel.bars:
        hatch = bar.style if bar.style != "-" else None
        ax.bar(
            panel.t_min - width / 2.0, bar.values, width, base, label=bar.label, color=bar.colour,
            hatch=hatch, edgecolor="#333333" if hatch else bar.colour, linewidth=0.0,
        )  # fmt: skip
        base = base + bar.values
    if panel.between is not None:
        low, high, label = panel.between
        ax.fill_between(panel.t_min, low, high, color="#BBBBBB", alpha=0.6, lw=0, label=label)
    for line in panel.lines:
        ax.plot(panel.t_min, line.values, label=line.label, color=line.colour, ls=line.style)
    if panel.points is not None and _has_points(panel):
        points = panel.points
        ax.plot(
            panel.t_min, points.values, ls="", marker=str(points.style), ms=6,
            color=points.colour, mec="#000000", mew=0.7, label=points.label,
        )  # fmt: skip
    if panel.level is not None:
        ax.axhline(panel.level[0], color="#444444", lw=0.9, ls=(0, (6, 2)))
        if panel.level[1]:
            ax.annotate(
                panel.level[1], (0.008, panel.level[0]), xycoords=("axes fraction", "data"),
                ha="left", va="bottom", fontsize=8, color="#444444",
            )  # fmt: skip
    if panel.is_log:
        _log_scale(ax, panel)
    elif panel.from_zero or panel.bars:
        ax.set_ylim(0.0, max(ax.get_ylim()[1], _HEADROOM * _highest(panel)) or 1.0)
    if panel.marked is not None and panel.marked.values.any():
        _mark_bars(ax, panel)
    if panel.peak and panel.lines:
        _note_peak(ax, panel)
    if panel.note:
        ax.text(0.5, 0.5, panel.note, transform=ax.transAxes, ha="center", fontsize=8)
    ax.set_title(panel.title)
    ax.set_ylabel(panel.unit)
    return ax


def _log_scale(ax: Axes, panel: Panel) -> None:
    """Show whole decades, so that each end of the axis has its number."""
    ax.set_yscale("log")
    values = np.concatenate([line.values for line in panel.lines])
    low, high = float(values.min()), float(values.max())
    bottom, top = 10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high))
    if len(ax.get_shared_y_axes().get_siblings(ax)) > 1 and ax.get_subplotspec() is not None:
        now = ax.get_ylim()  # what a column to the left needs
        bottom, top = min(bottom, now[0]), max(top, now[1])
    ax.set_ylim(bottom, top)
    ax.yaxis.set_major_locator(LogLocator(base=10.0, numticks=12))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _mark_bars(ax: Axes, panel: Panel) -> None:
    """Put a mark above bins with a kind that may be too small to see in its bar."""
    assert panel.marked is not None
    top = np.sum([bar.values for bar in panel.bars], axis=0)
    middle = panel.t_min - float(panel.t_min[1] - panel.t_min[0]) / 2.0
    at = panel.marked.values > 0.0
    ax.plot(
        middle[at], top[at], ls="", marker="v", ms=5, color=panel.marked.colour,
        mec="#333333", mew=0.5, clip_on=False,
    )  # fmt: skip


def _note_peak(ax: Axes, panel: Panel) -> None:
    """Write the value that lies farthest from zero after the onset."""
    values, after = panel.lines[0].values, np.flatnonzero(panel.t_min > 0.0)
    if not len(after):
        return
    k = int(after[np.abs(values[after]).argmax()])
    ax.annotate(
        f"{values[k]:+.1f} % at {panel.t_min[k]:.1f} min".replace("-", "\N{MINUS SIGN}"),
        (panel.t_min[k], values[k]),
        xytext=(7, 6 if values[k] < 0.0 else -2), textcoords="offset points", va="center",
        fontsize=8, color="#444444",
    )  # fmt: skip


def _highest(panel: Panel) -> float:
    """Return the largest value of a panel; columns share a scale, so limits alone do not tell."""
    level = panel.level[0] if panel.level else 0.0
    stacked = [sum(bar.values for bar in panel.bars)] if panel.bars else []
    drawn = [np.zeros(1), *(line.values for line in panel.lines), *stacked]
    return max(float(np.nanmax(np.concatenate(drawn))), level)


def draw_timelines(
    columns: dict[str, list[Panel]], *, window_min: tuple[float, float], low_note: bool = True
) -> Figure:
    """Draw runs side by side on one clock, with one scale a row.

    Parameters
    ----------
    columns : dict of str to list of Panel
        Title to panels; all of the same length.
    window_min : tuple of float
        When the stress acts, minutes; shaded.
    low_note : bool, default True
        Whether the lowest mark is written beside it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    n_rows = max(len(panels) for panels in columns.values())
    width = 8.6 if len(columns) == 1 else 5.4 * len(columns) + 0.6
    height = 1.9 * n_rows
    figure = Figure(figsize=(width, height))
    # Fixed margins: to solve for the layout of fourteen panels takes longer than to draw them.
    figure.subplots_adjust(
        left=0.75 / width,
        right=1.0 - 0.1 / width,
        top=1.0 - 0.5 / height,
        bottom=0.5 / height,
        hspace=0.52,
        wspace=0.17,
    )
    axes = figure.subplots(n_rows, len(columns), sharex=True, sharey="row", squeeze=False)
    for j, (title, panels) in enumerate(columns.items()):
        for i, panel in enumerate(panels):
            ax = draw_panel(panel, ax=axes[i, j])
            if window_min[1] > window_min[0]:
                label = "stress acts" if i == 0 else ""
                ax.axvspan(*window_min, color="#F0E442", alpha=0.22, lw=0, label=label)
            legends = [_entries(other[i]) > 1 for other in columns.values()]
            name = f"{title}: {panel.title.lower()}" if i == 0 else panel.title
            pad = 18.0 if any(legends) else None
            ax.set_title(name, pad=pad)
            ax.set_title(panel.aside, loc="right", pad=pad, fontsize=7.5, color="#444444")
            if legends[j] and (j == 0 or _has_points(panel)):
                _legend(ax)
            ax.tick_params(labelbottom=i == n_rows - 1, labelleft=True)
        axes[n_rows - 1, j].set_xlabel("minutes from the onset")
        if low_note:
            _note_lowest(axes[0, j], panels[0])
    return figure


def _has_points(panel: Panel) -> bool:
    return panel.points is not None and bool(np.isfinite(panel.points.values).any())


def _entries(panel: Panel) -> int:
    return len(panel.lines) + len(panel.bars) + _has_points(panel)


def _legend(ax: Axes) -> None:
    """Put the legend between title and panel, where it hides no line."""
    ax.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=6, borderaxespad=0.1,
        handlelength=2.0, columnspacing=1.0, handletextpad=0.5, fontsize=7.5,
    )  # fmt: skip


def _note_lowest(ax: Axes, price: Panel) -> None:
    mark = next(line.values for line in price.lines if line.label == MARK)
    low, onset = int(np.argmin(mark)), int(np.searchsorted(price.t_min, 0.0))
    fall = 100.0 * (1.0 - mark[low] / mark[onset])
    ax.plot(
        [price.t_min[low]], [mark[low]], ls="", marker="o", ms=6, mfc="none", mec="#444444",
        zorder=5,
    )  # fmt: skip
    ax.text(
        0.99,
        0.95,
        f"low (ring): {mark[low]:.1f} USD at {price.t_min[low]:.1f} min,\n"
        f"{fall:.0f} % below the onset",
        transform=ax.transAxes,
        ha="right",
        va="top",
        fontsize=8,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0},
    )
