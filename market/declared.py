"""Numbers and names of rules that say themselves what they are: unit, meaning, range, choices."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, field, fields
from math import isfinite
from typing import Any

from stressbook.errors import Problem, nearest_name

__all__ = ["allowed_range", "choice", "range_problems", "rule"]


def rule(
    unit: str,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    default: Any = MISSING,
) -> Any:
    r"""Declare a number of a rule with its unit, meaning and allowed range.

    Parameters
    ----------
    unit : str
        "1" for a pure number, "switch" for a bool, else "USD", "ms", "1/h".
    text : str
        One line that says what the number does.
    low, high : float, optional
        Allowed range, both ends included; None leaves the side open.
    default : optional
        Makes the number one that may be left out.

    Returns
    -------
    dataclasses.Field
        To be used in a class body under `dataclasses.dataclass`.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Cap:
    ...     cap_usd: float = rule("USD", "largest debt", low=0.0)
    >>> [str(problem) for problem in range_problems(Cap(-1.0), place="caps")]
    ['caps.cap_usd = -1.0 is out of range.\n  allowed: 0.0 or more USD']
    """
    metadata = {"unit": unit, "help": text, "low": low, "high": high}
    return field(default=default, metadata=metadata)


def choice(text: str, choices: Mapping[str, int]) -> Any:
    r"""Declare a required rule that is one of several names.

    Parameters
    ----------
    text : str
        One line that says what is chosen.
    choices : mapping of str to int
        The names, and the codes that kernels know them by.

    Returns
    -------
    dataclasses.Field
        As from `rule`, its unit "name".

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Way:
    ...     allocate: str = choice("who bears it", {"rank": 0, "pro_rata": 1})
    >>> [problem] = range_problems(Way("prorata"), place="way")
    >>> problem.allowed, problem.hint
    ('rank, pro_rata', "did you mean 'pro_rata'?")
    """
    named = {"unit": "name", "help": f"{text}: {', '.join(choices)}", "low": None, "high": None}
    return field(metadata={**named, "choices": choices})


def range_problems(rules: Any, *, place: str) -> Iterator[Problem]:
    """Yield what is wrong with each number of a rules object: kind, finiteness, range.

    Parameters
    ----------
    rules : dataclass instance
        Fields declared with `rule`; others are passed over.
    place : str
        Prefix of the names in the problems.

    Yields
    ------
    Problem
        In the order of the fields.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Mark:
    ...     ema_ms: int = rule("ms", "time constant of the mark", low=1)
    >>> list(range_problems(Mark(150_000), place="mark"))
    []
    """
    for entry in fields(rules):
        if "unit" in entry.metadata:
            value = getattr(rules, entry.name)
            name = f"{place}.{entry.name}"
            if not _is_of_kind(value, entry):
                yield Problem("is of the wrong kind", name, value, f"{_kind(entry)}")
            elif value not in entry.metadata.get("choices", (value,)):
                yield _unknown_choice(name, value, entry.metadata["choices"])
            elif not _is_in_range(value, entry.metadata["low"], entry.metadata["high"]):
                yield Problem("is out of range", name, value, allowed_range(entry))


def allowed_range(entry: Field[Any]) -> str:
    """Return the range of a number in words, with its unit."""
    low, high, unit = (entry.metadata[key] for key in ("low", "high", "unit"))
    suffix = "" if unit in ("1", "switch") else f" {unit}"
    if high is None:
        return f"finite{suffix}" if low is None else f"{low} or more{suffix}"
    return f"{low} to {high}{suffix}"


def _unknown_choice(name: str, value: str, choices: Mapping[str, int]) -> Problem:
    nearest = nearest_name(value, list(choices))
    hint = f"did you mean {nearest!r}?" if nearest else ""
    return Problem("is unknown", name, value, ", ".join(choices), hint)


def _kind(entry: Field[Any]) -> str:
    return entry.type if isinstance(entry.type, str) else str(entry.type.__name__)


def _is_of_kind(value: object, entry: Field[Any]) -> bool:
    kinds = {"int": int, "float": float, "bool": bool, "str": str}
    return type(value) is kinds[_kind(entry)]


def _is_in_range(value: Any, low: float | None, high: float | None) -> bool:
    if isinstance(value, bool | str):
        return True
    if not isfinite(value) or abs(value) >= 2**62:
        return False
    return (low is None or value >= low) and (high is None or value <= high)
