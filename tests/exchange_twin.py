"""A venue twice, compiled and in plain Python, and what must be equal after every step."""

import math
from collections import Counter

import numpy as np

from stressbook.market.opening.setup import AccountOpening, make_state
from stressbook.market.orders.depth import sample_books
from stressbook.market.orders.match import match_messages
from stressbook.market.reference.opening import asset_columns, exchange_of
from stressbook.market.reference.records import Event, Fill, Message, Reply
from stressbook.market.rules.spec import load_preset
from stressbook.market.state.codes import BUY, OP_NEW, SELL
from stressbook.market.state.digest import canonical_queues
from stressbook.market.state.ledger import imbalance
from stressbook.market.state.records import (
    C_EVENTS,
    C_FAULT,
    C_FILLS,
    C_LIVE,
    C_REPLIES,
    C_TRIGGERS,
    EMPTY_ASK,
    EMPTY_BID,
    N_TICKS,
    Capacity,
)

SPEC = load_preset("hyperliquid")
BTC_PERP, ETH_PERP, SOL_PERP, HYPE_PERP, BTC_SPOT, ETH_SPOT, HYPE_SPOT = range(7)
CAPACITY = Capacity(orders=64, messages=512, fills=4096, events=4096)
# Orders need no margin, may rest anywhere on the ladder, and have any size.
FREE = {"orders.admission_on": False, "orders.price_band_frac": 0.0, "orders.order_min_usd": 0.0}
FREE |= {f"order_sizes.{tier}.market_order_max_usd": 0.0 for tier in range(4)}
FIELDS = {"flags": "options"}


def venue(n_users=5, *, values=None, under="hyperliquid-pm", capacity=CAPACITY, **account):
    """Users with cash, tokens and fee tiers of their own; no admission unless asked for."""
    spec = SPEC.with_regime(under).with_values(FREE | (values or {}))
    given = {"cash_micro": 10**12, "tokens": {1: 10**12, 3: 10**11}} | account
    accounts = [
        AccountOpening(key=(1 << 20) + user, volume_14d_micro=user * 10**13, **given)
        for user in range(n_users)
    ]
    return make_state(spec, accounts, seed=11, capacity=capacity)


def write_messages(records, messages):
    for record, message in zip(records, messages, strict=False):
        for name in Message._fields:
            record[FIELDS.get(name, name)] = getattr(message, name)


def run_step(v, n, t_ms):
    # Kernels of the package are kept on disk; a kernel of this file would be compiled each time.
    v.ctr[C_FILLS] = 0
    v.ctr[C_EVENTS] = 0
    v.ctr[C_REPLIES] = 0
    match_messages(v, n, t_ms)
    sample_books(v)


def read(kind, records):
    """Records as the named tuples of the reference."""
    names = [FIELDS.get(name, name) for name in kind._fields]
    return [kind(*(int(record[name]) for name in names)) for record in records]


class Twin:
    """Both venues, fed with the same messages."""

    def __init__(self, v):
        self.v = v
        self.exchange = exchange_of(v)
        self.t_ms = 0
        self.constants = [imbalance(v, column) for column in range(v.flow.shape[1])]

    def step(self, *messages):
        """Execute messages in both, compare everything, and return the codes of the replies."""
        self.t_ms += 1000
        write_messages(self.v.merged, messages)
        run_step(self.v, len(messages), self.t_ms)
        self.exchange.events.clear()
        replies = self.exchange.match(messages, t_ms=self.t_ms)
        assert read(Reply, self.v.reply[: self.v.ctr[C_REPLIES]]) == replies
        self.compare()
        return [reply.code for reply in replies]

    def compare(self):
        v, exchange = self.v, self.exchange
        assert read(Fill, v.fill[: v.ctr[C_FILLS]]) == exchange.fills
        waiting = [tuple(t) for t in v.trigger[: v.ctr[C_TRIGGERS]].tolist()]
        assert waiting == [tuple(t) for t in exchange.triggers]
        counts = Counter(trigger[0] for trigger in waiting)
        assert v.n_triggers.tolist() == [counts[user] for user in range(v.user.shape[0])]
        assert read(Event, v.event[: v.ctr[C_EVENTS]]) == exchange.events
        assert queues_of(exchange) == [tuple(row) for row in canonical_queues(v).tolist()]
        self._compare_ledger()
        self._compare_open_orders()
        self._compare_books()
        assert v.ctr[C_FAULT] == 0
        assert not exchange.ledger.has_overflowed
        assert [imbalance(v, c) for c in range(v.flow.shape[1])] == self.constants

    def _compare_ledger(self):
        v, ledger, desk = self.v, self.exchange.ledger, self.exchange.desk
        n_rows = v.cash.shape[0]
        assert v.cash.tolist() == [ledger.cash(row) for row in range(n_rows)]
        longs = [ledger.open_interest(inst) for inst in range(v.perp.shape[1])]
        assert v.open_interest.tolist() == v.perp.clip(min=0).sum(axis=0).tolist() == longs
        for token in range(1, v.token.shape[1]):
            assert v.token[:, token].tolist() == [ledger.token(r, token) for r in range(n_rows)]
        for inst in range(v.perp.shape[1]):
            assert v.perp[:, inst].tolist() == [ledger.perp(row, inst) for row in range(n_rows)]
            costs = [ledger.entry_costs[inst, row] for row in range(n_rows)]
            assert v.entry_cost[:, inst].tolist() == costs
        columns = {asset: column for column, asset in enumerate(asset_columns(v))}
        flowed = {
            (row, columns[asset], cause): amount
            for (asset, row, cause), amount in ledger.flows.items()
            if amount != 0
        }
        places = [index.tolist() for index in np.nonzero(v.flow)]
        amounts = v.flow[tuple(places)].tolist()
        assert dict(zip(zip(*places, strict=True), amounts, strict=True)) == flowed
        users = range(v.user.shape[0])
        assert v.debt[:, 0].tolist()[: len(users)] == [desk.reserve.debts.get(u, 0) for u in users]
        lent = [desk.reserve.supplies.get(user, 0) for user in users]
        assert v.supply[:, 0].tolist()[: len(users)] == lent

    def _compare_open_orders(self):
        v, orders = self.v, self.exchange.orders
        assert v.ctr[C_LIVE] == len(orders.by_handle)
        for user, participant in enumerate(self.exchange.users):
            account = v.user[user]
            assert account.n_orders == len(orders.of_user(user))
            assert account.volume_14d_micro == participant.volume_14d_micro
            assert account.account_mode == participant.account_mode
            assert v.row[user].regime == participant.has_portfolio_regime
            for inst, leverage in participant.leverage.items():
                assert v.leverage[user, inst] == leverage
            for inst in range(v.inst.shape[0]):
                for side in (BUY, SELL):
                    place = (user, inst, side)
                    assert v.open_lots[place] == orders.open_lots(*place)
                    assert v.open_notional[place] == orders.open_notional_micro(*place)

    def _compare_books(self):
        for inst, step in enumerate(self.exchange.steps):
            book = self.v.book[inst]
            assert (book.n_trades, book.buy_lots, book.sell_lots) == (
                step.n_trades,
                step.bought_lots,
                step.sold_lots,
            )
            assert book.last_tick == self.exchange.last_ticks[inst]
            assert depth_of(book, "") == as_sampled(step.first)
            assert depth_of(book, "end_") == as_sampled(step.last)


def queues_of(exchange):
    """Resting orders by instrument, side, price from the best, and place in the queue."""
    rows = []
    for inst, book in enumerate(exchange.orders.books):
        for side in (BUY, SELL):
            for tick, _ in book.levels(side):
                rows += [
                    (inst, side, tick, o.user, o.client_id, o.lots, o.flags)
                    for o in book.queues[side][tick]
                ]
    return rows


def depth_of(book, prefix):
    names = ("bid_tick", "ask_tick", "mid_usd", "spread_frac", "bid_depth_usd", "ask_depth_usd")
    values = [book[prefix + name].item() for name in names]
    return [None if math.isnan(value) else value for value in values]


def as_sampled(depth):
    bid = EMPTY_BID if depth.bid_tick is None else depth.bid_tick
    ask = EMPTY_ASK if depth.ask_tick is None else depth.ask_tick
    sizes = [depth.bid_depth_usd, depth.ask_depth_usd]
    return [bid, ask, depth.mid_usd, depth.spread_frac, *sizes]


def order(user, inst, side, price_tick, qty_lots, **fields):
    return Message(OP_NEW, user, inst, side, price_tick=price_tick, qty_lots=qty_lots, **fields)


LAST_TICK = N_TICKS - 1
