"""Tables into the fields of a scenario and back: what each key of a scenario file means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from typing import Any, Final

from stressbook.errors import InvalidInput, InvalidScenario, Problem, nearest_name
from stressbook.experiments.agent_classes import agent_class_names, params_class
from stressbook.experiments.binding import bind, unbind, unknown_asset
from stressbook.experiments.scenario_file import merge
from stressbook.experiments.stress import REGISTRY, Stress
from stressbook.experiments.values import read_value, unfit_numbers, unread_key, value_types
from stressbook.experiments.venue_table import nested, read_venue, restricted
from stressbook.experiments.world_table import read_world, world_table
from stressbook.market.parameters import param
from stressbook.market.presets import preset_names
from stressbook.market.spec import VenueSpec, load_preset
from stressbook.market.world_parameters import WorldParams

__all__ = ["as_table", "early_problems", "inherit", "read"]

REGIMES: Final = ("portfolio", "cross")


@dataclass(frozen=True, kw_only=True)
class Header:
    """The keys of a scenario file that are single values."""

    name: str = param("", unit="name", help="of the scenario; the file's name if left out")
    summary: str = param("", unit="text", help="one line that `stressbook list` prints")
    preset: str = param("hyperliquid", unit="name", help="rules of the venue, newest or dated")
    rules_date: str = param(
        "", unit="date", help="day of the rules; that of the preset if left out"
    )
    behaviour_date: str = param("", unit="date", help="day of the data behind the behaviour")
    margin_regime: str = param("portfolio", unit="name", help="portfolio or cross")
    assets: tuple[str, ...] = param(("BTC", "HYPE"), unit="asset", help="the market first")
    dt: float | str = param(1.0, unit="s", help="length of a step", low=0.001, high=60.0)
    duration: float | str = param(21_600.0, unit="s", help="length after the warm-up", low=0.001)
    warmup: float | str = param(600.0, unit="s", help="settles the order books", low=0.0)


TABLES: Final = ("sources", "opening_price_usd", "world", "venue", "agents", "stresses")


def early_problems(table: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with a file before it is merged: unfit numbers, an odd `inherits`."""
    problems = unfit_numbers(dict(table))
    parent = table.get("inherits", "")
    if not isinstance(parent, str):
        problems.append(
            Problem("is no text", "inherits", parent, "a name or a path that ends .toml")
        )
    return problems


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
    """
    kept, now = base.get("assets", ()), child.get("assets", base.get("assets", ()))
    if not isinstance(now, list | tuple) or not isinstance(kept, list | tuple):
        return merge(base, child)
    dropped = {name for name in kept if name not in now}
    per_asset = ("world", "agents", "opening_price_usd")
    pruned = {key: _without(base[key], dropped) for key in per_asset if key in base}
    return merge({**base, **pruned}, child)


def _without(table: Any, names: set[str]) -> Any:
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
    problems = _without_repeats([*early_problems(table), *reader.problems])
    if problems:
        raise InvalidScenario.from_problems(problems, source=source)
    return found


def _without_repeats(problems: list[Problem]) -> list[Problem]:
    """Keep the first problem of each place."""
    first: dict[str, Problem] = {}
    for problem in problems:
        first.setdefault(problem.name, problem)
    return list(first.values())


class _Reader:
    """Reads a table key by key and keeps all problems."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table
        self.problems: list[Problem] = []

    def read(self) -> dict[str, Any]:
        known = [*(entry.name for entry in fields(Header)), *TABLES, "inherits"]
        self.problems += [
            unread_key("", key, known=known) for key in self.table if key not in known
        ]
        found = self._header()
        spec = self._spec(found["preset"])
        assets = self._assets(found["assets"], spec)
        if spec is None or not assets:
            return found
        found["preset"] = _dated_name(found["preset"])
        found["rules_date"] = found["rules_date"] or spec.as_of
        self._check_header(found)
        found["sources"] = self._sources()
        found["opening_price_usd"], spec = self._prices(restricted(spec, assets))
        found["venue"] = read_venue(self.table.get("venue", {}), spec=spec, problems=self.problems)
        found["world"] = read_world(
            self.table.get("world", {}), assets=assets, problems=self.problems
        )
        found["agents"] = self._agents(assets)
        found["stresses"] = self._stresses(assets, found)
        return found

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

    def _spec(self, preset: Any) -> VenueSpec | None:
        if isinstance(preset, str) and _dated_name(preset):
            return load_preset(preset)
        self._unknown("preset", preset, preset_names())
        return None

    def _assets(self, assets: tuple[Any, ...], spec: VenueSpec | None) -> tuple[str, ...]:
        if spec is None:
            return ()
        before = len(self.problems)
        listed = tuple(asset.name for asset in spec.assets)
        if not assets:
            self.problems.append(Problem("is empty", "assets", (), ", ".join(listed)))
        for index, name in enumerate(assets):
            if name not in listed:
                self._unknown(f"assets[{index}]", name, list(listed))
            elif name in assets[:index]:
                self.problems.append(
                    Problem("is there twice", f"assets[{index}]", name, "each asset once")
                )
        return assets if len(self.problems) == before else ()

    def _unknown(self, place: str, value: Any, known: list[str]) -> None:
        nearest = nearest_name(value, known) if isinstance(value, str) else None
        hint = f"did you mean {nearest!r}?" if nearest else ""
        self.problems.append(Problem("is unknown", place, value, ", ".join(known), hint))

    def _check_header(self, found: dict[str, Any]) -> None:
        if found["margin_regime"] not in REGIMES:
            self._unknown("margin_regime", found["margin_regime"], list(REGIMES))
        for name in ("rules_date", "behaviour_date"):
            if found[name] and not _is_date(found[name]):
                self.problems.append(
                    Problem("is no date", name, found[name], "YYYY-MM-DD", "as in 2026-08-22")
                )
        for name in ("duration", "warmup"):
            self._check_steps(name, found[name], found["dt"])
        self._check_steps("dt", found["dt"], 0.001)

    def _check_steps(self, name: str, value: Any, dt: Any) -> None:
        """Report a time that is no whole number of steps."""
        if not isinstance(value, float) or not isinstance(dt, float) or dt <= 0.0:
            return
        if abs(value / dt - round(value / dt)) > 1e-9 * max(1.0, value / dt):
            whole = round(value / dt) * dt
            unit = "ms" if name == "dt" else f"steps of {dt} s"
            self.problems.append(
                Problem(
                    f"is no whole number of {unit}",
                    name,
                    value,
                    f"multiples of {dt} s",
                    f"did you mean {whole:.6g}?",
                )
            )

    def _sources(self) -> dict[str, str]:
        table = self.table.get("sources", {})
        if not isinstance(table, Mapping):
            self.problems.append(Problem("is no table", "sources", table, "a text for each name"))
            return {}
        for key, text in table.items():
            if not isinstance(text, str):
                self.problems.append(Problem("is no text", f"sources.{key}", text, "a source"))
        return dict(table)

    def _prices(self, spec: VenueSpec) -> tuple[dict[str, float], VenueSpec]:
        listed = {asset.name: asset.opening_price_usd for asset in spec.assets}
        table = self.table.get("opening_price_usd", {})
        if not isinstance(table, Mapping):
            self.problems.append(
                Problem("is no table", "opening_price_usd", table, "a price for each asset, USD")
            )
            return listed, spec
        for name, price in table.items():
            place = f"opening_price_usd.{name}"
            if name not in listed:
                self.problems.append(unknown_asset(place, name, tuple(listed)))
                continue
            if type(price) not in (int, float):
                self.problems.append(Problem("is not a number", place, price, "USD"))
                continue
            try:
                spec = spec.with_opening_prices({name: float(price)})
                listed[name] = float(price)
            except InvalidInput as error:
                first = error.problems[0]
                self.problems.append(
                    Problem(first.problem, place, price, first.allowed, first.hint)
                )
        return listed, spec

    def _agents(self, assets: tuple[str, ...]) -> dict[str, Any]:
        table = self.table.get("agents", {})
        if not isinstance(table, Mapping):
            self.problems.append(Problem("is no table", "agents", table, "a table for each class"))
            return {}
        found = {}
        for name, item in table.items():
            if name not in agent_class_names():
                self.problems.append(unread_key("agents", name, known=agent_class_names()))
                continue
            place = f"agents.{name}"
            found[name] = bind(
                params_class(name), item, place=place, assets=assets, problems=self.problems
            )
        return found

    def _stresses(self, assets: tuple[str, ...], header: dict[str, Any]) -> tuple[Stress, ...]:
        rows = self.table.get("stresses", [])
        if not isinstance(rows, list | tuple) or not all(isinstance(r, Mapping) for r in rows):
            hint = "write [[stresses]], with double brackets"
            self.problems.append(Problem("is no list of tables", "stresses", rows, hint=hint))
            return ()
        found = [
            self._stress(row, f"stresses[{index}]", assets, header)
            for index, row in enumerate(rows)
        ]
        return tuple(stress for stress in found if stress is not None)

    def _stress(
        self, row: Mapping[str, Any], place: str, assets: tuple[str, ...], header: dict[str, Any]
    ) -> Stress | None:
        kind = row.get("kind")
        if not isinstance(kind, str) or kind not in REGISTRY:
            if kind is None:
                self.problems.append(
                    Problem("is missing", f"{place}.kind", allowed=", ".join(REGISTRY))
                )
            else:
                self._unknown(f"{place}.kind", kind, list(REGISTRY))
            return None
        before = len(self.problems)
        values = {key: item for key, item in row.items() if key != "kind"}
        cls = REGISTRY[kind]
        read = _read_fields(cls, values, place, self.problems)
        if len(self.problems) > before:
            return None
        try:
            stress = cls(**read)
        except InvalidInput as error:
            self.problems += [
                Problem(p.problem, f"{place}.{p.name}", p.value, p.allowed, p.hint)
                for p in error.problems
            ]
            return None
        self._check_assets(stress, place, assets)
        self._check_clock(stress, place, header)
        return stress

    def _check_assets(self, stress: Stress, place: str, assets: tuple[str, ...]) -> None:
        for entry in fields(stress):
            if entry.metadata.get("unit") != "asset":
                continue
            named = getattr(stress, entry.name)
            for index, name in enumerate([named] if isinstance(named, str) else named):
                if name not in assets:
                    where = f"{place}.{entry.name}[{index}]"
                    self.problems.append(unknown_asset(where, name, assets))

    def _check_clock(self, stress: Stress, place: str, header: dict[str, Any]) -> None:
        start, length, dt = header["warmup"], header["duration"], header["dt"]
        if not all(isinstance(value, float) for value in (start, length, dt)):
            return
        self._check_steps(f"{place}.at", stress.at_s, dt)
        self._check_steps(f"{place}.duration", stress.duration_s, dt)
        if not start <= stress.at_s < start + length:
            self.problems.append(
                Problem(
                    "starts outside of the run",
                    f"{place}.at",
                    stress.at,
                    f"{start} to {start + length} s: after the warm-up, before the end",
                    "`at` counts from the start of the warm-up",
                )
            )


def _read_fields(
    cls: type, values: Mapping[str, Any], place: str, problems: list[Problem]
) -> dict[str, Any]:
    types = value_types(cls)
    entries = {entry.name: entry for entry in fields(cls)}
    found = {}
    for key, raw in values.items():
        if key not in types:
            problems.append(unread_key(place, key, known=["kind", *types]))
            continue
        found[key] = read_value(
            raw, types[key], place=f"{place}.{key}", entry=entries[key], problems=problems
        )
    return found


def _dated_name(preset: str) -> str:
    """Return the dated name of a preset, the newest for a name without date; empty if none."""
    names = [name for name in preset_names() if preset in (name, name.rsplit("-", 2)[0])]
    return names[-1] if names else ""


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


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
    return {key: _plain(key, value) for key, value in values.items()}


def _plain(key: str, value: Any) -> Any:
    if key == "venue" and isinstance(value, Mapping):
        return nested(value)
    if isinstance(value, WorldParams):
        return world_table(value)
    if isinstance(value, Stress):
        return {"kind": value.kind, **unbind(value)}
    if is_dataclass(value) and not isinstance(value, type):
        return unbind(value)
    if isinstance(value, Mapping):
        return {name: _plain("", item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain("", item) for item in value]
    return value
