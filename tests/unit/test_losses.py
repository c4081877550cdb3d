"""Each named loss by hand-worked numbers, on both engines."""

import pytest

from stressbook.experiments.losses import LOSSES
from stressbook.experiments.outcomes import OUTCOMES, meaning_of, unit_of
from stressbook.market.state.codes import CAUSE_TWAP_SALE
from tests.short_runs import short_run
from tests.small_venue import (
    BTC_PERP,
    ETH,
    HOUSE,
    HOUSE_CASH,
    HYPE,
    HYPE_PERP,
    SmallVenue,
    borrower,
    long_against_house,
    trader,
)
from tests.watched_venue import Watch

RECORDED_ONLY = {"liquidation__resolution_on": False}


def losses_after(venue, *prices):
    watch = Watch(venue)
    watch.update(*prices)
    return watch.losses()


# --- equity below zero ----------------------------------------------------------------------------


def test_an_account_that_falls_below_zero_in_waves_counts_once_at_its_deepest(engine):
    s = long_against_house(20_000, engine=engine, **RECORDED_ONLY)
    # 2,000 HYPE: 10,000 below zero, 20,000 above, 4,000 below.
    found = losses_after(s, 85.0, 100.0, 88.0)
    assert found["negative_equity_usd"] == pytest.approx(10_000.0)
    assert found["uncovered_usd"] == pytest.approx(10_000.0)
    assert found["uncovered_pm_usd"] == 0.0


def test_accounts_are_not_netted(engine):
    s = SmallVenue(
        trader(1, 20_000, {HYPE_PERP: (200_000, 100.0)}),
        trader(2, 5_000, {HYPE_PERP: (-100_000, 100.0)}),
        trader(3, HOUSE_CASH, {HYPE_PERP: (-100_000, 100.0)}),
        engine=engine,
        **RECORDED_ONLY,
    )
    assert losses_after(s, 85.0, 110.0)["negative_equity_usd"] == pytest.approx(10_000.0 + 5_000.0)


def test_what_was_taken_over_counts_with_the_backstop_only(engine):
    watch = Watch(borrower(hype=10_000, debt_usd=600_000, engine=engine, backstop_usd=100_000.0))
    watch.update(55.0)  # 50,000 below zero, taken over; the backstop's capital holds it
    found = watch.losses()
    assert found["negative_equity_usd"] == pytest.approx(50_000.0)
    assert found["uncovered_usd"] == found["uncovered_pm_usd"] == 0.0
    watch.update(40.0, 60.0, 45.0)  # its equity: -100,000, 100,000, -50,000
    found = watch.losses()
    assert found["negative_equity_usd"] == pytest.approx(50_000.0)
    assert found["uncovered_usd"] == found["uncovered_pm_usd"] == pytest.approx(100_000.0)


def test_of_two_waves_the_part_that_was_taken_over_counts_with_the_backstop(engine):
    """Recorded only, 70,000 below zero; then, resolved, taken over at 50,000 below."""
    s = borrower(hype=10_000, debt_usd=600_000, engine=engine, backstop_usd=0.0, **RECORDED_ONLY)
    watch = Watch(s)
    watch.update(53.0, 100.0)
    s.v.par[0].resolution_on = 1
    watch.update(55.0)
    found = watch.losses()
    assert found["negative_equity_usd"] == pytest.approx(70_000.0)
    assert found["uncovered_usd"] == pytest.approx(20_000.0 + 50_000.0)


def test_losses_of_perps_that_the_backstop_took_are_none_of_portfolio_margin(engine):
    s = long_against_house(15_000, engine=engine, backstop_usd=1_000.0)
    found = losses_after(s, 95.0, 91.0)  # takes 200,000 lots; 2,000 below zero; deleveraged
    assert found["negative_equity_usd"] == 0.0
    assert found["uncovered_usd"] == pytest.approx(2_000.0)
    assert found["uncovered_pm_usd"] == 0.0


def test_a_deficit_that_is_booked_between_two_mark_updates_was_not_covered(engine):
    watch = Watch(long_against_house(19_000, 100_000, engine=engine))
    watch.venue.bid(HOUSE, HYPE_PERP, 80.0, 100_000)
    watch.venue.step()
    watch.note()
    watch.update(85.2)  # sold at 80: 1,000 and a fee of 36 below zero
    found = watch.losses()
    assert found["negative_equity_usd"] == 0.0
    assert found["uncovered_usd"] == pytest.approx(1_036.0)


def test_a_deficit_after_deleveraging_is_part_of_what_was_below_zero_before(engine):
    s = long_against_house(9_000, entry_usd=105.0, engine=engine)
    found = losses_after(s, 95.0)  # 11,000 below zero; closed at 100, 1,000 are booked
    assert found["uncovered_usd"] == found["negative_equity_usd"] == pytest.approx(11_000.0)


# --- what others bear -----------------------------------------------------------------------------


def test_the_gap_at_deleveraging_is_what_the_winner_lost_against_the_mark(engine):
    s = long_against_house(9_000, entry_usd=105.0, engine=engine)
    assert losses_after(s, 95.0)["gap_at_adl_usd"] == pytest.approx(2_000 * 5.0)


def test_for_longs_that_are_deleveraged_it_is_mark_less_price(engine):
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (-200_000, 95.0)}),
        trader(2, HOUSE_CASH, {HYPE_PERP: (200_000, 100.0)}),
        engine=engine,
    )
    assert losses_after(s, 104.0)["gap_at_adl_usd"] == pytest.approx(2_000 * 4.0)


def test_a_winner_who_gains_by_being_deleveraged_takes_nothing_off_it(engine):
    """The short of 2,000 HYPE is closed at the previous mark of 100, the mark has risen to 101."""
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 110.0)}),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-200_000, 100.0)}),
        engine=engine,
    )
    watch = Watch(s)
    watch.update(101.0)
    found = watch.losses()
    assert found["negative_equity_usd"] == pytest.approx(9_000.0)
    assert found["gap_at_adl_usd"] == 0.0


@pytest.mark.parametrize("socialised", [True, False])
def test_what_accounts_with_positions_paid_is_socialised(engine, socialised):
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 105.0)}),
        trader(2, 1_000_000, {HYPE_PERP: (-200_000, 100.0)}),
        trader(3, 3_000_000, {BTC_PERP: (10, 100_000.0)}),
        trader(4, 1_000_000, {BTC_PERP: (-10, 100_000.0)}),
        engine=engine,
        liquidation__socialise="positions" if socialised else "none",
    )
    assert losses_after(s, 95.0)["socialised_usd"] == (1_000.0 if socialised else 0.0)


# --- who paid -------------------------------------------------------------------------------------


def test_what_a_backstop_loses_with_perps_is_used_for_no_gap_and_yet_gone(engine):
    watch = Watch(long_against_house(15_000, engine=engine, backstop_usd=1_000.0))
    watch.update(95.0)  # takes over 2,000 HYPE with 5,000 USD of margin: its equity is 6,000
    found = watch.losses()
    assert found["backstop_result_usd"] == pytest.approx(5_000.0)
    assert found["backstop_loss_usd"] == found["borne_usd"] == 0.0
    watch.update(92.2, n=2)  # its equity is 400
    found = watch.losses()
    assert found["backstop_used_for_gaps_usd"] == 0.0
    assert found["backstop_low_usd"] == pytest.approx(400.0)
    assert found["backstop_result_usd"] == pytest.approx(-600.0)
    assert found["backstop_loss_usd"] == found["borne_usd"] == pytest.approx(600.0)


def test_a_backstop_may_break_and_end_with_a_gain_at_the_cost_of_winners(engine):
    watch = Watch(long_against_house(15_000, engine=engine, backstop_usd=1_000.0))
    watch.update(95.0, 91.0)  # 2,000 below zero: closed at the previous mark of 95
    found = watch.losses()
    assert found["backstop_low_usd"] == pytest.approx(-2_000.0)
    assert found["backstop_result_usd"] == pytest.approx(5_000.0)
    assert found["gap_at_adl_usd"] == found["borne_usd"] == pytest.approx(2_000 * 4.0)


def test_the_treasury_is_one_of_those_who_paid(engine):
    s = long_against_house(9_000, entry_usd=105.0, engine=engine)
    found = losses_after(s, 95.0)  # closed at 100 against a mark of 95; 1,000 are booked
    assert found["treasury_paid_usd"] == pytest.approx(1_000.0)
    assert found["borne_usd"] == pytest.approx(1_000.0 + 10_000.0)


def test_what_the_backstop_owes_beyond_its_capital_is_the_loss_of_others(engine):
    s = borrower(hype=10_000, debt_usd=600_000, engine=engine, backstop_usd=20_000.0)
    found = losses_after(s, 55.0)  # 550,000 and 20,000 for 600,000; less by what sales cost
    assert found["backstop_loss_usd"] == pytest.approx(20_000.0)
    assert found["backstop_result_usd"] == pytest.approx(-50_000.0)
    paid = ("backstop_loss_usd", "retained_used_usd", "reserve_shortfall_usd")
    assert found["borne_usd"] == pytest.approx(sum(found[name] for name in paid))
    assert found["reserve_shortfall_usd"] > 30_000.0


# --- the reserve ----------------------------------------------------------------------------------


def with_retained(s, usd):
    s.v.reserve[0].retained, s.v.reserve[0].claim = usd * 10**6, -usd * 10**6
    s.engine.reload()
    return s


def reserve_of(found):
    """Shortfall, retained used, backstop used, gross gaps."""
    names = (
        "reserve_shortfall_usd",
        "retained_used_usd",
        "backstop_used_for_gaps_usd",
        "gross_gaps_usd",
    )
    return pytest.approx([found[name] for name in names])


def test_tokens_of_a_debtor_in_breach_are_worth_less_what_their_sale_costs(engine):
    s = borrower(hype=10_000, debt_usd=600_000, engine=engine, **RECORDED_ONLY)
    watch = Watch(with_retained(s, 20_000))
    watch.update(55.0)
    # Without a bid at 10 % less: 495,000 for 600,000; retained interest bears 20,000.
    found = watch.losses()
    assert reserve_of(found) == [85_000.0, 20_000.0, 0.0, 105_000.0]
    assert found["shortfall_valued_frac"] == 1.0
    s.v.user[0].breached = 0
    assert reserve_of(watch.losses()) == [30_000.0, 20_000.0, 0.0, 50_000.0]


def test_behind_a_debt_stand_lent_cash_and_tokens_that_can_be_taken(engine):
    """Without a loan-to-value ETH is none of them: it stays when the debt is written off."""
    s = SmallVenue(
        trader(1, 0, tokens={HYPE: 10_000, ETH: 100}, debt_usd=600_000, supply_usd=30_000),
        trader(2, HOUSE_CASH, supply_usd=1_000_000),
        engine=engine,
        **RECORDED_ONLY,
    )
    assert losses_after(s, 55.0)["gross_gaps_usd"] == pytest.approx(105_000.0 - 30_000.0)


def test_a_gap_is_at_most_the_debt(engine):
    """An account below zero by its perps owes the reserve no more than it borrowed."""
    s = SmallVenue(
        trader(1, 0, {HYPE_PERP: (1_000_000, 100.0)}, tokens={HYPE: 1_000}, debt_usd=50_000),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-1_000_000, 100.0)}, supply_usd=50_000),
        engine=engine,
        **RECORDED_ONLY,
    )
    # 200,000 lost by perps; capacity lets the debt rise no further.
    found = losses_after(s, 80.0)
    assert found["gross_gaps_usd"] == pytest.approx(50_000.0)
    assert found["negative_equity_usd"] == pytest.approx(170_000.0)


def test_a_wick_counts_through_sales_only(engine):
    s = borrower(hype=10_000, debt_usd=600_000, engine=engine, **RECORDED_ONLY)
    watch = Watch(s)
    watch.update(100.0, n=3)
    watch.minute()
    watch.update(50.0, n=2)
    assert watch.losses()["negative_equity_usd"] == pytest.approx(100_000.0)
    assert watch.losses()["gross_gaps_usd"] == 0.0
    watch.update(50.0)  # the median of 3 updates at 100 and 3 at 50 is 75
    s.v.user[0].breached = 0
    assert watch.losses()["gross_gaps_usd"] == 0.0
    watch.update(50.0)
    s.v.user[0].breached = 0
    assert watch.losses()["gross_gaps_usd"] == pytest.approx(100_000.0)


def test_only_the_last_ten_minutes_count(engine):
    s = borrower(hype=10_000, debt_usd=600_000, engine=engine, **RECORDED_ONLY)
    watch = Watch(s)
    watch.update(100.0, n=150)
    watch.update(50.0, n=101)  # of the last 200 updates 99 were at 100
    s.v.user[0].breached = 0
    assert watch.losses()["gross_gaps_usd"] == pytest.approx(100_000.0)


def test_the_backstop_bears_gaps_of_what_it_assumed_with_its_capital_first(engine):
    s = borrower(hype=10_000, debt_usd=600_000, engine=engine, backstop_usd=100_000.0)
    watch = Watch(s)
    watch.update(55.0)
    # 495,000 and a capital of 100,000 for 600,000.
    assert reserve_of(watch.losses()) == [5_000.0, 0.0, 100_000.0, 105_000.0]


def test_what_perps_cost_the_backstop_bears_no_gap(engine):
    """It is long 2,000 HYPE from 95 on, with a margin of 5,000: at 75 it has lost 40,000."""
    s = SmallVenue(
        trader(1, 15_000, {HYPE_PERP: (200_000, 100.0)}),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-200_000, 100.0)}, supply_usd=1_000_000),
        trader(3, 0, tokens={HYPE: 1_000}, debt_usd=74_000),
        engine=engine,
        backstop_usd=40_000.0,
    )
    watch = Watch(s)
    watch.update(95.0)
    assert s.v.perp[s.backstop, HYPE_PERP] == 200_000
    watch.series.step[0] = 0
    watch.update(75.0)
    # User 3 owes 74,000 on 75,000: everything is taken. Unsold it is worth 67,500, so that 6,500
    # are missing; a capital of 40,000 + 5,000 - 40,000 bears 5,000 of them.
    assert s.v.debt[s.backstop, 0] == 74_000 * 10**6
    assert reserve_of(watch.losses()) == [1_500.0, 0.0, 5_000.0, 6_500.0]


def test_losses_that_are_booked_count_by_who_bore_them(engine):
    s = borrower(hype=10_000, debt_usd=600_000, engine=engine, backstop_usd=100_000.0)
    watch = Watch(with_retained(s, 20_000))
    watch.update(55.0)
    # Everything is gone, as if sold for 450,000 elsewhere.
    s.v.token[s.backstop, HYPE] = 0
    s.v.cash[s.backstop] += 450_000 * 10**6
    s.v.flow[s.backstop, 0, CAUSE_TWAP_SALE] += 450_000 * 10**6
    s.v.flow[s.v.par[0].row_outside, 0, CAUSE_TWAP_SALE] -= 450_000 * 10**6
    s.v.cash[s.v.par[0].row_outside] -= 450_000 * 10**6
    s.engine.reload()
    before = watch.losses()
    assert reserve_of(before) == [30_000.0, 20_000.0, 100_000.0, 150_000.0]
    s.engine.before_decide(s.t_ms + 3_000)
    found = watch.losses()
    assert s.v.debt[:, 0].sum() == 0
    assert reserve_of(found) == [30_000.0, 20_000.0, 100_000.0, 150_000.0]
    assert (before["shortfall_valued_frac"], found["shortfall_valued_frac"]) == (1.0, 0.0)


def test_the_peak_and_the_time_at_full_utilisation_are_read_off_the_minutes(engine):
    s = borrower(hype=10_000, debt_usd=600_000, lent_usd=600_300, engine=engine, **RECORDED_ONLY)
    watch = Watch(s)
    for price in (100.0, 50.0, 100.0):
        watch.update(price)
        watch.series.step[0] = 1  # one update is all that a median sees
        watch.series.asset["oracle_usd"][0, 3] = price
        watch.minute()
    found = watch.losses()
    assert found["reserve_shortfall_usd"] == 0.0
    assert found["reserve_shortfall_peak_usd"] == pytest.approx(150_000.0)
    assert found["full_utilisation_h"] == pytest.approx(3 / 60)  # 99.95 % are lent
    assert watch.losses(since_ms=3_000)["full_utilisation_h"] == 0.0


# --- where they stand -----------------------------------------------------------------------------


def test_every_run_has_every_loss():
    names = [loss.name for loss in LOSSES]
    assert set(names) <= set(short_run().outcomes)
    assert [outcome.name for outcome in OUTCOMES if outcome.name in names] == names
    assert unit_of("full_utilisation_h") == "h"
    assert meaning_of("gap_at_adl_usd").startswith("what the deleveraged lost")
