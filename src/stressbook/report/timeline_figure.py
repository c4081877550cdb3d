"""What happened in one run: prices, depth, liquidations, positions and reserves on one clock."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stressbook.experiments.timeline import Timeline
from stressbook.market.compiling.arrays import F64
from stressbook.report.svg import COLOURS, axes_or_new

__all__ = [
    "LOWEST",
    "STRESS_ENDS",
    "USED_UP",
    "Panel",
    "draw_panel",
    "draw_timelines",
    "milestones",
    "timeline_panels",
]

LOWEST: Final = "lowest mark"
STRESS_ENDS: Final = "end of the imposed stress"
USED_UP: Final = "backstop's capital used up"
_MARK: Final = "mark"
_DOTS: Final = (0, (1, 1.5))
_HEADROOM: Final = 1.1  # of an axis over its highest value


class Line(NamedTuple):
    """One line of a panel."""

    label: str
    values: F64
    colour: str
    style: object = "-"


class Panel(NamedTuple):
    """What one panel shows; arrays are as long as `t_min`."""

    title: str
    unit: str
    t_min: F64
    lines: tuple[Line, ...] = ()
    bars: tuple[Line, ...] = ()  # stacked
    between: tuple[F64, F64, str] | None = None  # shaded, with its label
    points: Line | None = None  # drawn where finite
    level: tuple[float, str] | None = None  # a horizontal line
    is_log: bool = False
    from_zero: bool = False
    note: str = ""  # in the middle


def timeline_panels(
    timeline: Timeline, *, colour: str, control: Timeline | None = None, cap_usd: float = 0.0
) -> list[Panel]:
    """Return the panels of one run.

    Parameters
    ----------
    timeline : Timeline
        Of the run.
    colour : str
        Of its own lines.
    control : Timeline, optional
        The same run without stress: what depth was before makers reacted.
    cap_usd : float
        Platform borrow cap, USD; not drawn if 0.

    Returns
    -------
    list of Panel
        Price, depth, liquidations, open interest, premium, funding, backstop, borrowing.
    """
    t, now = timeline.t_min, timeline
    lots = now.open_interest_usd / now.mark_usd
    onset = int(np.searchsorted(t, 0.0))
    return [
        Panel(
            "Price",
            "USD",
            t,
            (
                Line("fundamental", now.fundamental_usd, COLOURS["fundamental"], _DOTS),
                Line("oracle", now.oracle_usd, COLOURS["oracle"], (0, (4, 1.5))),
                Line(_MARK, now.mark_usd, colour),
                Line("outside perp", now.outside_usd, COLOURS["outside"], (0, (2, 2))),
            ),
        ),
        _depth_panel(now, control, colour),
        Panel(
            "Liquidated",
            "M USD a minute",
            t,
            bars=(
                Line("forced orders", now.forced_usd / 1e6, COLOURS["forced"]),
                Line("taken over", now.taken_over_usd / 1e6, COLOURS["taken over"], "///"),
                Line(
                    "deleveraged: accounts",
                    now.deleveraged_usd / 1e6,
                    COLOURS["deleveraged"],
                    "...",
                ),
                Line(
                    "deleveraged: backstop",
                    now.backstop_shed_usd / 1e6,
                    COLOURS["backstop shed"],
                    "xxx",
                ),
            ),
        ),
        Panel(
            "Open interest, in lots",
            "% of the onset",
            t,
            (Line("open interest", 100.0 * lots / lots[onset], colour),),
        ),
        Panel(
            "Mark over oracle",
            "%",
            t,
            (Line("mark over oracle", 100.0 * now.premium_frac, colour),),
            level=(0.0, ""),
        ),
        Panel(
            "Funding booked",
            "% an hour",
            t,
            (Line("funding", 100.0 * now.funding_frac, colour),),
            level=(0.0, ""),
        ),
        Panel(
            "Equity of the backstop",
            "M USD",
            t,
            (Line("at ends of steps", now.backstop_usd / 1e6, colour),),
            points=Line("lowest within a step", _below(now) / 1e6, colour, "v"),
            level=(0.0, "capital used up"),
        ),
        Panel(
            "USDC borrowed",
            "M USD",
            t,
            (Line("borrowed", now.borrowed_usd / 1e6, colour),),
            level=(cap_usd / 1e6, "platform cap") if cap_usd > 0.0 else None,
            from_zero=True,
            note="" if now.borrowed_usd.any() else "nothing is borrowed",
        ),
    ]


def _depth_panel(now: Timeline, control: Timeline | None, colour: str) -> Panel:
    floor = 1e-3
    depth = np.maximum(now.bid_depth_usd / 1e6, floor)
    lines = [Line("resting", depth, colour)]
    between = None
    if control is not None:
        calm = np.maximum(control.bid_depth_usd / 1e6, floor)
        imposed = np.maximum(calm * now.depth_left_frac, floor)
        lines = [
            Line("calm run", calm, "#000000", _DOTS),
            Line("left by the imposed cut", imposed, "#555555", (0, (4, 1.5))),
            *lines,
        ]
        between = (np.minimum(depth, imposed), imposed, "withdrawn or consumed")
    return Panel(
        "Bid depth within 10 bp",
        "M USD, log",
        now.t_min,
        tuple(lines),
        between=between,
        is_log=True,
    )


def _below(now: Timeline) -> F64:
    """Return the backstop's lowest equity where it fell below zero, else NaN."""
    return np.where(now.backstop_low_usd < 0.0, now.backstop_low_usd, np.nan)


def milestones(timeline: Timeline, *, stress_min: float) -> dict[str, float]:
    """Return when things first happened, minutes from the onset; NaN for never.

    Parameters
    ----------
    timeline : Timeline
        Of the run.
    stress_min : float
        Length of the stress, minutes.

    Returns
    -------
    dict of str to float
    """
    t, after = timeline.t_min, timeline.t_min > 0.0

    def first(condition: npt.NDArray[np.bool_]) -> float:
        hits = np.flatnonzero(condition & after)
        return float(t[hits[0]]) if len(hits) else float("nan")

    return {
        "first forced order filled": first(timeline.forced_usd > 0.0),
        "first takeover by the backstop": first(timeline.taken_over_usd > 0.0),
        "first counterparty deleveraged, for an account": first(timeline.deleveraged_usd > 0.0),
        USED_UP: first(timeline.backstop_low_usd < 0.0),
        "backstop's book closed against winners": first(timeline.backstop_shed_usd > 0.0),
        LOWEST: float(t[after][np.argmin(timeline.mark_usd[after])]),
        STRESS_ENDS: stress_min,
    }


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
            panel.t_min, bar.values, width, base, label=bar.label, color=bar.colour, hatch=hatch,
            edgecolor="#333333" if hatch else bar.colour, linewidth=0.0,
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
        ax.set_yscale("log")
    elif panel.from_zero or panel.bars:
        ax.set_ylim(0.0, max(ax.get_ylim()[1], _HEADROOM * _highest(panel)) or 1.0)
    if panel.note:
        ax.text(0.5, 0.5, panel.note, transform=ax.transAxes, ha="center", fontsize=8)
    ax.set_title(panel.title)
    ax.set_ylabel(panel.unit)
    return ax


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
            ax.set_title(name, pad=18.0 if any(legends) else None)
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
    mark = next(line.values for line in price.lines if line.label == _MARK)
    low, onset = int(np.argmin(mark)), int(np.searchsorted(price.t_min, 0.0))
    fall = 100.0 * (1.0 - mark[low] / mark[onset])
    ax.annotate(
        f"low: {mark[low]:.1f} USD,\n{fall:.0f} % below the onset",
        (price.t_min[low], mark[low]),
        xytext=(0.97, 0.72),
        textcoords="axes fraction",
        ha="right",
        fontsize=8,
        arrowprops={"arrowstyle": "-", "color": "#444444", "lw": 0.7},
    )
