"""Tables of a scenario law: what may act, what is drawn, what is set, which caps are lifted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stressbook.experiments.caps.answer import CapAnswer
from stressbook.experiments.caps.drawn_text import drawn_text, drawn_texts
from stressbook.experiments.caps.law import Draw, ScenarioLaw
from stressbook.experiments.caps.reading import lifted
from stressbook.experiments.words import amount
from stressbook.report.layout import Table, table_of
from stressbook.report.numbers import plain

__all__ = ["draw_table", "element_table", "fixed_table", "lifted_table", "moved_by"]


def element_table(answer: CapAnswer) -> Table:
    """Return the elements of the law that act."""
    rows = [
        (
            one.name,
            f"{one.probability:.0%}",
            "; ".join(_stress(stress) for stress in one.stresses),
            one.source,
        )
        for one in answer.study.law.elements
        if one.probability > 0.0
    ]
    head = ("element", "probability", "what it does", "probability from")
    return table_of("What may act", head, rows, words=(2, 3))


def draw_table(answer: CapAnswer) -> Table:
    """Return what is drawn for each episode, and what each draw moves."""
    law = answer.study.law
    rows = [(one.name, *_bounds(one), moved_by(law, one.name), one.source) for one in law.draws]
    head = ("draw", "bounds", "unit", "what it moves", "source")
    return table_of("Drawn for each episode, uniformly", head, rows, words=(2, 3, 4))


def moved_by(law: ScenarioLaw, name: str) -> str:
    """Return which elements and places of a law read a draw."""
    found = [
        one.name if one.probability > 0.0 else f"{one.name} (rows alone)"
        for one in law.elements
        if _reads(one.stresses, name)
    ]
    found += [place for place, value in law.settings.items() if _reads(value, name)]
    found += [
        f"{place} {'divided by it' if one.is_inverse else 'times it'}"
        for place, value in law.scales.items()
        if (one := drawn_text(value)) is not None and one.name == name
    ]
    return "; ".join(found)


def fixed_table(answer: CapAnswer) -> Table | None:
    """Return what the law sets alike in every episode; None if it sets nothing."""
    law = answer.study.law
    rows = [
        (place, _value(place, float(value)))
        for place, value in law.settings.items()
        if _is_set(value)
    ]
    rows += [
        (f"{place}, times", amount(float(value)))
        for place, value in law.scales.items()
        if _is_set(value)
    ]
    if not rows:
        return None
    return table_of("Set alike in every episode", ("place", "value"), rows)


def lifted_table(answer: CapAnswer) -> Table | None:
    """Return the platform supply caps that the fill lifts; None if it lifts none."""
    spec = answer.study.scenario.venue_spec()
    before = {
        f"venue.tokens.{token.name}.platform_supply_cap": token.platform_supply_cap
        for token in spec.tokens
    }
    rows = [
        (place.removeprefix("venue.tokens."), plain(before[place], 0), plain(value, 0))
        for place, value in lifted(answer).items()
    ]
    if not rows:
        return None
    head = ("platform supply cap", "as it stands, tokens", "in these episodes")
    return table_of("Lifted so that the cap can be filled", head, rows)


def _bounds(draw: Draw) -> tuple[str, str]:
    """Return bounds and unit, large amounts in millions."""
    if draw.unit == "USD" and draw.low >= 1e6:
        return _unbroken(f"{draw.low / 1e6:g} to {draw.high / 1e6:g}"), "M USD"
    unit = "" if draw.unit == "1" else draw.unit
    return _unbroken(f"{amount(draw.low)} to {amount(draw.high)}"), unit


def _unbroken(text: str) -> str:
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _value(place: str, value: float) -> str:
    if place.endswith("_usd") and value >= 1e6:
        return f"{amount(value / 1e6)} M USD"
    return amount(value)


def _stress(table: Mapping[str, Any]) -> str:
    parts = dict(table)
    kind = str(parts.pop("kind", "")).replace("_", " ")
    assets = parts.pop("assets", None)
    if assets:
        kind += f" of {_plain(assets)}"
    said = ", ".join(f"{key} = {_plain(value)}" for key, value in parts.items())
    return f"{kind}: {said}" if said else kind


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    one = drawn_text(value)
    return str(value) if one is None else f"1/{one.name}" if one.is_inverse else one.name


def _reads(value: object, name: str) -> bool:
    return any(one.name == name for one in drawn_texts(value))


def _is_set(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
