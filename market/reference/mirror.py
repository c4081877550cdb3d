"""From the parts of the plain venue to a state's arrays, which agents, records and digest read.

The mirror is whole: kernels could go on from it. Arrays are written in place, for views hold them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from typing import Any, Final

import numpy as np

from stressbook.market.compiling.arrays import Records
from stressbook.market.orders.client_ids import hash_client_id
from stressbook.market.reference.book import Depth, RestingOrder
from stressbook.market.reference.opening import asset_columns
from stressbook.market.reference.parts import Standing, Valuation, VenueParts
from stressbook.market.reference.reading import CLAIMS, balance_array
from stressbook.market.reference.records import Message
from stressbook.market.state.codes import (
    BUY,
    FAULT_EVENT_LOG,
    FAULT_FILL_LOG,
    FAULT_LADDER,
    FAULT_OUTBOX,
    FAULT_OVERFLOW,
    FAULT_POLICY,
    REGIME_CROSS,
    REGIME_PORTFOLIO,
    SELL,
)
from stressbook.market.state.records import (
    C_EVENTS,
    C_FAULT,
    C_FILLS,
    C_FREE,
    C_LIVE,
    C_OUTBOX,
    C_PENDING,
    C_PRICE_UPDATES,
    C_REPLIES,
    C_SEQUENCE,
    C_STEP,
    C_TRIGGERS,
    C_USED_SLOTS,
    EMPTY_ASK,
    EMPTY_BID,
    N_ORACLE_HISTORY,
    VenueState,
)

__all__ = ["Mirror"]

_SLOT_MASK: Final = 2**24 - 1
_ORDER_COLUMNS: Final = {  # of the state, and where they stand here
    "qty_lots": "lots",
    "client_id": "client_id",
    "sequence": "sequence",
    "price_tick": "price_tick",
    "user": "user",
    "inst": "inst",
    "side": "side",
    "options": "flags",
}
_TO_COME: Final = (0, 0, 0)  # effective time, number and emission: the sequencer's to fill in


class Mirror:
    """Writes what the plain venue knows into a state.

    Parameters
    ----------
    state : VenueState
        Written in place.
    """

    def __init__(self, state: VenueState) -> None:
        self.state = state
        self._columns = {asset: column for column, asset in enumerate(asset_columns(state))}
        self._levels: list[tuple[int, int]] = []
        self.find_levels()

    def find_levels(self) -> None:
        """Look up which price levels the state's ladders hold now."""
        self._levels = [(int(i), int(tick)) for i, tick in np.argwhere(self.state.level["head"])]

    def write_risk(self, parts: VenueParts) -> None:
        """Write what prices, accrual and resolution have changed; forced orders lead the outbox."""
        ctr = self.state.ctr
        ctr[C_FILLS] = ctr[C_REPLIES] = 0
        ctr[C_STEP], ctr[C_PRICE_UPDATES] = parts.n_steps, parts.n_price_updates
        forced = [(*message, *_TO_COME) for message in parts.forced]
        self._write_log(self.state.outbox, forced, C_OUTBOX, FAULT_OUTBOX)
        self._write_common(parts)

    def write_match(self, parts: VenueParts, outbox: Iterable[Message]) -> None:
        """Write what the matching has changed."""
        state, ctr = self.state, self.state.ctr
        numbers = Counter(message.user for message in outbox)
        for user, n in numbers.items():
            if 0 <= user < len(parts.standings):
                parts.standings[user].next_message = n
        ctr[C_OUTBOX] = 0
        fills = [tuple(fill) for fill in parts.exchange.fills]
        self._write_log(state.fill, fills, C_FILLS, FAULT_FILL_LOG)
        self._write_log(state.reply, [tuple(r) for r in parts.replies], C_REPLIES, FAULT_OUTBOX)
        waiting = [
            (*timed.message, timed.effective_us, timed.number, timed.emitted_ms)
            for timed in parts.sequencer.pending
        ]
        self._write_log(state.pending, waiting, C_PENDING, FAULT_OUTBOX)
        for code, n in parts.exchange.reply_count.items():
            state.reply_count[code] = n
        for inst in range(len(state.book)):
            self._write_book(parts, inst)
        self._write_common(parts)

    def write_executed(self, messages: Iterable[Message]) -> None:
        """Write the messages of the step in the order of their replies."""
        for place, message in enumerate(messages):
            self.state.merged[place] = (*message, 0, 0, 0)

    def _write_common(self, parts: VenueParts) -> None:
        events = [tuple(event) for event in parts.exchange.events]
        self._write_log(self.state.event, events, C_EVENTS, FAULT_EVENT_LOG)
        self._write_triggers(parts)
        self._write_ledger(parts)
        self._write_reserve(parts)
        for asset in range(len(self.state.price)):
            self._write_prices(parts, asset)
        self._write_users(parts)
        self._write_orders(parts)
        if parts.has_left_ladder:
            self.state.ctr[C_FAULT] |= FAULT_LADDER
        if parts.has_unknown_policy:
            self.state.ctr[C_FAULT] |= FAULT_POLICY
        if parts.exchange.ledger.has_overflowed:
            self.state.ctr[C_FAULT] |= FAULT_OVERFLOW

    def _write_triggers(self, parts: VenueParts) -> None:
        waiting = parts.exchange.triggers
        self._write_log(self.state.trigger, [tuple(t) for t in waiting], C_TRIGGERS, 0)
        by_user = Counter(trigger.user for trigger in waiting)
        self.state.n_triggers[:] = [by_user[user] for user in range(len(self.state.user))]

    def _write_log(
        self, log: Records, entries: Sequence[tuple[int, ...]], counter: int, fault: int
    ) -> None:
        if len(entries) > len(log):
            self.state.ctr[C_FAULT] |= fault
        kept = entries[: len(log)]
        log[: len(kept)] = np.array(kept, log.dtype)
        self.state.ctr[counter] = len(kept)

    # --- ledger, reserve, prices ------------------------------------------------------------------

    def _write_ledger(self, parts: VenueParts) -> None:
        state, ledger = self.state, parts.exchange.ledger
        for (asset, row), amount in ledger.balances.items():
            if asset != CLAIMS:
                balance_array(state, asset)[row] = amount
        state.open_interest[:] = [ledger.open_interest(inst) for inst in range(len(state.inst))]
        for (asset, row, cause), amount in ledger.flows.items():
            state.flow[row, self._columns[asset], cause] = amount
        for (inst, row), cost in ledger.entry_costs.items():
            state.entry_cost[row, inst] = cost
        for token in range(len(state.reserve)):
            reserve = parts.reserve_of(token)
            for row, amount in reserve.debts.items():
                state.debt[row, token] = amount
            for row, amount in reserve.supplies.items():
                state.supply[row, token] = amount

    def _write_reserve(self, parts: VenueParts) -> None:
        for token, record in enumerate(self.state.reserve):
            reserve = parts.reserve_of(token)
            lends = token == 0 or reserve.borrowable
            units = reserve.total_supply() if lends else parts.collateral_units[token]
            record.total_supply, record.total_debt = units, reserve.total_debt()
            record.retained, record.claim = reserve.retained, reserve.claim
            record.retained_used = reserve.retained_used
            record.supplier_loss = reserve.supplier_loss
            record.utilisation, record.borrow_rate, record.supply_rate, step = reserve.last_rates
            record.last_step_e15 = step
            if token > 0:
                record.counted_share = parts.desk.tokens[token].counted_share

    def _write_prices(self, parts: VenueParts, asset: int) -> None:
        record, price = self.state.price[asset], parts.prices[asset]
        for name in ("oracle", "mark", "borrow_oracle"):
            price_e8 = getattr(price, f"{name}_e8")
            record[f"{name}_e8"], record[f"{name}_usd"] = price_e8, float(price_e8) / 1e8
        record.previous_mark_e8 = price.previous_mark_e8
        record.venue_spot_usd = price.venue_spot_usd or 0.0
        record.ema_num, record.ema_den = price.gap.num, price.gap.den
        record.last_ema_num, record.last_ema_den = price.last.num, price.last.den
        meter = parts.meters[asset]
        record.premium_sum, record.n_premium_samples = meter.premium_sum, meter.n_samples
        record.last_funding_rate_e15 = parts.rates_e15[asset]
        for unit, ranges in zip(self.state.unit[:, asset], parts.desk.ranges, strict=True):
            one = ranges[str(asset)]
            unit["daily_variance"], unit["range_multiple"] = one.daily_variance, one.multiple
        place = parts.n_price_updates % N_ORACLE_HISTORY
        self.state.oracle_history[asset, place] = price.history[-1]

    # --- users ------------------------------------------------------------------------------------

    def _write_users(self, parts: VenueParts) -> None:
        state, users = self.state, parts.exchange.users
        for name in ("breached", "enrolled", "account_mode", "volume_14d_micro"):
            state.user[name] = [getattr(participant, name) for participant in users]
        for name in Standing.__dataclass_fields__:
            state.user[name] = [getattr(standing, name) for standing in parts.standings]
        regimes = (REGIME_CROSS, REGIME_PORTFOLIO)
        state.row["regime"][: len(users)] = [regimes[u.has_portfolio_regime] for u in users]
        for user, participant in enumerate(users):
            for inst, leverage in participant.leverage.items():
                state.leverage[user, inst] = leverage
        names = dict(zip(state.risk.dtype.names or (), Valuation.__dataclass_fields__, strict=True))
        for column, name in names.items():
            state.risk[column] = [getattr(worth, name) for worth in parts.valuations]
        state.taken_negative_usd[:] = parts.taken_negative_usd
        state.backstop[0] = astuple(parts.backstop)

    # --- books ------------------------------------------------------------------------------------

    def _write_book(self, parts: VenueParts, inst: int) -> None:
        book, step = self.state.book[inst], parts.exchange.steps[inst]
        assert step.first is not None
        assert step.last is not None
        book.last_tick = parts.exchange.last_ticks[inst]
        book.sampled = step.first is not step.last
        book.buy_lots, book.sell_lots = step.bought_lots, step.sold_lots
        book.traded_lots, book.n_trades = step.bought_lots + step.sold_lots, step.n_trades
        for prefix, depth in (("", step.first), ("end_", step.last)):
            _write_depth(book, prefix, depth)

    def _write_orders(self, parts: VenueParts) -> None:
        state, orders = self.state, parts.exchange.orders
        self._clear_orders()
        resting = list(orders.by_handle.values())
        slots = [_link(order) - 1 for order in resting]
        for column, name in _ORDER_COLUMNS.items():
            state.order[column][slots] = [getattr(order, name) for order in resting]
        # Slots that were taken and freed within the step count too: their next order is one later.
        for slot, generation in orders.slots.generations.items():
            state.order["generation"][slot] = generation
        for order in resting:
            self._count_order(parts, order)
        for inst, book in enumerate(orders.books):
            state.book[inst].n_orders = sum(len(q) for qs in book.queues for q in qs.values())
            for side in (BUY, SELL):
                for tick, queue in book.queues[side].items():
                    self._write_level(inst, side, tick, queue)
                best, empty = book.best(side), EMPTY_BID if side == BUY else EMPTY_ASK
                state.best[inst, side] = empty if best is None else best
        self._write_lists(parts)

    def _clear_orders(self) -> None:
        state = self.state
        state.order["qty_lots"] = 0
        state.user["n_orders"] = 0
        for inst, tick in self._levels:
            state.level[inst, tick] = (0, 0, 0)
        self._levels = []
        for bits in (state.bits0, state.bits1, state.bits2):
            bits[...] = 0
        for array in (state.own_head, state.client_slot, state.open_lots, state.open_notional):
            array[...] = 0

    def _count_order(self, parts: VenueParts, order: RestingOrder) -> None:
        state = self.state
        client_hash = hash_client_id(order.user, order.client_id)
        state.order["client_hash"][_link(order) - 1] = client_hash
        if order.client_id != 0:
            self._note_client_id(client_hash, _link(order))
        state.user["n_orders"][order.user] += 1
        place = (order.user, order.inst, order.side)
        state.open_lots[place] += order.lots
        if not order.is_reduce_only:
            k = parts.exchange.instruments[order.inst].k
            state.open_notional[place] += order.lots * order.price_tick * k

    def _note_client_id(self, client_hash: int, link: int) -> None:
        table = self.state.client_slot
        place = client_hash % len(table)
        while table[place] != 0:
            place = (place + 1) % len(table)
        table[place] = client_hash << 32 | link

    def _write_level(self, inst: int, side: int, tick: int, queue: Iterable[RestingOrder]) -> None:
        state, links = self.state, [_link(order) for order in queue]
        state.level[inst, tick] = (links[0], links[-1], sum(order.lots for order in queue))
        self._levels.append((inst, tick))
        _chain(state.order, links, "prev_slot", "next_slot")
        for bits, shift in ((state.bits0, 0), (state.bits1, 6)):
            place = tick >> shift
            bits[inst, side, place >> 6] |= np.uint64(1 << (place & 63))
        state.bits2[inst, side] |= np.uint64(1 << (tick >> 12))

    def _write_lists(self, parts: VenueParts) -> None:
        """Write the lists of each owner, newest first, and of free slots, the last freed first."""
        state, orders = self.state, parts.exchange.orders
        own: dict[tuple[int, int], list[RestingOrder]] = {}
        for order in sorted(orders.by_handle.values(), key=lambda order: -order.sequence):
            own.setdefault((order.user, order.inst), []).append(order)
        for place, found in own.items():
            links = [_link(order) for order in found]
            state.own_head[place] = links[0]
            _chain(state.order, links, "prev_own", "next_own")
        free = [slot + 1 for slot in reversed(orders.slots.freed)]
        _chain(state.order, free, "prev_slot", "next_slot")
        ctr = state.ctr
        ctr[C_FREE], ctr[C_LIVE] = free[0] if free else 0, len(orders.by_handle)
        ctr[C_SEQUENCE], ctr[C_USED_SLOTS] = orders.n_added, orders.slots.n_used


def _link(order: RestingOrder) -> int:
    return (order.handle & _SLOT_MASK) + 1


def _chain(orders: Records, links: list[int], before: str, after: str) -> None:
    """Link slots in an order; 0 is none."""
    slots = [link - 1 for link in links]
    orders[before][slots], orders[after][slots] = [0, *links[:-1]], [*links[1:], 0][: len(links)]


def _write_depth(book: Any, prefix: str, depth: Depth) -> None:
    book[f"{prefix}bid_tick"] = EMPTY_BID if depth.bid_tick is None else depth.bid_tick
    book[f"{prefix}ask_tick"] = EMPTY_ASK if depth.ask_tick is None else depth.ask_tick
    book[f"{prefix}mid_usd"] = np.nan if depth.mid_usd is None else depth.mid_usd
    book[f"{prefix}spread_frac"] = np.nan if depth.spread_frac is None else depth.spread_frac
    book[f"{prefix}bid_depth_usd"] = depth.bid_depth_usd
    book[f"{prefix}ask_depth_usd"] = depth.ask_depth_usd
