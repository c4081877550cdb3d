"""Where an own agent puts its messages, in words and dollars."""

from __future__ import annotations

import math
import struct
from operator import index
from typing import Any, Final, NoReturn

import numpy as np

from stressbook.agents.outbox import Outbox
from stressbook.agents.own_view import Now
from stressbook.errors import InvalidInput, UnknownName
from stressbook.market.state.codes import (
    BUY,
    GTC,
    IOC,
    OP_CANCEL_ALL,
    OP_CANCEL_CLIENT_ID,
    OP_DEPOSIT,
    OP_NEW,
    OP_TRIGGER,
    OP_WITHDRAW,
    POST_ONLY,
    REDUCE_ONLY,
    SELL,
    TAKE,
)
from stressbook.market.state.records import MESSAGE, N_TICKS

__all__ = ["MARKET_SLIPPAGE_FRAC", "OutboxView", "write_messages"]

MARKET_SLIPPAGE_FRAC: Final = 0.05  # how far an order without a price may walk; assumed
_SIDES: Final = {"buy": BUY, "sell": SELL}
_TIFS: Final = {"gtc": GTC, "ioc": IOC, "post_only": POST_ONLY}
_N_FIELDS: Final = len(MESSAGE.names or ())
_N_WRITTEN: Final = 10  # op to handle, the first fields of a message; the venue writes the rest
_BEYOND: Final = 2**63
_NEARLY: Final = 1e-6  # of a tick: prices computed in floats are meant to be on the grid


class OutboxView:
    """Takes the messages of one account; what the venue refuses is counted by reason in the run.

    Orders become effective in the same step in most cases: latency is about 0.2 s, and orders that
    may take wait 0.4 s more. Until then they are in `view.n_pending`.
    """

    __slots__ = ("_flat", "_now", "_user")

    def __init__(self, now: Now, user: int, flat: list[int]) -> None:
        self._now = now
        self._user = user
        self._flat = flat

    def buy(
        self,
        instrument: str,
        lots: int,
        price: float | None = None,
        *,
        tif: str | None = None,
        reduce_only: bool = False,
        client_id: int = 0,
    ) -> None:
        """Buy lots in a book.

        Parameters
        ----------
        instrument : str
            Name of the book.
        lots : int
            Size; `view.lots` turns dollars into lots.
        price : float, optional
            Limit, USD, rounded down to the grid. Without it the order takes what is offered up to
            5 % beyond the best ask.
        tif : {"gtc", "ioc", "post_only"}, optional
            Rest until filled or cancelled, drop what does not fill at once, or rest without taking
            anything; "gtc" with a price and "ioc" without one.
        reduce_only : bool, default False
            Whether it may only bring a position nearer to zero.
        client_id : int, default 0
            Own number to cancel it by, unique among the live orders of the account; 0 for none.

        Raises
        ------
        UnknownName
            If the venue lists no such book, or there is no such `tif`.
        InvalidInput
            If a number is none, or the order has no price but shall rest.
        """
        self._order(BUY, instrument, lots, price, tif, reduce_only, client_id)

    def sell(
        self,
        instrument: str,
        lots: int,
        price: float | None = None,
        *,
        tif: str | None = None,
        reduce_only: bool = False,
        client_id: int = 0,
    ) -> None:
        """Sell lots in a book; as `buy`, with the limit rounded up to the grid."""
        self._order(SELL, instrument, lots, price, tif, reduce_only, client_id)

    def stop(
        self,
        side: str,
        instrument: str,
        lots: int,
        trigger: float,
        price: float | None = None,
        *,
        reduce_only: bool = False,
        client_id: int = 0,
    ) -> None:
        """Let an order wait until the mark has moved against it: up for a buy, down for a sale.

        It binds no margin until then, and passes all checks when it is sent. An account that is
        liquidated loses it.

        Parameters
        ----------
        side : {"buy", "sell"}
            Of the order.
        instrument : str
            Name of a perp's book.
        lots : int
            Size.
        trigger : float
            Price of the mark, USD, to the nearest tick. Refused if the mark is there already.
        price : float, optional
            Limit, USD, as of `buy`; the order then rests. Without it the order takes at once, up
            to 10 % beyond the trigger.
        reduce_only : bool, default False
            Whether it may only bring a position nearer to zero.
        client_id : int, default 0
            Own number to cancel it by, unique among live orders and waiting triggers; 0 for none.

        Raises
        ------
        UnknownName
            If the venue lists no such book, or there is no such side.
        InvalidInput
            If a number is none.
        """
        self._trigger(0, side, instrument, lots, trigger, price, reduce_only, client_id)

    def take(
        self,
        side: str,
        instrument: str,
        lots: int,
        trigger: float,
        price: float | None = None,
        *,
        reduce_only: bool = False,
        client_id: int = 0,
    ) -> None:
        """Let an order wait until the mark has moved in its favour; as `stop`, the other way."""
        self._trigger(TAKE, side, instrument, lots, trigger, price, reduce_only, client_id)

    def cancel(self, client_id: int) -> None:
        """Cancel one own order, or a waiting trigger, by the number that it was given."""
        self._put(OP_CANCEL_CLIENT_ID, client_id=_whole("client_id", client_id))

    def cancel_all(self, instrument: str | None = None) -> None:
        """Cancel every own order and waiting trigger in one book, or in all of them."""
        self._put(OP_CANCEL_ALL, inst=-1 if instrument is None else self._book(instrument))

    def deposit_usd(self, usd: float) -> None:
        """Bring USDC in from outside."""
        self._put(OP_DEPOSIT, qty=_micro(usd))

    def withdraw_usd(self, usd: float) -> None:
        """Take USDC out; refused where it would leave less than initial margin."""
        self._put(OP_WITHDRAW, qty=_micro(usd))

    def _order(
        self,
        side: int,
        instrument: str,
        lots: int,
        price: float | None,
        tif: str | None,
        reduce_only: bool,
        client_id: int,
    ) -> None:
        book = self._book(instrument)
        if tif is None:
            tif = "ioc" if price is None else "gtc"
        if tif not in _TIFS:
            raise UnknownName("tif", tif, known=_TIFS)
        if price is None:
            if tif != "ioc":
                raise InvalidInput(
                    "has no price to rest at", name="tif", value=tif, hint="give a price, or 'ioc'"
                )
            tick = self._far_tick(side, instrument)
        else:
            tick = _limit_tick(side, price, self._now.book_tick_usd[instrument])
        self._flat += (
            OP_NEW,
            self._user,
            book,
            side,
            _TIFS[tif],
            REDUCE_ONLY if reduce_only else 0,
            tick,
            lots if type(lots) is int and abs(lots) < _BEYOND else _whole("lots", lots),
            client_id
            if type(client_id) is int and abs(client_id) < _BEYOND
            else _whole("client_id", client_id),
            0,
        )

    def _trigger(
        self,
        flags: int,
        side: str,
        instrument: str,
        lots: int,
        trigger: float,
        price: float | None,
        reduce_only: bool,
        client_id: int,
    ) -> None:
        book = self._book(instrument)
        if side not in _SIDES:
            raise UnknownName("side", side, known=_SIDES)
        code, tick_usd = _SIDES[side], self._now.book_tick_usd[instrument]
        self._flat += (
            OP_TRIGGER,
            self._user,
            book,
            code,
            IOC if price is None else GTC,
            flags | (REDUCE_ONLY if reduce_only else 0),
            0 if price is None else _limit_tick(code, price, tick_usd),
            _whole("lots", lots),
            _whole("client_id", client_id),
            _limit_tick(BUY, trigger + 0.5 * tick_usd, tick_usd),
        )

    def _put(self, op: int, *, inst: int = 0, qty: int = 0, client_id: int = 0) -> None:
        self._flat += (op, self._user, inst, 0, 0, 0, 0, qty, client_id, 0)

    def _book(self, instrument: str) -> int:
        try:
            book: int = self._now.books[instrument]
        except KeyError:
            self._unknown(instrument)
        return book

    def _unknown(self, instrument: str) -> NoReturn:
        raise UnknownName("instrument", instrument, known=self._now.books) from None

    def _far_tick(self, side: int, instrument: str) -> int:
        """Return the limit of an order without a price."""
        now = self._now
        quote = (now.book_best_ask_tick if side == BUY else now.book_best_bid_tick)[instrument]
        if not 0 < quote < N_TICKS:
            quote = now.book_mid_usd[instrument] / now.book_tick_usd[instrument]
        away = 1.0 + MARKET_SLIPPAGE_FRAC if side == BUY else 1.0 - MARKET_SLIPPAGE_FRAC
        return min(max(int(quote * away), 1), N_TICKS - 1)


def _limit_tick(side: int, price: float, tick_usd: float) -> int:
    """Return the tick that is no worse than a price; off the ladder is for the venue to refuse."""
    ticks = price / tick_usd
    if not -1e15 < ticks < 1e15:
        raise InvalidInput(
            "is not a price",
            name="price",
            value=price,
            allowed="USD, finite",
            hint="a side that nobody quotes is NaN: ask math.isnan first",
        )
    return math.floor(ticks + _NEARLY) if side == BUY else math.ceil(ticks - _NEARLY)


def _whole(name: str, value: Any) -> int:
    try:
        found = index(value)
    except TypeError as error:
        if not isinstance(value, float | np.floating) or not float(value).is_integer():
            hint = "`view.lots(instrument, usd)` turns dollars into lots" if name == "lots" else ""
            raise InvalidInput(
                "is no whole number", name=name, value=value, allowed="an int", hint=hint
            ) from error
        found = int(value)
    if abs(found) >= _BEYOND:
        raise InvalidInput(
            "does not fit into 64 bits", name=name, value=value, allowed="below 2**63"
        )
    return found


def _micro(usd: float) -> int:
    if not math.isfinite(usd) or not 0.0 <= usd < 1e12:
        raise InvalidInput("is out of range", name="usd", value=usd, allowed="0 to 1e12 USD")
    return int(usd * 1e6)


def write_messages(flat: list[int], out: Outbox) -> None:
    """Move collected messages into the venue's outbox, in their order, and empty the list."""
    if not flat:
        return
    first, room = int(out.count[0]), len(out.message) - int(out.count[0])
    rows = np.frombuffer(_packed(flat), np.int64).reshape(-1, _N_WRITTEN)
    flat.clear()
    n = min(len(rows), room)
    written = out.message[first : first + n].view(np.int64).reshape(n, _N_FIELDS)
    written[:, :_N_WRITTEN] = rows[:n]
    written[:, _N_WRITTEN:] = 0
    out.count[0] = first + n
    out.count[1] += len(rows) - n


def _packed(flat: list[int]) -> bytes:
    """Return whole numbers as int64: an eighth of the time that NumPy takes for a list."""
    return struct.pack(f"{len(flat)}q", *flat)
