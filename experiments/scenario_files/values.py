"""Values of a file against the fields of a dataclass: kind, range and what was probably meant.

Every problem is collected, none is raised. The fields are declared with
`stressbook.market.rules.parameters.param`; their type, unit and range are the law.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import Field, fields
from datetime import date, datetime, time
from math import isfinite
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints
from weakref import WeakKeyDictionary

from stressbook.errors import InvalidInput, Problem, nearest_name
from stressbook.experiments.scenario_files import durations

__all__ = [
    "NO_UNIT",
    "allowed_range",
    "bounds",
    "is_mapping_type",
    "percent_hint",
    "read_value",
    "subclasses_of",
    "unfit_numbers",
    "unknown_name",
    "unread_key",
    "value_types",
]

_PERCENT: Final = re.compile(r" *(\d+(?:\.\d+)?) *%")
_INT64_MAX: Final = 2**63 - 1
_KIND: Final = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
_MONEY: Final = ("USD", "USD/day")
_SIZES: Final = (*_MONEY, "s", "min", "h", "day")
_MOST_USD: Final = 1e12  # balances are 64-bit micro-USDC, of which it is a quarter
_TYPES: Final[WeakKeyDictionary[type, Mapping[str, Any]]] = WeakKeyDictionary()
NO_UNIT: Final = ("", "1", "switch", "name", "asset", "text", "date")


def value_types(cls: type) -> Mapping[str, Any]:
    """Return the resolved type of each field of a dataclass, by name."""
    if cls not in _TYPES:  # half of the time that a scenario takes
        hints = get_type_hints(cls)
        _TYPES[cls] = {entry.name: hints[entry.name] for entry in fields(cls) if entry.init}
    return _TYPES[cls]


def is_mapping_type(hint: Any) -> bool:
    """Say whether a type is a table with free keys: `dict` or `Mapping`."""
    origin = get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def read_value(
    raw: Any, hint: Any, *, place: str, entry: Field[Any], problems: list[Problem]
) -> Any:
    """Return a raw value as a field's type, and report what is wrong with it.

    Parameters
    ----------
    raw : object
        As TOML or Python give it: a whole number may stand for a float, a list for a tuple, and a
        text such as "30min" for seconds.
    hint : type
        Type of the field.
    place : str
        Name in problems.
    entry : dataclasses.Field
        Carries unit and range.
    problems : list of Problem
        Appended to.

    Returns
    -------
    object
        The value; meaningless if a problem was reported.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from stressbook.market.rules.parameters import param
    >>> @dataclass
    ... class Stop:
    ...     stop_frac: float = param(0.1, unit="1", help="loss that closes", low=0.0, high=1.0)
    >>> found = []
    >>> _ = read_value(20, float, place="stop_frac", entry=fields(Stop)[0], problems=found)
    >>> print(found[0])
    stop_frac = 20 is out of range.
      allowed: 0.0 to 1.0
      hint   : did you mean 0.2? Fractions are not percent.
    """
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _read_union(raw, hint, place=place, entry=entry, problems=problems)
    if origin is tuple:
        return _read_tuple(raw, hint, place=place, entry=entry, problems=problems)
    if origin is Literal:
        if raw not in get_args(hint):
            problems.append(unknown_name(place, raw, known=get_args(hint)))
        return raw
    return _read_scalar(raw, hint, place=place, entry=entry, problems=problems)


def _read_union(
    raw: Any, hint: Any, *, place: str, entry: Field[Any], problems: list[Problem]
) -> Any:
    """Read `T | None`, or `float | str`, which is a duration."""
    members = [member for member in get_args(hint) if member is not type(None)]
    if raw is None and len(members) < len(get_args(hint)):
        return None
    member = float if set(members) == {float, str} else members[0]
    return read_value(raw, member, place=place, entry=entry, problems=problems)


def _read_tuple(
    raw: Any, hint: Any, *, place: str, entry: Field[Any], problems: list[Problem]
) -> tuple[Any, ...]:
    if not isinstance(raw, list | tuple):
        shown = f'"{raw}"' if isinstance(raw, str) else repr(raw)
        problems.append(Problem("is no list", place, raw, "a list", f"write [{shown}]"))
        return ()
    member = get_args(hint)[0]
    return tuple(
        read_value(item, member, place=f"{place}[{index}]", entry=entry, problems=problems)
        for index, item in enumerate(raw)
    )


def _read_scalar(
    raw: Any, hint: type, *, place: str, entry: Field[Any], problems: list[Problem]
) -> Any:
    if type(raw) is date and entry.metadata.get("unit") == "date":
        return raw.isoformat()
    if isinstance(raw, str) and hint is float and entry.metadata.get("unit") == "s":
        try:
            raw = durations.seconds(raw, name=place)
        except InvalidInput as error:
            problems += error.problems
            return 0.0
    if not _is_of_kind(raw, hint):
        problems.append(Problem(f"is not {_KIND[hint]}", place, raw, *_allowed_kind(raw, entry)))
        return raw
    value = float(raw) if hint is float else raw
    if hint in (int, float) and not _is_in_range(value, *bounds(entry)):
        hint_text = percent_hint(raw, *bounds(entry))
        problems.append(Problem("is out of range", place, raw, allowed_range(entry), hint_text))
    return value


def _is_of_kind(raw: Any, hint: type) -> bool:
    return type(raw) is hint or (hint is float and type(raw) is int)


def _allowed_kind(raw: Any, entry: Field[Any]) -> tuple[str, str]:
    """Return what is allowed instead of a value of the wrong kind, and a hint."""
    allowed = durations.ALLOWED if entry.metadata.get("unit") == "s" else allowed_range(entry)
    if isinstance(raw, str) and raw.lower() in ("true", "false"):
        return allowed, "leave out the quotes"
    if isinstance(raw, float) and raw.is_integer():
        return allowed, f"did you mean {int(raw)}?"
    if isinstance(raw, datetime | date | time):
        return allowed, "put quotes around it" if _KIND[str] in allowed else ""
    if isinstance(raw, str) and (share := _PERCENT.fullmatch(raw)):
        return allowed, f"did you mean {float(share[1]) / 100.0:.6g}?"
    try:
        float(raw)
    except (TypeError, ValueError):
        return allowed, ""
    return allowed, "leave out the quotes" if isinstance(raw, str) else ""


def bounds(entry: Field[Any]) -> tuple[float | None, float | None]:
    """Return the allowed range of a field.

    Where it says nothing, its name and unit do: a `_frac` lies between 0 and 1; a count of
    accounts, an amount of USD and a length of time are not negative, and no amount of USD is more
    than the ledger can hold.
    """
    low, high = entry.metadata.get("low"), entry.metadata.get("high")
    if high is None and entry.name.endswith("_frac"):
        high = 1.0
    if high is None and entry.metadata.get("unit") in _MONEY:
        high = _MOST_USD
    is_size = entry.metadata.get("unit") in _SIZES or entry.name == "accounts"
    if low is None and (is_size or entry.name.endswith("_frac")):
        low = 0 if entry.name == "accounts" else 0.0
    return low, high


def allowed_range(entry: Field[Any]) -> str:
    """Return the range of a field in words, with its unit; empty for any text."""
    low, high = bounds(entry)
    unit = entry.metadata.get("unit", "")
    suffix = f", in {unit}" if unit[:1].isdigit() else f" {unit}"
    suffix = "" if unit in NO_UNIT else suffix
    if low is None and high is None:
        return f"any number{suffix}" if suffix else ""
    if high is None:
        return f"{low} or more{suffix}"
    return f"{low} to {high}{suffix}" if low is not None else f"{high} or less{suffix}"


def _is_in_range(value: float, low: float | None, high: float | None) -> bool:
    if not isfinite(value):
        return False
    return (low is None or value >= low) and (high is None or value <= high)


def percent_hint(raw: Any, low: float | None, high: float | None) -> str:
    """Return a hint if a value out of range is in range as percent of a fraction, else nothing."""
    if type(raw) not in (int, float) or high is None or high > 10.0:
        return ""
    if not _is_in_range(raw / 100.0, low, high):
        return ""
    return f"did you mean {raw / 100.0:.6g}? Fractions are not percent."


def subclasses_of(base: type) -> Iterator[Any]:
    """Yield all classes that are made from one, those of others among them."""
    made: list[type] = type.__subclasses__(base)
    for cls in made:
        yield cls
        yield from subclasses_of(cls)


def unknown_name(place: str, value: Any, *, known: Iterable[str]) -> Problem:
    """Return the problem of a name that is in no list, with the nearest that is."""
    names = list(known)
    nearest = nearest_name(value, names) if isinstance(value, str) else None
    hint = f"did you mean {nearest!r}?" if nearest else ""
    return Problem("is unknown", place, value, ", ".join(names), hint)


def unread_key(
    place: str, key: str, *, known: Iterable[str], listed: Iterable[str] | None = None
) -> Problem:
    """Return the problem of a key that nothing reads, with the nearest one that is read."""
    names = list(known)
    nearest = nearest_name(key, names)
    hint = f"did you mean {nearest!r}?" if nearest else ""
    allowed = ", ".join(names if listed is None else listed)
    return Problem(
        "is read by nothing", f"{place}.{key}" if place else key, allowed=allowed, hint=hint
    )


def unfit_numbers(table: Any, *, place: str = "") -> list[Problem]:
    """Return every NaN, infinity and integer beyond 64 bits, wherever it stands.

    Examples
    --------
    >>> [problem.name for problem in unfit_numbers({"a": [1, float("nan")], "b": {"c": 2**63}})]
    ['a[1]', 'b.c']
    """
    if isinstance(table, Mapping):
        steps = [(f"{place}.{key}" if place else str(key), item) for key, item in table.items()]
        return [found for name, item in steps for found in unfit_numbers(item, place=name)]
    if isinstance(table, list | tuple):
        steps = [(f"{place}[{index}]", item) for index, item in enumerate(table)]
        return [found for name, item in steps for found in unfit_numbers(item, place=name)]
    if isinstance(table, float) and not isfinite(table):
        return [Problem("is not finite", place, table, "finite numbers")]
    if type(table) is int and not -_INT64_MAX - 1 <= table <= _INT64_MAX:
        return [Problem("does not fit into 64 bits", place, table, "-2**63 to 2**63 - 1")]
    return []
