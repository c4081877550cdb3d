"""Auto-deleveraging again, as the rules read: the other side, and what each of it gives up."""

from __future__ import annotations

import math

from stressbook.market.numbers.units import NEAREST, round_down
from stressbook.market.reference.allocation import by_leverage, by_score, by_size
from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.units import mul_div_reference
from stressbook.market.reference.valuation import value_account
from stressbook.market.state.codes import (
    ALLOCATE_LEVELLING,
    ALLOCATE_PRO_RATA,
    ALLOCATE_RANK,
    CAUSE_DEFICIT,
    CAUSE_DELEVERAGING,
    EV_DELEVERAGED,
    EV_HAIRCUT,
    SCORE_GAIN_LEVERAGE,
    SCORE_PROFIT_COLLATERAL,
    SCORE_PROFIT_LEVERAGE,
)

__all__ = ["cut_profits", "deleverage", "score"]

_LAST = -1e300


def score(
    parts: VenueParts,
    *,
    gain: float,
    profit_usd: float,
    entry_usd: float,
    notional_usd: float,
    equity_usd: float,
) -> float:
    """Return what orders winners: price gain or profit, x leverage; the highest comes first."""
    policy = parts.rules.score_policy
    if policy == SCORE_GAIN_LEVERAGE:  # below zero where equity is
        return gain * (notional_usd / equity_usd) if equity_usd != 0.0 else 0.0
    if policy not in (SCORE_PROFIT_LEVERAGE, SCORE_PROFIT_COLLATERAL):
        parts.has_unknown_policy = True
        return _LAST
    if equity_usd <= 0.0:
        return _LAST
    leverage = notional_usd / equity_usd
    if policy == SCORE_PROFIT_LEVERAGE:
        share = profit_usd / entry_usd if entry_usd > 0.0 else 0.0
        if leverage <= 0.0:
            return 0.0
        return share * leverage if share > 0.0 else share / leverage
    if profit_usd <= 0.0:
        return 0.0
    if equity_usd - profit_usd <= 0.0:
        return 1e15
    in_bp = profit_usd / (equity_usd - profit_usd) * leverage * 1e4
    return float(math.floor(min(in_bp, 1e15)))


def deleverage(parts: VenueParts, user: int, t_ms: int) -> None:
    """Close every perp of an account against the other side, at the previous mark."""
    ledger = parts.exchange.ledger
    for inst, open_lots in parts.perps(user).items():
        sizes = {
            other: abs(ledger.perp(other, inst))
            for other in range(len(parts.exchange.users))
            if ledger.perp(other, inst) * open_lots < 0
        }
        for winner, lots in _shares(parts, inst, sizes, abs(open_lots)).items():
            if lots > 0:
                _close(parts, user, winner, inst, lots if open_lots > 0 else -lots, t_ms)


def _shares(parts: VenueParts, inst: int, sizes: dict[int, int], wanted: int) -> dict[int, int]:
    """Return who gives up what, in the order of booking."""
    way = parts.rules.allocate_policy
    if way == ALLOCATE_PRO_RATA:
        return by_size(sizes, wanted)
    if way == ALLOCATE_LEVELLING:
        equity = {other: parts.valuations[other].equity_usd for other in sizes}
        sound = {other: lots for other, lots in sizes.items() if equity[other] > 0.0}
        lot_usd = parts.exchange.instruments[inst].lot_size * _previous_mark_usd(parts, inst)
        cut = by_leverage(sound, {other: equity[other] / lot_usd for other in sound}, wanted)
        rest = {other: lots for other, lots in sizes.items() if other not in sound}
        return cut | by_size(rest, wanted - sum(cut.values()))
    if way != ALLOCATE_RANK:
        parts.has_unknown_policy = True
        return {}
    scores = {other: _position_score(parts, other, inst) for other in sizes}
    return by_score(sizes, scores, wanted)


def _position_score(parts: VenueParts, user: int, inst: int) -> float:
    ledger, lot_size = parts.exchange.ledger, parts.exchange.instruments[inst].lot_size
    size, mark_usd = float(ledger.perp(user, inst)) * lot_size, _previous_mark_usd(parts, inst)
    cost_usd = float(ledger.entry_costs[inst, user]) / 1e6
    entry_usd, gain = cost_usd / size, 0.0
    if entry_usd > 0.0:
        gain = mark_usd / entry_usd if size > 0.0 else entry_usd / mark_usd
    return score(
        parts,
        gain=gain,
        profit_usd=size * mark_usd - cost_usd,
        entry_usd=abs(cost_usd),
        notional_usd=abs(size * mark_usd),
        equity_usd=parts.valuations[user].equity_usd,
    )


def _previous_mark_usd(parts: VenueParts, inst: int) -> float:
    return float(parts.prices[parts.exchange.instruments[inst].asset].previous_mark_e8) / 1e8


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


def cut_profits(parts: VenueParts, user: int, deficit: int, t_ms: int) -> int:
    """Have winners pay a deficit out of profit, within their equity; return what they paid."""
    others = [other for other in range(len(parts.exchange.users)) if other != user]
    payable = {}
    for other in others:
        equity = round_down(max(0.0, parts.valuations[other].equity_usd) * 1e6)
        payable[other] = min(sum(_profits(parts, other).values()), equity)
    payable = {other: amount for other, amount in payable.items() if amount > 0}
    scores = {other: _account_score(parts, other) for other in payable}
    taken = by_score(payable, scores, deficit)
    for payer, paid in taken.items():
        parts.exchange.ledger.move_cash(payer, user, paid, cause=CAUSE_DEFICIT)
        left = paid
        for inst, profit in _profits(parts, payer).items():
            part = min(left, max(0, profit))
            parts.exchange.ledger.entry_costs[inst, payer] += part
            left -= part
        parts.log(
            t_ms, EV_HAIRCUT, user, amount_micro=paid, cause=CAUSE_DEFICIT, counterparty=payer
        )
        value_account(parts, payer)
    return sum(taken.values())


def _profits(parts: VenueParts, user: int) -> dict[int, int]:
    """Return the unrealised profit of each perp at the mark."""
    return {
        inst: mul_div_reference(lots, parts.mark_e8(inst), parts.mark_dens[inst], NEAREST)
        - parts.exchange.ledger.entry_costs[inst, user]
        for inst, lots in parts.perps(user).items()
    }


def _account_score(parts: VenueParts, user: int) -> float:
    entry_usd = notional_usd = 0.0
    for inst, lots in parts.perps(user).items():
        lot_size = parts.exchange.instruments[inst].lot_size
        entry_usd += abs(float(parts.exchange.ledger.entry_costs[inst, user])) / 1e6
        notional_usd += float(abs(lots)) * lot_size * parts.mark_usd(inst)
    profit_usd = float(sum(_profits(parts, user).values())) / 1e6
    return score(
        parts,
        gain=(entry_usd + profit_usd) / entry_usd if entry_usd > 0.0 else 0.0,
        profit_usd=profit_usd,
        entry_usd=entry_usd,
        notional_usd=notional_usd,
        equity_usd=parts.valuations[user].equity_usd,
    )
