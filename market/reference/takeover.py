"""Takeovers again, as the rules read: perps with their margin, everything, a slice of a loan."""

from __future__ import annotations

from stressbook.market.numbers.units import FLOOR, NEAREST, round_down, round_up
from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.units import mul_div_reference
from stressbook.market.state.codes import (
    CAUSE_TAKEOVER,
    EV_SLICE,
    EV_TAKEOVER_ALL,
    EV_TAKEOVER_PERPS,
)

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
    margin = parts.cash(user) - parts.debt(user) - parts.token_debt_micro(user)
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
    in_tokens = parts.token_debt_micro(user)
    if perps_too:
        take_perps(parts, user, t_ms)
    for token, rules in enumerate(parts.desk.tokens[1:], start=1):
        units = ledger.token(user, token)
        if rules.ltv > 0.0 and units > 0:
            ledger.move_token(user, backstop, token, units, cause=CAUSE_TAKEOVER)
    for token in parts.desk.token_reserves:
        units = parts.token_debt(user, token)
        parts.move_token_debt(user, backstop, token, units, cause=CAUSE_TAKEOVER, t_ms=t_ms)
    debt = parts.debt(user)
    margin = parts.cash(user) + parts.perp_value_micro(user)
    parts.move_debt(user, backstop, debt, cause=CAUSE_TAKEOVER)
    parts.backstop.assumed_micro += debt
    parts.move_claim(user, backstop, parts.supply(user), cause=CAUSE_TAKEOVER)
    ledger.move_cash(user, backstop, margin, cause=CAUSE_TAKEOVER)
    owed = debt + max(-margin, 0) + in_tokens
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
    owed_usdc = parts.debt(user) + max(-parts.cash(user), 0)
    owed = owed_usdc + parts.token_debt_micro(user)
    if owed == 0:
        return
    if me.slice_micro == 0 or parts.rules.slice_of_remaining:
        share = mul_div_reference(owed, parts.rules.slice_frac_e6, 10**6, NEAREST)
        me.slice_micro = max(share, 1)
    slice_micro = min(me.slice_micro, owed)
    slice_micro -= _take_token_debts(parts, user, slice_micro, t_ms)
    slice_micro, owed = min(slice_micro, owed_usdc), owed_usdc
    if slice_micro <= 0:
        return
    for token, weight in _shares(parts, user).items():
        part = min(round_up(float(slice_micro) * weight), owed)
        owed -= _take_part(parts, user, token, part, t_ms)


def _shares(parts: VenueParts, user: int) -> dict[int, float]:
    """Return the share of each collateral in the value of all."""
    values = {token: _value_usd(parts, user, token) for token in parts.collateral(user)}
    total_usd = 0.0
    for value_usd in values.values():
        total_usd += value_usd
    return {token: value_usd / total_usd for token, value_usd in values.items()}


def _take_token_debts(parts: VenueParts, user: int, slice_micro: int, t_ms: int) -> int:
    """Take debts of tokens over for cash, then for collateral; return the value of what was."""
    left = slice_micro
    for token in parts.desk.token_reserves:
        owed = parts.token_debt(user, token)
        if owed <= 0 or left <= 0:
            continue
        part = min(left, parts.worth_micro(token, owed))
        taken = _take_for_cash(parts, user, token, part, t_ms)
        if taken < part:
            rest = part - taken
            for other, share in _shares(parts, user).items():
                if part > taken:
                    piece = min(round_up(float(rest) * share), part - taken)
                    piece = _take_collateral(parts, user, other, piece, t_ms)
                    _hand_over(parts, user, token, piece, t_ms)
                    taken += piece
        left -= taken
    return slice_micro - left


def _take_for_cash(parts: VenueParts, user: int, token: int, part_micro: int, t_ms: int) -> int:
    cash = max(0, parts.cash(user))
    have = cash + parts.supply(user)
    if have <= 0:
        return 0
    part_usd = float(part_micro) / 1e6
    paid = round_up(part_usd / _discounted(parts, token, 1.0, part_usd) * 1e6)
    if paid > have:
        part_micro = mul_div_reference(part_micro, have, paid, FLOOR)
        paid = have
    ledger, backstop = parts.exchange.ledger, parts.rows.backstop
    ledger.move_cash(user, backstop, min(paid, cash), cause=CAUSE_TAKEOVER)
    parts.move_claim(user, backstop, paid - min(paid, cash), cause=CAUSE_TAKEOVER)
    _hand_over(parts, user, token, part_micro, t_ms)
    return part_micro


def _hand_over(parts: VenueParts, user: int, token: int, value_micro: int, t_ms: int) -> None:
    """Move the tokens owed that a value stands for, rounded down, all of them at their worth."""
    rules, owed = parts.desk.tokens[token], parts.token_debt(user, token)
    price_usd = parts.desk.assets[rules.asset].borrow_oracle_usd
    units = min(owed, round_down(float(value_micro) / 1e6 / price_usd * float(rules.unit)))
    if value_micro >= parts.worth_micro(token, owed):
        units = owed
    backstop = parts.rows.backstop
    parts.move_token_debt(user, backstop, token, units, cause=CAUSE_TAKEOVER, t_ms=t_ms)


def _discounted(parts: VenueParts, token: int, price_usd: float, part_usd: float) -> float:
    """Return a price less the discount of a slice: it grows with the part, up to a width."""
    width_usd = 0.0 if parts.rules.slice_full_discount else parts.widths_usd[token]
    depth = part_usd / width_usd if part_usd < width_usd else 1.0
    return price_usd * (1.0 - (1.0 - parts.desk.tokens[token].ltv) / 3.0 * depth)


def _take_part(parts: VenueParts, user: int, token: int, part_micro: int, t_ms: int) -> int:
    """Take tokens for a part of what is owed in USDC; return what of it was taken."""
    ledger, backstop = parts.exchange.ledger, parts.rows.backstop
    part_micro = _take_collateral(parts, user, token, part_micro, t_ms)
    from_debt = min(part_micro, parts.debt(user))
    parts.move_debt(user, backstop, from_debt, cause=CAUSE_TAKEOVER)
    parts.backstop.assumed_micro += from_debt
    ledger.move_cash(backstop, user, part_micro - from_debt, cause=CAUSE_TAKEOVER)
    return part_micro


def _take_collateral(parts: VenueParts, user: int, token: int, part_micro: int, t_ms: int) -> int:
    """Take tokens at a discount, never more than there are."""
    ledger, backstop = parts.exchange.ledger, parts.rows.backstop
    rules = parts.desk.tokens[token]
    part_usd = float(part_micro) / 1e6
    oracle_usd = parts.desk.assets[rules.asset].borrow_oracle_usd
    price_usd = _discounted(parts, token, oracle_usd, part_usd)
    units = round_down(part_usd / price_usd * float(rules.unit))
    have = ledger.token(user, token)
    if units > have:
        part_micro = mul_div_reference(part_micro, have, units, FLOOR)
        units = have
    ledger.move_token(user, backstop, token, units, cause=CAUSE_TAKEOVER)
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
    owned = max(0, parts.exchange.ledger.token(row, token) - parts.token_debt(row, token))
    units = float(owned) / float(rules.unit)
    return units * parts.desk.assets[rules.asset].borrow_oracle_usd
