"""Every number of a scenario with its place in the file, unit, meaning and source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Final, NamedTuple

from stressbook.experiments.scenario import Scenario
from stressbook.experiments.scenario_files.table import Header
from stressbook.market.rules.parameters import ASSUMED

__all__ = ["Parameter", "parameter_rows", "scenario_changes"]

_CHANGED: Final = "this scenario"
_SKIPPED: Final = ("name", "correlation")
_NO_CHANGE: Final = ("name", "summary", "stresses")


class Parameter(NamedTuple):
    """One number of a scenario."""

    place: str  # as in `--set PLACE=VALUE`
    value: Any
    unit: str
    meaning: str
    source: str  # where it comes from; "this scenario" where a file has set it


def parameter_rows(scenario: Scenario) -> list[Parameter]:
    """Return all numbers of a scenario, in the order of its file.

    Parameters
    ----------
    scenario : Scenario
        Resolved.

    Returns
    -------
    list of Parameter

    Examples
    --------
    >>> from stressbook.experiments.scenario import load_scenario
    >>> rows = {row.place: row for row in parameter_rows(load_scenario("skeleton"))}
    >>> rows["dt"].value, rows["agents.lender.supply_usd"].unit
    (1.0, 'USD')
    """
    found = list(_header(scenario))
    if (book := scenario.population) is not None:
        value = f"{book.file}, {len(book.account_names)} accounts, sha256 {book.digest()[:8]}"
        meaning = "accounts that open as they are"
        found.append(Parameter("population", value, "text", meaning, _CHANGED))
    found += _venue(scenario)
    found += _below(scenario.world, "world")
    for name, params in scenario.agents.items():
        found += _below(params, f"agents.{name}")
    for index, stress in enumerate(scenario.stresses):
        found += _below(stress, f"stresses.{index}")
    return found


def scenario_changes(first: Scenario, second: Scenario, *, most: int = 4) -> list[str]:
    """Return in words what tells two scenarios apart.

    Parameters
    ----------
    first, second : Scenario
        Resolved.
    most : int, default 4
        Longest list; what is left out is counted at its end.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from stressbook.experiments.scenario import load_scenario
    >>> cross = load_scenario("skeleton")
    >>> scenario_changes(cross, cross.with_(margin_regime="hyperliquid-pm", stresses=[]))
    ['margin_regime cross -> hyperliquid-pm', 'without price_gap']
    """
    before = {row.place: row.value for row in parameter_rows(first)}
    after = {row.place: row.value for row in parameter_rows(second)}
    found = [
        f"{place} {before.get(place, 'none')} -> {after.get(place, 'none')}"
        for place in dict.fromkeys([*before, *after])
        if before.get(place) != after.get(place) and not place.startswith(_NO_CHANGE)
    ]
    found += [f"with {s.kind}" for s in second.stresses if s not in first.stresses]
    found += [f"without {s.kind}" for s in first.stresses if s not in second.stresses]
    return found if len(found) <= most else [*found[:most], f"{len(found) - most} more"]


def _header(scenario: Scenario) -> Iterator[Parameter]:
    for entry in fields(Header):
        value = getattr(scenario, entry.name)
        yield _row(entry, value, entry.name, entry.default)


def _venue(scenario: Scenario) -> Iterator[Parameter]:
    spec = scenario.venue_spec()
    for place, (section, index, attribute) in spec.places().items():
        holder = getattr(spec, section) if index < 0 else getattr(spec, section)[index]
        entry = next(entry for entry in fields(holder) if entry.name == attribute)
        source = _CHANGED if place in scenario.venue else spec.sources.get(place, "")
        yield _row(entry, getattr(holder, attribute), f"venue.{place}")._replace(source=source)


def _below(instance: Any, place: str) -> Iterator[Parameter]:
    """Yield the numbers of a dataclass, of those inside it and of its tables by asset."""
    for entry in fields(instance):
        value = getattr(instance, entry.name)
        where = f"{place}.{entry.name}"
        if is_dataclass(value):
            yield from _below(value, where)
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            for item in value:
                yield from _below(item, f"{place}.{getattr(item, 'name', '')}")
        elif isinstance(value, Mapping):
            default = _default(entry)
            for key, item in value.items():
                given = default.get(key, MISSING) if isinstance(default, Mapping) else MISSING
                yield _row(entry, item, f"{place}.{key}.{entry.name}", given)
        elif entry.name not in _SKIPPED:
            yield _row(entry, value, where, _default(entry))


def _row(entry: Field[Any], value: Any, place: str, default: Any = MISSING) -> Parameter:
    about = entry.metadata
    source = about.get("source", ASSUMED)
    if default is not MISSING and value != default:
        source = _CHANGED
    return Parameter(place, value, about.get("unit", ""), about.get("help", ""), source)


def _default(entry: Field[Any]) -> Any:
    return entry.default_factory() if entry.default_factory is not MISSING else entry.default
