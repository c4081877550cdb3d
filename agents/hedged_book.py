"""The book of a trader that stands on the venue and outside: its deltas, its result, its moves.

A leg's delta is what is held on the venue plus what is held outside, in lots of the asset's perp.
The endowment, the tokens that the trader opened with, is neutral: hedging brings deltas back to
it, and its price moves are no result. Signed throughout: after a deleveraging the hedge closes
what is left over, it never doubles it.

Rules that use these helpers have `asset`, `spot_lots` (endowment), `equity_usd` (USDC at the
opening) in their parameters, and `MEMORY_INTS`, `MEMORY_FLOATS`, `MEMORY_LEGS` in their memory.
"""

from __future__ import annotations

from typing import Final

from stressbook.agents.outbox import move_in, move_out, trade_outside
from stressbook.agents.view import OUTSIDE_PERP, OUTSIDE_SPOT
from stressbook.market.kernel import inline_kernel

MEMORY_INTS: Final = "started"
# moved_usd: USDC on its way in; result_usd: since the opening; recent_usd: in the loss window.
MEMORY_FLOATS: Final = "cash_usd moved_usd result_usd recent_usd"
MEMORY_INT_LEGS: Final = {"delta_lots": 2, "asked_lots": 2}
MEMORY_FLOAT_LEGS: Final = {"price_usd": 2}

TOKENS_LOW: Final = 0.5  # of the endowment: tokens come in from outside below it
TOKENS_HIGH: Final = 1.5  # and go out above it
CASH_LOW: Final = 0.5  # of the opening USDC
CASH_HIGH: Final = 2.0
FREE_SHARE: Final = 0.9  # of free margin that a withdrawal may use


@inline_kernel
def outside_usd(mkt, asset, kind):  # type: ignore[no-untyped-def]
    """Return the outside price of a leg."""
    a = mkt.asset[asset]
    return a.outside_perp_usd if kind == OUTSIDE_PERP else a.outside_spot_usd


@inline_kernel
def leg_inst(mkt, asset, kind):  # type: ignore[no-untyped-def]
    """Return the venue's book of a leg, -1 where there is none."""
    a = mkt.asset[asset]
    return a.perp_inst if kind == OUTSIDE_PERP else a.spot_inst


@inline_kernel
def asset_lot(mkt, asset):  # type: ignore[no-untyped-def]
    """Return the lot size that outside inventory is counted in: the perp's."""
    a = mkt.asset[asset]
    return mkt.inst[a.perp_inst if a.perp_inst >= 0 else a.spot_inst].lot_size


@inline_kernel
def inside_lots(me, mkt, asset, kind):  # type: ignore[no-untyped-def]
    """Return the signed lots of a leg that are held on the venue."""
    a = mkt.asset[asset]
    if kind == OUTSIDE_PERP:
        return me.position[a.perp_inst] if a.perp_inst >= 0 else 0
    if a.token < 0:
        return 0
    tokens = float(me.token[a.token]) / mkt.token[a.token].unit
    return int(tokens / asset_lot(mkt, asset) + 0.5)


@inline_kernel
def neutral_lots(p, kind):  # type: ignore[no-untyped-def]
    """Return the delta that a leg is hedged to."""
    return p.spot_lots if kind == OUTSIDE_SPOT else 0


@inline_kernel
def account_for_result(me, mkt, p, window_rate):  # type: ignore[no-untyped-def]
    """Add up what was earned since the last look, at outside prices, endowment left out.

    `window_rate` is the share of the recent result that one step forgets.
    """
    m = me.memory
    lot = asset_lot(mkt, p.asset)
    gain = 0.0
    for kind in range(2):
        price = outside_usd(mkt, p.asset, kind)
        delta = inside_lots(me, mkt, p.asset, kind) + me.outside[p.asset, kind]
        if m.started > 0:
            held = m.delta_lots[kind] - neutral_lots(p, kind)
            traded = delta - m.delta_lots[kind] - m.asked_lots[kind]
            gain += float(held) * lot * (price - m.price_usd[kind]) + float(traded) * lot * price
            gain -= _outside_cost_usd(mkt, p.asset, kind, m.asked_lots[kind], lot * price)
        m.delta_lots[kind] = delta
        m.price_usd[kind] = price
        m.asked_lots[kind] = 0
    cash = float(me.account.cash_micro - me.account.debt_micro) / 1e6
    if m.started > 0:
        gain += cash - m.cash_usd
    if me.account.n_pending == 0:
        gain -= m.moved_usd
        m.moved_usd = 0.0
    m.cash_usd = cash
    m.started = 1
    m.result_usd += gain
    m.recent_usd += gain - m.recent_usd * window_rate


@inline_kernel
def _outside_cost_usd(mkt, asset, kind, lots, lot_usd):  # type: ignore[no-untyped-def]
    a = mkt.asset[asset]
    half_spread = a.perp_half_spread if kind == OUTSIDE_PERP else a.spot_half_spread
    cost = float(lots) * lot_usd * half_spread
    return cost if cost > 0.0 else -cost


@inline_kernel
def hedge(me, p, out, kind, share):  # type: ignore[no-untyped-def]
    """Trade a share of the distance to the neutral delta outside."""
    m = me.memory
    excess = m.delta_lots[kind] - neutral_lots(p, kind)
    lots = -int(float(excess) * share)
    if lots != 0:
        trade_outside(out, me, p.asset, kind, lots)
        m.asked_lots[kind] += lots


@inline_kernel
def keep_tokens(me, mkt, p, out):  # type: ignore[no-untyped-def]
    """Move tokens between the venue and the own outside inventory when they run short or pile up."""
    token = mkt.asset[p.asset].token
    if p.spot_lots <= 0 or token < 0 or mkt.asset[p.asset].spot_inst < 0:
        return
    held = float(inside_lots(me, mkt, p.asset, OUTSIDE_SPOT))
    whole = float(p.spot_lots)
    lots = whole - held
    if TOKENS_LOW * whole <= held <= TOKENS_HIGH * whole:
        return
    units = lots * asset_lot(mkt, p.asset) * mkt.token[token].unit
    if units >= 1.0:
        move_in(out, me, token, int(units + 0.5))
    elif units <= -1.0:
        move_out(out, me, token, int(0.5 - units))


@inline_kernel
def keep_cash(me, mkt, p, out):  # type: ignore[no-untyped-def]
    """Move USDC in when hedging gains lie outside, out when they lie on the venue.

    What comes in is bounded by the trader's wealth: a ruined one gets no fresh money.
    """
    m = me.memory
    perp = inside_lots(me, mkt, p.asset, OUTSIDE_PERP)
    value = float(perp) * asset_lot(mkt, p.asset) * outside_usd(mkt, p.asset, OUTSIDE_PERP)
    inside = m.cash_usd + value
    wealth = p.equity_usd + m.result_usd
    whole = p.equity_usd if p.equity_usd < wealth else wealth
    if inside < CASH_LOW * whole:
        amount = whole - inside
    elif inside > CASH_HIGH * p.equity_usd:
        amount = p.equity_usd - inside
        free = -FREE_SHARE * me.account.available_usd
        amount = amount if amount > free else free
    else:
        return
    micro = int(amount * 1e6)
    if micro > 0:
        move_in(out, me, 0, micro)
    elif micro < 0:
        move_out(out, me, 0, -micro)
    m.moved_usd += float(micro) / 1e6
