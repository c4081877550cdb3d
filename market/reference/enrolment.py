"""Account modes again: who may switch, volume that is forgotten, accounts that grow too large."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stressbook.market.numbers.units import round_nearest
from stressbook.market.reference.records import Message
from stressbook.market.state.codes import (
    ACCEPTED,
    EV_LEFT_PORTFOLIO,
    MODE_PORTFOLIO,
    MODE_STANDARD,
    MODE_UNIFIED,
    R_BAD_QUANTITY,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_MARGIN,
    R_NOT_ELIGIBLE,
    R_NOT_SUPPORTED,
    VALUE_MAX_LEAVES,
)

if TYPE_CHECKING:
    from stressbook.market.reference.margin_desk import MarginDesk
    from stressbook.market.reference.match import ReferenceExchange
    from stressbook.market.reference.parts import VenueParts

__all__ = ["enrol", "forget_volume", "send_off_too_large"]


def enrol(desk: MarginDesk, exchange: ReferenceExchange, message: Message) -> int:
    """Change the account mode, or return why not."""
    participant, mode = exchange.users[message.user], message.qty_lots
    if not MODE_STANDARD <= mode <= MODE_PORTFOLIO:
        return R_BAD_QUANTITY
    if participant.breached:
        return R_IN_RESOLUTION
    if mode == MODE_PORTFOLIO:
        if exchange.pockets:
            return R_NOT_SUPPORTED
        enters = not participant.has_portfolio_regime
        if enters and not (
            is_idle(exchange, message.user) and _is_eligible(desk, exchange, message)
        ):
            return R_NOT_ELIGIBLE
        participant.has_portfolio_regime = participant.enrolled = True
    elif participant.has_portfolio_regime:
        reserves = (desk.reserve, *desk.token_reserves.values())
        if any(each.debts.get(message.user, 0) != 0 for each in reserves):
            return R_NOT_ELIGIBLE
        participant.has_portfolio_regime = False
        if desk.account(exchange, message.user).available_usd(desk.reserve) < 0.0:
            participant.has_portfolio_regime = True
            return R_INSUFFICIENT_MARGIN
        participant.enrolled = False
    participant.account_mode = mode
    return ACCEPTED


def _is_eligible(desk: MarginDesk, exchange: ReferenceExchange, message: Message) -> bool:
    value_micro = desk.account(exchange, message.user).account_value_usd() * 1e6
    if value_micro >= float(desk.eligibility.value_max_micro):
        return False
    volume = exchange.users[message.user].volume_14d_micro
    has_value = value_micro > float(desk.eligibility.value_micro)
    return volume > desk.eligibility.volume_micro or has_value


def is_idle(exchange: ReferenceExchange, user: int) -> bool:
    """Tell whether a user has no perps, resting orders and waiting triggers."""
    waits = any(trigger.user == user for trigger in exchange.triggers)
    if waits or exchange.orders.of_user(user):
        return False
    perps = [inst for inst, rules in enumerate(exchange.instruments) if rules.is_perp]
    return all(exchange.position(user, inst) == 0 for inst in perps)


def forget_volume(parts: VenueParts) -> None:
    """Let a day of every user's traded volume fall out of the look-back."""
    for participant in parts.exchange.users:
        volume = participant.volume_14d_micro
        forgotten = volume * parts.desk.eligibility.forget_e9 // 10**9
        participant.volume_14d_micro = volume - forgotten


def send_off_too_large(parts: VenueParts, t_ms: int) -> None:
    """Have enrolled accounts beyond the largest value leave once idle, where the rules say so."""
    rules = parts.desk.eligibility
    if rules.value_max_later != VALUE_MAX_LEAVES:
        return
    for user, participant in enumerate(parts.exchange.users):
        account = parts.account(user)
        if not participant.has_portfolio_regime or participant.breached or account.owes():
            continue
        value_micro = account.account_value_usd() * 1e6
        is_too_large = value_micro >= float(rules.value_max_micro)
        if is_too_large and is_idle(parts.exchange, user):
            participant.has_portfolio_regime = participant.enrolled = False
            participant.account_mode = MODE_UNIFIED
            parts.log(t_ms, EV_LEFT_PORTFOLIO, user, amount_micro=round_nearest(value_micro))
