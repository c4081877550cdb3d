"""Bookings: one amount, two rows, a cause; and the memo of what a position was bought for."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stressbook.market.reference.ledger import cost_of_rest, fee_of
from stressbook.market.state.codes import (
    CAUSE_DELEVERAGING,
    CAUSE_DEPOSIT,
    CAUSE_TRADE,
    FAULT_OVERFLOW,
)
from stressbook.market.state.ledger import (
    book_perp_at,
    book_side,
    entry_cost_after,
    fee_micro,
    imbalance,
    move_cash,
    move_token,
    position_lots,
)
from stressbook.market.state.records import C_FAULT
from tests.exchange_twin import BTC_PERP, BTC_SPOT, venue

pytestmark = pytest.mark.boundscheck


def trade(v, buyer, seller, inst):
    """Book 3 lots at tick 100; return the cost."""
    cost = 3 * 100 * int(v.inst[inst].k)
    book_side(v, buyer, inst, 3, cost, 0, CAUSE_TRADE)
    book_side(v, seller, inst, -3, -cost, 0, CAUSE_TRADE)
    return cost


def test_cash_moves_between_two_rows_under_a_cause():
    v = venue(2)
    before = v.cash.copy()
    move_cash(v, 0, 1, 250, CAUSE_DEPOSIT)
    assert (v.cash - before).tolist()[:3] == [-250, 250, 0]
    assert v.flow[:2, 0, CAUSE_DEPOSIT].tolist() == [-250, 250]
    assert imbalance(v, 0) == before.sum()


def test_tokens_move_in_their_own_units():
    v = venue(2)
    before = v.token.copy()
    move_token(v, 1, 0, 3, 7, CAUSE_TRADE)
    assert (v.token - before)[:2, 3].tolist() == [7, -7]
    assert v.flow[:2, 1 + 3, CAUSE_TRADE].tolist() == [7, -7]


def test_a_perp_trade_books_lots_and_lots_x_ticks_x_k():
    v = venue(2)
    before = v.cash.copy()
    cost = trade(v, 0, 1, BTC_PERP)
    assert v.perp[:2, BTC_PERP].tolist() == [3, -3]
    assert (v.cash - before)[:2].tolist() == [-cost, cost]
    assert v.entry_cost[:2, BTC_PERP].tolist() == [cost, -cost]
    assert imbalance(v, 1 + v.token.shape[1] + BTC_PERP) == 0


def test_a_spot_trade_moves_tokens_against_cash():
    v = venue(2)
    tokens = v.token.copy()
    trade(v, 1, 0, BTC_SPOT)
    units = 3 * int(v.inst[BTC_SPOT].lot_units)
    assert (v.token - tokens)[:2, 1].tolist() == [-units, units]
    assert v.perp[:2, BTC_SPOT].tolist() == [0, 0]


def test_whole_lots_of_a_token_are_rounded_down():
    v = venue(1)
    units = int(v.inst[BTC_SPOT].lot_units)
    v.token[0, 1] = 5 * units - 1
    assert position_lots(v, 0, BTC_SPOT) == 4


@pytest.mark.parametrize(
    ("lots", "price_e8", "paid"),
    [
        (3, 5, 0),
        (1, 5 * 10**6, 1),
        (-1, 5 * 10**6, -1),
        (1, 5 * 10**6 - 1, 0),
        (-3, 5, 0),
        (7, 10**7, 7),
        (-7, 10**7, -7),
    ],
)
def test_a_handover_at_the_mark_is_rounded_once_for_both(lots, price_e8, paid):
    v = venue(2)
    before = v.cash.copy()
    assert book_perp_at(v, 0, 1, BTC_PERP, lots, price_e8, CAUSE_DELEVERAGING) == paid
    assert v.perp[:2, BTC_PERP].tolist() == [-lots, lots]
    assert (v.cash - before)[:2].tolist() == [paid, -paid]
    assert v.flow[:2, 0, CAUSE_DELEVERAGING].tolist() == [paid, -paid]


def test_a_balance_past_2_to_the_62_sets_the_fault_word_and_wraps_nothing():
    v = venue(2)
    v.cash[:2] = [0, 2**62 - 10]
    move_cash(v, 0, 1, 9, CAUSE_DEPOSIT)
    assert v.ctr[C_FAULT] == 0
    move_cash(v, 0, 1, 1, CAUSE_DEPOSIT)
    assert v.ctr[C_FAULT] == FAULT_OVERFLOW
    assert v.cash[1] == 2**62


def test_a_handover_too_large_for_an_int64_sets_the_fault_word_and_books_nothing():
    v = venue(2)
    before = v.cash.copy()
    assert book_perp_at(v, 0, 1, BTC_PERP, 2**60, 2**60, CAUSE_DELEVERAGING) == 0
    assert v.ctr[C_FAULT] == FAULT_OVERFLOW
    assert v.cash.tolist() == before.tolist()
    assert v.perp[:2, BTC_PERP].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("notional", "rate_e7", "fee"),
    [
        (1_000_010_000, 4_500, 450_004),  # 0.045 %, truncated
        (1_000_010_000, -300, -30_000),  # a rebate, truncated towards zero
        (9_999_999, 1, 0),
        (0, 4_500, 0),
        (2**60, 4_500, 2**60 * 4_500 // 10**7),
        (2**60, -4_500, -(2**60 * 4_500 // 10**7)),
    ],
)
def test_fees_are_truncated_at_one_micro(notional, rate_e7, fee):
    assert fee_micro(notional, rate_e7) == fee


@given(st.integers(0, 2**60), st.integers(-(10**7), 10**7))
def test_fees_of_any_size_equal_the_twin(notional, rate_e7):
    assert fee_micro(notional, rate_e7) == fee_of(notional, rate_e7)


positions = st.one_of(st.integers(-20, 20), st.integers(-(2**42), 2**42))
trades = positions.filter(bool)


@given(st.integers(-(2**61), 2**61), positions, trades, st.integers(0, 2**18))
def test_entry_costs_of_any_size_equal_the_twin(entry_cost, position, lots, price):
    cost = lots * price
    expected = cost_of_rest(entry_cost, position, lots, cost)
    assert entry_cost_after(entry_cost, position, lots, cost) == expected


@given(
    st.lists(
        st.tuples(st.integers(-9, 9).filter(bool), st.integers(1, 1000)), min_size=1, max_size=30
    )
)
def test_the_entry_price_is_the_average_of_what_opened_the_position(trades):
    position, memo, exact = 0, 0, Fraction(0)
    for lots, price in trades:
        memo = entry_cost_after(memo, position, lots, lots * price)
        closed = min(abs(lots), abs(position)) if position * lots < 0 else 0
        if position:
            exact -= exact * closed / abs(position)
        exact += (abs(lots) - closed) * price * (1 if lots > 0 else -1)
        position += lots
        assert abs(memo - exact) < len(trades)
        assert position != 0 or memo == 0
