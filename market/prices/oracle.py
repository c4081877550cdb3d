r"""Oracle and mark: the prices at which the venue values, every 3 s.

The oracle is the outside spot price, the venue's own spot price, or a weighted mean of both: data
of the asset. The mark is the median of

* the oracle plus a 150 s average of (perp mid - oracle),
* the median of best bid, best ask and last trade of the perp book,
* the outside perp price,

and a 30 s average of the second joins where exactly two of them exist. The borrow oracle, which
values collateral for credit, is the median of venue spot, perp mark and oracle.

Source: Hyperliquid docs, robust price indices, 2026-01; portfolio margin, 2026-08-19. What makes a
price of a book acceptable is ours: docs/decisions/0020-prices-of-thin-books.md.
"""

from __future__ import annotations

import math
from typing import Final

from stressbook.market.compiling.arrays import Record
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.numbers.elementary import exp
from stressbook.market.numbers.units import MS_PER_S, round_nearest
from stressbook.market.regimes.volatility import follow_volatility
from stressbook.market.state.codes import (
    BUY,
    FAULT_LADDER,
    ORACLE_OUTSIDE,
    ORACLE_VENUE_SPOT,
    SELL,
)
from stressbook.market.state.records import (
    C_FAULT,
    C_PRICE_UPDATES,
    EMPTY_ASK,
    EMPTY_BID,
    N_ORACLE_HISTORY,
    N_TICKS,
    VenueState,
)

__all__ = [
    "EMA_FORGOTTEN_S",
    "is_two_sided",
    "mark_of_sources",
    "median3",
    "quote_tick",
    "update_prices",
    "venue_weight",
]

EMA_FORGOTTEN_S: Final = 1e-6  # an average whose samples weigh less, in seconds, is none
_ANY_SPREAD: Final = math.inf


@inline_kernel
def median3(a: float, b: float, c: float) -> float:
    """Return the middle one of three numbers.

    Examples
    --------
    >>> median3(3.0, 1.0, 2.0)
    2.0
    """
    low, high = (a, b) if a < b else (b, a)
    return max(low, min(high, c))


@inline_kernel
def is_two_sided(bid_tick: int, ask_tick: int, max_spread_frac: float) -> bool:
    """Tell whether both sides of a book rest, near enough for their middle to be a price.

    Parameters
    ----------
    bid_tick, ask_tick : int
        Best ticks, `EMPTY_BID`, `EMPTY_ASK` for none.
    max_spread_frac : float
        Widest spread over the mid.

    Examples
    --------
    >>> is_two_sided(99, 101, 0.02), is_two_sided(99, 101, 0.01), is_two_sided(-1, 101, 1.0)
    (True, False, False)
    """
    if bid_tick == EMPTY_BID or ask_tick == EMPTY_ASK:
        return False
    return 2.0 * float(ask_tick - bid_tick) / float(ask_tick + bid_tick) <= max_spread_frac


@inline_kernel
def quote_tick(bid_tick: int, ask_tick: int, last_tick: int) -> int:
    """Return the median of best bid, best ask and last trade; 0 unless both sides rest.

    Examples
    --------
    >>> quote_tick(99, 101, 100), quote_tick(99, 101, 95), quote_tick(-1, 101, 100)
    (100, 99, 0)
    """
    if bid_tick == EMPTY_BID or ask_tick == EMPTY_ASK:
        return 0
    return max(bid_tick, min(ask_tick, last_tick))


@inline_kernel
def venue_weight(mode: int, weight: float, shift: float) -> float:
    """Return the weight of the venue's own spot price in an oracle.

    Parameters
    ----------
    mode : int
        `ORACLE_OUTSIDE`, `ORACLE_VENUE_SPOT` or `ORACLE_WEIGHTED`.
    weight : float
        In mode `ORACLE_WEIGHTED`.
    shift : float
        Of the dial, added.

    Returns
    -------
    float
        0 to 1.

    Examples
    --------
    >>> venue_weight(ORACLE_VENUE_SPOT, 0.0, -0.25), venue_weight(2, 0.5, 0.0)
    (0.75, 0.5)
    """
    if mode == ORACLE_OUTSIDE:
        weight = 0.0
    elif mode == ORACLE_VENUE_SPOT:
        weight = 1.0
    return max(0.0, min(1.0, weight + shift))


@inline_kernel
def mark_of_sources(
    average_usd: float, quote_usd: float, outside_usd: float, last_usd: float, previous_usd: float
) -> float:
    """Return the mark from the sources that exist; 0 stands for one that does not.

    Parameters
    ----------
    average_usd : float
        Oracle plus the average of perp mid - oracle, USD.
    quote_usd : float
        Median of best bid, best ask and last trade, USD.
    outside_usd : float
        Outside perp, USD.
    last_usd : float
        30 s average of the quote, USD; joins where exactly two of the others exist.
    previous_usd : float
        Mark before, which stays if there is no source.

    Returns
    -------
    float
        USD.

    Examples
    --------
    >>> mark_of_sources(100.0, 102.0, 101.0, 0.0, 99.0)
    101.0
    >>> mark_of_sources(100.0, 0.0, 101.0, 100.5, 99.0), mark_of_sources(0.0, 0.0, 0.0, 0.0, 99.0)
    (100.5, 99.0)
    """
    if average_usd > 0.0 and quote_usd > 0.0 and outside_usd > 0.0:
        return median3(average_usd, quote_usd, outside_usd)
    if average_usd > 0.0:
        one_usd, other_usd = average_usd, max(quote_usd, outside_usd)
    else:
        one_usd, other_usd = quote_usd, outside_usd
    if one_usd == 0.0 and other_usd == 0.0:
        return previous_usd
    if one_usd == 0.0 or other_usd == 0.0:
        return one_usd + other_usd
    if last_usd == 0.0:
        return 0.5 * (one_usd + other_usd)
    return median3(one_usd, other_usd, last_usd)


@kernel
def update_prices(v: VenueState) -> None:
    """Set oracle, mark and borrow oracle of every asset, and ranges that follow volatility.

    Parameters
    ----------
    v : VenueState
        Changed in `price`, `oracle_history`, `unit` and `ctr`; `FAULT_LADDER` if a price has left
        the ladder of its book. The caller keeps the period.
    """
    par = v.par[0]
    n = int(v.ctr[C_PRICE_UPDATES]) + 1
    v.ctr[C_PRICE_UPDATES] = n
    period_s = float(max(par.price_period_ms, par.dt_ms)) / MS_PER_S
    mark_decay = exp(-period_s * MS_PER_S / float(par.mark_ema_ms))
    last_decay = exp(-period_s * MS_PER_S / float(par.last_ema_ms))
    for asset in range(v.price.shape[0]):
        price, rules, dial = v.price[asset], v.asset[asset], v.dial[asset]
        outside = v.outside[asset]
        perp, spot = int(rules.perp_inst), int(rules.spot_inst)
        former_usd = float(price.oracle_usd)
        if spot >= 0:
            bid, ask = int(v.best[spot, BUY]), int(v.best[spot, SELL])
            _note_spot(price, bid, ask, v.book[spot], v.inst[spot], par)
        v.oracle_history[asset, n % N_ORACLE_HISTORY] = _composed_usd(price, rules, dial, outside)
        age = min(int(dial.oracle_lag_s / period_s), n, N_ORACLE_HISTORY - 1)
        published_usd = v.oracle_history[asset, (n - age) % N_ORACLE_HISTORY]
        price.oracle_e8 = round_nearest(published_usd * (1.0 + dial.oracle_shift) * 1e8)
        price.oracle_usd = float(price.oracle_e8) / 1e8
        price.previous_mark_e8 = price.mark_e8
        price.mark_e8 = price.oracle_e8
        if perp >= 0:
            bid, ask = int(v.best[perp, BUY]), int(v.best[perp, SELL])
            _note_perp(price, bid, ask, v.inst[perp], par, period_s, mark_decay)
            quote_usd = _quote_usd(bid, ask, v.book[perp], v.inst[perp])
            _note_quote(price, quote_usd, period_s, last_decay)
            price.mark_e8 = round_nearest(_mark_usd(price, quote_usd, outside) * 1e8)
        price.mark_usd = float(price.mark_e8) / 1e8
        price.borrow_oracle_e8 = round_nearest(_borrow_oracle_usd(price) * 1e8)
        price.borrow_oracle_usd = float(price.borrow_oracle_e8) / 1e8
        for r in range(v.regime.shape[0]):
            if v.regime[r].volatility_time_s > 0.0:
                follow_volatility(
                    v.regime[r], v.unit[r, asset], former_usd, price.oracle_usd, period_s
                )
        inside = True
        if perp >= 0:
            inside = _are_on_ladder(
                price.oracle_usd, price.mark_usd, outside.perp_usd, v.inst[perp]
            )
        if spot >= 0:
            spot_usd = outside.spot_usd
            inside &= _are_on_ladder(price.oracle_usd, spot_usd, spot_usd, v.inst[spot])
        if not inside:
            v.ctr[C_FAULT] = int(v.ctr[C_FAULT]) | FAULT_LADDER


@inline_kernel
def _max_spread(inst: Record, par: Record) -> float:
    return float(inst.two_sided_max_spread_frac) if par.sample_max_spread_on else _ANY_SPREAD


@inline_kernel
def _quote_usd(bid: int, ask: int, book: Record, inst: Record) -> float:
    return float(quote_tick(bid, ask, int(book.last_tick))) * float(inst.tick_usd)


@inline_kernel
def _note_spot(price: Record, bid: int, ask: int, book: Record, inst: Record, par: Record) -> None:
    """Keep the venue's own spot price, the one before where the book is thin."""
    if is_two_sided(bid, ask, _max_spread(inst, par)):
        price.venue_spot_usd = _quote_usd(bid, ask, book, inst)


@inline_kernel
def _composed_usd(price: Record, rules: Record, dial: Record, outside: Record) -> float:
    if price.venue_spot_usd == 0.0:
        return float(outside.spot_usd)
    weight = venue_weight(rules.oracle_mode, rules.oracle_venue_weight, dial.oracle_weight)
    return weight * float(price.venue_spot_usd) + (1.0 - weight) * float(outside.spot_usd)


@inline_kernel
def _note_perp(
    price: Record,
    bid: int,
    ask: int,
    inst: Record,
    par: Record,
    period_s: float,
    decay: float,
) -> None:
    """Let the average of perp mid - oracle age, and add today's if the book is two-sided."""
    price.ema_num *= decay
    price.ema_den *= decay
    if is_two_sided(bid, ask, _max_spread(inst, par)):
        mid_usd = 0.5 * float(bid + ask) * inst.tick_usd
        price.ema_num += (mid_usd - price.oracle_usd) * period_s
        price.ema_den += period_s


@inline_kernel
def _note_quote(price: Record, quote_usd: float, period_s: float, decay: float) -> None:
    price.last_ema_num *= decay
    price.last_ema_den *= decay
    if quote_usd > 0.0:
        price.last_ema_num += quote_usd * period_s
        price.last_ema_den += period_s


@inline_kernel
def _mark_usd(price: Record, quote_usd: float, outside: Record) -> float:
    average_usd, last_usd = 0.0, 0.0
    if price.ema_den > EMA_FORGOTTEN_S:
        average_usd = price.oracle_usd + price.ema_num / price.ema_den
    if price.last_ema_den > EMA_FORGOTTEN_S:
        last_usd = price.last_ema_num / price.last_ema_den
    previous_usd = float(price.previous_mark_e8) / 1e8
    return mark_of_sources(average_usd, quote_usd, outside.perp_usd, last_usd, previous_usd)


@inline_kernel
def _borrow_oracle_usd(price: Record) -> float:
    if price.venue_spot_usd == 0.0:
        return float(price.oracle_usd)
    return median3(price.venue_spot_usd, price.mark_usd, price.oracle_usd)


@inline_kernel
def _are_on_ladder(a_usd: float, b_usd: float, c_usd: float, inst: Record) -> bool:
    low_usd, high_usd = min(a_usd, b_usd, c_usd), max(a_usd, b_usd, c_usd)
    tick_usd = float(inst.tick_usd)
    return low_usd >= tick_usd and high_usd <= float(N_TICKS - 1) * tick_usd
