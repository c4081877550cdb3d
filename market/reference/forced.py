"""Orders of the venue itself again: without latency, at most so far from mark or oracle."""

from __future__ import annotations

from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.records import Message
from stressbook.market.state.codes import BUY, IOC, OP_NEW
from stressbook.market.state.records import N_TICKS

__all__ = ["emit_forced"]


def emit_forced(
    parts: VenueParts,
    user: int,
    inst: int,
    *,
    side: int,
    lots: int,
    flags: int,
    bound_usd: float | None = None,
) -> None:
    """Send an order without latency; by default at most the slippage from mark or oracle."""
    rules = parts.exchange.instruments[inst]
    prices = parts.desk.assets[rules.asset]
    price_usd = prices.mark_usd if rules.is_perp else prices.oracle_usd
    slippage = parts.rules.forced_slippage_frac
    if bound_usd is None:
        bound_usd = price_usd * (1.0 + (slippage if side == BUY else -slippage))
    tick = min(max(int(bound_usd / rules.tick_usd), 1), N_TICKS - 1)
    message = Message(
        OP_NEW, user, inst=inst, side=side, tif=IOC, flags=flags, price_tick=tick, qty_lots=lots
    )
    parts.forced.append(message)
