"""Slices of a loan by hand-worked numbers, on both engines."""

import pytest

from stressbook.market.lending.slices import slice_price_usd
from stressbook.market.state.codes import (
    EV_BREACH,
    EV_BREACH_ENDED,
    EV_SLICE,
)
from tests.small_venue import (
    BTC,
    HOUSE_CASH,
    HYPE,
    LONG,
    SmallVenue,
    borrower,
    trader,
)


def test_a_fifth_of_the_loan_goes_with_collateral_at_a_discount(engine):
    # .95 is passed at 76.555: 600,000 / (.825 x 750,000) = .9697.
    s = borrower(engine=engine)
    s.update(HYPE=77.0)
    assert s.kinds() == []
    s.update(HYPE=75.0)
    taken = s.event(EV_SLICE)
    price = 75.0 * (1 - 0.35 / 3 * 120_000 / 3_000_000)
    assert price == pytest.approx(74.65)
    assert taken["amount_micro"] == 120_000_000_000
    assert taken["lots"] == int(120_000 / 74.65 * 10**8)
    assert s.v.debt[:3, 0].tolist() == [480_000_000_000, 0, 120_000_000_000]
    assert s.v.token[LONG, HYPE] + s.v.token[s.backstop, HYPE] == 10_000 * 10**8
    assert s.v.risk[s.backstop].equity_usd == pytest.approx(12_300_000 + 562.63, abs=0.01)
    s.update()
    # 480,000 / (.825 x 629,437) = .9244
    assert s.kinds(LONG) == [EV_BREACH_ENDED]


def test_slices_are_a_share_of_the_first_debt_every_three_seconds(engine):
    # At 68 the debt is below .8833 x 680,000 = 600,667.
    s = borrower(engine=engine)
    s.update(HYPE=68.0)
    amounts = [int(s.event(EV_SLICE)["amount_micro"])]
    while LONG not in s.events["user"] or EV_BREACH_ENDED not in s.kinds(LONG):
        s.step()
        amounts += [int(e["amount_micro"]) for e in s.events if e["kind"] == EV_SLICE]
        assert s.t_ms < 30_000
    assert amounts == [120_000_000_000] * len(amounts)
    assert s.t_ms == 3_000 * (len(amounts) + 1)


def test_of_the_remaining_loan_slices_shrink(engine):
    s = borrower(engine=engine, liquidation__slice_of_remaining=True)
    s.update(HYPE=68.0)
    s.update()
    assert s.event(EV_SLICE)["amount_micro"] == 96_000_000_000


def test_at_the_full_discount_any_slice_costs_a_third_of_what_is_not_lendable(engine):
    s = borrower(engine=engine, liquidation__slice_full_discount=True)
    s.update(HYPE=75.0)
    assert s.event(EV_SLICE)["lots"] == int(120_000 / (75 * (1 - 0.35 / 3)) * 10**8)
    assert slice_price_usd(75.0, 0.65, 1.0, 0.0) == pytest.approx(66.25)


def test_under_the_switch_slices_wait_for_the_partial_threshold(engine):
    s = borrower(engine=engine, liquidation__slice_at_partial_threshold=True)
    s.update(HYPE=75.0)  # .825 x 750,000 = 618,750
    assert s.kinds(LONG) == [EV_BREACH]
    s.update(HYPE=72.0)  # 594,000
    assert s.kinds(LONG) == [EV_SLICE]


def test_a_slice_is_split_by_value(engine):
    # 2 BTC and 2,000 HYPE: 200,000 and 200,000; credit .75 and .825. At .9 the ratio is .9614.
    s = SmallVenue(
        trader(1, 0, tokens={BTC: 2, HYPE: 2_000}, debt_usd=200_000 * 1.3628),
        trader(2, HOUSE_CASH, supply_usd=1_000_000),
        engine=engine,
    )
    s.update(BTC=90_000.0, HYPE=90.0)
    of_btc, of_hype = (e for e in s.events if e["kind"] == EV_SLICE)
    assert (of_btc["inst"], of_hype["inst"]) == (BTC, HYPE)
    assert of_btc["amount_micro"] == of_hype["amount_micro"] == 27_256_000_000
    price = 90_000 * (1 - 0.5 / 3 * 27_256 / 300_000)
    assert of_btc["lots"] == int(27_256 / price * 10**10)


def test_never_more_than_there_is(engine):
    """At full discounts a debt of .855 of the value exceeds the BTC's share of it, at .8333."""
    s = SmallVenue(
        trader(1, 0, tokens={BTC: 2, HYPE: 2_000}, debt_usd=342_000),
        trader(2, HOUSE_CASH, supply_usd=1_000_000),
        engine=engine,
        liquidation__slice_frac=1.0,
        liquidation__slice_full_discount=True,
    )
    s.update()
    of_btc, of_hype = (e for e in s.events if e["kind"] == EV_SLICE)
    assert of_btc["lots"] == 2 * 10**10
    assert of_btc["amount_micro"] == pytest.approx(200_000 * (1 - 0.5 / 3) * 1e6, abs=20)
    assert of_hype["amount_micro"] == 171_000_000_000
    left = 342_000_000_000 - of_btc["amount_micro"] - of_hype["amount_micro"]
    assert s.v.debt[LONG, 0] == left > 0


def test_cash_below_zero_that_no_loan_covers_is_sliced_alike(engine):
    """With an empty pool nothing is drawn; the backstop pays for what it takes."""
    s = SmallVenue(trader(1, -600_000, tokens={HYPE: 10_000}), trader(2, HOUSE_CASH), engine=engine)
    s.update(HYPE=75.0)
    assert s.event(EV_SLICE)["amount_micro"] == 120_000_000_000
    assert (s.cash_usd(LONG), s.cash_usd(s.backstop)) == (-480_000.0, 12_180_000.0)


def test_idle_cash_pays_first(engine):
    # 650,000 owed, 50,000 of it idle: the first slice is a fifth of 600,000.
    s = SmallVenue(
        trader(1, 50_000, tokens={HYPE: 10_000}, debt_usd=650_000),
        trader(2, HOUSE_CASH, supply_usd=1_000_000),
        engine=engine,
    )
    s.update(HYPE=75.0)
    assert s.event(EV_SLICE)["amount_micro"] == 120_000_000_000
    assert (s.v.cash[LONG], s.v.debt[LONG, 0]) == (0, 480_000_000_000)
