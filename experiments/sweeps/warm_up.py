"""Which cells share a warm-up: those that differ in what is sudden alone.

A stress acts from its start on. Everything else - margin regime, caps, loan-to-value, population,
backstop, world - acts through the book that is built before the shock, so that runs which differ in
it have nothing in common but their draws.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from stressbook.experiments.scenario import Scenario

if TYPE_CHECKING:
    from stressbook.experiments.sweeps.cell import Job

__all__ = ["SUDDEN", "Contents", "branch_ms", "is_sudden", "warm_key"]

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
            lasting = {key: item for key, item in table.items() if not is_sudden(key)}
            known = self._known[id(scenario)] = scenario, _digest(table), _digest(lasting)
        return known


def warm_key(job: Job, contents: Contents) -> tuple[object, ...] | None:
    """Return what cells have in common that share a warm-up; None if there is none to share.

    Parameters
    ----------
    job : Job
        Its cell.
    contents : Contents
        What scenarios are made of.

    Returns
    -------
    tuple or None
    """
    if job.account or not job.scenario.stresses:
        return None
    onset_s = job.scenario.onset_s if job.onset_s is None else job.onset_s
    structure = contents.structure(job.scenario)
    return structure, job.seed, job.engine, onset_s, job.scenario.onset_s, job.run_on_s


def branch_ms(jobs: Sequence[Job]) -> int:
    """Return when the first stress of any cell begins, ms."""
    return round(min(job.scenario.onset_s for job in jobs) * 1000)


def _digest(table: dict[str, Any]) -> str:
    return sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
