"""What is shown of one run: prices, depth, liquidations, positions and reserves on one clock."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from stressbook.experiments.timeline import Timeline
from stressbook.market.compiling.arrays import F64
from stressbook.report.numbers import percent, usd
from stressbook.report.svg import COLOURS

__all__ = [
    "LOWEST",
    "MARK",
    "STRESS_ENDS",
    "USED_UP",
    "Line",
    "Panel",
    "milestones",
    "premium_text",
    "timeline_panels",
]

LOWEST: Final = "lowest mark"
STRESS_ENDS: Final = "end of the imposed stress"
USED_UP: Final = "backstop's capital used up"
MARK: Final = "mark"
_DOTS: Final = (0, (1, 1.5))
_MOST_BARS: Final = 40  # more would be hairlines


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
    marked: Line | None = None  # of the bars: a mark above each bin that has any
    level: tuple[float, str] | None = None  # a horizontal line
    is_log: bool = False
    from_zero: bool = False
    note: str = ""  # in the middle
    aside: str = ""  # small, right of the title
    peak: bool = False  # whether the value farthest from the level is written beside it


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
    bars, bar_t, bar_unit = _liquidations(now)
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
                Line(MARK, now.mark_usd, colour),
                Line("outside perp", now.outside_usd, COLOURS["outside"], (0, (2, 2))),
            ),
            aside=_apart_text(now),
        ),
        _depth_panel(now, control, colour),
        Panel(
            "Liquidated",
            bar_unit,
            bar_t,
            bars=bars,
            marked=bars[2],
            aside=f"in all, M USD: {', '.join(usd(1e6 * float(b.values.sum())) for b in bars)}",
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
            peak=True,
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


def _liquidations(now: Timeline) -> tuple[tuple[Line, ...], F64, str]:
    """Return bars of liquidations in bins wide enough to see, the ends of those, and their unit."""
    step = float(now.t_min[1] - now.t_min[0]) if len(now.t_min) > 1 else 1.0
    n = max(1, math.ceil(len(now.t_min) / _MOST_BARS))
    onset = int(np.searchsorted(now.t_min, 0.0, side="right"))
    first = onset % n  # so that a bin ends at the onset
    length = (len(now.t_min) - first) // n * n

    def summed(rate_usd: F64) -> F64:
        whole = rate_usd[first : first + length].reshape(-1, n)
        return np.asarray(whole.sum(axis=1) * step / 1e6)

    kinds = (
        ("forced orders", now.forced_usd, "forced", "-"),
        ("taken over", now.taken_over_usd, "taken over", "///"),
        ("deleveraged: accounts", now.deleveraged_usd, "deleveraged", "..."),
        ("deleveraged: backstop", now.backstop_shed_usd, "backstop shed", "xxx"),
    )
    bars = tuple(
        Line(name, summed(rate), COLOURS[colour], style) for name, rate, colour, style in kinds
    )
    ends = now.t_min[first + n - 1 : first + length : n]
    width = n * step
    return bars, ends, f"M USD in {_minutes(width)}"


def _minutes(minutes: float) -> str:
    """Return a length in minutes or seconds.

    Examples
    --------
    >>> _minutes(2.0), _minutes(0.5)
    ('2 min', '30 s')
    """
    return f"{minutes:g} min" if minutes >= 1.0 else f"{60.0 * minutes:g} s"


def _apart_text(now: Timeline) -> str:
    """Return how far oracle, mark and outside perp lie apart: lines that hide each other."""
    prices = np.stack([now.oracle_usd, now.mark_usd, now.outside_usd])
    gap = prices.max(axis=0) / prices.min(axis=0) - 1.0
    return f"oracle, mark, outside at most {percent(float(gap.max()))} % apart"


def premium_text(timeline: Timeline) -> str:
    """Return where the mark stood farthest from the oracle, and the outside perp at that time."""
    after = np.flatnonzero(timeline.t_min > 0.0)
    k = int(after[np.abs(timeline.premium_frac[after]).argmax()])
    gap, outside = (
        float(x)
        for x in (timeline.premium_frac[k], timeline.outside_usd[k] / timeline.oracle_usd[k] - 1.0)
    )
    if percent(abs(gap)) == percent(0.0):
        return "the mark never left the oracle"
    return (
        f"farthest {_side(gap)} the oracle {timeline.t_min[k]:.1f} min from the onset, when the "
        f"outside perp stood {_side(outside)} it"
    )


def _side(frac: float) -> str:
    return f"{percent(abs(frac))} % {'below' if frac < 0.0 else 'above'}"


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
