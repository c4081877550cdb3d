"""Isolated margin again, as the rules read: a pocket for each perp of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stressbook.market.numbers.units import BALANCE_MAX, CEIL, FLOOR, NEAREST, round_down, round_up
from stressbook.market.reference.records import Message
from stressbook.market.reference.units import mul_div_reference
from stressbook.market.state.codes import (
    ACCEPTED,
    CAUSE_ISOLATED_MARGIN,
    FROM_POCKET,
    R_BAD_INSTRUMENT,
    R_BAD_QUANTITY,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    R_NOT_SUPPORTED,
)

if TYPE_CHECKING:
    from stressbook.market.reference.margin_desk import MarginDesk
    from stressbook.market.reference.match import ReferenceExchange

__all__ = ["move_margin_of_trade", "pocket_equity_micro", "return_flat_pockets", "transfer_margin"]


def pocket_equity_micro(
    exchange: ReferenceExchange, row: int, inst: int, *, mark_usd: float
) -> int:
    """Return a pocket's cash and its perp at the mark, to the nearest unit."""
    rules = exchange.instruments[inst]
    mark_e8, mark_den = round(mark_usd * 1e8), rules.tick_e8 // rules.k
    value = mul_div_reference(exchange.ledger.perp(row, inst), mark_e8, mark_den, NEAREST)
    return exchange.ledger.cash(row) + value


def move_margin_of_trade(
    exchange: ReferenceExchange,
    user: int,
    inst: int,
    *,
    before: int,
    lots: int,
    cost_micro: int,
    fee_micro: int,
    mark_usd: float,
) -> None:
    """Free the margin of what a booked trade has closed, and bring in that of what it opened."""
    row, ledger = exchange.row_of(user, inst), exchange.ledger
    size = abs(lots)
    closed = min(size, abs(before)) if before * lots < 0 else 0
    if closed > 0:
        freed = max(pocket_equity_micro(exchange, row, inst, mark_usd=mark_usd), 0)
        if closed < abs(before):
            freed = mul_div_reference(freed, closed, abs(before), FLOOR)
        ledger.move_cash(row, user, freed, cause=CAUSE_ISOLATED_MARGIN)
    if size > closed:
        opened = mul_div_reference(abs(cost_micro), size - closed, size, CEIL)
        leverage = exchange.users[user].leverage[inst]
        needed = mul_div_reference(opened, 1, leverage, CEIL) + max(fee_micro, 0)
        moved = min(needed, max(ledger.cash(user), 0))
        ledger.move_cash(user, row, moved, cause=CAUSE_ISOLATED_MARGIN)


def return_flat_pockets(exchange: ReferenceExchange) -> None:
    """Give back what is left in pockets whose perp was closed by force."""
    for row, participant in enumerate(exchange.users):
        parent, inst, cash = participant.parent, participant.pocket_inst, exchange.ledger.cash(row)
        if parent >= 0 and cash > 0 and exchange.ledger.perp(row, inst) == 0:
            exchange.ledger.move_cash(row, parent, cash, cause=CAUSE_ISOLATED_MARGIN)


def transfer_margin(desk: MarginDesk, exchange: ReferenceExchange, message: Message) -> int:
    """Move cash into the pocket of a perp, or out of it down to what it must keep."""
    user, inst, micro = message.user, message.inst, message.qty_lots
    if not 0 <= inst < len(exchange.instruments) or not exchange.instruments[inst].is_perp:
        return R_BAD_INSTRUMENT
    row = exchange.row_of(user, inst)
    if row == user:
        return R_NOT_SUPPORTED
    if not 0 < micro < BALANCE_MAX:
        return R_BAD_QUANTITY
    if exchange.users[user].breached or exchange.users[row].breached:
        return R_IN_RESOLUTION
    source, target = (row, user) if message.flags & FROM_POCKET else (user, row)
    if not exchange.ledger.has_room(target, 0, micro, cause=CAUSE_ISOLATED_MARGIN):
        return R_BAD_QUANTITY
    if source == user:
        free = desk.account(exchange, user).withdrawable_usd(desk.reserve)
        if micro > round_down(free * 1e6):
            return R_INSUFFICIENT_BALANCE
    else:
        pocket = desk.account(exchange, row)
        floor = desk.rules.notional_floor_frac * pocket.gross_notional_usd()
        bound = round_up(max(pocket.initial_usd(), floor) * 1e6)
        mark = desk.mark_usd(exchange.instruments[inst].asset)
        if micro > pocket_equity_micro(exchange, row, inst, mark_usd=mark) - bound:
            return R_INSUFFICIENT_MARGIN
    exchange.ledger.move_cash(source, target, micro, cause=CAUSE_ISOLATED_MARGIN)
    return ACCEPTED
