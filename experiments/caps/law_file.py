"""The `[law]` table of a cap study's file: draws, what they set, what may act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stressbook.errors import Problem
from stressbook.experiments.caps.drawn_text import drawn_texts
from stressbook.experiments.caps.file_parts import (
    bound,
    named_tables,
    places_and_values,
    table_list,
)
from stressbook.experiments.caps.law import Draw, Element, ScenarioLaw
from stressbook.experiments.caps.study_checks import divisions_by_zero, unknown_draws
from stressbook.market.rules.parameters import param

__all__ = ["read_law"]


@dataclass(frozen=True, kw_only=True)
class _LawHead:
    summary: str = param("", unit="text", help="the law, in a sentence")
    onset: float | str = param(600.0, unit="s", help="warm-up before an episode", low=1.0)
    duration: float | str = param(7_200.0, unit="s", help="length of an episode", low=1.0)
    run_on: float | str = param(
        3_600.0, unit="s", help="how long an unsettled episode may go on", low=0.0
    )
    episodes_per_year: float = param(
        1.0, unit="1/year", help="assumed rate of such episodes", low=0.0
    )


@dataclass(frozen=True, kw_only=True)
class _DrawParams:
    low: float = param(0.0, unit="1", help="lower bound")
    high: float = param(1.0, unit="1", help="upper bound")
    unit: str = param("1", unit="text", help="of the number")
    source: str = param("assumed", unit="text", help="where the bounds come from")


@dataclass(frozen=True, kw_only=True)
class _ElementParams:
    name: str = param("", unit="text", help="of the element")
    probability: float = param(
        1.0, unit="1", help="with which it acts in an episode", low=0.0, high=1.0
    )
    source: str = param("assumed", unit="text", help="where the probability comes from")


def read_law(table: Any, problems: list[Problem]) -> ScenarioLaw | None:
    """Return the law of a file; None where its head cannot be read.

    Parameters
    ----------
    table : mapping
        As the file has it.
    problems : list of Problem
        Takes what is wrong.
    """
    if not isinstance(table, Mapping):
        problems.append(Problem("is no table", "law", table, "a table", "write [law]"))
        return None
    parts = ("draws", "set", "scale", "elements")
    head = bound(_LawHead, table, "law", problems, skip=parts)
    draws = _draws(table.get("draws", {}), problems)
    settings = places_and_values(table.get("set", {}), "law.set", problems)
    scales = places_and_values(table.get("scale", {}), "law.scale", problems)
    elements = _elements(table.get("elements", []), problems)
    if head is None:
        return None
    law = ScenarioLaw(
        head.summary,
        head.onset,
        head.duration,
        head.run_on,
        head.episodes_per_year,
        draws,
        settings,
        scales,
        elements,
    )
    problems += _draw_problems(law)
    return law


def _draws(table: Any, problems: list[Problem]) -> tuple[Draw, ...]:
    found = []
    for name, raw in named_tables(table, "law.draws", problems):
        place = f"law.draws.{name}"
        one = bound(_DrawParams, raw, place, problems)
        if one is None:
            continue
        found.append(Draw(name, one.low, one.high, one.unit, one.source))
        if not one.low < one.high:
            ends = [one.low, one.high]
            problems.append(Problem("is an empty range", place, ends, "low below high"))
    return tuple(found)


def _elements(rows: Any, problems: list[Problem]) -> tuple[Element, ...]:
    found = []
    for index, row in enumerate(table_list(rows, "law.elements", problems)):
        place = f"law.elements[{index}]"
        one = bound(_ElementParams, row, place, problems, skip=("stresses",))
        stresses = table_list(row.get("stresses", []), f"{place}.stresses", problems)
        if one is not None:
            found.append(Element(one.name, one.probability, tuple(stresses), one.source))
    names = [one.name for one in found]
    problems += [
        Problem("is there twice", "law.elements.name", name, "each once")
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    return tuple(found)


def _draw_problems(law: ScenarioLaw) -> list[Problem]:
    """Return draws that are not declared, those that divide and may be 0, those nothing reads."""
    parts = [law.settings, law.scales, [one.stresses for one in law.elements]]
    used = {one.name for one in drawn_texts(parts)}
    unread = [
        Problem("is read by nothing", f"law.draws.{one.name}", hint=f"write ${one.name} somewhere")
        for one in law.draws
        if one.name not in used
    ]
    return [*unknown_draws(parts, law, "law"), *divisions_by_zero(parts, law), *unread]
