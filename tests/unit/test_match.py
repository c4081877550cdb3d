"""Messages of a step: replies, transfers, enrolment, leverage, and a fill log that is too small."""

import pytest

from stressbook.market.orders.match import match_batch
from stressbook.market.reference.records import Message
from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    CAUSE_DEPOSIT,
    CAUSE_OWN_MOVE,
    CAUSE_WITHDRAWAL,
    FAULT_FILL_LOG,
    FILLED,
    FORCED,
    MODE_PORTFOLIO,
    MODE_STANDARD,
    OP_CANCEL_ALL,
    OP_DEPOSIT,
    OP_ENROL,
    OP_LEVERAGE,
    OP_REDEEM,
    OP_SUPPLY,
    OP_TRANSFER,
    OP_WITHDRAW,
    OWN_MOVE,
    R_BAD_INSTRUMENT,
    R_BAD_LEVERAGE,
    R_BAD_QUANTITY,
    R_BAD_TOKEN,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    R_NOT_ELIGIBLE,
    R_NOT_SUPPORTED,
    R_UTILISATION_FULL,
    REGIME_CROSS,
    REGIME_PORTFOLIO,
    RESTING,
    SELL,
)
from stressbook.market.state.ledger import imbalance
from stressbook.market.state.records import C_FAULT, C_FILLS, C_REPLIES, Capacity
from tests.exchange_twin import (
    BTC_PERP,
    BTC_SPOT,
    HYPE_SPOT,
    Twin,
    order,
    run_step,
    venue,
    write_messages,
)

pytestmark = pytest.mark.boundscheck

USDC, BTC, HYPE = 0, 1, 3
MICRO = 10**6
PORTFOLIO = {"regime": REGIME_PORTFOLIO, "account_mode": MODE_PORTFOLIO}
COLLATERAL = PORTFOLIO | {"tokens": {BTC: 10**10}}  # one bitcoin


def admitting(n_users=2, **account):
    """A venue with margin; users have 1,000 USDC unless told otherwise."""
    given = {"cash_micro": 1_000 * MICRO, "tokens": {}} | account
    return Twin(venue(n_users, values={"orders.admission_on": True}, **given))


def ask_for(op, user, amount, inst=0, **fields):
    return Message(op, user, inst=inst, qty_lots=amount, **fields)


def run_batch(v, n):
    return match_batch(v, v.merged, n, 1000)


# --- transfers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flags", "cause"), [(0, CAUSE_DEPOSIT), (OWN_MOVE, CAUSE_OWN_MOVE)])
def test_deposits_come_from_outside(flags, cause):
    twin = admitting()
    outside = int(twin.v.par[0].row_outside)
    assert twin.step(ask_for(OP_DEPOSIT, 0, 5, USDC, flags=flags)) == [ACCEPTED]
    assert twin.step(ask_for(OP_DEPOSIT, 0, 7, HYPE, flags=flags)) == [ACCEPTED]
    assert twin.v.flow[[0, outside], 0, cause].tolist() == [5, -5]
    assert twin.v.flow[[0, outside], 1 + HYPE, cause].tolist() == [7, -7]


@pytest.mark.parametrize(
    ("token", "amount", "code"),
    [(-1, 5, R_BAD_TOKEN), (4, 5, R_BAD_TOKEN), (0, 0, R_BAD_QUANTITY), (0, 2**62, R_BAD_QUANTITY)],
)
@pytest.mark.parametrize("op", [OP_DEPOSIT, OP_WITHDRAW])
def test_a_malformed_transfer_is_refused(op, token, amount, code):
    assert admitting().step(ask_for(op, 0, amount, token)) == [code]


@pytest.mark.parametrize("token", [USDC, HYPE])
def test_a_deposit_that_the_ledger_cannot_hold_is_refused(token):
    twin = admitting()
    half = 2**61 - 2**58
    assert twin.step(ask_for(OP_DEPOSIT, 0, half, token)) == [ACCEPTED]
    before = twin.v.cash.copy(), twin.v.token.copy(), twin.v.flow.copy()
    # Its own balance, that of `outside`, or what has flowed by the cause would pass 2**62.
    assert twin.step(ask_for(OP_DEPOSIT, 0, 2**62 - 1, token)) == [R_BAD_QUANTITY]
    assert twin.step(ask_for(OP_DEPOSIT, 1, half + 2**60, token)) == [R_BAD_QUANTITY]
    assert all(
        (a == b).all()
        for a, b in zip(before, (twin.v.cash, twin.v.token, twin.v.flow), strict=True)
    )
    assert twin.step(ask_for(OP_DEPOSIT, 1, 2**60, token)) == [ACCEPTED]


def test_a_withdrawal_whose_sum_the_ledger_cannot_hold_is_refused():
    twin = admitting()
    half = 2**61 - 2**58
    codes = [
        twin.step(ask_for(op, 0, half, USDC))[0]
        for op in (OP_DEPOSIT, OP_WITHDRAW, OP_DEPOSIT, OP_WITHDRAW, OP_DEPOSIT)
    ]
    assert codes == [ACCEPTED, ACCEPTED, ACCEPTED, ACCEPTED, R_BAD_QUANTITY]
    assert int(twin.v.ctr[C_FAULT]) == 0


def test_cash_leaves_as_far_as_margin_lets_it():
    twin = admitting()
    price = int(twin.v.price[0].mark_usd)
    assert twin.step(order(0, BTC_PERP, BUY, price - 10, 500)) == [RESTING]
    free = 1_000 * MICRO - int(twin.v.open_notional[0, BTC_PERP, BUY]) // 40
    assert twin.step(ask_for(OP_WITHDRAW, 0, free + 1)) == [R_INSUFFICIENT_BALANCE]
    assert twin.step(ask_for(OP_WITHDRAW, 0, free - 1)) == [ACCEPTED]
    assert twin.v.flow[0, 0, CAUSE_WITHDRAWAL] == 1 - free


def test_tokens_on_offer_or_under_a_loan_stay():
    twin = admitting(**COLLATERAL)
    lot = int(twin.v.inst[BTC_SPOT].lot_units)
    tick = 2 * int(twin.v.price[0].mark_usd)
    assert twin.step(order(0, BTC_SPOT, SELL, tick, 10)) == [RESTING]
    too_much = 10**10 - 10 * lot + 1
    assert twin.step(ask_for(OP_WITHDRAW, 0, too_much, BTC)) == [R_INSUFFICIENT_BALANCE]
    # Without cash of its own, the account borrows what an order needs against the token.
    twin.step(
        Message(OP_CANCEL_ALL, 0, inst=-1),
        ask_for(OP_WITHDRAW, 0, 1_000 * MICRO),
        ask_for(OP_SUPPLY, 1, 1_000 * MICRO),
    )
    near = int(twin.v.price[0].mark_usd)
    assert twin.step(order(0, BTC_PERP, BUY, near - 10, 10_000)) == [RESTING]
    assert twin.v.debt[0, 0] > 0
    assert twin.step(ask_for(OP_WITHDRAW, 0, 10**10, BTC)) == [R_INSUFFICIENT_MARGIN]
    assert twin.step(ask_for(OP_WITHDRAW, 0, 10**6, BTC)) == [ACCEPTED]


def test_transfers_between_rows_wait_for_isolated_pockets():
    assert admitting().step(ask_for(OP_TRANSFER, 0, 5)) == [R_NOT_SUPPORTED]


def test_lent_cash_comes_back_as_far_as_nobody_has_borrowed_it():
    twin = admitting()
    assert twin.step(ask_for(OP_SUPPLY, 0, 300 * MICRO)) == [ACCEPTED]
    assert twin.step(ask_for(OP_SUPPLY, 0, 701 * MICRO)) == [R_INSUFFICIENT_BALANCE]
    assert twin.step(ask_for(OP_REDEEM, 0, 301 * MICRO)) == [R_INSUFFICIENT_BALANCE]
    twin.v.reserve[0].total_debt = 200 * MICRO
    twin.exchange.desk.reserve.debts[99] = 200 * MICRO
    assert twin.step(ask_for(OP_REDEEM, 0, 101 * MICRO)) == [R_UTILISATION_FULL]
    assert twin.step(ask_for(OP_REDEEM, 0, 100 * MICRO)) == [ACCEPTED]


def long_btc(lots, **account):
    """User 0 has bought BTC at the mark of 78,803 USD with leverage 40; a lot is 0.00001 BTC."""
    twin = admitting(2, **account)
    twin.step(ask_for(OP_DEPOSIT, 1, 10**12), ask_for(OP_SUPPLY, 1, 10**10))
    twin.step(order(1, BTC_PERP, SELL, 78_803, lots), order(0, BTC_PERP, BUY, 78_803, lots))
    assert twin.v.perp[0, BTC_PERP] == lots
    return twin


def test_cash_that_leaves_a_cross_account_leaves_a_tenth_of_notional():
    twin = long_btc(5_000)  # 3,940.15 USD: initial margin 98.50, a tenth 394.015, fee 1.773067
    free = 1_000_000_000 - 1_773_067 - 394_015_000
    assert twin.step(ask_for(OP_WITHDRAW, 0, free + 2)) == [R_INSUFFICIENT_BALANCE]
    assert twin.step(ask_for(OP_WITHDRAW, 0, free - 2)) == [ACCEPTED]


@pytest.mark.parametrize(
    ("left", "code"),
    [
        # 20,000 lots are 15,760.60 USD: a tenth is 1,576.06, and the fee of 7.092270 leaves 992.91
        # of cash: 583.15 must come from what 0.0148 BTC secure.
        (149 * 10**6, ACCEPTED),
        (147 * 10**6, R_INSUFFICIENT_MARGIN),
        (1, R_INSUFFICIENT_MARGIN),
        # The last collateral takes the credit with it: by cross 394.02 of initial margin, but a
        # transfer leaves a tenth of notional still.
        (0, R_INSUFFICIENT_MARGIN),
    ],
)
def test_collateral_that_leaves_leaves_a_tenth_of_notional(left, code):
    twin = long_btc(20_000, **COLLATERAL)
    assert twin.step(ask_for(OP_WITHDRAW, 0, 10**10 - left, BTC)) == [code]


def test_all_collateral_may_leave_where_cash_covers_a_tenth_of_notional():
    twin = long_btc(20_000, **COLLATERAL | {"cash_micro": 1_584 * MICRO})  # 1,576.91 after the fee
    assert twin.step(ask_for(OP_WITHDRAW, 0, 10**10, BTC)) == [ACCEPTED]
    twin = long_btc(20_000, **COLLATERAL | {"cash_micro": 1_583 * MICRO})
    assert twin.step(ask_for(OP_WITHDRAW, 0, 10**10, BTC)) == [R_INSUFFICIENT_MARGIN]


# --- enrolment and leverage -----------------------------------------------------------------------


def test_portfolio_margin_takes_value_or_volume_and_not_too_much():
    twin = admitting()
    assert twin.step(ask_for(OP_ENROL, 0, MODE_PORTFOLIO)) == [R_NOT_ELIGIBLE]
    par = twin.v.par[0]
    twin.step(ask_for(OP_DEPOSIT, 0, int(par.eligible_value_micro)))
    assert twin.step(ask_for(OP_ENROL, 0, MODE_PORTFOLIO)) == [ACCEPTED]
    assert (twin.v.row[0].regime, twin.v.user[0].enrolled) == (REGIME_PORTFOLIO, 1)
    twin.step(ask_for(OP_DEPOSIT, 1, int(par.account_value_max_micro)))
    assert twin.step(ask_for(OP_ENROL, 1, MODE_PORTFOLIO)) == [R_NOT_ELIGIBLE]


def test_whoever_owes_cannot_leave_portfolio_margin():
    twin = admitting(**PORTFOLIO)
    assert twin.step(ask_for(OP_ENROL, 0, MODE_STANDARD)) == [ACCEPTED]
    assert twin.v.row[0].regime == REGIME_CROSS
    twin.v.debt[1, 0] = 5
    twin.exchange.desk.reserve.debts[1] = 5
    assert twin.step(ask_for(OP_ENROL, 1, MODE_STANDARD)) == [R_NOT_ELIGIBLE]


def test_an_account_whose_orders_cross_margin_would_not_carry_stays():
    twin = admitting(**PORTFOLIO)
    near = int(twin.v.price[0].mark_usd)
    # Forced orders pass without margin: 10 bitcoin at 40 times leverage need more than is there.
    assert twin.step(order(0, BTC_PERP, BUY, near - 10, 10**6, flags=FORCED)) == [RESTING]
    assert twin.step(ask_for(OP_ENROL, 0, MODE_STANDARD)) == [R_INSUFFICIENT_MARGIN]
    assert (twin.v.row[0].regime, twin.v.user[0].enrolled) == (REGIME_PORTFOLIO, 1)


@pytest.mark.parametrize("mode", [-1, 3])
def test_there_are_three_account_modes(mode):
    assert admitting().step(ask_for(OP_ENROL, 0, mode)) == [R_BAD_QUANTITY]


def test_nobody_enrols_while_being_resolved():
    twin = admitting()
    twin.v.user["breached"][0] = 1
    twin.exchange.users[0].breached = True
    assert twin.step(ask_for(OP_ENROL, 0, MODE_STANDARD)) == [R_IN_RESOLUTION]


@pytest.mark.parametrize(
    ("inst", "leverage", "code"),
    [
        (BTC_PERP, 40, ACCEPTED),
        (BTC_PERP, 41, R_BAD_LEVERAGE),
        (BTC_PERP, 0, R_BAD_LEVERAGE),
        (BTC_SPOT, 2, R_BAD_INSTRUMENT),
        (99, 2, R_BAD_INSTRUMENT),
    ],
)
def test_leverage_has_the_bounds_of_its_asset(inst, leverage, code):
    assert admitting().step(ask_for(OP_LEVERAGE, 0, leverage, inst)) == [code]


def test_lower_leverage_must_leave_open_orders_their_margin():
    twin = admitting()
    price = int(twin.v.price[0].mark_usd)
    twin.step(order(0, BTC_PERP, BUY, price - 10, 10_000))  # a tenth of a bitcoin
    assert twin.step(ask_for(OP_LEVERAGE, 0, 2, BTC_PERP)) == [R_INSUFFICIENT_MARGIN]
    assert twin.v.leverage[0, BTC_PERP] == 40
    assert twin.step(ask_for(OP_LEVERAGE, 0, 20, BTC_PERP)) == [ACCEPTED]
    assert twin.step(ask_for(OP_LEVERAGE, 0, 40, BTC_PERP)) == [ACCEPTED]


# --- the batch ------------------------------------------------------------------------------------


def test_a_batch_ends_before_the_fill_log_could_be_too_small():
    v = venue(2, capacity=Capacity(orders=8, messages=16, fills=4, events=16))
    makers = [order(0, BTC_PERP, SELL, 100 + i, 1) for i in range(3)]
    write_messages(v.merged, [*makers, order(1, BTC_PERP, BUY, 110, 3), makers[0], makers[0]])
    assert run_batch(v, 6) == 5  # 3 fills are logged and 1 order rests: one more might not fit
    assert v.ctr[C_FILLS] == 3
    assert v.ctr[C_REPLIES] == 5
    v.ctr[C_FILLS] = 0
    assert run_batch(v, 6) == 3


def test_in_a_step_a_fill_log_that_is_too_small_is_a_fault():
    v = venue(2, capacity=Capacity(orders=8, messages=16, fills=2, events=16))
    write_messages(v.merged, [order(0, BTC_PERP, SELL, 100 + i, 1) for i in range(3)])
    run_step(v, 3, 1000)
    assert v.ctr[C_FAULT] == FAULT_FILL_LOG


def test_replies_stand_in_the_order_of_execution_and_are_counted_by_code():
    twin = Twin(venue(2))
    twin.step(
        order(0, HYPE_SPOT, SELL, 100, 1, client_id=5),
        order(1, HYPE_SPOT, BUY, 100, 1, client_id=6),
        ask_for(OP_DEPOSIT, 1, 3, client_id=7),
    )
    assert twin.v.reply["client_id"][:3].tolist() == [5, 6, 7]
    assert twin.v.reply["code"][:3].tolist() == [RESTING, FILLED, ACCEPTED]
    counts = {code: int(n) for code, n in enumerate(twin.v.reply_count) if n}
    assert counts == dict(twin.exchange.reply_count)


def test_flows_add_up_to_what_every_row_has():
    twin = Twin(venue(3))
    twin.step(order(0, BTC_PERP, SELL, 100, 9), order(1, BTC_PERP, BUY, 100, 9))
    twin.step(order(0, BTC_SPOT, SELL, 100, 9), order(2, BTC_SPOT, BUY, 100, 9))
    v = twin.v
    sums = v.flow.sum(axis=2)
    assert sums[:, 0].tolist() == v.cash.tolist()
    assert sums[:, 2 : 1 + v.token.shape[1]].tolist() == v.token[:, 1:].tolist()
    assert sums[:, 1 + v.token.shape[1] :].tolist() == v.perp.tolist()
    assert imbalance(v, 0) == 0
