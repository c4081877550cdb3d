"""The matching of a step again, as the rules read: one method for each thing that can happen."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from stressbook.market.reference.book import Depth, RestingOrder
from stressbook.market.reference.ledger import ReferenceLedger
from stressbook.market.reference.order_rules import OrderRules
from stressbook.market.reference.records import (
    Event,
    FeeRates,
    Fill,
    Instrument,
    Message,
    Participant,
    Reply,
)
from stressbook.market.reference.requests import Desk, NoMargin
from stressbook.market.reference.resting import RestingOrders
from stressbook.market.reference.trades import take
from stressbook.market.reference.triggers import Trigger, refusal_of_trigger, trigger_of
from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    CANCELLED,
    EV_REFUSAL,
    FILLED,
    FORCED,
    FROM_POCKET,
    GTC,
    IOC,
    N_OPS,
    OP_CANCEL,
    OP_CANCEL_ALL,
    OP_CANCEL_CLIENT_ID,
    OP_NEW,
    OP_TRIGGER,
    OWN_MOVE,
    PARTLY_FILLED_CANCELLED,
    PLACEBO,
    POST_ONLY,
    R_BAD_INSTRUMENT,
    R_BAD_OP,
    R_BAD_PRICE,
    R_BAD_QUANTITY,
    R_BAD_SIDE,
    R_BAD_TIF,
    R_BAD_USER,
    R_BOOK_FULL,
    R_DUPLICATE_CLIENT_ID,
    R_HALTED,
    R_POSITION_BOUND,
    R_POST_ONLY_WOULD_TAKE,
    R_PRICE_BAND,
    R_REDUCE_ONLY_WOULD_INCREASE,
    R_UNKNOWN_ORDER,
    REDUCE_ONLY,
    RESTING,
    SELL,
    TAKE,
    TRIGGERED,
    TWAP,
)
from stressbook.market.state.records import N_TICKS

__all__ = ["ReferenceExchange"]

_ALL_FLAGS = REDUCE_ONLY | FORCED | TWAP | OWN_MOVE | FROM_POCKET | PLACEBO | TRIGGERED
_TRIGGER_FLAGS = REDUCE_ONLY | TAKE


@dataclass
class StepOfBook:
    """What a step did to a book."""

    first: Depth | None = None  # as the first taker met it
    last: Depth | None = None
    bought_lots: int = 0  # by takers
    sold_lots: int = 0
    n_trades: int = 0


@dataclass
class ReferenceExchange:
    """Books, ledger and users, and the rules by which messages change them.

    Parameters
    ----------
    instruments : list of Instrument
        One book each.
    users : list of Participant
        User u books in row u.
    fee_tiers : list of FeeRates
        By number of the tier.
    ledger : ReferenceLedger
        Of all rows.
    n_slots : int
        Orders that can rest at once.
    desk : Desk
        Who admits orders and answers messages that are no orders.
    order_rules : OrderRules
        What orders have to satisfy beside their margin.
    volume_weights_e6 : tuple of int
        Of perps and of tokens in the weighted volume, 1e-6.

    Examples
    --------
    >>> rules = Instrument(kind=1, k=10_000, max_position_lots=10**6)
    >>> exchange = ReferenceExchange([rules], [Participant(), Participant()], [FeeRates()])
    >>> maker = Message(OP_NEW, user=0, side=SELL, price_tick=100, qty_lots=5)
    >>> taker = Message(OP_NEW, user=1, side=BUY, price_tick=101, qty_lots=3)
    >>> [reply.code for reply in exchange.match([maker, taker], t_ms=1000)]
    [1, 2]
    >>> exchange.ledger.perp(1, 0), exchange.ledger.cash(0), exchange.fills[0].price_tick
    (3, 3000000, 100)
    """

    instruments: list[Instrument]
    users: list[Participant]
    fee_tiers: list[FeeRates]
    ledger: ReferenceLedger = field(default_factory=lambda: ReferenceLedger(treasury=-1))
    n_slots: int = 16_384
    desk: Desk = field(default_factory=NoMargin)
    order_rules: OrderRules = field(default_factory=lambda: OrderRules(books=[]))
    volume_weights_e6: tuple[int, int] = (10**6, 2 * 10**6)
    orders: RestingOrders = field(init=False)
    last_ticks: dict[int, int] = field(default_factory=dict)
    steps: list[StepOfBook] = field(init=False)  # of the books, in this step
    triggers: list[Trigger] = field(default_factory=list)  # that wait, oldest first
    n_trigger_slots: int = 4_096
    fills: list[Fill] = field(default_factory=list)  # of this step
    events: list[Event] = field(default_factory=list)  # since their owner cleared them
    reply_count: Counter[int] = field(default_factory=Counter)

    pockets: dict[tuple[int, int], int] = field(init=False)

    def __post_init__(self) -> None:
        self.pockets = {
            (one.parent, one.pocket_inst): row
            for row, one in enumerate(self.users)
            if one.parent >= 0
        }
        self.orders = RestingOrders(self.instruments, n_slots=self.n_slots)
        self.steps = [StepOfBook() for _ in self.instruments]

    # --- a step -----------------------------------------------------------------------------------

    def match(self, messages: Iterable[Message], *, t_ms: int) -> list[Reply]:
        """Execute the messages of a step in their order, then look at every book."""
        self.fills.clear()
        self.steps = [StepOfBook() for _ in self.instruments]
        replies = [self.execute(message, t_ms=t_ms) for message in messages]
        for depth, step in zip(self.orders.depths(), self.steps, strict=True):
            step.last = depth
            step.first = step.first or step.last
        return replies

    def execute(self, message: Message, *, t_ms: int) -> Reply:
        """Do all of what a message asks for, or refuse it with a code and no effect."""
        reply = self._answer(message, t_ms)
        self.reply_count[reply.code] += 1
        return reply

    def _answer(self, message: Message, t_ms: int) -> Reply:
        op, user = message.op, message.user
        allowed = _TRIGGER_FLAGS if op == OP_TRIGGER else _ALL_FLAGS
        if not 0 <= op < N_OPS or message.flags & ~allowed:
            return self._reply(R_BAD_OP, message)
        if not 0 <= user < len(self.users):
            return self._reply(R_BAD_USER, message)
        if self.users[user].parent >= 0 and not message.flags & FORCED:
            return self._reply(R_BAD_USER, message)
        if op == OP_NEW:
            return self._answer_order(message, t_ms)
        if op == OP_CANCEL_CLIENT_ID:
            return self._reply(self._cancel_by_name(user, message.client_id), message)
        if op == OP_CANCEL:
            return self._reply(
                self._cancel_if_own(self.orders.by_handle.get(message.handle), user), message
            )
        if op == OP_CANCEL_ALL:
            if not -1 <= message.inst < len(self.instruments):
                return self._reply(R_BAD_INSTRUMENT, message)
            self.cancel_all(user, inst=message.inst)
            return self._reply(CANCELLED, message)
        if op == OP_TRIGGER:
            code = refusal_of_trigger(self, message)
            if code == ACCEPTED:
                self.triggers.append(trigger_of(message))
            return self._reply(code, message)
        return self._reply(self.desk.answer(self, message), message)

    def _answer_order(self, message: Message, t_ms: int) -> Reply:
        is_halted = self.order_rules.is_halted(message.inst)
        code = R_HALTED if is_halted else self.refusal_of_order(message)
        lots = message.qty_lots
        if code == ACCEPTED:
            lots = self.lots_allowed(message)
            code = self.order_rules.refusal(self, message, lots=lots)
        if code == ACCEPTED:
            code = self.desk.admit(self, message, lots=lots)
        if code != ACCEPTED:
            if message.flags & (FORCED | TRIGGERED):
                refusal = Event(
                    t_ms, EV_REFUSAL, message.user, message.inst, lots, price_e8=0, cause=code
                )
                self.events.append(refusal)
            return self._reply(code, message)
        return self.place(message, lots=lots, t_ms=t_ms)

    def _reply(self, code: int, message: Message, *, handle: int = 0, filled: int = 0) -> Reply:
        if message.op != OP_NEW:
            handle = message.handle
        return Reply(code, message.user, message.client_id, handle, filled)

    # --- new orders -------------------------------------------------------------------------------

    def refusal_of_order(self, order: Message) -> int:
        """Return the first reason to refuse a new order before its margin is looked at."""
        if not 0 <= order.inst < len(self.instruments):
            return R_BAD_INSTRUMENT
        bound = self.instruments[order.inst].max_position_lots
        if order.side not in (BUY, SELL):
            return R_BAD_SIDE
        if order.tif not in (GTC, IOC, POST_ONLY):
            return R_BAD_TIF
        if not 0 < order.qty_lots <= bound:
            return R_BAD_QUANTITY
        if not 0 < order.price_tick < N_TICKS:
            return R_BAD_PRICE
        if order.tif != IOC and not self.desk.is_near_oracle(self, order):
            return R_PRICE_BAND
        if self.is_name_in_use(order.user, order.client_id):
            return R_DUPLICATE_CLIENT_ID
        lots = self.lots_allowed(order)
        if lots == 0:
            return R_REDUCE_ONLY_WOULD_INCREASE
        position = self.position(order.user, order.inst)
        held = position if order.side == BUY else -position
        if held + self.orders.open_lots(order.user, order.inst, order.side) + lots > bound:
            return R_POSITION_BOUND
        if order.tif == POST_ONLY and self._meets_live(order):
            return R_POST_ONLY_WOULD_TAKE
        if order.tif != IOC and self.orders.slots.is_full():
            return R_BOOK_FULL
        return ACCEPTED

    def lots_allowed(self, order: Message) -> int:
        """Return an order's lots, those of a reduce-only order cut to the position."""
        if not order.flags & REDUCE_ONLY:
            return order.qty_lots
        return min(order.qty_lots, self.reducible_lots(order.user, order.inst, order.side))

    def place(self, order: Message, *, lots: int, t_ms: int) -> Reply:
        """Trade what the limit reaches; let the rest wait, or drop it."""
        step = self.steps[order.inst]
        if step.first is None and (self.meets(order) is not None or order.flags & FORCED):
            step.first = self.orders.books[order.inst].depth()
        left = take(self, order, lots, t_ms)
        filled = lots - left
        if left == 0:
            return self._reply(FILLED, order, filled=filled)
        if order.tif == IOC:
            code = PARTLY_FILLED_CANCELLED if filled else CANCELLED
            return self._reply(code, order, filled=filled)
        return self._reply(RESTING, order, handle=self._rest(order, left), filled=filled)

    def _rest(self, order: Message, lots: int) -> int:
        resting = RestingOrder(
            user=order.user,
            inst=order.inst,
            side=order.side,
            price_tick=order.price_tick,
            lots=lots,
            flags=order.flags,
            client_id=order.client_id,
        )
        return self.orders.add(resting)

    def meets(self, order: Message) -> RestingOrder | None:
        """Return the first order that another one reaches."""
        return self.orders.first_to_meet(
            inst=order.inst, side=order.side, limit_tick=order.price_tick
        )

    def _meets_live(self, order: Message) -> bool:
        """Tell whether an order reaches one that can trade, or one of its own user."""
        book = self.orders.books[order.inst]
        return any(
            maker.user == order.user or self.available_lots(maker) > 0
            for maker in book.in_reach(side=order.side, limit_tick=order.price_tick)
        )

    def available_lots(self, maker: RestingOrder) -> int:
        """Return what a resting order can trade; one that only reduces, at most the position."""
        if not maker.is_reduce_only:
            return maker.lots
        return min(maker.lots, self.reducible_lots(maker.user, maker.inst, maker.side))

    # --- cancels ----------------------------------------------------------------------------------

    def cancel_all(self, user: int, *, inst: int = -1) -> int:
        """Cancel a user's orders, book by book, newest first, and triggers; return how many."""
        own = [order for order in self.orders.of_user(user) if inst in (-1, order.inst)]
        for order in sorted(own, key=lambda order: order.inst):
            self.orders.remove(order)
        waiting = [t for t in self.triggers if t.user == user and inst in (-1, t.inst)]
        self.triggers = [t for t in self.triggers if t not in waiting]
        return len(own) + len(waiting)

    def is_name_in_use(self, user: int, client_id: int) -> bool:
        """Tell whether an order that rests or a trigger that waits has that client id."""
        waiting = {(t.user, t.client_id) for t in self.triggers if t.client_id != 0}
        return (user, client_id) in self.orders.by_client_id or (user, client_id) in waiting

    def _cancel_by_name(self, user: int, client_id: int) -> int:
        named = self.orders.by_client_id.get((user, client_id))
        waiting = [t for t in self.triggers if (t.user, t.client_id) == (user, client_id)]
        if named is None and waiting and client_id != 0:
            self.triggers.remove(waiting[0])
            return CANCELLED
        return self._cancel_if_own(named, user)

    def cancel_newest_risk_increasing(self, user: int) -> int:
        """Cancel the newest order that bids for a token or could add to a perp; its book, or -1."""
        for order in self.orders.of_user(user):
            if self._adds_risk(order):
                self.orders.remove(order)
                return order.inst
        return -1

    def _adds_risk(self, order: RestingOrder) -> bool:
        if not self.instruments[order.inst].is_perp:
            return order.side == BUY
        if order.is_reduce_only:
            return False
        place = (order.user, order.inst, order.side)
        return self.orders.open_lots(*place) > self.reducible_lots(*place)

    def _cancel_if_own(self, order: RestingOrder | None, user: int) -> int:
        if order is None or order.user != user:
            return R_UNKNOWN_ORDER
        self.orders.remove(order)
        return CANCELLED

    def expire(self, order: RestingOrder, kind: int, t_ms: int) -> None:
        """Take a resting order away that may not trade any more, as an event."""
        price_e8 = order.price_tick * self.instruments[order.inst].tick_e8
        self.events.append(Event(t_ms, kind, order.user, order.inst, order.lots, price_e8))
        self.orders.remove(order)

    # --- what users have --------------------------------------------------------------------------

    def row_of(self, user: int, inst: int) -> int:
        """Return where a user's perp stands: in its pocket where it has one."""
        return self.pockets.get((user, inst), user)

    def position(self, user: int, inst: int) -> int:
        """Return what a user holds of an instrument, in whole lots."""
        rules = self.instruments[inst]
        if rules.is_perp:
            return self.ledger.perp(self.row_of(user, inst), inst)
        return self.ledger.token(user, rules.token) // rules.lot_units

    def reducible_lots(self, user: int, inst: int, side: int) -> int:
        """Return how many lots an order of one side can take off the position."""
        position = self.position(user, inst)
        return max(position, 0) if side == SELL else max(-position, 0)
