"""Trigger orders by hand: what waits, what the mark reaches, what becomes of it; both engines."""

import pytest

from stressbook.market.reference.records import Message
from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    CANCELLED,
    EV_BREACH,
    EV_REFUSAL,
    EV_RISK_ORDER_CANCELLED,
    EV_TRIGGERED,
    GTC,
    IOC,
    OP_CANCEL_ALL,
    OP_CANCEL_CLIENT_ID,
    OP_TRIGGER,
    POST_ONLY,
    R_BAD_INSTRUMENT,
    R_BAD_OP,
    R_BAD_PRICE,
    R_BAD_QUANTITY,
    R_BAD_SIDE,
    R_BAD_TIF,
    R_BAD_TRIGGER,
    R_DUPLICATE_CLIENT_ID,
    R_INSUFFICIENT_MARGIN,
    R_REDUCE_ONLY_WOULD_INCREASE,
    R_TRIGGERS_FULL,
    R_UNKNOWN_ORDER,
    REDUCE_ONLY,
    RESTING,
    SELL,
    TAKE,
    TRIGGER_NAMES,
    TRIGGERED,
)
from stressbook.market.state.records import C_TRIGGERS, Capacity
from tests.exchange_twin import BTC_PERP, BTC_SPOT, Twin, order, venue
from tests.small_venue import HOUSE, HYPE_PERP, LONG, SmallVenue, long_against_house, trader

MARK = 78_803  # USD and ticks of BTC


def wait(user, side, trigger_tick, *, lots=10, limit=0, tif=None, **fields):
    """A trigger in BTC-PERP: a market order unless it has a limit."""
    tif = (GTC if limit else IOC) if tif is None else tif
    given = {"inst": BTC_PERP, "price_tick": limit, "qty_lots": lots, "tif": tif}
    return Message(OP_TRIGGER, user, side=side, handle=trigger_tick, **given | fields)


# --- placing and cancelling, on the twin ----------------------------------------------------------


@pytest.mark.boundscheck
@pytest.mark.parametrize(
    ("side", "flags", "trigger", "code"),
    [
        (SELL, 0, MARK - 1, ACCEPTED),
        (SELL, 0, MARK, R_BAD_TRIGGER),  # would be sent at once
        (BUY, 0, MARK + 1, ACCEPTED),
        (BUY, 0, MARK - 1, R_BAD_TRIGGER),
        (SELL, TAKE, MARK + 1, ACCEPTED),
        (SELL, TAKE, MARK - 1, R_BAD_TRIGGER),
        (BUY, TAKE, MARK - 1, ACCEPTED),
        (BUY, TAKE | REDUCE_ONLY, MARK - 1, ACCEPTED),
    ],
)
def test_a_trigger_waits_on_its_side_of_the_mark(side, flags, trigger, code):
    twin = Twin(venue(2))
    assert twin.step(wait(0, side, trigger, flags=flags)) == [code]
    assert twin.v.n_triggers[0] == twin.v.ctr[C_TRIGGERS] == (code == ACCEPTED)


@pytest.mark.boundscheck
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"inst": BTC_SPOT}, R_BAD_INSTRUMENT),
        ({"inst": -1}, R_BAD_INSTRUMENT),
        ({"inst": 7}, R_BAD_INSTRUMENT),
        ({"side": 2}, R_BAD_SIDE),
        ({"tif": 3}, R_BAD_TIF),
        ({"lots": 0}, R_BAD_QUANTITY),
        ({"lots": 2**61}, R_BAD_QUANTITY),
        ({"limit": -1}, R_BAD_PRICE),
        ({"limit": 2**18}, R_BAD_PRICE),
        ({"tif": POST_ONLY}, R_BAD_PRICE),  # has nowhere to rest
        ({"trigger_tick": 0}, R_BAD_TRIGGER),
        ({"trigger_tick": 2**18}, R_BAD_TRIGGER),
        ({"flags": TRIGGERED}, R_BAD_OP),
        ({"flags": 2}, R_BAD_OP),
    ],
)
def test_a_malformed_trigger_is_refused(fields, code):
    given = {"side": SELL, "trigger_tick": MARK - 100} | fields
    side, trigger_tick = given.pop("side"), given.pop("trigger_tick")
    assert Twin(venue(2)).step(wait(0, side, trigger_tick, **given)) == [code]


def test_an_order_may_not_say_that_it_takes_a_profit():
    assert Twin(venue(2)).step(order(0, BTC_PERP, BUY, MARK, 1, flags=TAKE)) == [R_BAD_OP]


@pytest.mark.boundscheck
def test_a_client_id_names_one_order_or_trigger_of_an_account():
    twin = Twin(venue(3))
    assert twin.step(
        wait(0, SELL, MARK - 5, client_id=1),
        wait(0, SELL, MARK - 6, client_id=1),
        order(0, BTC_PERP, BUY, MARK, 1, client_id=1),
        order(0, BTC_PERP, BUY, MARK, 1, client_id=2),
        wait(0, SELL, MARK - 7, client_id=2),
        wait(1, SELL, MARK - 8, client_id=1),
        wait(0, SELL, MARK - 9),
        wait(0, SELL, MARK - 9),
    ) == [ACCEPTED, *[R_DUPLICATE_CLIENT_ID] * 2, RESTING, R_DUPLICATE_CLIENT_ID, *[ACCEPTED] * 3]
    name = {"op": OP_CANCEL_CLIENT_ID}
    assert twin.step(
        Message(user=2, client_id=1, **name),
        Message(user=0, client_id=0, **name),
        Message(user=0, client_id=1, **name),
        Message(user=0, client_id=1, **name),
        order(0, BTC_PERP, BUY, MARK, 1, client_id=1),
    ) == [R_UNKNOWN_ORDER, R_UNKNOWN_ORDER, CANCELLED, R_UNKNOWN_ORDER, RESTING]
    assert twin.v.n_triggers[:3].tolist() == [2, 1, 0]


@pytest.mark.boundscheck
def test_cancel_all_takes_the_triggers_of_one_book_or_of_all():
    twin = Twin(venue(2))
    both = [wait(0, SELL, MARK - 5), wait(0, SELL, 1, inst=2), wait(1, SELL, MARK - 5)]
    twin.step(*both, wait(0, SELL, MARK - 6))
    assert twin.step(Message(OP_CANCEL_ALL, 0, BTC_PERP)) == [CANCELLED]
    assert [(t[0], t[1]) for t in twin.v.trigger[:2].tolist()] == [(0, 2), (1, BTC_PERP)]
    twin.step(Message(OP_CANCEL_ALL, 0, -1))
    assert twin.v.n_triggers[:2].tolist() == [0, 1]


@pytest.mark.boundscheck
def test_a_full_table_refuses():
    twin = Twin(venue(2, capacity=Capacity(orders=8, messages=64, fills=64, events=64, triggers=2)))
    asked = [wait(0, SELL, MARK - 5 - k) for k in range(3)]
    assert twin.step(*asked) == [ACCEPTED, ACCEPTED, R_TRIGGERS_FULL]
    assert twin.step(Message(OP_CANCEL_ALL, 0, -1), asked[2]) == [CANCELLED, ACCEPTED]


# --- what the mark reaches, on small venues of both engines ---------------------------------------


def waits(venue, side, usd, lots=100, *, flags=0, limit_usd=0.0, user=LONG, **more):
    tick_usd = float(venue.v.inst[HYPE_PERP].tick_usd)
    message = {"op": OP_TRIGGER, "user": user, "inst": HYPE_PERP, "side": side, "options": flags}
    message |= {"handle": round(usd / tick_usd), "price_tick": round(limit_usd / tick_usd)}
    venue.send(**message, qty_lots=lots, tif=GTC if limit_usd else IOC, **more)


def holding(engine, **more):
    """User 0 is long 2,000 HYPE at 100 USD with margin to spare."""
    return long_against_house(100_000, engine=engine, **more)


@pytest.mark.parametrize(
    ("side", "flags", "name", "trigger", "prices"),
    [
        (SELL, 0, "stop_market", 95.0, (96.0, 94.0)),
        (BUY, 0, "stop_market", 105.0, (104.0, 106.0)),
        (SELL, TAKE, "take_market", 105.0, (104.0, 106.0)),
        (BUY, TAKE, "take_market", 95.0, (96.0, 94.0)),
        (SELL, REDUCE_ONLY, "stop_market", 95.0, (96.0, 95.0)),
    ],
)
def test_a_market_order_is_sent_at_the_mark_update_that_reaches_it(
    side, flags, name, trigger, prices, engine
):
    venue = holding(engine)
    waits(venue, side, trigger, flags=flags)
    venue.step(HYPE=100.0)
    assert venue.v.n_triggers[LONG] == 1
    venue.update(HYPE=prices[0])
    assert EV_TRIGGERED not in venue.kinds()
    venue.order(HOUSE, HYPE_PERP, 1 - side, trigger, 60)
    venue.step(HYPE=prices[1])  # no mark update
    assert len(venue.fills) == 0
    venue.update()
    event = venue.event(EV_TRIGGERED, LONG)
    assert TRIGGER_NAMES[int(event["cause"])] == name
    signed = 100 if side == BUY else -100
    assert (int(event["lots"]), int(event["price_e8"])) == (signed, round(prices[1] * 1e8))
    (fill,) = venue.fills
    assert (int(fill["taker"]), int(fill["qty_lots"])) == (LONG, 60)
    assert int(fill["options"]) == TRIGGERED | flags & REDUCE_ONLY
    assert venue.v.n_triggers[LONG] == venue.v.ctr[C_TRIGGERS] == 0
    assert int(venue.v.user[LONG].n_orders) == 0


def test_a_market_order_trades_up_to_a_tenth_beyond_its_trigger(engine):
    venue = holding(engine)
    waits(venue, SELL, 95.0)
    venue.bid(HOUSE, HYPE_PERP, 85.5, 30)  # 95 less 10 %
    venue.bid(HOUSE, HYPE_PERP, 85.49, 70)
    venue.update(HYPE=100.0)
    venue.update(HYPE=80.0)
    assert [int(fill["qty_lots"]) for fill in venue.fills] == [30]


def test_a_limit_order_rests_with_its_client_id(engine):
    venue = holding(engine)
    waits(venue, SELL, 110.0, limit_usd=112.0, flags=TAKE | REDUCE_ONLY, client_id=9)
    venue.update(HYPE=100.0)
    venue.update(HYPE=111.0)
    assert TRIGGER_NAMES[int(venue.event(EV_TRIGGERED)["cause"])] == "take_limit"
    (resting,) = venue.v.order[venue.v.order["qty_lots"] > 0]
    assert (int(resting["client_id"]), int(resting["qty_lots"])) == (9, 100)
    venue.send(op=OP_CANCEL_CLIENT_ID, user=LONG, client_id=9)
    venue.step()
    assert int(venue.v.user[LONG].n_orders) == 0


def test_triggers_are_sent_in_the_order_of_their_placing(engine):
    venue = holding(engine)
    for usd, lots in ((90.0, 1), (95.0, 2), (50.0, 3), (93.0, 4)):
        waits(venue, SELL, usd, lots)
        venue.step(HYPE=100.0)
    venue.update(HYPE=85.0)
    fired = [e for e in venue.events if e["kind"] == EV_TRIGGERED]
    assert [int(e["lots"]) for e in fired] == [-1, -2, -4]
    assert [t[6] for t in venue.v.trigger[:1].tolist()] == [3]
    assert int(venue.v.n_triggers[LONG]) == 1


@pytest.mark.parametrize(
    ("lots", "flags", "code"),
    [
        (1_500_000, 0, R_INSUFFICIENT_MARGIN),
        (100, REDUCE_ONLY, R_REDUCE_ONLY_WOULD_INCREASE),
    ],
)
def test_an_order_that_was_triggered_passes_admission(lots, flags, code, engine):
    """While it waits it binds nothing, and closes nothing: margin and position are asked then."""
    venue = holding(engine)
    waits(venue, BUY, 105.0, lots, flags=flags)
    venue.update(HYPE=100.0)
    available = float(venue.v.risk[LONG].available_usd)
    venue.update(HYPE=100.0)
    assert float(venue.v.risk[LONG].available_usd) == available
    venue.update(HYPE=106.0)
    refusal = venue.event(EV_REFUSAL, LONG)
    assert int(refusal["cause"]) == code
    assert int(venue.v.reply_count[code]) == 1
    assert int(venue.v.n_triggers[LONG]) == 0


def test_an_account_in_breach_loses_its_triggers(engine):
    venue = long_against_house(12_000, engine=engine)  # 2,000 HYPE: maintenance 10,000 USD
    waits(venue, SELL, 90.0, flags=REDUCE_ONLY)
    waits(venue, BUY, 150.0, user=HOUSE)
    venue.order(LONG, HYPE_PERP, SELL, 120.0, 10, flags=REDUCE_ONLY)
    venue.update(HYPE=100.0)
    venue.update(HYPE=98.0)
    assert venue.kinds(LONG)[:2] == [EV_BREACH, EV_RISK_ORDER_CANCELLED]
    assert int(venue.event(EV_RISK_ORDER_CANCELLED)["lots"]) == 2
    assert venue.v.n_triggers[:2].tolist() == [0, 1]
    recorded = long_against_house(12_000, engine=engine, liquidation__resolution_on=False)
    waits(recorded, SELL, 97.0, flags=REDUCE_ONLY)
    recorded.update(HYPE=100.0)
    recorded.update(HYPE=98.0)
    assert recorded.v.n_triggers[LONG] == 1  # breaches are recorded only
    recorded.bid(HOUSE, HYPE_PERP, 96.0, 100)
    recorded.update(HYPE=96.0)
    assert [int(fill["taker"]) for fill in recorded.fills] == [LONG]


def test_the_reference_takes_over_waiting_triggers():
    kernel, reference = (SmallVenue(trader(1, 50_000), engine=e) for e in ("kernel", "reference"))
    for each in (kernel, reference):
        waits(each, SELL, 90.0, client_id=4)
        each.update(HYPE=100.0)
    assert reference.v.trigger[:1].tolist() == kernel.v.trigger[:1].tolist()
    reference.engine.reload()
    reference.update(HYPE=80.0)
    assert EV_TRIGGERED in reference.kinds()
