"""What a study file says of stopping and of its control, read and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stressbook.errors import Problem
from stressbook.experiments.sweeps.factor import dotted
from stressbook.experiments.sweeps.stopping import StopRule
from stressbook.experiments.sweeps.study import Aim, Study
from stressbook.experiments.sweeps.study_keys import StopFields, read_fields

__all__ = ["control_of", "read_stop", "require_pairs"]

_GRID: Final = 1e-3  # of the range: no interval of a mean becomes narrower
_MOST_TOLD: Final = 6  # combinations


def read_stop(
    part: Mapping[str, Any], aims: Sequence[Aim], problems: list[Problem]
) -> StopRule | None:
    """Return when cells stop, None where the file has no such table.

    Parameters
    ----------
    part : mapping
        The table `[stop]`.
    aims : sequence of Aim
        Outcomes that the study looks at.
    problems : list of Problem
        Takes what is wrong.
    """
    if not part:
        return None
    found = read_fields(StopFields, part, "stop", problems)
    aim = next((one for one in aims if one.outcome == found["outcome"]), None)
    if aim is None:
        allowed = f"one of [outcomes]: {', '.join(one.outcome for one in aims)}"
        problems.append(Problem("is not looked at", "stop.outcome", found["outcome"], allowed))
        return None
    if (found["half_width"] is None) != found["decide"]:
        allowed = "half_width = .. with low and high, or decide = true"
        problems.append(Problem("has to say one thing that ends a cell", "stop", allowed=allowed))
    if found["decide"] and aim.budget is None:
        hint = f"write {aim.outcome} = {{ budget = .. }}"
        problems.append(Problem("needs a budget of its outcome", "stop.decide", hint=hint))
    problems += _range_problems(found)
    return StopRule(
        outcome=aim.outcome,
        half_width=found["half_width"],
        low=found["low"],
        high=found["high"],
        budget=aim.budget if found["decide"] else None,
        alpha=aim.alpha,
        check_every=found["check_every"],
    )


def _range_problems(found: Mapping[str, Any]) -> list[Problem]:
    low, high, half = found["low"], found["high"], found["half_width"]
    given = [one for one in (low, high, half) if one is not None]
    if not all(isinstance(one, int | float) for one in given) or not given:
        return []  # what is no number is told where it is read
    text = "the range that the outcome never leaves"
    missing = [
        Problem("is missing", f"stop.{key}", allowed=text)
        for key in ("low", "high")
        if found[key] is None
    ]
    if missing:
        return missing
    if not low < high:
        return [Problem("leaves an empty range", "stop.high", high, f"more than low = {low:g}")]
    if half is not None and not _GRID * (high - low) <= half < 0.5 * (high - low):
        allowed = f"{_GRID * (high - low):g} to below {0.5 * (high - low):g}, of that range"
        return [Problem("is out of reach", "stop.half_width", half, allowed)]
    return []


def control_of(study: Study, given: Any, problems: list[Problem]) -> int | None:
    """Return the rank of the cell of levers that a file names as the control.

    Parameters
    ----------
    study : Study
        With all combinations.
    given : object
        "first", or a table of place and value of every lever; None if there is no control.
    problems : list of Problem
        Takes what is wrong.
    """
    if given is None or given == "first":
        return None if given is None else 0
    cells = study.cell_levers()
    if not isinstance(given, Mapping):
        allowed = '"first", or a table of every lever and its value'
        problems.append(Problem("is no combination", "control", given, allowed))
        return None
    asked = dict(_flat(given))
    same = [rank for rank, levers in enumerate(cells) if _is_same(asked, levers)]
    if same:
        return same[0]
    told = [", ".join(f"{k} = {v}" for k, v in levers.items()) for levers in cells]
    shown = "; ".join(told[:_MOST_TOLD]) + ("; ..." if len(told) > _MOST_TOLD else "")
    problems.append(Problem("is none of the combinations", "control", asked, shown))
    return None


def require_pairs(study: Study, problems: list[Problem]) -> None:
    """Report why combinations do not pair with the control of a study, where none or not all can.

    Parameters
    ----------
    study : Study
        With its control.
    problems : list of Problem
        Takes what is wrong.
    """
    if study.control is None:
        return
    clocks = {(p.scenario.warmup_s, p.scenario.duration_s, p.scenario.dt_s) for p in study.points}
    if len(clocks) > 1:
        text = "differ among combinations, so that runs do not pair"
        problems.append(Problem(text, "warmup, duration and dt", allowed="the same for all"))
    if study.stop is not None:
        text = "excludes [stop]: a difference at an n that the runs chose has no valid interval"
        problems.append(Problem(text, "control", allowed="one of them"))
    if not study.paired_cells():
        text = "pairs with no other combination"
        hint = "a grid pairs all; points that fill the space differ in what is not known"
        problems.append(Problem(text, "control", hint=hint))


def _is_same(asked: Mapping[str, Any], levers: Mapping[str, Any]) -> bool:
    if set(asked) != set(levers):
        return False
    return all(_equal(asked[place], value) for place, value in levers.items())


def _equal(one: Any, other: Any) -> bool:
    numbers = [isinstance(x, int | float) and not isinstance(x, bool) for x in (one, other)]
    return math.isclose(one, other, rel_tol=1e-9) if all(numbers) else bool(one == other)


def _flat(table: Mapping[str, Any], lead: str = "") -> list[tuple[str, Any]]:
    """Return places and values, of keys in quotes and of keys that were not."""
    found = []
    for key, item in table.items():
        place = dotted(f"{lead}{key}")
        found += _flat(item, f"{place}.") if isinstance(item, Mapping) else [(place, item)]
    return found
