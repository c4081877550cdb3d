"""The `[[stresses]]` tables of a scenario, and the short form of the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, replace
from typing import Any, Final, get_origin

import numpy as np

from stressbook.errors import InvalidInput, Problem
from stressbook.experiments.scenario_files.binding import unbind, unknown_asset
from stressbook.experiments.scenario_files.clock import Clock
from stressbook.experiments.scenario_files.file import override_value
from stressbook.experiments.scenario_files.values import (
    read_value,
    subclasses_of,
    unknown_name,
    unread_key,
    value_types,
)
from stressbook.experiments.stress import REGISTRY, Stress, StressSchedule
from stressbook.market.rules.spec import VenueSpec

__all__ = ["parse_stress", "read_stresses", "stress_table"]


_ITEM: Final = re.compile(r",(?![^\[]*\])")  # a comma that is not inside a list


def parse_stress(text: str) -> dict[str, Any]:
    """Return the table of a stress that was typed as "kind:field=value,field=value".

    Parameters
    ----------
    text : str
        Values in TOML; quotes around a single word may be left out, and one name may stand for a
        list of assets.

    Returns
    -------
    dict
        As `[[stresses]]` has it; whether there is such a stress is not looked at.

    Raises
    ------
    InvalidInput
        If the text is not of this form.

    Examples
    --------
    >>> parse_stress("price_gap:at=30min,fall_frac=.2,assets=[HYPE,BTC]")
    {'kind': 'price_gap', 'at': '30min', 'fall_frac': 0.2, 'assets': ['HYPE', 'BTC']}
    >>> parse_stress("depth_thinning:assets=HYPE")["assets"]
    ['HYPE']
    """
    kind, _, rest = text.partition(":")
    table: dict[str, Any] = {"kind": kind.strip()}
    lists = _lists_of_assets(table["kind"])
    for item in filter(None, _ITEM.split(rest)):
        field, equals, value = item.partition("=")
        if not equals or not field.strip() or not value.strip():
            raise InvalidInput(
                f"has {item!r}, which sets nothing",
                name="--stress",
                value=text,
                allowed="kind:field=value,field=value",
                hint="as in price_gap:at=30min,assets=[BTC,HYPE],fall_frac=0.2",
            )
        found = _typed_value(value.strip())
        is_one = field.strip() in lists and not isinstance(found, list)
        table[field.strip()] = [found] if is_one else found
    return table


def _lists_of_assets(kind: str) -> set[str]:
    cls = REGISTRY.get(kind)
    if cls is None:
        return set()
    types = value_types(cls)
    return {
        entry.name
        for entry in fields(cls)
        if entry.metadata.get("unit") == "asset" and get_origin(types.get(entry.name)) is tuple
    }


def _typed_value(text: str) -> Any:
    if text.startswith("[") and text.endswith("]"):
        return [override_value(item) for item in text[1:-1].split(",") if item.strip()]
    value = override_value(text)
    with suppress(ValueError):  # numbers that TOML writes in another way: .5
        return float(value) if isinstance(value, str) else value
    return value


def stress_table(stress: Stress) -> dict[str, Any]:
    """Return the table that `read_stresses` reads back to an equal stress."""
    return {"kind": stress.kind, **unbind(stress)}


def read_stresses(
    rows: Any,
    *,
    assets: tuple[str, ...],
    clock: Clock,
    spec: VenueSpec,
    problems: list[Problem],
) -> tuple[Stress, ...]:
    """Return the stresses of a scenario's tables.

    Parameters
    ----------
    rows : list of mapping
        From a file; stresses built in Python are given as `stress_table` makes them.
    assets : tuple of str
        Of the scenario.
    clock : Clock
        Onset and length have to fall on its steps, the onset into the run.
    spec : VenueSpec
        Whose numbers stresses may change.
    problems : list of Problem
        Appended to.

    Returns
    -------
    tuple of Stress
        Without those that had a problem.
    """
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
        hint = "write [[stresses]], with double brackets"
        problems.append(Problem("is no list of tables", "stresses", rows, hint=hint))
        return ()
    before = len(problems)
    found: list[Stress] = []
    for index, row in enumerate(rows):
        place = f"stresses[{index}]"
        stress = _read_stress(row, place=place, assets=assets, clock=clock, problems=problems)
        if stress is not None:
            found.append(stress)
    if len(problems) == before:
        problems += _joint_problems(found, assets, clock, spec)
    return (*found,)


def _read_stress(
    row: Mapping[str, Any],
    *,
    place: str,
    assets: tuple[str, ...],
    clock: Clock,
    problems: list[Problem],
) -> Stress | None:
    kind = row.get("kind")
    if kind is None:
        problems.append(Problem("is missing", f"{place}.kind", allowed=", ".join(REGISTRY)))
        return None
    if not isinstance(kind, str) or kind not in REGISTRY:
        if any(cls.kind == kind for cls in subclasses_of(Stress)):
            wanted = "def apply(self, dials, severity)"
            problems.append(Problem("has no apply", f"{place}.kind", kind, wanted))
            return None
        problem = unknown_name(f"{place}.kind", kind, known=REGISTRY)
        own = "an own stress? load its file with --plugin FILE, or load_plugin(FILE)"
        problems.append(replace(problem, hint=problem.hint or own))
        return None
    before = len(problems)
    given = _read_fields(row, REGISTRY[kind], place=place, problems=problems)
    is_whole = len(problems) == before
    # What a wrong field leaves open is still looked at, with the defaults of what is not named.
    sound = {**_defaults(REGISTRY[kind], row), **given}
    problems += _asset_problems(REGISTRY[kind], sound, place, assets)
    problems += _clock_problems(sound, place, clock)
    if not is_whole:
        return None
    try:
        stress = REGISTRY[kind](**given)
        wrong = stress.problems_among(assets)
    except InvalidInput as error:
        stress, wrong = None, list(error.problems)
    problems += [replace(p, name=f"{place}.{p.name}") for p in wrong]
    return None if wrong else stress


def _read_fields(
    row: Mapping[str, Any], cls: type[Stress], *, place: str, problems: list[Problem]
) -> dict[str, Any]:
    """Return the fields that are sound, and report the others."""
    types, entries = value_types(cls), {entry.name: entry for entry in fields(cls)}
    sound = {}
    for key, raw in row.items():
        if key in types:
            found: list[Problem] = []
            value = read_value(
                raw, types[key], place=f"{place}.{key}", entry=entries[key], problems=found
            )
            problems += found
            if not found:
                sound[key] = value
        elif key != "kind":
            problems.append(unread_key(place, key, known=["kind", *types]))
    return sound


def _defaults(cls: type[Stress], row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        entry.name: entry.default
        for entry in fields(cls)
        if entry.name not in row and entry.default is not MISSING
    }


def _asset_problems(
    cls: type[Stress], values: Mapping[str, Any], place: str, assets: tuple[str, ...]
) -> list[Problem]:
    found = []
    for entry in fields(cls):
        if entry.metadata.get("unit") == "asset" and entry.name in values:
            named = values[entry.name]
            for index, name in enumerate((named,) if isinstance(named, str) else named):
                if name not in assets:
                    where = f"{place}.{entry.name}[{index}]"
                    found.append(unknown_asset(where, name, assets))
    return found


def _clock_problems(values: Mapping[str, Any], place: str, clock: Clock) -> list[Problem]:
    found = [
        clock.step_problem(f"{place}.{name}", values[name])
        for name in ("at", "duration")
        if name in values
    ]
    if "at" in values:
        found.append(clock.onset_problem(f"{place}.at", values["at"]))
    return [problem for problem in found if problem is not None]


def _joint_problems(
    stresses: list[Stress], assets: tuple[str, ...], clock: Clock, spec: VenueSpec
) -> list[Problem]:
    """Report what does not go together: a dial or a number beyond its range, a second target."""
    problems: list[Problem] = []
    calm = np.full((len(assets), len(assets)), 1.0 / 7.0)
    with_target = [
        index
        for index, stress in enumerate(stresses)
        if (stress.correlation_target(calm, assets=assets) != calm).any()
    ]
    for index in with_target[1:]:
        problems.append(
            Problem(
                "is a second target of the correlations",
                f"stresses[{index}]",
                allowed="one stress a run that moves the correlation matrix",
                hint=f"stresses[{with_target[0]}] has one: leave it out of one of them",
            )
        )
    if problems or not clock.is_read:
        return problems
    dt_ms = round(clock.dt * 1000.0)
    schedule = StressSchedule(stresses, assets=assets, dt_ms=dt_ms)
    for index, stress in enumerate(stresses):
        first_ms = round(stress.at_s * 1000.0) + dt_ms
        try:
            schedule.rules_at(first_ms, spec)
        except InvalidInput as error:
            problems += [replace(p, name=f"stresses[{index}], {p.name}") for p in error.problems]
        try:
            schedule.dials_at(first_ms)
        except InvalidInput as error:
            first = error.problems[0]
            what = f"with those that act beside it turns {first.name} to {first.value}"
            hint = "lower a severity, or let them act one after the other"
            problems.append(Problem(what, f"stresses[{index}]", allowed=first.allowed, hint=hint))
    return problems[:1]
