"""Rows of a regime: scenarios, charges, weights, spreads, each for the assets or tokens it names.

"*" stands for all that no earlier row names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from stressbook.market.declared import rule

__all__ = [
    "EVERY",
    "ChargeRow",
    "ScanRow",
    "SpreadRow",
    "Step",
    "Tail",
    "WeightRow",
    "has_whole_loss",
    "row_for",
]

EVERY: Final = "*"


@dataclass(frozen=True)
class Tail:
    """An extreme move, of which only a part of the loss counts."""

    move_frac: float = rule("1", "relative change of price", low=-1.0, high=100.0)
    weight: float = rule("1", "share of the loss that counts", low=0.0, high=1.0)


@dataclass(frozen=True)
class ScanRow:
    """Scenarios of some assets: steps of a range, and weighted tails."""

    assets: tuple[str, ...]
    range_frac: float = rule("1", "price range", low=0.0, high=10.0)
    inverse: bool = rule("switch", "profit is x / (1 + x) in the coin, else x in USD")
    steps: tuple[float, ...] = ()
    tails: tuple[Tail, ...] = ()
    long_run_daily_volatility: float = rule(
        "1", "at which the range holds where ranges follow volatility", low=0.0, default=0.0
    )

    def moves(self) -> list[float]:
        """Return profit over value of a long in each scenario, weights in.

        Examples
        --------
        >>> ScanRow(("BTC",), 0.2, False, (-1.0, 1.0), (Tail(-0.5, 0.3),)).moves()
        [-0.2, 0.2, -0.15]
        """
        shocks = [(step * self.range_frac, 1.0) for step in self.steps]
        shocks += [(tail.move_frac, tail.weight) for tail in self.tails]
        return [weight * (x / (1.0 + x) if self.inverse else x) for x, weight in shocks]


@dataclass(frozen=True)
class Step:
    """A rate from a lower bound on."""

    lower_usd: float = rule("USD", "from which on the rate holds", low=0.0)
    rate: float = rule("1", "of the slice above it", low=0.0, high=1000.0)


@dataclass(frozen=True)
class ChargeRow:
    """What some assets are charged beside the scan."""

    assets: tuple[str, ...]
    gross_initial_frac: float = rule("1", "of perps' gross notional", low=0.0, high=10.0)
    gross_maintenance_frac: float = rule("1", "of perps' gross notional", low=0.0, high=10.0)
    floor_net_frac: float = rule("1", "least requirement, of net value", low=0.0, high=10.0)
    floor_hedged_frac: float = rule("1", "least requirement, of hedged value", low=0.0, high=10.0)
    hedged: tuple[Step, ...] = ()
    floor_steps: tuple[Step, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class WeightRow:
    """What balances of some tokens count for in equity, and what their debts cost."""

    tokens: tuple[str, ...]
    asset_initial: float = rule("1", "weight of a balance", low=0.0, high=1.0)
    asset_maintenance: float = rule("1", "weight of a balance", low=0.0, high=1.0)
    liability_initial: float = rule("1", "weight of a debt", low=0.0, high=10.0)
    liability_maintenance: float = rule("1", "weight of a debt", low=0.0, high=10.0)
    scanned: bool = rule("switch", "the token nets with perps of its asset in the scan")
    loan_initial: tuple[Step, ...] = ()
    loan_maintenance: tuple[Step, ...] = ()


@dataclass(frozen=True)
class SpreadRow:
    """A credit for assets held on opposite sides."""

    assets: tuple[str, ...]
    ratios: tuple[float, ...] = ()  # signed value of each in one spread
    credit_fracs: tuple[float, ...] = ()  # of each one's requirement that is given back


def row_for(rows: Sequence[Any], name: str, key: str = "assets") -> Any:
    """Return the first row that names an asset or stands for all, None if there is none."""
    for row in rows:
        names = getattr(row, key)
        if name in names or EVERY in names:
            return row
    return None


def has_whole_loss(row: ScanRow) -> bool:
    """Tell whether an inverse payoff has a price of nothing, which has no profit."""
    shocks = [s * row.range_frac for s in row.steps] + [tail.move_frac for tail in row.tails]
    return row.inverse and any(x <= -1.0 for x in shocks)
