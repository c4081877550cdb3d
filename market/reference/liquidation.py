"""What becomes of perps that are lost again, as the rules read: orders, or a hand-over."""

from __future__ import annotations

from stressbook.market.numbers.units import round_down
from stressbook.market.reference.backstop import pay_backstop
from stressbook.market.reference.forced import emit_forced
from stressbook.market.reference.marginal import freed_by_closing_usd, maintenance_after_usd
from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.selection import is_handed_over, plan
from stressbook.market.reference.takeover import take_perp
from stressbook.market.reference.valuation import backing_usd, value_account
from stressbook.market.state.codes import (
    BUY,
    CAUSE_FORCED_TRADE,
    EV_FORCED_ORDER,
    FORCED,
    PRICE_FILLABLE,
    PRICE_SLIPPAGE,
    REDUCE_ONLY,
    SELL,
)

__all__ = ["liquidate_perps"]


def liquidate_perps(parts: VenueParts, user: int, t_ms: int) -> None:
    """Have an account lose what is planned of each perp."""
    held, wanted = parts.perps(user), plan(parts, user, t_ms)
    if is_handed_over(parts):
        _give_planned(parts, user, wanted, t_ms)
        return
    for inst, lots in wanted.items():
        side = SELL if held[inst] > 0 else BUY
        bound_usd = None
        if parts.rules.price_policy == PRICE_FILLABLE:
            bound_usd = _fillable_usd(parts, user, inst)
        elif parts.rules.price_policy != PRICE_SLIPPAGE:
            parts.has_unknown_policy = True
            continue
        emit_forced(
            parts,
            user,
            inst,
            side=side,
            lots=lots,
            flags=FORCED | REDUCE_ONLY,
            bound_usd=bound_usd,
        )
        parts.log(
            t_ms,
            EV_FORCED_ORDER,
            user,
            inst=inst,
            lots=-lots if side == SELL else lots,
            price_e8=parts.mark_e8(inst),
            cause=CAUSE_FORCED_TRADE,
        )


def _fillable_usd(parts: VenueParts, user: int, inst: int) -> float:
    """Return the mark, and for a distressed account a part of its requirement worse."""
    lots, rules = parts.exchange.ledger.perp(user, inst), parts.rules
    size = float(lots) * parts.exchange.instruments[inst].lot_size
    left = backing_usd(parts, user) / parts.valuations[user].maintenance_usd
    distress = min(max(rules.fillable_adjustment * (1.0 - left), 0.0), 1.0)
    needed_usd = freed_by_closing_usd(parts, user, inst)
    value_usd = size * parts.mark_usd(inst)
    return (value_usd - distress * rules.fillable_spread_frac * needed_usd) / size


def _give_planned(parts: VenueParts, user: int, wanted: dict[int, int], t_ms: int) -> None:
    """Give the backstop what is planned at the mark, with the penalty on what is set free."""
    held = parts.perps(user)
    lost = {inst: lots if held[inst] > 0 else -lots for inst, lots in wanted.items()}
    left_usd = maintenance_after_usd(parts, user, {inst: -lots for inst, lots in lost.items()})
    freed_usd = max(0.0, parts.valuations[user].maintenance_usd - left_usd)
    for inst, lots in lost.items():
        take_perp(parts, user, inst, lots, t_ms)
    equity_usd = max(0.0, parts.valuations[user].equity_usd)
    penalty_usd = min(parts.rules.penalty_frac * freed_usd, equity_usd)
    pay_backstop(parts, user, round_down(penalty_usd * 1e6), t_ms)
    value_account(parts, parts.rows.backstop)
    value_account(parts, user)
