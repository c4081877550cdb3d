"""Who is enrolled when a run of a scenario begins, and whom which rule refused."""

from __future__ import annotations

from typing import Final

from stressbook.agents.enrolment import EnrolmentCount
from stressbook.agents.own_agents import own_enrolment
from stressbook.agents.population import enrolment_by_class
from stressbook.experiments.agent_classes import is_own_class
from stressbook.experiments.scenario import Scenario

__all__ = ["ENROLMENT_HEAD", "enrolment_cells", "opening_enrolment"]

ENROLMENT_HEAD: Final = ("class", "ask", "enrolled", "too large", "too small")


def opening_enrolment(scenario: Scenario, *, seed: int) -> dict[str, EnrolmentCount]:
    """Return how many accounts ask to be enrolled at the opening, and what they are answered.

    Parameters
    ----------
    scenario : Scenario
        Resolved.
    seed : int
        What accounts open with is drawn.

    Returns
    -------
    dict of str to EnrolmentCount
        By class, of those of which any account asks.

    Examples
    --------
    >>> from stressbook.experiments.scenario import load_scenario
    >>> found = opening_enrolment(load_scenario("hype-fall"), seed=7)
    >>> sum(one.enrolled for one in found.values()), sum(one.asked for one in found.values())
    (72, 72)
    """
    spec, regime = scenario.venue_spec(), scenario.margin_regime
    own = {name: mine for name, mine in scenario.agents.items() if is_own_class(name)}
    shipped = {name: mine for name, mine in scenario.agents.items() if name not in own}
    found = enrolment_by_class(shipped, spec, seed=seed, regime=regime, classes=shipped)
    return found | own_enrolment(own, spec, regime=regime)


def enrolment_cells(found: dict[str, EnrolmentCount]) -> list[tuple[str, ...]]:
    """Return the rows of a table under `ENROLMENT_HEAD`; one row that says so if nobody asks."""
    rows = [(name, *map(str, count)) for name, count in found.items()]
    return rows or [("nobody asks", "", "", "", "")]
