"""Sides of a comparison: one scenario under several margin regimes, and what each is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from stressbook.api.parameters import scenario_changes
from stressbook.errors import InvalidInput, Problem, nearest_name
from stressbook.experiments.scenario import Scenario
from stressbook.market.regimes import load_regime, regime_names

__all__ = ["regime_label", "side_names", "under_regimes"]

_PLACE: Final = "regime."  # of a regime's numbers below `venue`


def under_regimes(scenario: Scenario, regimes: Sequence[str | Mapping[str, Any]]) -> list[Scenario]:
    """Return a scenario under each of several margin regimes, all else as it is.

    Parameters
    ----------
    scenario : Scenario
        Resolved; what it changes in its own regime's numbers is left behind.
    regimes : sequence of str or mapping
        A name, "scan:0.5" for a scan with that offset between underlyings, or changes by place,
        such as {"margin_regime": "scan", "venue.regime.offset_frac": 1.0}.

    Returns
    -------
    list of Scenario

    Raises
    ------
    InvalidInput
        With every regime that there is not, and every offset that is none.
    InvalidScenario
        If changes do not fit.

    Examples
    --------
    >>> from stressbook.experiments.scenario import load_scenario
    >>> found = under_regimes(load_scenario("skeleton"), ["cross", "scan:1"])
    >>> [regime_label(one) for one in found]
    ['cross', 'scan, offset 1']
    """
    problems: list[Problem] = []
    changes = [
        _nested(one) if isinstance(one, Mapping) else _parsed(one, problems) for one in regimes
    ]
    if problems:
        raise InvalidInput.from_problems(problems)
    venue = {place: x for place, x in scenario.venue.items() if not place.startswith(_PLACE)}
    plain = replace(scenario, venue=venue)
    return [plain.with_(**each) for each in changes]


def regime_label(scenario: Scenario) -> str:
    """Return the margin regime of a scenario with the numbers that tell it from others.

    Examples
    --------
    >>> from stressbook.experiments.scenario import load_scenario
    >>> regime_label(load_scenario("skeleton").with_(margin_regime="scan"))
    'scan, offset 0.5'
    """
    name = scenario.margin_regime
    changed = {
        place.removeprefix(_PLACE): value
        for place, value in scenario.venue.items()
        if place.startswith(_PLACE)
    }
    words = [name]
    offset = changed.pop("offset_frac", load_regime(name).rules.offset_frac)
    if offset or (_has_offset(name) and f"{_PLACE}offset_frac" in scenario.venue):
        words.append(f"offset {offset:g}")
    words += [f"{place} {value}" for place, value in changed.items()]
    return ", ".join(words)


def side_names(scenarios: Sequence[Scenario]) -> list[str]:
    """Return a name for each side of a comparison, as short as tells them apart.

    Parameters
    ----------
    scenarios : sequence of Scenario
        Resolved.

    Returns
    -------
    list of str
        Names of the scenarios, else of their regimes, else both; what still is alike is named by
        its changes to the first, and numbered at last.

    Examples
    --------
    >>> from stressbook.experiments.scenario import load_scenario
    >>> base = load_scenario("skeleton")
    >>> side_names([base, base.with_(margin_regime="scan")])
    ['cross', 'scan, offset 0.5']
    >>> side_names([base, base.with_(dt=2.0)])
    ['skeleton', 'dt 1.0 -> 2.0']
    """
    names = [one.name for one in scenarios]
    labels = [regime_label(one) for one in scenarios]
    both = [f"{name}, {label}" for name, label in zip(names, labels, strict=True)]
    for tried in (names, labels, both):
        if len(set(tried)) == len(tried):
            return tried
    first, *others = scenarios
    found = [first.name]
    for other in others:
        name = "; ".join(scenario_changes(first, other)) or other.name
        taken = sum(1 for known in found if known == name or known.startswith(f"{name} ("))
        found.append(f"{name} ({taken + 1})" if taken else name)
    return found


def _has_offset(name: str) -> bool:
    regime = load_regime(name)
    return regime.is_scanned and regime.rules.aggregation != "credits"


def _parsed(text: str, problems: list[Problem]) -> dict[str, Any]:
    """Return the changes that "scan:0.5" stands for, and note what is wrong with it."""
    name, colon, offset = text.partition(":")
    if name not in regime_names():
        nearest = nearest_name(name, regime_names())
        hint = f"did you mean {nearest!r}?" if nearest else ""
        known = ", ".join(regime_names())
        problems.append(Problem("is unknown", "margin regime", name, known, hint))
        return {}
    if not colon:
        return {"margin_regime": name}
    if not _has_offset(name):
        allowed = ", ".join(one for one in regime_names() if _has_offset(one))
        problems.append(Problem("has no offset", "margin regime", text, allowed))
        return {}
    try:
        value = float(offset)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        problems.append(
            Problem("is no offset", "margin regime", text, "a number from 0 to 1 behind the colon")
        )
        return {}
    return {"margin_regime": name, "venue": {"regime": {"offset_frac": value}}}


def _nested(places: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes by dotted place as the tables that they stand for."""
    found: dict[str, Any] = {}
    for place, value in places.items():
        *above, key = place.split(".")
        table = found
        for part in above:
            table = table.setdefault(part, {})
        table[key] = value
    return found
