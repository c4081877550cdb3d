"""Funding: samples of the premium, rates, and payments that conserve cash to the unit."""

import numpy as np
import pytest

from stressbook.market.numbers.units import MICRO, NOT_REPRESENTABLE
from stressbook.market.opening.setup import AccountOpening, make_state
from stressbook.market.orders.occupancy import mark_tick
from stressbook.market.prices.funding import (
    funding_rate_e15,
    payment_micro,
    premium_of,
    sample_premium,
    settle_funding,
)
from stressbook.market.rules.spec import load_preset
from stressbook.market.state.codes import BUY, CAUSE_FUNDING, EV_FUNDING, FAULT_OVERFLOW, SELL
from stressbook.market.state.records import C_EVENTS, C_FAULT

NAN = float("nan")
RULES = (0.0001, 0.0005, 0.0, 0.04, 3_600_000)


def state(lots=(), *, inst=0):
    spec = load_preset("hyperliquid")
    price_e8 = round(spec.assets[inst].opening_price_usd * 1e8)
    accounts = [
        AccountOpening(key=(1 << 20) + i, cash_micro=MICRO, perps={inst: (n, price_e8)})
        for i, n in enumerate(lots)
    ]
    return make_state(spec, accounts or [AccountOpening(key=1 << 20)], seed=1)


def rest(v, inst, side, price_usd, lots):
    tick = round(price_usd / v.inst[inst].tick_usd)
    mark_tick(v, inst, side, tick)
    v.level[inst, tick].qty_lots = lots
    v.best[inst, side] = tick


# --- premium --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bid", "ask", "expected"),
    [
        (101.0, 102.0, 0.01),
        (98.0, 99.0, -0.01),
        (99.0, 101.0, 0.0),
        (NAN, 99.0, -0.01),
        (101.0, NAN, 0.01),
        (NAN, NAN, 0.0),
    ],
)
def test_premium_of_impact_prices_with_missing_sides(bid, ask, expected):
    assert premium_of(bid, ask, 100.0) == pytest.approx(expected)


def test_samples_are_taken_at_the_impact_notional():
    v = state()
    oracle = float(v.price[0].oracle_usd)
    rest(v, 0, BUY, oracle + 30.0, 10**9)
    for _ in range(3):
        sample_premium(v)
    assert v.price[0].n_premium_samples == 3
    assert v.price[0].premium_sum == pytest.approx(90.0 / oracle, rel=1e-12)
    # 20,000 USDC asked for, and less than that resting
    v.level[0, int(v.best[0, BUY])].qty_lots = 20_000
    sample_premium(v)
    assert v.price[0].premium_sum == pytest.approx(90.0 / oracle, rel=1e-12)
    assert v.price[0].n_premium_samples == 4


def test_an_impact_price_is_an_average_over_levels():
    v = state()
    oracle = float(v.price[0].oracle_usd)
    rest(v, 0, SELL, oracle - 100.0, 10_000)
    best = int(v.best[0, SELL])
    rest(v, 0, SELL, oracle - 50.0, 10**9)
    v.best[0, SELL] = best
    sample_premium(v)
    near_usd = 0.1 * (oracle - 100.0)
    tokens = 0.1 + (20_000.0 - near_usd) / (oracle - 50.0)
    assert v.price[0].premium_sum == pytest.approx((20_000.0 / tokens - oracle) / oracle, rel=1e-9)


# --- rate -----------------------------------------------------------------------------------------


def test_the_rate_is_flat_where_the_clamp_does_not_bind():
    premiums = np.linspace(-0.0004, 0.0006, 11)[1:-1]
    assert {funding_rate_e15(float(p), *RULES) for p in premiums} == {12_500_000_000}


@pytest.mark.parametrize(("premium", "expected"), [(0.5, 4 * 10**13), (-0.5, -4 * 10**13)])
def test_the_rate_of_an_hour_is_capped(premium, expected):
    assert funding_rate_e15(premium, *RULES) == expected


def test_a_static_part_is_added_beyond_the_clamp():
    interest, clamp, _, *rest = RULES
    rates = [funding_rate_e15(0.01, interest, clamp, static, *rest) for static in (0.0, 0.0008)]
    assert rates[1] - rates[0] == 10**11


def test_a_period_pays_its_share_of_eight_hours():
    rules = RULES[:4]
    assert funding_rate_e15(0.0, *rules, 28_800_000) == 8 * funding_rate_e15(0.0, *RULES)


# --- payments -------------------------------------------------------------------------------------


@pytest.mark.boundscheck
def test_longs_pay_shorts_and_the_remainder_is_rounding():
    v = state((333_333, -200_001, -133_332))
    before = v.cash.copy()
    v.price[0].premium_sum, v.price[0].n_premium_samples = 0.02, 2
    settle_funding(v, 3_600_000)
    rate_e15 = funding_rate_e15(0.01, *RULES)
    paid = [
        payment_micro(n, int(v.price[0].oracle_e8), 10**7, rate_e15)
        for n in (333_333, -200_001, -133_332)
    ]
    assert paid[0] > 0 > paid[1]
    moved = v.cash - before
    assert moved[:3].tolist() == [-amount for amount in paid]
    assert moved[int(v.par[0].row_rounding)] == sum(paid)
    assert v.cash.sum() == 0
    assert (v.flow[:, 0, CAUSE_FUNDING] == moved).all()


def test_rounding_takes_what_single_rows_leave():
    # One lot is 0.00001 BTC: 0.788 USD, of which 12,500 e-12 is far below a micro-USDC.
    v = state((7, *[-1] * 7))
    v.price[0].premium_sum, v.price[0].n_premium_samples = 0.001, 1
    before = v.cash.copy()
    settle_funding(v, 3_600_000)
    moved = v.cash - before
    assert moved[int(v.par[0].row_rounding)] != 0
    assert moved.sum() == 0


def test_funding_starts_a_new_period_and_logs_an_event():
    v = state((1_000, -1_000))
    v.price[0].premium_sum, v.price[0].n_premium_samples = 0.01, 1
    settle_funding(v, 3_600_000)
    assert v.price[0].n_premium_samples == 0
    assert v.price[0].premium_sum == 0.0
    assert v.price[0].last_funding_rate_e15 == 1_187_500_000_000
    event = v.event[0]
    assert v.ctr[C_EVENTS] == 4
    assert (event.kind, event.user, event.inst, event.lots) == (EV_FUNDING, -1, 0, 1_000)
    assert event.price_e8 == 1_187_500_000_000
    assert event.amount_micro == payment_micro(
        1_000, int(v.price[0].oracle_e8), 10**7, 1_187_500_000_000
    )
    settle_funding(v, 7_200_000)
    assert v.price[0].last_funding_rate_e15 == 12_500_000_000


def test_without_positions_nothing_is_paid():
    v = state()
    before = v.cash.copy()
    settle_funding(v, 3_600_000)
    assert (v.cash == before).all()
    assert v.event[0].lots == v.event[0].amount_micro == 0


def test_a_payment_that_does_not_fit_sets_the_fault_word():
    assert payment_micro(2**62, 10**16, 100, 10**13) == NOT_REPRESENTABLE
    v = state((1_000, -1_000))
    v.price[0].oracle_e8 = 2**62
    v.inst[0].mark_den = 1
    settle_funding(v, 3_600_000)
    assert v.ctr[C_FAULT] & FAULT_OVERFLOW
