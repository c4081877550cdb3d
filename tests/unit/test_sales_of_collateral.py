"""A borrower cannot sell collateral below what it owes against it; by hand, on both engines.

HYPE has a loan-to-value of .65: at 100 USD, 10,000 HYPE carry a loan of 650,000, and liquidation
counts them at (1 + .65) / 2, 825,000. A lot is a hundredth of a HYPE, a dollar at the start.
"""

import pytest

from stressbook.market.state.codes import (
    EV_MARGIN_EXPIRED,
    EV_WRITTEN_OFF,
    FILLED,
    GTC,
    IOC,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_MARGIN,
    RESTING,
    SELL,
)
from tests.small_venue import ETH, ETH_SPOT, HOUSE_CASH, HYPE, HYPE_SPOT, SmallVenue, trader

BORROWER, BUYER = 0, 1
ALL = 1_000_000  # lots: 10,000 HYPE
PROMPT = {"orders__class_delay_ms": 0, "latency__jitter_frac": 0.0}


def borrower(debt_usd, *, engine, price=100.0):
    """User 0 owes against 10,000 HYPE; user 1 lends, and bids where it is told to."""
    s = SmallVenue(
        trader(1, 0, tokens={HYPE: 10_000}, debt_usd=debt_usd, latency_us=1_000),
        trader(2, HOUSE_CASH, tokens={ETH: 1_000}, supply_usd=2_000_000, latency_us=1_000),
        engine=engine,
        **PROMPT,
    )
    s.update(HYPE=price)
    return s


def sells(s, price, lots=ALL, *, tif=IOC):
    s.order(BORROWER, HYPE_SPOT, SELL, price, lots, tif=tif)
    s.step()
    return int(s.v.reply[0]["code"])


@pytest.mark.parametrize(
    ("price", "code"),
    # 82.50 x (1 - .0007) is below 82.50: the fee counts.
    [(65.0, R_INSUFFICIENT_MARGIN), (82.5, R_INSUFFICIENT_MARGIN), (82.6, FILLED)],
)
def test_beyond_its_loan_to_value_it_sells_no_nearer_to_liquidation(engine, price, code):
    s = borrower(750_000, engine=engine)
    s.bid(BUYER, HYPE_SPOT, price, ALL, tif=GTC)
    s.step()
    assert sells(s, price) == code
    s.update()
    assert EV_WRITTEN_OFF not in s.kinds()


def test_within_its_loan_to_value_what_is_missing_must_be_free(engine):
    # 400,000 are owed, 250,000 free: 10,000 HYPE may bring 400,000 at the least.
    s = borrower(400_000, engine=engine)
    assert sells(s, 40.0) == R_INSUFFICIENT_MARGIN  # less the fee of 280
    s.bid(BUYER, HYPE_SPOT, 40.1, ALL, tif=GTC)
    s.step()
    assert sells(s, 40.1) == FILLED
    assert s.equity_usd(BORROWER) == pytest.approx(401_000 * (1 - 0.0007) - 400_000)


def test_in_breach_only_a_fair_sale_is_taken(engine):
    # At 74: .95 of 74 x .825 x 10,000 is 579,975; at a debt of 600,000 it is in breach.
    s = borrower(600_000, engine=engine, price=74.0)
    assert s.v.user[BORROWER]["breached"] == 1
    s.bid(BUYER, HYPE_SPOT, 61.1, 500_000, tif=GTC)  # 74 x .825 is 61.05
    s.step()
    assert sells(s, 60.9, lots=100_000) == R_IN_RESOLUTION
    assert sells(s, 61.1, lots=100_000) == FILLED


def test_of_two_cheap_offers_the_second_expires_at_the_match(engine):
    s = borrower(325_000, engine=engine)
    assert sells(s, 21.0, lots=ALL // 2, tif=GTC) == RESTING
    assert sells(s, 21.0, lots=ALL // 2, tif=GTC) == RESTING
    s.bid(BUYER, HYPE_SPOT, 21.0, ALL, tif=IOC)
    s.step()
    # The first costs the 220,000 that were free; then 105,000 are, and the second would too.
    assert int(s.v.token[BORROWER, HYPE]) == 5_000 * 10**8
    assert EV_MARGIN_EXPIRED in s.kinds()
    s.update()
    assert EV_WRITTEN_OFF not in s.kinds()


def test_an_offer_that_became_cheap_expires_at_the_match(engine):
    s = borrower(0, engine=engine)
    assert sells(s, 70.0, tif=GTC) == RESTING
    s.update(HYPE=130.0)
    # ETH carries no loan: 300 of it are bought for 823,500, of the 845,000 that may be owed.
    s.order(BUYER, ETH_SPOT, SELL, 2_745.0, 3_000_000, tif=GTC)
    s.step()
    s.bid(BORROWER, ETH_SPOT, 2_745.0, 3_000_000, tif=IOC)
    s.step()
    assert int(s.v.token[BORROWER, ETH]) == 300 * 10**9
    s.bid(BUYER, HYPE_SPOT, 70.0, ALL, tif=IOC)
    s.step()
    assert int(s.v.token[BORROWER, HYPE]) == 10_000 * 10**8
    assert EV_MARGIN_EXPIRED in s.kinds()


def test_who_owes_nothing_sells_at_any_price(engine):
    s = borrower(0, engine=engine)
    s.bid(BUYER, HYPE_SPOT, 30.0, ALL, tif=GTC)
    s.step()
    assert sells(s, 30.0) == FILLED
