"""The reserve: kernels against plain Python over random sequences, equal to the last unit."""

import numpy as np
import pytest

from stressbook.market.accrual import accrue
from stressbook.market.borrowing import borrowable_room, draw
from stressbook.market.codes import (
    ACCEPTED,
    CAUSE_DEFICIT,
    CAUSE_INTEREST,
    R_CAP_REACHED,
    R_INSUFFICIENT_BALANCE,
    R_UTILISATION_FULL,
)
from stressbook.market.lending_rates import hourly_step_e15
from stressbook.market.margin import account_sums, spare_usd
from stressbook.market.reference.reserve import hourly_step_e15 as reference_step_e15
from stressbook.market.reserve import (
    borrow_rate,
    draw_needed_debt,
    redeem,
    repay,
    supply,
    supply_rate,
    utilisation,
    write_off,
)
from stressbook.market.state import C_EVENTS
from stressbook.market.units import round_down
from tests.random_states import random_state, reference_account, reference_reserve

RULE_SETS = [
    {},
    {"lending.interest_is_simple": True, "lending.retained_frac": 0.333},
    {"tokens.USDC.platform_supply_cap": 200.0, "tokens.USDC.user_supply_cap": 100.0},
    {"tokens.USDC.user_borrow_cap": 500.0, "tokens.USDC.platform_borrow_cap": 1_000.0},
]


def holds(v):
    """The identity of the reserve, on the ledger itself."""
    reserve = v.reserve[0]
    owned = int(v.supply[:, 0].sum()) + int(reserve.retained) + int(reserve.claim)
    return int(v.cash[v.par[0].row_pool0]) + int(v.debt[:, 0].sum()) == owned


def assert_equal(v, twin):
    users = range(int(v.par[0].n_users))
    assert holds(v)
    assert twin.is_balanced()
    assert int(v.cash[v.par[0].row_pool0]) == twin.pool
    assert [int(v.debt[row, 0]) for row in users] == [twin.debts.get(row, 0) for row in users]
    assert [int(v.supply[row, 0]) for row in users] == [twin.supplies.get(row, 0) for row in users]
    assert (int(v.reserve[0].retained), int(v.reserve[0].claim)) == (twin.retained, twin.claim)
    assert int(v.reserve[0].total_debt) == twin.total_debt()
    assert int(v.reserve[0].total_supply) == twin.total_supply()
    rates = utilisation(v.reserve[0]), borrow_rate(v.token_spec[0], v.reserve[0])
    assert rates == (twin.utilisation(), twin.borrow_rate())
    retained = int(v.par[0].retained_frac_e6)
    assert supply_rate(v.token_spec[0], v.reserve[0], retained) == twin.supply_rate()


def amount_near(rng, bound):
    """An amount below, at or above a bound."""
    return max(1, int(bound * rng.choice([0.1, 0.5, 1.0, 1.0, 1.5])) + int(rng.integers(-1, 2)))


def step(v, twin, rng):
    """Do the same random thing to both; return its name and what came of it."""
    row = int(rng.integers(int(v.par[0].n_users)))
    debt, own = int(v.debt[row, 0]), int(v.supply[row, 0])
    kind = rng.choice(["draw", "need", "repay", "supply", "redeem", "accrue", "write_off"])
    if kind == "draw":
        want = amount_near(rng, max(abs(int(v.cash[row])), 1))
        room = reference_account(v, row).room_micro(twin)
        capacity_usd = account_sums(v, row).collateral_capacity_usd
        assert borrowable_room(v.token_spec[0], v.reserve[0], debt, capacity_usd) == room
        drawn = min(want, room)
        if drawn > 0:
            draw(v, row, drawn)
        twin.draw(row=row, amount=drawn)
        return kind, drawn > 0
    if kind == "need":
        account = reference_account(v, row)
        want = max(0, account.debt_target_micro() - debt)
        returned = account.returned_for_commitment(twin)
        drawn = draw_needed_debt(v, row)
        assert own - int(v.supply[row, 0]) == returned
        if returned > 0:
            assert twin.redeem(row=row, amount=returned) == ACCEPTED
        assert drawn == min(want, account.room_micro(twin))
        assert draw_needed_debt(v, row) == 0
        twin.draw(row=row, amount=drawn)
        return kind, drawn > 0
    if kind == "repay":
        amount = amount_near(rng, max(debt, 1))
        assert repay(v, row, 0, amount) == twin.repay(row=row, amount=amount)
        return kind, debt > 0
    if kind == "supply":
        spare = round_down(spare_usd(v.par[0], account_sums(v, row)) * 1e6)
        amount = amount_near(rng, max(spare, 1))
        code = twin.supply(row=row, amount=amount, spare=spare)
        assert supply(v, row, 0, amount) == code
        return kind, code
    if kind == "redeem":
        amount = amount_near(rng, max(own, 1))
        code = twin.redeem(row=row, amount=amount)
        assert redeem(v, row, 0, amount) == code
        return kind, code
    if kind == "accrue":
        twin.accrue()
        accrue(v, 0)
        v.ctr[C_EVENTS] = 0
        for other in range(int(v.par[0].n_users)):
            if v.row[other].regime:
                account = reference_account(v, other)
                account.debt_micro = twin.debts[other]
                account.supplied_micro = twin.supplies.get(other, 0)
                lent = account.supplied_micro - int(v.supply[other, 0])
                account.cash_micro += twin.debts[other] - int(v.debt[other, 0]) - lent
                target = account.debt_target_micro()
                assert twin.set_off(row=other, most=twin.debts[other] - target) == lent
                twin.repay(row=other, amount=twin.debts[other] - target)
        return kind, int(v.reserve[0].retained) > 0
    amount = amount_near(rng, max(debt // 3, 1))
    assert write_off(v, row, 0, amount) == twin.write_off(row=row, amount=amount)
    return kind, debt > 0


@pytest.mark.parametrize("values", RULE_SETS, ids=lambda values: ",".join(values) or "preset")
def test_random_sequences(values):
    seen = set()
    for seed in range(6):
        v, rng = random_state(seed, values=values)
        twin = reference_reserve(v)
        cash = int(v.cash.sum())
        for _ in range(120):
            seen.add(step(v, twin, rng))
            assert_equal(v, twin)
        assert int(v.cash.sum()) == cash
        claims = v.flow[:, 1, [CAUSE_INTEREST, CAUSE_DEFICIT]].sum(axis=0)
        assert claims.tolist() == [0, 0]
    always = {(kind, True) for kind in ("draw", "need", "repay", "accrue", "write_off")}
    assert always <= seen
    codes = {code for kind, code in seen if kind in ("supply", "redeem")}
    assert {ACCEPTED, R_INSUFFICIENT_BALANCE} <= codes
    if "tokens.USDC.platform_borrow_cap" not in values:
        assert R_UTILISATION_FULL in codes
    if "tokens.USDC.user_supply_cap" in values:
        assert R_CAP_REACHED in codes


def test_hourly_steps():
    rng = np.random.default_rng(5)
    for rate in [0.0, 0.05, 1.0, 100.0, *rng.uniform(0.0, 2.0, 500)]:
        for is_simple in (False, True):
            expected = reference_step_e15(float(rate), is_simple=is_simple)
            assert hourly_step_e15(float(rate), is_simple) == expected
