"""What rests in a book, walked from the best price: depth, impact price, samples of a step."""

from typing import Final

import numpy as np

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.orders.occupancy import next_tick
from stressbook.market.state.codes import BUY, SELL
from stressbook.market.state.records import EMPTY_ASK, EMPTY_BID, VenueState

__all__ = [
    "DEPTH_BAND_FRAC",
    "depth_usd_within",
    "impact_price",
    "open_books",
    "sample_book",
    "sample_books",
    "sample_end",
]

DEPTH_BAND_FRAC: Final = 0.001  # 10 bp of the mid, each side: the band of the depth samples
_NO_PRICE: Final = np.nan


@sub_kernel
def depth_usd_within(v: VenueState, inst: int, side: int, mid_tick2: int, frac: float) -> float:
    """Return the value of the orders of one side within a fraction of the mid.

    Parameters
    ----------
    v : VenueState
        Read only.
    inst, side : int
        A side of a book.
    mid_tick2 : int
        Twice the mid, ticks: best bid plus best ask.
    frac : float
        Width of the band, as a fraction of the mid.

    Returns
    -------
    float
        USD at the orders' own prices.
    """
    bound = frac * float(mid_tick2)
    empty = EMPTY_BID if side == BUY else EMPTY_ASK
    lots_ticks = 0.0
    tick = int(v.best[inst, side])
    while tick != empty and float(abs(2 * tick - mid_tick2)) <= bound:
        lots_ticks += float(v.level[inst, tick].qty_lots) * float(tick)
        tick = next_tick(v, inst, side, tick)
    return lots_ticks * float(v.inst[inst].k) / 1e6


@sub_kernel
def impact_price(v: VenueState, inst: int, side: int, notional_micro: int) -> float:
    """Return the average price at which a notional would trade against one side.

    Parameters
    ----------
    v : VenueState
        Read only.
    inst : int
        A book.
    side : int
        The side that rests: BUY for the impact bid price.
    notional_micro : int
        Micro-USDC, positive.

    Returns
    -------
    float
        USD; not a number if the side does not hold as much.
        Source: Hyperliquid docs, funding, 2026.
    """
    k = float(v.inst[inst].k)
    empty = EMPTY_BID if side == BUY else EMPTY_ASK
    need = float(notional_micro)
    lots = 0.0
    tick = int(v.best[inst, side])
    while tick != empty:
        lot_value = float(tick) * k
        level_lots = float(v.level[inst, tick].qty_lots)
        if level_lots * lot_value >= need:
            lots += need / lot_value
            return float(notional_micro) / (lots * k) * v.inst[inst].tick_usd
        lots += level_lots
        need -= level_lots * lot_value
        tick = next_tick(v, inst, side, tick)
    return _NO_PRICE


@sub_kernel
def sample_book(v: VenueState, inst: int) -> None:
    """Note spread, mid and depth as the first taker of the step meets them.

    Parameters
    ----------
    v : VenueState
        Changed in `book`.
    inst : int
        A book.
    """
    book = v.book[inst]
    bid = int(v.best[inst, BUY])
    ask = int(v.best[inst, SELL])
    book.sampled = 1
    book.bid_tick = bid
    book.ask_tick = ask
    book.mid_usd = _mid_usd(v, inst, bid, ask)
    book.spread_frac = _spread_frac(bid, ask)
    book.bid_depth_usd = _band_usd(v, inst, BUY, bid, ask)
    book.ask_depth_usd = _band_usd(v, inst, SELL, bid, ask)


@inline_kernel
def sample_end(v: VenueState, inst: int) -> None:
    """Note spread, mid and depth as the step leaves them; also as first sample where none was.

    Parameters
    ----------
    v : VenueState
        Changed in `book`.
    inst : int
        A book.
    """
    book = v.book[inst]
    bid = int(v.best[inst, BUY])
    ask = int(v.best[inst, SELL])
    book.end_bid_tick = bid
    book.end_ask_tick = ask
    book.end_mid_usd = _mid_usd(v, inst, bid, ask)
    book.end_spread_frac = _spread_frac(bid, ask)
    book.end_bid_depth_usd = _band_usd(v, inst, BUY, bid, ask)
    book.end_ask_depth_usd = _band_usd(v, inst, SELL, bid, ask)
    if book.sampled == 0:
        book.bid_tick = bid
        book.ask_tick = ask
        book.mid_usd = book.end_mid_usd
        book.spread_frac = book.end_spread_frac
        book.bid_depth_usd = book.end_bid_depth_usd
        book.ask_depth_usd = book.end_ask_depth_usd


@sub_kernel
def open_books(v: VenueState) -> None:
    """Begin the step of every book: no sample yet, no trades.

    Parameters
    ----------
    v : VenueState
        Changed in `book`.
    """
    for inst in range(v.book.shape[0]):
        book = v.book[inst]
        book.sampled = 0
        book.traded_lots = 0
        book.buy_lots = 0
        book.sell_lots = 0
        book.n_trades = 0


@sub_kernel
def sample_books(v: VenueState) -> None:
    """End the step of every book: note what it looks like now.

    Parameters
    ----------
    v : VenueState
        Changed in `book`.
    """
    for inst in range(v.book.shape[0]):
        sample_end(v, inst)


@inline_kernel
def _mid_usd(v: VenueState, inst: int, bid: int, ask: int) -> float:
    if bid == EMPTY_BID or ask == EMPTY_ASK:
        return _NO_PRICE
    return 0.5 * float(bid + ask) * float(v.inst[inst].tick_usd)


@inline_kernel
def _spread_frac(bid: int, ask: int) -> float:
    if bid == EMPTY_BID or ask == EMPTY_ASK:
        return _NO_PRICE
    return 2.0 * float(ask - bid) / float(bid + ask)


@inline_kernel
def _band_usd(v: VenueState, inst: int, side: int, bid: int, ask: int) -> float:
    # Of a side alone nobody can say how near it is.
    if bid == EMPTY_BID or ask == EMPTY_ASK:
        return 0.0
    return depth_usd_within(v, inst, side, bid + ask, DEPTH_BAND_FRAC)
