"""Rates, interest and health of loans."""

from __future__ import annotations

from typing import Final

from stressbook.experiments.conform.cases import Quantities
from stressbook.experiments.conform.inputs import Given, NotSupported
from stressbook.market.lending_rates import borrow_rate_at

__all__ = ["LENDING"]


def _read_rates(given: Given) -> Quantities:
    if given.has("base", "slope", "kink"):
        curve = given.number("base"), given.number("slope"), given.number("kink")
        rates = [borrow_rate_at(u, *curve) for u in given.numbers("utilisation")]
        return {"rate": lambda: rates}
    raise NotSupported("no rule of a reserve has such a curve")


LENDING: Final = {"borrow_rate": _read_rates}
