"""What is wrong with a cap study beyond the form of its file: of its parts, and between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from stressbook.errors import Problem, StressbookError
from stressbook.experiments.caps.demand import demand_changes
from stressbook.experiments.caps.drawn_text import drawn_texts
from stressbook.experiments.caps.episodes import Changes
from stressbook.experiments.caps.law import ScenarioLaw
from stressbook.experiments.caps.study import AbsorptionParams, CapStudy
from stressbook.experiments.outcomes import outcome_names
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.scenario_files.values import unknown_name
from stressbook.experiments.scenario_files.venue_table import venue_places

__all__ = [
    "absorption_problems",
    "divisions_by_zero",
    "episode_problems",
    "grid_problems",
    "lever_problems",
    "no_probabilities",
    "outcome_problems",
    "unknown_draws",
]


def outcome_problems(table: Any, assets: Sequence[str]) -> list[Problem]:
    """Return a problem if `[outcome]` names none: told beside what else is wrong with the table."""
    name = table.get("name") if isinstance(table, Mapping) else None
    known = outcome_names(assets)
    is_known = not isinstance(name, str) or name in known
    return [] if is_known else [unknown_name("outcome.name", name, known=known)]


def grid_problems(section: str, grid: tuple[float, ...]) -> list[Problem]:
    """Return a problem if the values of a lever do not rise from above zero."""
    place = f"{section}.grid"
    if not grid:
        return [Problem("is empty", place, [], "1 or more rising values")]
    if grid[0] <= 0.0 or any(b <= a for a, b in pairwise(grid)):
        return [Problem("does not rise from above zero", place, list(grid), "rising values")]
    return []


def lever_problems(section: str, lever: str, scenario: Scenario | None) -> list[Problem]:
    """Return a problem if a lever is no number of the venue; none without a scenario."""
    if scenario is None:
        return []
    numbers = [
        f"venue.{place}"
        for place, value in venue_places(scenario.venue_spec()).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if lever in numbers:
        return []
    caps = ", ".join(place for place in numbers if "cap" in place)
    return [replace(unknown_name(f"{section}.lever", lever, known=numbers), allowed=caps)]


def unknown_draws(parts: Any, law: ScenarioLaw, place: str) -> list[Problem]:
    """Return a problem for each draw that is read and not declared.

    Parameters
    ----------
    parts : object
        Tables and lists, of a law or a row.
    law : ScenarioLaw
        With the draws.
    place : str
        Of the parts, "law" or "rows[0]".

    Returns
    -------
    list of Problem
    """
    known = [draw.name for draw in law.draws]
    return [
        unknown_name(f"{place}: a text with $", name, known=known)
        for name in dict.fromkeys(one.name for one in drawn_texts(parts))
        if name not in known
    ]


def divisions_by_zero(parts: Any, law: ScenarioLaw) -> list[Problem]:
    """Return a problem for each draw that is divided by and may be 0."""
    inverted = {one.name for one in drawn_texts(parts) if one.is_inverse}
    return [
        Problem(
            "may be 0, and is divided by",
            f"law.draws.{draw.name}",
            [draw.low, draw.high],
            "bounds on one side of 0",
        )
        for draw in law.draws
        if draw.name in inverted and draw.low <= 0.0 <= draw.high
    ]


def no_probabilities(table: Mapping[str, Any], place: str) -> list[Problem]:
    """Return a problem for each probability of a row that is none."""
    return [
        Problem("is no probability", f"{place}.probability.{name}", value, "0.0 to 1.0")
        for name, value in table.items()
        if type(value) not in (int, float) or not 0.0 <= value <= 1.0
    ]


def absorption_problems(
    absorption: AbsorptionParams, law: ScenarioLaw, assets: Sequence[str]
) -> list[Problem]:
    """Return what the `[absorption]` table names and nothing has: it is read after all runs."""
    draws = [draw.name for draw in law.draws]
    found = []
    if absorption.asset and absorption.asset not in assets:
        found.append(unknown_name("absorption.asset", absorption.asset, known=assets))
    if absorption.median_of and absorption.median_of not in draws:
        found.append(unknown_name("absorption.median_of", absorption.median_of, known=draws))
    found += [
        unknown_name(f"absorption.table_by[{k}]", name, known=draws)
        for k, name in enumerate(absorption.table_by)
        if name not in draws
    ]
    if len(absorption.table_by) not in (0, 2):
        found.append(
            Problem(
                "does not name two draws",
                "absorption.table_by",
                list(absorption.table_by),
                "0 or 2",
            )
        )
    return found


def episode_problems(study: CapStudy) -> list[Problem]:
    """Return why an episode cannot be resolved: at the largest cap, or in a row.

    All elements act in those that are tried, so that a study fails before it runs.
    """
    spec = study.scenario.venue_spec()
    try:
        episodes = study.episodes()
    except StressbookError as error:
        return list(error.problems)
    acting = Changes(probability={element.name: 1.0 for element in study.law.elements})
    smallest, largest = study.cap.grid[0], study.cap.grid[-1]
    tried = [(f"at {largest:,.0f}", Changes(), largest)]
    tried += [(row.about.name, row.changes, smallest) for row in study.rows]
    for place in (*study.absorption.multiplies, *study.absorption.divides):
        tried.append(("absorption", Changes(scales={place: 1.0}), smallest))
    found: list[Problem] = []
    for name, changes, value in tried:
        try:
            filled = demand_changes(study.demand, study.cap.lever, value, spec)
            episodes.scenario(0, filled | changes | acting)
        except StressbookError as error:
            found += [replace(one, name=f"{name}: {one.name}") for one in error.problems]
    return found
