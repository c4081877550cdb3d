"""What templates lay out: tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from stressbook.report.numbers import Cell

__all__ = ["Picture", "Table", "table_of", "zeros_note"]


class Table(NamedTuple):
    """A table, its first column the label of each row."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: tuple[int, ...] = ()  # columns of text
    totals: tuple[str, ...] = ()  # labels of rows that sum others
    note: str = ""  # below it: rows that are zero throughout


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
    note: str = "",
) -> Table:
    """Return a table of cells and plain texts.

    Examples
    --------
    >>> table_of("Falls", ("asset", "%"), [("BTC", Cell("1.2"))]).rows
    ((Cell(text='BTC', below=''), Cell(text='1.2', below='')),)
    """
    cells = tuple(tuple(Cell(c) if isinstance(c, str) else c for c in row) for row in rows)
    return Table(caption, tuple(head), cells, tuple(words), tuple(totals), note)


def zeros_note(labels: Sequence[str], *, where: str = "") -> str:
    """Return the line that stands for rows of zeros, empty where there are none.

    Examples
    --------
    >>> zeros_note(["Breaches begun", "Debt written off"], where=" in all 8 seeds")
    'Zero in all 8 seeds: breaches begun; debt written off.'
    """
    names = [label if label[1:2].isupper() else label[:1].lower() + label[1:] for label in labels]
    return f"Zero{where}: {'; '.join(names)}." if names else ""
