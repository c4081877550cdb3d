"""Numbers as a committee reads them: millions of dollars, percent, an interval below each mean."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

from stressbook.experiments.inference import Estimate

__all__ = ["UNITS", "Cell", "Unit", "cell", "interval", "percent", "plain", "signed", "usd"]

_MINUS: Final = "\N{MINUS SIGN}"
_THIN: Final = "\N{NARROW NO-BREAK SPACE}"
NONE: Final = "\N{EN DASH}"
CUT: Final = "\N{DAGGER}"


class Unit(NamedTuple):
    """How values of one kind are shown."""

    label: str
    factor: float
    text: Callable[[float], str]


class Cell(NamedTuple):
    """A table cell: the value, and in smaller print what stands below it."""

    text: str
    below: str = ""


def plain(value: float, digits: int) -> str:
    """Return a number with thousands apart, a dash if there is none."""
    if not math.isfinite(value):
        return NONE
    text = f"{abs(value):,.{digits}f}".replace(",", _THIN)
    is_zero = not any(c in "123456789" for c in text)
    return text if value >= 0.0 or is_zero else f"{_MINUS}{text}"


def _sensible(value: float) -> str:
    """Show three digits that matter, and no more than two behind the point."""
    size = abs(value)
    return plain(value, 0 if size >= 100.0 else 1 if size >= 10.0 else 2)


def _one_digit(value: float) -> str:
    return plain(value, 1)


UNITS: Final[dict[str, Unit]] = {
    "usd": Unit("M USD", 1e-6, _sensible),
    "frac": Unit("%", 100.0, _one_digit),
    "bp": Unit("bp", 1e4, _sensible),
    "count": Unit("number", 1.0, _one_digit),
    "ratio": Unit("ratio", 1.0, _sensible),
    "hours": Unit("h", 1.0, _sensible),
}


def usd(value: float) -> str:
    """Return an amount in M USD.

    Examples
    --------
    >>> usd(12_345_678.0), usd(120_000.0), usd(-2.5e9).replace(_THIN, " ").replace(_MINUS, "-")
    ('12.3', '0.12', '-2 500')
    """
    return _sensible(value / 1e6)


def percent(value: float) -> str:
    """Return a fraction in percent.

    Examples
    --------
    >>> percent(0.3819), percent(-0.00001), percent(float("nan")) == NONE
    ('38.2', '0.0', True)
    """
    return _one_digit(100.0 * value)


def signed(text: str) -> str:
    """Return a shown number with its sign.

    Examples
    --------
    >>> signed("1.2"), signed("0.0")
    ('+1.2', '0.0')
    """
    has_digits = any(c in "123456789" for c in text)
    return f"+{text}" if has_digits and not text.startswith(_MINUS) else text


def interval(estimate: Estimate, unit: str, *, at_least: float = -math.inf) -> str:
    """Return the interval of an estimate, empty where there is none or it shows no width.

    A bound below `at_least`, which no value can reach, is cut there and marked.

    Examples
    --------
    >>> interval(Estimate(0.02, 0.01, 0.03, 8), "frac")
    '1.0 to 3.0'
    >>> interval(Estimate(0.02, -0.01, 0.05, 8), "frac", at_least=0.0)
    '0.0\N{DAGGER} to 5.0'
    """
    if not math.isfinite(estimate.low):
        return ""
    show, factor = UNITS[unit].text, UNITS[unit].factor
    bounds = (estimate.value, max(estimate.low, at_least), estimate.high)
    value, low, high = (show(x * factor) for x in bounds)
    cut = CUT if estimate.low < at_least else ""
    return "" if low == value == high else f"{low}{cut} to {high}"


def cell(
    estimate: Estimate, unit: str, *, is_difference: bool = False, at_least: float = -math.inf
) -> Cell:
    """Return an estimate as a table cell.

    Examples
    --------
    >>> cell(Estimate(2e6, 1e6, 3e6, 8), "usd")
    Cell(text='2.00', below='1.00 to 3.00')
    """
    kind = UNITS[unit]
    text = kind.text(estimate.value * kind.factor)
    bounds = interval(estimate, unit, at_least=at_least)
    return Cell(signed(text) if is_difference else text, bounds)
