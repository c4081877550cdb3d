"""The book of a trader that stands on the venue and outside: its deltas, its result, its moves.

A leg's delta is what is held on the venue plus what is held outside, in lots of the asset's perp.
The endowment, the tokens that the trader opened with, is neutral: hedging brings deltas back to
it, and its price moves are no result. Signed throughout: after a deleveraging the hedge closes
what is left over, it never doubles it.

Rules that use these helpers have `asset`, `spot_lots` (endowment), `equity_usd` (USDC at the
opening) and `purse_usd` (all that they can bring, that included) in their parameters, and the
fields `INTS`, `FLOATS`, `INT_LEGS`, `FLOAT_LEGS` in their memory. Legs are numbered like outside
inventory: 0 spot, 1 perp.
"""

from __future__ import annotations

from typing import Any, Final

from stressbook.agents.execution import Sender
from stressbook.agents.outbox import Outbox, move_in, move_out, trade_outside
from stressbook.agents.view import Market, Me
from stressbook.market.compiling.kernel import inline_kernel, spliced_kernel
from stressbook.market.prices.outside_market import OUTSIDE_PERP, OUTSIDE_SPOT

__all__ = [
    "FLOATS",
    "FLOAT_LEGS",
    "INTS",
    "INT_LEGS",
    "hedge",
    "keep_stocks",
    "leg_inst",
    "look_at_book",
    "neutral_lots",
    "outside_usd",
]

INTS: Final = "started"
# inside: USDC on the venue, perp gains in; free: of it, beyond the margin of positions; moved: on
# its way in; result: since the opening; recent: in the loss window.
FLOATS: Final = "lot_size cash_usd inside_usd free_usd moved_usd result_usd recent_usd"
# held: on the venue; delta: held and outside; asked: sent outside at the last look.
INT_LEGS: Final = {"held_lots": 2, "delta_lots": 2, "asked_lots": 2}
FLOAT_LEGS: Final = {"price_usd": 2}

TOKENS_LOW: Final = 0.5  # of the endowment: below it tokens come in from outside
TOKENS_HIGH: Final = 1.5  # and above it they go out
CASH_LOW: Final = 0.5  # of the USDC wanted on the venue
CASH_HIGH: Final = 2.0
COVER: Final = 3.0  # USDC wanted on the venue, over the initial requirement of the position
# Hyperliquid docs, margining: what is left after a transfer covers 10 % of notional, 2026-01.
TRANSFER_FLOOR: Final = 0.1
FREE_SHARE: Final = 0.9  # of what may be withdrawn that is


@spliced_kernel
def outside_usd(asset: Any, kind: int) -> Any:
    """Return the outside price of a leg of an asset of the view."""
    return asset.outside_perp_usd if kind == OUTSIDE_PERP else asset.outside_spot_usd


@spliced_kernel
def leg_inst(asset: Any, kind: int) -> Any:
    """Return the venue's book of a leg of an asset of the view, -1 where there is none."""
    return asset.perp_inst if kind == OUTSIDE_PERP else asset.spot_inst


@spliced_kernel
def neutral_lots(p: Any, kind: int) -> Any:
    """Return the delta that a leg is hedged to."""
    return p.spot_lots if kind == OUTSIDE_SPOT else 0


@inline_kernel
def look_at_book(me: Me, mkt: Market, p: Any, window_rate: float) -> None:
    """Note holdings, deltas and prices, and add what was earned since the last look.

    The result is at outside prices, the endowment left out. `window_rate` is the share of the
    recent result that one look forgets.
    """
    m: Any = me.memory
    asset = mkt.asset[p.asset]
    m.lot_size = mkt.inst[asset.perp_inst if asset.perp_inst >= 0 else asset.spot_inst].lot_size
    m.held_lots[OUTSIDE_PERP] = me.position[asset.perp_inst] if asset.perp_inst >= 0 else 0
    if asset.token >= 0:
        tokens = float(me.token[asset.token]) / mkt.token[asset.token].unit
        m.held_lots[OUTSIDE_SPOT] = int(tokens / m.lot_size + 0.5)
    cash_usd = float(me.account.cash_micro - me.account.debt_micro) / 1e6
    gain = cash_usd - m.cash_usd if m.started > 0 else 0.0
    for kind in range(2):
        gain += _leg_gain_usd(m, p, asset, kind, m.held_lots[kind] + me.outside[p.asset, kind])
    if me.account.n_pending == 0:
        gain -= _arrived_usd(gain, m.moved_usd)
        m.moved_usd = 0.0
    m.started = 1
    m.cash_usd = cash_usd
    perp_usd = float(m.held_lots[OUTSIDE_PERP]) * m.lot_size * asset.outside_perp_usd
    m.inside_usd = cash_usd + perp_usd
    m.free_usd = m.inside_usd - me.account.initial_usd
    m.result_usd += gain
    m.recent_usd += gain - m.recent_usd * window_rate


@inline_kernel
def _arrived_usd(gain_usd: float, moved_usd: float) -> float:
    """Return the move if it explains what else would be a gain: it may have been refused."""
    rest = gain_usd - moved_usd
    return moved_usd if rest * rest < gain_usd * gain_usd else 0.0


@inline_kernel
def _leg_gain_usd(m: Any, p: Any, asset: Any, kind: int, delta_lots: int) -> Any:
    """Return the result of one leg but its cash on the venue, and note its delta and price."""
    price = outside_usd(asset, kind)
    half_spread = asset.perp_half_spread if kind == OUTSIDE_PERP else asset.spot_half_spread
    gain = 0.0
    if m.started > 0:
        held = m.delta_lots[kind] - neutral_lots(p, kind)
        traded = delta_lots - m.delta_lots[kind] - m.asked_lots[kind]
        cost = float(m.asked_lots[kind]) * half_spread
        cost = cost if cost > 0.0 else -cost
        gain = float(held) * (price - m.price_usd[kind]) + (float(traded) - cost) * price
    m.delta_lots[kind] = delta_lots
    m.price_usd[kind] = price
    m.asked_lots[kind] = 0
    return gain * m.lot_size


@inline_kernel
def hedge(me: Me, p: Any, out: Outbox, share: float) -> None:
    """Trade a share of the distance to the neutral delta outside, on each leg."""
    m: Any = me.memory
    for kind in range(2):
        excess = m.delta_lots[kind] - neutral_lots(p, kind)
        lots = -int(float(excess) * share)
        if lots != 0:
            trade_outside(out, Sender(me.account), p.asset, kind, lots)
            m.asked_lots[kind] = lots


@inline_kernel
def keep_stocks(me: Me, mkt: Market, p: Any, out: Outbox) -> None:
    """Move tokens and USDC between the venue and outside when they run short or pile up."""
    m: Any = me.memory
    asset = mkt.asset[p.asset]
    if asset.spot_inst >= 0 and p.spot_lots > 0:
        held = float(m.held_lots[OUTSIDE_SPOT])
        whole = float(p.spot_lots)
        if not TOKENS_LOW * whole <= held <= TOKENS_HIGH * whole:
            units = (whole - held) * m.lot_size * mkt.token[asset.token].unit
            _move(out, me.account, asset.token, int(units))
    micro = int(_missing_usd(m, p, me.account.initial_usd) * 1e6)
    if micro != 0:
        _move(out, me.account, 0, micro)
        m.moved_usd += float(micro) / 1e6


@inline_kernel
def _missing_usd(m: Any, p: Any, initial_usd: float) -> Any:
    """Return the USDC to bring in, negative to take out.

    Hedging gains lie outside when losses lie on the venue, and a larger position needs more margin.
    What comes in is bounded by the trader's wealth: a ruined one gets no fresh money.
    """
    wanted = COVER * initial_usd
    wanted = wanted if wanted > p.equity_usd else p.equity_usd
    wealth = p.purse_usd + m.result_usd
    reachable = wanted if wanted < wealth else wealth
    if m.inside_usd < CASH_LOW * reachable:
        return reachable - m.inside_usd if wealth > 0.0 else 0.0
    if m.inside_usd > CASH_HIGH * wanted:
        position_usd = float(m.held_lots[OUTSIDE_PERP]) * m.lot_size * m.price_usd[OUTSIDE_PERP]
        floor = TRANSFER_FLOOR * (position_usd if position_usd > 0.0 else -position_usd)
        floor = floor if floor > initial_usd else initial_usd
        free = FREE_SHARE * (m.inside_usd - floor)
        excess = m.inside_usd - wanted
        return -(excess if excess < free else free)
    return 0.0


@inline_kernel
def _move(out: Outbox, account: Any, token: int, units: int) -> None:
    if units > 0:
        move_in(out, Sender(account), token, units)
    elif units < 0:
        move_out(out, Sender(account), token, -units)
