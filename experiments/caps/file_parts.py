"""Tables and lists of a cap study's file, in the form that they must have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stressbook.errors import Problem
from stressbook.experiments.scenario_files.binding import bind

__all__ = ["bound", "named_tables", "places_and_values", "table_list"]


def bound(
    cls: type, table: Any, place: str, problems: list[Problem], *, skip: tuple[str, ...] = ()
) -> Any:
    """Return an instance of a dataclass with the values of a table; None if one had a problem.

    Parameters
    ----------
    cls, table, place, problems
        As of `stressbook.experiments.scenario_files.binding.bind`.
    skip : tuple of str
        Keys that are read elsewhere.
    """
    if isinstance(table, Mapping):
        table = {key: value for key, value in table.items() if key not in skip}
    return bind(cls, table, place=place, assets=(), problems=problems)


def named_tables(table: Any, place: str, problems: list[Problem]) -> list[tuple[str, Any]]:
    """Return the tables in a table, each with its name."""
    if not isinstance(table, Mapping):
        problems.append(Problem("is no table", place, table, "a table", f"write [{place}.NAME]"))
        return []
    return list(table.items())


def places_and_values(table: Any, place: str, problems: list[Problem]) -> dict[str, Any]:
    """Return a table of dotted places; quotes around them may be left out.

    Examples
    --------
    >>> places_and_values({"dt": 1.0, "world": {"HYPE.spot": 2.0}}, "law.set", [])
    {'dt': 1.0, 'world.HYPE.spot': 2.0}
    """
    if not isinstance(table, Mapping):
        problems.append(Problem("is no table", place, table, "a table of places and values"))
        return {}
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            below = places_and_values(value, f"{place}.{key}", problems)
            found |= {f"{key}.{rest}": item for rest, item in below.items()}
        else:
            found[key] = value
    return found


def table_list(rows: Any, place: str, problems: list[Problem]) -> list[Mapping[str, Any]]:
    """Return a list of tables."""
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        problems.append(Problem("is no list of tables", place, rows, hint=f"write [[{place}]]"))
        return []
    return rows
