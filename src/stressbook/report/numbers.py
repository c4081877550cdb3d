"""Numbers as a committee reads them: millions of dollars, percent, an interval below each mean."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

from stressbook.experiments.inference import Estimate

__all__ = [
    "UNITS",
    "Cell",
    "Unit",
    "cell",
    "interval",
    "is_zero",
    "k_usd",
    "money",
    "percent",
    "plain",
    "sensible",
    "signed",
    "told",
    "unit_of_size",
    "usd",
]

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


def sensible(value: float) -> str:
    """Show three digits that matter, and no more than two behind the point."""
    size = abs(value)
    return plain(value, 0 if size >= 100.0 else 1 if size >= 10.0 else 2)


def _one_digit(value: float) -> str:
    return plain(value, 1)


def _two_if_small(value: float) -> str:
    """Show one digit behind the point, two where one would hide what is there."""
    return plain(value, 2 if 0.005 <= abs(value) < 0.095 else 1)


def _never_zero(value: float) -> str:
    """Show digits that matter, as many as it takes to tell a small number from zero."""
    size = abs(value)
    is_hidden = 0.0 < size < 0.005
    return plain(value, 1 - math.floor(math.log10(size))) if is_hidden else sensible(value)


UNITS: Final[dict[str, Unit]] = {
    "usd": Unit("M USD", 1e-6, sensible),
    "k usd": Unit("k USD", 1e-3, _never_zero),
    "frac": Unit("%", 100.0, _two_if_small),
    "bp": Unit("bp", 1e4, sensible),
    "count": Unit("number", 1.0, _one_digit),
    "ratio": Unit("ratio", 1.0, sensible),
    "hours": Unit("h", 1.0, sensible),
}


def usd(value: float) -> str:
    """Return an amount in M USD.

    Examples
    --------
    >>> usd(12_345_678.0), usd(120_000.0), usd(-2.5e9).replace(_THIN, " ").replace(_MINUS, "-")
    ('12.3', '0.12', '-2 500')
    """
    return sensible(value / 1e6)


def k_usd(value: float) -> str:
    """Return an amount in thousands of USD: what is not zero never reads as zero.

    Examples
    --------
    >>> k_usd(3_411.0), k_usd(-4.0) == f"{_MINUS}0.0040", k_usd(0.0)
    ('3.41', True, '0.00')
    """
    return UNITS["k usd"].text(value / 1e3)


def money(value: float) -> str:
    """Return an amount with its unit: M USD from a million on, k USD below.

    Examples
    --------
    >>> money(12_345_678.0), money(3_411.0), money(0.0), money(float("nan")) == NONE
    ('12.3 M USD', '3.41 k USD', '0 USD', True)
    """
    if value == 0.0 or not math.isfinite(value):
        return "0 USD" if value == 0.0 else NONE
    return f"{usd(value)} M USD" if abs(value) >= 999_500.0 else f"{k_usd(value)} k USD"


def unit_of_size(unit: str, *values: float) -> str:
    """Return the unit in which a row of amounts is shown: thousands where all are below a million.

    Examples
    --------
    >>> unit_of_size("usd", 3_411.0, 0.0), unit_of_size("usd", 2e6, 1.0), unit_of_size("frac", 0.1)
    ('k usd', 'usd', 'frac')
    """
    sizes = [abs(x) for x in values if math.isfinite(x)]
    is_small = 0.0 < max(sizes, default=0.0) < 999_500.0
    return "k usd" if unit == "usd" and is_small else unit


def percent(value: float) -> str:
    """Return a fraction in percent.

    Examples
    --------
    >>> percent(0.3819), percent(0.0005), percent(-0.00001), percent(float("nan")) == NONE
    ('38.2', '0.05', '0.0', True)
    """
    return _two_if_small(100.0 * value)


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


def is_zero(estimate: Estimate) -> bool:
    """Tell whether an estimate is zero with nothing around it.

    Examples
    --------
    >>> nan = float("nan")
    >>> is_zero(Estimate(0.0, nan, nan, 1)), is_zero(Estimate(0.0, -1.0, 1.0, 8))
    (True, False)
    """
    bounds = (estimate.low, estimate.high)
    return estimate.value == 0.0 and all(x == 0.0 or not math.isfinite(x) for x in bounds)


def told(estimate: Estimate, unit: str, *, at_least: float = -math.inf) -> str:
    """Return an estimate in a sentence: with its unit, and its interval or that there is none.

    Examples
    --------
    >>> told(Estimate(112e3, 20e3, 204e3, 8), "usd"), told(Estimate(0.0, 0.0, 0.0, 8), "usd")
    ('112 k USD (95 %: 20.0 to 204)', '0 USD')
    >>> told(Estimate(0.303, float("nan"), float("nan"), 1), "frac")
    '30.3 % (no interval)'
    """
    if unit == "usd" and is_zero(estimate) and math.isfinite(estimate.low):
        return "0 USD"
    unit = unit_of_size(unit, estimate.value)
    kind = UNITS[unit]
    text = f"{kind.text(estimate.value * kind.factor)} {kind.label}"
    if not math.isfinite(estimate.low):
        return f"{text} (no interval)"
    bounds = interval(estimate, unit, at_least=at_least)
    return f"{text} ({100.0 * estimate.level:.0f} %: {bounds})" if bounds else text


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
