"""Reserves of the venue: utilisation and rates, from what is supplied and borrowed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from stressbook.experiments.conform.cases import Case, Judged, Quantities
from stressbook.experiments.conform.inputs import Given, NotSupported, as_number
from stressbook.experiments.conform.judging import Tolerance, tolerance_in
from stressbook.experiments.conform.sums import rules_of_the_venue
from stressbook.market.lending.lending_rates import borrow_rate_at, supply_rate_at, utilisation_of

__all__ = ["rates_at", "reserve_cases"]

_PRINTED_DECIMALS: Final = 10
_AS_PRINTED: Final = Tolerance(1e-12)
_JUDGED: Final = ("utilization", "borrowYearlyRate", "supplyYearlyRate")


def rates_at(utilisation: float, token: str = "USDC") -> tuple[float, float]:
    """Return borrow and supply rate of the venue at a utilisation, fractions a year.

    Examples
    --------
    >>> [round(rate, 7) for rate in rates_at(0.81)]
    [0.0975, 0.0710775]
    """
    spec = rules_of_the_venue()
    of = next((one for one in spec.tokens if one.name == token), spec.tokens[0])
    curve = of.rate_base, of.rate_low_slope, of.rate_slope, of.kink_utilisation
    borrow = borrow_rate_at(utilisation, *curve)
    return borrow, supply_rate_at(borrow, utilisation, spec.lending.retained_frac)


def reserve_cases(section: Any, name: str) -> Iterator[Case]:
    """Yield a case for each reserve of a list.

    Parameters
    ----------
    section : object
        The list; numbers are decimal strings.
    name : str
        Of the section.

    Yields
    ------
    Case
    """
    for i, table in enumerate(section):
        if not isinstance(table, Mapping):
            yield Case(f"{name}[{i}]", (), _refuse)
            continue
        label = " ".join(str(part) for part in (f"{name}[{i}]", table.get("token", "")) if part)
        yield Case(label, tuple(_judged(table)), partial(_read, Given(table)))


def _refuse() -> Quantities:
    raise NotSupported("is no table")


def _judged(table: Mapping[str, Any]) -> Iterator[Judged]:
    stated = tolerance_in(table)
    for name in _JUDGED:
        value = table.get(name)
        if value is not None:
            with suppress(NotSupported):  # told when it is judged
                value = as_number(value, name)
            yield Judged(name, value, stated or _AS_PRINTED)


def _read(given: Given) -> Quantities:
    supplied, borrowed = given.number("totalSupplied"), given.number("totalBorrowed")
    if supplied < 0.0 or borrowed < 0.0:
        raise NotSupported("an amount is below 0")
    utilisation = utilisation_of(borrowed, supplied)
    token = given.text("token") if given.has("token") else "USDC"
    borrow, supply = rates_at(utilisation, token)
    found = zip(_JUDGED, (utilisation, borrow, supply), strict=True)
    return {name: partial(round, value, _PRINTED_DECIMALS) for name, value in found}
