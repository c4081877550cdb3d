"""Auto-deleveraging again, as the rules read: a queue of winners, and who is closed against it."""

from __future__ import annotations

from stressbook.market.codes import CAUSE_DELEVERAGING, EV_DELEVERAGED
from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.units import mul_div_reference
from stressbook.market.units import NEAREST

__all__ = ["deleverage", "rank"]


def rank(parts: VenueParts, user: int, inst: int) -> float:
    """Return price gain x leverage at the previous mark; below zero where the account is."""
    rules = parts.exchange.instruments[inst]
    lots = parts.exchange.ledger.perp(user, inst)
    cost_usd = float(parts.exchange.ledger.entry_costs[inst, user]) / 1e6
    entry_usd = cost_usd / (float(lots) * rules.lot_size)
    equity_usd = parts.valuations[user].equity_usd
    if equity_usd == 0.0 or entry_usd <= 0.0:
        return 0.0
    mark_usd = float(parts.prices[rules.asset].previous_mark_e8) / 1e8
    gain = mark_usd / entry_usd if lots > 0 else entry_usd / mark_usd
    leverage = float(abs(lots)) * rules.lot_size * mark_usd / equity_usd
    return gain * leverage


def deleverage(parts: VenueParts, user: int, t_ms: int) -> None:
    """Close every perp of an account against the highest ranks, at the previous mark."""
    ledger = parts.exchange.ledger
    for inst, open_lots in parts.perps(user).items():
        lots = open_lots
        queue = [
            other
            for other in range(len(parts.exchange.users))
            if ledger.perp(other, inst) * open_lots < 0
        ]
        # `sorted` keeps the order of equals.
        for winner in sorted(queue, key=lambda other: -rank(parts, other, inst)):
            if lots == 0:
                break
            other_lots = ledger.perp(winner, inst)
            moved = lots if abs(lots) <= abs(other_lots) else -other_lots
            _close(parts, user, winner, inst, moved, t_ms)
            lots -= moved


def _close(parts: VenueParts, user: int, winner: int, inst: int, moved: int, t_ms: int) -> None:
    price = parts.prices[parts.exchange.instruments[inst].asset]
    parts.exchange.ledger.hand_over(
        user,
        winner,
        inst,
        lots=moved,
        price_e8=price.previous_mark_e8,
        mark_den=parts.mark_dens[inst],
        cause=CAUSE_DELEVERAGING,
    )
    worse_e8 = price.previous_mark_e8 - price.mark_e8
    parts.log(
        t_ms,
        EV_DELEVERAGED,
        user,
        inst=inst,
        lots=moved,
        price_e8=price.previous_mark_e8,
        amount_micro=mul_div_reference(moved, worse_e8, parts.mark_dens[inst], NEAREST),
        cause=CAUSE_DELEVERAGING,
        counterparty=winner,
    )
