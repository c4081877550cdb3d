"""What an own agent sees: plain numbers by the names of books, assets and tokens.

Columns are turned into lists once a step, when the first agent asks for them, and shared by all
own agents. A view only indexes, so that hundreds of them cost little beside what agents compute.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np

from stressbook.agents.view import Accounts, Market
from stressbook.errors import InvalidInput, UnknownName
from stressbook.market.compiling.arrays import F64, I64
from stressbook.market.compiling.kernel import kernel
from stressbook.market.numbers.draws import INDEX_MAX, PURPOSE_OWN_AGENT, uniform
from stressbook.market.rules.spec import VenueSpec
from stressbook.market.state.records import N_TICKS

__all__ = ["Now", "OwnOrder", "View"]

_SIDES: Final = ("buy", "sell")


class OwnOrder(NamedTuple):
    """A resting order of the own account."""

    instrument: str
    side: str  # "buy" or "sell"
    price_usd: float
    lots: int
    client_id: int  # 0 if it was given none


class _Columns(dict[str, list[int]]):
    """Holdings of the own accounts by name: a list of each column, made when it is asked for."""

    def __init__(self, table: I64, places: dict[str, int]) -> None:
        super().__init__()
        self._table = table
        self._places = places

    def __missing__(self, name: str) -> list[int]:
        self[name] = found = self._table[:, self._places[name]].tolist()
        return found


class Now:
    """The present step, for all own agents: lists made when they are first asked for.

    `book_COLUMN`, `asset_COLUMN` and `token_COLUMN` are the columns of the public market by name;
    `own_COLUMN` those of the own accounts, row by row; `position` and `units` their holdings by
    name, row by row.

    Parameters
    ----------
    spec : VenueSpec
        Names of books, assets and tokens.
    accounts, market : Accounts, Market
        Views that every step fills anew.
    first_user, n_users : int
        Own agents are neighbours.
    """

    def __init__(
        self, spec: VenueSpec, accounts: Accounts, market: Market, *, first_user: int, n_users: int
    ) -> None:
        rows = slice(first_user, first_user + n_users)
        names = [book.name for book in spec.instruments]
        self.kept: dict[str, Any] = {
            "arrays": {
                "book": (market.inst, names),
                "asset": (market.asset, [asset.name for asset in spec.assets]),
                "token": (market.token, [token.name for token in spec.tokens]),
            },
            "accounts": accounts,
            "market": market,
            "rows": rows,
            "first_user": first_user,
            "books": {name: i for i, name in enumerate(names)},
            "book_names": names,
            "tokens": {token.name: i for i, token in enumerate(spec.tokens)},
            "book_tick_usd": dict(zip(names, market.inst["tick_usd"].tolist(), strict=True)),
            "book_lot_size": dict(zip(names, market.inst["lot_size"].tolist(), strict=True)),
            "token_unit": {token.name: token.unit for token in spec.tokens},
            "keys": accounts.account["key"][rows].copy(),
            "drawn": np.empty(n_users),
        }
        self.begin()

    def begin(self) -> None:
        """Forget the step before."""
        self.__dict__ = {"kept": self.kept, "draws": {}, **self.kept}

    def draw(self, row: int, index: int) -> float:
        """Return a draw of one account; the second that asks for an index has it made for all.

        Raises
        ------
        InvalidInput
            If `index` is out of range.
        """
        if not 0 <= index <= INDEX_MAX:
            raise InvalidInput(
                "is out of range", name="index", value=index, allowed=f"0 to {INDEX_MAX}"
            )
        key0, key1 = self.seed_keys
        if index not in self.draws:
            self.draws[index] = None
            key = int(self.keys[row])
            return float(uniform(key0, key1, PURPOSE_OWN_AGENT, key, self.t_ms, index))
        _draw_all(self.drawn, self.keys, key0, key1, self.t_ms, int(index))
        found: list[float] = self.drawn.tolist()
        self.draws[index] = found
        return found[row]

    def __getattr__(self, name: str) -> Any:
        kind, _, column = name.partition("_")
        made: Any
        if name in _OTHERS:
            made = _OTHERS[name](self)
        elif kind == "own":
            made = self.accounts.account[column][self.rows].tolist()
        elif kind in ("book", "asset", "token"):
            rows, names = self.arrays[kind]
            made = dict(zip(names, rows[column].tolist(), strict=True))
        else:
            raise AttributeError(name)
        self.__dict__[name] = made
        return made


@kernel
def _draw_all(drawn: F64, keys: I64, key0: int, key1: int, t_ms: int, index: int) -> None:
    for row in range(drawn.shape[0]):
        drawn[row] = uniform(key0, key1, PURPOSE_OWN_AGENT, keys[row], t_ms, index)


def _order_ends(now: Now) -> list[int]:
    first = now.first_user
    ends: list[int] = now.accounts.order_start[first : now.rows.stop + 1].tolist()
    return ends


_OTHERS: Final[dict[str, Any]] = {
    "t_ms": lambda now: int(now.market.clock[0].t_ms),
    "seed_keys": lambda now: (
        int(now.market.clock[0].seed_key0),
        int(now.market.clock[0].seed_key1),
    ),
    "position": lambda now: _Columns(now.accounts.position[now.rows], now.books),
    "units": lambda now: _Columns(now.accounts.token[now.rows], now.tokens),
    "order_ends": _order_ends,
}


class View:
    """One account's eyes: its own account as it stands, the public market one step ago.

    Books are named as in `stressbook show`: "BTC-PERP", "HYPE-SPOT"; assets "BTC", tokens "USDC",
    "HYPE". Margin figures are those of the last mark update (every 3 s).

    Raises
    ------
    UnknownName
        From every method, for a name that the venue does not list.
    """

    __slots__ = ("_now", "_row")

    def __init__(self, now: Now, row: int) -> None:
        self._now = now
        self._row = row

    # --- clock and draws ---------------------------------------------------------------------
    @property
    def t_s(self) -> float:
        """Time of the public data, which is the start of the step, seconds."""
        t_ms: int = self._now.t_ms
        return t_ms / 1000.0

    def uniform(self, index: int = 0) -> float:
        """Return an own draw, 0 < u < 1: the same for the same seed, account, time and index.

        Parameters
        ----------
        index : int, default 0
            Tells draws of one step apart; 0 to 2**24 - 1.

        Raises
        ------
        InvalidInput
            If `index` is out of range.
        """
        now = self._now
        drawn: list[float] | None = now.draws.get(index)
        return now.draw(self._row, index) if drawn is None else drawn[self._row]

    # --- books -------------------------------------------------------------------------------
    def mid(self, instrument: str) -> float:
        """Return the middle of a book when it last had both sides, USD; NaN before that."""
        try:
            price: float = self._now.book_mid_usd[instrument]
        except KeyError:
            self._unknown("instrument", instrument)
        return price if price > 0.0 else math.nan

    def best_bid(self, instrument: str) -> float:
        """Return the best bid of a book, USD; NaN if nobody bids."""
        try:
            tick: int = self._now.book_best_bid_tick[instrument]
        except KeyError:
            self._unknown("instrument", instrument)
        return tick * float(self._now.book_tick_usd[instrument]) if tick > 0 else math.nan

    def best_ask(self, instrument: str) -> float:
        """Return the best ask of a book, USD; NaN if nobody asks."""
        try:
            tick: int = self._now.book_best_ask_tick[instrument]
        except KeyError:
            self._unknown("instrument", instrument)
        return tick * float(self._now.book_tick_usd[instrument]) if tick < N_TICKS else math.nan

    def spread(self, instrument: str) -> float:
        """Return the gap of the best quotes over the middle, a fraction."""
        return self._of(self._now.book_spread_frac, "instrument", instrument)

    def bid_depth_usd(self, instrument: str) -> float:
        """Return what bids within 10 bp of the middle, USD."""
        return self._of(self._now.book_bid_depth_usd, "instrument", instrument)

    def ask_depth_usd(self, instrument: str) -> float:
        """Return what is asked within 10 bp of the middle, USD."""
        return self._of(self._now.book_ask_depth_usd, "instrument", instrument)

    def tick_usd(self, instrument: str) -> float:
        """Return the smallest step of a book's prices, USD."""
        return self._of(self._now.book_tick_usd, "instrument", instrument)

    def lots(self, instrument: str, usd: float) -> int:
        """Return the whole lots that an amount at the middle price comes to, towards zero."""
        worth = self._of(self._now.book_lot_size, "instrument", instrument) * self.mid(instrument)
        return int(usd / worth) if worth > 0.0 else 0

    # --- prices and rates of assets and tokens ------------------------------------------------
    def oracle(self, asset: str) -> float:
        """Return the oracle price of an asset, USD."""
        return self._of(self._now.asset_oracle_usd, "asset", asset)

    def mark(self, asset: str) -> float:
        """Return the mark price of an asset's perp, USD."""
        return self._of(self._now.asset_mark_usd, "asset", asset)

    def outside(self, asset: str) -> float:
        """Return the price of an asset on outside spot markets, USD."""
        return self._of(self._now.asset_outside_spot_usd, "asset", asset)

    def funding(self, asset: str) -> float:
        """Return the funding rate that longs paid at the last hour, a fraction of notional."""
        return self._of(self._now.asset_funding_hourly, "asset", asset)

    def borrow_rate(self, token: str = "USDC") -> float:
        """Return the yearly rate at which the reserve lends a token, a fraction."""
        return self._of(self._now.token_borrow_rate, "token", token)

    # --- own account -------------------------------------------------------------------------
    def position(self, instrument: str) -> int:
        """Return the own position in a perp, signed lots."""
        try:
            lots: int = self._now.position[instrument][self._row]
        except KeyError:
            self._unknown("instrument", instrument)
        return lots

    def tokens(self, token: str) -> float:
        """Return what the own account holds of a token, in tokens; of "USDC", its cash."""
        if token == "USDC":
            return self.cash_usd
        now = self._now
        try:
            units: int = now.units[token][self._row]
        except KeyError:
            self._unknown("token", token)
        return units / float(now.token_unit[token])

    @property
    def equity_usd(self) -> float:
        """Own equity at the venue, debt deducted, USD."""
        equity: float = self._now.own_equity_usd[self._row]
        return equity

    @property
    def available_usd(self) -> float:
        """What is free for initial margin, room to borrow included, USD."""
        available: float = self._now.own_available_usd[self._row]
        return available

    @property
    def margin_ratio(self) -> float:
        """Requirement over what covers it; beyond its trigger the account is liquidated."""
        ratio: float = self._now.own_ratio[self._row]
        return ratio

    @property
    def cash_usd(self) -> float:
        """Raw cash, USD: a perp that was bought has lowered it by its cost."""
        micro: int = self._now.own_cash_micro[self._row]
        return micro / 1e6

    @property
    def debt_usd(self) -> float:
        """What the account owes the reserve, USD."""
        micro: int = self._now.own_debt_micro[self._row]
        return micro / 1e6

    @property
    def is_breached(self) -> bool:
        """Whether the account is being liquidated."""
        breached: int = self._now.own_breached[self._row]
        return breached == 1

    @property
    def n_pending(self) -> int:
        """Own messages that are still on their way to the venue."""
        pending: int = self._now.own_n_pending[self._row]
        return pending

    @property
    def n_triggers(self) -> int:
        """Own stops and takes that wait for the mark."""
        waiting: int = self._now.own_n_triggers[self._row]
        return waiting

    def orders(self, instrument: str | None = None) -> list[OwnOrder]:
        """Return the own resting orders: by book, then side, the best price first.

        Parameters
        ----------
        instrument : str, optional
            One book; all if left out.
        """
        now, row = self._now, self._row
        if instrument is not None and instrument not in now.books:
            self._unknown("instrument", instrument)
        start, end = now.order_ends[row], now.order_ends[row + 1]
        if start == end:
            return []
        found = [_own_order(now, order) for order in now.accounts.order[start:end].tolist()]
        return [order for order in found if instrument in (None, order.instrument)]

    # --- names -------------------------------------------------------------------------------
    def _of(self, column: dict[str, float], kind: str, name: str) -> float:
        try:
            value = column[name]
        except KeyError:
            self._unknown(kind, name)
        return value

    def _unknown(self, kind: str, name: str) -> NoReturn:
        lists = {"instrument": self._now.books, "token": self._now.tokens}
        known = lists.get(kind) or self._now.arrays["asset"][1]
        raise UnknownName(kind, name, known=known) from None


def _own_order(now: Now, row: tuple[int, int, int, int, int]) -> OwnOrder:
    book, side, tick, lots, client_id = row
    name = now.book_names[book]
    return OwnOrder(name, _SIDES[side], tick * now.book_tick_usd[name], lots, client_id)
