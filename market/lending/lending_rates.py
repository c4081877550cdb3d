"""Rates of a reserve: one slope up to a kink of utilisation, one beyond it, compounded by the hour.

On this venue the first slope is 0.

Source: Hyperliquid docs, portfolio margin, 2026-08-19; live reserve states up to 2026-10-06.
"""

from typing import Final

from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.numbers.elementary import exp, ln
from stressbook.market.numbers.units import round_nearest

__all__ = [
    "HOURS_PER_YEAR",
    "borrow_rate_at",
    "growth_of",
    "growth_over",
    "hourly_step_e15",
    "supply_rate_at",
    "utilisation_of",
]

HOURS_PER_YEAR: Final = 8760.0  # of 365 days
_RATE_ONE: Final = 1e15
_TERMS: Final = 12  # of e^x - 1
_SMALL: Final = 0.1  # up to which they suffice


@inline_kernel
def utilisation_of(borrowed: float, supplied: float) -> float:
    """Return the share of the supply that is lent.

    Parameters
    ----------
    borrowed, supplied : float
        In the same unit, at least 0.

    Returns
    -------
    float
        From 0 to 1; 1 also where interest has made debts larger than the supply.

    Examples
    --------
    >>> utilisation_of(1.0, 4.0), utilisation_of(0.0, 0.0), utilisation_of(5.0, 4.0)
    (0.25, 0.0, 1.0)
    """
    if borrowed <= 0.0:
        return 0.0
    if borrowed >= supplied:
        return 1.0
    return borrowed / supplied


@inline_kernel
def borrow_rate_at(
    utilisation: float, base: float, low_slope: float, slope: float, kink: float
) -> float:
    """Return the yearly borrow rate (an APY).

    Parameters
    ----------
    utilisation : float
        From 0 to 1.
    base, low_slope, slope, kink : float
        Rate without debts, rise up to the kink and beyond it per unit of utilisation, and where it
        lies.

    Returns
    -------
    float
        Fraction a year.

    Examples
    --------
    >>> round(borrow_rate_at(0.9, 0.05, 0.0, 4.75, 0.8), 12)
    0.525
    """
    rate_before = base + low_slope * min(utilisation, kink)
    return rate_before + slope * max(0.0, utilisation - kink)


@inline_kernel
def supply_rate_at(borrow_rate: float, utilisation: float, retained_frac: float) -> float:
    """Return the yearly rate of suppliers.

    Parameters
    ----------
    borrow_rate, utilisation : float
        Of the reserve.
    retained_frac : float
        Share of interest that the protocol keeps.

    Returns
    -------
    float
        Fraction a year.

    Examples
    --------
    >>> round(supply_rate_at(0.05, 0.5, 0.1), 12)
    0.0225
    """
    return borrow_rate * utilisation * (1.0 - retained_frac)


@inline_kernel
def growth_of(x: float) -> float:
    """Return the growth under interest that is compounded at every instant.

    Parameters
    ----------
    x : float
        Rate x time, at least 0.

    Returns
    -------
    float
        e^x - 1, to the last digits also where x is small.

    Examples
    --------
    >>> growth_of(0.0), round(growth_of(1.0), 12)
    (0.0, 1.718281828459)
    """
    if x > _SMALL:
        return exp(x) - 1.0
    # As a series, since 1 subtracted from e^x would cost the last digits.
    total = 0.0
    for k in range(_TERMS, 0, -1):
        total = (1.0 + total) * x / float(k)
    return total


@inline_kernel
def growth_over(yearly_rate: float, hours: float, is_simple: bool) -> float:
    """Return the growth of a debt.

    Parameters
    ----------
    yearly_rate : float
        APY, from 0 to 1000.
    hours : float
        Without compounding in between, where interest is simple.
    is_simple : bool
        Divide the rate by the hours of a year in place of compounding.

    Returns
    -------
    float
        (1 + APY)^(hours / 8760) - 1, or APY x hours / 8760.

    Examples
    --------
    >>> round(growth_over(0.05, 8760.0, False), 12), growth_over(0.05, 4380.0, True)
    (0.05, 0.025)
    """
    if is_simple:
        return yearly_rate / HOURS_PER_YEAR * hours
    return growth_of(ln(1.0 + yearly_rate) / HOURS_PER_YEAR * hours)


@inline_kernel
def hourly_step_e15(yearly_rate: float, is_simple: bool) -> int:
    """Return the growth of a debt in one hour.

    Parameters
    ----------
    yearly_rate : float
        APY, from 0 to 1000.
    is_simple : bool
        Divide the rate by the hours of a year in place of compounding.

    Returns
    -------
    int
        exp(ln(1 + APY) / 8760) - 1 to the nearest 1e-15.

    Examples
    --------
    >>> hourly_step_e15(0.05, False), hourly_step_e15(0.05, True)
    (5569668955, 5707762557)
    """
    return round_nearest(growth_over(yearly_rate, 1.0, is_simple) * _RATE_ONE)
