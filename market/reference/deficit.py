"""Deficits again, as the rules read: what a flat account cannot pay, and who bears it."""

from __future__ import annotations

from stressbook.market.codes import (
    ALLOCATE_PROFIT_HAIRCUT,
    BORNE_BY_RETAINED,
    BORNE_BY_SUPPLIERS,
    CAUSE_DEFICIT,
    CAUSE_REDEEM,
    EV_BREACH_ENDED,
    EV_DEFICIT,
    EV_WRITTEN_OFF,
)
from stressbook.market.reference.backstop import has_sold_out
from stressbook.market.reference.deleveraging import cut_profits
from stressbook.market.reference.insurance_fund import pay_from_fund
from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.socialising import socialise
from stressbook.market.reference.valuation import value_account

__all__ = ["end_breach", "settle_backstop", "settle_flat_rows"]


def settle_flat_rows(parts: VenueParts, t_ms: int) -> None:
    """Book the deficit of every account with nothing left to close or to take."""
    for user in range(len(parts.exchange.users)):
        if user == parts.rows.backstop or not _wants_settling(parts, user):
            continue
        if not parts.perps(user) and not parts.collateral(user):
            _settle(parts, user, t_ms)


def settle_backstop(parts: VenueParts, t_ms: int) -> None:
    """Book the deficit of the backstop once it has sold all, and its capital is spent."""
    user = parts.rows.backstop
    if _wants_settling(parts, user) and has_sold_out(parts):
        _settle(parts, user, t_ms)


def end_breach(parts: VenueParts, user: int, t_ms: int) -> None:
    """Note that an account is no longer in breach."""
    parts.exchange.users[user].breached = False
    parts.standings[user].slice_micro = 0
    parts.standings[user].next_slice_ms = 0
    parts.log(t_ms, EV_BREACH_ENDED, user)


def _wants_settling(parts: VenueParts, user: int) -> bool:
    return parts.cash(user) < parts.debt(user) or parts.exchange.users[user].breached


def _settle(parts: VenueParts, user: int, t_ms: int) -> None:
    ledger, treasury = parts.exchange.ledger, parts.rows.treasury
    parts.pay_from_own(user)
    _write_off(parts, user, t_ms)
    counts_lent = parts.exchange.users[user].has_portfolio_regime or user == parts.rows.backstop
    lent = min(parts.supply(user), -parts.cash(user))
    if counts_lent and lent > 0:
        parts.move_claim(user, treasury, lent, cause=CAUSE_REDEEM)
        ledger.move_cash(treasury, user, lent, cause=CAUSE_REDEEM)
    deficit = -parts.cash(user)
    if deficit > 0:
        left, rules = deficit, parts.rules
        left -= pay_from_fund(parts, user, left, CAUSE_DEFICIT, t_ms)
        cuts_profits = rules.allocate_policy == ALLOCATE_PROFIT_HAIRCUT and rules.adl_on
        if cuts_profits and left > 0:
            left -= cut_profits(parts, user, left, t_ms)
        if left > 0:
            left -= socialise(parts, user, left, t_ms)
        ledger.move_cash(treasury, user, left, cause=CAUSE_DEFICIT)
        parts.log(t_ms, EV_DEFICIT, user, amount_micro=deficit, cause=CAUSE_DEFICIT)
    value_account(parts, user)
    if parts.exchange.users[user].breached:
        end_breach(parts, user, t_ms)


def _write_off(parts: VenueParts, user: int, t_ms: int) -> None:
    """Let retained interest bear what is still owed, then suppliers pro rata."""
    owed = parts.debt(user)
    if owed <= 0:
        return
    reserve = parts.reserve
    retained, claim, supplies = reserve.retained, reserve.claim, dict(reserve.supplies)
    lost = reserve.write_off(row=user, amount=owed)
    kept = retained - reserve.retained
    parts.note_claim(user, owed, CAUSE_DEFICIT)
    parts.note_claim(parts.rows.pool, -kept, CAUSE_DEFICIT)
    parts.note_claim(parts.rows.rounding, reserve.claim - claim, CAUSE_DEFICIT)
    for lender, before in supplies.items():
        parts.note_claim(lender, reserve.supplies[lender] - before, CAUSE_DEFICIT)
    parts.retained_used += kept
    parts.supplier_loss += lost
    for amount, bearer in ((kept, BORNE_BY_RETAINED), (lost, BORNE_BY_SUPPLIERS)):
        if amount > 0:
            parts.log(t_ms, EV_WRITTEN_OFF, user, amount_micro=amount, cause=bearer)
