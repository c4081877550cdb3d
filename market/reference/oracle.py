"""Oracle and mark again, as the rules read: plain lists, None for what does not exist."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Final, NamedTuple

from stressbook.market.numbers.elementary import exp
from stressbook.market.numbers.units import PRICE_ONE, round_nearest
from stressbook.market.state.codes import ORACLE_OUTSIDE, ORACLE_VENUE_SPOT
from stressbook.market.state.records import N_ORACLE_HISTORY, N_TICKS

__all__ = ["AssetPrices", "BookQuote", "DecayingAverage", "OracleDials"]

FORGOTTEN_S: Final = 1e-6  # an average whose samples weigh less, in seconds, is none
_MODE_WEIGHT: Final = {ORACLE_OUTSIDE: 0.0, ORACLE_VENUE_SPOT: 1.0}


class BookQuote(NamedTuple):
    """What a book shows: best ticks (None if a side is empty), last trade, its grid."""

    bid_tick: int | None
    ask_tick: int | None
    last_tick: int
    tick_usd: float
    max_spread_frac: float  # a wider book is not two-sided; inf where width does not matter

    def is_two_sided(self) -> bool:
        """Tell whether both sides rest and are near enough."""
        if self.bid_tick is None or self.ask_tick is None:
            return False
        spread = 2.0 * float(self.ask_tick - self.bid_tick)
        return spread / float(self.ask_tick + self.bid_tick) <= self.max_spread_frac

    def mid_usd(self) -> float:
        """Return the middle of a two-sided book, USD."""
        assert self.bid_tick is not None
        assert self.ask_tick is not None
        return 0.5 * float(self.bid_tick + self.ask_tick) * self.tick_usd

    def quote_usd(self) -> float | None:
        """Return the median of best bid, best ask and last trade, None unless both sides rest."""
        if self.bid_tick is None or self.ask_tick is None:
            return None
        return float(median([self.bid_tick, self.ask_tick, self.last_tick])) * self.tick_usd


class OracleDials(NamedTuple):
    """The dials of a stress that act on the oracle."""

    lag_s: float = 0.0
    shift: float = 0.0
    weight: float = 0.0


_NEUTRAL: Final = OracleDials()


@dataclass
class DecayingAverage:
    """An average in which a sample of t seconds loses its weight exponentially."""

    time_ms: int
    num: float = 0.0
    den: float = 0.0

    def age(self, period_s: float) -> None:
        """Let the samples lose weight."""
        decay = exp(-period_s * 1000 / float(self.time_ms))
        self.num *= decay
        self.den *= decay

    def add(self, sample: float, period_s: float) -> None:
        """Add a sample that stands for `period_s` seconds."""
        self.num += sample * period_s
        self.den += period_s

    def value(self) -> float | None:
        """Return the average, None if there is none or it is forgotten."""
        return self.num / self.den if self.den > FORGOTTEN_S else None


@dataclass
class AssetPrices:
    """Oracle, mark and borrow oracle of one asset.

    Parameters
    ----------
    opening_e8 : int
        Price at the opening, 1e-8 USD.
    oracle_mode : int
        `codes.ORACLE_*`.
    oracle_venue_weight : float
        Weight of the venue's own spot in mode `ORACLE_WEIGHTED`.
    mark_ema_ms, last_ema_ms : int
        Time constants of the two averages, ms.

    Examples
    --------
    >>> from stressbook.market.state.codes import ORACLE_OUTSIDE
    >>> prices = AssetPrices(100 * 10**8, ORACLE_OUTSIDE, 0.0, 150_000, 30_000)
    >>> perp = BookQuote(9_999, 10_003, 10_000, 0.01, 0.01)
    >>> prices.update(perp, None, outside_spot_usd=100.0, outside_perp_usd=100.02, period_s=3.0)
    True
    >>> prices.oracle_e8, prices.mark_e8
    (10000000000, 10001000000)
    """

    opening_e8: int
    oracle_mode: int
    oracle_venue_weight: float
    mark_ema_ms: int
    last_ema_ms: int
    venue_spot_usd: float | None = None
    history: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.oracle_e8 = self.mark_e8 = self.previous_mark_e8 = self.opening_e8
        self.borrow_oracle_e8 = self.opening_e8
        self.gap = DecayingAverage(self.mark_ema_ms)
        self.last = DecayingAverage(self.last_ema_ms)
        self.history.append(_usd(self.opening_e8))

    def update(
        self,
        perp: BookQuote | None,
        spot: BookQuote | None,
        *,
        outside_spot_usd: float,
        outside_perp_usd: float,
        period_s: float,
        dials: OracleDials = _NEUTRAL,
    ) -> bool:
        """Set all prices; tell whether each is on the ladder of its book."""
        if spot is not None and spot.is_two_sided():
            self.venue_spot_usd = spot.quote_usd()
        self._set_oracle(outside_spot_usd, period_s, dials)
        self.previous_mark_e8 = self.mark_e8
        if perp is None:
            self.mark_e8 = self.oracle_e8
        else:
            self._set_mark(perp, outside_perp_usd, period_s)
        oracle_usd, mark_usd = _usd(self.oracle_e8), _usd(self.mark_e8)
        borrow_usd = oracle_usd
        if self.venue_spot_usd is not None:
            borrow_usd = median([self.venue_spot_usd, mark_usd, oracle_usd])
        self.borrow_oracle_e8 = _e8(borrow_usd)
        return _on_ladder(perp, [oracle_usd, mark_usd, outside_perp_usd]) and _on_ladder(
            spot, [oracle_usd, outside_spot_usd]
        )

    def _set_oracle(self, outside_usd: float, period_s: float, dials: OracleDials) -> None:
        composed_usd = outside_usd
        if self.venue_spot_usd is not None:
            weight = _MODE_WEIGHT.get(self.oracle_mode, self.oracle_venue_weight) + dials.weight
            weight = min(max(weight, 0.0), 1.0)
            composed_usd = weight * self.venue_spot_usd + (1.0 - weight) * outside_usd
        self.history.append(composed_usd)
        age = min(int(dials.lag_s / period_s), len(self.history) - 1, N_ORACLE_HISTORY - 1)
        self.oracle_e8 = _e8(self.history[-1 - age] * (1.0 + dials.shift))

    def _set_mark(self, perp: BookQuote, outside_usd: float, period_s: float) -> None:
        oracle_usd, quote_usd = _usd(self.oracle_e8), perp.quote_usd()
        self.gap.age(period_s)
        self.last.age(period_s)
        if perp.is_two_sided():
            self.gap.add(perp.mid_usd() - oracle_usd, period_s)
        if quote_usd is not None:
            self.last.add(quote_usd, period_s)
        gap_usd, last_usd = self.gap.value(), self.last.value()
        average_usd = None if gap_usd is None else oracle_usd + gap_usd
        found = [average_usd, quote_usd, outside_usd]
        # After a crash the average may lie further below the oracle than that is worth.
        sources = [price for price in found if price is not None and price > 0.0]
        if len(sources) == 2 and last_usd is not None:
            sources.append(last_usd)
        self.mark_e8 = _e8(median(sources) if sources else _usd(self.mark_e8))


def _usd(price_e8: int) -> float:
    return float(price_e8) / 1e8


def _e8(price_usd: float) -> int:
    return round_nearest(price_usd * float(PRICE_ONE))


def _on_ladder(book: BookQuote | None, prices_usd: list[float]) -> bool:
    if book is None:
        return True
    top_usd = float(N_TICKS - 1) * book.tick_usd
    return all(book.tick_usd <= price_usd <= top_usd for price_usd in prices_usd)
