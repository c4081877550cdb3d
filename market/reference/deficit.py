"""Deficits again, as the rules read: what a flat account cannot pay, and who bears it."""

from __future__ import annotations

from stressbook.market.reference.backstop import can_buy_back, has_sold_out
from stressbook.market.reference.deleveraging import cut_profits
from stressbook.market.reference.insurance_fund import pay_from_fund
from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.socialising import socialise
from stressbook.market.reference.valuation import value_account
from stressbook.market.state.codes import (
    ALLOCATE_PROFIT_HAIRCUT,
    BORNE_BY_RETAINED,
    BORNE_BY_SUPPLIERS,
    CAUSE_DEFICIT,
    CAUSE_REDEEM,
    EV_BREACH_ENDED,
    EV_DEFICIT,
    EV_WRITTEN_OFF,
)

__all__ = ["end_breach", "settle_backstop", "settle_flat_rows"]


def settle_flat_rows(parts: VenueParts, t_ms: int) -> None:
    """Book the deficit of every account with nothing left to close or to take."""
    for user in range(len(parts.exchange.users)):
        if user == parts.rows.backstop or not _wants_settling(parts, user):
            continue
        has_loan = bool(parts.collateral(user)) or parts.backs_token_debt(user)
        if not parts.perps(user) and not has_loan:
            _settle(parts, user, t_ms)


def settle_backstop(parts: VenueParts, t_ms: int) -> None:
    """Book the deficit of the backstop once it has sold all, and its capital is spent."""
    user = parts.rows.backstop
    if parts.owed_tokens(user) and can_buy_back(parts):
        return
    if _wants_settling(parts, user) and has_sold_out(parts):
        _settle(parts, user, t_ms)


def end_breach(parts: VenueParts, user: int, t_ms: int) -> None:
    """Note that an account is no longer in breach."""
    parts.exchange.users[user].breached = False
    parts.standings[user].slice_micro = 0
    parts.standings[user].next_slice_ms = 0
    parts.standings[user].auction_from_ms = 0
    parts.log(t_ms, EV_BREACH_ENDED, user)


def _wants_settling(parts: VenueParts, user: int) -> bool:
    below = parts.cash(user) < parts.debt(user) or bool(parts.owed_tokens(user))
    return below or parts.exchange.users[user].breached


def _settle(parts: VenueParts, user: int, t_ms: int) -> None:
    ledger, treasury = parts.exchange.ledger, parts.rows.treasury
    counts_lent = user == parts.rows.backstop or parts.counts_lent_cash(user)
    parts.pay_from_own(user)
    _write_off(parts, user, t_ms)
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
    """Let retained interest bear what is still owed of each token, then its suppliers pro rata."""
    for token in range(len(parts.desk.tokens)):
        reserve = parts.reserve_of(token)
        owed = reserve.debts.get(user, 0)
        if owed <= 0:
            continue
        retained, claim, supplies = reserve.retained, reserve.claim, dict(reserve.supplies)
        lost = reserve.write_off(row=user, amount=owed)
        kept = retained - reserve.retained
        changes = [(user, owed), (parts.rows.pool + token, -kept)]
        changes.append((parts.rows.rounding, reserve.claim - claim))
        changes += [(row, reserve.supplies[row] - before) for row, before in supplies.items()]
        for row, amount in changes:
            parts.note_claim(row, amount, CAUSE_DEFICIT, token=token)
        for units, bearer in ((kept, BORNE_BY_RETAINED), (lost, BORNE_BY_SUPPLIERS)):
            if units > 0:
                _log_write_off(parts, user, token, units, bearer, t_ms)


def _log_write_off(
    parts: VenueParts, user: int, token: int, units: int, bearer: int, t_ms: int
) -> None:
    if token == 0:
        parts.log(t_ms, EV_WRITTEN_OFF, user, amount_micro=units, cause=bearer)
        return
    parts.log(
        t_ms,
        EV_WRITTEN_OFF,
        user,
        inst=token,
        lots=units,
        price_e8=parts.prices[parts.desk.tokens[token].asset].borrow_oracle_e8,
        amount_micro=parts.worth_micro(token, units),
        cause=bearer,
    )
