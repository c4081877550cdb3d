"""Resting orders again, as the rules read: by handle, by client id, by user."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from stressbook.market.reference.book import Depth, ReferenceBook, RestingOrder
from stressbook.market.reference.records import Instrument

__all__ = ["RestingOrders", "SlotList"]

_SLOTS = 2**24


@dataclass
class SlotList:
    """Slots that orders occupy while they rest, the one last freed first.

    Parameters
    ----------
    capacity : int
        How many there are.

    Examples
    --------
    >>> slots = SlotList(capacity=4)
    >>> first, second = slots.take(), slots.take()
    >>> slots.free(first)
    >>> divmod(slots.take(), 2**24), divmod(second, 2**24)
    ((2, 0), (1, 1))
    """

    capacity: int
    freed: list[int] = field(default_factory=list)
    n_used: int = 0
    generations: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))

    def is_full(self) -> bool:
        """Tell whether no order more can rest."""
        return not self.freed and self.n_used == self.capacity

    def take(self) -> int:
        """Return the handle of a new order."""
        if self.freed:
            slot = self.freed.pop()
        else:
            slot = self.n_used
            self.n_used += 1
        self.generations[slot] += 1
        return self.generations[slot] * _SLOTS + slot

    def free(self, handle: int) -> None:
        """Give back the slot of an order that has left."""
        self.freed.append(handle % _SLOTS)


class RestingOrders:
    """All books, and every way to find an order in them.

    Parameters
    ----------
    instruments : sequence of Instrument
        One book each.
    n_slots : int
        Orders that can rest at once.

    Examples
    --------
    >>> orders = RestingOrders([Instrument(kind=1, k=10_000, max_position_lots=10**6)], n_slots=4)
    >>> order = RestingOrder(user=7, inst=0, side=0, price_tick=99, lots=5, client_id=3)
    >>> orders.add(order) == orders.by_client_id[7, 3].handle, orders.open_lots(7, 0, 0)
    (True, 5)
    """

    def __init__(self, instruments: Sequence[Instrument], *, n_slots: int) -> None:
        self.instruments = instruments
        self.books = [ReferenceBook(k=i.k, tick_usd=i.tick_usd) for i in instruments]
        self.slots = SlotList(capacity=n_slots)
        self.by_handle: dict[int, RestingOrder] = {}
        self.by_client_id: dict[tuple[int, int], RestingOrder] = {}
        self.by_side: defaultdict[tuple[int, int, int], list[RestingOrder]] = defaultdict(list)
        self.n_added = 0

    def add(self, order: RestingOrder) -> int:
        """Let an order rest; return its handle."""
        self.n_added += 1
        order.sequence = self.n_added
        order.handle = self.slots.take()
        self.books[order.inst].join(order)
        self.by_handle[order.handle] = order
        self.by_side[order.user, order.inst, order.side].append(order)
        if order.client_id != 0:
            self.by_client_id[order.user, order.client_id] = order
        return order.handle

    def remove(self, order: RestingOrder) -> None:
        """Take an order out of its book."""
        self.books[order.inst].leave(order)
        self.by_side[order.user, order.inst, order.side].remove(order)
        del self.by_handle[order.handle]
        self.by_client_id.pop((order.user, order.client_id), None)
        self.slots.free(order.handle)

    def first_to_meet(self, *, inst: int, side: int, limit_tick: int) -> RestingOrder | None:
        """Return the order that an incoming one would meet first, None if there is none."""
        return self.books[inst].first_to_meet(side=side, limit_tick=limit_tick)

    def depths(self) -> list[Depth]:
        """Return what every book looks like now."""
        return [book.depth() for book in self.books]

    def of_user(self, user: int) -> list[RestingOrder]:
        """Return the orders of a user, newest first."""
        insts = range(len(self.books))
        own = [o for inst in insts for side in (0, 1) for o in self.by_side[user, inst, side]]
        return sorted(own, key=lambda order: -order.sequence)

    def open_lots(self, user: int, inst: int, side: int) -> int:
        """Return what a user has resting on one side of a book."""
        return sum(order.lots for order in self.by_side[user, inst, side])

    def open_notional_micro(self, user: int, inst: int, side: int) -> int:
        """Return the value of those orders at their limits, reduce-only ones left out."""
        lots_ticks = sum(
            order.lots * order.price_tick
            for order in self.by_side[user, inst, side]
            if not order.is_reduce_only
        )
        return lots_ticks * self.instruments[inst].k
