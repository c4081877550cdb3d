"""Episodes of a law on a scenario: the scenario of each seed, resolved and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any, Final

from stressbook.errors import InvalidInput
from stressbook.experiments.caps.drawn_text import drawn_text, filled_in
from stressbook.experiments.caps.law import ScenarioLaw
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.scenario_files.venue_table import venue_places

__all__ = ["Changes", "Episodes"]

_GRAIN_S: Final = 6.0  # drawn times are whole multiples, which every step length divides


class Changes:
    """What is changed in every episode on top of its law.

    Parameters
    ----------
    settings, scales : mapping
        As of `ScenarioLaw`, after the law's own.
    probability : mapping of str to float
        Of elements, instead of the law's.
    """

    def __init__(
        self,
        settings: Mapping[str, Any] | None = None,
        scales: Mapping[str, Any] | None = None,
        probability: Mapping[str, float] | None = None,
    ) -> None:
        self.settings = dict(settings or {})
        self.scales = dict(scales or {})
        self.probability = dict(probability or {})

    def __or__(self, other: Changes) -> Changes:
        return Changes(
            self.settings | other.settings,
            self.scales | other.scales,
            self.probability | other.probability,
        )


class Episodes:
    """Makes the scenario of each episode.

    Parameters
    ----------
    base : Scenario
        What the law does not change; its own stresses come first.
    law : ScenarioLaw
        What differs between episodes.
    """

    def __init__(self, base: Scenario, law: ScenarioLaw) -> None:
        self.law = law
        self.base = base.with_(warmup=law.onset_s, duration=law.duration_s)
        self._table = self.base.to_table()
        self._venue = venue_places(self.base.venue_spec())

    def scenario(self, seed: int, changes: Changes | None = None) -> Scenario:
        """Return the scenario of one episode.

        Parameters
        ----------
        seed : int
            Of the episode; that of its draws and of its run.
        changes : Changes, optional
            On top of the law.

        Returns
        -------
        Scenario

        Raises
        ------
        InvalidInput
            If the law or the changes do not fit the scenario.
        """
        more = changes or Changes()
        drawn = self.law.drawn(seed)
        values: dict[str, Any] = {}
        for settings, scales in (
            (self.law.settings, self.law.scales),
            (more.settings, more.scales),
        ):
            for place, value in settings.items():
                for one in self._places(place):
                    values[one] = filled_in(value, drawn)
            for place, factor in scales.items():
                for one in self._places(place):
                    now = values.get(one, self._value(one))
                    values[one] = _scaled(now, _factor(factor, drawn, place), one)
        acting = self.law.acting(seed, more.probability)
        stresses = [
            self._stress(table, drawn)
            for element in self.law.elements
            if element.name in acting
            for table in element.stresses
        ]
        return self.base.with_(**_nested(values), stresses=[*self._table["stresses"], *stresses])

    def _stress(self, table: Mapping[str, Any], drawn: Mapping[str, float]) -> dict[str, Any]:
        found = {"at": self.law.onset_s} | {
            key: filled_in(value, drawn) for key, value in table.items()
        }
        for key in ("at", "duration"):
            if drawn_text(table.get(key)) is not None:
                found[key] = max(_GRAIN_S, round(found[key] / _GRAIN_S) * _GRAIN_S)
        return found

    def _places(self, place: str) -> Iterator[str]:
        """Yield a place, for each asset where it says `*`."""
        if "*" not in place:
            yield place
            return
        for name in self.base.assets:
            yield place.replace("*", name)

    def _value(self, place: str) -> Any:
        """Return what stands at a place of the resolved scenario."""
        if place.startswith("venue."):
            node: Any = self._venue.get(place.removeprefix("venue."))
        else:
            node = self._table
            for key in place.split("."):
                node = node.get(key) if isinstance(node, Mapping) else None
        if node is None:
            raise InvalidInput(
                "is no place of the scenario",
                name="scale",
                value=place,
                allowed="a place as of --set, with a number or numbers",
            )
        return node


def _factor(factor: Any, drawn: Mapping[str, float], place: str) -> float:
    value = filled_in(factor, drawn)
    if isinstance(value, bool) or not isinstance(value, int | float):
        allowed = 'a number, "$draw" or "1/$draw"'
        raise InvalidInput("is no factor", name=f"scale of {place}", value=value, allowed=allowed)
    return float(value)


def _scaled(now: Any, factor: float, place: str) -> Any:
    if isinstance(now, Mapping):
        return {key: _scaled(item, factor, place) for key, item in now.items()}
    if isinstance(now, bool) or not isinstance(now, int | float):
        raise InvalidInput("is no number", name="scale", value=place, allowed="a place of numbers")
    scaled = now * factor
    if not isfinite(scaled):
        raise InvalidInput("is scaled beyond all numbers", name="scale", value=place)
    return round(scaled) if isinstance(now, int) else scaled


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted places as tables in tables."""
    tree: dict[str, Any] = {}
    for place, value in values.items():
        *above, last = place.split(".")
        node = tree
        for key in above:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                what = f"is set, and {key}, in which it stands, is set as a whole"
                raise InvalidInput(what, name="set", value=place, allowed="one of the two")
        node[last] = value
    return tree
