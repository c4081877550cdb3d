"""The reserve: kernels against plain Python over random sequences, equal to the last unit."""

import numpy as np
import pytest

from stressbook.market.lending.accrual import accrue
from stressbook.market.lending.borrowing import borrowable_room, draw, headroom, lend_units
from stressbook.market.lending.claims import claims_column
from stressbook.market.lending.lending_rates import hourly_step_e15
from stressbook.market.lending.reserve import (
    borrow_rate,
    redeem,
    repay,
    set_off,
    supply_rate,
    utilisation,
    write_off,
)
from stressbook.market.margin.available import spare_usd
from stressbook.market.margin.loans import draw_needed_debt, repay_unneeded, supply
from stressbook.market.margin.sums import account_sums
from stressbook.market.margin.token_margin import refusal_of_leaving
from stressbook.market.numbers.units import round_down
from stressbook.market.reference.reserve import hourly_step_e15 as reference_step_e15
from stressbook.market.state.codes import (
    ACCEPTED,
    CAUSE_DEFICIT,
    CAUSE_INTEREST,
    R_CAP_REACHED,
    R_INSUFFICIENT_BALANCE,
    R_UTILISATION_FULL,
)
from stressbook.market.state.records import C_EVENTS
from tests.random_states import random_state, reference_account, reference_reserve

RULE_SETS = [
    {},
    {"lending.interest_is_simple": True, "lending.retained_frac": 0.333},
    {"tokens.USDC.rate_low_slope": 0.37, "tokens.USDC.kink_utilisation": 0.3},
    {"tokens.USDC.platform_supply_cap": 200.0, "tokens.USDC.user_supply_cap": 100.0},
    {"tokens.USDC.user_borrow_cap": 500.0, "tokens.USDC.platform_borrow_cap": 1_000.0},
]


def pool_of(v, token):
    row = int(v.par[0].row_pool0) + token
    return int(v.token[row, token] if token else v.cash[row])


def holds(v, token=0):
    """The identity of the reserve, on the ledger itself."""
    reserve = v.reserve[token]
    owned = int(v.supply[:, token].sum()) + int(reserve.retained) + int(reserve.claim)
    return pool_of(v, token) + int(v.debt[:, token].sum()) == owned


def assert_equal(v, twin, token=0):
    users, reserve = range(int(v.par[0].n_users)), v.reserve[token]
    assert holds(v, token)
    assert twin.is_balanced()
    assert pool_of(v, token) == twin.pool
    for array, sums in ((v.debt, twin.debts), (v.supply, twin.supplies)):
        assert [int(array[row, token]) for row in users] == [sums.get(row, 0) for row in users]
    assert (int(reserve.retained), int(reserve.claim)) == (twin.retained, twin.claim)
    assert int(reserve.total_debt) == twin.total_debt()
    assert int(reserve.total_supply) == twin.total_supply()
    rates = utilisation(reserve), borrow_rate(v.token_spec[token], reserve)
    assert rates == (twin.utilisation(), twin.borrow_rate())
    retained = int(v.par[0].retained_frac_e6)
    assert supply_rate(v.token_spec[token], reserve, retained) == twin.supply_rate()


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
        repay_unneeded(v)
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


HYPE, BTC = 3, 1
CAPS_OF_TOKENS = [(1e7, 1e7), (0.01, 0.05)]  # of a user's debt, of all others


def token_step(v, twin, token, rng):
    """Do the same random thing to the reserve of a token; return its name and what came of it."""
    row = int(rng.integers(int(v.par[0].n_users)))
    debt, own, held = int(v.debt[row, token]), int(v.supply[row, token]), int(v.token[row, token])
    kind = rng.choice(["draw", "repay", "supply", "redeem", "set_off", "accrue", "write_off"])
    if kind == "draw":
        room = headroom(v.token_spec[token], v.reserve[token], debt)
        assert room == twin.headroom(debt)
        drawn = min(room, amount_near(rng, max(room, 1)))
        lend_units(v, row, token, drawn)
        twin.draw(row=row, amount=drawn)
        return kind, drawn > 0
    if kind == "repay":
        amount = amount_near(rng, max(debt, 1))
        assert repay(v, row, token, amount) == twin.repay(row=row, amount=min(amount, held))
        return kind, debt > 0
    if kind == "supply":
        amount = amount_near(rng, max(held, 1))
        code = refusal_of_leaving(v, row, token, amount)
        if code == ACCEPTED:
            code = twin.supply(row=row, amount=amount)
        assert supply(v, row, token, amount) == code
        return kind, code
    if kind == "redeem":
        amount = amount_near(rng, max(own, 1))
        code = twin.redeem(row=row, amount=amount)
        assert redeem(v, row, token, amount) == code
        return kind, code
    if kind == "set_off":
        most = amount_near(rng, max(debt, 1))
        set_off(v, row, token, most)
        assert twin.set_off(row=row, most=most) == own - int(v.supply[row, token])
        return kind, own > int(v.supply[row, token])
    if kind == "accrue":
        twin.accrue()
        accrue(v, 0)
        repay_unneeded(v)
        v.ctr[C_EVENTS] = 0
        for other in range(int(v.par[0].n_users)):
            if v.row[other].regime:
                twin.set_off(row=other, most=twin.debts[other])
                twin.repay(row=other, amount=twin.debts[other] - int(v.debt[other, token]))
        return kind, int(v.reserve[token].retained) > 0
    amount = amount_near(rng, max(debt // 3, 1))
    assert write_off(v, row, token, amount) == twin.write_off(row=row, amount=amount)
    return kind, debt > 0


@pytest.mark.parametrize("token", [BTC, HYPE])
@pytest.mark.parametrize("caps", CAPS_OF_TOKENS)
def test_random_sequences_of_other_tokens(token, caps):
    """Each token's reserve keeps its identity in its own units, and its claims sum to zero."""
    seen, name = set(), ("", "BTC", "", "HYPE")[token]
    keys = {"borrowable": True, "user_borrow_cap": caps[0], "platform_borrow_cap": caps[1]}
    keys |= {"platform_supply_cap": 1e7, "user_supply_cap": caps[1]}
    values = {f"tokens.{name}.{key}": x for key, x in keys.items()}
    for seed in range(6):
        v, rng = random_state(seed, values=values)
        twin = reference_reserve(v, token)
        units = int(v.token[:, token].sum())
        for _ in range(120):
            seen.add(token_step(v, twin, token, rng))
            assert_equal(v, twin, token)
        assert int(v.token[:, token].sum()) == units
        assert v.flow[:, claims_column(v, token)].sum(axis=0).tolist() == [0] * v.flow.shape[2]
    assert {(kind, True) for kind in ("draw", "repay", "set_off", "accrue", "write_off")} <= seen
    codes = {code for kind, code in seen if kind in ("supply", "redeem")}
    bound = R_UTILISATION_FULL if caps == CAPS_OF_TOKENS[0] else R_CAP_REACHED
    assert {ACCEPTED, R_INSUFFICIENT_BALANCE, bound} <= codes


def test_hourly_steps():
    rng = np.random.default_rng(5)
    for rate in [0.0, 0.05, 1.0, 100.0, *rng.uniform(0.0, 2.0, 500)]:
        for is_simple in (False, True):
            expected = reference_step_e15(float(rate), is_simple=is_simple)
            assert hourly_step_e15(float(rate), is_simple) == expected
