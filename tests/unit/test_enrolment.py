"""Account modes by hand-worked numbers, on both engines: who enrols, who leaves, what caps do."""

import math

import pytest

from stressbook.market.margin.enrolment import VOLUME_PERIOD_MS
from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    EV_BREACH,
    EV_LEFT_PORTFOLIO,
    IOC,
    MODE_PORTFOLIO,
    MODE_UNIFIED,
    OP_CANCEL_CLIENT_ID,
    OP_ENROL,
    OP_TRIGGER,
    R_INSUFFICIENT_MARGIN,
    R_NOT_ELIGIBLE,
    REGIME_CROSS,
    REGIME_PORTFOLIO,
    SELL,
)
from stressbook.market.state.records import C_REPLIES
from tests.small_venue import (
    BTC_PERP,
    HOUSE,
    HOUSE_CASH,
    HYPE,
    HYPE_PERP,
    HYPE_SPOT,
    LONG,
    SmallVenue,
    trader,
)

HOUR_MS = 3_600_000
DAY_MS = VOLUME_PERIOD_MS


def codes(s):
    """What the last step's messages were answered."""
    return [int(reply["code"]) for reply in s.v.reply[: s.v.ctr[C_REPLIES]]]


def asks_to_enrol(s, mode=MODE_PORTFOLIO):
    s.send(op=OP_ENROL, user=LONG, qty_lots=mode)
    s.step()
    return codes(s)


# --- who enrols -----------------------------------------------------------------------------------


def test_nobody_enrols_while_a_trigger_waits(engine):
    s = SmallVenue(trader(1, 50_000), trader(2, HOUSE_CASH), engine=engine)
    tick = round(90.0 / float(s.v.inst[HYPE_PERP].tick_usd))
    stop = {"op": OP_TRIGGER, "user": LONG, "inst": HYPE_PERP, "side": SELL, "tif": IOC}
    s.send(**stop, handle=tick, qty_lots=100, client_id=5)
    s.step()
    assert s.v.n_triggers[LONG] == 1
    assert asks_to_enrol(s) == [R_NOT_ELIGIBLE]
    s.send(op=OP_CANCEL_CLIENT_ID, user=LONG, inst=HYPE_PERP, client_id=5)
    s.step()
    assert asks_to_enrol(s) == [ACCEPTED]


def traded(engine, inst=HYPE_PERP, lots=6_000, **values):
    """User 0 has bought for 6,000 USD at a venue that asks for volume."""
    rules = {"margin__eligible_value_usd": 1e9, "margin__eligible_volume_usd": 11_000.0}
    s = SmallVenue(
        trader(1, 9_000), trader(2, HOUSE_CASH, tokens={HYPE: 1_000}), engine=engine,
        **rules, **values,
    )  # fmt: skip
    s.order(HOUSE, inst, SELL, 100.0, lots)
    s.step()
    s.order(LONG, inst, BUY, 100.0, lots, tif=IOC)
    s.step()
    assert s.fills["qty_lots"].sum() == lots
    return s


def test_tokens_count_twice_and_perps_once(engine):
    assert traded(engine).v.user[LONG].volume_14d_micro == 6_000 * 10**6
    s = traded(engine, HYPE_SPOT)
    assert s.v.user[LONG].volume_14d_micro == 12_000 * 10**6
    assert asks_to_enrol(s) == [ACCEPTED]


def test_weights_are_rules(engine):
    s = traded(engine, HYPE_SPOT, margin__volume_spot_weight=1.5)
    assert s.v.user[LONG].volume_14d_micro == 9_000 * 10**6
    assert asks_to_enrol(s) == [R_NOT_ELIGIBLE]
    s = traded(engine, margin__volume_perp_weight=0.25)
    assert s.v.user[LONG].volume_14d_micro == 1_500 * 10**6


@pytest.mark.parametrize(("days", "left"), [(14.0, 13_000), (2.0, 7_000)])
def test_a_day_of_volume_is_forgotten_when_the_next_begins(engine, days, left):
    s = SmallVenue(
        trader(1, 9_000, volume_14d_micro=14_000 * 10**6),
        trader(2, HOUSE_CASH),
        engine=engine,
        margin__volume_lookback_days=days,
    )
    s.step()
    assert s.v.user[LONG].volume_14d_micro == 14_000 * 10**6
    s.t_ms = DAY_MS - 1_000
    s.step()
    assert s.v.user[LONG].volume_14d_micro == 14_000 * 10**6
    s.step()
    assert s.v.user[LONG].volume_14d_micro == pytest.approx(left * 10**6, abs=10)
    s.step()
    assert s.v.user[LONG].volume_14d_micro == pytest.approx(left * 10**6, abs=10)


# --- who grows too large afterwards ---------------------------------------------------------------


def large(engine, later, **more):
    return SmallVenue(
        trader(1, 20_000_000, tokens={HYPE: 60_000}, **more),  # 26 M
        trader(2, HOUSE_CASH, {HYPE_PERP: (-100, 100.0)}),
        trader(3, 20_000_000, {HYPE_PERP: (100, 100.0)}, tokens={HYPE: 60_000}),
        trader(4, 18_000_000, tokens={HYPE: 60_000}),  # 24 M
        engine=engine,
        margin__value_max_later=later,
    )


def test_an_idle_account_beyond_the_largest_value_leaves_at_the_hour(engine):
    s = large(engine, "leaves_when_idle")
    s.t_ms = HOUR_MS - 2_000
    s.step()
    assert s.v.user[LONG].enrolled == 1
    s.step()
    assert s.event(EV_LEFT_PORTFOLIO)["user"] == LONG
    assert s.event(EV_LEFT_PORTFOLIO)["amount_micro"] == 26_000_000 * 10**6
    left = s.v.user[LONG]
    assert (left.enrolled, left.account_mode) == (0, MODE_UNIFIED)
    # User 2 has a position, user 3 is below 25 M.
    assert s.v.row["regime"][:4].tolist() == [0, 0, REGIME_PORTFOLIO, REGIME_PORTFOLIO]
    assert s.v.row[LONG].regime == REGIME_CROSS


def test_by_default_nothing_happens_to_it(engine):
    s = large(engine, "nothing")
    s.t_ms = HOUR_MS - 1_000
    s.step()
    assert s.v.row[LONG].regime == REGIME_PORTFOLIO


@pytest.mark.parametrize("later", ["nothing", "no_new_borrowing"])
def test_or_it_is_lent_nothing_more(engine, later):
    s = SmallVenue(
        trader(1, 0, tokens={HYPE: 260_000}, debt_usd=1_000),  # 26 M, at a supply cap of 1 M HYPE
        trader(2, HOUSE_CASH, supply_usd=5_000_000),
        trader(3, 0, tokens={HYPE: 240_000}, debt_usd=1_000),
        engine=engine,
        margin__value_max_later=later,
    )
    s.update()
    for user in (0, 2):
        s.bid(user, HYPE_SPOT, 99.0, 100_000)
    s.step()
    refuses = later == "no_new_borrowing"
    assert [code == R_INSUFFICIENT_MARGIN for code in codes(s)] == [refuses, False]
    assert s.v.debt[2, 0] > 1_000 * 10**6
    assert bool(s.v.debt[0, 0] > 1_000 * 10**6) is not refuses


# --- what protects a position: what may be borrowed -----------------------------------------------

CAP = 20_000
BOUNDS = {
    "user": {"tokens__USDC__user_borrow_cap": float(CAP)},
    "platform": {"tokens__USDC__platform_borrow_cap": float(CAP)},
    "pool": {},
}


def carried(engine, bound="", *, lent_usd=10_000_000, **values):
    """500,000 of BTC long without a dollar, a million of HYPE behind it: credit 825,000."""
    return SmallVenue(
        trader(1, 0, {BTC_PERP: (500_000, 100_000.0)}, tokens={HYPE: 10_000}),
        trader(
            2,
            HOUSE_CASH,
            {BTC_PERP: (-500_000, 100_000.0)},
            supply_usd=CAP if bound == "pool" else lent_usd,
        ),
        engine=engine,
        **BOUNDS.get(bound, {}),
        **values,
    )


@pytest.mark.parametrize("bound", sorted(BOUNDS))
def test_a_position_is_protected_up_to_the_borrowable_amount(engine, bound):
    s = carried(engine, bound, margin__borrowable_in_credit=True)
    s.update(BTC=100_000.0)
    assert s.v.debt[LONG, 0] == CAP * 10**6  # the commitment of a tenth would be 50,000
    # 10,000 below zero it needs 16,125: 0.95 x (6,125 + 16,125) / (6,125 + 20,000) = 0.8091.
    s.update(BTC=98_000.0)
    assert math.isclose(s.v.risk[LONG].ratio, 0.95 * 22_250 / 26_125, rel_tol=1e-9)
    assert EV_BREACH not in s.kinds(LONG)
    # 13,900 below zero it needs 19,976.25; 13,950 below, 20,025.63 and not the 20,000 that it may.
    s.update(BTC=97_220.0)
    assert EV_BREACH not in s.kinds(LONG)
    s.update(BTC=97_210.0)
    assert EV_BREACH in s.kinds(LONG)


@pytest.mark.parametrize("bound", sorted(BOUNDS))
def test_by_default_the_user_s_cap_alone_bounds_the_protection(engine, bound):
    s = carried(engine, bound)
    s.update(BTC=100_000.0)
    s.update(BTC=97_000.0)
    assert (EV_BREACH in s.kinds(LONG)) is (bound == "user")
    assert s.v.debt[LONG, 0] == CAP * 10**6


def test_a_cap_cut_in_the_middle_leaves_what_was_drawn(engine):
    for cut in (False, True):
        s = carried(engine, margin__borrowable_in_credit=True)
        s.update(BTC=97_000.0)
        owed = 48_500 + 15_000  # a tenth of notional, and what is below zero
        assert s.v.debt[LONG, 0] == owed * 10**6
        if cut:
            s.v.token_spec["platform_borrow_cap"][0] = CAP * 10**6
            s.engine.reload()
        s.update(BTC=97_000.0)
        assert EV_BREACH not in s.kinds(LONG)
        # 60,000 below zero it needs 65,500, of which 63,500 was drawn.
        s.update(BTC=88_000.0)
        assert (EV_BREACH in s.kinds(LONG)) is cut


CUTS = {
    "pool": {},
    "platform": {"tokens__USDC__platform_borrow_cap": 90_000.0},
    "user": {"tokens__USDC__user_borrow_cap": 90_000.0},
}


@pytest.mark.parametrize("cut", sorted(CUTS))
def test_what_was_drawn_stays_protected_when_nothing_more_can_be_borrowed(engine, cut):
    """A loan of 100,000 on a million of HYPE: its pool lent out, or a cap cut below it."""
    lent_usd = 100_000 if cut == "pool" else 1_000_000
    s = SmallVenue(
        trader(1, 0, tokens={HYPE: 10_000}, debt_usd=100_000),
        trader(2, HOUSE_CASH, supply_usd=lent_usd),
        engine=engine,
        margin__borrowable_in_credit=True,
        **CUTS[cut],
    )
    for _ in range(3):
        s.update(HYPE=100.0)
        assert s.kinds(0) == []
    # All that may be owed is owed: at the trigger, and not beyond it.
    assert math.isclose(s.v.risk[0].ratio, 0.95, rel_tol=1e-9)
    # From there on collateral decides as ever: 100,000 > 0.95 x 0.825 x 10,000 x price at 12.759.
    s.update(HYPE=12.8)
    assert EV_BREACH not in s.kinds(0)
    s.update(HYPE=12.7)
    assert EV_BREACH in s.kinds(0)


def test_each_account_of_an_owner_has_the_whole_user_cap(engine):
    legs = [
        trader(k + 1, 0, {BTC_PERP: (500_000, 100_000.0)}, tokens={HYPE: 10_000}, owner=0)
        for k in range(2)
    ]
    s = SmallVenue(
        *legs,
        trader(3, HOUSE_CASH, {BTC_PERP: (-1_000_000, 100_000.0)}, supply_usd=1_000_000),
        engine=engine,
        **BOUNDS["user"],
    )
    s.update(BTC=100_000.0)
    assert s.v.user["owner"][:2].tolist() == [0, 0]
    assert s.v.debt[:2, 0].tolist() == [CAP * 10**6] * 2


# --- standard mode: the spot balance is an account of its own -------------------------------------


def test_a_spot_balance_apart_is_another_account_of_the_owner(engine):
    """What stands in it backs no perp: the perp account breaks as if it were not there."""
    spot_side = trader(2, 100_000, tokens={HYPE: 500}, owner=0, portfolio=False)
    perp_side = trader(1, 9_000, {HYPE_PERP: (200_000, 105.0)})
    house = trader(3, HOUSE_CASH, {HYPE_PERP: (-200_000, 100.0)})
    apart = SmallVenue(perp_side, spot_side, house, engine=engine)
    alone = SmallVenue(perp_side, trader(2, 0), house, engine=engine)
    for s in (apart, alone):
        s.update(HYPE=95.0)
    assert apart.kinds(LONG) == alone.kinds(LONG) != []
    assert apart.v.cash[0] == alone.v.cash[0] == 0
    assert apart.v.cash[1] == 100_000 * 10**6
    assert apart.v.token[1, HYPE] == 500 * 10**8
