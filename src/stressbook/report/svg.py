"""Figures as inline SVG: the same bytes each time, nothing that is loaded from elsewhere."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["COLOURS", "LINES", "MARKERS", "axes_or_new", "house_style", "svg_of"]

# Okabe and Ito's palette, for colour-blind readers; line, marker and word say the same.
COLOURS: Final = {
    "hyperliquid-pm": "#0072B2",
    "cross": "#D55E00",
    "fundamental": "#000000",
    "outside": "#999999",
    "oracle": "#009E73",
    "forced": "#E69F00",
    "taken over": "#56B4E9",
    "deleveraged": "#CC79A7",
    "backstop shed": "#7A7A7A",
}
LINES: Final = {"hyperliquid-pm": "-", "cross": (0, (5, 2))}
MARKERS: Final = {"hyperliquid-pm": "o", "cross": "s"}

_STYLE: Final[dict[str, Any]] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "lines.linewidth": 1.4,
    "hatch.linewidth": 0.6,
}
_NO_METADATA: Final = {"Date": None, "Creator": None, "Format": None, "Type": None}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw with the report's style, whatever the reader's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)  # type: ignore[arg-type]
        yield


def axes_or_new(ax: Axes | None, *, width: float = 7.5, height: float = 3.0) -> Axes:
    """Return given axes, or those of a new figure that no window manager knows."""
    if ax is not None:
        return ax
    return Figure(figsize=(width, height), layout="constrained").subplots()


def svg_of(figure: Figure, *, name: str) -> str:
    """Return a figure as an SVG element.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn under `house_style`.
    name : str
        Prefix of all its identifiers, so that several stand in one page.

    Returns
    -------
    str
        Without XML head, metadata and namespaces, which HTML does not need.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    return re.sub(r"url\(#", f"url(#{name}-", text)
