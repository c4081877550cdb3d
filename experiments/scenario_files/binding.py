"""Tables against dataclasses: every key is read by a field, every field gets a value.

A field whose type is a table by asset (`Mapping[str, float]`) is written under the asset: not
`open_usd = { HYPE = 1.0 }` but `[agents.directional.HYPE]`, `open_usd = 1.0`. Files that inherit
can then change one number of one asset, in one way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_args

from stressbook.errors import Problem, nearest_name
from stressbook.experiments.scenario_files.values import (
    is_mapping_type,
    read_value,
    unread_key,
    value_types,
)

__all__ = ["bind", "unbind", "unknown_asset"]


def bind(
    cls: type,
    table: Any,
    *,
    place: str,
    assets: tuple[str, ...],
    problems: list[Problem],
    default: Any = None,
    skip: tuple[str, ...] = (),
) -> Any:
    """Return an instance of a dataclass with the values of a table, and report every problem.

    Parameters
    ----------
    cls : type
        A dataclass; its fields may be dataclasses, and tables by asset.
    table : mapping
        From a file.
    place : str
        Name of the table in problems.
    assets : tuple of str
        Of the scenario; tables by asset keep these only.
    problems : list of Problem
        Appended to.
    default : instance of `cls`, optional
        Values of what the table leaves out, instead of the defaults of the fields.
    skip : tuple of str
        Fields that the table cannot set; they come from `default`.

    Returns
    -------
    instance of `cls`, or None
        None if any value of it had a problem.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from stressbook.market.rules.parameters import param
    >>> @dataclass(frozen=True)
    ... class CrowdParams:
    ...     open_usd: Mapping[str, float] = param({"BTC": 2e9, "SOL": 5e8}, unit="USD", help="size")
    ...     hold_h: float = param(48.0, unit="h", help="time held", low=0.0)
    >>> found = []
    >>> bind(CrowdParams, {"BTC": {"open_usd": 1e9}}, place="agents.crowd", assets=("BTC",),
    ...      problems=found)
    CrowdParams(open_usd={'BTC': 1000000000.0}, hold_h=48.0)
    >>> bind(CrowdParams, {"holdh": 1}, place="agents.crowd", assets=(), problems=found)
    >>> print(found[0])
    agents.crowd.holdh is read by nothing.
      allowed: hold_h, open_usd
      hint   : did you mean 'hold_h'?
    """
    if not isinstance(table, Mapping):
        problems.append(Problem("is no table", place, table, "a table", f"write [{place}]"))
        return None
    before = len(problems)
    binder = _Binder(cls, place, assets, problems, default, skip)
    for key, raw in table.items():
        binder.read(key, raw)
    binder.report_missing()
    return cls(**binder.values) if len(problems) == before else None


class _Binder:
    """The values of one table on their way into a dataclass."""

    def __init__(
        self,
        cls: type,
        place: str,
        assets: tuple[str, ...],
        problems: list[Problem],
        default: Any,
        skip: tuple[str, ...],
    ) -> None:
        self.place, self.assets, self.problems = place, assets, problems
        self.entries = {entry.name: entry for entry in fields(cls) if entry.init}
        types = {name: hint for name, hint in value_types(cls).items() if name not in skip}
        self.by_asset = {
            name: get_args(hint)[1] for name, hint in types.items() if is_mapping_type(hint)
        }
        self.plain = {name: hint for name, hint in types.items() if name not in self.by_asset}
        self.values = {name: self._default(name, default) for name in self.entries}

    def _default(self, name: str, default: Any) -> Any:
        entry = self.entries[name]
        value = entry.default if default is None else getattr(default, name)
        if default is None and entry.default_factory is not MISSING:
            value = entry.default_factory()
        if name in self.by_asset:
            given = {} if value is MISSING else value
            return {asset: given[asset] for asset in self.assets if asset in given}
        return value

    def read(self, key: str, raw: Any) -> None:
        if key in self.plain:
            self.values[key] = self._value(key, raw, self.plain[key], f"{self.place}.{key}")
        elif key in self.by_asset:
            self.problems.append(self._wrong_form(key, raw))
        elif not self.by_asset or not isinstance(raw, Mapping):
            known = [*self.plain, *self.by_asset, *(self.assets if self.by_asset else ())]
            self.problems.append(unread_key(self.place, key, known=known))
        elif key not in self.assets:
            self.problems.append(unknown_asset(f"{self.place}.{key}", key, self.assets))
        else:
            for name, item in raw.items():
                self._read_of_asset(key, name, item)

    def _read_of_asset(self, asset: str, key: str, raw: Any) -> None:
        where = f"{self.place}.{asset}.{key}"
        if key in self.by_asset:
            value = self._value(key, raw, self.by_asset[key], where)
            given = {**self.values[key], asset: value}
            self.values[key] = {name: given[name] for name in self.assets if name in given}
        elif key in self.plain:
            self.problems.append(
                Problem(
                    "is one number for all assets",
                    where,
                    raw,
                    f"by asset: {', '.join(self.by_asset)}",
                    f"write it in [{self.place}]",
                )
            )
        else:
            known = list(self.by_asset)
            self.problems.append(unread_key(f"{self.place}.{asset}", key, known=known))

    def _value(self, key: str, raw: Any, hint: Any, place: str) -> Any:
        if isinstance(hint, type) and is_dataclass(hint):
            now = self.values[key] if key in self.plain else None
            return bind(
                hint,
                raw,
                place=place,
                assets=self.assets,
                problems=self.problems,
                default=None if now is MISSING else now,
            )
        entry = self.entries[key]
        return read_value(raw, hint, place=place, entry=entry, problems=self.problems)

    def _wrong_form(self, key: str, raw: Any) -> Problem:
        asset = next(iter(raw), "") if isinstance(raw, Mapping) else ""
        value = raw[asset] if asset else raw
        asset = asset or (self.assets[0] if self.assets else "ASSET")
        return Problem(
            "is a number of each asset",
            f"{self.place}.{key}",
            raw,
            "tables by asset",
            f"write {key} = {value} in [{self.place}.{asset}]",
        )

    def report_missing(self) -> None:
        for name, value in self.values.items():
            if value is MISSING:
                meaning = self.entries[name].metadata.get("help", "")
                self.problems.append(Problem("is missing", f"{self.place}.{name}", allowed=meaning))


def unknown_asset(place: str, asset: str, assets: tuple[str, ...]) -> Problem:
    """Return the problem of a name that is none of the scenario's assets."""
    nearest = nearest_name(asset, assets)
    hint = f"did you mean {nearest!r}?" if nearest else "add it to `assets`, or leave it out"
    return Problem(f"names {asset!r}, no asset here", place, allowed=", ".join(assets), hint=hint)


def unbind(instance: Any, *, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the table that `bind` reads back to an equal instance, with nothing left out.

    Parameters
    ----------
    instance : dataclass instance
        Values that are None have no form in a file and are left out.
    skip : tuple of str
        Fields to leave out.

    Returns
    -------
    dict
        Plain values, lists and tables; tables by asset stand under the asset.
    """
    table: dict[str, Any] = {}
    by_asset: dict[str, dict[str, Any]] = {}
    for name, hint in value_types(type(instance)).items():
        value = getattr(instance, name)
        if name in skip or value is None:
            continue
        if is_mapping_type(hint):
            for asset, item in value.items():
                by_asset.setdefault(asset, {})[name] = _plain(item)
        else:
            table[name] = _plain(value)
    return {**table, **by_asset}


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return unbind(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
