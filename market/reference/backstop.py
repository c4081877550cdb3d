"""The backstop again, as the rules read: it sells what it took over and repays what it assumed."""

from __future__ import annotations

from stressbook.market.reference.forced import emit_forced
from stressbook.market.reference.parts import VenueParts
from stressbook.market.state.codes import (
    BACKSTOP_FUND,
    BACKSTOP_NONE,
    BACKSTOP_VAULT,
    BUY,
    CAUSE_REPAY,
    CAUSE_TAKEOVER,
    CAUSE_TWAP_SALE,
    EV_BACKSTOP_USED,
    EV_LIQUIDATION_FEE,
    EV_SHORTFALL_PAID,
    FORCED,
    REDUCE_ONLY,
    SELL,
    TWAP,
)

__all__ = [
    "can_buy_back",
    "has_sold_out",
    "loss_limit_holds",
    "pay_backstop",
    "repay_assumed_debt",
    "sell_taken_over",
]


def loss_limit_holds(parts: VenueParts) -> bool:
    """Tell whether the backstop may take perps: it is on, and has equity left."""
    policy = parts.rules.backstop_policy
    if policy in (BACKSTOP_VAULT, BACKSTOP_FUND):
        return parts.valuations[parts.rows.backstop].equity_usd > 0.0
    parts.has_unknown_policy |= policy != BACKSTOP_NONE
    return False


def pay_backstop(parts: VenueParts, user: int, amount: int, t_ms: int) -> None:
    """Book what goes to the backstop beside positions at the mark; below zero it pays."""
    if amount == 0:
        return
    backstop = parts.rows.backstop
    parts.exchange.ledger.move_cash(user, backstop, amount, cause=CAUSE_TAKEOVER)
    parts.backstop.perp_cash_micro += amount
    kind = EV_LIQUIDATION_FEE if amount > 0 else EV_SHORTFALL_PAID
    parts.log(
        t_ms,
        kind,
        user,
        amount_micro=abs(amount),
        cause=CAUSE_TAKEOVER,
        counterparty=backstop,
    )


def holdings(parts: VenueParts) -> dict[int, int]:
    """Return what the backstop has to sell: instrument to whole lots."""
    user = parts.rows.backstop
    insts = range(len(parts.exchange.instruments))
    found = {inst: parts.exchange.position(user, inst) for inst in insts}
    return {inst: lots for inst, lots in found.items() if lots != 0}


def sell_taken_over(parts: VenueParts) -> None:
    """Send this update's part of the disposal, at least one lot of each; buy what is owed."""
    free_micro = _free_micro(parts)
    owed = parts.owed_tokens(parts.rows.backstop)
    held = holdings(parts)
    for inst, rules in enumerate(parts.exchange.instruments):
        if not rules.is_perp and rules.token in owed:
            lots = -(-owed[rules.token] // rules.lot_units)
            lots = max(1, int(float(lots) * parts.rules.twap_step_frac))
            lots = min(lots, _affordable_lots(parts, inst, free_micro))
            if lots > 0:
                emit_forced(parts, parts.rows.backstop, inst, side=BUY, lots=lots, flags=FORCED)
                free_micro -= int(float(lots) * _lot_cost_micro(parts, inst)) + 1
            continue
        rest = held.get(inst, 0)
        if not rules.is_perp and rest > 0:
            debt = parts.token_debt(parts.rows.backstop, rules.token)
            held_units = parts.exchange.ledger.token(parts.rows.backstop, rules.token)
            rest = (held_units - debt) // rules.lot_units
        if rest == 0:
            continue
        flags = FORCED | TWAP
        if rules.is_perp:
            flags |= REDUCE_ONLY
        side = SELL if rest > 0 else BUY
        lots = max(1, int(float(abs(rest)) * parts.rules.twap_step_frac))
        emit_forced(parts, parts.rows.backstop, inst, side=side, lots=lots, flags=flags)


def repay_assumed_debt(parts: VenueParts, t_ms: int) -> None:
    """Repay from what sales have brought; once every token is sold, from capital."""
    user = parts.rows.backstop
    me = parts.standings[user]
    parts.pay_token_debts(user)
    parts.set_off(user, most=parts.debt(user))
    free = parts.cash(user) + parts.perp_value_micro(user)
    sold = parts.exchange.ledger.flows[("cash", 0), user, CAUSE_TWAP_SALE]
    paid = parts.repay(user, min(sold - me.sales_used_micro, free))
    me.sales_used_micro += paid
    if parts.debt(user) == 0:
        me.sales_used_micro = sold
    elif not any(not parts.exchange.instruments[inst].is_perp for inst in holdings(parts)):
        used = parts.repay(user, free - paid)
        if used > 0:
            parts.backstop.used_micro += used
            parts.log(t_ms, EV_BACKSTOP_USED, user, amount_micro=used, cause=CAUSE_REPAY)


def has_sold_out(parts: VenueParts) -> bool:
    """Tell whether nothing is left of what the backstop took over."""
    return not holdings(parts)


def can_buy_back(parts: VenueParts) -> bool:
    """Tell whether the backstop has the cash for a lot of any token that it owes."""
    owed, free_micro = parts.owed_tokens(parts.rows.backstop), _free_micro(parts)
    return any(
        not rules.is_perp and rules.token in owed and _affordable_lots(parts, inst, free_micro) > 0
        for inst, rules in enumerate(parts.exchange.instruments)
    )


def _free_micro(parts: VenueParts) -> int:
    user = parts.rows.backstop
    return parts.cash(user) - parts.debt(user) + parts.perp_value_micro(user)


def _lot_cost_micro(parts: VenueParts, inst: int) -> float:
    """Return the most that a lot of a token costs the backstop, fee in."""
    rules, exchange = parts.exchange.instruments[inst], parts.exchange
    fee_frac = (
        float(exchange.fee_tiers[exchange.users[parts.rows.backstop].fee_tier].spot_taker_e7) / 1e7
    )
    most_usd = parts.desk.assets[rules.asset].oracle_usd * (1.0 + parts.rules.forced_slippage_frac)
    return rules.lot_size * most_usd * (1.0 + fee_frac) * 1e6


def _affordable_lots(parts: VenueParts, inst: int, free_micro: int) -> int:
    return int(float(max(0, free_micro)) / _lot_cost_micro(parts, inst))
