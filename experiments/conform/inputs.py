"""What a case gives: numbers, lists and tables by name, with a reason where one is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from math import isfinite, nan
from typing import Any

from stressbook.errors import MISSING

__all__ = ["Given", "NotSupported", "as_number", "decimals_of", "in_whole_units", "rows_of"]


class NotSupported(Exception):
    """Says why a case can neither pass nor fail."""


def as_number(value: Any, name: str) -> float:
    """Return a number that is printed as one, or as a decimal string.

    Parameters
    ----------
    value : object
        As read from the file.
    name : str
        For the reason.

    Returns
    -------
    float

    Raises
    ------
    NotSupported
        If it is no finite number.

    Examples
    --------
    >>> as_number(".05", "rate"), as_number(3, "n")
    (0.05, 3.0)
    """
    found = nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(InvalidOperation, OverflowError):
            found = float(Decimal(value))
    if not isfinite(found):
        raise NotSupported(f"`{name}` is no number")
    return found


def decimals_of(value: float) -> int:
    """Return how many decimals a number shows."""
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def in_whole_units(values: Sequence[float]) -> list[int]:
    """Return numbers in the largest power of ten of which all are multiples, at most 1.

    Examples
    --------
    >>> in_whole_units([2.5, 10.0, 0.25])
    [250, 1000, 25]
    """
    decimals = max(map(decimals_of, values), default=0)
    return [int(Decimal(repr(value)).scaleb(decimals)) for value in values]


class Given:
    """The table of one case, or a table inside it.

    Parameters
    ----------
    table : mapping
        As read from the file; keys that nobody asks for are ignored.

    Examples
    --------
    >>> given = Given({"rate": 0.08, "years": None})
    >>> given.number("rate"), given.number("fee", 0.0), given.has("years")
    (0.08, 0.0, False)
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table = table

    def has(self, *names: str) -> bool:
        """Tell whether all of these are there; null is not."""
        return all(self._table.get(name) is not None for name in names)

    def names(self) -> list[str]:
        """Return the names that are there."""
        return [name for name, value in self._table.items() if value is not None]

    def raw(self, name: str) -> Any:
        """Return a value as it was read; a reason if it is missing."""
        if not self.has(name):
            raise NotSupported(f"lacks `{name}`")
        return self._table[name]

    def number(self, name: str, default: Any = MISSING) -> float:
        """Return a number, or the default where there is none."""
        if default is not MISSING and not self.has(name):
            return float(default)
        return as_number(self.raw(name), name)

    def first(self, *names: str) -> float:
        """Return the number of the first of these names that is there."""
        found = [name for name in names if self.has(name)]
        return self.number(found[0] if found else names[0])

    def whole(self, name: str) -> int:
        """Return a whole number."""
        value = self.number(name)
        if not isfinite(value) or value != int(value):
            raise NotSupported(f"`{name}` is no whole number")
        return int(value)

    def place(self, name: str, n: int) -> int:
        """Return a place in a list of n, counted from 0."""
        value = self.whole(name)
        if not 0 <= value < n:
            raise NotSupported(f"`{name}` is no place in a list of {n}")
        return value

    def side(self, name: str = "side") -> float:
        """Return 1.0 or -1.0."""
        value = self.number(name)
        if abs(value) != 1.0:
            raise NotSupported(f"`{name}` is neither 1 nor -1")
        return value

    def position(self, *names: str) -> float:
        """Return a signed size, by the first of these names that is there.

        `side` says what a size above 0 is; a size below 0 is a short, with a side of -1 or without.
        """
        size = self.first(*names)
        if not self.has("side"):
            return size
        if size < 0.0 < self.side():
            raise NotSupported("`side` is 1 and the size below 0")
        return self.side() * abs(size)

    def text(self, name: str) -> str:
        """Return a string."""
        value = self.raw(name)
        if not isinstance(value, str):
            raise NotSupported(f"`{name}` is no text")
        return value

    def numbers(self, name: str) -> list[float]:
        """Return a list of numbers."""
        return [as_number(one, name) for one in self._list(name)]

    def table(self, name: str) -> Given:
        """Return a table inside it."""
        value = self.raw(name)
        if not isinstance(value, Mapping):
            raise NotSupported(f"`{name}` is no table")
        return Given(value)

    def table_or_empty(self, name: str) -> Given:
        """Return a table inside it, an empty one where there is none."""
        return self.table(name) if self.has(name) else Given({})

    def tables(self, name: str) -> list[Given]:
        """Return a list of tables."""
        rows = self._list(name)
        if not all(isinstance(row, Mapping) for row in rows):
            raise NotSupported(f"`{name}` is no list of tables")
        return [Given(row) for row in rows]

    def pairs(self, name: str) -> list[tuple[float, float]]:
        """Return a list of pairs of numbers."""
        rows = self._list(name)
        if not all(isinstance(row, list) and len(row) == 2 for row in rows):
            raise NotSupported(f"`{name}` is no list of pairs")
        return [(as_number(a, name), as_number(b, name)) for a, b in rows]

    def _list(self, name: str) -> list[Any]:
        value = self.raw(name)
        if not isinstance(value, list):
            raise NotSupported(f"`{name}` is no list")
        return value


def rows_of(section: Mapping[str, Any], columns: str = "columns", rows: str = "rows") -> list[Any]:
    """Return the rows of a section as tables by the names of its columns.

    Parameters
    ----------
    section : mapping
        With names of columns and lists of values; rows may be tables already.
    columns, rows : str
        Their keys.

    Returns
    -------
    list of dict
        A row that is too short lacks its last columns.

    Examples
    --------
    >>> rows_of({"columns": ["coin", "px"], "rows": [["BTC", 1.0], ["ETH"]]})
    [{'coin': 'BTC', 'px': 1.0}, {'coin': 'ETH'}]
    """
    names: Sequence[str] = section.get(columns) or ()
    found = section.get(rows) or ()
    return [
        dict(row) if isinstance(row, Mapping) else dict(zip(names, row, strict=False))
        for row in found
    ]
