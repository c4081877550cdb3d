"""Who is enrolled when a run of a scenario begins, and whom which rule refused."""

from __future__ import annotations

from typing import Final

from stressbook.agents.enrolment import EnrolmentCount
from stressbook.agents.own_agents import own_enrolment
from stressbook.agents.population import (
    build_population,
    enrolment_by_class,
    enrolment_of_file,
)
from stressbook.experiments.agent_classes import is_own_class
from stressbook.experiments.own_book.checks import scenario_accounts
from stressbook.experiments.scenario import Scenario

__all__ = [
    "ENROLMENT_HEAD",
    "RATION_HEAD",
    "enrolment_cells",
    "opening_enrolment",
    "opening_rations",
    "ration_cells",
]

ENROLMENT_HEAD: Final = ("class", "ask", "enrolled", "too large", "too small")
RATION_HEAD: Final = ("class", "limit", "accounts")


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
    found |= enrolment_of_file(scenario_accounts(scenario))
    return found | own_enrolment(own, spec, regime=regime)


def enrolment_cells(found: dict[str, EnrolmentCount]) -> list[tuple[str, ...]]:
    """Return the rows of a table under `ENROLMENT_HEAD`; one row that says so if nobody asks."""
    rows = [(name, *map(str, count)) for name, count in found.items()]
    return rows or [("nobody asks", "", "", "", "")]


def opening_rations(scenario: Scenario, *, seed: int) -> dict[str, dict[str, int]]:
    """Return how many accounts of a class open smaller than they want, and by which limit.

    Parameters
    ----------
    scenario, seed
        As of `opening_enrolment`.

    Returns
    -------
    dict of str to dict of str to int
        By class and limit, `agents.carry_book.RATIONS`: the one that binds most.
    """
    shipped = {name: mine for name, mine in scenario.agents.items() if not is_own_class(name)}
    return build_population(
        shipped,
        scenario.venue_spec(),
        seed=seed,
        regime=scenario.margin_regime,
        world=scenario.world,
        classes=shipped,
        own=scenario_accounts(scenario),
    ).rationed


def ration_cells(found: dict[str, dict[str, int]]) -> list[tuple[str, ...]]:
    """Return the rows of a table under `RATION_HEAD`; one row that says so if nobody is."""
    rows: list[tuple[str, ...]] = [
        (name, by, str(n)) for name, counts in found.items() for by, n in counts.items()
    ]
    return rows or [("nobody", "", "")]
