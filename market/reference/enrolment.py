"""Account modes again, as time passes: volume that is forgotten, accounts that grow too large."""

from __future__ import annotations

from stressbook.market.numbers.units import round_nearest
from stressbook.market.reference.parts import VenueParts
from stressbook.market.state.codes import EV_LEFT_PORTFOLIO, MODE_UNIFIED, VALUE_MAX_LEAVES

__all__ = ["forget_volume", "send_off_too_large"]


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
        if is_too_large and parts.desk.is_idle(parts.exchange, user):
            participant.has_portfolio_regime = participant.enrolled = False
            participant.account_mode = MODE_UNIFIED
            parts.log(t_ms, EV_LEFT_PORTFOLIO, user, amount_micro=round_nearest(value_micro))
