"""Messages that are no orders, under margin: what comes, leaves, is lent, and leverage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stressbook.market.numbers.units import round_down
from stressbook.market.reference.enrolment import enrol
from stressbook.market.reference.margin import MarginAccount
from stressbook.market.reference.pockets import transfer_margin
from stressbook.market.reference.records import Message
from stressbook.market.reference.requests import deposit, refusal_of_amount, withdraw
from stressbook.market.state.codes import (
    ACCEPTED,
    CAUSE_REDEEM,
    CAUSE_SUPPLY,
    OP_DEPOSIT,
    OP_ENROL,
    OP_LEVERAGE,
    OP_REDEEM,
    OP_SUPPLY,
    OP_TRANSFER,
    OP_WITHDRAW,
    R_BAD_INSTRUMENT,
    R_BAD_LEVERAGE,
    R_BAD_QUANTITY,
    R_BAD_TOKEN,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    R_NOT_SUPPORTED,
    SELL,
)

if TYPE_CHECKING:
    from stressbook.market.reference.margin_desk import MarginDesk
    from stressbook.market.reference.match import ReferenceExchange

__all__ = ["answer"]


def answer(desk: MarginDesk, exchange: ReferenceExchange, message: Message) -> int:
    """Do what is no order, whole, or return why not."""
    answers = {
        OP_DEPOSIT: _deposit,
        OP_WITHDRAW: _withdraw,
        OP_SUPPLY: _supply,
        OP_REDEEM: _redeem,
        OP_ENROL: enrol,
        OP_LEVERAGE: _set_leverage,
        OP_TRANSFER: transfer_margin,
    }
    if message.op not in answers:
        return R_NOT_SUPPORTED
    return answers[message.op](desk, exchange, message)


def _deposit(desk: MarginDesk, exchange: ReferenceExchange, message: Message) -> int:
    code = refusal_of_amount(exchange, message, n_tokens=len(desk.tokens), outside=desk.outside)
    if code == ACCEPTED:
        deposit(exchange, message, outside=desk.outside)
    return code


def _withdraw(desk: MarginDesk, exchange: ReferenceExchange, message: Message) -> int:
    code = refusal_of_amount(exchange, message, n_tokens=len(desk.tokens), outside=desk.outside)
    if code == ACCEPTED and desk.admission_on:
        code = _refusal_of_withdrawal(desk, exchange, message)
    if code == ACCEPTED:
        withdraw(exchange, message, outside=desk.outside)
        is_portfolio = exchange.users[message.user].has_portfolio_regime
        if message.inst == 0 and desk.admission_on and is_portfolio:
            desk.draw_needed_debt(exchange, message.user)
    return code


def _refusal_of_withdrawal(desk: MarginDesk, exchange: ReferenceExchange, message: Message) -> int:
    user, token, units = message.user, message.inst, message.qty_lots
    if token > 0:
        return _refusal_of_leaving(desk, exchange, user, token, units)
    free = round_down(desk.account(exchange, user).withdrawable_usd(desk.reserve) * 1e6)
    return ACCEPTED if units <= free else R_INSUFFICIENT_BALANCE


def _refusal_of_leaving(
    desk: MarginDesk, exchange: ReferenceExchange, user: int, token: int, units: int
) -> int:
    """Keep what is on offer or borrowed, and collateral above what it secures."""
    account = desk.account(exchange, user)
    on_offer = sum(
        exchange.orders.open_lots(user, inst, SELL) * rules.lot_units
        for inst, rules in enumerate(exchange.instruments)
        if not rules.is_perp and rules.token == token
    )
    held = exchange.ledger.token(user, token)
    if units > min(held - on_offer, held - desk.owed_units(user, token)):
        return R_INSUFFICIENT_BALANCE
    is_pledged = account.owes() or account.is_judged_as_portfolio()
    if account.has_portfolio_regime and is_pledged and desk.tokens[token].ltv > 0.0:
        account.tokens[token - 1].units -= units  # as if it were gone
        if _lacks_transfer_margin(desk, account):
            return R_INSUFFICIENT_MARGIN
    return ACCEPTED


def _lacks_transfer_margin(desk: MarginDesk, account: MarginAccount) -> bool:
    """Tell whether less is left than a transfer must leave, the floor of notional in it."""
    if account.is_judged_as_portfolio():
        return account.available_usd(desk.reserve) < 0.0
    return account.cross_equity_usd() < account.bound_usd()


def _supply(desk: MarginDesk, exchange: ReferenceExchange, message: Message) -> int:
    user, amount = message.user, message.qty_lots
    if message.inst != 0:
        return _supply_tokens(desk, exchange, user, message.inst, amount)
    spare = round_down(desk.account(exchange, user).spare_usd() * 1e6)
    code = desk.reserve.supply(row=user, amount=amount, spare=spare)
    if code == ACCEPTED:
        exchange.ledger.move_cash(user, desk.pool, amount, cause=CAUSE_SUPPLY)
    return code


def _redeem(desk: MarginDesk, exchange: ReferenceExchange, message: Message) -> int:
    user, amount = message.user, message.qty_lots
    if message.inst != 0:
        return _redeem_tokens(desk, exchange, user, message.inst, amount)
    code = desk.reserve.redeem(row=user, amount=amount)
    if code == ACCEPTED:
        exchange.ledger.move_cash(desk.pool, user, amount, cause=CAUSE_REDEEM)
    return code


def _supply_tokens(
    desk: MarginDesk, exchange: ReferenceExchange, user: int, token: int, amount: int
) -> int:
    if not desk.is_lent(token):
        return R_BAD_TOKEN
    if amount <= 0:
        return R_BAD_QUANTITY
    code = _refusal_of_leaving(desk, exchange, user, token, amount)
    if code == ACCEPTED:
        code = desk.token_reserves[token].supply(row=user, amount=amount)
    if code == ACCEPTED:
        pool = desk.pool + token
        exchange.ledger.move_token(user, pool, token, amount, cause=CAUSE_SUPPLY)
    return code


def _redeem_tokens(
    desk: MarginDesk, exchange: ReferenceExchange, user: int, token: int, amount: int
) -> int:
    own = desk.token_reserves.get(token)
    if own is None or not (own.borrowable or own.supplies.get(user, 0)):
        return R_BAD_TOKEN
    code = own.redeem(row=user, amount=amount)
    if code == ACCEPTED:
        pool = desk.pool + token
        exchange.ledger.move_token(pool, user, token, amount, cause=CAUSE_REDEEM)
    return code


def _set_leverage(desk: MarginDesk, exchange: ReferenceExchange, message: Message) -> int:
    inst, leverage = message.inst, message.qty_lots
    if not 0 <= inst < len(exchange.instruments) or not exchange.instruments[inst].is_perp:
        return R_BAD_INSTRUMENT
    if not 1 <= leverage <= exchange.instruments[inst].max_leverage:
        return R_BAD_LEVERAGE
    chosen = exchange.users[message.user].leverage
    former, chosen[inst] = chosen[inst], leverage
    needs_more = leverage < former and desk.admission_on
    if needs_more and desk.account(exchange, message.user).available_usd(desk.reserve) < 0.0:
        chosen[inst] = former
        return R_INSUFFICIENT_MARGIN
    exchange.users[exchange.row_of(message.user, inst)].leverage[inst] = leverage
    return ACCEPTED
