"""Which account is resolved, and by orders to the book, by hand-worked numbers on both engines."""

import pytest

from stressbook.market.state.codes import (
    BUY,
    EV_BREACH,
    EV_BREACH_ENDED,
    EV_FORCED_ORDER,
    EV_RISK_ORDER_CANCELLED,
    FORCED,
    IOC,
    REDUCE_ONLY,
    SELL,
)
from tests.small_venue import (
    BTC_PERP,
    HOUSE,
    HOUSE_CASH,
    HYPE_PERP,
    HYPE_SPOT,
    LONG,
    SmallVenue,
    long_against_house,
    trader,
)

# --- orders to the book ---------------------------------------------------------------------------


def test_a_large_position_is_sold_by_a_fifth_then_whole_for_thirty_seconds(engine):
    # 190k of notional needs 9.5k; equity 19k - 10k = 9k is below that, and above 2/3 of it.
    s = long_against_house(19_000, engine=engine)
    s.update()
    assert s.kinds() == []
    s.update(HYPE=95.0)
    assert s.kinds() == [EV_BREACH, EV_FORCED_ORDER]
    assert s.event(EV_BREACH)["amount_micro"] == 9_000_000_000
    order = s.forced[0]
    assert (order["side"], order["qty_lots"], order["tif"]) == (SELL, 40_000, IOC)
    assert order["options"] == FORCED | REDUCE_ONLY
    assert order["price_tick"] * s.v.inst[HYPE_PERP].tick_usd == pytest.approx(85.5)
    assert s.event(EV_FORCED_ORDER)["lots"] == -40_000
    for _ in range(9):
        s.update()
        assert [m["qty_lots"] for m in s.forced] == [200_000]
    s.update()  # 30 s after the part
    assert [m["qty_lots"] for m in s.forced] == [40_000]


def test_what_remains_after_a_part_is_no_longer_in_breach(engine):
    s = long_against_house(19_200, engine=engine)
    s.bid(HOUSE, HYPE_PERP, 95.0, 200_000)
    s.step()
    s.update(HYPE=95.0)
    # Sold 40,000 lots at 95 for a fee of .045 %: 17.1 USD.
    assert s.fills["qty_lots"].tolist() == [40_000]
    assert int(s.v.perp[LONG, HYPE_PERP]) == 160_000
    assert s.equity_usd(LONG) == pytest.approx(9_200 - 17.1, abs=1e-6)
    s.update()
    assert s.kinds(LONG) == [EV_BREACH_ENDED]
    assert len(s.forced) == 0


@pytest.mark.parametrize(("lots", "sent"), [(105_263, 105_263), (105_265, 21_053)])
def test_a_position_up_to_100k_is_sold_whole(engine, lots, sent):
    # At 95 the first is worth 99,999.85 USD, the second 100,001.75.
    s = long_against_house(lots * 0.05 + 4_500, lots, engine=engine)
    s.update(HYPE=95.0)
    assert [m["qty_lots"] for m in s.forced] == [sent]


def test_a_short_is_bought_back(engine):
    s = SmallVenue(
        trader(1, 20_000, {HYPE_PERP: (-200_000, 100.0)}),
        trader(2, HOUSE_CASH, {HYPE_PERP: (200_000, 100.0)}),
        engine=engine,
    )
    s.update(HYPE=105.0)  # 210k needs 10.5k; 20k - 10k is left
    assert (s.forced[0]["side"], s.forced[0]["qty_lots"]) == (BUY, 40_000)
    assert s.forced[0]["price_tick"] * s.v.inst[HYPE_PERP].tick_usd == pytest.approx(115.5)


def test_resting_orders_go_at_a_breach(engine):
    s = long_against_house(20_100, engine=engine)
    s.order(LONG, HYPE_PERP, SELL, 120.0, 10)
    s.bid(LONG, BTC_PERP, 90_000.0, 10)
    s.step()
    s.update(HYPE=94.6)  # 9,300 below 9,460
    gone = s.event(EV_RISK_ORDER_CANCELLED)
    assert (gone["user"], gone["inst"], gone["lots"]) == (LONG, -1, 2)
    assert s.v.user[LONG].n_orders == 0


# --- orders below initial margin, and the switch that leaves breaches alone -----------------------


def test_below_initial_margin_orders_that_add_risk_go_newest_first(engine):
    # At 92: 1,200 less 920 for the position; the bids bind 91, 182 and 273, and that for tokens 90.
    s = SmallVenue(
        trader(1, 2_000, {HYPE_PERP: (10_000, 100.0), BTC_PERP: (-10, 100_000.0)}),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-10_000, 100.0), BTC_PERP: (10, 100_000.0)}),
        engine=engine,
    )
    for number, lots in ((1, 1_000), (2, 2_000), (3, 3_000)):
        s.bid(LONG, HYPE_PERP, 90.0, lots, client_id=number)
        s.step(100)
    s.bid(LONG, BTC_PERP, 50_000.0, 10, client_id=4, flags=REDUCE_ONLY)
    s.bid(LONG, HYPE_SPOT, 90.0, 100, client_id=5)
    s.step()
    assert s.v.user[LONG].n_orders == 5
    s.update(HYPE=92.0)
    gone = [(int(e["inst"]), int(e["lots"])) for e in s.events]
    assert gone == [(HYPE_SPOT, 1), (HYPE_PERP, 1)]
    left = sorted(int(o["client_id"]) for o in s.v.order if o["qty_lots"] > 0)
    assert left == [1, 2, 4]


@pytest.mark.parametrize(
    ("hype", "gone", "left"),
    [
        (95.0, [], [2, 3, 4, 5, 6, 7, 8, 9]),
        # 1,700 are left; 770 bind the position, 1,111 the asks that stay: margin is not asked.
        (77.0, [(BTC_PERP, 2), (HYPE_PERP, 2), (HYPE_SPOT, 1)], [3, 5, 6]),
    ],
)
def test_orders_that_offset_nothing_go_at_once_where_rules_say_so(engine, hype, gone, left):
    s = SmallVenue(
        trader(1, 4_000, {HYPE_PERP: (10_000, 100.0), BTC_PERP: (-10, 100_000.0)}),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-10_000, 100.0), BTC_PERP: (10, 100_000.0)}),
        engine=engine,
        orders__cancel_below_initial="not_offsetting",
    )
    # Asks for 13,000 lots stand against 10,000: the two at 130 are too many.
    asks = ((2, 130.0, 2_000), (3, 110.0, 4_000), (4, 130.0, 1_500), (5, 120.0, 5_500))
    for number, price, lots in asks:
        s.order(LONG, HYPE_PERP, SELL, price, lots, client_id=number)
    s.bid(LONG, BTC_PERP, 50_000.0, 4, client_id=6)
    s.bid(LONG, BTC_PERP, 40_000.0, 7, client_id=7, flags=REDUCE_ONLY)
    s.order(LONG, BTC_PERP, SELL, 150_000.0, 1, client_id=8)
    s.bid(LONG, HYPE_SPOT, 70.0, 100, client_id=9)
    s.step()
    assert s.v.user[LONG].n_orders == 8
    s.update(HYPE=hype)
    cancelled = [e for e in s.events if e["kind"] == EV_RISK_ORDER_CANCELLED]
    assert [(int(e["inst"]), int(e["lots"])) for e in cancelled] == gone
    assert sorted(int(o["client_id"]) for o in s.v.order if o["qty_lots"] > 0) == left
    s.update()
    assert (s.kinds(), s.v.user[LONG].n_orders) == ([], len(left))
    assert (s.v.risk[LONG].available_usd < 0.0) == bool(gone)


def test_switched_off_breaches_are_only_recorded(engine):
    s = long_against_house(19_000, engine=engine, liquidation__resolution_on=False)
    s.order(LONG, HYPE_PERP, SELL, 120.0, 10)
    s.step()
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH]
    assert s.v.user[LONG].n_orders == 1
    s.update(HYPE=100.0)
    assert s.kinds(LONG) == [EV_BREACH_ENDED]
