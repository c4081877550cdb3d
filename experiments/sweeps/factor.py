"""What a study varies: a place of the scenario, and the values that it takes there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Final

from stressbook.experiments.scenario import Scenario
from stressbook.experiments.scenario_files.venue_table import venue_places

__all__ = ["SCALES", "Factor", "dotted", "placed", "places_of", "short_names"]

SCALES: Final = ("linear", "log")


@dataclass(frozen=True)
class Factor:
    """A place with its values: a list, or a range.

    Parameters
    ----------
    place : str
        In a scenario file, dotted.
    values : tuple
        As listed; empty of a range.
    low, high : float
        Ends of a range.
    n : int
        Values of it on a grid, both ends among them.
    scale : {"linear", "log"}
        Whether differences or ratios are equal.
    is_whole : bool
        Whether the place takes whole numbers.

    Examples
    --------
    >>> Factor("x", low=1.0, high=100.0, n=3, scale="log").levels()
    (1.0, 10.0, 100.0)
    >>> Factor("x", values=("a", "b")).at(0.7)
    'b'
    """

    place: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    n: int = 0
    scale: str = "linear"
    is_whole: bool = False

    def levels(self) -> tuple[Any, ...]:
        """Return the values on a grid, each once."""
        if self.values:
            return self.values
        spread = (self._between(k / (self.n - 1)) for k in range(self.n))
        return tuple(dict.fromkeys(spread))

    def at(self, share: float) -> Any:
        """Return the value at a share of the range, or of the list, from 0 to below 1."""
        if self.values:
            return self.values[min(int(share * len(self.values)), len(self.values) - 1)]
        return self._between(share)

    def _between(self, share: float) -> float:
        if share in (0.0, 1.0):  # the ends as written, not as a logarithm gives them back
            value = self.high if share else self.low
        elif self.scale == "log":
            low, high = math.log(self.low), math.log(self.high)
            value = float(f"{math.exp(low + (high - low) * share):.12g}")
        else:
            value = self.low + (self.high - self.low) * share
        return round(value) if self.is_whole else value


def dotted(place: str) -> str:
    """Return a place as it is written with dots alone.

    Examples
    --------
    >>> dotted("stresses[0].fall_frac")
    'stresses.0.fall_frac'
    """
    return place.replace("[", ".").replace("]", "")


def places_of(scenario: Scenario) -> dict[str, Any]:
    """Return every place of a scenario that holds one value, with the value.

    Parameters
    ----------
    scenario : Scenario
        Resolved.

    Returns
    -------
    dict of str to object

    Examples
    --------
    >>> from stressbook.experiments.scenario import load_scenario
    >>> places = places_of(load_scenario("skeleton"))
    >>> places["dt"], places["venue.lending.retained_frac"]
    (1.0, 0.1)
    """
    table = scenario.to_table()
    venue = venue_places(scenario.venue_spec())
    found = _leaves({key: item for key, item in table.items() if key != "venue"})
    return found | {f"venue.{place}": value for place, value in venue.items()}


def _leaves(node: Any, place: str = "") -> dict[str, Any]:
    if isinstance(node, Mapping):
        items = list(node.items())
    elif isinstance(node, list | tuple) and any(isinstance(one, Mapping) for one in node):
        items = [(str(index), one) for index, one in enumerate(node)]
    else:
        return {place: node}
    lead = f"{place}." if place else ""
    return {
        key: value for name, one in items for key, value in _leaves(one, f"{lead}{name}").items()
    }


def placed(table: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scenario's table with values put in their places.

    Parameters
    ----------
    table : mapping
        Not modified; what is on no path is shared.
    values : mapping of str to object
        By place.

    Returns
    -------
    dict

    Examples
    --------
    >>> placed({"a": {"x": 1}, "b": [{"y": 2}]}, {"b.0.y": 3, "a.z.w": 4})
    {'a': {'x': 1, 'z': {'w': 4}}, 'b': [{'y': 3}]}
    """
    changed: Any = dict(table)
    for place, value in values.items():
        *path, last = place.split(".")
        node = changed
        for step in path:
            key: Any = int(step) if isinstance(node, list) else step
            below = node[key] if isinstance(node, list) else node.get(key, {})
            node[key] = list(below) if isinstance(below, tuple) else copy(below)
            node = node[key]
        node[int(last) if isinstance(node, list) else last] = value
    return dict(changed)


def short_names(places: list[str]) -> dict[str, str]:
    """Return the shortest ends of places that still tell them apart.

    Examples
    --------
    >>> short_names(["venue.tokens.HYPE.ltv", "venue.tokens.BTC.ltv", "stresses.0.fall_frac"])
    {'venue.tokens.HYPE.ltv': 'HYPE.ltv', 'venue.tokens.BTC.ltv': 'BTC.ltv', \
'stresses.0.fall_frac': 'fall_frac'}
    """
    found = {}
    for place in places:
        parts = place.split(".")
        for n in range(1, len(parts) + 1):
            end = ".".join(parts[-n:])
            if sum(f".{other}".endswith(f".{end}") for other in places) == 1:
                break
        found[place] = end
    return found
