"""The message stream that order books are measured on: fixed, heavy-tailed if asked, exact outcome.

Six limit orders in ten, three cancels of a living order, one market order. Limit prices lie within
50 ticks of a mid that walks slowly (`std`, `deep`) or at distances of density about 1 / d^2 up to
4,098 ticks (`wide`). Market orders grow with what rests, so that the number of resting orders stays
near its target. The stream is made beside a plain-Python book, which is also the reference loop and
says which trades a correct engine makes. Only raw 64-bit words of PCG64 are used, which NumPy
promises never to change: the same stream everywhere, under one SHA-256.
"""

import hashlib
from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

LIMIT: Final = 0
CANCEL: Final = 1
MARKET: Final = 2
BUY: Final = 0

_SEED: Final = 20_240_601
_FIRST_MID: Final = 10_000
_BAND: Final = 50
_MASK63: Final = 2**63 - 1


class Shape(NamedTuple):
    """What kind of book a stream builds."""

    target_live: int
    has_power_tail: bool


SHAPES: Final = {
    "std": Shape(2_000, has_power_tail=False),
    "deep": Shape(100_000, has_power_tail=False),
    "wide": Shape(20_000, has_power_tail=True),
}
# SHA-256 of the arrays kind, side, price, qty, oid; number of trades; volume.
IDENTITY: Final = {
    ("std", 1_000_000): (
        "4f691051329d146bb63434d5bfd1bd2a7003b482251686630e56d647306e635a",
        395_481,
        14_560_397,
    ),
    ("deep", 1_000_000): (
        "681823cedc4004c93cd4dd8983c85031210e12c9ce85278fb368c559d96ff539",
        332_178,
        8_920_336,
    ),
    ("wide", 1_000_000): (
        "34d99aa6d54804d0c26584d77a4323899bd75bd18c418bd9d599226c8ac219c6",
        389_869,
        9_643_549,
    ),
    ("std", 100_000): (
        "e93c68cabcdaae6fdd87cdec3f28bc6a89747f510f31fc02381b217f5fe7dd7d",
        37_528,
        1_354_555,
    ),
    ("std", 20_000): (
        "9cb411c16e10862adead65a3389ac759bf853d1354cce2f504cda19d6bd9217e",
        6_141,
        200_772,
    ),
}


Row = tuple[int, int, int, int, int]  # kind, side, price, lots, id


class Draw(NamedTuple):
    """What chance says of one message."""

    kind: int
    mid_move: int  # ticks
    side: int
    crosses: bool  # one limit order in twenty goes beyond the mid
    offset: int  # ticks from the mid, of the others
    step: int
    size: int
    pick: int


class Stream(NamedTuple):
    """Messages, and the trades that follow from them."""

    kind: npt.NDArray[np.uint8]  # LIMIT, CANCEL or MARKET
    side: npt.NDArray[np.uint8]  # 0 buy, 1 sell; of a cancel, that of its target
    price: npt.NDArray[np.int32]  # ticks; 0 for a market order
    qty: npt.NDArray[np.int32]  # lots; 0 for a cancel
    oid: npt.NDArray[np.int64]  # own id = place + 1; of a cancel, that of its target
    tape: npt.NDArray[np.int64]  # (trades, 4): taker id, maker id, price, lots

    def identity(self) -> tuple[str, int, int]:
        """Return SHA-256 of the messages, number of trades and volume, as in `IDENTITY`."""
        digest = hashlib.sha256()
        for column in self[:5]:
            digest.update(column.tobytes())
        return digest.hexdigest(), len(self.tape), int(self.tape[:, 3].sum())


class PlainBook:
    """A price-time book of dicts: price to a queue of ids, and sorted lists of prices."""

    def __init__(self) -> None:
        self.queues: tuple[dict[int, dict[int, int]], dict[int, dict[int, int]]] = ({}, {})
        self.ranks: tuple[list[int], list[int]] = ([], [])  # bids negated: the best comes first
        self.places: dict[int, tuple[int, int]] = {}  # id to side and price
        self.tape: list[tuple[int, int, int, int]] = []

    def limit(self, oid: int, side: int, price: int, lots: int) -> None:
        """Trade what the price reaches; the rest waits."""
        lots = self._trade(oid, side, lots, price if side else -price)
        if lots:
            queue = self.queues[side].get(price)
            if queue is None:
                queue = self.queues[side][price] = {}
                insort(self.ranks[side], price if side else -price)
            queue[oid] = lots
            self.places[oid] = (side, price)

    def market(self, oid: int, side: int, lots: int) -> None:
        """Trade against whatever rests; the rest is dropped."""
        self._trade(oid, side, lots, None)

    def cancel(self, oid: int) -> None:
        """Take an order out."""
        side, price = self.places.pop(oid)
        queue = self.queues[side][price]
        del queue[oid]
        if not queue:
            self._close(side, price)

    def _trade(self, oid: int, side: int, lots: int, own_rank: int | None) -> int:
        other = 1 - side
        ranks, queues = self.ranks[other], self.queues[other]
        # A bid at p reaches asks up to p; ranks of the two sides have opposite signs.
        while lots and ranks and (own_rank is None or ranks[0] <= -own_rank):
            price = ranks[0] if other else -ranks[0]
            queue = queues[price]
            while lots and queue:
                maker = next(iter(queue))
                traded = min(lots, queue[maker])
                self.tape.append((oid, maker, price, traded))
                lots -= traded
                if traded == queue[maker]:
                    del queue[maker], self.places[maker]
                else:
                    queue[maker] -= traded
            if not queue:
                self._close(other, price)
        return lots

    def _close(self, side: int, price: int) -> None:
        del self.queues[side][price]
        rank = price if side else -price
        del self.ranks[side][bisect_left(self.ranks[side], rank)]


class LivingIds:
    """Ids in a list from which one is picked at random; dead ones leave when they are met."""

    def __init__(self, places: dict[int, tuple[int, int]]) -> None:
        self.places = places
        self.ids: list[int] = []

    def pick(self, draw: int) -> int:
        """Return a living id and drop it from the list, 0 if none lives."""
        ids = self.ids
        while ids:
            place = draw % len(ids)
            picked, last = ids[place], ids.pop()
            if place < len(ids):
                ids[place] = last
            if picked in self.places:
                return picked
            draw = (draw * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) & _MASK63
        return 0


def make_stream(name: str, n: int = 1_000_000) -> Stream:
    """Make the first `n` messages of a shape of book.

    Parameters
    ----------
    name : str
        One of `SHAPES`.
    n : int
        Number of messages.

    Returns
    -------
    Stream
        The same for the same arguments, always.
    """
    shape = SHAPES[name]
    book = PlainBook()
    living = LivingIds(book.places)
    rows: list[Row] = []
    mid = _FIRST_MID
    for oid, draw in enumerate(_draws(n, shape), start=1):
        mid += draw.mid_move
        target = living.pick(draw.pick) if draw.kind == CANCEL else 0
        if target:
            rows.append((CANCEL, *book.places[target], 0, target))
            book.cancel(target)
        elif draw.kind == MARKET and book.places:
            lots = 1 + draw.size % int(101 * _market_scale(len(book.places), shape.target_live))
            rows.append((MARKET, draw.side, 0, lots, oid))
            book.market(oid, draw.side, lots)
        else:
            price, lots = _limit_price(mid, draw), 1 + draw.size % 100
            rows.append((LIMIT, draw.side, price, lots, oid))
            book.limit(oid, draw.side, price, lots)
            if oid in book.places:
                living.ids.append(oid)
    return _as_stream(rows, book)


def replay(stream: Stream) -> PlainBook:
    """Run a stream through the plain book, the reference loop of the benchmark."""
    book = PlainBook()
    columns = [column.tolist() for column in stream[:5]]
    for kind, side, price, lots, oid in zip(*columns, strict=True):
        if kind == LIMIT:
            book.limit(oid, side, price, lots)
        elif kind == CANCEL:
            book.cancel(oid)
        else:
            book.market(oid, side, lots)
    return book


def _draws(n: int, shape: Shape) -> Iterator[Draw]:
    """Cut five words a message into its draws."""
    words = np.random.PCG64(_SEED).random_raw(5 * n).reshape(n, 5)
    high32 = words >> np.uint64(32)
    share = words[:, 0] % np.uint64(1000)
    moves = high32[:, 0] % np.uint64(100) < 2
    up = (words[:, 1] >> np.uint64(8)) & np.uint64(1) == 1
    if shape.has_power_tail:
        low32 = words[:, 2] & np.uint64(0xFFFF_FFFF)
        offset = [4 + _power_distance(word) for word in low32.tolist()]
    else:
        offset = (words[:, 2] % np.uint64(_BAND + 1)).tolist()
    columns = (
        np.where(share < 600, LIMIT, np.where(share < 900, CANCEL, MARKET)).tolist(),
        np.where(moves, np.where(up, 1, -1), 0).tolist(),
        (words[:, 1] & np.uint64(1)).tolist(),
        (high32[:, 1] % np.uint64(100) < 5).tolist(),
        offset,
        (high32[:, 2] % np.uint64(3)).tolist(),
        (words[:, 3] >> np.uint64(3)).tolist(),
        (words[:, 4] >> np.uint64(3)).tolist(),
    )
    return map(Draw._make, zip(*columns, strict=True))


def _limit_price(mid: int, draw: Draw) -> int:
    if draw.crosses:
        return mid + 1 + draw.step if draw.side == BUY else mid - draw.step
    return mid - draw.offset if draw.side == BUY else mid + 1 + draw.offset


def _power_distance(word: int) -> int:
    """Return a distance of 0 to 4,094 with density about 1 / d^2, from bits alone."""
    doublings = 0
    while doublings < 11 and not word >> doublings & 1:
        doublings += 1
    return 2**doublings - 1 + (word >> 12) % 2**doublings


def _market_scale(n_live: int, target_live: int) -> float:
    return min(max(3.0 * n_live / target_live, 0.2), 30.0)


def _as_stream(rows: list[Row], book: PlainBook) -> Stream:
    table = np.array(rows, np.int64).reshape(-1, 5)
    return Stream(
        kind=table[:, 0].astype(np.uint8),
        side=table[:, 1].astype(np.uint8),
        price=table[:, 2].astype(np.int32),
        qty=table[:, 3].astype(np.int32),
        oid=table[:, 4].copy(),
        tape=np.array(book.tape, np.int64).reshape(-1, 4),
    )
