"""Working towards a target position: children of limited size, marketable within a slippage.

Positions are signed everywhere. A rule that hedged |position| would double its exposure once a
deleveraging or a takeover has turned the sign.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from stressbook.agents.outbox import Outbox, place
from stressbook.agents.view import Market
from stressbook.market.compiling.arrays import I64
from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.state.codes import BUY, IOC, SELL
from stressbook.market.state.records import EMPTY_ASK, EMPTY_BID, N_TICKS

MIN_ORDER_USD: Final = 10.0  # Hyperliquid docs, tick and lot size: minimum order value, 2026-08
SHORTABLE: Final = 2**62  # lots "held" of a perp


class Sender(NamedTuple):
    """What the outbox needs of an account: without its memory, helpers are compiled only once."""

    account: Any


@inline_kernel
def price_usd(mkt: Market, inst: int) -> Any:
    """Return the middle of a book, or the oracle price before it was ever two-sided."""
    book = mkt.inst[inst]
    return book.mid_usd if book.mid_usd > 0.0 else mkt.asset[book.asset].oracle_usd


@inline_kernel
def perp_usd(position: I64, mkt: Market, asset: int) -> Any:
    """Return the signed value of the perp position in one asset, at the mark."""
    perp = mkt.asset[asset].perp_inst
    if perp < 0:
        return 0.0
    return float(position[perp]) * mkt.inst[perp].lot_size * mkt.asset[asset].mark_usd


@inline_kernel
def token_usd(tokens: I64, mkt: Market, asset: int) -> Any:
    """Return the value of the tokens of one asset, at the oracle price."""
    token = mkt.asset[asset].token
    if token < 0:
        return 0.0
    return float(tokens[token]) / mkt.token[token].unit * mkt.asset[asset].oracle_usd


@inline_kernel
def wealth_usd(account: Any, position: I64, tokens: I64, mkt: Market) -> Any:
    """Return what the account is worth: cash, perps and all tokens, less its debt."""
    total = float(account.cash_micro - account.debt_micro) / 1e6
    for asset in range(mkt.asset.shape[0]):
        total += perp_usd(position, mkt, asset)
        total += token_usd(tokens, mkt, asset)
    return total


@inline_kernel
def work(
    out: Outbox,
    account: Any,
    mkt: Market,
    inst: int,
    error_usd: float,
    most_usd: float,
    held_lots: int,
    slippage_frac: float,
) -> int:
    """Send the next child of a signed error, worth `most_usd` at most; return its signed lots.

    It never sells more than `held_lots`, and it is rounded towards zero, so it cannot overshoot.
    """
    lot_usd = mkt.inst[inst].lot_size * price_usd(mkt, inst)
    if lot_usd <= 0.0:
        return 0
    lots = int(error_usd / lot_usd)
    most = int(most_usd / lot_usd)
    lots = lots if lots < most else most
    least = -most if most < held_lots else -held_lots
    lots = lots if lots > least else least
    return take(out, account, mkt, inst, lots, slippage_frac, 0)


@inline_kernel
def take(
    out: Outbox, account: Any, mkt: Market, inst: int, lots: int, slippage_frac: float, flags: int
) -> int:
    """Emit signed lots as an IOC order within a slippage; return the lots sent, 0 if none can fill.

    Nothing is sent below the venue's minimum order value, nor when the best opposite price is
    missing or lies beyond the slippage.
    """
    book = mkt.inst[inst]
    price = price_usd(mkt, inst)
    if lots == 0 or price <= 0.0:
        return 0
    value = float(lots) * book.lot_size * price
    if -MIN_ORDER_USD < value < MIN_ORDER_USD:
        return 0
    if lots > 0:
        limit = int(price * (1.0 + slippage_frac) / book.tick_usd)
        limit = limit if limit < N_TICKS else N_TICKS - 1
        if book.best_ask_tick >= EMPTY_ASK or book.best_ask_tick > limit:
            return 0
        place(out, Sender(account), inst, BUY, limit, lots, IOC, flags, 0)
    else:
        limit = int(price * (1.0 - slippage_frac) / book.tick_usd)
        limit = limit if limit > 0 else 1
        if book.best_bid_tick <= EMPTY_BID or book.best_bid_tick < limit:
            return 0
        place(out, Sender(account), inst, SELL, limit, -lots, IOC, flags, 0)
    return lots
