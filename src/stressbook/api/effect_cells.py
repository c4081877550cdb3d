"""Estimates in cells of 13 characters: digits that matter, units that hide nothing, no dust."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from stressbook.experiments.inference import Estimate
from stressbook.report.numbers import CUT

__all__ = ["UNIT_WORDS", "difference_text", "interval_text", "mean_text", "short", "without_dust"]

UNIT_WORDS: Final = {"usd": "USD", "frac": "%", "ratio": "ratio", "hours": "h", "count": "number"}
_DUST: Final = 1e-9  # of the largest mean of a row: what sums of floats leave
_SIZES: Final = ((1e9, "B"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def short(value: float, *, digits: int = 3) -> str:
    """Return a number with the digits that matter, in thousands, millions or billions.

    Examples
    --------
    >>> [short(x) for x in (0.12345, -1234.0, 12_345_678.0, 0.0, 2e-5, float("nan"))]
    ['0.123', '-1.23k', '12.3M', '0', '<0.001', 'none']
    >>> short(0.01234), short(0.01234, digits=2)
    ('0.012', '0.01')
    """
    if math.isnan(value):
        return "none"
    size, unit = _size_of(value)
    return f"{_rounded(value / size, value / size, digits)}{unit}"


def mean_text(estimate: Estimate, kind: str, *, scale: float, n: int) -> str:
    """Return a mean, with its n where that is not the table's.

    Parameters
    ----------
    estimate : Estimate
        Of one side.
    kind : str
        Unit, a key of `UNIT_WORDS`.
    scale : float
        Largest mean of the row, in the outcome's own unit: what is tiny beside it is 0.
    n : int
        Seeds of the table.

    Examples
    --------
    >>> mean_text(Estimate(0.1234, 0.1, 0.2, 3), "frac", scale=0.2, n=12)
    '12.3 (3)'
    >>> mean_text(Estimate(-3e-7, -1e-6, 1e-6, 12), "usd", scale=1e6, n=12)
    '0'
    """
    if estimate.n == 0:
        return "none"
    text = short(_clean(estimate.value, scale) * _factor(kind))
    return text if estimate.n == n else f"{text} ({estimate.n})"


def interval_text(estimate: Estimate, kind: str, *, scale: float, at_least: float) -> str:
    """Return the bounds of a mean in one unit, cut and marked where no value can lie.

    Parameters
    ----------
    estimate, kind, scale
        As of `mean_text`.
    at_least : float
        Smallest value that there can be; minus infinity where there is none.

    Examples
    --------
    >>> interval_text(Estimate(8e5, -6e5, 2.2e6, 12), "usd", scale=1e6, at_least=0.0)
    '0\N{DAGGER} to 2.2M'
    >>> interval_text(Estimate(1.0, 1.0, 1.0, 12), "ratio", scale=1.0, at_least=0.0)
    ''
    """
    if not math.isfinite(estimate.low):
        return ""
    factor = _factor(kind)
    cut = CUT if _clean(estimate.low, scale) < at_least else ""
    low = _clean(max(estimate.low, at_least), scale) * factor
    high = _clean(estimate.high, scale) * factor
    if low == high:
        return ""
    size, unit = _size_of(max(abs(low), abs(high)))
    largest = max(abs(low), abs(high)) / size
    texts = (_rounded(bound / size, largest, 2) for bound in (low, high))
    return f"{cut} to ".join(texts) + unit


def difference_text(estimate: Estimate, kind: str, *, scale: float, n: int) -> str:
    """Return a difference and half the width of its interval, in one unit.

    Parameters
    ----------
    estimate, kind, scale, n
        As of `mean_text`.

    Examples
    --------
    >>> difference_text(Estimate(-74_700.0, -174_700.0, 25_300.0, 12), "usd", scale=1e6, n=12)
    '-75±100k'
    >>> difference_text(Estimate(2e-16, -1e-16, 5e-16, 12), "frac", scale=0.5, n=12)
    '0'
    """
    if estimate.n == 0:
        return "none"
    if estimate.n == n:
        return _difference_text(estimate, kind, scale, digits=3)
    return f"{_difference_text(estimate, kind, scale, digits=1)} ({estimate.n})"


def _difference_text(estimate: Estimate, kind: str, scale: float, *, digits: int) -> str:
    factor = _factor(kind)
    value = _clean(estimate.value, scale) * factor
    if not math.isfinite(estimate.low):
        return short(value)
    half = _clean(estimate.half_width, scale) * factor
    if half == 0.0:
        return "0" if value == 0.0 else f"{short(value)}±0"
    largest = max(abs(value), half)
    size, unit = _size_of(largest)
    texts = (_rounded(x / size, largest / size, digits, strips=False) for x in (value, half))
    return "±".join(texts) + unit


def without_dust(estimate: Estimate, scale: float) -> Estimate:
    """Return an estimate with 0 for what sums of floats leave beside means of a size.

    Examples
    --------
    >>> without_dust(Estimate(2e-16, -1e-16, 5e-16, 12), 0.5)
    Estimate(value=0.0, low=0.0, high=0.0, n=12, level=0.95)
    """
    value, low, high = (_clean(x, scale) for x in (estimate.value, estimate.low, estimate.high))
    return replace(estimate, value=value, low=low, high=high)


def _factor(kind: str) -> float:
    return 100.0 if kind == "frac" else 1.0


def _clean(value: float, scale: float) -> float:
    return 0.0 if abs(value) <= _DUST * abs(scale) else value


def _size_of(value: float) -> tuple[float, str]:
    return next((pair for pair in _SIZES if abs(value) >= 0.9995 * pair[0]), _SIZES[-1])


def _rounded(value: float, largest: float, digits: int, *, strips: bool = True) -> str:
    """Return a number to the place that matters in the largest beside it."""
    whole = len(f"{abs(largest):.0f}") if abs(largest) >= 0.9995 else 0
    places = min(max(digits - whole, 0), 3)
    if 0.0 < abs(value) < 0.5 * 10.0**-places:
        return f"<{10.0**-places:g}" if value == largest else "0"
    text = f"{value:.{places}f}"
    if float(text) == 0.0:
        return "0"
    return text.rstrip("0").rstrip(".") if strips and "." in text else text
