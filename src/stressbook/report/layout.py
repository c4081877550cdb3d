"""What templates lay out: tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from stressbook.report.numbers import Cell

__all__ = ["Picture", "Table", "table_of"]


class Table(NamedTuple):
    """A table, its first column the label of each row."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: tuple[int, ...] = ()  # columns of text
    totals: tuple[str, ...] = ()  # labels of rows that sum others


class Picture(NamedTuple):
    """A figure; its template writes below it what is needed to read it alone."""

    title: str
    svg: Markup


def table_of(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[Cell | str]],
    *,
    words: Sequence[int] = (),
    totals: Sequence[str] = (),
) -> Table:
    """Return a table of cells and plain texts.

    Examples
    --------
    >>> table_of("Falls", ("asset", "%"), [("BTC", Cell("1.2"))]).rows
    ((Cell(text='BTC', below=''), Cell(text='1.2', below='')),)
    """
    cells = tuple(tuple(Cell(c) if isinstance(c, str) else c for c in row) for row in rows)
    return Table(caption, tuple(head), cells, tuple(words), tuple(totals))
