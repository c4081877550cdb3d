"""Regimes read from TOML: the shipped presets, and files of a user's own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import date
from importlib.resources import files
from typing import Any, Final

from stressbook.errors import InvalidInput, Problem, UnknownName, nearest_name
from stressbook.market.regimes.rows import ChargeRow, ScanRow, SpreadRow, Step, Tail, WeightRow
from stressbook.market.regimes.spec import MarginRegime, RegimeRules
from stressbook.market.regimes.spec_checks import regime_problems

__all__ = ["load_regime", "read_regime", "regime_names"]

_ROWS: Final[dict[str, type]] = {
    "scans": ScanRow,
    "charges": ChargeRow,
    "weights": WeightRow,
    "spreads": SpreadRow,
}
_LEFT_OUT: Final = "not a rule of this regime"  # source of a number that a file may leave out
_PLAIN: Final = ("name", "title", "as_of", "sources", "rules")


def regime_names() -> list[str]:
    """Return the names of the shipped regimes.

    Examples
    --------
    >>> "hyperliquid-pm" in regime_names()
    True
    """
    here = files("stressbook.market.regimes") / "presets"
    return sorted(p.name.removesuffix(".toml") for p in here.iterdir() if p.name.endswith(".toml"))


def load_regime(name: str) -> MarginRegime:
    """Return a shipped regime.

    Parameters
    ----------
    name : str
        One of `regime_names`.

    Returns
    -------
    MarginRegime

    Raises
    ------
    UnknownName
        If there is no such regime.

    Examples
    --------
    >>> load_regime("paradex").scans[0].range_frac
    0.16
    """
    if name not in regime_names():
        raise UnknownName("margin regime", name, known=regime_names())
    path = files("stressbook.market.regimes") / "presets" / f"{name}.toml"
    return read_regime(tomllib.loads(path.read_text(encoding="utf-8")))


def read_regime(document: Mapping[str, Any]) -> MarginRegime:
    """Return the regime that a parsed TOML document describes.

    Parameters
    ----------
    document : mapping
        `name`, `title`, `as_of`, `rules` of `{ value, unit, source }`, and lists of rows, each row
        with a `source`.

    Returns
    -------
    MarginRegime

    Raises
    ------
    InvalidInput
        With all problems.
    """
    if not isinstance(document, Mapping):
        raise InvalidInput("is no table", name="regime", value=document, allowed="a TOML document")
    reader = _Reader()
    reader.check_keys(document, (*_PLAIN, *_ROWS), "")
    for key in ("name", "title"):
        if not isinstance(document.get(key), str):
            reader.report(key, document.get(key), "a string")
    if not isinstance(document.get("as_of", ""), str | date):
        reader.report("as_of", document["as_of"], "a date")
    sources = document.get("sources", {})
    if not isinstance(sources, Mapping) or not all(isinstance(x, str) for x in sources.values()):
        reader.report("sources", sources, "a table of strings")
    rules = reader.rules(document.get("rules"))
    rows = {table: reader.rows(document.get(table, []), cls, table) for table, cls in _ROWS.items()}
    problems = reader.problems
    if rules is not None and not problems:
        regime = MarginRegime(
            document["name"],
            document["title"],
            str(document.get("as_of", "")),
            rules,
            sources=reader.sources,
            **rows,
        )
        problems = list(regime_problems(regime))
        if not problems:
            return regime
    raise InvalidInput.from_problems(problems)


class _Reader:
    """Turns tables into rows and keeps all problems and sources on the way."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.sources: dict[str, str] = {}

    def report(self, name: str, value: object, allowed: str) -> None:
        if value is None:
            self.problems.append(Problem("is missing", name, allowed=allowed))
        else:
            self.problems.append(Problem("is not readable", name, value, allowed))

    def check_keys(self, table: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
        for key in table:
            if key not in known:
                nearest = nearest_name(str(key), list(known))
                hint = f"did you mean {nearest!r}?" if nearest else ""
                self.problems.append(Problem("is read by nothing", f"{place}{key}", hint=hint))

    def rules(self, table: Any) -> RegimeRules | None:
        if not isinstance(table, Mapping):
            self.report("rules", table, "a table")
            return None
        entries = fields(RegimeRules)
        self.check_keys(table, tuple(entry.name for entry in entries), "rules.")
        values: dict[str, Any] = {}
        for entry in entries:
            name, cell = f"rules.{entry.name}", table.get(entry.name)
            if entry.name not in table and entry.default is not MISSING:
                self.sources[name] = _LEFT_OUT
                continue
            if not isinstance(cell, Mapping) or set(cell) != {"value", "unit", "source"}:
                self.report(name, cell, "{ value, unit, source }")
                continue
            if not isinstance(cell["source"], str):
                self.report(f"{name}.source", cell["source"], "a string")
            if cell["unit"] != entry.metadata["unit"]:
                self.report(f"{name}.unit", cell["unit"], entry.metadata["unit"])
            values[entry.name] = _as_float(cell["value"], entry.type)
            self.sources[name] = cell["source"]
        required = {entry.name for entry in entries if entry.default is MISSING}
        return RegimeRules(**values) if required <= set(values) else None

    def rows(self, table: Any, cls: type, place: str) -> tuple[Any, ...]:
        if not isinstance(table, list) or not all(isinstance(row, Mapping) for row in table):
            self.report(place, table, "a list of tables")
            return ()
        return tuple(self._row(row, cls, f"{place}.{i}") for i, row in enumerate(table))

    def _row(self, row: Mapping[str, Any], cls: type, place: str) -> Any:
        entries = fields(cls)
        self.check_keys(row, (*(entry.name for entry in entries), "source"), f"{place}.")
        if not isinstance(row.get("source"), str):
            self.report(f"{place}.source", row.get("source"), "a string")
        self.sources[place] = str(row.get("source"))
        values: dict[str, Any] = {}
        for entry in entries:
            name = f"{place}.{entry.name}"
            if entry.name not in row:
                if entry.default is MISSING:
                    self.report(name, None, entry.metadata.get("help", "a list of names"))
                continue
            values[entry.name] = self._cell(row[entry.name], entry.name, str(entry.type), name)
        required = {entry.name for entry in entries if entry.default is MISSING}
        return cls(**values) if required <= set(values) else None

    def _cell(self, value: Any, key: str, kind: str, name: str) -> Any:
        if kind == "str" and not isinstance(value, str):
            self.report(name, value, "a string")
        if not kind.startswith("tuple"):
            return _as_float(value, kind)
        if not isinstance(value, list):
            self.report(name, value, "a list")
            return ()
        if "Step" in kind:
            return self._pairs(value, Step, name)
        if "Tail" in kind:
            return self._pairs(value, Tail, name)
        return tuple(_as_float(one, "float") if "float" in kind else one for one in value)

    def _pairs(self, rows: list[Any], cls: type, name: str) -> tuple[Any, ...]:
        keys = [entry.name for entry in fields(cls)]
        if any(not isinstance(row, Mapping) or set(row) != set(keys) for row in rows):
            self.report(name, rows, "a list of { " + ", ".join(keys) + " }")
            return ()
        return tuple(cls(**{key: _as_float(row[key], "float") for key in keys}) for row in rows)


def _as_float(value: Any, kind: object) -> Any:
    """Let a whole number stand for a float; the check of kinds reports the rest."""
    return float(value) if type(value) is int and str(kind) == "float" else value
