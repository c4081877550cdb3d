"""Funding again, as the rules read: lists of levels and a dict of positions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from stressbook.market.numbers.units import NEAREST, RATE_ONE, round_nearest
from stressbook.market.reference.units import mul_div_reference

__all__ = ["FundingBooking", "FundingMeter", "impact_price_usd"]


def impact_price_usd(
    levels: Iterable[tuple[int, int]], *, k: int, tick_usd: float, notional_micro: int
) -> float | None:
    """Return the average price at which a notional would trade against one side of a book.

    Parameters
    ----------
    levels : iterable of (int, int)
        Ticks and lots, best first.
    k : int
        Micro-USDC of one lot at one tick.
    tick_usd : float
        USD of a tick.
    notional_micro : int
        Micro-USDC.

    Returns
    -------
    float or None
        USD; None if the side does not hold as much.

    Examples
    --------
    >>> impact_price_usd([(100, 5), (99, 5)], k=1_000_000, tick_usd=1.0, notional_micro=995_000_000)
    99.5
    """
    need, lots = float(notional_micro), 0.0
    for tick, level_lots in levels:
        lot_value = float(tick) * float(k)
        if float(level_lots) * lot_value >= need:
            lots += need / lot_value
            return float(notional_micro) / (lots * float(k)) * tick_usd
        lots += float(level_lots)
        need -= float(level_lots) * lot_value
    return None


class FundingBooking(NamedTuple):
    """What the end of a period books."""

    rate_e15: int
    paid_micro: dict[int, int]  # by row, negative is received
    rounding_micro: int  # what the row `rounding` receives, so that all sums to zero
    open_lots: int
    paid_by_longs_micro: int


@dataclass
class FundingMeter:
    """The premium samples of one perp since its last funding.

    Examples
    --------
    >>> meter = FundingMeter(interest_frac=0.0001, clamp_frac=0.0005, cap_frac=0.04,
    ...                      period_ms=3_600_000)
    >>> meter.sample(10_100.0, 10_101.0, oracle_usd=10_000.0)
    >>> booking = meter.settle({0: 10, 1: -10}, oracle_e8=10_000 * 10**8, mark_den=100)
    >>> booking.rate_e15 / 1e15, booking.paid_micro
    (0.0011875, {0: 118750000, 1: -118750000})
    """

    interest_frac: float
    clamp_frac: float
    cap_frac: float
    period_ms: int
    static_frac: float = 0.0
    premium_sum: float = 0.0
    n_samples: int = 0

    def sample(
        self, impact_bid_usd: float | None, impact_ask_usd: float | None, *, oracle_usd: float
    ) -> None:
        """Add a sample of the premium; None for a side that does not hold the impact notional."""
        premium_usd = 0.0
        if impact_bid_usd is not None:
            premium_usd = max(impact_bid_usd - oracle_usd, 0.0)
        if impact_ask_usd is not None:
            premium_usd -= max(oracle_usd - impact_ask_usd, 0.0)
        self.premium_sum += premium_usd / oracle_usd
        self.n_samples += 1

    def rate_e15(self) -> int:
        """Return the rate of the period so far, in 1e-15."""
        premium = self.premium_sum / float(self.n_samples) if self.n_samples else 0.0
        correction = min(max(self.interest_frac - premium, -self.clamp_frac), self.clamp_frac)
        rate = (premium + correction + self.static_frac) * (float(self.period_ms) / (8 * 3_600_000))
        return round_nearest(min(max(rate, -self.cap_frac), self.cap_frac) * 1e15)

    def settle(
        self, lots_by_row: Mapping[int, int], *, oracle_e8: int, mark_den: int
    ) -> FundingBooking:
        """End the period: rate and payments; the next period starts without samples."""
        rate_e15 = self.rate_e15()
        self.premium_sum, self.n_samples = 0.0, 0
        paid = {}
        for row, lots in lots_by_row.items():
            value_micro = mul_div_reference(lots, oracle_e8, mark_den, NEAREST)
            paid[row] = mul_div_reference(value_micro, rate_e15, RATE_ONE, NEAREST)
        longs = [row for row, lots in lots_by_row.items() if lots > 0]
        return FundingBooking(
            rate_e15=rate_e15,
            paid_micro=paid,
            rounding_micro=sum(paid.values()),
            open_lots=sum(lots_by_row[row] for row in longs),
            paid_by_longs_micro=sum(paid[row] for row in longs),
        )
