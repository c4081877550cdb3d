"""What an account has lent is no cash to spend, by hand-worked numbers on both engines."""

import pytest

from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    CAUSE_REDEEM,
    EV_MARGIN_EXPIRED,
    FILLED,
    GTC,
    IOC,
    OP_REDEEM,
    OP_WITHDRAW,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    R_UTILISATION_FULL,
    RESTING,
    SELL,
)
from tests.small_venue import (
    HOUSE_CASH,
    HYPE,
    HYPE_PERP,
    HYPE_SPOT,
    SmallVenue,
    trader,
)

LENDER, SELLER, BORROWER = 0, 1, 2
HOUR_MS = 3_600_000
PROMPT = {"orders__class_delay_ms": 0, "latency__jitter_frac": 0.0}


def lender(*, lent_to_others_usd, engine, cash_usd=0, supply_usd=1_000, **more):
    """User 0 has lent 1,000 and owns HYPE; others owe some or all of it, and offer HYPE."""
    return SmallVenue(
        trader(1, cash_usd, tokens={HYPE: 100}, supply_usd=supply_usd, latency_us=1_000),
        trader(2, 1_000, tokens={HYPE: 100}, latency_us=1_000),
        trader(
            3, HOUSE_CASH, tokens={HYPE: 100_000}, debt_usd=lent_to_others_usd, latency_us=1_000
        ),
        engine=engine,
        **(PROMPT | more),
    )


def buys(s, lots, *, tif=IOC):
    """Have the seller offer and the lender buy, a dollar a lot; return the reply."""
    s.order(SELLER, HYPE_SPOT, SELL, 100.0, lots)
    s.step()
    s.order(LENDER, HYPE_SPOT, BUY, 100.0, lots, tif=tif)
    s.step()
    return int(s.v.reply[0]["code"])


def withdraws(s, usd):
    s.send(op=OP_WITHDRAW, user=LENDER, inst=0, qty_lots=round(usd * 1e6))
    s.step()
    return int(s.v.reply[0]["code"])


def state_usd(s):
    return [float(x) / 1e6 for x in (s.v.cash[LENDER], s.v.supply[LENDER, 0], s.v.debt[LENDER, 0])]


# --- spending -----------------------------------------------------------------------------------


def test_what_is_lent_to_others_cannot_be_spent(engine):
    s = lender(lent_to_others_usd=1_000, engine=engine)
    s.send(op=OP_REDEEM, user=LENDER, inst=0, qty_lots=999 * 10**6)
    s.step()
    assert s.v.reply[0]["code"] == R_UTILISATION_FULL
    assert buys(s, 990) == R_UTILISATION_FULL
    assert state_usd(s) == [0.0, 1_000.0, 0.0]
    assert s.v.token[LENDER, HYPE] == 100 * 10**8


def test_what_the_pool_holds_is_taken_back_for_a_purchase(engine):
    # 500 and 0.07 % of them for the fee.
    s = lender(lent_to_others_usd=0, engine=engine)
    assert buys(s, 500) == FILLED
    assert state_usd(s) == [0.0, 499.65, 0.0]
    assert s.v.flow[LENDER, 0, CAUSE_REDEEM] == 500_350_000


def test_a_part_of_the_pool_is_a_part_of_the_supply(engine):
    # 600 are lent on: 400 can be had back, and nothing beyond can be borrowed.
    s = lender(lent_to_others_usd=600, engine=engine)
    assert buys(s, 400) == R_UTILISATION_FULL  # needs 400.28
    assert buys(s, 399) == FILLED  # needs 399.2793
    assert state_usd(s) == [0.0, 600.7207, 0.0]


def test_lent_cash_comes_back_before_a_loan(engine):
    # Another lender's 5,000 are there: 1,000 of its own, then 1,001.4 borrowed.
    s = SmallVenue(
        trader(1, 0, tokens={HYPE: 100}, supply_usd=1_000, latency_us=1_000),
        trader(2, 1_000, tokens={HYPE: 100}, latency_us=1_000),
        trader(3, HOUSE_CASH, supply_usd=5_000),
        engine=engine,
        **PROMPT,
    )
    assert buys(s, 2_000) == FILLED
    assert state_usd(s) == [0.0, 0.0, 1_001.4]


def test_beyond_loan_to_value_the_collateral_is_what_lacks(engine):
    # 6,500 can be borrowed on 100 HYPE; 9,000 more than the supply are needed.
    s = lender(lent_to_others_usd=1_000, engine=engine)
    assert buys(s, 10_000) == R_INSUFFICIENT_MARGIN


def test_free_cash_is_spent_before_lent_cash(engine):
    s = lender(lent_to_others_usd=1_000, cash_usd=300, engine=engine)
    assert buys(s, 299) == FILLED  # of 300 that are not lent
    assert state_usd(s) == [pytest.approx(300 - 299.2093), 1_000.0, 0.0]


def test_margin_of_perps_is_not_lent_on(engine):
    # A tenth of notional: 10,000 lots need 1,000.
    s = lender(lent_to_others_usd=600, engine=engine)
    s.order(LENDER, HYPE_PERP, BUY, 99.0, 10_000)
    s.order(LENDER, HYPE_PERP, BUY, 99.0, 3_000, client_id=1)
    s.step()
    assert sorted(s.v.reply["code"][:2].tolist()) == [RESTING, R_UTILISATION_FULL]
    # 3,000 lots at 99: 1.01 x 297.
    assert state_usd(s) == [299.97, 700.03, 0.0]


# --- withdrawals --------------------------------------------------------------------------------


def test_cash_behind_a_bid_cannot_leave_for_lent_cash_that_is_out(engine):
    s = lender(lent_to_others_usd=1_000, cash_usd=500, engine=engine)
    s.order(LENDER, HYPE_SPOT, BUY, 99.0, 400, tif=GTC)
    s.step()
    assert s.v.reply[0]["code"] == RESTING  # binds 396
    assert withdraws(s, 104.000001) == R_INSUFFICIENT_BALANCE
    assert withdraws(s, 104.0) == ACCEPTED
    assert state_usd(s) == [396.0, 1_000.0, 0.0]


def test_cash_behind_a_bid_is_replaced_by_lent_cash_that_is_there(engine):
    s = lender(lent_to_others_usd=900, cash_usd=500, engine=engine)
    s.order(LENDER, HYPE_SPOT, BUY, 99.0, 400, tif=GTC)
    s.step()
    assert withdraws(s, 204.000001) == R_INSUFFICIENT_BALANCE
    assert withdraws(s, 204.0) == ACCEPTED
    assert state_usd(s) == [396.0, 900.0, 0.0]


def test_a_resting_bid_does_not_fill_on_cash_that_is_lent_on(engine):
    # 700 of cash for the bid of 693, then a perp loses 400 of it; the 1,000 are out.
    s = SmallVenue(
        trader(1, 700, {HYPE_PERP: (1_000, 100.0)}, tokens={HYPE: 1}, supply_usd=1_000),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-1_000, 100.0)}, tokens={HYPE: 100}, latency_us=1_000),
        trader(3, HOUSE_CASH, tokens={HYPE: 1_000}, debt_usd=1_000),
        engine=engine,
        **PROMPT,
    )
    s.order(LENDER, HYPE_SPOT, BUY, 99.0, 500, tif=GTC)
    s.step()
    assert s.v.user[LENDER]["n_orders"] == 1
    s.order(SELLER, HYPE_SPOT, SELL, 60.0, 500, tif=IOC)
    s.update(HYPE=60.0)
    # 300 of its own are left, and 60 are bound: 495 are too much.
    assert s.event(EV_MARGIN_EXPIRED, LENDER)["lots"] == 500
    assert s.v.token[LENDER, HYPE] == 10**8


# --- as time goes by ----------------------------------------------------------------------------


def test_a_loss_of_margin_is_made_up_from_lent_cash(engine):
    # 10 HYPE long at 100 with 100 in cash; at 80 the 100 have become -100, and 80 are bound.
    s = SmallVenue(
        trader(1, 100, {HYPE_PERP: (1_000, 100.0)}, tokens={HYPE: 100}, supply_usd=1_000),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-1_000, 100.0)}),
        engine=engine,
    )
    s.update(HYPE=80.0)
    assert s.v.price[3]["mark_usd"] == 80.0
    assert state_usd(s) == [-900.0 + 180.0, 820.0, 0.0]


def test_at_the_hour_lent_cash_is_set_off_against_debt(engine):
    # A quarter of 2,000 is lent: 500 owe 0.002785 more; of the nine tenths for suppliers, 0.002507,
    # half are user 0's. 1,000.001253 less 500.002785, and no cash moves.
    s = SmallVenue(
        trader(1, 0, tokens={HYPE: 100}, debt_usd=500, supply_usd=1_000),
        trader(2, 1_000, supply_usd=1_000),
        engine=engine,
    )
    s.t_ms = HOUR_MS - 1_000
    s.step()
    assert state_usd(s) == [0.0, 499.998468, 0.0]
    assert s.v.reserve[0]["total_debt"] == 0


def test_a_set_off_leaves_the_cash_behind_a_bid(engine):
    # Its 400 are borrowed and stand behind a bid of 396, but the 1,000 that it has lent are more.
    s = SmallVenue(
        trader(1, 400, tokens={HYPE: 100}, debt_usd=400, supply_usd=1_000, latency_us=1_000),
        trader(2, HOUSE_CASH, tokens={HYPE: 1_000}, debt_usd=600),
        engine=engine,
        **PROMPT,
    )
    s.order(LENDER, HYPE_SPOT, BUY, 99.0, 400, tif=GTC)
    s.step()
    assert s.v.reply[0]["code"] == RESTING
    assert state_usd(s) == [400.0, 1_000.0, 400.0]
    s.t_ms = HOUR_MS - 1_000
    s.step()
    assert s.v.debt[LENDER, 0] == 0
    assert s.v.cash[LENDER] == 400 * 10**6
