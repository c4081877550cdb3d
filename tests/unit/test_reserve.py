import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stressbook.market.lending.accrual import accrue
from stressbook.market.lending.borrowing import (
    borrowable_room,
    draw,
    headroom,
    lendable,
    platform_headroom,
)
from stressbook.market.lending.lending_rates import hourly_step_e15
from stressbook.market.lending.reserve import (
    borrow_rate,
    redeem,
    refresh_collateral,
    repay,
    utilisation,
    write_off,
)
from stressbook.market.margin.equity import net_usd
from stressbook.market.margin.loans import draw_needed_debt, repay_unneeded, supply
from stressbook.market.margin.sums import account_sums
from stressbook.market.numbers.units import MICRO
from stressbook.market.opening.setup import AccountOpening, make_state
from stressbook.market.rules.spec import load_preset
from stressbook.market.state.codes import (
    ACCEPTED,
    CAUSE_BORROW,
    CAUSE_DEFICIT,
    CAUSE_INTEREST,
    CAUSE_REPAY,
    MODE_PORTFOLIO,
    R_BAD_QUANTITY,
    R_BAD_TOKEN,
    R_CAP_REACHED,
    R_INSUFFICIENT_BALANCE,
    R_UTILISATION_FULL,
    REGIME_PORTFOLIO,
)
from stressbook.market.state.records import Capacity

SPEC = load_preset("hyperliquid").with_opening_prices({"HYPE": 10.0})
SMALL = Capacity(orders=4, messages=4, fills=4, events=4096)
HOUR = 3_600_000


def venue(debts_usd=(400,), supplies_usd=(1_000,), hype=1_000.0, values=None):
    """Borrowers with collateral whose debt is spent, then lenders."""
    spec = SPEC.with_values(values) if values else SPEC
    borrowers = [
        AccountOpening(
            key=index,
            cash_micro=-debt * MICRO,
            tokens={3: round(hype * 10**8)},
            debt=debt * MICRO,
            regime=REGIME_PORTFOLIO,
            account_mode=MODE_PORTFOLIO,
        )
        for index, debt in enumerate(debts_usd)
    ]
    lenders = [
        AccountOpening(key=100 + index, cash_micro=2 * lent * MICRO, supply=lent * MICRO)
        for index, lent in enumerate(supplies_usd)
    ]
    return make_state(spec, borrowers + lenders, seed=1, capacity=SMALL)


def is_balanced(v):
    reserve = v.reserve[0]
    owned = int(v.supply[:, 0].sum()) + int(reserve.retained) + int(reserve.claim)
    return int(v.cash[v.par[0].row_pool0]) + int(v.debt[:, 0].sum()) == owned


# --- rates --------------------------------------------------------------------------------------


@given(st.floats(0.0, 100.0))
def test_step_is_the_nearest(rate):
    with mpmath.workdps(40):
        exact = (mpmath.exp(mpmath.log(1 + mpmath.mpf(rate)) / 8760) - 1) * 10**15
        assert abs(hourly_step_e15(rate, False) - exact) <= mpmath.mpf("0.501")


def test_rate_follows_utilisation():
    v = venue()
    assert (utilisation(v.reserve[0]), borrow_rate(v.token_spec[0], v.reserve[0])) == (0.4, 0.05)
    v = venue(debts_usd=(900,))
    assert borrow_rate(v.token_spec[0], v.reserve[0]) == pytest.approx(0.525, rel=1e-12)


# --- interest -----------------------------------------------------------------------------------


def test_an_hour_of_interest():
    v = venue()
    accrue(v, HOUR)
    repay_unneeded(v)
    interest = -(-400 * MICRO * 5_569_668_955 // 10**15)
    assert v.reserve[0].last_step_e15 == 5_569_668_955
    assert v.debt[0, 0] == 400 * MICRO + interest
    assert v.reserve[0].retained == interest // 10
    assert v.supply[1, 0] == 1_000 * MICRO + interest - interest // 10
    assert v.reserve[0].claim == 0
    assert is_balanced(v)


def test_rounding_keeps_what_suppliers_cannot_share():
    v = venue(supplies_usd=(501, 499, 500))
    accrue(v, HOUR)
    repay_unneeded(v)
    interest = int(v.debt[0, 0]) - 400 * MICRO
    rest = interest - interest // 10
    assert [int(v.supply[row, 0]) for row in (1, 2, 3)] == [
        own * MICRO + rest * own // 1_500 for own in (501, 499, 500)
    ]
    assert 0 < v.reserve[0].claim < 3
    assert is_balanced(v)
    assert v.flow[:, 1, CAUSE_INTEREST].sum() == 0
    assert v.flow[0, 1, CAUSE_INTEREST] == -interest


def test_interest_is_at_the_utilisation_just_before():
    v = venue(debts_usd=(950,))
    rate = borrow_rate(v.token_spec[0], v.reserve[0])
    accrue(v, HOUR)
    repay_unneeded(v)
    assert v.reserve[0].last_step_e15 == hourly_step_e15(rate, False)
    assert v.reserve[0].utilisation == 0.95
    assert borrow_rate(v.token_spec[0], v.reserve[0]) > rate


def test_debt_falls_at_the_hour_only_and_after_interest():
    v = venue()
    v.cash[0] += 150 * MICRO  # 250 are needed, 400 owed
    assert draw_needed_debt(v, 0) == 0
    refresh_collateral(v)
    assert v.debt[0, 0] == 400 * MICRO
    accrue(v, HOUR)
    repay_unneeded(v)
    interest = -(-400 * MICRO * 5_569_668_955 // 10**15)
    assert v.debt[0, 0] == 250 * MICRO + interest
    assert v.cash[0] == 0
    assert v.flow[0, 0, CAUSE_REPAY] == -150 * MICRO
    assert is_balanced(v)


def test_profit_that_is_not_realised_repays_too():
    v = venue()
    v.perp[0, 3], v.perp[1, 3] = 10_000, -10_000  # 100 HYPE, bought for nothing: worth 1,000
    accrue(v, HOUR)
    repay_unneeded(v)
    assert v.debt[0, 0] == 0
    assert v.cash[0] < -400 * MICRO


# --- loans --------------------------------------------------------------------------------------


def test_asking_twice_draws_nothing_more():
    v = venue(debts_usd=(0,))
    v.cash[0] = -333_333_333
    assert draw_needed_debt(v, 0) == 333_333_333
    assert draw_needed_debt(v, 0) == 0
    assert v.cash[0] == 0
    assert v.flow[0, 0, CAUSE_BORROW] == 333_333_333


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**9), st.integers(1, 10**7))
def test_net_and_target_do_not_move_with_the_debt(cash, bid, price_cents):
    v = venue(debts_usd=(0,), supplies_usd=(10**7,))
    v.cash[0], v.open_notional[0, 4, 0] = cash, bid
    v.user[0].n_orders = 1
    v.price[3].borrow_oracle_usd = price_cents / 100.0
    before = net_usd(account_sums(v, 0))
    drawn = draw_needed_debt(v, 0)
    assert net_usd(account_sums(v, 0)) == before
    assert draw_needed_debt(v, 0) == 0
    assert 0 <= drawn <= max(0, bid - cash) + 1  # debt is rounded up from a float
    assert is_balanced(v)


@pytest.mark.parametrize(
    ("values", "supplies", "drawn_usd"),
    [
        ({}, (10_000,), 2_000),
        ({"tokens.HYPE.ltv": 0.1}, (10_000,), 1_000),
        ({"tokens.USDC.user_borrow_cap": 700.0}, (10_000,), 700),
        ({"tokens.USDC.platform_borrow_cap": 600.0}, (10_000,), 600),
        ({"tokens.HYPE.platform_supply_cap": 250.0, "tokens.HYPE.ltv": 0.2}, (10_000,), 500),
        ({}, (300,), 300),
    ],
)
def test_each_bound_of_a_loan(values, supplies, drawn_usd):
    v = venue(debts_usd=(0,), supplies_usd=supplies, values=values)
    capacity_usd = account_sums(v, 0).collateral_capacity_usd
    room = borrowable_room(v.token_spec[0], v.reserve[0], 0, capacity_usd)
    assert min(room, 2_000 * MICRO) == drawn_usd * MICRO
    draw(v, 0, drawn_usd * MICRO)
    assert v.cash[0] == v.debt[0, 0] == drawn_usd * MICRO


def test_a_cap_cut_below_its_use_leaves_no_headroom():
    v = venue()
    token, reserve = v.token_spec[0], v.reserve[0]
    token.user_borrow_cap, token.platform_borrow_cap = 10 * MICRO, 20 * MICRO
    reserve.total_supply = 30 * MICRO
    assert platform_headroom(token, reserve) == 0
    assert lendable(reserve) == 0
    assert headroom(token, reserve, 400 * MICRO) == 0
    capacity_usd = account_sums(v, 0).collateral_capacity_usd
    assert borrowable_room(token, reserve, 400 * MICRO, capacity_usd) == 0


def test_collateral_is_not_lent():
    v = venue()
    assert repay(v, 0, 3, 1) == 0
    assert write_off(v, 0, 3, 1) == 0
    assert supply(v, 0, 3, 1) == R_BAD_TOKEN
    assert redeem(v, 0, 3, 1) == R_BAD_TOKEN


def test_repayment_is_at_most_the_debt():
    v = venue()
    assert repay(v, 0, 0, 10**12) == 400 * MICRO
    assert (v.debt[0, 0], v.reserve[0].total_debt) == (0, 0)
    assert repay(v, 0, 0, 1) == 0


# --- lenders ------------------------------------------------------------------------------------


def test_supply_and_redeem():
    v = venue()
    assert supply(v, 1, 0, 500 * MICRO) == ACCEPTED
    assert redeem(v, 1, 0, 1_100 * MICRO) == ACCEPTED
    assert v.supply[1, 0] == 400 * MICRO
    assert v.cash[1] == 1_600 * MICRO
    assert redeem(v, 1, 0, 1) == R_UTILISATION_FULL
    assert redeem(v, 1, 0, 401 * MICRO) == R_INSUFFICIENT_BALANCE
    assert supply(v, 1, 0, 1_601 * MICRO) == R_INSUFFICIENT_BALANCE
    assert supply(v, 1, 0, 0) == redeem(v, 1, 0, -1) == R_BAD_QUANTITY
    assert is_balanced(v)


@pytest.mark.parametrize("cap", ["user_supply_cap", "platform_supply_cap"])
def test_supply_caps(cap):
    v = venue(values={f"tokens.USDC.{cap}": 1_200.0})
    assert supply(v, 1, 0, 201 * MICRO) == R_CAP_REACHED
    assert supply(v, 1, 0, 200 * MICRO) == ACCEPTED
    v.token_spec[0][cap] = 100 * MICRO  # cut below its use
    assert supply(v, 1, 0, 1) == R_CAP_REACHED
    assert redeem(v, 1, 0, 1) == ACCEPTED


def test_collateral_beyond_the_platform_cap_counts_in_proportion():
    v = venue(debts_usd=(0, 0), values={"tokens.HYPE.platform_supply_cap": 500.0})
    assert v.reserve[3].total_supply == 2_000 * 10**8
    assert v.reserve[3].counted_share == 0.25
    assert account_sums(v, 0).collateral_capacity_usd == pytest.approx(1_625.0, rel=1e-14)
    v.token[1, 3] = 0
    refresh_collateral(v)
    assert v.reserve[3].counted_share == 0.5


# --- losses -------------------------------------------------------------------------------------


def test_waterfall():
    v = venue(supplies_usd=(600, 300, 100))
    v.reserve[0].retained = 50 * MICRO
    v.cash[v.par[0].row_pool0] += 50 * MICRO
    assert write_off(v, 0, 0, 30 * MICRO) == 0
    assert v.reserve[0].retained == 20 * MICRO
    assert write_off(v, 0, 0, 120 * MICRO) == 100 * MICRO
    assert [int(v.supply[row, 0]) // MICRO for row in (1, 2, 3)] == [540, 270, 90]
    assert (v.reserve[0].retained, v.reserve[0].retained_used) == (0, 50 * MICRO)
    assert v.reserve[0].supplier_loss == 100 * MICRO
    assert v.debt[0, 0] == 250 * MICRO
    assert is_balanced(v)
    assert v.flow[:, 1, CAUSE_DEFICIT].sum() == 0


def test_a_loss_is_split_to_the_last_unit():
    v = venue(supplies_usd=(601, 307, 103))
    assert write_off(v, 0, 0, 100_000_001) == 100_000_001
    assert int(v.supply[:, 0].sum()) == 1_011 * MICRO - 100_000_001
    assert is_balanced(v)


def test_more_than_the_debt_is_not_written_off():
    v = venue()
    assert write_off(v, 0, 0, 10**12) == 400 * MICRO
    assert v.supply[1, 0] == 600 * MICRO
    assert write_off(v, 0, 0, 1) == 0
    assert is_balanced(v)
