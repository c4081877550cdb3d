"""Books, ledger and matching: kernels against plain Python on random streams, bit by bit."""

import numpy as np
import pytest

from stressbook.market.codes import (
    BUY,
    FORCED,
    GTC,
    IOC,
    N_REPLIES,
    OP_CANCEL,
    OP_CANCEL_ALL,
    OP_CANCEL_CLIENT_ID,
    OP_DEPOSIT,
    OP_ENROL,
    OP_LEVERAGE,
    OP_NEW,
    OP_REDEEM,
    OP_SUPPLY,
    OP_TRANSFER,
    OP_WITHDRAW,
    POST_ONLY,
    REDUCE_ONLY,
    REFUSAL_NAMES,
    SELL,
    TWAP,
)
from stressbook.market.reference.records import Message
from tests.exchange_twin import BTC_PERP, BTC_SPOT, HYPE_SPOT, SOL_PERP, Twin, venue

pytestmark = pytest.mark.boundscheck

INSTS = (BTC_PERP, SOL_PERP, BTC_SPOT, HYPE_SPOT)
NONSENSE = (-(2**63), -1, 2**31, 2**62, 2**63 - 1)


class RandomStream:
    """Messages near one price, a part of them malformed."""

    def __init__(self, rng, twin, *, scale=20):
        self.rng, self.twin, self.scale = rng, twin, scale
        self.n_users = len(twin.exchange.users)
        mids = {inst: int(1e8 * twin.v.price[twin.v.inst[inst].asset].mark_usd) for inst in INSTS}
        self.mid = {inst: mids[inst] // int(twin.v.inst[inst].tick_e8) for inst in INSTS}

    def batch(self, n):
        return [self.message() for _ in range(n)]

    def message(self):
        draw = self.rng.random()
        message = self.new_order() if draw < 0.6 else self.other(draw)
        if self.rng.random() < 0.05:
            names = [name for name in Message._fields if name not in ("op", "handle")]
            message = message._replace(
                **{str(self.rng.choice(names)): int(self.rng.choice(NONSENSE))}
            )
        return message

    def new_order(self):
        rng, inst = self.rng, int(self.rng.choice(INSTS))
        spread = int(rng.integers(-6, 7))
        end = rng.random()
        tick = self.mid[inst] + spread if end < 0.95 else (1 if end < 0.97 else 262_143)
        return Message(
            OP_NEW,
            user=int(rng.integers(self.n_users)),
            inst=inst,
            side=int(rng.choice((BUY, SELL))),
            tif=int(rng.choice((GTC, GTC, IOC, POST_ONLY))),
            flags=int(rng.choice((0, 0, 0, REDUCE_ONLY, FORCED, TWAP, FORCED | REDUCE_ONLY))),
            price_tick=tick,
            qty_lots=int(rng.integers(1, self.scale)),
            client_id=int(rng.choice((0, rng.integers(1, 12), rng.integers(2**62)))),
        )

    def other(self, draw):
        rng = self.rng
        handles = [0, 2**24, 7 * 2**24 + 3, *self.twin.exchange.orders.by_handle]
        fields = {
            "user": int(rng.integers(self.n_users)),
            "inst": int(rng.choice((-2, -1, *INSTS, 9))),
            "client_id": int(rng.integers(12)),
            "handle": int(rng.choice(handles)),
            "qty_lots": int(rng.choice((0, 1, 2, 5, 40, 10**6, 10**11))),
        }
        if draw < 0.9:
            ops = (OP_CANCEL, OP_CANCEL_CLIENT_ID, OP_CANCEL_CLIENT_ID, OP_CANCEL_ALL)
        else:
            fields["inst"] = int(rng.choice((-1, 0, 1, 2, 3, 4)))
            ops = (OP_DEPOSIT, OP_WITHDRAW, OP_SUPPLY, OP_REDEEM, OP_LEVERAGE, OP_ENROL)
            ops += (OP_TRANSFER, -1, 11)
        return Message(int(rng.choice(ops)), **fields)


def run_stream(twin, seed, *, n_steps, scale=20):
    stream = RandomStream(np.random.default_rng(seed), twin, scale=scale)
    for _ in range(n_steps):
        twin.step(*stream.batch(int(stream.rng.integers(0, 40))))


@pytest.mark.parametrize("seed", range(4))
def test_streams_without_admission_leave_both_venues_equal(seed):
    twin = Twin(venue())
    run_stream(twin, seed, n_steps=60)
    assert len(twin.exchange.orders.by_handle) > 10


@pytest.mark.parametrize("seed", range(4))
def test_streams_with_admission_leave_both_venues_equal(seed):
    rich = {"cash_micro": 3 * 10**8, "supply": 10**8, "tokens": {1: 10**8, 3: 10**9}}
    v = venue(values={"orders.admission_on": True, "orders.price_band_frac": 0.5}, **rich)
    twin = Twin(v)
    run_stream(twin, seed, n_steps=60, scale=400)
    assert min(len(twin.exchange.orders.by_handle), int(v.reply_count[32:38].sum())) > 0


def test_a_full_book_refuses_in_both():
    from stressbook.market.state import Capacity

    capacity = Capacity(orders=8, messages=512, fills=4096, events=4096)
    twin = Twin(venue(capacity=capacity))
    run_stream(twin, 5, n_steps=30)
    assert twin.v.reply_count[31] > 0


def test_random_streams_meet_nearly_every_reply():
    counts = np.zeros(N_REPLIES, np.int64)
    for admission, seed in ((False, 21), (True, 22), (False, 23)):
        rich = {"cash_micro": 3 * 10**8, "supply": 10**8, "tokens": {1: 10**8, 3: 10**9}}
        rules = {"orders.admission_on": admission, "orders.price_band_frac": 0.5 * admission}
        twin = Twin(venue(values=rules, **rich))
        run_stream(twin, seed, n_steps=60, scale=400)
        counts += twin.v.reply_count
    met = {REFUSAL_NAMES[code] for code in REFUSAL_NAMES if counts[code] > 0}
    # Caps, breaches and the full book have tests of their own.
    elsewhere = {"in_resolution", "cap_reached", "utilisation_full", "book_full", "position_bound"}
    assert met >= set(REFUSAL_NAMES.values()) - elsewhere
