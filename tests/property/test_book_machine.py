"""Any messages in any order: kernels and plain Python stay equal, and nothing is made or lost."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from stressbook.market.reference.records import Message
from stressbook.market.state.codes import (
    BUY,
    FORCED,
    GTC,
    IOC,
    N_OPS,
    OP_CANCEL,
    OP_CANCEL_ALL,
    OP_CANCEL_CLIENT_ID,
    OP_DEPOSIT,
    OP_WITHDRAW,
    POST_ONLY,
    REDUCE_ONLY,
    REFUSED,
    SELL,
    TWAP,
)
from stressbook.market.state.records import C_REPLIES, N_TICKS, Capacity
from tests.book_integrity import check_books
from tests.exchange_twin import BTC_PERP, BTC_SPOT, HYPE_SPOT, Twin, order, venue

N_USERS = 3
BOOKS = (BTC_PERP, BTC_SPOT, HYPE_SPOT)
CAPACITY = Capacity(orders=12, messages=64, fills=256, events=256)
INT64 = st.integers(-(2**63), 2**63 - 1)

users = st.integers(0, N_USERS)
books = st.sampled_from(BOOKS)
sides = st.sampled_from((BUY, SELL))
# Few prices, so that orders meet; some at the ends of the ladder and of its bitmap words.
prices = st.sampled_from((1, 63, 64, 4095, 4096, 4097, 131_072, 262_142, N_TICKS - 1))
near = st.integers(4094, 4098)
sizes = st.one_of(st.integers(1, 9), st.integers(1, 2**36))
ids = st.one_of(st.integers(0, 4), INT64)


class BookMachine(RuleBasedStateMachine):
    """Three users, three books, room for twelve orders."""

    handles = Bundle("handles")

    def __init__(self):
        super().__init__()
        self.twin = Twin(venue(N_USERS, capacity=CAPACITY))

    @rule(
        target=handles,
        user=users,
        inst=books,
        side=sides,
        price=st.one_of(near, near, prices),
        lots=sizes,
        tif=st.sampled_from((GTC, GTC, GTC, IOC, POST_ONLY)),
        flags=st.sampled_from((0, 0, 0, REDUCE_ONLY, FORCED, TWAP, REDUCE_ONLY | FORCED)),
        client_id=ids,
    )
    def new_order(self, user, inst, side, price, lots, tif, flags, client_id):
        self.twin.step(
            order(user, inst, side, price, lots, tif=tif, flags=flags, client_id=client_id)
        )
        handle = int(self.twin.v.reply[0].handle)
        return handle if handle else multiple()

    @rule(user=users, handle=handles)
    def cancel_a_handle_alive_or_dead(self, user, handle):
        self.twin.step(Message(OP_CANCEL, user, handle=handle))

    @rule(user=users, client_id=ids)
    def cancel_a_client_id(self, user, client_id):
        self.twin.step(Message(OP_CANCEL_CLIENT_ID, user, client_id=client_id))

    @rule(user=users, inst=st.sampled_from((-1, BTC_PERP, BTC_SPOT)))
    def cancel_all(self, user, inst):
        self.twin.step(Message(OP_CANCEL_ALL, user, inst=inst))

    @rule(
        op=st.sampled_from((OP_DEPOSIT, OP_WITHDRAW)),
        user=users,
        token=st.integers(-1, 4),
        units=st.one_of(st.integers(-1, 10**6), INT64),
    )
    def transfer(self, op, user, token, units):
        if not 2**50 < units < 2**62:  # sums stay below the fault, which has its own test
            self.twin.step(Message(op, user, inst=token, qty_lots=units))

    @rule(
        field=st.sampled_from(("user", "inst", "side", "tif", "price_tick", "qty_lots", "flags")),
        value=st.sampled_from((-(2**63), -1, 2**62, 2**63 - 1)),
        user=users,
        price=near,
    )
    def an_order_with_nonsense_in_it(self, field, value, user, price):
        good = order(user, BTC_PERP, BUY, price, 1)
        (code,) = self.twin.step(good._replace(**{field: value}))
        assert code >= REFUSED

    @rule(op=INT64, fields=st.lists(INT64, min_size=8, max_size=8))
    def noise(self, op, fields):
        names = ("user", "inst", "side", "tif", "price_tick", "qty_lots", "client_id", "handle")
        if not OP_CANCEL_ALL < op < N_OPS:  # what is no order has streams of its own
            self.twin.step(Message(op, **dict(zip(names, fields, strict=True))))

    @rule(data=st.lists(st.tuples(users, sides, near, st.integers(1, 9)), min_size=2, max_size=20))
    def a_batch(self, data):
        self.twin.step(*(order(user, 0, side, price, lots) for user, side, price, lots in data))
        assert self.twin.v.ctr[C_REPLIES] == len(data)

    @invariant()
    def arrays_agree(self):
        check_books(self.twin.v, BOOKS)


BookMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
TestBookMachine = BookMachine.TestCase
