import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stressbook.market.lending.borrowing import borrowable_room, lendable
from stressbook.market.margin.admission import (
    admits,
)
from stressbook.market.margin.available import available_usd, spare_usd, withdrawable_usd
from stressbook.market.margin.commitment import commitment_usd
from stressbook.market.margin.equity import (
    AccountSums,
    cross_equity_usd,
    equity_usd,
    is_judged_as_portfolio,
    net_usd,
)
from stressbook.market.margin.printed import available_after_maintenance_usd
from stressbook.market.margin.ratio import breaches, margin_ratio, portfolio_ratio
from stressbook.market.margin.sums import account_sums
from stressbook.market.numbers.units import MICRO
from stressbook.market.opening.setup import AccountOpening, make_state
from stressbook.market.rules.spec import load_preset
from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    MODE_PORTFOLIO,
    R_CAP_REACHED,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    R_UTILISATION_FULL,
    REGIME_CROSS,
    REGIME_PORTFOLIO,
    SELL,
)
from stressbook.market.state.records import Capacity
from tests.random_states import random_state

# Round prices: a lot is 1 USD of BTC, 0.1 USD of HYPE.
SPEC = load_preset("hyperliquid").with_opening_prices({"BTC": 100_000.0, "HYPE": 10.0})
BTC, HYPE, BTC_SPOT, HYPE_SPOT = 0, 3, 4, 6
SMALL = Capacity(orders=4, messages=4, fills=4, events=64)
TICK = {BTC: 100_000, BTC_SPOT: 100_000, HYPE: 10_000, HYPE_SPOT: 10_000}
PM = {"regime": REGIME_PORTFOLIO, "account_mode": MODE_PORTFOLIO}


def venue(*accounts, lend_usd=10**9, values=None):
    """The accounts, then a lender."""
    spec = SPEC.with_values(values) if values else SPEC
    lender = AccountOpening(key=999, cash_micro=lend_usd * MICRO, supply=lend_usd * MICRO)
    return make_state(spec, [*accounts, lender], seed=1, capacity=SMALL)


def cross(usd, **more):
    return AccountOpening(key=1, cash_micro=round(usd * MICRO), **more)


def portfolio(usd, hype=0.0, btc=0.0, **more):
    tokens = {1: round(btc * 10**10), 3: round(hype * 10**8)}
    return AccountOpening(key=1, cash_micro=round(usd * MICRO), tokens=tokens, **PM, **more)


def perps(v, user, **lots):
    """Give a user a position at the mark, against the last account."""
    for name, amount in lots.items():
        inst = {"btc": BTC, "hype": HYPE}[name]
        cost = round(amount * float(v.inst[inst].lot_size) * float(v.price[inst].mark_usd) * MICRO)
        for row, signed in ((user, 1), (len(v.user) - 1, -1)):
            v.perp[row, inst] += signed * amount
            v.cash[row] -= signed * cost


def sums(**values):
    return AccountSums(**{**dict.fromkeys(AccountSums._fields, 0.0), **values})


def is_in_breach(s, portfolio):
    ratio, equity = margin_ratio(s, portfolio), equity_usd(s, portfolio)
    return breaches(portfolio, ratio, equity, s.maintenance_usd, 0.95)


def buys(v, inst, usd, tick_factor=1.0, side=BUY, flags=0):
    lots = round(usd / (float(v.inst[inst].lot_size) * float(v.price[v.inst[inst].asset].mark_usd)))
    return admits(v, 0, inst, side, round(TICK[inst] * tick_factor), lots, flags)


# --- regimes ------------------------------------------------------------------------------------


def test_cross_breach_is_below_maintenance():
    v = venue(cross(1_250.0))
    perps(v, 0, btc=100_000)  # 100,000 USD, 1.25 %
    s = account_sums(v, 0)
    assert (cross_equity_usd(s), s.maintenance_usd) == (1_250.0, 1_250.0)
    assert not is_in_breach(s, False)
    v.cash[0] -= 1
    assert is_in_breach(account_sums(v, 0), False)


def test_portfolio_breach_is_above_the_trigger():
    s = sums(own_cash_usd=95.0, maintenance_usd=95.0, collateral_credit_usd=5.0)
    assert portfolio_ratio(s) == 0.95
    assert not is_in_breach(s, True)
    assert is_in_breach(s._replace(collateral_credit_usd=4.99), True)


def test_tokens_and_lent_cash_are_no_equity_under_cross():
    v = venue(cross(100.0, tokens={3: 10**10}, supply=60 * MICRO))
    s = account_sums(v, 0)
    assert (cross_equity_usd(s), equity_usd(s, False)) == (40.0, 40.0)
    assert (s.token_value_usd, s.collateral_value_usd) == (1_000.0, 0.0)
    assert (s.collateral_capacity_usd, s.collateral_credit_usd) == (0.0, 0.0)


def test_portfolio_counts_collateral_and_lent_cash():
    v = venue(portfolio(100.0, hype=100.0, supply=60 * MICRO))
    s = account_sums(v, 0)
    assert net_usd(s) == 100.0
    assert s.collateral_capacity_usd == pytest.approx(650.0, rel=1e-15)
    assert s.collateral_credit_usd == pytest.approx(825.0, rel=1e-15)
    assert equity_usd(s, True) == 1_100.0


def test_without_credit_portfolio_falls_back_to_cross():
    v = venue(portfolio(100.0, hype=100.0, supply=60 * MICRO), values={"tokens.HYPE.ltv": 0.0})
    s = account_sums(v, 0)
    assert not is_judged_as_portfolio(s)
    assert cross_equity_usd(s) == 40.0
    assert equity_usd(s, is_judged_as_portfolio(s)) == 40.0


def test_debt_counts_against_equity_in_the_fallback():
    v = venue(portfolio(100.0, hype=100.0, debt=500 * MICRO))
    v.token[0, 3] = 0
    v.cash[0] -= 500 * MICRO  # spent
    s = account_sums(v, 0)
    assert not is_judged_as_portfolio(s)
    assert cross_equity_usd(s) == -400.0
    assert is_in_breach(s, False)
    assert margin_ratio(s, False) == math.inf


def test_user_caps_bound_the_credit():
    caps = {"tokens.HYPE.user_supply_cap": 40.0, "tokens.USDC.user_borrow_cap": 300.0}
    s = account_sums(venue(portfolio(0.0, hype=100.0), values=caps), 0)
    assert s.collateral_capacity_usd == pytest.approx(260.0, rel=1e-15)
    assert s.collateral_credit_usd == 300.0
    s = account_sums(
        venue(portfolio(0.0, hype=100.0), values={**caps, "margin.user_cap_in_credit": False}), 0
    )
    assert s.collateral_credit_usd == pytest.approx(825.0, rel=1e-15)


def test_platform_caps_leave_the_credit_alone():
    caps = {"tokens.USDC.platform_borrow_cap": 0.0, "tokens.HYPE.platform_supply_cap": 50.0}
    s = account_sums(venue(portfolio(0.0, hype=100.0), values=caps), 0)
    assert s.collateral_credit_usd == pytest.approx(825.0, rel=1e-15)
    assert s.collateral_capacity_usd == pytest.approx(325.0, rel=1e-15)


def test_beyond_the_first_tier_leverage_alone_is_not_enough():
    v = venue(cross(10**9))
    perps(v, 0, btc=200_000_000)
    s = account_sums(v, 0)
    assert s.maintenance_usd == pytest.approx(3_125_000.0, rel=1e-14)
    assert s.initial_usd == 2.0 * s.maintenance_usd  # 5,000,000 at 40x


def test_floor_binds_portfolio_only():
    s = sums(initial_usd=50.0, gross_notional_usd=1_000.0, order_margin_usd=10.0)
    assert commitment_usd(s, 0.1, 0.01) == pytest.approx(110.1)
    v = venue(cross(3_000.0))
    assert buys(v, BTC, 100_000) == ACCEPTED  # 40x
    v = venue(portfolio(3_000.0, hype=1.0))
    assert buys(v, BTC, 100_000) == R_INSUFFICIENT_MARGIN
    assert buys(v, BTC, 29_000) == ACCEPTED


# --- admission ----------------------------------------------------------------------------------


def test_order_margin_has_its_buffer():
    # Resting below the mark: 1.01 x notional / 40.
    v = venue(cross(101.0 * 50_000 / 40 / 100))
    assert buys(v, BTC, 100_000, tick_factor=0.5) == ACCEPTED
    v.cash[0] -= 1
    assert buys(v, BTC, 100_000, tick_factor=0.5) == R_INSUFFICIENT_MARGIN


def test_resting_orders_of_both_sides_are_bound():
    v = venue(cross(2_600.0))
    v.open_notional[0, BTC, :] = 40_000 * MICRO  # 2 x 1,010
    v.user[0].n_orders = 1
    assert buys(v, BTC, 20_000) == ACCEPTED
    v.open_notional[0, BTC, SELL] += 20_000 * MICRO
    v.user[0].n_orders = 1
    assert buys(v, BTC, 20_000) == R_INSUFFICIENT_MARGIN


def test_buying_above_the_mark_needs_the_loss():
    v = venue(cross(2_600.0))
    assert buys(v, BTC, 100_000) == ACCEPTED
    assert buys(v, BTC, 100_000, tick_factor=1.02) == R_INSUFFICIENT_MARGIN
    assert buys(v, BTC, 50_000, tick_factor=1.02) == ACCEPTED


def test_selling_below_the_mark_needs_the_loss():
    v = venue(cross(2_600.0))
    assert buys(v, BTC, 100_000, side=SELL) == ACCEPTED
    assert buys(v, BTC, 100_000, tick_factor=0.98, side=SELL) == R_INSUFFICIENT_MARGIN
    assert buys(v, BTC, 100_000, tick_factor=0.0001, side=SELL) == R_INSUFFICIENT_MARGIN


def test_reducing_needs_nothing():
    v = venue(cross(10.0))
    perps(v, 0, btc=100_000)
    v.cash[0] -= 1_000 * MICRO
    v.user[0].breached = 1
    assert buys(v, BTC, 100_000, side=SELL) == ACCEPTED
    assert buys(v, BTC, 100_001, side=SELL) == R_IN_RESOLUTION
    assert buys(v, BTC, 1) == R_IN_RESOLUTION
    v.open_lots[0, BTC, SELL] = 1
    assert buys(v, BTC, 100_000, side=SELL) == R_IN_RESOLUTION
    assert buys(v, BTC, 99_999, side=SELL) == ACCEPTED


def test_a_bid_for_tokens_needs_cash_and_its_fee():
    v = venue(cross(1_000.7))
    assert buys(v, HYPE_SPOT, 1_000) == ACCEPTED
    v.cash[0] -= 1
    assert buys(v, HYPE_SPOT, 1_000) == R_INSUFFICIENT_BALANCE
    v.cash[0] += 500 * MICRO
    v.open_notional[0, BTC_SPOT, BUY] = 500 * MICRO  # its fee too
    v.user[0].n_orders = 1
    assert buys(v, HYPE_SPOT, 1_000) == R_INSUFFICIENT_BALANCE
    assert buys(v, HYPE_SPOT, 999) == ACCEPTED


def test_sales_need_tokens_that_no_other_sale_needs():
    v = venue(cross(-50.0, tokens={3: 10**10}))
    assert buys(v, HYPE_SPOT, 1_000, side=SELL) == ACCEPTED
    assert buys(v, HYPE_SPOT, 1_000.1, side=SELL) == R_INSUFFICIENT_BALANCE
    v.open_lots[0, HYPE_SPOT, SELL] = 1
    assert buys(v, HYPE_SPOT, 1_000, side=SELL) == R_INSUFFICIENT_BALANCE


def test_collateral_may_not_be_given_away():
    v = venue(portfolio(0.0, hype=100.0, debt=600 * MICRO))
    v.cash[0] = 0  # spent: 600 owed of 650
    assert buys(v, HYPE_SPOT, 1_000, tick_factor=0.7, side=SELL) == ACCEPTED
    assert buys(v, HYPE_SPOT, 1_000, tick_factor=0.601, side=SELL) == ACCEPTED  # 50 are free
    assert buys(v, HYPE_SPOT, 1_000, tick_factor=0.6, side=SELL) == R_INSUFFICIENT_MARGIN  # fee
    assert buys(v, HYPE_SPOT, 1_000, tick_factor=0.55, side=SELL) == R_INSUFFICIENT_MARGIN


def test_portfolio_borrows_what_the_order_lacks():
    v = venue(portfolio(100.0, hype=1_000.0))
    assert buys(v, HYPE_SPOT, 1_000) == ACCEPTED
    assert v.debt[0, 0] == round(900.7 * MICRO)
    assert v.cash[0] == round(1_000.7 * MICRO)
    assert net_usd(account_sums(v, 0)) == 100.0
    assert buys(v, HYPE_SPOT, 1_000) == ACCEPTED  # the same need again draws nothing more
    assert v.debt[0, 0] == round(900.7 * MICRO)


@pytest.mark.parametrize(
    ("values", "lend_usd", "code"),
    [
        ({"tokens.HYPE.ltv": 0.08}, 10**6, R_INSUFFICIENT_MARGIN),
        ({"tokens.USDC.user_borrow_cap": 800.0}, 10**6, R_CAP_REACHED),
        ({"tokens.USDC.platform_borrow_cap": 800.0}, 10**6, R_CAP_REACHED),
        ({}, 800, R_UTILISATION_FULL),
        ({}, 901, ACCEPTED),
    ],
)
def test_which_bound_stops_a_loan(values, lend_usd, code):
    v = venue(portfolio(100.0, hype=1_000.0), lend_usd=lend_usd, values=values)
    assert buys(v, HYPE_SPOT, 1_000) == code
    assert (v.debt[0, 0] > 0) == (code == ACCEPTED)


def test_admission_can_be_switched_off():
    v = venue(cross(0.0), values={"orders.admission_on": False})
    assert buys(v, BTC, 10**6) == ACCEPTED


# --- what may leave -----------------------------------------------------------------------------


def test_withdrawals_leave_a_tenth_of_notional():
    v = venue(cross(30_000.0))
    perps(v, 0, btc=100_000)
    par = v.par[0]
    assert withdrawable_usd(par, account_sums(v, 0), 0) == 20_000.0
    v.leverage[0, BTC] = 5
    v.open_notional[0, HYPE, BUY] = 1_000 * MICRO
    v.user[0].n_orders = 1
    assert withdrawable_usd(par, account_sums(v, 0), 0) == 9_900.0
    assert spare_usd(par, account_sums(v, 0)) == 9_900.0


def test_borrowed_cash_cannot_leave():
    v = venue(portfolio(100.0, hype=1_000.0, debt=400 * MICRO, supply=30 * MICRO))
    s = account_sums(v, 0)
    assert s.cash_usd == 470.0
    assert withdrawable_usd(v.par[0], s, 10**9) == 70.0
    assert spare_usd(v.par[0], s) == 70.0


def test_lent_cash_covers_what_is_bound_first():
    v = venue(portfolio(100.0, hype=1.0, supply=60 * MICRO))
    v.open_notional[0, BTC_SPOT, BUY] = 50 * MICRO
    v.user[0].n_orders = 1
    s = account_sums(v, 0)
    assert withdrawable_usd(v.par[0], s, 10**9) == 40.0
    v.open_notional[0, BTC_SPOT, BUY] = 70 * MICRO
    v.user[0].n_orders = 1
    assert withdrawable_usd(v.par[0], account_sums(v, 0), 10**9) == 30.0
    assert withdrawable_usd(v.par[0], account_sums(v, 0), 5 * MICRO) == 0.0
    assert spare_usd(v.par[0], s) == 0.0


# --- properties ---------------------------------------------------------------------------------

USD = st.floats(-1e9, 1e9)
POSITIVE = st.floats(0.0, 1e9)


@given(USD, POSITIVE, POSITIVE, st.floats(0.0, 1e9))
def test_more_credit_never_raises_the_ratio(own, maintenance, credit, more):
    s = sums(own_cash_usd=own, maintenance_usd=maintenance, collateral_credit_usd=credit)
    assert portfolio_ratio(s._replace(collateral_credit_usd=credit + more)) <= portfolio_ratio(s)


@given(USD, POSITIVE, POSITIVE, POSITIVE)
def test_a_draw_of_debt_changes_nothing(own, maintenance, credit, drawn):
    s = sums(own_cash_usd=own, maintenance_usd=maintenance, collateral_credit_usd=credit)
    after = s._replace(cash_usd=s.cash_usd + drawn, debt_usd=drawn)
    for figure in (net_usd, portfolio_ratio, available_after_maintenance_usd, cross_equity_usd):
        assert figure(after) == figure(s)


@given(st.integers(0, 2**32), st.sampled_from([1, 3]), st.floats(1.0, 3.0))
def test_dearer_collateral_never_raises_the_ratio(seed, token, factor):
    v, _ = random_state(seed, n_accounts=3)
    before = [portfolio_ratio(account_sums(v, row)) for row in range(3)]
    # The price that collateral is credited at; the perps of the asset keep their mark.
    v.price[int(v.token_spec[token].asset)].borrow_oracle_usd *= factor
    after = [portfolio_ratio(account_sums(v, row)) for row in range(3)]
    assert all(b <= a for a, b in zip(before, after, strict=True))


@given(st.integers(0, 2**32), st.booleans())
def test_portfolio_without_collateral_is_cross(seed, by_cap):
    v, rng = random_state(
        seed, n_accounts=4, values={"tokens.USDC.user_borrow_cap": 0.0} if by_cap else None
    )
    if not by_cap:
        v.token[:] = 0
    user, side = int(rng.integers(4)), int(rng.integers(2))
    inst, lots = int(rng.integers(7)), int(10 ** rng.uniform(0, 7))
    tick = int(v.book[inst].last_tick)

    def judged(regime):
        v.row["regime"][:4] = regime
        s = account_sums(v, user)
        debt, capacity = int(v.debt[user, 0]), s.collateral_capacity_usd
        room = borrowable_room(v.token_spec[0], v.reserve[0], debt, capacity)
        portfolio = is_judged_as_portfolio(s)
        return (
            equity_usd(s, portfolio),
            margin_ratio(s, portfolio),
            is_in_breach(s, portfolio),
            available_usd(v.par[0], s, room),
            withdrawable_usd(v.par[0], s, lendable(v.reserve[0])),
            admits(v, user, inst, side, tick, lots, 0),
        )

    assert judged(REGIME_PORTFOLIO) == judged(REGIME_CROSS)
