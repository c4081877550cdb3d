"""When a number passes: within a stated tolerance, the digits that were printed, or 1e-8 of it.

A printed number stands for all that round to it. How many digits were printed is read off the
number itself, whose trailing zeros are lost, so that short ones say little: 0.05 may be exact. Only
a number that shows at least four significant digits, or six decimals, is taken as rounded there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite, nan
from typing import Any, Final

from stressbook.experiments.conform.inputs import NotSupported, as_number

__all__ = [
    "NEVER_JUDGED",
    "Difference",
    "Tolerance",
    "allowed",
    "differences",
    "tolerance_in",
    "tolerances_of",
]

NEVER_JUDGED: Final = ("context", "note", "source", "why")
RELATIVE: Final = 1e-8
_FLOAT_NOISE: Final = 1e-12  # of a number whose terms have cancelled to zero
_FIGURES, _DECIMALS = 4, 6


@dataclass(frozen=True)
class Tolerance:
    """|x - e| <= absolute + relative x |e|."""

    absolute: float = 0.0
    relative: float = 0.0

    def of(self, expected: float) -> float:
        """Return it for one number."""
        return self.absolute + self.relative * abs(expected)


@dataclass(frozen=True)
class Difference:
    """A number, or a part of a list, that does not pass."""

    place: str
    found: Any
    expected: Any
    tolerance: float | None


def tolerance_in(table: Mapping[str, Any]) -> Tolerance | None:
    """Return the tolerance that a case states, None if it states none.

    Examples
    --------
    >>> tolerance_in({"tolerance": {"abs": 0.5}}), tolerance_in({})
    (Tolerance(absolute=0.5, relative=0.0), None)
    """
    stated = table.get("tolerance")
    if stated is None:
        return None
    if not isinstance(stated, Mapping):
        return Tolerance(_number_or_nan(stated))
    if not {"abs", "rel"} & set(stated):
        return None
    return Tolerance(*(_number_or_nan(stated.get(key, 0.0)) for key in ("abs", "rel")))


def tolerances_of(section: Mapping[str, Any]) -> Callable[[str], Tolerance | None]:
    """Return what gives the tolerance that a section states, by unit or by quantity.

    Parameters
    ----------
    section : mapping
        With `tolerances`, a table of numbers, or one `tolerance`.

    Returns
    -------
    callable
        Takes a name; None where nothing is stated.

    Examples
    --------
    >>> tolerances_of({"tolerances": {"usd": 0.01}})("usd")
    Tolerance(absolute=0.01, relative=0.0)
    """
    table = section.get("tolerances")
    stated = table if isinstance(table, Mapping) else {}
    whole = tolerance_in(section)

    def of(name: str) -> Tolerance | None:
        return tolerance_in({"tolerance": stated[name]}) if stated.get(name) is not None else whole

    return of


def _number_or_nan(value: Any) -> float:
    try:
        return as_number(value, "tolerance")
    except NotSupported:
        return nan


def allowed(expected: float, stated: Tolerance | None) -> float:
    """Return how far a number may lie from the expected one.

    Parameters
    ----------
    expected : float
        As read from the file.
    stated : Tolerance, optional
        Of the case or its section.

    Returns
    -------
    float
        Half a unit of the last printed digit where that is more than 1e-8 of the number.

    Examples
    --------
    >>> allowed(2.0, Tolerance(0.5, 0.25)), allowed(0.12345, None), allowed(250.0, None)
    (1.0, 5e-06, 2.5e-06)
    """
    if stated is not None:
        return stated.of(expected)
    return max(RELATIVE * abs(expected), _half_digit(expected), _FLOAT_NOISE)


def _half_digit(expected: float) -> float:
    _, digits, exponent = Decimal(repr(expected)).normalize().as_tuple()
    if not isinstance(exponent, int) or exponent >= 0:
        return 0.0
    if len(digits) < _FIGURES and -exponent < _DECIMALS:
        return 0.0
    return float(Decimal(5).scaleb(exponent - 1))


def differences(
    found: Any, expected: Any, stated: Tolerance | None, place: str
) -> Iterator[Difference]:
    """Yield what does not pass.

    Parameters
    ----------
    found, expected : object
        Numbers, booleans, None (there is none), or lists and tables of them.
    stated : Tolerance, optional
        Of the numbers.
    place : str
        Name of the quantity.

    Yields
    ------
    Difference

    Raises
    ------
    NotSupported
        If what is expected is nothing of these.

    Examples
    --------
    >>> [one.place for one in differences([1.0, 2.0], [1.0, 3.0], None, "rate")]
    ['rate[1]']
    """
    if isinstance(expected, Mapping):
        yield from _table_differences(found, expected, stated, place)
    elif isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            yield Difference(place, found, expected, None)
            return
        for i, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
            if theirs is not None:
                yield from differences(ours, theirs, stated, f"{place}[{i}]")
    elif expected is None or isinstance(expected, bool):
        if found is not expected:
            yield Difference(place, found, expected, None)
    elif not isinstance(expected, int | float):
        raise NotSupported(f"expected `{place}` is no number")
    elif not isfinite(expected):
        # No rule gives it, and a share of it as tolerance would take any number for it.
        yield Difference(place, found, expected, None)
    else:
        tolerance = allowed(float(expected), stated)
        if not isfinite(tolerance):
            raise NotSupported(f"the tolerance of `{place}` is no number")
        is_number = isinstance(found, int | float) and not isinstance(found, bool)
        if not is_number or not isfinite(found) or not abs(found - expected) <= tolerance:
            yield Difference(place, found, expected, tolerance)


def _table_differences(
    found: Any, expected: Mapping[str, Any], stated: Tolerance | None, place: str
) -> Iterator[Difference]:
    for name, theirs in expected.items():
        if theirs is None or name in NEVER_JUDGED:
            continue
        if not isinstance(found, Mapping) or name not in found:
            raise NotSupported(f"no rule gives `{place}.{name}`")
        yield from differences(found[name], theirs, stated, f"{place}.{name}")
