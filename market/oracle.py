r"""Oracle and mark: the prices at which the venue values, every 3 s.

The oracle is the outside spot price, the venue's own spot price, or a weighted mean of both: data
of the asset. The mark is the median of

* the oracle plus a 150 s average of (perp mid - oracle),
* the median of best bid, best ask and last trade of the perp book,
* the outside perp price,

and a 30 s average of the second joins where exactly two of them exist. The borrow oracle, which
values collateral for credit, is the median of venue spot, perp mark and oracle.

Source: Hyperliquid docs, robust price indices, 2026-01; portfolio margin, 2026-08-19. What makes a
price of a book acceptable is ours: docs/decisions/0012-prices-of-thin-books.md.
"""

from __future__ import annotations

from typing import Final

from stressbook.market.codes import BUY, FAULT_LADDER, SELL
from stressbook.market.draws import exp
from stressbook.market.kernel import inline_kernel, kernel
from stressbook.market.state import (
    C_FAULT,
    C_PRICE_UPDATES,
    EMPTY_ASK,
    EMPTY_BID,
    N_ORACLE_HISTORY,
    N_TICKS,
    VenueState,
)
from stressbook.market.units import MS_PER_S, PRICE_ONE, round_nearest

__all__ = [
    "EMA_FORGOTTEN_S",
    "ORACLE_BOTH",
    "ORACLE_OUTSIDE",
    "ORACLE_VENUE_SPOT",
    "median3",
    "update_prices",
]

ORACLE_OUTSIDE: Final = 0
ORACLE_VENUE_SPOT: Final = 1
ORACLE_BOTH: Final = 2
EMA_FORGOTTEN_S: Final = 1e-6  # an average whose samples weigh less, in seconds, is none


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


@kernel
def update_prices(v: VenueState, t_ms: int) -> None:
    """Set oracle, mark and borrow oracle of every asset.

    Parameters
    ----------
    v : VenueState
        Changed in `price`, `oracle_history` and `ctr`; `FAULT_LADDER` if a price has left the
        ladder of its book.
    t_ms : int
        End of the step, ms; the caller keeps the period.
    """
    par = v.par[0]
    v.ctr[C_PRICE_UPDATES] += 1
    period_s = float(max(par.price_period_ms, par.dt_ms)) / MS_PER_S
    mark_decay = exp(-period_s * MS_PER_S / float(par.mark_ema_ms))
    last_decay = exp(-period_s * MS_PER_S / float(par.last_ema_ms))
    for asset in range(v.price.shape[0]):
        _update_venue_spot(v, asset)
        _update_oracle(v, asset, period_s)
        _update_mark(v, asset, period_s, mark_decay, last_decay)
        _update_borrow_oracle(v, asset)
        _check_ladders(v, asset)


@inline_kernel
def _quote_usd(v: VenueState, inst: int) -> float:
    """Return the median of best bid, best ask and last trade; 0 unless both sides rest."""
    bid, ask = int(v.best[inst, BUY]), int(v.best[inst, SELL])
    if bid == EMPTY_BID or ask == EMPTY_ASK:
        return 0.0
    last = max(bid, min(ask, int(v.book[inst].last_tick)))
    return float(last) * v.inst[inst].tick_usd


@inline_kernel
def _is_two_sided(v: VenueState, inst: int) -> bool:
    """Tell whether both sides rest, near enough for their middle to be a price."""
    bid, ask = int(v.best[inst, BUY]), int(v.best[inst, SELL])
    if bid == EMPTY_BID or ask == EMPTY_ASK:
        return False
    spread = 2.0 * float(ask - bid) / float(ask + bid)
    limit = v.inst[inst].two_sided_max_spread_frac
    return v.par[0].sample_max_spread_on == 0 or spread <= limit


@inline_kernel
def _update_venue_spot(v: VenueState, asset: int) -> None:
    inst = int(v.asset[asset].spot_inst)
    if inst >= 0 and _is_two_sided(v, inst):
        v.price[asset].venue_spot_usd = _quote_usd(v, inst)


@inline_kernel
def _venue_weight(v: VenueState, asset: int) -> float:
    """Return the weight of the venue's own spot price in the oracle."""
    if v.price[asset].venue_spot_usd == 0.0:
        return 0.0
    mode = v.asset[asset].oracle_mode
    weight = v.dial[asset].oracle_weight
    if mode == ORACLE_VENUE_SPOT:
        weight += 1.0
    elif mode == ORACLE_BOTH:
        weight += v.asset[asset].oracle_venue_weight
    return max(0.0, min(1.0, weight))


@inline_kernel
def _update_oracle(v: VenueState, asset: int, period_s: float) -> None:
    price = v.price[asset]
    weight = _venue_weight(v, asset)
    fresh = weight * price.venue_spot_usd + (1.0 - weight) * v.outside[asset].spot_usd
    n = int(v.ctr[C_PRICE_UPDATES])
    v.oracle_history[asset, n % N_ORACLE_HISTORY] = fresh
    age = min(int(v.dial[asset].oracle_lag_s / period_s), n, N_ORACLE_HISTORY - 1)
    published = v.oracle_history[asset, (n - age) % N_ORACLE_HISTORY]
    published *= 1.0 + v.dial[asset].oracle_shift
    price.oracle_e8 = round_nearest(published * float(PRICE_ONE))
    price.oracle_usd = float(price.oracle_e8) / PRICE_ONE


@inline_kernel
def _update_mark(
    v: VenueState, asset: int, period_s: float, mark_decay: float, last_decay: float
) -> None:
    price = v.price[asset]
    price.previous_mark_e8 = price.mark_e8
    inst = int(v.asset[asset].perp_inst)
    if inst < 0:
        price.mark_e8 = price.oracle_e8
        price.mark_usd = price.oracle_usd
        return
    quote_usd = _quote_usd(v, inst)
    price.ema_num *= mark_decay
    price.ema_den *= mark_decay
    if _is_two_sided(v, inst):
        mid_usd = 0.5 * float(v.best[inst, BUY] + v.best[inst, SELL]) * v.inst[inst].tick_usd
        price.ema_num += (mid_usd - price.oracle_usd) * period_s
        price.ema_den += period_s
    price.last_ema_num *= last_decay
    price.last_ema_den *= last_decay
    if quote_usd > 0.0:
        price.last_ema_num += quote_usd * period_s
        price.last_ema_den += period_s
    mark_usd = _median_of_sources(v, asset, quote_usd)
    price.mark_e8 = round_nearest(mark_usd * float(PRICE_ONE))
    price.mark_usd = float(price.mark_e8) / PRICE_ONE


@inline_kernel
def _median_of_sources(v: VenueState, asset: int, quote_usd: float) -> float:
    """Return the mark from the sources that exist; the previous one if there is none."""
    price = v.price[asset]
    outside_usd = v.outside[asset].perp_usd
    has_average = price.ema_den > EMA_FORGOTTEN_S
    average_usd = price.oracle_usd + price.ema_num / price.ema_den if has_average else 0.0
    n_sources = int(has_average) + int(quote_usd > 0.0) + int(outside_usd > 0.0)
    if n_sources == 3:
        return median3(average_usd, quote_usd, outside_usd)
    # A missing source is 0.
    total_usd = average_usd + quote_usd + outside_usd
    if n_sources == 2:
        high_usd = max(average_usd, quote_usd, outside_usd)
        if price.last_ema_den > EMA_FORGOTTEN_S:
            last_usd = price.last_ema_num / price.last_ema_den
            return median3(high_usd, total_usd - high_usd, last_usd)
        return 0.5 * total_usd
    return total_usd if n_sources == 1 else price.mark_usd


@inline_kernel
def _update_borrow_oracle(v: VenueState, asset: int) -> None:
    price = v.price[asset]
    borrow_usd = price.oracle_usd
    if price.venue_spot_usd > 0.0:
        borrow_usd = median3(price.venue_spot_usd, price.mark_usd, price.oracle_usd)
    price.borrow_oracle_e8 = round_nearest(borrow_usd * float(PRICE_ONE))
    price.borrow_oracle_usd = float(price.borrow_oracle_e8) / PRICE_ONE


@inline_kernel
def _check_ladders(v: VenueState, asset: int) -> None:
    price, outside = v.price[asset], v.outside[asset]
    perp, spot = int(v.asset[asset].perp_inst), int(v.asset[asset].spot_inst)
    inside = True
    if perp >= 0:
        inside = _is_on_ladder(v, perp, price.oracle_usd) and _is_on_ladder(v, perp, price.mark_usd)
        inside = inside and _is_on_ladder(v, perp, outside.perp_usd)
    if spot >= 0:
        inside = inside and _is_on_ladder(v, spot, price.oracle_usd)
        inside = inside and _is_on_ladder(v, spot, outside.spot_usd)
    if not inside:
        v.ctr[C_FAULT] = int(v.ctr[C_FAULT]) | FAULT_LADDER


@inline_kernel
def _is_on_ladder(v: VenueState, inst: int, price_usd: float) -> bool:
    tick_usd = v.inst[inst].tick_usd
    return tick_usd <= price_usd <= float(N_TICKS - 1) * tick_usd
