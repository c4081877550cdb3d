import numpy as np
import pytest

from stressbook.errors import InvalidInput
from stressbook.market.numbers.units import MICRO
from stressbook.market.opening.setup import AccountOpening, make_state
from stressbook.market.rules.spec import load_preset
from stressbook.market.state.codes import CAUSE_OPENING, MODE_PORTFOLIO, REGIME_PORTFOLIO
from stressbook.market.state.ledger import imbalance
from stressbook.market.state.records import EMPTY_ASK, EMPTY_BID, Capacity

SPEC = load_preset("hyperliquid")
PRICE = 78_803 * 10**8
PM = {"regime": REGIME_PORTFOLIO, "account_mode": MODE_PORTFOLIO}
CARRY = AccountOpening(
    key=1,
    cash_micro=1_000 * MICRO,
    tokens={1: 10**10},
    perps={0: (-100_000, PRICE)},
    debt=500 * MICRO,
    **PM,
)
LENDER = AccountOpening(key=2, cash_micro=5_000 * MICRO, supply=4_000 * MICRO)
LONG = AccountOpening(key=3, cash_micro=9_000 * MICRO, perps={0: (100_000, PRICE)})


def opened(*accounts, **options):
    return make_state(SPEC, accounts or (CARRY, LENDER, LONG), seed=3, **options)


def test_rows_and_users():
    v = opened()
    par = v.par[0]
    assert (par.n_users, par.backstop_user, par.row_backstop) == (4, 3, 3)
    special = par.row_outside, par.row_treasury, par.row_rounding, par.row_pool0
    assert special == (4, 5, 6, 7)
    assert v.cash.shape == (4 + 3 + len(SPEC.tokens),)
    assert v.row["user"].tolist() == [0, 1, 2, 3] + [-1] * 7
    assert v.row["regime"].tolist()[:4] == [1, 0, 0, 0]
    assert v.cash[3] == SPEC.liquidation.backstop_capital_usd * MICRO


def test_cash_is_raw():
    v = opened()
    assert v.cash[0] == (1_000 + 78_803 + 500) * MICRO
    assert v.cash[1] == 1_000 * MICRO
    assert v.cash[2] == (9_000 - 78_803) * MICRO
    assert v.entry_cost[:3, 0].tolist() == [-78_803 * MICRO, 0, 78_803 * MICRO]
    assert v.cash[v.par[0].row_pool0] == (4_000 - 500) * MICRO


def test_everything_comes_from_outside_or_the_pool():
    v = opened()
    for column in range(v.flow.shape[1]):
        assert imbalance(v, column) == 0
    outside = v.par[0].row_outside
    assert v.perp[outside].tolist() == [0] * 7
    assert v.token[outside, 1] == -(10**10)
    opening = v.flow[:, :, CAUSE_OPENING]
    assert np.array_equal(opening[:, 0], v.cash)
    assert np.array_equal(opening[:, 1:5], v.token)
    assert np.array_equal(opening[:, 5:], v.perp)
    assert v.flow.sum() == 0
    reserve = v.reserve[0]
    assert v.cash[v.par[0].row_pool0] + reserve.total_debt == reserve.total_supply


def test_prices_and_books_at_the_opening():
    v = opened()
    for asset, price in zip(SPEC.assets, v.price, strict=True):
        usd = asset.opening_price_usd
        assert price.oracle_usd == price.mark_usd == price.borrow_oracle_usd == usd
        assert price.oracle_e8 == price.mark_e8 == price.previous_mark_e8 == round(usd * 1e8)
    assert v.best.tolist() == [[EMPTY_BID, EMPTY_ASK]] * 7
    assert v.book["last_tick"].tolist() == [78803, 27450, 10335, 84035, 78803, 27450, 84035]


def test_fee_tier_leverage_latency():
    account = AccountOpening(
        key=1, volume_14d_micro=30 * 10**6 * MICRO, leverage={0: 3}, latency_us=70
    )
    v = opened(account)
    assert v.user[0].fee_tier == 2
    assert v.leverage[0].tolist() == [3, 25, 20, 10, 1, 1, 1]
    assert v.user["latency_us"].tolist() == [70, 200_000]
    assert v.user["owner"].tolist() == [0, 1]


def test_size_of_arrays_follows_capacity():
    v = opened(capacity=Capacity(orders=100, messages=10, fills=20, events=30))
    sizes = len(v.order), len(v.outbox), len(v.fill), len(v.event), len(v.client_slot)
    assert sizes == (100, 10, 20, 30, 256)


def test_world_is_shared():
    world = opened()
    v = opened(world=world)
    assert v.outside is world.outside
    assert v.dial is world.dial


@pytest.mark.parametrize(
    ("account", "name", "words"),
    [
        (AccountOpening(key=2), "accounts.key", "is there twice"),
        (AccountOpening(key=9, tokens={0: 1}), "accounts[1].tokens", "is no token"),
        (AccountOpening(key=9, tokens={1: -1}), "accounts[1].tokens[1]", "out of range"),
        (AccountOpening(key=9, perps={4: (1, PRICE)}), "accounts[1].perps[4]", "is no perp"),
        (AccountOpening(key=9, perps={0: (1, PRICE)}), "accounts.perps.BTC-PERP", "sum to zero"),
        (AccountOpening(key=9, perps={0: (1, 0)}), "accounts[1].perps[0].price_e8", "ladder"),
        (AccountOpening(key=9, perps={0: (10**12, 1)}), "accounts[1].perps[0]", "too large"),
        (AccountOpening(key=9, cash_micro=2**62), "accounts[1].cash_micro", "out of range"),
        (AccountOpening(key=9, debt=-1, **PM), "accounts[1].debt", "out of range"),
        (AccountOpening(key=9, debt=1), "accounts[1].debt", "portfolio regime"),
        (AccountOpening(key=9, debt=10**12, **PM), "accounts.debt", "not in the pool"),
        (AccountOpening(key=9, regime=1), "accounts[1].regime", "contradicts the mode"),
    ],
)
def test_problems(account, name, words):
    with pytest.raises(InvalidInput) as caught:
        opened(LENDER, account)
    found = {problem.name: problem.problem for problem in caught.value.problems}
    assert words in found[name]


def test_what_all_hold_together_fits_the_row_outside():
    half = {"tokens": {1: 2**61}, "cash_micro": 2**61}
    with pytest.raises(InvalidInput) as caught:
        opened(AccountOpening(key=1, **half), AccountOpening(key=2, **half))
    assert [problem.name for problem in caught.value.problems] == [
        "accounts.cash_micro",
        "accounts.tokens[1]",
    ]


def test_problems_come_together():
    with pytest.raises(InvalidInput) as caught:
        opened(AccountOpening(key=1, debt=1), AccountOpening(key=1, regime=1), dt_ms=0)
    assert len(caught.value.problems) == 5


def test_capacity_of_nothing():
    with pytest.raises(InvalidInput, match=r"capacity.orders = 0 is out of range"):
        opened(capacity=Capacity(orders=0))
