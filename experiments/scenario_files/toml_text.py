"""Tables as TOML text; the standard library only reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

__all__ = ["toml_text"]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(table: Mapping[str, Any]) -> str:
    """Return a table as TOML: values first, then its tables, keys in the order given.

    Parameters
    ----------
    table : mapping
        Of texts, numbers, booleans, dates, lists and tables.

    Returns
    -------
    str
        Equal tables give equal text; floats read back to the same bits.

    Raises
    ------
    TypeError
        If a value has no form in TOML.

    Examples
    --------
    >>> table = {"name": "calm", "world": {"HYPE": {"sd": 0.05}}, "stresses": [{"at": 60.0}]}
    >>> print(toml_text(table))
    name = "calm"
    <BLANKLINE>
    [world.HYPE]
    sd = 0.05
    <BLANKLINE>
    [[stresses]]
    at = 60.0
    <BLANKLINE>
    """
    return "\n".join(_lines(table, ())).lstrip("\n") + "\n"


def _lines(table: Mapping[str, Any], place: tuple[str, ...]) -> list[str]:
    lines = []
    for key, value in table.items():
        if not isinstance(value, Mapping) and not _is_list_of_tables(value):
            lines.append(f"{_key(key)} = {_value(value)}")
    for key, value in table.items():
        below = (*place, key)
        name = ".".join(_key(part) for part in below)
        if isinstance(value, Mapping):
            inner = _lines(value, below)
            has_values = not value or any(
                not isinstance(item, Mapping) and not _is_list_of_tables(item)
                for item in value.values()
            )
            lines += ["", f"[{name}]", *inner] if has_values else inner
        elif _is_list_of_tables(value):
            for item in value:
                lines += ["", f"[[{name}]]", *_lines(item, below)]
    return lines


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(value: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    raise TypeError(f"{value!r} has no form in TOML")
