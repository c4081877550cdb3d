"""What the parts of a cap study say of each other: draws that are read, assets, probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stressbook.errors import Problem
from stressbook.experiments.caps.drawn_text import drawn_texts
from stressbook.experiments.caps.law import ScenarioLaw
from stressbook.experiments.caps.study import AbsorptionParams
from stressbook.experiments.scenario_files.values import unknown_name

__all__ = [
    "absorption_problems",
    "divisions_by_zero",
    "no_probabilities",
    "unknown_draws",
]


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
