"""Printed accounts as the sums that requirements are functions of."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np

from stressbook.experiments.conform.inputs import Given, NotSupported
from stressbook.market.compiling.arrays import Records
from stressbook.market.margin.equity import AccountSums, equity_usd
from stressbook.market.margin.ratio import breaches, margin_ratio
from stressbook.market.rules.rule_arrays import maintenance_table
from stressbook.market.rules.spec import VenueSpec, load_preset
from stressbook.market.state.records import TIER

__all__ = ["is_in_breach", "rules_of_the_venue", "sums", "tier_rows", "tiers_given"]

_CODES: Final = ("always_judged", "debt_in_ratio", "collateral_covers")


@cache
def rules_of_the_venue() -> VenueSpec:
    """Return the rules that the venue's own files are judged by."""
    return load_preset("hyperliquid")


def sums(**values: Any) -> AccountSums:
    """Return sums of a pocket that are 0 where nothing is said.

    Examples
    --------
    >>> sums(debt_usd=5.0).debt_usd, sums(debt_usd=5.0).cash_usd
    (5.0, 0.0)
    """
    unknown = values.keys() - set(AccountSums._fields)
    if unknown:
        raise TypeError(f"no sum is called {', '.join(sorted(unknown))}")
    # A compiled function is compiled anew for each mixture of whole numbers and floats.
    kinds = {name: int if name in _CODES else float for name in AccountSums._fields}
    of: dict[str, Any] = {name: kind(values.get(name, 0)) for name, kind in kinds.items()}
    return AccountSums(**of)


def is_in_breach(s: AccountSums) -> bool:
    """Tell whether a portfolio account must be resolved, by the trigger of the venue."""
    ratio, equity = margin_ratio(s, True), equity_usd(s, True)
    trigger = rules_of_the_venue().margin.trigger_ratio
    return bool(breaches(True, ratio, equity, s.maintenance_usd, trigger))


def tiers_given(tiers: list[tuple[float, float]]) -> tuple[Records, int]:
    """Return margin tiers as the records that requirements read.

    Parameters
    ----------
    tiers : list of (float, float)
        Lower notional, USD, and maximum leverage.

    Returns
    -------
    ndarray of TIER, shape (1, n)
        Of one asset.
    int
        How many are valid.
    """
    if any(leverage <= 0.0 for _, leverage in tiers):
        raise NotSupported("a maximum leverage is not above 0")
    return tier_rows(maintenance_table(tiers))


def tier_rows(table: list[tuple[float, float, float]]) -> tuple[Records, int]:
    """Return a table of lower bound, maintenance rate and deduction as records."""
    lowers = [lower for lower, _, _ in table]
    if not lowers or lowers[0] != 0.0 or lowers != sorted(set(lowers)):
        raise NotSupported("its tiers do not rise from 0")
    rows = np.zeros((1, len(table)), TIER)
    for row, (lower, rate, deduction) in zip(rows[0], table, strict=False):
        row.lower_usd = lower
        row.maintenance_rate = rate
        row.deduction_usd = deduction
    return rows, len(table)


def fraction_sum(parts: list[Given], *names: str) -> float:
    """Return the sum of products of some numbers of each part."""
    total = 0.0
    for part in parts:
        product = 1.0
        for name in names:
            product *= part.number(name)
        total += product
    return total
