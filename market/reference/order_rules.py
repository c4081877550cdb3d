"""What the venue asks of an order apart from its margin, again, as the rules read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from stressbook.market.numbers.units import ON_THE_EDGE
from stressbook.market.reference.records import Message
from stressbook.market.state.codes import (
    ACCEPTED,
    FORCED,
    IOC,
    PLACEBO,
    R_OPEN_INTEREST_CAP,
    R_ORDER_TOO_LARGE,
    R_ORDER_TOO_SMALL,
    REDUCE_ONLY,
    TWAP,
)
from stressbook.market.state.records import VenueState

if TYPE_CHECKING:
    from stressbook.market.reference.match import ReferenceExchange

__all__ = ["BookRules", "OrderRules", "order_rules_of"]


class BookRules(NamedTuple):
    """Rules of one book, and the prices that they look at."""

    market_order_max_micro: int
    limit_order_max_micro: int
    open_interest_cap_usd: float
    mark_e8: int
    mark_usd: float
    oracle_usd: float
    is_halted: bool


@dataclass
class OrderRules:
    """What an order has to satisfy beside its form and its margin.

    Parameters
    ----------
    books : list of BookRules
        By instrument; without any, every order passes.
    order_min_micro : int
        Least value of an order.
    cap_rest_band_frac : float
        How far an order may rest from the oracle in a perp at its open-interest cap.
    backstop : int
        A user that caps do not bind.
    trigger_slippage_frac : float
        How far beyond its trigger a triggered market order may trade.
    """

    books: list[BookRules]
    order_min_micro: int = 0
    cap_rest_band_frac: float = 0.0
    backstop: int = -1
    trigger_slippage_frac: float = 0.0

    def is_halted(self, inst: int) -> bool:
        """Tell whether a book takes and matches no orders."""
        return 0 <= inst < len(self.books) and self.books[inst].is_halted

    def refusal(self, exchange: ReferenceExchange, order: Message, *, lots: int) -> int:
        """Return why an order of so many lots is refused; the venue's and a study's pass."""
        if order.flags & (FORCED | TWAP | PLACEBO) or not self.books:
            return ACCEPTED
        code = self._size_refusal(exchange, order, lots)
        return code if code != ACCEPTED else self._cap_refusal(exchange, order, lots)

    def _size_refusal(self, exchange: ReferenceExchange, order: Message, lots: int) -> int:
        rules, bounds = exchange.instruments[order.inst], self.books[order.inst]
        value_micro = lots * order.price_tick * rules.k
        is_market_order = order.tif == IOC
        largest = bounds.limit_order_max_micro
        if is_market_order:
            largest = bounds.market_order_max_micro
        if largest and value_micro > largest:
            return R_ORDER_TOO_LARGE
        is_close = exchange.reducible_lots(order.user, order.inst, order.side) == lots
        if value_micro < self.order_min_micro and not (rules.is_perp and is_close):
            return R_ORDER_TOO_SMALL
        return ACCEPTED

    def _cap_refusal(self, exchange: ReferenceExchange, order: Message, lots: int) -> int:
        if order.user == self.backstop or not self.is_at_cap(exchange, order.inst):
            return ACCEPTED
        oracle_usd = self.books[order.inst].oracle_usd
        tick_usd = exchange.instruments[order.inst].tick_usd
        distance_usd = abs(float(order.price_tick) * tick_usd - oracle_usd)
        is_far = distance_usd > self.cap_rest_band_frac * oracle_usd * ON_THE_EDGE
        if order.tif != IOC and is_far:
            return R_OPEN_INTEREST_CAP
        place = (order.user, order.inst, order.side)
        with_order = exchange.orders.open_lots(*place) + lots
        if order.flags & REDUCE_ONLY or with_order <= exchange.reducible_lots(*place):
            return ACCEPTED
        return R_OPEN_INTEREST_CAP

    def is_at_cap(self, exchange: ReferenceExchange, inst: int) -> bool:
        """Tell whether all longs of a perp are worth its cap, or more."""
        book = self.books[inst]
        if book.open_interest_cap_usd == 0.0:
            return False
        longs = exchange.ledger.open_interest(inst)
        held_usd = float(longs) * exchange.instruments[inst].lot_size * book.mark_usd
        return held_usd >= book.open_interest_cap_usd


def order_rules_of(v: VenueState) -> OrderRules:
    """Read the rules, and what they look at, out of a state."""
    return OrderRules(
        books=[_book_rules(v, inst) for inst in range(v.inst.shape[0])],
        order_min_micro=int(v.par[0].order_min_micro),
        cap_rest_band_frac=float(v.par[0].cap_rest_band_frac_e6) / 1e6,
        backstop=int(v.par[0].backstop_user),
        trigger_slippage_frac=float(v.par[0].trigger_slippage_frac),
    )


def _book_rules(v: VenueState, inst: int) -> BookRules:
    spec = v.inst[inst]
    price = v.price[int(spec.asset)]
    return BookRules(
        market_order_max_micro=int(spec.market_order_max_micro),
        limit_order_max_micro=int(spec.limit_order_max_micro),
        open_interest_cap_usd=float(spec.open_interest_cap_usd),
        mark_e8=int(price.mark_e8),
        mark_usd=float(price.mark_usd),
        oracle_usd=float(price.oracle_usd),
        is_halted=bool(v.dial[int(spec.asset)].halt > 0.0),
    )
