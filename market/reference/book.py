"""One order book again, as the rules read: prices that hold queues.

It knows priority and who would trade with whom, nothing of money: `stressbook.market.reference.
match` books what happens here.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from stressbook.market.state.codes import BUY, REDUCE_ONLY

__all__ = ["Depth", "ReferenceBook", "RestingOrder"]

_BAND = 0.001  # 10 bp of the mid, each side


@dataclass(eq=False)
class RestingOrder:
    """An order that waits in a book."""

    user: int
    inst: int
    side: int
    price_tick: int
    lots: int
    flags: int = 0
    client_id: int = 0
    handle: int = 0
    sequence: int = 0

    @property
    def is_reduce_only(self) -> bool:
        """Whether it may only take off its owner's position."""
        return self.flags & REDUCE_ONLY != 0


@dataclass(frozen=True)
class Depth:
    """What a book looks like: best prices, and the USD that rest within 10 bp of the mid."""

    bid_tick: int | None
    ask_tick: int | None
    mid_usd: float | None
    spread_frac: float | None
    bid_depth_usd: float
    ask_depth_usd: float


@dataclass
class ReferenceBook:
    """Bids and asks of one instrument, price by price, oldest first.

    Parameters
    ----------
    k : int
        Micro-USDC of one lot at one tick.
    tick_usd : float
        USD of a tick.

    Examples
    --------
    >>> book = ReferenceBook(k=10_000, tick_usd=0.01)
    >>> book.join(RestingOrder(user=1, inst=0, side=BUY, price_tick=99, lots=5))
    >>> book.join(RestingOrder(user=2, inst=0, side=BUY, price_tick=99, lots=3))
    >>> book.first_to_meet(side=1, limit_tick=99).user, book.best(BUY), book.lots_at(BUY, 99)
    (1, 99, 8)
    """

    k: int
    tick_usd: float
    queues: tuple[dict[int, deque[RestingOrder]], dict[int, deque[RestingOrder]]] = field(
        default_factory=lambda: ({}, {})
    )

    def best(self, side: int) -> int | None:
        """Return the best price of a side, None if it is empty."""
        ticks = self.queues[side]
        if not ticks:
            return None
        return max(ticks) if side == BUY else min(ticks)

    def levels(self, side: int) -> list[tuple[int, int]]:
        """Return prices and their lots, best first."""
        ticks = sorted(self.queues[side], reverse=side == BUY)
        return [(tick, self.lots_at(side, tick)) for tick in ticks]

    def lots_at(self, side: int, tick: int) -> int:
        """Return what rests at a price."""
        return sum(order.lots for order in self.queues[side].get(tick, ()))

    def orders(self) -> Iterator[RestingOrder]:
        """Yield every order: bids then asks, prices upwards, oldest first."""
        for queues in self.queues:
            for tick in sorted(queues):
                yield from queues[tick]

    def first_to_meet(self, *, side: int, limit_tick: int) -> RestingOrder | None:
        """Return the order that an incoming one would meet first, None if there is none."""
        best = self.best(1 - side)
        if best is None:
            return None
        reaches = best <= limit_tick if side == BUY else best >= limit_tick
        return self.queues[1 - side][best][0] if reaches else None

    def in_reach(self, *, side: int, limit_tick: int) -> Iterator[RestingOrder]:
        """Yield the orders that an incoming one could meet, best price first, oldest first."""
        for tick, _ in self.levels(1 - side):
            if (tick - limit_tick) * (1 if side == BUY else -1) <= 0:
                yield from self.queues[1 - side][tick]

    def join(self, order: RestingOrder) -> None:
        """Put an order at the end of the queue of its price."""
        self.queues[order.side].setdefault(order.price_tick, deque()).append(order)

    def leave(self, order: RestingOrder) -> None:
        """Take an order out of its queue."""
        queue = self.queues[order.side][order.price_tick]
        queue.remove(order)
        if not queue:
            del self.queues[order.side][order.price_tick]

    def depth(self) -> Depth:
        """Return what the book looks like now."""
        bid, ask = self.best(BUY), self.best(1 - BUY)
        if bid is None or ask is None:
            return Depth(bid, ask, None, None, 0.0, 0.0)
        return Depth(
            bid_tick=bid,
            ask_tick=ask,
            mid_usd=0.5 * float(bid + ask) * self.tick_usd,
            spread_frac=2.0 * float(ask - bid) / float(bid + ask),
            bid_depth_usd=self.depth_usd_within(BUY, bid + ask, _BAND),
            ask_depth_usd=self.depth_usd_within(1 - BUY, bid + ask, _BAND),
        )

    def depth_usd_within(self, side: int, mid_tick2: int, frac: float) -> float:
        """Return the USD that one side holds within a fraction of the mid, at its own prices."""
        bound = frac * float(mid_tick2)
        lots_ticks = 0.0
        for tick, lots in self.levels(side):
            if float(abs(2 * tick - mid_tick2)) > bound:
                break
            lots_ticks += float(lots) * float(tick)
        return lots_ticks * float(self.k) / 1e6
