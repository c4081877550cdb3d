"""The insurance fund again, as the rules read."""

from __future__ import annotations

from stressbook.market.numbers.units import NEAREST, round_down, round_nearest
from stressbook.market.reference.backstop import pay_backstop
from stressbook.market.reference.marginal import freed_by_closing_usd, maintenance_after_usd
from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.records import Fill
from stressbook.market.reference.takeover import take_perp
from stressbook.market.reference.units import mul_div_reference
from stressbook.market.reference.valuation import value_account
from stressbook.market.state.codes import (
    BACKSTOP_FUND,
    BUY,
    EV_SHORTFALL_PAID,
    FORCED,
    TWAP,
)

__all__ = [
    "charge_forced_fills",
    "fund_room_micro",
    "is_fund_able",
    "pay_from_fund",
    "take_at_bankruptcy",
]


def fund_room_micro(parts: VenueParts) -> int:
    """Return what the fund can still pay: its equity, valued anew."""
    value_account(parts, parts.rows.backstop)
    return round_down(max(0.0, parts.valuations[parts.rows.backstop].equity_usd) * 1e6)


def pay_from_fund(parts: VenueParts, user: int, deficit: int, cause: int, t_ms: int) -> int:
    """Have the fund pay a deficit, to its limit; return what it paid."""
    backstop = parts.rows.backstop
    if parts.rules.backstop_policy != BACKSTOP_FUND or user == backstop:
        return 0
    paid = min(deficit, fund_room_micro(parts))
    if paid > 0:
        parts.exchange.ledger.move_cash(backstop, user, paid, cause=cause)
        parts.backstop.perp_cash_micro -= paid
        parts.log(
            t_ms,
            EV_SHORTFALL_PAID,
            user,
            amount_micro=paid,
            cause=cause,
            counterparty=backstop,
        )
        value_account(parts, backstop)
    return paid


def is_fund_able(parts: VenueParts, user: int) -> bool:
    """Tell whether the fund can take an account's perps, and pay what is missing."""
    if parts.rules.backstop_policy != BACKSTOP_FUND:
        return False
    room = fund_room_micro(parts)
    worth = parts.valuations[user]
    if worth.is_portfolio:
        return room > 0 and worth.equity_usd >= 0.0
    return room > 0 and -_margin_micro(parts, user) <= room


def take_at_bankruptcy(parts: VenueParts, user: int, t_ms: int) -> None:
    """Move every perp to the fund, each with its part, by maintenance, of what is left."""
    held = parts.perps(user)
    while held:
        inst, lots = next(iter(held.items()))
        requirement = maintenance_after_usd(parts, user, {})
        part = freed_by_closing_usd(parts, user, inst) if len(held) > 1 else requirement
        value = mul_div_reference(lots, parts.mark_e8(inst), parts.mark_dens[inst], NEAREST)
        margin = float(_margin_micro(parts, user))
        quote = round_nearest(float(value) - margin * part / requirement)
        take_perp(parts, user, inst, lots, t_ms)
        pay_backstop(parts, user, value - quote, t_ms)
        held = parts.perps(user)


def charge_forced_fills(parts: VenueParts, t_ms: int) -> None:
    """Settle this step's forced fills of each account with the fund, as one slice."""
    if parts.rules.backstop_policy != BACKSTOP_FUND:
        return
    insts = parts.exchange.instruments
    forced = [
        fill
        for fill in parts.exchange.fills
        if fill.flags & FORCED and not fill.flags & TWAP and insts[fill.inst].is_perp
    ]
    for user in sorted({fill.taker for fill in forced}):
        _charge(parts, user, [fill for fill in forced if fill.taker == user], t_ms)


def _charge(parts: VenueParts, user: int, fills: list[Fill], t_ms: int) -> None:
    value_account(parts, user)
    value_change, filled_lots = 0.0, {}
    signs = [1 if fill.taker_side == BUY else -1 for fill in fills]
    costs = [f.qty_lots * f.price_tick * parts.exchange.instruments[f.inst].k for f in fills]
    for inst, rules in enumerate(parts.exchange.instruments):
        filled = sum(s * f.qty_lots for s, f in zip(signs, fills, strict=True) if f.inst == inst)
        if filled:
            value_change += float(filled) * rules.lot_size * parts.mark_usd(inst)
            filled_lots[inst] = -filled
    before_usd = maintenance_after_usd(parts, user, filled_lots)
    after_usd = min(parts.valuations[user].maintenance_usd, before_usd)
    if before_usd <= 0.0:
        return
    proceeds_usd = float(-sum(s * cost for s, cost in zip(signs, costs, strict=True))) / 1e6
    collateral_usd = parts.valuations[user].equity_usd - (proceeds_usd + value_change)
    part_usd = collateral_usd * abs(after_usd - before_usd) / before_usd
    surplus_usd = proceeds_usd - (-value_change - part_usd)
    delta_usd = surplus_usd
    if surplus_usd > 0.0:
        fee_usd = parts.rules.liquidation_fee_frac * (float(sum(costs)) / 1e6)
        delta_usd = min(fee_usd, surplus_usd)
    amount = max(round_nearest(delta_usd * 1e6), -fund_room_micro(parts))
    pay_backstop(parts, user, amount, t_ms)
    value_account(parts, user)
    value_account(parts, parts.rows.backstop)


def _margin_micro(parts: VenueParts, user: int) -> int:
    margin = parts.cash(user) - parts.debt(user) + parts.perp_value_micro(user)
    return max(margin, 0) if parts.valuations[user].is_portfolio else margin
