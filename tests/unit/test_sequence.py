"""Effective times: latency, jitter, delay of the class, and who comes first."""

import pytest

from stressbook.market.orders.sequence import effective_us, sequence_outbox
from stressbook.market.reference.records import Message
from stressbook.market.state.codes import FORCED, GTC, IOC, OP_CANCEL_ALL, OP_NEW, POST_ONLY
from stressbook.market.state.records import C_OUTBOX
from tests.exchange_twin import read, venue, write_messages


def sequenced(v, t_ms, *messages):
    write_messages(v.outbox, messages)
    v.ctr[C_OUTBOX] = len(messages)
    n = sequence_outbox(v, t_ms)
    return read(Message, v.merged[:n])


def order(user, tif, **fields):
    return Message(OP_NEW, user, tif=tif, **fields)


@pytest.mark.parametrize(
    ("draw", "expected"), [(0.5, 1_200_000), (1.0, 1_220_000), (0.0, 1_180_000)]
)
def test_jitter_is_a_tenth_of_the_latency_either_way(draw, expected):
    assert effective_us(1_000_000, 200_000, 0.1, draw, 0) == expected


def test_cancels_and_post_only_overtake_orders_that_may_take():
    v = venue(3, values={"latency.jitter_frac": 0.0})
    v.user["latency_us"][:3] = [100_000, 300_000, 350_000]
    taker, quote, cancel = order(0, IOC), order(1, POST_ONLY), Message(OP_CANCEL_ALL, 2)
    # 0.1 s + the 0.4 s of the class comes after 0.3 s and 0.35 s.
    assert sequenced(v, 1000, taker, quote, cancel) == [quote, cancel, taker]


def test_a_message_beyond_the_step_waits_for_the_step_of_its_time():
    v = venue(1, values={"latency.jitter_frac": 0.0, "orders.class_delay_ms": 400})
    v.user["latency_us"][:1] = [2_700_000]
    late = order(0, GTC)
    assert sequenced(v, 1000, late) == []
    assert sequenced(v, 2000) == []
    assert sequenced(v, 3000) == []
    assert sequenced(v, 4000) == [late]


def test_forced_orders_come_last_and_in_their_own_step():
    v = venue(2, values={"latency.jitter_frac": 0.0})
    v.user["latency_us"][:2] = [5_000_000, 599_999]
    forced, ordinary = order(0, IOC, flags=FORCED), order(1, IOC)
    assert sequenced(v, 1000, forced, ordinary) == [ordinary, forced]


def test_ties_are_drawn_anew_each_step_and_do_not_follow_emission():
    v = venue(2, values={"latency.jitter_frac": 0.0})
    v.user["latency_us"][:2] = 200_000
    first = [sequenced(v, 1000 * t, order(0, GTC), order(1, GTC))[0].user for t in range(1, 200)]
    assert 60 < sum(first) < 140


def test_an_account_more_moves_no_tie_of_the_others():
    orders = []
    for n in (4, 5):
        v = venue(n, values={"latency.jitter_frac": 0.0})
        v.user["latency_us"] = 200_000
        messages = [order(user, GTC) for user in range(n)]
        orders.append([m.user for m in sequenced(v, 1000, *messages) if m.user < 4])
    assert orders[0] == orders[1]


@pytest.mark.parametrize(("latency_us", "n_due"), [(599_999, 1), (600_000, 0)])
def test_what_is_effective_at_the_end_of_the_step_waits(latency_us, n_due):
    v = venue(1, values={"latency.jitter_frac": 0.0, "orders.class_delay_ms": 400})
    v.user["latency_us"][:1] = latency_us
    assert len(sequenced(v, 1000, order(0, IOC))) == n_due
