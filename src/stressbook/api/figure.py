"""The quick figure of a run: marks, liquidations, depth and open interest over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from stressbook.experiments.recorder import liquidated_lots
from stressbook.experiments.run import RunRecord
from stressbook.market.compiling.arrays import F64

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Panel", "draw_run", "make_axes", "run_panels"]

# Okabe and Ito's palette, told apart by most colour-blind readers.
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_WINDOW_S: Final = 60.0


class Panel(NamedTuple):
    """What one panel shows: a line for each asset or book."""

    title: str
    unit: str
    t_min: F64  # (n,)
    lines: dict[str, F64]  # each (n,)


def run_panels(record: RunRecord) -> list[Panel]:
    """Return the lines of the quick figure.

    Parameters
    ----------
    record : RunRecord
        A finished run.

    Returns
    -------
    list of Panel
        Mark relative to the onset, what was liquidated in each minute, depth of the perp books
        and open interest, as means over minutes.
    """
    scenario = record.scenario
    asset, book = record.series.asset, record.series.book
    spec = scenario.venue_spec()
    perp = {entry.asset: i for i, entry in enumerate(spec.instruments) if entry.kind == "perp"}
    window = max(1, round(_WINDOW_S / scenario.dt_s))
    onset = asset[record.onset_step]
    marks, forced, depth, interest = {}, {}, {}, {}
    for k, name in enumerate(scenario.assets):
        i = perp[name]
        rows, lot_size = asset[:, k], spec.instruments[i].lot_size
        lots = liquidated_lots(rows)
        marks[name] = _means(100.0 * (rows["mark_usd"] / onset[k]["mark_usd"] - 1.0), window)
        forced[name] = _means(lots * lot_size * rows["mark_usd"], window) * window / 1e6
        depth[name] = _means(book[:, i]["bid_depth_usd"], window) / 1e6
        interest[name] = (
            _means(rows["open_interest_lots"] * lot_size * rows["mark_usd"], window) / 1e6
        )
    t_s: F64 = np.arange(1.0, len(asset) + 1.0) * scenario.dt_s
    t_min = _means(t_s / 60.0, window)
    return [
        Panel("Mark since the onset", "%", t_min, marks),
        Panel("Forced, taken over and deleveraged", "M USD a minute", t_min, forced),
        Panel("Bid depth within 10 bp", "M USD", t_min, depth),
        Panel("Open interest", "M USD", t_min, interest),
    ]


def draw_run(record: RunRecord, *, ax: Axes | None = None) -> Axes:
    """Draw the quick figure of a run.

    Parameters
    ----------
    record : RunRecord
        A finished run.
    ax : matplotlib.axes.Axes, optional
        Place for the first panel; a figure of all is made if it is left out.

    Returns
    -------
    matplotlib.axes.Axes
        Of the first panel.
    """
    panels = run_panels(record)
    if ax is not None:
        _draw(ax, panels[0])
        return ax
    axes = make_axes(len(panels))
    onset_min = record.onset_step * record.scenario.dt_s / 60.0
    for place, panel in zip(axes, panels, strict=True):
        _draw(place, panel)
        if record.scenario.stresses:
            place.axvline(onset_min, color="0.4", linewidth=0.8, linestyle=":")
    onset = ", dotted: onset of the stress" if record.scenario.stresses else ""
    axes[0].figure.suptitle(f"{record.scenario.name}, seed {record.seed}{onset}")
    return axes[0]


def make_axes(n_panels: int) -> list[Axes]:
    """Return the places of a figure; one that no window manager knows where there is no screen."""
    from matplotlib import get_backend

    shape: dict[str, Any] = {"nrows": n_panels, "sharex": True, "squeeze": False}
    size: dict[str, Any] = {"figsize": (8.0, 2.2 * n_panels), "layout": "constrained"}
    if get_backend().lower() == "agg":
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(**size)
        FigureCanvasAgg(figure)
        return list(figure.subplots(**shape)[:, 0])
    from matplotlib import pyplot

    _, axes = pyplot.subplots(**shape, **size)
    return list(axes[:, 0])


def _draw(ax: Axes, panel: Panel) -> None:
    for colour, (name, values) in zip(
        _COLOURS * len(panel.lines), panel.lines.items(), strict=False
    ):
        ax.plot(panel.t_min, values, label=name, color=colour, linewidth=1.2)
    ax.set_title(panel.title, loc="left", fontsize="medium")
    ax.set_ylabel(panel.unit)
    ax.set_xlabel("time, min")
    ax.label_outer()
    # Above the panel: inside, it would lie on a line sooner or later.
    ax.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.1,
        ncols=len(panel.lines),
        fontsize="small",
        frameon=False,
    )


def _means(values: F64, window: int) -> F64:
    """Return means over windows; the last one may be shorter."""
    starts = np.arange(0, len(values), window)
    sums: F64 = np.add.reduceat(values, starts)
    lengths = np.diff(np.append(starts, len(values)))
    return sums / lengths
