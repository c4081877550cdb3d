"""What the venue asks of an order apart from its margin, again, as the rules read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from stressbook.market.codes import (
    ACCEPTED,
    FORCED,
    IOC,
    PLACEBO,
    R_ORDER_TOO_LARGE,
    R_ORDER_TOO_SMALL,
    TWAP,
)
from stressbook.market.reference.records import Message
from stressbook.market.state import VenueState

if TYPE_CHECKING:
    from stressbook.market.reference.match import ReferenceExchange

__all__ = ["BookRules", "OrderRules", "order_rules_of"]


class BookRules(NamedTuple):
    """Rules of one book: fields of `state.INSTRUMENT`."""

    market_order_max_micro: int
    limit_order_max_micro: int


@dataclass
class OrderRules:
    """What an order has to satisfy beside its form and its margin.

    Parameters
    ----------
    books : list of BookRules
        By instrument; without any, every order passes.
    order_min_micro : int
        Least value of an order.
    """

    books: list[BookRules]
    order_min_micro: int = 0

    def refusal(self, exchange: ReferenceExchange, order: Message, *, lots: int) -> int:
        """Return why an order of so many lots is refused; the venue's and a study's pass."""
        if order.flags & (FORCED | TWAP | PLACEBO) or not self.books:
            return ACCEPTED
        return self._size_refusal(exchange, order, lots)

    def _size_refusal(self, exchange: ReferenceExchange, order: Message, lots: int) -> int:
        rules, bounds = exchange.instruments[order.inst], self.books[order.inst]
        value_micro = lots * order.price_tick * rules.k
        is_market_order = order.tif == IOC
        largest = bounds[0] if is_market_order else bounds[1]
        if largest and value_micro > largest:
            return R_ORDER_TOO_LARGE
        is_close = exchange.reducible_lots(order.user, order.inst, order.side) == lots
        if value_micro < self.order_min_micro and not (rules.is_perp and is_close):
            return R_ORDER_TOO_SMALL
        return ACCEPTED


def order_rules_of(v: VenueState) -> OrderRules:
    """Read the rules, and what they look at, out of a state."""
    return OrderRules(
        books=[BookRules(*(int(inst[name]) for name in BookRules._fields)) for inst in v.inst],
        order_min_micro=int(v.par[0].order_min_micro),
    )
