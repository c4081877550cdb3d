"""Messages that are no orders again, as the rules read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from stressbook.market.numbers.units import BALANCE_MAX
from stressbook.market.reference.records import Message
from stressbook.market.state.codes import (
    ACCEPTED,
    CAUSE_DEPOSIT,
    CAUSE_OWN_MOVE,
    CAUSE_WITHDRAWAL,
    OP_DEPOSIT,
    OP_WITHDRAW,
    OWN_MOVE,
    R_BAD_QUANTITY,
    R_BAD_TOKEN,
    R_NOT_SUPPORTED,
)

if TYPE_CHECKING:
    from stressbook.market.reference.book import RestingOrder
    from stressbook.market.reference.match import ReferenceExchange

__all__ = ["Desk", "NoMargin", "deposit", "refusal_of_amount", "withdraw"]


class Desk(Protocol):
    """Who lets orders through, and answers messages that are no orders."""

    def is_near_oracle(self, exchange: ReferenceExchange, order: Message) -> bool:
        """Tell whether the price of an order lies within the price band."""

    def mark_usd(self, asset: int) -> float:
        """Return the mark of an underlying."""

    def admit(self, exchange: ReferenceExchange, order: Message, *, lots: int) -> int:
        """Return `ACCEPTED` or why an order lacks margin."""

    def fill_keeps_margin(
        self, exchange: ReferenceExchange, order: RestingOrder, *, lots: int
    ) -> bool:
        """Tell whether a resting order still has its margin at the match."""

    def answer(self, exchange: ReferenceExchange, message: Message) -> int:
        """Do what is no order, whole, or return why not."""


class NoMargin:
    """A desk without margin: every order passes, and cash comes and goes freely.

    Parameters
    ----------
    outside : int
        Row that deposits come from.
    n_tokens : int
        Number of tokens, USDC in.
    """

    def __init__(self, *, outside: int = -2, n_tokens: int = 1) -> None:
        self.outside = outside
        self.n_tokens = n_tokens

    def is_near_oracle(self, exchange: ReferenceExchange, order: Message) -> bool:
        """Know of no oracle."""
        return True

    def mark_usd(self, asset: int) -> float:
        """Return nothing that margin could be taken from."""
        return 0.0 * asset

    def admit(self, exchange: ReferenceExchange, order: Message, *, lots: int) -> int:
        """Accept."""
        return ACCEPTED

    def fill_keeps_margin(
        self, exchange: ReferenceExchange, order: RestingOrder, *, lots: int
    ) -> bool:
        """Agree."""
        return True

    def answer(self, exchange: ReferenceExchange, message: Message) -> int:
        """Do deposits and withdrawals."""
        if message.op not in (OP_DEPOSIT, OP_WITHDRAW):
            return R_NOT_SUPPORTED
        code = refusal_of_amount(exchange, message, n_tokens=self.n_tokens, outside=self.outside)
        if code == ACCEPTED:
            move = deposit if message.op == OP_DEPOSIT else withdraw
            move(exchange, message, outside=self.outside)
        return code


def refusal_of_amount(
    exchange: ReferenceExchange, message: Message, *, n_tokens: int, outside: int
) -> int:
    """Return why a transfer makes no sense; its token stands in `inst`."""
    if not 0 <= message.inst < n_tokens:
        return R_BAD_TOKEN
    if not 0 < message.qty_lots < BALANCE_MAX:
        return R_BAD_QUANTITY
    sign = 1 if message.op == OP_DEPOSIT else -1
    cause = _cause(message)
    is_held = all(
        exchange.ledger.has_room(row, message.inst, change, cause=cause)
        for row, change in (
            (message.user, sign * message.qty_lots),
            (outside, -sign * message.qty_lots),
        )
    )
    return ACCEPTED if is_held else R_BAD_QUANTITY


def _cause(message: Message) -> int:
    if message.flags & OWN_MOVE:
        return CAUSE_OWN_MOVE
    return CAUSE_DEPOSIT if message.op == OP_DEPOSIT else CAUSE_WITHDRAWAL


def deposit(exchange: ReferenceExchange, message: Message, *, outside: int) -> None:
    """Bring cash or tokens in."""
    _move(exchange, outside, message.user, message, _cause(message))


def withdraw(exchange: ReferenceExchange, message: Message, *, outside: int) -> None:
    """Take cash or tokens out."""
    _move(exchange, message.user, outside, message, _cause(message))


def _move(
    exchange: ReferenceExchange, source: int, target: int, message: Message, cause: int
) -> None:
    if message.inst == 0:
        exchange.ledger.move_cash(source, target, message.qty_lots, cause=cause)
    else:
        exchange.ledger.move_token(source, target, message.inst, message.qty_lots, cause=cause)
