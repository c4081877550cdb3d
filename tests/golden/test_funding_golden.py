"""Funding against published and live figures of the venue.

Sources: Hyperliquid docs, funding (worked example and formula), 2026-01; payments of a live
account in the hour of 2026-09-08T04:00Z, amounts printed with six decimals.
"""

import pytest

from stressbook.market.numbers.units import MICRO
from stressbook.market.opening.setup import AccountOpening, make_state
from stressbook.market.orders.occupancy import mark_tick
from stressbook.market.prices.funding import (
    funding_rate_e15,
    payment_micro,
    premium_of,
    sample_premium,
    settle_funding,
)
from stressbook.market.reference.funding import FundingMeter
from stressbook.market.rules.spec import load_preset
from stressbook.market.state.codes import BUY, SELL

ORACLE_E8 = 10_000 * 10**8
# impact bid, impact ask (oracle 10,000) -> premium, rate of 8 h, rate of 1 h, a long of 10 pays
CASES = [
    (10_100.0, 10_101.0, 0.01, 0.0095, 0.0011875, 118.75),
    (9_999.0, 10_000.5, 0.0, 0.0001, 0.0000125, 1.25),
    (10_004.0, 10_005.0, 0.0004, 0.0001, 0.0000125, 1.25),
    (10_006.0, 10_007.0, 0.0006, 0.0001, 0.0000125, 1.25),
    (9_900.0, 9_901.0, -0.0099, -0.0094, -0.001175, -117.5),
]
# tokens, hourly rate, oracle price implied by the payment, what the account received
LIVE = [
    (29.72, -0.0000097754, 103.347, 0.030025),
    (120.0, 0.0000125, 12.6607, -0.018991),
]


@pytest.mark.parametrize(("bid", "ask", "premium", "rate_8h", "rate_1h", "paid"), CASES)
def test_formula(bid, ask, premium, rate_8h, rate_1h, paid):
    assert premium_of(bid, ask, 10_000.0) == pytest.approx(premium, abs=1e-15)
    rates = [
        funding_rate_e15(
            premium_of(bid, ask, 10_000.0), 0.0001, 0.0005, 0.0, 0.04, hours * 3_600_000
        )
        for hours in (8, 1)
    ]
    assert rates == [round(rate_8h * 1e15), round(rate_1h * 1e15)]
    assert payment_micro(1_000, ORACLE_E8, 10_000, rates[1]) == round(paid * MICRO)


@pytest.mark.parametrize(("bid", "ask", "premium", "rate_8h", "rate_1h", "paid"), CASES)
def test_formula_in_plain_python(bid, ask, premium, rate_8h, rate_1h, paid):
    meter = FundingMeter(
        interest_frac=0.0001, clamp_frac=0.0005, cap_frac=0.04, period_ms=3_600_000
    )
    meter.sample(bid, ask, oracle_usd=10_000.0)
    booking = meter.settle({0: 1_000, 1: -1_000}, oracle_e8=ORACLE_E8, mark_den=10_000)
    assert booking.rate_e15 == round(rate_1h * 1e15)
    assert booking.paid_micro == {0: round(paid * MICRO), 1: -round(paid * MICRO)}


@pytest.mark.parametrize(("bid", "ask", "premium", "rate_8h", "rate_1h", "paid"), CASES)
def test_a_venue_books_it(bid, ask, premium, rate_8h, rate_1h, paid):
    spec = load_preset("hyperliquid").with_opening_prices({"BTC": 10_000.0})
    lots = 10 * 10**5
    accounts = [
        AccountOpening(key=(1 << 20) + i, cash_micro=10**12, perps={0: (n, ORACLE_E8)})
        for i, n in enumerate((lots, -lots))
    ]
    v = make_state(spec, accounts, seed=1)
    for side, price_usd in ((BUY, bid), (SELL, ask)):
        tick = round(price_usd / v.inst[0].tick_usd)
        mark_tick(v, 0, side, tick)
        v.level[0, tick].qty_lots = 10**9
        v.best[0, side] = tick
    v.price[0].mark_e8 = 2 * ORACLE_E8  # paid on the oracle, not the mark
    before = v.cash.copy()
    for _ in range(720):
        sample_premium(v)
    settle_funding(v, 3_600_000)
    assert v.price[0].last_funding_rate_e15 == round(rate_1h * 1e15)
    moved = (v.cash - before).tolist()
    assert moved[:2] == [-round(paid * MICRO), round(paid * MICRO)]
    assert not any(moved[2:])


@pytest.mark.parametrize(("tokens", "rate", "oracle_usd", "received"), LIVE)
def test_live_payments_to_six_decimals(tokens, rate, oracle_usd, received):
    paid = payment_micro(round(tokens * 100), round(oracle_usd * 1e8), 10_000, round(rate * 1e15))
    assert -paid / MICRO == pytest.approx(received, abs=1e-12)
