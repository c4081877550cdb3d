"""Exact arithmetic again, with integers of any size."""

from fractions import Fraction
from typing import Final

from stressbook.market.numbers.units import CEIL, FLOOR, INT64_MAX, NOT_REPRESENTABLE, TRUNC

__all__ = ["mul_div_reference", "rounded_reference"]

_HALF: Final = Fraction(1, 2)


def rounded_reference(exact: Fraction, mode: int) -> int:
    """Return an exact number rounded to an integer.

    Parameters
    ----------
    exact : Fraction
        The number.
    mode : int
        One of the rounding modes of `stressbook.market.numbers.units`.

    Returns
    -------
    int
        Of any size.

    Examples
    --------
    >>> rounded_reference(Fraction(-7, 2), FLOOR)
    -4
    """
    floor = exact.numerator // exact.denominator
    if mode == FLOOR:
        return floor
    ceil = -(-exact.numerator // exact.denominator)
    if mode == CEIL:
        return ceil
    if mode == TRUNC:
        return floor if exact > 0 else ceil
    away = abs(exact) + _HALF
    nearest = away.numerator // away.denominator
    return nearest if exact > 0 else -nearest


def mul_div_reference(a: int, b: int, c: int, mode: int) -> int:
    """Return `a * b / c` rounded, as `stressbook.market.numbers.units.mul_div` must.

    Parameters
    ----------
    a, b, c : int
        Any int64.
    mode : int
        A rounding mode.

    Returns
    -------
    int
        The quotient, or `NOT_REPRESENTABLE`.

    Examples
    --------
    >>> mul_div_reference(10**18, 10**18, 10**19, FLOOR)
    100000000000000000
    """
    if c == 0:
        return NOT_REPRESENTABLE
    rounded = rounded_reference(Fraction(a * b, c), mode)
    return rounded if abs(rounded) <= INT64_MAX else NOT_REPRESENTABLE
