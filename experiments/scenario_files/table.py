"""Tables into the fields of a scenario and back: what each key of a scenario file means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date
from typing import Any, Final

from stressbook.agents.account import Account
from stressbook.errors import InvalidInput, InvalidScenario, Problem, nearest_name
from stressbook.experiments.agent_classes import agent_class_names, params_class
from stressbook.experiments.own_book.holdings import OwnBook
from stressbook.experiments.scenario_files.binding import bind, unbind, unknown_asset
from stressbook.experiments.scenario_files.clock import Clock
from stressbook.experiments.scenario_files.file import merge
from stressbook.experiments.scenario_files.population_table import (
    judge_population,
    population_table,
    read_population,
)
from stressbook.experiments.scenario_files.stress_table import read_stresses, stress_table
from stressbook.experiments.scenario_files.values import (
    read_value,
    subclasses_of,
    unfit_numbers,
    unknown_name,
    unread_key,
    value_types,
)
from stressbook.experiments.scenario_files.venue_table import nested, read_venue, restricted
from stressbook.experiments.scenario_files.world_table import read_world, world_table
from stressbook.experiments.stress import Stress
from stressbook.market.prices.world_parameters import WorldParams
from stressbook.market.regimes import regime_names
from stressbook.market.rules.listing import AssetSpec
from stressbook.market.rules.parameters import param
from stressbook.market.rules.presets import newest_preset, preset_names, undated
from stressbook.market.rules.spec import VenueSpec, load_preset

__all__ = ["TABLES", "Header", "as_table", "inherit", "read"]

_PRICE: Final = next(entry for entry in fields(AssetSpec) if entry.name == "opening_price_usd")
TABLES: Final = ("sources", "opening_price_usd", "world", "venue", "agents", "stresses")


@dataclass(frozen=True, kw_only=True)
class Header:
    """The keys of a scenario file that are single values."""

    name: str = param("", unit="text", help="of the scenario; the file's name if left out")
    summary: str = param("", unit="text", help="one line that `stressbook list` prints")
    preset: str = param("hyperliquid", unit="name", help="rules of the venue, newest or dated")
    rules_date: str = param("", unit="date", help="day of the rules; the preset's if left out")
    behaviour_date: str = param("", unit="date", help="day of the data behind the behaviour")
    margin_regime: str = param(
        "hyperliquid-pm", unit="name", help="margin rule of the accounts, of `regime_names`"
    )
    assets: tuple[str, ...] = param(("BTC", "HYPE"), unit="asset", help="the market first")
    dt: float | str = param(1.0, unit="s", help="length of a step", low=0.001, high=60.0)
    duration: float | str = param(21_600.0, unit="s", help="length after the warm-up", low=0.001)
    warmup: float | str = param(600.0, unit="s", help="settles the order books", low=0.0)


def inherit(base: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table over the one it inherits from.

    Parameters
    ----------
    base, child : mapping
        Not modified. Tables are merged by key, all else is replaced whole; what `base` says of
        assets that `child` has dropped is left out.

    Returns
    -------
    dict

    Examples
    --------
    >>> base = {"assets": ["BTC", "SOL"], "world": {"SOL": {"daily_volatility": 0.04}}}
    >>> inherit(base, {"assets": ["BTC"]})
    {'assets': ['BTC'], 'world': {}}
    """
    kept, now = base.get("assets", ()), child.get("assets", base.get("assets", ()))
    if not isinstance(now, list | tuple) or not isinstance(kept, list | tuple):
        return merge(base, child)
    dropped = [name for name in kept if name not in now]
    per_asset = ("world", "agents", "opening_price_usd", "venue")
    pruned = {key: _without(base[key], dropped) for key in per_asset if key in base}
    return merge({**base, **pruned}, child)


def _without(table: Any, names: list[str]) -> Any:
    if not isinstance(table, Mapping):
        return table
    return {key: _without(item, names) for key, item in table.items() if key not in names}


def read(table: Mapping[str, Any], *, source: str) -> dict[str, Any]:
    """Return the fields of a scenario from a merged table.

    Parameters
    ----------
    table : mapping
        Nothing inherited any more.
    source : str
        Name of the file in errors.

    Returns
    -------
    dict
        Keyword arguments of `Scenario`.

    Raises
    ------
    InvalidScenario
        With every problem at once.
    """
    reader = _Reader(table)
    found = reader.read()
    problems = _without_repeats([*unfit_numbers(table), *reader.problems])
    if problems:
        raise InvalidScenario.from_problems(problems, source=source)
    return found


def _without_repeats(problems: list[Problem]) -> list[Problem]:
    """Keep the first problem of each place: a NaN is also out of range."""
    first: dict[str, Problem] = {}
    for problem in problems:
        first.setdefault(problem.name, problem)
    return list(first.values())


class _Reader:
    """Reads a table part by part and keeps all problems."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table
        self.problems: list[Problem] = []

    def read(self) -> dict[str, Any]:
        known = [*(entry.name for entry in fields(Header)), *TABLES, "population", "inherits"]
        self.problems += [_unread_at_root(key, known) for key in self.table if key not in known]
        found = self._header()
        found["preset"], spec = self._preset(found["preset"])
        spec = self._under(found["margin_regime"], spec)
        assets = self._assets(found["assets"], spec)
        spec = restricted(spec, assets)
        clock = Clock(found["dt"], found["warmup"], found["duration"])
        self.problems += clock.problems()
        found["rules_date"] = self._date("rules_date", found["rules_date"] or spec.as_of)
        found["behaviour_date"] = self._date("behaviour_date", found["behaviour_date"])
        found["sources"] = self._sources(self._part("sources"))
        prices, spec = self._prices(self._part("opening_price_usd"), spec)
        found["opening_price_usd"] = prices
        found["venue"] = read_venue(self._part("venue"), spec=spec, problems=self.problems)
        found["world"] = read_world(self._part("world"), assets=assets, problems=self.problems)
        found["agents"] = self._agents(self._part("agents"), assets)
        found["stresses"] = read_stresses(
            self.table.get("stresses", ()),
            assets=assets,
            clock=clock,
            spec=spec if self.problems else spec.with_values(found["venue"]),
            problems=self.problems,
        )
        if self.table.get("population"):
            found["population"] = self._population(spec, found)
        return found

    def _population(self, spec: VenueSpec, found: Mapping[str, Any]) -> OwnBook | None:
        """Return the accounts of the file, judged by the venue as far as that is known."""
        book = read_population(self.table["population"], problems=self.problems)
        if book is not None:
            regime, changed = found["margin_regime"], found["venue"]
            judge_population(book, spec, changed, regime=regime, problems=self.problems)
        return book

    def _part(self, name: str) -> Mapping[str, Any]:
        """Return a table of the file, empty if it is missing or none."""
        table = self.table.get(name, {})
        if isinstance(table, Mapping):
            return table
        self.problems.append(Problem("is no table", name, table, "a table", f"write [{name}]"))
        return {}

    def _header(self) -> dict[str, Any]:
        types = value_types(Header)
        return {
            entry.name: read_value(
                self.table.get(entry.name, entry.default),
                types[entry.name],
                place=entry.name,
                entry=entry,
                problems=self.problems,
            )
            for entry in fields(Header)
        }

    def _preset(self, name: Any) -> tuple[str, VenueSpec]:
        """Return the dated name and the rules; the newest ones in place of unknown ones."""
        dated = preset_names()
        match = [known for known in dated if name in (known, undated(known))]
        if not match:
            self.problems.append(unknown_name("preset", name, known=dated))
        chosen = match[-1] if match else newest_preset()
        return chosen, load_preset(chosen)

    def _under(self, regime: Any, spec: VenueSpec) -> VenueSpec:
        """Return the venue under a margin regime, under its own in place of an unknown one."""
        if regime in regime_names():
            return spec.with_regime(regime)
        self.problems.append(unknown_name("margin_regime", regime, known=regime_names()))
        return spec

    def _assets(self, names: tuple[Any, ...], spec: VenueSpec) -> tuple[str, ...]:
        """Return the assets that exist, so that what is said of them can be checked as well."""
        listed = [asset.name for asset in spec.assets]
        found: list[str] = []
        for index, name in enumerate(names):
            place = f"assets[{index}]"
            meant = nearest_name(name, listed) if isinstance(name, str) else None
            if name not in listed:
                self.problems.append(unknown_name(place, name, known=listed))
            elif name in found:
                self.problems.append(Problem("is there twice", place, name, "each asset once"))
            if meant is not None and meant not in found:
                found.append(meant)
        if not names:
            allowed = f"1 or more of {', '.join(listed)}"
            self.problems.append(Problem("is empty", "assets", [], allowed))
        return tuple(found or listed)

    def _date(self, place: str, text: Any) -> Any:
        if text == "" or not isinstance(text, str):
            return text
        try:
            is_date = date.fromisoformat(text).isoformat() == text
        except ValueError:
            is_date = False
        if not is_date:
            self.problems.append(Problem("is no date", place, text, "a day, as in 2026-08-22"))
        return text

    def _sources(self, table: Mapping[str, Any]) -> dict[str, str]:
        for key, text in table.items():
            if not isinstance(text, str):
                self.problems.append(Problem("is not a text", f"sources.{key}", text, "a source"))
        return dict(table)

    def _prices(
        self, table: Mapping[str, Any], spec: VenueSpec
    ) -> tuple[dict[str, float], VenueSpec]:
        """Return all opening prices, and the venue with the ticks that follow."""
        listed = {asset.name: asset.opening_price_usd for asset in spec.assets}
        for name, price in table.items():
            place = f"opening_price_usd.{name}"
            if name not in listed:
                self.problems.append(unknown_asset(place, name, tuple(listed)))
                continue
            found: list[Problem] = []
            usd = read_value(price, float, place=place, entry=_PRICE, problems=found)
            try:
                spec = spec if found else spec.with_opening_prices({name: usd})
                listed[name] = usd
            except InvalidInput as error:
                first = error.problems[0]
                found.append(Problem(first.problem, place, price, first.allowed, first.hint))
            self.problems += found
        return listed, spec

    def _agents(self, table: Mapping[str, Any], assets: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        names = agent_class_names()
        for name, item in table.items():
            if name not in names:
                self.problems.append(_unknown_class(name, names))
            else:
                found[name] = bind(
                    params_class(name),
                    item,
                    place=f"agents.{name}",
                    assets=assets,
                    problems=self.problems,
                )
        return {name: found[name] for name in names if name in found}


def _unread_at_root(key: str, known: list[str]) -> Problem:
    """Return the problem of a strange key; the tables of a preset stand below `venue`."""
    problem = unread_key("", key, known=known)
    if key in {section for section, _, _ in load_preset(newest_preset()).places().values()}:
        return replace(problem, hint=f"did you mean 'venue.{key}'?")
    return problem


def _unknown_class(name: str, known: list[str]) -> Problem:
    if any(cls.__name__ == name for cls in subclasses_of(Account)):
        return Problem("has no decide", f"agents.{name}", allowed="def decide(self, view, out)")
    problem = unread_key("agents", name, known=known)
    return replace(
        problem,
        problem="is no class of agents",
        hint=problem.hint or "an own class? load its file with --plugin FILE, or load_plugin(FILE)",
    )


def as_table(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a scenario as the table that a file would hold.

    Parameters
    ----------
    values : mapping
        Some or all fields of a `Scenario`; plain tables pass as they are.

    Returns
    -------
    dict
    """
    return {key: _plain(value, is_venue=key == "venue") for key, value in values.items()}


def _plain(value: Any, *, is_venue: bool = False) -> Any:
    if isinstance(value, WorldParams):
        return world_table(value)
    if isinstance(value, Stress):
        return stress_table(value)
    if isinstance(value, OwnBook):
        return population_table(value)
    if is_dataclass(value) and not isinstance(value, type):
        return unbind(value)
    if isinstance(value, Mapping):
        return nested(value) if is_venue else {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
