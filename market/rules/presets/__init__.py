"""Rules of real venues as dated TOML, each number with its source.

A file may name another one as its base and say only what differs (`presets.inheritance`).
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from datetime import date
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from stressbook.errors import Problem, UnknownName, nearest_name
from stressbook.market.rules import scalars as rules
from stressbook.market.rules.listing import (
    AssetSpec,
    FeeTier,
    InstrumentSpec,
    MarginTier,
    OrderSizeTier,
    TokenSpec,
)
from stressbook.market.rules.presets.inheritance import Inherited, inherited

__all__ = [
    "newest_preset",
    "preset_document",
    "preset_names",
    "preset_summaries",
    "read_rules",
    "undated",
]

_VENUE: Final = "hyperliquid"  # whose rules hold where none are named
_DATED: Final = re.compile(r"-20\d\d-\d\d(-\d\d)?$")

_SECTION_CLASS: dict[str, type] = {
    "clock": rules.ClockRules,
    "mark": rules.MarkRules,
    "funding": rules.FundingRules,
    "margin": rules.MarginRules,
    "lending": rules.LendingRules,
    "liquidation": rules.LiquidationRules,
    "orders": rules.OrderRules,
    "latency": rules.LatencyRules,
}
_TABLE_CLASS: dict[str, type] = {
    "assets": AssetSpec,
    "tokens": TokenSpec,
    "instruments": InstrumentSpec,
    "fee_tiers": FeeTier,
    "order_sizes": OrderSizeTier,
}
_PLAIN = ("name", "summary", "as_of", "sources")


def preset_names() -> list[str]:
    """Return the names of the shipped rules, each with its date."""
    return sorted(path.name.removesuffix(".toml") for path in _files())


def newest_preset() -> str:
    """Return the dated name of the rules that hold where none are named.

    Examples
    --------
    >>> newest_preset()
    'hyperliquid-2026-08'
    """
    return [name for name in preset_names() if undated(name) == _VENUE][-1]


def preset_summaries() -> list[tuple[str, str, str]]:
    """Return name, day and a line in words of the shipped rules."""
    found = [(name, _parsed(name)) for name in preset_names()]
    return [(name, str(each["as_of"]), str(each.get("summary", ""))) for name, each in found]


def undated(name: str) -> str:
    """Return the name of rules without their date.

    Examples
    --------
    >>> undated("hyperliquid-2026-06-21"), undated("hyperliquid")
    ('hyperliquid', 'hyperliquid')
    """
    return _DATED.sub("", name)


def preset_document(name: str) -> dict[str, Any]:
    """Return a shipped file as parsed TOML.

    Parameters
    ----------
    name : str
        With its date, or without for the newest.

    Returns
    -------
    dict
        To be read by `read_rules`.

    Raises
    ------
    UnknownName
        If there is no such preset.

    Examples
    --------
    >>> preset_document("hyperliquid")["name"]
    'hyperliquid'
    """
    dated = preset_names()
    matches = [known for known in dated if name in (known, undated(known))]
    if not matches:
        raise UnknownName("preset", name, known=dated)
    return _parsed(matches[-1])


def _parsed(dated_name: str) -> dict[str, Any]:
    path = next(path for path in _files() if path.name == f"{dated_name}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def read_rules(
    document: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, str], list[Problem]]:
    """Return what a parsed TOML document says about a venue.

    Parameters
    ----------
    document : mapping
        Sections of `{ value, unit, source }`, tables with a `source`; `inherits` names shipped
        rules that hold for the rest.

    Returns
    -------
    tuple
        Fields of a `VenueSpec` (ticks not fixed), the source of each number by its place, and
        the problems; with problems, the fields are not usable.

    Examples
    --------
    >>> values, sources, problems = read_rules(preset_document("hyperliquid"))
    >>> problems, values["margin"].trigger_ratio, sources["margin.trigger_ratio"]
    ([], 0.95, 'Hyperliquid docs, portfolio margin: liquidatable above 0.95, 2026-08-19')
    """
    reader = _Reader()
    document = inherited(document, preset_document, reader.problems)
    values: dict[str, Any] = {"name": document.get("name"), "as_of": str(document.get("as_of"))}
    reader.check_keys(document, [*_PLAIN, *_SECTION_CLASS, *_TABLE_CLASS], place="")
    if not isinstance(document.get("name"), str):
        reader.report("name", document.get("name"), "a string")
    if not isinstance(document.get("as_of"), date):
        reader.report("as_of", document.get("as_of"), "a date")
    for section, cls in _SECTION_CLASS.items():
        values[section] = reader.section(document.get(section, {}), cls, place=section)
    for table, cls in _TABLE_CLASS.items():
        values[table] = reader.table(document.get(table, []), cls, place=table)
    return values, reader.sources, reader.problems


def _files() -> list[Traversable]:
    here = files("stressbook.market.rules.presets")
    return [path for path in here.iterdir() if path.name.endswith(".toml")]


class _Reader:
    """Turns tables into rules objects and keeps all problems and sources on the way."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.sources: dict[str, str] = {}

    def report(self, name: str, value: object, allowed: str) -> None:
        if value is None:
            self.problems.append(Problem("is missing", name, allowed=allowed))
        else:
            self.problems.append(Problem("is not readable", name, value, allowed))

    def check_keys(self, table: Mapping[str, Any], known: list[str], *, place: str) -> None:
        for key in table:
            if key not in known:
                nearest = nearest_name(key, known)
                hint = f"did you mean {nearest!r}?" if nearest else ""
                self.problems.append(Problem("is read by nothing", f"{place}{key}", hint=hint))

    def section(self, table: Any, cls: type, *, place: str) -> Any:
        """Read a section whose values are { value, unit, source }."""
        if not isinstance(table, Mapping):
            return self.report(place, table, "a table")
        self.check_keys(table, [entry.name for entry in fields(cls)], place=f"{place}.")
        values: dict[str, Any] = {}
        for entry in fields(cls):
            name = f"{place}.{entry.name}"
            cell = table.get(entry.name)
            if not isinstance(cell, Mapping) or set(cell) != {"value", "unit", "source"}:
                self.report(name, cell, "{ value, unit, source }")
                continue
            if cell["unit"] != entry.metadata["unit"]:
                self.report(f"{name}.unit", cell["unit"], entry.metadata["unit"])
            values[entry.name] = _as_kind(cell["value"], entry)
            self.sources[name] = cell["source"]
        return cls(**values) if len(values) == len(fields(cls)) else None

    def table(self, rows: Any, cls: type, *, place: str) -> tuple[Any, ...]:
        """Read a list of tables, each with one source for all its numbers."""
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            self.report(place, rows, "a list of tables")
            return ()
        return tuple(
            self._row(row, cls, place=f"{place}.{row.get('name', index)}")
            for index, row in enumerate(rows)
        )

    def _row(self, row: Mapping[str, Any], cls: type, *, place: str) -> Any:
        wanted = [entry for entry in fields(cls) if entry.name != "tick_e8"]
        self.check_keys(row, [*(entry.name for entry in wanted), "source"], place=f"{place}.")
        source = row.get("source")
        if not isinstance(source, str | Inherited):
            self.report(f"{place}.source", source, "a string")
        values: dict[str, Any] = {}
        for entry in wanted:
            if entry.name in row:
                values[entry.name] = self._cell(row[entry.name], entry, place)
                of_cell = source.get(entry.name) if isinstance(source, Inherited) else source
                self.sources[f"{place}.{entry.name}"] = str(of_cell)
            elif entry.default is MISSING:
                self.report(f"{place}.{entry.name}", None, entry.metadata.get("help", "a name"))
        required = [entry.name for entry in wanted if entry.default is MISSING]
        return cls(**values) if set(required) <= set(values) else None

    def _cell(self, value: Any, entry: Field[Any], place: str) -> Any:
        if entry.name == "tiers":
            return self._tiers(value, place=f"{place}.tiers")
        if "unit" not in entry.metadata and not isinstance(value, str):
            self.report(f"{place}.{entry.name}", value, "a string")
        return _as_kind(value, entry)

    def _tiers(self, rows: Any, *, place: str) -> tuple[MarginTier, ...]:
        keys = {entry.name for entry in fields(MarginTier)}
        if not isinstance(rows, list) or any(set(row) != keys for row in rows):
            self.report(place, rows, "a list of { lower_usd, max_leverage }")
            return ()
        lower, _ = fields(MarginTier)
        return tuple(
            MarginTier(_as_kind(row["lower_usd"], lower), row["max_leverage"]) for row in rows
        )


def _as_kind(value: Any, entry: Field[Any]) -> Any:
    """Let a whole number stand for a float; the check of kinds reports the rest."""
    if type(value) is int and entry.type is float:
        return float(value)
    return value
