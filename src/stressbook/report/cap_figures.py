"""Figures of a cap study: plain arrays of the answer, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from stressbook.experiments.caps.answer import CapAnswer
from stressbook.experiments.caps.losses import column_means
from stressbook.experiments.inference import Estimate
from stressbook.experiments.statistics.exact import share_estimate
from stressbook.market.compiling.arrays import F64
from stressbook.report.svg import COLOURS, axes_or_new

__all__ = [
    "draw_break_even",
    "draw_curves",
    "draw_frontier",
    "draw_heat",
    "draw_losses",
    "draw_pairs",
    "draw_seeds",
]

_OF_DEMAND: Final = {"filled": ("#0072B2", "-", "o"), "emergent": ("#D55E00", (0, (5, 2)), "s")}
_MILLION: Final = 1e6


def _scale(answer: CapAnswer) -> tuple[float, str]:
    """Return what values of the lever are divided by, and their unit."""
    unit = answer.study.cap.unit
    large = unit == "USD" and max(answer.grid.values) >= _MILLION
    return (_MILLION, "M USD") if large else (1.0, unit)


def _mark_caps(ax: Axes, answer: CapAnswer, by: float) -> None:
    current = answer.study.current / by
    ax.axvline(current, color="0.45", lw=0.9, ls=":", label=f"as it stands, {current:g}")
    last = answer.last
    if last is not None:
        colour = COLOURS["oracle"] if answer.certified else COLOURS["forced"]
        word = "certified" if answer.certified else "tried, refused"
        ax.axvline(
            last.value / by, color=colour, lw=1.2, ls="-", label=f"{word}, {last.value / by:g}"
        )


def _mark_alpha(ax: Axes, alpha: float) -> None:
    ax.axhline(100.0 * alpha, color="0.2", lw=0.8, ls=(0, (1, 1)))
    where: Any = ("axes fraction", "data")
    text = f"alpha\n{100.0 * alpha:g} %"
    ax.annotate(text, (1.01, 100.0 * alpha), xycoords=where, va="center", fontsize=8)


def draw_curves(answer: CapAnswer, *, ax: Axes | None = None) -> Axes:
    """Draw the share of episodes above the budget by cap, with exact intervals.

    Parameters
    ----------
    answer : CapAnswer
        Of a study.
    ax : matplotlib.axes.Axes, optional
        Where; a new figure is made if it is left out.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax, width=8.6, height=3.4)
    by, unit = _scale(answer)
    outcome = answer.study.outcome
    apart = 0.006 * max(answer.grid.values) / by  # so that neither hides the other
    for k, grid in enumerate(answer.grids.values()):
        curve = answer.critical_of(grid).curve()
        _draw_shares(ax, np.array(grid.values) / by + k * apart, curve, grid.demand)
    last = answer.last
    if last is not None:
        share = share_estimate(outcome.n_failed(last.runs), last.runs.n)
        _draw_shares(ax, np.array([last.value / by - apart]), [share], "fresh episodes")
    _mark_alpha(ax, outcome.alpha)
    _mark_caps(ax, answer, by)
    ax.set_ylabel(f"above {outcome.budget_text}, % of episodes")
    ax.set_xlabel(f"{_lever_name(answer)}, {unit}")
    _from_zero(ax)
    _legend(ax)
    return ax


def _draw_shares(ax: Axes, x: F64, shares: Sequence[Estimate], label: str) -> None:
    colour, line, marker = _OF_DEMAND.get(label, (COLOURS["oracle"], "-", "D"))
    y = np.array([100.0 * share.value for share in shares])
    ends = np.array([[100.0 * (s.value - s.low), 100.0 * (s.high - s.value)] for s in shares]).T
    fill = colour if label == "filled" else "white"
    style: dict[str, Any] = {"color": colour, "marker": marker, "ms": 4.5, "ls": line, "mfc": fill}
    ax.errorbar(x, y, yerr=np.maximum(ends, 0.0), label=label, capsize=2, elinewidth=0.8, **style)


def draw_seeds(answer: CapAnswer, *, ax: Axes | None = None) -> Axes:
    """Draw what each episode of the proposal still bears, in rising order."""
    ax = axes_or_new(ax, width=8.6, height=3.0)
    by, unit = _scale(answer)
    critical = np.sort(answer.critical.critical)
    top = answer.grid.values[-1] * 1.08 / by
    y = np.where(np.isfinite(critical), critical / by, top)
    is_above = ~np.isfinite(critical)
    x = np.arange(1, len(y) + 1)
    ax.step(x, y, where="mid", color=COLOURS["hyperliquid-pm"], lw=1.0)
    ax.plot(x[~is_above], y[~is_above], "o", ms=3.5, color=COLOURS["hyperliquid-pm"])
    ax.plot(x[is_above], y[is_above], "^", ms=4, mfc="white", color=COLOURS["hyperliquid-pm"])
    if answer.proposal.rank:
        k = answer.proposal.rank - 1
        ax.plot([x[k]], [y[k]], "D", ms=8, mfc="none", color=COLOURS["cross"])
        shown: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 8}
        ax.annotate("proposal", (x[k], y[k]), xytext=(16, -9), **shown)
    if is_above.any():
        ax.annotate("above the grid", (x[-1], top), xytext=(6, 0), textcoords="offset points",
                    va="center", fontsize=8, annotation_clip=False)  # fmt: skip
    ax.set_ylim(-0.08 * top, 1.05 * top)
    ax.set_xlabel("episode, by what it bears")
    ax.set_ylabel(f"critical cap, {unit}")
    return ax


def draw_losses(answer: CapAnswer, *, ax: Axes | None = None) -> Axes:
    """Draw the loss of each episode against the cap, with median and 95 % point."""
    ax = axes_or_new(ax, width=8.6, height=3.4)
    by, unit = _scale(answer)
    outcome = answer.study.outcome
    loss_by, _ = outcome.shown_in
    losses = answer.grid.table(outcome.name) / loss_by
    x = np.array(answer.grid.values) / by
    for row in losses:
        ax.plot(x, row, color="0.75", lw=0.5)
    there = [column[np.isfinite(column)] for column in losses.T]
    middle = [np.median(column) if len(column) else np.nan for column in there]
    high = [np.quantile(column, 0.95) if len(column) else np.nan for column in there]
    ax.plot(x, middle, "o-", ms=4, color="#0072B2", label="median")
    ax.plot(x, high, "s--", ms=4, color="#D55E00", label="95 % point")
    ax.axhline(outcome.budget / loss_by, color="0.2", lw=0.8, ls=(0, (1, 1)), label="budget")
    _mark_caps(ax, answer, by)
    ax.set_yscale("symlog", linthresh=1.0)
    ax.set_ylim(bottom=0.0)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_ylabel(outcome.titled(outcome.name))
    ax.set_xlabel(f"{_lever_name(answer)}, {unit}")
    _legend(ax)
    return ax


def draw_frontier(answer: CapAnswer, *, axes: Sequence[Axes] | None = None) -> Figure:
    """Draw expected loss against what a cap allows: borrowed USDC, open interest, the spread."""
    figure = Figure(figsize=(8.6, 3.2), layout="constrained")
    places = list(axes) if axes is not None else list(figure.subplots(1, 3, sharey=True))
    outcome, asset = answer.study.outcome, answer.study.asset
    shown = (
        ("peak_borrowed_usd", _MILLION, "USDC borrowed, peak, M USD"),
        ("open_interest_usd", _MILLION, "open interest, end, M USD"),
        (f"spread_{asset}_bp", 1.0, f"{asset} perp, median spread, bp"),
    )
    for grid in answer.grids.values():
        colour, line, marker = _OF_DEMAND[grid.demand]
        loss = column_means(grid.table(outcome.name)) / outcome.shown_in[0]
        for ax, (name, unit, _) in zip(places, shown, strict=True):
            allowed = column_means(grid.table(name)) / unit
            ax.plot(allowed, loss, color=colour, ls=line, marker=marker, ms=4, label=grid.demand)
            if grid is answer.grid and answer.last is not None:
                k = grid.values.index(answer.last.value)
                _ring(ax, answer, allowed[k], loss[k])
    for ax, (_, _, label) in zip(places, shown, strict=True):
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.set_xlabel(label)
    for ax in places[1:]:
        _not_magnified(ax)
    places[0].set_ylabel(outcome.titled(f"mean {outcome.name}").replace(", ", ",\n"))
    handles, labels = places[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return figure


def _not_magnified(ax: Axes) -> None:
    """Show a tenth of the size at least, so that noise does not look like a frontier."""
    low, high = ax.get_xlim()
    middle = 0.5 * (low + high)
    if high - low < 0.1 * middle:
        ax.set_xlim(0.95 * middle, 1.05 * middle)


def _ring(ax: Axes, answer: CapAnswer, allowed: float, loss: float) -> None:
    """Ring the cap last tried."""
    word = "certified" if answer.certified else "tried, refused"
    colour = COLOURS["oracle"] if answer.certified else COLOURS["forced"]
    ax.plot([allowed], [loss], "o", ms=11, mfc="none", mec=colour, mew=1.4, label=word)


def draw_heat(
    cells: Sequence[dict[str, Any]], names: tuple[str, str], *, ax: Axes | None = None
) -> Axes:
    """Draw failures of n by two draws: shade for the share, k/n in each cell."""
    ax = axes_or_new(ax, width=6.4, height=3.4)
    n_bins = round(len(cells) ** 0.5)
    share = np.array([cell["share"] for cell in cells]).reshape(n_bins, n_bins)
    most = max(0.2, float(np.nanmax(share, initial=0.0)))
    edges = np.arange(n_bins + 1) - 0.5
    ax.pcolormesh(edges, edges, share, cmap="Oranges", vmin=0.0, vmax=most)
    for rank, cell in enumerate(cells):
        dark = cell["n"] and cell["share"] > 0.65 * most
        ax.text(rank % n_bins, rank // n_bins, f"{cell['failures']}/{cell['n']}", ha="center",
                va="center", fontsize=9, color="white" if dark else "black")  # fmt: skip
    first = [cell for cell in cells if cell is cells[0] or cells.index(cell) % n_bins == 0]
    ax.set_yticks(range(n_bins), [_range(cell, names[0]) for cell in first])
    ax.set_xticks(range(n_bins), [_range(cell, names[1]) for cell in cells[:n_bins]])
    ax.set_ylabel(names[0])
    ax.set_xlabel(names[1])
    ax.grid(visible=False)
    return ax


def draw_break_even(answer: CapAnswer, *, ax: Axes | None = None) -> Axes:
    """Draw failures by what the market absorbs, with exact intervals."""
    ax = axes_or_new(ax, width=6.4, height=3.0)
    found = answer.break_even
    if found is None:
        return ax
    tried = sorted(found.tried, key=lambda point: point.multiplier)
    x = np.array([point.multiplier for point in tried])
    _draw_shares(ax, x, [point.share for point in tried], answer.study.demand)
    _mark_alpha(ax, answer.study.outcome.alpha)
    low, high = np.clip((found.low, found.high), *found.range)
    ax.axvspan(low, high, color=COLOURS["oracle"], alpha=0.12, lw=0, label="not told from alpha")
    if not found.is_outside:
        ax.axvline(
            found.value, color=COLOURS["oracle"], lw=1.2, label=f"break-even, {found.value:.2g}"
        )
    ax.set_xscale("log", base=2)
    ax.set_xticks([0.25, 0.5, 1.0, 2.0, 4.0], ["1/4", "1/2", "1", "2", "4"])
    _from_zero(ax)
    ax.set_xlabel("absorption, of what is assumed")
    ax.set_ylabel("above the budget, % of episodes")
    _legend(ax)
    return ax


def draw_pairs(answer: CapAnswer, *, ax: Axes | None = None) -> Axes:
    """Draw the pairs of two caps that every episode bears: all at or below the staircase."""
    ax = axes_or_new(ax, width=6.4, height=3.2)
    found, second = answer.pairs, answer.study.second
    if found is None:
        return ax
    by, unit = _scale(answer)
    is_large = second.unit == "USD" and max(second.grid) >= _MILLION
    by_2, unit_2 = (_MILLION, ", M USD") if is_large else (1.0, "")
    grid = [(a / by, b / by_2) for a in answer.grid.values for b in second.grid]
    ax.plot(*zip(*grid, strict=True), "o", ms=3, color="0.7", label="tried")
    if found.pairs:
        x = np.array([0.0, *(a / by for a, _ in found.pairs)])
        y = np.array([found.pairs[0][1], *(b for _, b in found.pairs)]) / by_2
        ax.fill_between(x, 0.0, y, step="pre", color=COLOURS["oracle"], alpha=0.12, lw=0)
        ax.plot(
            np.append(x, x[-1]), np.append(y, 0.0), drawstyle="steps-pre", color=COLOURS["oracle"]
        )
        ax.plot(x[1:], y[1:], "D", ms=6, color=COLOURS["oracle"], label="largest without a failure")
    ax.axvline(answer.study.current / by, color="0.45", lw=0.9, ls=":", label="as it stands")
    ax.set_xlim(left=0.0)
    ax.set_ylim(0.9 * min(second.grid) / by_2, 1.05 * max(second.grid) / by_2)
    ax.set_xlabel(f"{_lever_name(answer)}, {unit}")
    ax.set_ylabel(second.lever.removeprefix("venue.tokens.").removeprefix("venue.") + unit_2)
    _legend(ax)
    return ax


def _range(cell: dict[str, Any], name: str) -> str:
    return f"{cell[f'{name}_from']:.3g} to {cell[f'{name}_to']:.3g}"


def _lever_name(answer: CapAnswer) -> str:
    return answer.study.cap.lever.removeprefix("venue.tokens.").removeprefix("venue.")


def _from_zero(ax: Axes) -> None:
    """Leave a little room below 0, too little for a tick."""
    top = ax.get_ylim()[1]
    ax.set_ylim(-0.05 * top, top)


def _legend(ax: Axes) -> None:
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=5, borderaxespad=0.1)
