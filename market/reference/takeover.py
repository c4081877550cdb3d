"""Takeovers again, as the rules read: perps with their margin, everything, a slice of a loan."""

from __future__ import annotations

from stressbook.market.codes import (
    CAUSE_TAKEOVER,
    EV_SLICE,
    EV_TAKEOVER_ALL,
    EV_TAKEOVER_PERPS,
)
from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.units import mul_div_reference
from stressbook.market.units import FLOOR, NEAREST, round_down, round_up

__all__ = ["loan_threshold_usd", "take_everything", "take_perp", "take_perps", "take_slice"]


def loan_threshold_usd(parts: VenueParts, row: int, *, full: bool) -> float:
    """Return what an account may owe before everything is taken, or a part."""
    total = 0.0
    for token in parts.collateral(row):
        ltv = parts.desk.tokens[token].ltv
        share = (2.0 + ltv) / 3.0 if full else (1.0 + ltv) / 2.0
        total += _value_usd(parts, row, token) * share
    return total


def take_perp(parts: VenueParts, user: int, inst: int, lots: int, t_ms: int) -> None:
    """Move a perp, or a part of it, at the mark."""
    mark_e8, backstop = parts.mark_e8(inst), parts.rows.backstop
    paid = parts.exchange.ledger.hand_over(
        user,
        backstop,
        inst,
        lots=lots,
        price_e8=mark_e8,
        mark_den=parts.mark_dens[inst],
        cause=CAUSE_TAKEOVER,
    )
    parts.backstop.perp_cash_micro -= paid
    parts.log(
        t_ms,
        EV_TAKEOVER_PERPS,
        user,
        inst=inst,
        lots=lots,
        price_e8=mark_e8,
        amount_micro=paid,
        cause=CAUSE_TAKEOVER,
        counterparty=backstop,
    )


def take_perps(parts: VenueParts, user: int, t_ms: int) -> None:
    """Move perps at the mark, and the margin behind them: net USDC, what is lent last."""
    ledger, backstop = parts.exchange.ledger, parts.rows.backstop
    for inst, lots in parts.perps(user).items():
        take_perp(parts, user, inst, lots, t_ms)
    margin = parts.cash(user) - parts.debt(user)
    if parts.valuations[user].is_portfolio:
        margin += parts.supply(user)
    if margin > 0:
        own = min(margin, max(parts.cash(user), 0))
        ledger.move_cash(user, backstop, own, cause=CAUSE_TAKEOVER)
        parts.move_claim(user, backstop, margin - own, cause=CAUSE_TAKEOVER)
        parts.backstop.perp_cash_micro += margin


def take_everything(parts: VenueParts, user: int, t_ms: int, *, perps_too: bool) -> None:
    """Move collateral, debt and all margin; perps that stay are worth nothing at the mark."""
    ledger, backstop = parts.exchange.ledger, parts.rows.backstop
    if perps_too:
        take_perps(parts, user, t_ms)
    for token, units in parts.collateral(user).items():
        ledger.move_token(user, backstop, token, units, cause=CAUSE_TAKEOVER)
    debt = parts.debt(user)
    margin = parts.cash(user) + parts.perp_value_micro(user)
    parts.move_debt(user, backstop, debt, cause=CAUSE_TAKEOVER)
    parts.backstop.assumed_micro += debt
    parts.move_claim(user, backstop, parts.supply(user), cause=CAUSE_TAKEOVER)
    ledger.move_cash(user, backstop, margin, cause=CAUSE_TAKEOVER)
    owed = debt + max(-margin, 0)
    parts.log(
        t_ms,
        EV_TAKEOVER_ALL,
        user,
        amount_micro=owed,
        cause=CAUSE_TAKEOVER,
        counterparty=backstop,
    )


def take_slice(parts: VenueParts, user: int, t_ms: int) -> None:
    """Take a share of what is owed at the first slice, split over collaterals by value."""
    me = parts.standings[user]
    owed = parts.debt(user) + max(-parts.cash(user), 0)
    if owed == 0:
        return
    if me.slice_micro == 0 or parts.rules.slice_of_remaining:
        share = mul_div_reference(owed, parts.rules.slice_frac_e6, 10**6, NEAREST)
        me.slice_micro = max(share, 1)
    slice_micro = min(me.slice_micro, owed)
    values = {token: _value_usd(parts, user, token) for token in parts.collateral(user)}
    total_usd = 0.0
    for value_usd in values.values():
        total_usd += value_usd
    for token, value_usd in values.items():
        part = min(round_up(float(slice_micro) * (value_usd / total_usd)), owed)
        owed -= _take_part(parts, user, token, part, t_ms)


def _take_part(parts: VenueParts, user: int, token: int, part_micro: int, t_ms: int) -> int:
    """Take tokens at a discount that grows with the part, never more than there are."""
    ledger, backstop = parts.exchange.ledger, parts.rows.backstop
    rules = parts.desk.tokens[token]
    part_usd = float(part_micro) / 1e6
    width_usd = 0.0 if parts.rules.slice_full_discount else parts.widths_usd[token]
    depth = part_usd / width_usd if part_usd < width_usd else 1.0
    oracle_usd = parts.desk.assets[rules.asset].borrow_oracle_usd
    price_usd = oracle_usd * (1.0 - (1.0 - rules.ltv) / 3.0 * depth)
    units = round_down(part_usd / price_usd * float(rules.unit))
    have = ledger.token(user, token)
    if units > have:
        part_micro = mul_div_reference(part_micro, have, units, FLOOR)
        units = have
    from_debt = min(part_micro, parts.debt(user))
    ledger.move_token(user, backstop, token, units, cause=CAUSE_TAKEOVER)
    parts.move_debt(user, backstop, from_debt, cause=CAUSE_TAKEOVER)
    parts.backstop.assumed_micro += from_debt
    ledger.move_cash(backstop, user, part_micro - from_debt, cause=CAUSE_TAKEOVER)
    parts.log(
        t_ms,
        EV_SLICE,
        user,
        inst=token,
        lots=units,
        price_e8=parts.prices[rules.asset].borrow_oracle_e8,
        amount_micro=part_micro,
        cause=CAUSE_TAKEOVER,
        counterparty=backstop,
    )
    return part_micro


def _value_usd(parts: VenueParts, row: int, token: int) -> float:
    rules = parts.desk.tokens[token]
    units = float(parts.exchange.ledger.token(row, token)) / float(rules.unit)
    return units * parts.desk.assets[rules.asset].borrow_oracle_usd
