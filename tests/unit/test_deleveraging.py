"""Auto-deleveraging by hand-worked numbers, on both engines."""

import pytest

from stressbook.market.resolution.deleveraging_scores import gain_times_leverage, price_gain
from stressbook.market.state.codes import (
    EV_BREACH,
    EV_BREACH_ENDED,
    EV_DELEVERAGED,
    EV_FORCED_ORDER,
)
from tests.small_venue import (
    BTC_PERP,
    HOUSE_CASH,
    HYPE_PERP,
    LONG,
    SmallVenue,
    long_against_house,
    trader,
)


def test_below_zero_is_closed_at_the_previous_mark_against_the_highest_scores(engine):
    # Scores at 100: (120 / 100) x (100k / 50k) = 2.4; (100 / 100) x (100k / 100k) = 1.
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 100.0)}),
        trader(2, 90_000, {HYPE_PERP: (-100_000, 100.0)}),
        trader(3, 20_000, {HYPE_PERP: (-100_000, 120.0)}),
        trader(4, HOUSE_CASH, {HYPE_PERP: (-50_000, 90.0)}),
        trader(5, HOUSE_CASH, {HYPE_PERP: (50_000, 90.0)}),
        engine=engine,
    )
    s.update(HYPE=95.0)
    first, second = (e for e in s.events if e["kind"] == EV_DELEVERAGED)
    assert (first["counterparty"], first["lots"], first["price_e8"]) == (2, 100_000, 100 * 10**8)
    assert (second["counterparty"], second["lots"]) == (1, 100_000)
    # Each winner gives up 1,000 HYPE x 5 USD against the present mark.
    assert first["amount_micro"] == second["amount_micro"] == 5_000_000_000
    assert s.v.perp[:5, HYPE_PERP].tolist() == [0, 0, 0, -50_000, 50_000]
    assert s.cash_usd(LONG) == 9_000.0  # as at the previous mark
    assert s.cash_usd(2) == 20_000 + 20_000.0
    assert s.kinds(LONG) == [EV_BREACH, EV_DELEVERAGED, EV_DELEVERAGED, EV_BREACH_ENDED]


def test_a_score_may_close_a_part_of_a_position(engine):
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 100.0)}),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-300_000, 100.0)}),
        trader(3, HOUSE_CASH, {HYPE_PERP: (100_000, 100.0)}),
        engine=engine,
    )
    s.update(HYPE=95.0)
    assert s.event(EV_DELEVERAGED)["lots"] == 200_000
    assert s.v.perp[:3, HYPE_PERP].tolist() == [0, -100_000, 100_000]


def test_the_deepest_account_is_closed_first_and_after_all_other_measures(engine):
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 100.0)}),  # -1,000 at 95
        trader(2, 8_000, {HYPE_PERP: (200_000, 100.0)}),  # -2,000
        trader(3, 19_000, {HYPE_PERP: (200_000, 100.0)}),  # to the book
        trader(4, HOUSE_CASH, {HYPE_PERP: (-600_000, 100.0)}),
        engine=engine,
    )
    s.update(HYPE=95.0)
    done = [(int(e["kind"]), int(e["user"])) for e in s.events if e["kind"] not in (EV_BREACH,)]
    assert done[:3] == [(EV_FORCED_ORDER, 2), (EV_DELEVERAGED, 1), (EV_DELEVERAGED, 0)]


def test_two_accounts_below_zero_close_each_other_where_nobody_else_is_left(engine):
    """Long HYPE and short BTC against the reverse, and both lost on SOL: scores are below zero."""
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 100.0)}),
        trader(2, 8_000, {HYPE_PERP: (-200_000, 100.0), BTC_PERP: (-500_000, 100_000.0)}),
        trader(3, HOUSE_CASH, {BTC_PERP: (500_000, 100_000.0)}),
        engine=engine,
    )
    s.update(HYPE=95.0, BTC=110_000.0)
    assert s.v.perp[:3, HYPE_PERP].tolist() == [0, 0, 0]
    assert s.v.perp[:3, BTC_PERP].tolist() == [0, 0, 0]


def test_a_winner_with_equity_comes_before_one_below_zero():
    gain = price_gain(False, 100.0, 90.0)
    assert gain_times_leverage(gain, 90.0, 1.0) > 0.0
    assert gain_times_leverage(gain, 90.0, -1.0) < 0.0
    assert gain_times_leverage(gain, 90.0, 0.0) == 0.0
    assert price_gain(False, 0.0, 90.0) == 0.0


def test_a_losing_short_scores_below_a_winning_one():
    won = gain_times_leverage(price_gain(False, 120.0, 100.0), 1_000.0, 500.0)
    lost = gain_times_leverage(price_gain(False, 90.0, 100.0), 1_000.0, 500.0)
    assert (won, lost) == (pytest.approx(2.4), pytest.approx(1.8))


def test_without_deleveraging_the_book_is_tried(engine):
    s = long_against_house(9_000, engine=engine, liquidation__adl_on=False, backstop_usd=0.0)
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_FORCED_ORDER]
