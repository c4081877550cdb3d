"""The `[venue]` table of a scenario: numbers of the preset that it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from stressbook.errors import InvalidInput, Problem
from stressbook.experiments.scenario_files.values import (
    percent_hint,
    read_value,
    unread_key,
    value_types,
)
from stressbook.market.rules.spec import VenueSpec

__all__ = ["nested", "read_venue", "restricted", "venue_places"]


def restricted(spec: VenueSpec, assets: tuple[str, ...]) -> VenueSpec:
    """Return a venue that lists some of its assets only, in the order asked for.

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
    >>> from stressbook.market.rules.spec import load_preset
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


def venue_places(spec: VenueSpec) -> dict[str, Any]:
    """Return the numbers that a scenario may change, by place, with their present values.

    Opening prices are no part of it: they stand in a table of their own, since ticks follow.
    """
    found = {}
    for place, (section, index, attribute) in spec.places().items():
        if attribute != "opening_price_usd":
            holder = getattr(spec, section)
            found[place] = getattr(holder if index < 0 else holder[index], attribute)
    return found


def read_venue(
    table: Mapping[str, Any], *, spec: VenueSpec, problems: list[Problem]
) -> dict[str, Any]:
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
    >>> from stressbook.market.rules.spec import load_preset
    >>> table = {"tokens": {"HYPE": {"ltv": 0.65}}}
    >>> read_venue(table, spec=load_preset("hyperliquid"), problems=[])
    {'tokens.HYPE.ltv': 0.65}
    """
    now = venue_places(spec)
    changes: dict[str, Any] = {}
    for place, raw in _flat(table):
        if place not in now:
            problems.append(_unread(place, now))
            continue
        found: list[Problem] = []
        value = _read_number(raw, spec, place, found)
        problems += found
        if not found:
            changes[place] = value
    try:
        spec.with_values(changes)
    except InvalidInput as error:
        problems += [_below_venue(problem) for problem in error.problems]
    return changes


def _read_number(raw: Any, spec: VenueSpec, place: str, problems: list[Problem]) -> Any:
    """Return a value as its field in the preset has it, and report what is wrong with it."""
    section, index, attribute = spec.places()[place]
    holder = getattr(spec, section) if index < 0 else getattr(spec, section)[index]
    entry = next(entry for entry in fields(holder) if entry.name == attribute)
    kind = value_types(type(holder))[attribute]
    return read_value(raw, kind, place=f"venue.{place}", entry=entry, problems=problems)


def _unread(place: str, known: Mapping[str, Any]) -> Problem:
    """Point to the table of opening prices, or list the neighbours of a strange key."""
    *above, key = place.split(".")
    if key == "opening_price_usd":
        asset = above[-1] if above else "BTC"
        hint = f"write {asset} = ... in [opening_price_usd]"
        return Problem("is read by nothing", f"venue.{place}", hint=hint)
    neighbours = [name for name in known if name.split(".")[:-1] == above]
    listed = [name.split(".")[-1] for name in neighbours]
    if not neighbours:
        listed = sorted({name.split(".")[0] for name in known})
    return unread_key("venue", place, known=neighbours or known, listed=listed)


def _below_venue(problem: Problem) -> Problem:
    return replace(
        problem,
        name=f"venue.{problem.name}",
        hint=problem.hint or percent_hint(problem.value, low=0.0, high=1.0),
    )


def _flat(table: Mapping[str, Any], place: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, item in table.items():
        where = f"{place}.{key}" if place else key
        found += _flat(item, where) if isinstance(item, Mapping) else [(where, item)]
    return found


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
