"""Books, ledger and matching: kernels against plain Python on random streams, bit by bit."""

import numpy as np
import pytest

from stressbook.market.reference.opening import desk_of
from stressbook.market.reference.order_rules import order_rules_of
from stressbook.market.reference.records import Message
from stressbook.market.state.codes import (
    BUY,
    CAUSE_ISOLATED_MARGIN,
    CAUSE_REDEEM,
    EV_MARGIN_EXPIRED,
    EV_REDUCE_ONLY_EXPIRED,
    FORCED,
    GTC,
    IOC,
    MODE_PORTFOLIO,
    MODE_STANDARD,
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
    OP_TRIGGER,
    OP_WITHDRAW,
    POST_ONLY,
    R_INSUFFICIENT_MARGIN,
    R_UTILISATION_FULL,
    REDUCE_ONLY,
    REFUSAL_NAMES,
    REGIME_CROSS,
    REGIME_PORTFOLIO,
    RESTING,
    SELL,
    TAKE,
    TWAP,
)
from tests.exchange_twin import (
    BTC_PERP,
    BTC_SPOT,
    HYPE_SPOT,
    LAST_TICK,
    SOL_PERP,
    Twin,
    order,
    venue,
)

pytestmark = pytest.mark.boundscheck

INSTS = (BTC_PERP, SOL_PERP, BTC_SPOT, HYPE_SPOT)
NONSENSE = (-(2**63), -1, 2**31, 2**62, 2**63 - 1)


class RandomStream:
    """Messages near one price, a part of them malformed."""

    def __init__(self, rng, twin, *, scale=20):
        self.rng, self.twin, self.scale = rng, twin, scale
        # And one in five from the pocket of an account, which is refused.
        own = sum(one.parent < 0 for one in twin.exchange.users)
        self.n_users = min(own * 5 // 4, len(twin.exchange.users))
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
        if draw > 0.97:
            return self.trigger()
        if draw < 0.9:
            ops = (OP_CANCEL, OP_CANCEL_CLIENT_ID, OP_CANCEL_CLIENT_ID, OP_CANCEL_ALL)
        else:
            fields["inst"] = int(rng.choice((-1, 0, 1, 2, 3, 4)))
            ops = (OP_DEPOSIT, OP_WITHDRAW, OP_SUPPLY, OP_REDEEM, OP_LEVERAGE, OP_ENROL)
            ops += (OP_TRANSFER, -1, 12)
        return Message(int(rng.choice(ops)), **fields)

    def trigger(self):
        rng, drawn = self.rng, self.new_order()
        tick = self.mid[drawn.inst] + int(rng.integers(-6, 7))
        return drawn._replace(
            op=OP_TRIGGER,
            flags=int(rng.choice((0, REDUCE_ONLY, TAKE, TAKE | REDUCE_ONLY, FORCED))),
            price_tick=int(rng.choice((0, drawn.price_tick))),
            client_id=int(rng.integers(12)),
            handle=tick,
        )


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


@pytest.mark.parametrize("regime", ["isolated", "scan"])
def test_streams_under_other_regimes_leave_both_venues_equal(regime):
    portfolio = {"regime": REGIME_PORTFOLIO, "account_mode": MODE_PORTFOLIO}
    rich = {"cash_micro": 3 * 10**9, "supply": 10**8, "tokens": {1: 10**8, 3: 10**9}}
    rich |= portfolio if regime == "scan" else {}
    rules = {"orders.admission_on": True, "orders.order_min_usd": 0.0}
    v = venue(values=rules, under=regime, **rich)
    twin = Twin(v)
    run_stream(twin, 1, n_steps=60, scale=20_000)
    moved = np.abs(v.flow[:, 0, CAUSE_ISOLATED_MARGIN]).sum()
    assert (moved > 0) == (regime == "isolated")
    assert int(v.reply_count[R_INSUFFICIENT_MARGIN]) > 0


class LeanStream(RandomStream):
    """Orders of up to many times what an account has, and no cash from outside."""

    def new_order(self):
        drawn = super().new_order()
        spec = self.twin.v.inst[drawn.inst]
        lot_usd = float(spec.lot_size) * float(self.twin.v.price[spec.asset].mark_usd)
        lots = int(10.0 ** self.rng.uniform(2.5, 4.0) / lot_usd)
        flags = int(self.rng.choice((0, 0, 0, REDUCE_ONLY)))
        return drawn._replace(qty_lots=max(1, lots), flags=flags)

    def other(self, draw):
        return super().other(min(draw, 0.89))


def move_marks(twin, opening_usd, rng):
    """Have marks leave the prices of the books, in both."""
    for price, usd in zip(twin.v.price, opening_usd, strict=True):
        price["mark_e8"] = round(usd * float(np.exp(rng.normal(0.0, 0.1))) * 1e8)
        price["mark_usd"] = int(price["mark_e8"]) / 1e8
    twin.exchange.desk.assets = desk_of(twin.v).assets
    twin.exchange.order_rules = order_rules_of(twin.v)


@pytest.mark.parametrize("regime", [REGIME_CROSS, REGIME_PORTFOLIO])
def test_streams_under_moving_marks_expire_who_lacks_margin_in_both(regime):
    mode = MODE_PORTFOLIO if regime == REGIME_PORTFOLIO else MODE_STANDARD
    lean = {"cash_micro": 10**9, "supply": 5 * 10**8, "tokens": {1: 10**8, 3: 10**9}}
    expired = []
    for seed in range(6):
        rules = {"orders.admission_on": True}
        twin = Twin(venue(values=rules, regime=regime, account_mode=mode, **lean))
        opening_usd = twin.v.price["mark_usd"].tolist()
        stream = LeanStream(np.random.default_rng(seed), twin)
        for _ in range(60):
            twin.step(*stream.batch(int(stream.rng.integers(0, 30))))
            expired += [e.inst for e in twin.exchange.events if e.kind == EV_MARGIN_EXPIRED]
            move_marks(twin, opening_usd, stream.rng)
    assert set(expired) == set(INSTS)


def test_streams_turn_positions_and_pass_by_dead_orders_in_both():
    twin, rng = Twin(venue()), np.random.default_rng(32)
    stream = RandomStream(rng, twin)
    n_turned = n_passed = 0
    for _ in range(150):
        twin.step(*(stream.new_order()._replace(inst=SOL_PERP) for _ in range(4)))
        owner, *others = rng.permutation(len(twin.exchange.users)).tolist()
        held = twin.exchange.position(owner, SOL_PERP)
        twin.step(*orders_around_a_close(stream, owner, others, held))
        of_owner = [fill for fill in twin.exchange.fills if fill.taker == owner]
        has_turned = held * twin.exchange.position(owner, SOL_PERP) < 0
        n_turned += has_turned and len({fill.price_tick for fill in of_owner}) > 1
        (code,) = twin.step(crossing(stream, others[0]))
        kinds = [event.kind for event in twin.exchange.events]
        n_passed += code == RESTING and EV_REDUCE_ONLY_EXPIRED in kinds
    assert min(n_turned, n_passed) > 10


def orders_around_a_close(stream, owner, others, held):
    """One rests what would close its position, then closes half, all or more against others."""
    rng, mid = stream.rng, stream.mid[SOL_PERP]
    side, lots = (SELL if held > 0 else BUY), max(1, abs(held))
    away = 1 if side == SELL else -1
    rests = order(owner, SOL_PERP, side, mid + away, lots, flags=REDUCE_ONLY)
    meets = [
        order(user, SOL_PERP, 1 - side, mid - away * int(rng.integers(4)), lots)
        for user in others[:2]
    ]
    closes = max(1, lots * int(rng.integers(1, 4)) // 2)
    return [
        *(Message(OP_CANCEL_ALL, user, SOL_PERP) for user in others),
        rests,
        *meets,
        order(owner, SOL_PERP, side, mid - 6 * away, closes, tif=IOC),
    ]


def crossing(stream, user):
    """A post-only order at the best price of a side."""
    side = int(stream.rng.integers(2))
    best = int(stream.twin.v.best[SOL_PERP, 1 - side])
    return order(user, SOL_PERP, side, min(max(best, 1), LAST_TICK), 3, tif=POST_ONLY)


@pytest.mark.parametrize("lent_on", [0, 3 * 10**8, 5 * 10**8])
def test_streams_of_lenders_who_spend_leave_both_venues_equal(lent_on):
    lenders = {"cash_micro": 3 * 10**8, "supply": 10**8, "tokens": {1: 10**8, 3: 10**9}}
    lenders |= {"regime": REGIME_PORTFOLIO, "account_mode": MODE_PORTFOLIO, "debt": lent_on // 5}
    v = venue(values={"orders.admission_on": True, "orders.price_band_frac": 0.5}, **lenders)
    twin = Twin(v)
    run_stream(twin, 7, n_steps=60, scale=400)
    assert v.reply_count[R_UTILISATION_FULL] > 0
    assert (v.flow[:5, 0, CAUSE_REDEEM].sum() > 0) == (lent_on < 5 * 10**8)


def test_a_full_book_refuses_in_both():
    from stressbook.market.state.records import Capacity

    capacity = Capacity(orders=8, messages=512, fills=4096, events=4096)
    twin = Twin(venue(capacity=capacity))
    run_stream(twin, 5, n_steps=30)
    assert twin.v.reply_count[31] > 0


def test_random_streams_meet_nearly_every_reply():
    counts = np.zeros(N_REPLIES, np.int64)
    for admission, seed in ((False, 21), (True, 22), (False, 23)):
        rich = {"cash_micro": 3 * 10**8, "supply": 10**8, "tokens": {1: 10**8, 3: 10**9}}
        rules = {"orders.admission_on": admission, "orders.price_band_frac": 0.5 * admission}
        rules |= {"orders.order_min_usd": 3.0, "order_sizes.3.market_order_max_usd": 200.0}
        rules |= {"instruments.SOL-PERP.open_interest_cap_usd": 200.0}
        twin = Twin(venue(values=rules, **rich))
        run_stream(twin, seed, n_steps=60, scale=400)
        counts += twin.v.reply_count
    met = {REFUSAL_NAMES[code] for code in REFUSAL_NAMES if counts[code] > 0}
    # Caps, breaches and the full book have tests of their own.
    elsewhere = {"in_resolution", "cap_reached", "utilisation_full", "book_full", "position_bound"}
    elsewhere |= {"triggers_full", "halted"}
    assert met >= set(REFUSAL_NAMES.values()) - elsewhere
