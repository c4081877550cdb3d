"""The tables `[levers]` and `[uncertainties]` of a study's file: places, and their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from stressbook.errors import Problem, StressbookError
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.scenario_files import table as scenario_table
from stressbook.experiments.scenario_files.values import unknown_name, unread_key
from stressbook.experiments.sweeps.factor import SCALES, Factor, dotted, placed, places_of
from stressbook.experiments.sweeps.study_keys import Range, read_fields

__all__ = ["read_factors", "require_once", "resolved"]


def read_factors(
    part: str, table: Mapping[str, Any], base: Scenario, problems: list[Problem]
) -> list[Factor]:
    """Return what a table varies.

    Parameters
    ----------
    part : str
        Its name.
    table : mapping
        Place to values.
    base : Scenario
        That has the places.
    problems : list of Problem
        Takes what is wrong.
    """
    places = places_of(base)
    found = []
    for raw, item in table.items():
        for written, given in _unquoted(raw, item, places):
            factor = _factor(part, written, given, places, base, problems)
            if factor is not None:
                found.append(factor)
    return found


def require_once(factors_of: Mapping[str, Sequence[Factor]], problems: list[Problem]) -> None:
    """Report places that stand in two tables, or in one table twice.

    Parameters
    ----------
    factors_of : mapping of str to sequence of Factor
        By name of the table.
    problems : list of Problem
        Takes what is wrong.
    """
    seen: set[str] = set()
    for part, factors in factors_of.items():
        for factor in factors:
            if factor.place in seen:
                problems.append(Problem("is there twice", f"{part}.{factor.place}", allowed="once"))
            seen.add(factor.place)


def resolved(
    table: Mapping[str, Any], values: Mapping[str, Any]
) -> tuple[Scenario | None, Sequence[Problem]]:
    """Return a scenario with values in their places, or what is wrong with it."""
    try:
        return Scenario(**scenario_table.read(placed(table, values), source="")), ()
    except StressbookError as error:
        return None, error.problems


def _unquoted(key: str, item: Any, places: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the places of a table whose dotted keys were not put in quotes."""
    is_range = isinstance(item, Mapping) and {"low", "high", "n", "scale"} & set(item)
    if not isinstance(item, Mapping) or is_range or key in places:
        return [(key, item)]
    below = [_unquoted(f"{key}.{name}", one, places) for name, one in item.items()]
    return [found for each in below for found in each] or [(key, item)]


def _factor(
    part: str,
    written: str,
    item: Any,
    places: Mapping[str, Any],
    base: Scenario,
    problems: list[Problem],
) -> Factor | None:
    name, place = f"{part}.{written}", dotted(written)
    if place not in places:
        problem = unread_key(part, written, known=places, listed=("places of the scenario",))
        hint = problem.hint or f"stressbook show {base.name} prints them"
        problems.append(replace(problem, hint=hint))
        return None
    n_before = len(problems)
    factor = _values(name, place, item, places[place], problems)
    if factor is None or len(problems) > n_before:
        return None
    problems += _refused_values(base, factor, name)
    return factor if len(problems) == n_before else None


def _values(name: str, place: str, item: Any, now: Any, problems: list[Problem]) -> Factor | None:
    is_whole = isinstance(now, int) and not isinstance(now, bool)
    if isinstance(item, Mapping):
        return _range(name, place, item, problems, is_whole=is_whole)
    if not isinstance(item, list | tuple):
        hint = f"write [{item!r}]"
        allowed = "a list of values, or { low, high, n, scale }"
        problems.append(Problem("is no list", name, item, allowed, hint))
        return None
    if not item:
        problems.append(Problem("is empty", name, [], "1 or more values"))
    tables = [one for one in item if isinstance(one, Mapping)]
    if tables:
        problems.append(Problem("is no value", name, tables[0], "values, each of one place"))
    twice = [one for k, one in enumerate(item) if one in item[:k]]
    if twice:
        problems.append(Problem("has a value twice", name, twice[0], "each value once"))
    return Factor(place, tuple(_fixed(one) for one in item), is_whole=is_whole)


def _range(
    name: str, place: str, item: Mapping[str, Any], problems: list[Problem], *, is_whole: bool
) -> Factor | None:
    found = read_fields(Range, item, name, problems)
    missing = [key for key in ("low", "high") if key not in item]
    problems += [Problem("is missing", f"{name}.{key}", allowed="a number") for key in missing]
    if found["scale"] not in SCALES:
        problems.append(unknown_name(f"{name}.scale", found["scale"], known=SCALES))
    numbers = all(isinstance(found[key], int | float) for key in ("low", "high"))
    if missing or not numbers:
        return None
    low, high = found["low"], found["high"]
    if not low < high:
        allowed = f"more than low = {low!r}"
        problems.append(Problem("leaves an empty range", f"{name}.high", high, allowed))
    if found["scale"] == "log" and low <= 0.0:
        allowed = "more than 0 on a log scale"
        problems.append(Problem("is out of range", f"{name}.low", low, allowed))
    return Factor(place, (), low, high, found["n"], found["scale"], is_whole)


def _refused_values(base: Scenario, factor: Factor, name: str) -> list[Problem]:
    """Return what is wrong with a value itself; with others' it is left to combinations."""
    table = base.to_table()
    return [
        replace(one, name=name)
        for value in factor.levels()
        for one in resolved(table, {factor.place: value})[1]
        if dotted(one.name) == factor.place
    ]


def _fixed(value: Any) -> Any:
    """Return a value whose lists, of assets for one, cannot be changed."""
    return tuple(_fixed(one) for one in value) if isinstance(value, list) else value
