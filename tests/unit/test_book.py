"""Rules of the order book, one example each."""

import math

import pytest

from stressbook.market.orders.book import cancel_newest_risk_increasing
from stressbook.market.orders.depth import depth_usd_within, impact_price
from stressbook.market.reference.records import Message
from stressbook.market.state.codes import (
    BUY,
    CANCELLED,
    CAUSE_FORCED_TRADE,
    CAUSE_TRADE,
    CAUSE_TWAP_SALE,
    EV_REDUCE_ONLY_EXPIRED,
    EV_REFUSAL,
    EV_SELF_TRADE,
    FILLED,
    FORCED,
    IOC,
    OP_CANCEL,
    OP_CANCEL_ALL,
    OP_CANCEL_CLIENT_ID,
    PARTLY_FILLED_CANCELLED,
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
    R_POSITION_BOUND,
    R_POST_ONLY_WOULD_TAKE,
    R_PRICE_BAND,
    R_REDUCE_ONLY_WOULD_INCREASE,
    R_UNKNOWN_ORDER,
    REDUCE_ONLY,
    RESTING,
    SELL,
    TWAP,
)
from stressbook.market.state.records import C_FILLS, N_TICKS, Capacity
from tests.exchange_twin import BTC_PERP, BTC_SPOT, Twin, order, venue

pytestmark = pytest.mark.boundscheck

ANN, BOB, CAT = 0, 1, 2


@pytest.fixture
def twin():
    """Every step below is compared with plain Python too."""
    return Twin(venue(3))


def bid(user, tick, lots, inst=BTC_PERP, **fields):
    return order(user, inst, BUY, tick, lots, **fields)


def ask(user, tick, lots, inst=BTC_PERP, **fields):
    return order(user, inst, SELL, tick, lots, **fields)


def trades(twin):
    fills = twin.v.fill[: twin.v.ctr[C_FILLS]]
    return [(int(f.maker), int(f.price_tick), int(f.qty_lots)) for f in fills]


# --- priority -------------------------------------------------------------------------------------


def test_the_better_price_trades_first_then_the_older_order(twin):
    twin.step(ask(ANN, 102, 1), ask(BOB, 101, 1), ask(ANN, 101, 1))
    assert twin.step(bid(CAT, 105, 3)) == [FILLED]
    assert trades(twin) == [(BOB, 101, 1), (ANN, 101, 1), (ANN, 102, 1)]


def test_a_partly_filled_order_keeps_its_place(twin):
    twin.step(bid(ANN, 100, 5), bid(BOB, 100, 5))
    twin.step(ask(CAT, 100, 2))
    twin.step(ask(CAT, 100, 4))
    assert trades(twin) == [(ANN, 100, 3), (BOB, 100, 1)]


def test_trades_happen_at_the_resting_price_and_the_rest_waits_at_the_limit(twin):
    twin.step(ask(ANN, 100, 1))
    assert twin.step(bid(BOB, 110, 3)) == [RESTING]
    assert trades(twin) == [(ANN, 100, 1)]
    assert twin.v.best[BTC_PERP].tolist() == [110, N_TICKS]
    assert twin.v.reply[0].filled_lots == 1


# --- time in force --------------------------------------------------------------------------------


def test_an_ioc_order_drops_what_it_does_not_fill(twin):
    twin.step(ask(ANN, 100, 1))
    assert twin.step(bid(BOB, 100, 3, tif=IOC)) == [PARTLY_FILLED_CANCELLED]
    assert twin.step(bid(BOB, 100, 3, tif=IOC)) == [CANCELLED]
    assert twin.v.best[BTC_PERP, BUY] == -1


def test_post_only_is_refused_if_it_would_meet_anything_its_own_included(twin):
    twin.step(ask(ANN, 100, 1))
    assert twin.step(bid(BOB, 100, 1, tif=POST_ONLY)) == [R_POST_ONLY_WOULD_TAKE]
    assert twin.step(bid(ANN, 101, 1, tif=POST_ONLY)) == [R_POST_ONLY_WOULD_TAKE]
    assert twin.step(bid(ANN, 99, 1, tif=POST_ONLY)) == [RESTING]


# --- self-trade and reduce-only -------------------------------------------------------------------


def test_the_resting_order_of_the_same_user_expires_without_trade_or_fee(twin):
    cash = twin.v.cash[ANN]
    twin.step(ask(ANN, 100, 4), ask(BOB, 101, 4))
    assert twin.step(bid(ANN, 101, 3)) == [FILLED]
    assert trades(twin) == [(BOB, 101, 3)]
    event = twin.v.event[0]
    assert (event.kind, event.user, event.lots) == (EV_SELF_TRADE, ANN, 4)
    assert twin.v.cash[ANN] < cash


def test_reduce_only_is_cut_to_the_position(twin):
    twin.step(ask(ANN, 100, 4), bid(BOB, 100, 4))  # Bob is long 4
    twin.step(bid(CAT, 99, 9))
    assert twin.step(ask(BOB, 99, 9, tif=IOC, flags=REDUCE_ONLY)) == [FILLED]
    assert twin.v.perp[BOB, BTC_PERP] == 0
    assert twin.step(ask(BOB, 99, 1, flags=REDUCE_ONLY)) == [R_REDUCE_ONLY_WOULD_INCREASE]


def test_a_resting_reduce_only_order_fills_what_is_left_and_expires(twin):
    twin.step(ask(ANN, 100, 4), bid(BOB, 100, 4))
    twin.step(ask(BOB, 105, 4, flags=REDUCE_ONLY))
    twin.step(bid(CAT, 100, 3), ask(BOB, 100, 3))  # Bob is long 1 by now
    assert twin.step(bid(CAT, 105, 4, tif=IOC)) == [PARTLY_FILLED_CANCELLED]
    assert trades(twin) == [(BOB, 105, 1)]
    event = twin.v.event[0]
    assert (event.kind, event.user, event.lots) == (EV_REDUCE_ONLY_EXPIRED, BOB, 3)
    assert twin.v.perp[BOB, BTC_PERP] == 0


def test_a_resting_reduce_only_order_without_a_position_expires_unfilled(twin):
    twin.step(ask(ANN, 100, 4), bid(BOB, 100, 4))
    twin.step(ask(BOB, 105, 4, flags=REDUCE_ONLY), bid(CAT, 100, 4), ask(BOB, 100, 4))
    assert twin.step(bid(CAT, 105, 4, tif=IOC)) == [CANCELLED]
    assert twin.v.event[0].kind == EV_REDUCE_ONLY_EXPIRED


# --- handles and client ids -----------------------------------------------------------------------


def test_a_dead_handle_never_cancels_the_order_that_took_its_slot(twin):
    twin.step(bid(ANN, 100, 1))
    dead = int(twin.v.reply[0].handle)
    twin.step(Message(OP_CANCEL, ANN, handle=dead))
    twin.step(bid(ANN, 100, 1))
    alive = int(twin.v.reply[0].handle)
    assert alive == dead + 2**24
    assert twin.step(Message(OP_CANCEL, ANN, handle=dead)) == [R_UNKNOWN_ORDER]
    assert twin.step(Message(OP_CANCEL, ANN, handle=alive)) == [CANCELLED]


def test_nobody_cancels_what_belongs_to_another(twin):
    twin.step(bid(ANN, 100, 1, client_id=7))
    handle = int(twin.v.reply[0].handle)
    assert twin.step(Message(OP_CANCEL, BOB, handle=handle)) == [R_UNKNOWN_ORDER]
    assert twin.step(Message(OP_CANCEL_CLIENT_ID, BOB, client_id=7)) == [R_UNKNOWN_ORDER]
    assert twin.step(Message(OP_CANCEL_CLIENT_ID, ANN, client_id=7)) == [CANCELLED]


def test_a_client_id_is_free_again_when_its_order_is_gone(twin):
    twin.step(bid(ANN, 100, 1, client_id=7))
    assert twin.step(bid(ANN, 99, 1, client_id=7)) == [R_DUPLICATE_CLIENT_ID]
    assert twin.step(bid(BOB, 99, 1, client_id=7)) == [RESTING]
    twin.step(ask(CAT, 100, 1))
    assert twin.step(bid(ANN, 99, 1, client_id=7)) == [RESTING]


def test_cancel_all_takes_one_book_or_every_book(twin):
    twin.step(bid(ANN, 100, 1), bid(ANN, 99, 1), bid(ANN, 98, 1, inst=BTC_SPOT), bid(BOB, 97, 1))
    twin.step(Message(OP_CANCEL_ALL, ANN, inst=BTC_PERP))
    assert twin.v.user["n_orders"][:2].tolist() == [1, 1]
    twin.step(Message(OP_CANCEL_ALL, ANN, inst=-1))
    assert twin.v.user["n_orders"][:2].tolist() == [0, 1]


def test_the_newest_order_that_adds_risk_goes_first(twin):
    twin.step(ask(ANN, 100, 4), bid(BOB, 100, 4))  # Bob is long 4
    twin.step(bid(BOB, 90, 1), ask(BOB, 110, 4), ask(BOB, 95, 1, inst=BTC_SPOT))
    twin.step(bid(BOB, 92, 1, inst=BTC_SPOT), bid(BOB, 91, 1))
    went = [cancel_newest_risk_increasing(twin.v, BOB) for _ in range(4)]
    assert went == [BTC_PERP, BTC_SPOT, BTC_PERP, -1]  # neither the reducing ask nor the sale
    assert went == [twin.exchange.cancel_newest_risk_increasing(BOB) for _ in range(4)]
    assert twin.v.best[BTC_PERP].tolist() == [-1, 110]


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"op": 99}, R_BAD_OP),
        ({"flags": 1 << 20}, R_BAD_OP),
        ({"user": -1}, R_BAD_USER),
        ({"user": 2**62}, R_BAD_USER),
        ({"inst": 7}, R_BAD_INSTRUMENT),
        ({"side": 2}, R_BAD_SIDE),
        ({"tif": 3}, R_BAD_TIF),
        ({"qty_lots": 0}, R_BAD_QUANTITY),
        ({"qty_lots": -5}, R_BAD_QUANTITY),
        ({"qty_lots": 2**62}, R_BAD_QUANTITY),
        ({"price_tick": 0}, R_BAD_PRICE),
        ({"price_tick": N_TICKS}, R_BAD_PRICE),
    ],
)
def test_a_malformed_order_is_refused_with_a_code_and_no_effect(twin, fields, code):
    twin.step(ask(ANN, 100, 1))
    assert twin.step(bid(BOB, 100, 1)._replace(**fields)) == [code]
    assert trades(twin) == []


@pytest.mark.parametrize(
    ("part_of_oracle", "fields", "code"),
    [
        (0.201, {}, RESTING),
        (0.199, {}, R_PRICE_BAND),
        (1.799, {}, RESTING),
        (1.801, {}, R_PRICE_BAND),
        (0.199, {"tif": POST_ONLY}, R_PRICE_BAND),
        (0.199, {"tif": IOC}, CANCELLED),  # its limit is only a protection
    ],
)
def test_orders_rest_within_the_price_band_around_the_oracle(part_of_oracle, fields, code):
    twin = Twin(venue(3, values={"orders.price_band_frac": 0.8}))
    tick = round(part_of_oracle * float(twin.v.price[0].oracle_usd) / twin.v.inst[0].tick_usd)
    assert twin.step(bid(ANN, tick, 1, **fields)) == [code]


def test_position_and_open_orders_of_one_side_stay_within_the_bound(twin):
    bound = int(twin.v.inst[BTC_PERP].max_position_lots)
    assert twin.step(bid(ANN, 100, bound)) == [RESTING]
    assert twin.step(bid(ANN, 90, 1)) == [R_POSITION_BOUND]
    twin.step(ask(BOB, 100, bound))
    assert twin.step(bid(ANN, 90, 1)) == [R_POSITION_BOUND]
    assert twin.step(ask(ANN, 101, bound)) == [RESTING]  # what reduces is no matter
    assert twin.step(ask(ANN, 102, bound)) == [RESTING]
    assert twin.step(ask(ANN, 103, 1)) == [R_POSITION_BOUND]


def test_a_full_book_takes_no_order_that_would_rest():
    twin = Twin(venue(3, capacity=Capacity(orders=2, messages=64, fills=64, events=64)))
    assert twin.step(bid(ANN, 100, 1), bid(ANN, 99, 1)) == [RESTING, RESTING]
    assert twin.step(ask(BOB, 101, 1)) == [R_BOOK_FULL]
    assert twin.step(ask(BOB, 100, 1, tif=IOC)) == [FILLED]
    assert twin.step(ask(BOB, 101, 1)) == [RESTING]


def test_a_refused_forced_order_leaves_an_event(twin):
    assert twin.step(bid(ANN, 0, 1, tif=IOC, flags=FORCED)) == [R_BAD_PRICE]
    assert (twin.v.event[0].kind, twin.v.event[0].cause) == (EV_REFUSAL, R_BAD_PRICE)


# --- money ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "inst", "cause"),
    [
        (0, BTC_PERP, CAUSE_TRADE),
        (FORCED, BTC_PERP, CAUSE_FORCED_TRADE),
        (TWAP, BTC_PERP, CAUSE_FORCED_TRADE),
        (TWAP, BTC_SPOT, CAUSE_TWAP_SALE),
    ],
)
def test_cause_of_a_trade_follows_from_the_order_that_took(twin, flags, inst, cause):
    twin.step(bid(ANN, 100, 2, inst=inst))
    twin.step(ask(BOB, 100, 2, inst=inst, flags=flags))
    cost = 2 * 100 * int(twin.v.inst[inst].k)
    assert twin.v.flow[[ANN, BOB], 0, cause].tolist() == [-cost, cost]


def test_both_sides_pay_the_fee_of_their_tier_and_the_treasury_gets_it():
    v = venue(2)
    v.fee_tier["perp_taker_e7"][0], v.fee_tier["perp_maker_e7"][1] = 4_500, -300
    v.user["fee_tier"][:2] = [0, 1]
    twin, treasury = Twin(v), int(v.par[0].row_treasury)
    twin.step(bid(1, 60_000, 10**4), ask(0, 60_000, 10**4))
    value = 10**4 * 60_000 * int(v.inst[BTC_PERP].k)
    fees = [int(v.fill[0].taker_fee_micro), int(v.fill[0].maker_fee_micro)]
    assert fees == [value * 4_500 // 10**7, -(value * 300 // 10**7)]
    assert v.cash[treasury] == sum(fees)
    assert v.user["volume_14d_micro"][0] == value


# --- what the book looks like ---------------------------------------------------------------------


def test_depth_is_what_rests_within_a_fraction_of_the_mid(twin):
    twin.step(bid(ANN, 9_990, 3), bid(ANN, 9_989, 5), ask(BOB, 10_010, 7), ask(BOB, 10_011, 11))
    k = int(twin.v.inst[BTC_PERP].k)
    assert depth_usd_within(twin.v, BTC_PERP, BUY, 20_000, 0.001) == 3 * 9_990 * k / 1e6
    assert depth_usd_within(twin.v, BTC_PERP, SELL, 20_000, 0.001) == 7 * 10_010 * k / 1e6
    assert depth_usd_within(twin.v, BTC_PERP, SELL, 20_000, 0.0011) > 7 * 10_010 * k / 1e6


def test_the_impact_price_is_the_average_over_a_notional(twin):
    twin.step(bid(ANN, 100, 5), bid(ANN, 99, 5))
    k = int(twin.v.inst[BTC_PERP].k)
    tick_usd = float(twin.v.inst[BTC_PERP].tick_usd)
    assert impact_price(twin.v, BTC_PERP, BUY, 995 * k) == pytest.approx(99.5 * tick_usd)
    assert math.isnan(impact_price(twin.v, BTC_PERP, BUY, 996 * k))
    assert math.isnan(impact_price(twin.v, BTC_PERP, SELL, 1))


def test_the_first_sample_of_a_step_is_what_its_first_taker_met(twin):
    twin.step(bid(ANN, 100, 5), ask(BOB, 102, 5))
    twin.step(bid(ANN, 101, 1), ask(CAT, 101, 1), ask(CAT, 100, 5))
    book = twin.v.book[BTC_PERP]
    assert (book.bid_tick, book.ask_tick) == (101, 102)
    assert (book.end_bid_tick, book.end_ask_tick) == (-1, 102)
    assert math.isnan(book.end_mid_usd)


def test_a_book_without_takers_is_sampled_at_the_end(twin):
    twin.step(bid(ANN, 100, 5), ask(BOB, 102, 5))
    book = twin.v.book[BTC_PERP]
    assert (book.bid_tick, book.ask_tick, book.sampled) == (100, 102, 0)
    assert book.spread_frac == book.end_spread_frac == 2 / 101
