"""What a step's rows say of the backstop, on both engines."""

import numpy as np
import pytest

from stressbook.experiments.recorder import (
    VENUE_ROW,
    backstop_lows_usd,
    make_series,
    record_step,
)
from tests.small_venue import HYPE_PERP, long_against_house


def recorded(engine, *prices, cash_usd=15_000, **more):
    """A long of 200,000 lots against the house, recorded at each mark update."""
    s = long_against_house(cash_usd, engine=engine, **more)
    series = make_series(len(prices), s.v)
    for price in prices:
        s.update(HYPE=price)
        record_step(s.v, series)
    return s, series.asset[:, int(s.v.inst[HYPE_PERP].asset)], series.venue


def test_the_book_of_the_backstop_is_closed_apart_from_that_of_accounts(engine):
    _, asset, _ = recorded(engine, 95.0, 91.0, backstop_usd=1_000.0)
    assert asset["taken_over_lots"].tolist() == [200_000.0, 0.0]
    assert asset["backstop_shed_lots"].tolist() == [0.0, 200_000.0]
    assert asset["deleveraged_lots"].tolist() == [0.0, 0.0]


def test_an_account_below_zero_is_no_shedding_of_the_backstop(engine):
    _, asset, venue = recorded(engine, 90.0)
    assert asset["deleveraged_lots"].tolist() == [200_000.0]
    assert asset["backstop_shed_lots"].tolist() == [0.0]
    assert backstop_lows_usd(venue, first=0) == pytest.approx([12.3e6])


def test_equity_below_zero_within_a_step_is_seen_though_the_step_ends_above(engine):
    _, _, venue = recorded(engine, 95.0, 91.0, 91.0, backstop_usd=1_000.0)
    assert venue["backstop_equity_usd"].min() >= 0.0
    lows = backstop_lows_usd(venue, first=0)
    assert lows == pytest.approx([6_000.0, -2_000.0, 6_000.0])
    assert backstop_lows_usd(venue, first=2) == pytest.approx([6_000.0])


def test_what_was_below_zero_once_does_not_count_again():
    venue = np.zeros(4, VENUE_ROW)
    venue["backstop_equity_usd"] = 5.0, 1.0, -1.0, 3.0
    venue["backstop_deepest_usd"] = 0.0, -2.0, -2.0, -4.0
    assert backstop_lows_usd(venue, first=0).tolist() == [5.0, -2.0, -1.0, -4.0]
    assert backstop_lows_usd(venue, first=3).tolist() == [-4.0]
