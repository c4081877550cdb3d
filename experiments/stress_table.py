"""The `[[stresses]]` tables of a scenario, and the short form of the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from stressbook.errors import InvalidInput, Problem, UnknownName
from stressbook.experiments.binding import unbind, unknown_asset
from stressbook.experiments.clock import Clock
from stressbook.experiments.scenario_file import override_value
from stressbook.experiments.stress import REGISTRY, Stress, StressSchedule
from stressbook.experiments.values import read_value, unknown_name, unread_key, value_types

__all__ = ["parse_stress", "read_stresses", "stress_table"]


def parse_stress(text: str) -> Stress:
    """Return the stress of a short text, as `--stress` takes it.

    Parameters
    ----------
    text : str
        "kind", or "kind:field=value,field=value" with values in TOML; quotes around a single word
        may be left out, and a single name may stand for a list.

    Returns
    -------
    Stress

    Raises
    ------
    UnknownName
        If there is no such kind.
    InvalidInput
        With every problem of the fields at once.

    Examples
    --------
    >>> parse_stress("price_gap:at=45min,assets=HYPE,fall_frac=0.2").assets
    ('HYPE',)
    """
    kind, _, rest = text.partition(":")
    if kind not in REGISTRY:
        raise UnknownName("stress", kind, known=REGISTRY)
    row: dict[str, Any] = {"kind": kind}
    for part in re.split(r",(?![^\[]*\])", rest) if rest else []:
        key, equals, value = part.partition("=")
        if not equals:
            raise InvalidInput("is no field", name=kind, value=part, allowed="field=value")
        row[key.strip()] = _as_list(override_value(value), REGISTRY[kind], key.strip())
    problems: list[Problem] = []
    stress = _read_stress(row, place=kind, problems=problems)
    if stress is None:
        raise InvalidInput.from_problems(problems)
    return stress


def _as_list(value: Any, cls: type[Stress], key: str) -> Any:
    is_list = any(e.name == key and e.metadata.get("unit") == "asset" for e in fields(cls))
    return [value] if is_list and isinstance(value, str) else value


def stress_table(stress: Stress) -> dict[str, Any]:
    """Return the table that `read_stresses` reads back to an equal stress."""
    return {"kind": stress.kind, **unbind(stress)}


def read_stresses(
    rows: Any, *, assets: tuple[str, ...], clock: Clock, problems: list[Problem]
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
        stress = _read_stress(row, place=place, problems=problems)
        if stress is not None:
            found.append(stress)
            problems += _asset_problems(stress, place, assets)
            problems += _clock_problems(stress, place, clock)
    if len(problems) == before:
        problems += _joint_problems(found, assets, clock)
    return (*found,)


def _read_stress(row: Mapping[str, Any], *, place: str, problems: list[Problem]) -> Stress | None:
    kind = row.get("kind")
    if kind is None:
        problems.append(Problem("is missing", f"{place}.kind", allowed=", ".join(REGISTRY)))
        return None
    if not isinstance(kind, str) or kind not in REGISTRY:
        problems.append(unknown_name(f"{place}.kind", kind, known=REGISTRY))
        return None
    before = len(problems)
    cls = REGISTRY[kind]
    types, entries = value_types(cls), {entry.name: entry for entry in fields(cls)}
    values = {}
    for key, raw in row.items():
        where = f"{place}.{key}"
        if key in types:
            values[key] = read_value(
                raw, types[key], place=where, entry=entries[key], problems=problems
            )
        elif key != "kind":
            problems.append(unread_key(place, key, known=["kind", *types]))
    if len(problems) > before:
        return None
    try:
        return cls(**values)
    except InvalidInput as error:
        problems += [
            Problem(p.problem, f"{place}.{p.name}", p.value, p.allowed, p.hint)
            for p in error.problems
        ]
        return None


def _asset_problems(stress: Stress, place: str, assets: tuple[str, ...]) -> list[Problem]:
    found = []
    for entry in fields(stress):
        if entry.metadata.get("unit") == "asset":
            named = getattr(stress, entry.name)
            for index, name in enumerate((named,) if isinstance(named, str) else named):
                if name not in assets:
                    where = f"{place}.{entry.name}[{index}]"
                    found.append(unknown_asset(where, name, assets))
    return found


def _clock_problems(stress: Stress, place: str, clock: Clock) -> list[Problem]:
    found = [
        clock.step_problem(f"{place}.at", stress.at_s),
        clock.step_problem(f"{place}.duration", stress.duration_s),
        clock.onset_problem(f"{place}.at", stress.at_s),
    ]
    return [problem for problem in found if problem is not None]


def _joint_problems(stresses: list[Stress], assets: tuple[str, ...], clock: Clock) -> list[Problem]:
    """Report stresses that do not go together: a dial beyond its range, a second target."""
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
        try:
            schedule.dials_at(round(stress.at_s * 1000.0) + dt_ms)
        except InvalidInput as error:
            first = error.problems[0]
            what = f"with those that act beside it turns {first.name} to {first.value}"
            hint = "lower a severity, or let them act one after the other"
            problems.append(Problem(what, f"stresses[{index}]", allowed=first.allowed, hint=hint))
    return problems[:1]
