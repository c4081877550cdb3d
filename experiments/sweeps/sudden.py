"""Which levers are sudden: what differs in nothing else shares a warm-up.

A stress acts from its start on. Everything else - margin regime, caps, loan-to-value, population,
backstop, world - acts through the book that is built before the shock, so that runs which differ in
it have nothing in common but their draws.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, Final

from stressbook.experiments.scenario import Scenario

__all__ = ["SUDDEN", "Contents", "is_sudden"]

SUDDEN: Final = ("stresses",)  # keys of a scenario file
_UNREAD: Final = ("name", "summary")  # no run depends on them


def is_sudden(place: str) -> bool:
    """Tell whether a lever acts from the onset on only.

    Parameters
    ----------
    place : str
        In a scenario file, dotted.

    Examples
    --------
    >>> is_sudden("stresses.0.fall_frac"), is_sudden("venue.tokens.USDC.platform_borrow_cap")
    (True, False)
    """
    return place.replace("[", ".").split(".")[0] in SUDDEN


class Contents:
    """What scenarios are made of, as text; one that several cells share is read once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Scenario, str, str]] = {}  # the scenario keeps its id

    def whole(self, scenario: Scenario) -> str:
        """Return a digest of everything that a run depends on."""
        return self._read(scenario)[1]

    def structure(self, scenario: Scenario) -> str:
        """Return a digest of everything that acts before the onset."""
        return self._read(scenario)[2]

    def _read(self, scenario: Scenario) -> tuple[Scenario, str, str]:
        known = self._known.get(id(scenario))
        if known is None:
            table = {k: item for k, item in scenario.to_table().items() if k not in _UNREAD}
            lasting = {key: item for key, item in table.items() if key not in SUDDEN}
            known = self._known[id(scenario)] = scenario, _digest(table), _digest(lasting)
        return known


def _digest(table: dict[str, Any]) -> str:
    return sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
