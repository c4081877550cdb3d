"""Halts by hand: what a closed book still does, and what a venue without a clock leaves undone."""

import numpy as np

from stressbook.market.state.codes import (
    CANCELLED,
    EV_BREACH,
    EV_FORCED_ORDER,
    EV_FUNDING,
    EV_REFUSAL,
    EV_TRIGGERED,
    GTC,
    IOC,
    OP_CANCEL_ALL,
    OP_CANCEL_CLIENT_ID,
    OP_DEPOSIT,
    OP_TRIGGER,
    R_HALTED,
    RESTING,
    SELL,
)
from stressbook.market.state.records import C_PRICE_UPDATES, C_REPLIES
from tests.small_venue import (
    ASSETS,
    BTC_PERP,
    HOUSE,
    HYPE_PERP,
    HYPE_SPOT,
    LONG,
    UPDATE_MS,
    long_against_house,
)

HOUR_MS = 3_600_000


def codes_of(venue):
    return venue.v.reply["code"][: venue.v.ctr[C_REPLIES]].tolist()


def halt(venue, *names, clock_runs=True):
    """Close the books of some assets; of all if none is named."""
    for asset in [ASSETS[name] for name in names] or ASSETS.values():
        venue.v.dial[asset]["halt"] = 1.0
        venue.v.dial[asset]["standstill"] = 0.0 if clock_runs else 1.0


def open_again(venue):
    venue.v.dial["halt"] = venue.v.dial["standstill"] = 0.0


def test_a_closed_book_does_nothing_but_cancel(engine):
    venue = long_against_house(100_000, engine=engine)
    venue.bid(HOUSE, HYPE_PERP, 99.0, 50, client_id=1)
    venue.bid(HOUSE, HYPE_PERP, 98.0, 50, client_id=2)
    venue.bid(LONG, BTC_PERP, 99_000.0, 10)
    venue.step(HYPE=100.0)
    halt(venue, "HYPE")
    venue.order(LONG, HYPE_PERP, SELL, 99.0, 20, tif=IOC)
    venue.order(LONG, HYPE_PERP, SELL, 101.0, 20)
    venue.bid(HOUSE, HYPE_SPOT, 99.0, 20)
    venue.bid(LONG, BTC_PERP, 98_000.0, 10)
    venue.send(op=OP_TRIGGER, user=LONG, inst=HYPE_PERP, side=SELL, handle=1, qty_lots=1, tif=IOC)
    venue.send(op=OP_CANCEL_CLIENT_ID, user=HOUSE, client_id=1)
    venue.send(op=OP_DEPOSIT, user=HOUSE, qty_lots=5)
    venue.step()
    assert sorted(codes_of(venue)) == sorted([R_HALTED] * 4 + [RESTING, CANCELLED, 5])
    assert len(venue.fills) == 0
    venue.send(op=OP_CANCEL_ALL, user=LONG, inst=-1)
    venue.step()
    assert venue.v.user["n_orders"][:2].tolist() == [0, 1]
    open_again(venue)
    venue.order(LONG, HYPE_PERP, SELL, 98.0, 20, tif=IOC)
    venue.step()
    assert [int(fill["qty_lots"]) for fill in venue.fills] == [20]


def test_an_order_under_way_meets_a_book_that_has_closed(engine):
    venue = long_against_house(100_000, engine=engine)
    venue.v.user["latency_us"][LONG] = 1_500_000
    if engine == "reference":
        venue.engine.reload()
    venue.bid(LONG, HYPE_PERP, 99.0, 20)
    venue.step(HYPE=100.0)
    halt(venue)
    venue.step()
    assert codes_of(venue) == [R_HALTED]


def test_nobody_can_be_liquidated_into_a_closed_book(engine):
    venue = long_against_house(15_000, engine=engine)  # 2,000 HYPE: maintenance 10,000 USD
    halt(venue)
    venue.update(HYPE=96.0)
    assert venue.kinds(LONG) == [EV_BREACH, EV_FORCED_ORDER, EV_REFUSAL]
    assert int(venue.event(EV_REFUSAL)["cause"]) == R_HALTED
    venue.bid(HOUSE, HYPE_PERP, 95.0, 200_000)
    venue.update()
    assert len(venue.fills) == 0
    open_again(venue)
    venue.bid(HOUSE, HYPE_PERP, 95.0, 200_000)
    venue.update()
    assert [int(fill["taker"]) for fill in venue.fills] == [LONG]


def test_triggers_of_a_closed_book_wait_for_its_opening(engine):
    venue = long_against_house(100_000, engine=engine)
    tick = round(95.0 / float(venue.v.inst[HYPE_PERP].tick_usd))
    message = {"op": OP_TRIGGER, "user": LONG, "inst": HYPE_PERP, "side": SELL, "handle": tick}
    venue.send(**message, price_tick=tick, qty_lots=10, tif=GTC)
    venue.update(HYPE=100.0)
    halt(venue)
    venue.update(HYPE=90.0)
    assert EV_TRIGGERED not in venue.kinds()
    open_again(venue)
    venue.update()
    assert EV_TRIGGERED in venue.kinds()
    assert int(venue.v.user[LONG].n_orders) == 1


def test_prices_and_breaches_wait_while_the_clock_stands(engine):
    venue = long_against_house(15_000, engine=engine)
    venue.update(HYPE=100.0)
    halt(venue, clock_runs=False)
    before = venue.v.price.copy()
    n_updates = int(venue.v.ctr[C_PRICE_UPDATES])
    for _ in range(3):
        venue.update(HYPE=96.0)
    assert np.array_equal(venue.v.price, before)
    assert int(venue.v.ctr[C_PRICE_UPDATES]) == n_updates
    assert len(venue.events) == 0
    open_again(venue)
    venue.update()
    assert float(venue.v.price[ASSETS["HYPE"]].mark_usd) == 96.0
    assert EV_BREACH in venue.kinds(LONG)


def test_the_clock_is_that_of_all_assets(engine):
    venue = long_against_house(15_000, engine=engine)
    halt(venue, "HYPE", "BTC", "ETH", clock_runs=False)
    venue.update(HYPE=96.0)
    assert EV_BREACH in venue.kinds(LONG)


def test_funding_of_an_hour_that_ends_in_a_standstill_lapses(engine):
    venue = long_against_house(100_000, engine=engine)
    venue.update(HYPE=100.0)
    cash = venue.v.cash.copy()
    halt(venue, clock_runs=False)
    venue.t_ms = HOUR_MS - UPDATE_MS
    venue.update()
    assert np.array_equal(venue.v.cash, cash)
    open_again(venue)
    venue.update()
    assert EV_FUNDING not in venue.kinds()
    venue.t_ms = 2 * HOUR_MS - UPDATE_MS
    venue.update()
    assert EV_FUNDING in venue.kinds()
