"""Oracle and mark on books that are thick, thin, one-sided and empty."""

import math

import numpy as np
import pytest

from stressbook.market.numbers.units import MICRO
from stressbook.market.opening.setup import AccountOpening, make_state
from stressbook.market.prices.oracle import update_prices
from stressbook.market.rules.spec import load_preset
from stressbook.market.state.codes import (
    BUY,
    FAULT_LADDER,
    ORACLE_OUTSIDE,
    ORACLE_VENUE_SPOT,
    ORACLE_WEIGHTED,
    SELL,
)
from stressbook.market.state.records import C_FAULT, EMPTY_ASK, EMPTY_BID

ASSET = 3  # HYPE: a perp and a spot book
OUTSIDE_USD = 84.0


@pytest.fixture
def v():
    state = make_state(
        load_preset("hyperliquid"), [AccountOpening(key=1 << 20, cash_micro=MICRO)], seed=1
    )
    for asset in range(state.asset.shape[0]):
        usd = float(state.price[asset].oracle_usd)
        state.outside[asset].spot_usd = state.outside[asset].perp_usd = usd
    state.outside[ASSET].spot_usd = state.outside[ASSET].perp_usd = OUTSIDE_USD
    return state


def perp(v):
    return int(v.asset[ASSET].perp_inst)


def spot(v):
    return int(v.asset[ASSET].spot_inst)


def quote(v, inst, bid_usd, ask_usd, last_usd):
    """Write what prices read of a book; None for an empty side."""
    tick_usd = v.inst[inst].tick_usd
    v.best[inst, BUY] = EMPTY_BID if bid_usd is None else round(bid_usd / tick_usd)
    v.best[inst, SELL] = EMPTY_ASK if ask_usd is None else round(ask_usd / tick_usd)
    v.book[inst].last_tick = round(last_usd / tick_usd)


def oracle_usd(v):
    update_prices(v)
    return float(v.price[ASSET].oracle_usd)


def mark_usd(v):
    update_prices(v)
    return float(v.price[ASSET].mark_usd)


# --- oracle ---------------------------------------------------------------------------------------


def test_an_outside_oracle_ignores_the_venue(v):
    v.asset[ASSET].oracle_mode = ORACLE_OUTSIDE
    quote(v, spot(v), 90.0, 90.1, 90.0)
    v.outside[ASSET].spot_usd = 84.123456789
    assert oracle_usd(v) == 84.12345679
    assert v.price[ASSET].oracle_e8 == 8_412_345_679


@pytest.mark.parametrize(("last", "expected"), [(90.05, 90.05), (80.0, 90.0), (95.0, 90.1)])
def test_a_venue_oracle_is_the_median_of_bid_ask_and_last(v, last, expected):
    v.asset[ASSET].oracle_mode = ORACLE_VENUE_SPOT
    quote(v, spot(v), 90.0, 90.1, last)
    assert oracle_usd(v) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("thin", [(None, 50.0), (50.0, None), (None, None), (50.0, 60.0)])
def test_a_thin_spot_book_leaves_the_last_acceptable_price(v, thin):
    v.asset[ASSET].oracle_mode = ORACLE_VENUE_SPOT
    quote(v, spot(v), 90.0, 90.1, 90.05)
    assert oracle_usd(v) == pytest.approx(90.05)
    quote(v, spot(v), *thin, 55.0)
    assert oracle_usd(v) == pytest.approx(90.05)


def test_before_any_acceptable_price_of_the_venue_the_outside_counts(v):
    v.asset[ASSET].oracle_mode = ORACLE_VENUE_SPOT
    assert oracle_usd(v) == OUTSIDE_USD
    assert v.price[ASSET].borrow_oracle_usd == OUTSIDE_USD


def test_a_weighted_oracle_and_its_dial(v):
    v.asset[ASSET].oracle_mode = ORACLE_WEIGHTED
    v.asset[ASSET].oracle_venue_weight = 0.25
    quote(v, spot(v), 88.0, 88.0, 88.0)
    assert oracle_usd(v) == pytest.approx(85.0)
    v.dial[ASSET].oracle_weight = 0.5
    assert oracle_usd(v) == pytest.approx(87.0)
    v.dial[ASSET].oracle_weight = 5.0
    assert oracle_usd(v) == pytest.approx(88.0)


def test_a_lagging_oracle_shows_what_was_composed_before(v):
    v.asset[ASSET].oracle_mode = ORACLE_OUTSIDE
    seen = []
    for step in range(8):
        v.outside[ASSET].spot_usd = 100.0 + step
        v.dial[ASSET].oracle_lag_s = 0.0 if step < 4 else 9.5
        seen.append(oracle_usd(v))
    assert seen == [100.0, 101.0, 102.0, 103.0, 101.0, 102.0, 103.0, 104.0]


def test_a_lag_beyond_the_start_shows_the_opening(v):
    opening = float(v.price[ASSET].oracle_usd)
    v.asset[ASSET].oracle_mode = ORACLE_OUTSIDE
    v.dial[ASSET].oracle_lag_s = 1e6
    assert oracle_usd(v) == opening


def test_a_wick_multiplies_the_oracle(v):
    v.asset[ASSET].oracle_mode = ORACLE_OUTSIDE
    v.dial[ASSET].oracle_shift = -0.5
    assert oracle_usd(v) == 42.0


# --- mark -----------------------------------------------------------------------------------------


@pytest.mark.boundscheck
def test_the_mark_is_the_median_of_three(v):
    quote(v, perp(v), 84.99, 85.01, 85.0)
    v.outside[ASSET].perp_usd = 84.5
    # oracle 84 + (85 - 84) = 85, quote 85, outside 84.5
    assert mark_usd(v) == pytest.approx(85.0)
    quote(v, perp(v), 80.99, 81.01, 81.0)
    # the average of mid - oracle is now between 1 and -3: around -1
    assert 81.0 < mark_usd(v) < 84.5


def test_the_average_of_the_premium_decays_with_150_s(v):
    v.outside[ASSET].perp_usd = 200.0  # the highest: the mark is the higher of the other two
    quote(v, perp(v), 84.99, 85.01, 85.0)
    update_prices(v)
    quote(v, perp(v), 79.99, 80.01, 80.0)
    weight = math.exp(-3.0 / 150.0)
    average = (1.0 * weight - 4.0) / (weight + 1.0)
    assert mark_usd(v) == pytest.approx(84.0 + average, abs=1e-8)


@pytest.mark.parametrize("outside", [84.2, 84.8, 86.0])
def test_where_two_sources_exist_a_30_s_average_joins(v, outside):
    quote(v, perp(v), 84.49, 84.51, 84.5)
    update_prices(v)  # averages: oracle + .5, last 84.5
    quote(v, perp(v), None, 90.0, 90.0)
    v.outside[ASSET].perp_usd = outside
    v.outside[ASSET].spot_usd = 84.5  # oracle + average = 85
    v.asset[ASSET].oracle_mode = ORACLE_OUTSIDE
    assert mark_usd(v) == pytest.approx(sorted([85.0, outside, 84.5])[1])


def test_two_sources_without_an_average_are_halved(v):
    quote(v, perp(v), 80.0, 90.0, 85.0)  # too wide for a mid: no premium, but a quote
    v.price[ASSET].last_ema_den = 0.0
    v.outside[ASSET].perp_usd = 84.0
    # quote 85 and outside 84; the 30 s average starts with the quote itself
    assert mark_usd(v) == pytest.approx(85.0)
    quote(v, perp(v), None, None, 85.0)
    v.price[ASSET].ema_num, v.price[ASSET].ema_den = 3.0, 3.0
    v.price[ASSET].last_ema_num = v.price[ASSET].last_ema_den = 0.0
    assert mark_usd(v) == pytest.approx((85.0 + 84.0) / 2.0)


def test_one_source_is_the_mark_and_none_leaves_it(v):
    v.outside[ASSET].perp_usd = 83.5
    assert mark_usd(v) == 83.5
    v.outside[ASSET].perp_usd = 0.0
    update_prices(v)
    assert v.price[ASSET].mark_usd == 83.5


def test_a_premium_of_long_ago_is_forgotten(v):
    quote(v, perp(v), 85.99, 86.01, 86.0)
    update_prices(v)
    quote(v, perp(v), None, None, 86.0)
    for _ in range(1_200):
        update_prices(v)
    assert v.price[ASSET].mark_usd == OUTSIDE_USD


def test_a_wide_book_counts_where_width_does_not_matter(v):
    v.asset[ASSET].oracle_mode = ORACLE_VENUE_SPOT
    v.par[0].sample_max_spread_on = 0
    quote(v, spot(v), 50.0, 60.0, 55.0)
    assert oracle_usd(v) == pytest.approx(55.0)


def test_the_mark_before_is_kept(v):
    update_prices(v)
    before = int(v.price[ASSET].mark_e8)
    v.outside[ASSET].perp_usd = 83.0
    update_prices(v)
    assert v.price[ASSET].previous_mark_e8 == before != v.price[ASSET].mark_e8


def test_steps_longer_than_the_period_weigh_as_much_as_they_last(v):
    v.par[0].dt_ms = 60_000
    v.outside[ASSET].perp_usd = 200.0
    quote(v, perp(v), 84.99, 85.01, 85.0)
    update_prices(v)
    quote(v, perp(v), 79.99, 80.01, 80.0)
    weight = math.exp(-60.0 / 150.0)
    assert mark_usd(v) == pytest.approx(84.0 + (weight - 4.0) / (weight + 1.0), abs=1e-8)


# --- borrow oracle, ladder ------------------------------------------------------------------------


def test_the_borrow_oracle_is_the_median_of_spot_mark_and_oracle(v):
    v.asset[ASSET].oracle_mode = ORACLE_OUTSIDE
    quote(v, spot(v), 82.99, 83.01, 83.0)
    v.outside[ASSET].perp_usd = 83.5
    update_prices(v)
    assert v.price[ASSET].borrow_oracle_usd == 83.5
    assert v.price[ASSET].borrow_oracle_e8 == 8_350_000_000
    v.outside[ASSET].perp_usd = 70.0
    update_prices(v)
    assert v.price[ASSET].borrow_oracle_usd == pytest.approx(83.0)


def test_without_a_spot_book_the_borrow_oracle_is_the_oracle(v):
    sol = 2
    assert v.asset[sol].spot_inst == -1
    v.outside[sol].perp_usd *= 1.5
    update_prices(v)
    assert v.price[sol].borrow_oracle_e8 == v.price[sol].oracle_e8 != v.price[sol].mark_e8


@pytest.mark.parametrize("field", ["spot_usd", "perp_usd"])
@pytest.mark.parametrize("factor", [4.0, 1e-6, -1.0])
def test_a_price_off_its_ladder_sets_the_fault_word(v, field, factor):
    update_prices(v)
    assert v.ctr[C_FAULT] == 0
    v.outside[ASSET][field] *= factor
    update_prices(v)
    assert v.ctr[C_FAULT] == FAULT_LADDER


def test_assets_are_priced_apart(v):
    update_prices(v)
    before = v.price.copy()
    v.outside[0].spot_usd *= 1.01
    update_prices(v)
    changed = v.price["oracle_e8"] != before["oracle_e8"]
    assert changed.tolist() == [True, False, False, False]
    assert np.isfinite(v.price["mark_usd"]).all()
