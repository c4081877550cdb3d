"""The `[venue]` table of a scenario: numbers of the preset that it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stressbook.errors import InvalidInput, Problem
from stressbook.experiments.values import unread_key
from stressbook.market.spec import VenueSpec

__all__ = ["nested", "read_venue", "restricted"]


def restricted(spec: VenueSpec, assets: tuple[str, ...]) -> VenueSpec:
    """Return a venue that lists some of its assets only, in their order.

    Parameters
    ----------
    spec : VenueSpec
        With all of them.
    assets : tuple of str
        To be kept.

    Returns
    -------
    VenueSpec
        With the tokens and books of these assets; the cash token stays.

    Examples
    --------
    >>> from stressbook.market.spec import load_preset
    >>> [token.name for token in restricted(load_preset("hyperliquid"), ("HYPE",)).tokens]
    ['USDC', 'HYPE']
    """
    by_name = {asset.name: asset for asset in spec.assets}
    return replace(
        spec,
        assets=tuple(by_name[name] for name in assets),
        tokens=tuple(token for token in spec.tokens if not token.asset or token.asset in assets),
        instruments=tuple(entry for entry in spec.instruments if entry.asset in assets),
    )


def read_venue(table: Any, *, spec: VenueSpec, problems: list[Problem]) -> dict[str, Any]:
    """Return the changed numbers of a `[venue]` table by their place in the preset.

    Parameters
    ----------
    table : mapping
        Nested like the preset: `[venue.tokens.HYPE]`, `ltv = 0.65`.
    spec : VenueSpec
        With the assets of the scenario.
    problems : list of Problem
        Appended to.

    Returns
    -------
    dict
        Place ("tokens.HYPE.ltv") to value.

    Examples
    --------
    >>> from stressbook.market.spec import load_preset
    >>> read_venue({"tokens": {"HYPE": {"ltv": 0.65}}}, spec=load_preset("hyperliquid"), problems=[])
    {'tokens.HYPE.ltv': 0.65}
    """
    if not isinstance(table, Mapping):
        problems.append(Problem("is no table", "venue", table, "a table", "write [venue]"))
        return {}
    places = spec.places()
    changes: dict[str, Any] = {}
    for place, raw in _flat(table):
        if place not in places:
            problems.append(unread_key("venue", place, known=places))
            continue
        changes[place] = _as_kind(raw, spec, places[place])
        try:
            spec.with_values({place: changes[place]})
        except InvalidInput as error:
            problems += [_below_venue(problem) for problem in error.problems]
    return changes


def _below_venue(problem: Problem) -> Problem:
    value = problem.value
    hint = problem.hint
    if not hint and type(value) in (int, float) and 1.0 < value <= 100.0:  # type: ignore[operator]
        hint = f"did you mean {value / 100.0:.6g}? Fractions are not percent."  # type: ignore[operator]
    return replace(problem, name=f"venue.{problem.name}", hint=hint)


def _flat(table: Mapping[str, Any], place: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, item in table.items():
        where = f"{place}.{key}" if place else key
        found += _flat(item, where) if isinstance(item, Mapping) else [(where, item)]
    return found


def _as_kind(raw: Any, spec: VenueSpec, place: tuple[str, int, str]) -> Any:
    """Let a whole number stand for a float."""
    section, index, attribute = place
    holder = getattr(spec, section)
    now = getattr(holder if index < 0 else holder[index], attribute)
    return float(raw) if type(raw) is int and isinstance(now, float) else raw


def nested(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changed numbers as the tables that `read_venue` reads.

    Examples
    --------
    >>> nested({"tokens.HYPE.ltv": 0.65})
    {'tokens': {'HYPE': {'ltv': 0.65}}}
    """
    table: dict[str, Any] = {}
    for place, value in changes.items():
        *path, last = place.split(".")
        node = table
        for key in path:
            node = node.setdefault(key, {})
        node[last] = value
    return table
