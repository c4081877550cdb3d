"""The order of messages: kernel against a sorted list in plain Python."""

import numpy as np
import pytest

from stressbook.market.orders.sequence import sequence_outbox
from stressbook.market.reference.opening import exchange_of, sequencer_of
from stressbook.market.reference.records import Message
from stressbook.market.state.codes import (
    FAULT_OUTBOX,
    FORCED,
    GTC,
    IOC,
    OP_CANCEL_ALL,
    OP_CANCEL_CLIENT_ID,
    OP_NEW,
    POST_ONLY,
    REPLY_PENDING,
    TWAP,
)
from stressbook.market.state.records import C_FAULT, C_OUTBOX, C_PENDING, Capacity
from tests.exchange_twin import read, venue, write_messages

pytestmark = pytest.mark.boundscheck

SCENES = {
    "as the venue": {},
    "all at once": {"latency.jitter_frac": 0.0, "orders.class_delay_ms": 0},
    "no delay": {"orders.class_delay_ms": 0},
}


def random_message(rng, n_users, number):
    users = (*range(n_users), *range(n_users), -1, n_users)
    return Message(
        op=int(rng.choice((OP_NEW, OP_NEW, OP_NEW, OP_CANCEL_ALL, OP_CANCEL_CLIENT_ID))),
        user=int(rng.choice(users)),
        tif=int(rng.choice((GTC, IOC, POST_ONLY))),
        flags=int(rng.choice((0, 0, 0, 0, FORCED, TWAP))),
        client_id=number,
    )


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("n", [0, 1, 7, 9, 200])
def test_both_sort_alike_and_let_the_same_messages_wait(scene, n):
    v = venue(6, values=SCENES[scene])
    v.user["latency_us"][:6] = [0, 0, 150_000, 150_000, 590_000, 900_000]
    users, sequencer, rng = exchange_of(v).users, sequencer_of(v), np.random.default_rng(n)
    waited = 0
    for step in range(1, 9):
        outbox = [random_message(rng, 6, 1000 * step + number) for number in range(n)]
        write_messages(v.outbox, outbox)
        v.ctr[C_OUTBOX] = n
        n_merged = sequence_outbox(v, 1000 * step)
        merged = sequencer.sequence(outbox, users, t_ms=1000 * step)
        assert read(Message, v.merged[:n_merged]) == merged
        pending = read(Message, v.pending[: v.ctr[C_PENDING]])
        assert pending == [timed.message for timed in sequencer.pending]
        assert v.ctr[C_OUTBOX] == 0
        waited += len(set(pending) & set(outbox))
    assert v.reply_count[REPLY_PENDING] == waited
    assert v.ctr[C_FAULT] == 0


def test_a_queue_that_is_too_short_sets_the_fault_word():
    v = venue(1, capacity=Capacity(orders=8, messages=4, fills=64, events=8))
    v.user["latency_us"] = 5_000_000
    for step, fault in ((1, 0), (2, FAULT_OUTBOX)):
        write_messages(v.outbox, [Message(OP_NEW, user=0, tif=POST_ONLY)] * 3)
        v.ctr[C_OUTBOX] = 3
        assert sequence_outbox(v, 1000 * step) == 0
        assert v.ctr[C_FAULT] == fault
