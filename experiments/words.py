"""Numbers, tables and texts as they are shown."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

__all__ = ["UNVALIDATED", "Text", "amount", "duration", "html_table", "json_text", "table"]

# Stands beside every answer until the model has passed its validation.
UNVALIDATED: Final = "unvalidated model: it has not passed its validation"


class Text(str):
    """A text that notebooks and the prompt show as it is, line by line."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self)}</pre>"


def amount(value: float) -> str:
    """Return a number with at most four digits that matter, thousands apart.

    Examples
    --------
    >>> amount(1234567.0), amount(0.0312345), amount(-0.0), amount(float("nan"))
    ('1 234 567', '0.03123', '0', 'none')
    """
    if math.isnan(value):
        return "none"
    if value == 0.0:
        return "0"
    if abs(value) >= 1000.0:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """Return a length of time in the largest unit that leaves no rest.

    Examples
    --------
    >>> duration(1.0), duration(1800.0), duration(5400.0), duration(0.5)
    ('1 s', '30 min', '90 min', '0.5 s')
    """
    for unit, length in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= length and seconds % length == 0.0:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:g} s"


def table(rows: Sequence[Sequence[str]], *, aligned: str = "", indent: int = 2) -> str:
    """Return rows as columns of equal width.

    Parameters
    ----------
    rows : sequence of sequence of str
        All of the same length.
    aligned : str
        "l" or "r" for each of the first columns; "l" for the rest.
    indent : int, default 2
        Blanks before each line.

    Returns
    -------
    str
        Lines without blanks at their end.

    Examples
    --------
    >>> print(table([("mark", "84.1"), ("depth", "1 193")], aligned="lr"))
      mark    84.1
      depth  1 193
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = aligned.ljust(len(widths), "l")
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, aligned, strict=True)
        ]
        lines.append((" " * indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def html_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as an HTML table, the first one as its head.

    Examples
    --------
    >>> html_table([("a",), ("<b>",)])
    '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    head, *body = rows
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in body
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"


def json_text(content: Any) -> str:
    """Return JSON; what is no number becomes null, as JSON has none.

    Examples
    --------
    >>> print(json_text({"n": 3, "mean": math.nan}))
    {
      "n": 3,
      "mean": null
    }
    """
    return json.dumps(_finite(content), indent=2, allow_nan=False)


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {name: _finite(item) for name, item in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(item) for item in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
