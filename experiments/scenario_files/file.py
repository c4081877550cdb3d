"""Scenario files as tables: reading, merging and overrides, before keys have a meaning."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from stressbook.errors import InvalidInput, InvalidScenario, Problem, UnknownName

__all__ = [
    "apply_overrides",
    "catalogue_names",
    "find_file",
    "merge",
    "override_value",
    "parse",
    "read_file",
]

_CATALOGUE: Final = "stressbook.experiments.catalogue"
_AT_LINE: Final = re.compile(r"^(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)$", re.S)


def catalogue_names() -> list[str]:
    """Return the names of the shipped scenarios.

    Examples
    --------
    >>> "skeleton" in catalogue_names()
    True
    """
    here = files(_CATALOGUE)
    return sorted(p.name.removesuffix(".toml") for p in here.iterdir() if p.name.endswith(".toml"))


def find_file(name_or_path: str | Path, *, beside: Path | None = None) -> Path:
    """Return the file of a scenario.

    Parameters
    ----------
    name_or_path : str or Path
        A name of the catalogue, or a path that ends in ".toml".
    beside : Path, optional
        Folder from which a relative path counts; the working directory if not given.

    Returns
    -------
    Path

    Raises
    ------
    UnknownName
        If it is a name, and none of the catalogue.

    Examples
    --------
    >>> find_file("skeleton").name
    'skeleton.toml'
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        return (beside or Path()) / text
    if text not in catalogue_names():
        raise UnknownName("scenario", text, known=catalogue_names())
    return Path(str(files(_CATALOGUE))) / f"{text}.toml"


def read_file(path: Path) -> dict[str, Any]:
    """Return the table of a file.

    Parameters
    ----------
    path : Path
        Of a TOML file.

    Returns
    -------
    dict

    Raises
    ------
    InvalidScenario
        If the file is missing, unreadable, not UTF-8 or not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        hint = f"a path, or a name: {', '.join(catalogue_names())}"
        raise InvalidScenario("does not exist", name=str(path), allowed=hint) from error
    except UnicodeDecodeError as error:
        problem = Problem("is not UTF-8", f"byte {error.start}", hint="save the file as UTF-8")
        raise InvalidScenario.from_problems([problem], source=path.name) from error
    except OSError as error:
        raise InvalidScenario(
            f"cannot be read: {error.strerror}", name=str(path), allowed="a TOML file"
        ) from error
    return parse(text, source=path.name)


def parse(text: str, *, source: str) -> dict[str, Any]:
    """Return the table of a TOML text.

    Parameters
    ----------
    text : str
        A whole file.
    source : str
        Name of the file in errors.

    Returns
    -------
    dict

    Raises
    ------
    InvalidScenario
        If the text is not TOML, with line and column.

    Examples
    --------
    >>> parse("dt = = 1", source="broken.toml")
    Traceback (most recent call last):
    ...
    stressbook.errors.InvalidScenario: broken.toml, line 1, column 6 is not TOML: invalid value.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidScenario.from_problems([_syntax_problem(error)], source=source) from error


def _syntax_problem(error: tomllib.TOMLDecodeError) -> Problem:
    match = _AT_LINE.match(str(error))
    what = match[1] if match else str(error)
    place = f"line {match[2]}, column {match[3]}" if match and match[2] else "the last line"
    return Problem(f"is not TOML: {what[:1].lower()}{what[1:]}", place, hint=_syntax_hint(what))


def _syntax_hint(what: str) -> str:
    if "overwrite" in what.lower() or "twice" in what.lower():
        return "a key stands twice: keep one"
    return ""


def merge(base: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    """Return two tables as one: tables are merged by key, all else is replaced whole.

    Parameters
    ----------
    base, child : mapping
        Not modified; `child` wins.

    Returns
    -------
    dict

    Examples
    --------
    >>> merge({"a": {"x": 1, "y": [1, 2]}}, {"a": {"y": [3]}})
    {'a': {'x': 1, 'y': [3]}}
    """
    merged = dict(base)
    for key, value in child.items():
        below = base.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(below, value) if both else deepcopy(value)  # type: ignore[arg-type]
    return merged


def apply_overrides(table: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return a table with single values replaced, as `--set` asks.

    Parameters
    ----------
    table : mapping
        Not modified.
    overrides : sequence of str
        Each "place=value": the place dotted, an index for lists ("stresses.0.severity"), the
        value in TOML; quotes around a single word may be left out.

    Returns
    -------
    dict

    Raises
    ------
    InvalidInput
        If an override is not of this form or its place cannot exist, all problems at once.

    Examples
    --------
    >>> apply_overrides({"dt": 1.0}, ["world.HYPE.daily_volatility=0.05", "duration=30min"])
    {'dt': 1.0, 'world': {'HYPE': {'daily_volatility': 0.05}}, 'duration': '30min'}
    """
    changed = deepcopy(dict(table))
    problems = [p for text in overrides if (p := _override(changed, text)) is not None]
    if problems:
        raise InvalidInput.from_problems(problems)
    return changed


def _override(table: dict[str, Any], text: str) -> Problem | None:
    place, equals, value = text.partition("=")
    path = re.sub(r"\[(\d+)\]", r".\1", place.strip()).split(".")
    if not equals or not value.strip() or not all(path):
        return Problem(
            "is no override", "--set", text, "place=value", "as in world.HYPE.daily_volatility=0.05"
        )
    node: Any = table
    for key in path[:-1]:
        if isinstance(node, list) and _index(node, key) is None:
            return _no_item(text, key, node)
        if not isinstance(node, dict | list):
            return Problem("goes below a value", "--set", text, "the place of a table or list")
        node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
    if isinstance(node, list) and _index(node, path[-1]) is not None:
        node[int(path[-1])] = override_value(value)
    elif isinstance(node, dict):
        node[path[-1]] = override_value(value)
    elif isinstance(node, list):
        return _no_item(text, path[-1], node)
    else:
        return Problem("goes below a value", "--set", text, "the place of a table or list")
    return None


def _index(items: list[Any], key: str) -> int | None:
    return int(key) if key.isdigit() and int(key) < len(items) else None


def _no_item(text: str, key: str, items: list[Any]) -> Problem:
    allowed = f"0 to {len(items) - 1}" if items else "none: the list is empty"
    return Problem(f"names item {key} of a list of {len(items)}", "--set", text, allowed)


def override_value(text: str) -> Any:
    """Return the value of an override: TOML, or the bare text if it is none.

    Examples
    --------
    >>> override_value("0.05"), override_value("[1, 2]"), override_value("30min")
    (0.05, [1, 2], '30min')
    """
    try:
        return tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()
