"""What a breached account loses again, as the rules read: instrument to lots."""

from __future__ import annotations

import math

from stressbook.market.numbers.draws import PURPOSE_LIQUIDATED_POSITION, uniform
from stressbook.market.numbers.units import round_nearest, round_up
from stressbook.market.reference.backstop import loss_limit_holds
from stressbook.market.reference.marginal import freed_by_closing_usd
from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.valuation import backing_usd
from stressbook.market.state.codes import (
    BACKSTOP_FUND,
    SELECT_ALL_OR_PART,
    SELECT_LARGEST,
    SELECT_RANDOM,
    SELECT_SHARE_OF_ALL,
    TAKER_AUCTION,
    TAKER_BACKSTOP,
    TAKER_BOOK,
)

__all__ = ["is_handed_over", "plan"]


def plan(parts: VenueParts, user: int, t_ms: int) -> dict[int, int]:
    """Return how much of each perp an account in breach loses now."""
    way = parts.rules.select_policy
    if way == SELECT_ALL_OR_PART:
        return _all_or_part(parts, user, t_ms)
    if way == SELECT_SHARE_OF_ALL:
        return _share_of_all(parts, user)
    if way == SELECT_RANDOM:
        return _one_drawn(parts, user, t_ms)
    if way == SELECT_LARGEST:
        return _largest_contributor(parts, user)
    parts.has_unknown_policy = True
    return {}


def is_handed_over(parts: VenueParts) -> bool:
    """Tell whether the backstop takes at the mark what is lost; else the book is tried."""
    taker = parts.rules.taker_policy
    if taker == TAKER_BACKSTOP:
        return loss_limit_holds(parts)
    parts.has_unknown_policy |= taker not in (TAKER_BOOK, TAKER_AUCTION)
    return False


def _penalty_frac(parts: VenueParts) -> float:
    return parts.rules.penalty_frac if is_handed_over(parts) else 0.0


def _fund_fee_frac(parts: VenueParts) -> float:
    has_fund = parts.rules.backstop_policy == BACKSTOP_FUND
    return parts.rules.liquidation_fee_frac if has_fund and not is_handed_over(parts) else 0.0


def _notional_usd(parts: VenueParts, user: int, inst: int) -> float:
    lots = abs(parts.exchange.ledger.perp(user, inst))
    return float(lots) * parts.exchange.instruments[inst].lot_size * parts.mark_usd(inst)


def _all_or_part(parts: VenueParts, user: int, t_ms: int) -> dict[int, int]:
    """Plan a fifth of each large perp, and all of the others; during the cooldown all of each."""
    me, rules = parts.standings[user], parts.rules
    in_cooldown = t_ms < me.cooldown_until_ms
    found = {}
    for inst, position in parts.perps(user).items():
        lots = abs(position)
        is_large = _notional_usd(parts, user, inst) * 1e6 > float(rules.partial_notional_micro)
        if is_large and not in_cooldown:
            lots = max(1, lots * rules.partial_frac_e6 // 10**6)
        if lots < abs(position):
            me.cooldown_until_ms = t_ms + rules.cooldown_ms
        found[inst] = lots
    return found


def _share_of_all(parts: VenueParts, user: int) -> dict[int, int]:
    needed, backing = parts.valuations[user].maintenance_usd, backing_usd(parts, user)
    rules = parts.rules
    share, n = rules.share_step_frac, 1
    while share < 1.0:
        left = backing - share * _penalty_frac(parts) * needed
        if needed * (1.0 - share) < rules.target_ratio * left:
            break
        n += 1
        share = float(n) * rules.share_step_frac
    share_e6 = round_nearest(min(share, 1.0) * 1e6)
    return {i: -(-abs(lots) * share_e6 // 10**6) for i, lots in parts.perps(user).items()}


def _one_drawn(parts: VenueParts, user: int, t_ms: int) -> dict[int, int]:
    key0, key1 = parts.sequencer.key
    key = parts.exchange.users[user].key
    draw = uniform(key0, key1, PURPOSE_LIQUIDATED_POSITION, key, t_ms, 0)
    held = list(parts.perps(user).items())
    inst, lots = held[math.floor(draw * float(len(held)))]
    return {inst: abs(lots)}


def _largest_contributor(parts: VenueParts, user: int) -> dict[int, int]:
    held = parts.perps(user)
    needs = {inst: freed_by_closing_usd(parts, user, inst) for inst in held}
    inst = max(needs, key=lambda inst: needs[inst])
    lots = abs(held[inst])
    shortage_usd = parts.valuations[user].maintenance_usd
    shortage_usd -= parts.rules.target_ratio * backing_usd(parts, user)
    rate = needs[inst] / _notional_usd(parts, user, inst)
    target, mark_usd = parts.rules.target_ratio, parts.mark_usd(inst)
    freed_usd = mark_usd * (rate - target * _penalty_frac(parts) * rate)
    freed_usd -= mark_usd * (target * _fund_fee_frac(parts))
    wanted = math.inf
    if freed_usd > 0.0:
        wanted = shortage_usd / freed_usd / parts.exchange.instruments[inst].lot_size
    if 0.0 < wanted < float(lots):
        lots = max(1, round_up(wanted))
    return {inst: lots}
