"""Late checks, a liquidator that is out, rules that change, by hand: what waits, what goes on."""

import pytest

from stressbook.market.lending.borrowing import platform_headroom
from stressbook.market.rules.changes import RuleChanges
from stressbook.market.state.codes import (
    EV_BREACH,
    EV_FORCED_ORDER,
    EV_TAKEOVER_PERPS,
    IOC,
    R_CAP_REACHED,
    RESTING,
    SELL,
)
from tests.small_venue import (
    HOUSE,
    HYPE_PERP,
    HYPE_SPOT,
    LONG,
    borrower,
    long_against_house,
)


def judged_at_s(venue, *, until_s):
    """Seconds at which the accounts in breach were dealt with."""
    found = []
    while venue.t_ms < until_s * 1_000:
        venue.update(HYPE=96.0)
        if EV_FORCED_ORDER in venue.kinds(LONG):
            found.append(venue.t_ms // 1_000)
    return found


@pytest.mark.parametrize(
    ("delay_s", "expected"),
    [
        (0.0, [3, 6, 9, 12, 15, 18, 21, 24]),
        (3.0, [3, 6, 9, 12, 15, 18, 21, 24]),
        (5.0, [6, 12, 15, 21]),
        (10.0, [12, 21]),
    ],
)
def test_breaches_are_judged_at_the_first_mark_update_since_each_delay(engine, delay_s, expected):
    venue = long_against_house(15_000, engine=engine)  # 2,000 HYPE: maintenance 10,000 USD
    venue.v.dial["check_delay_s"][1] = delay_s  # that of any asset counts
    assert judged_at_s(venue, until_s=24) == expected


def test_the_length_of_a_step_does_not_move_the_checks(engine):
    venue = long_against_house(15_000, engine=engine)
    venue.v.dial["check_delay_s"] = 10.0
    found = []
    for _ in range(12):  # mark updates fall into the steps that end at 4, 6, 10, 12, ...
        venue.step(2_000, HYPE=96.0)
        if EV_FORCED_ORDER in venue.kinds(LONG):
            found.append(venue.t_ms // 1_000)
    assert found == [12, 22]  # the updates of 12 s and of 21 s


def test_accounts_are_valued_while_a_check_waits_and_may_recover_unnoticed(
    engine,
):
    venue = long_against_house(15_000, engine=engine)
    venue.v.dial["check_delay_s"] = 9.0
    venue.update(HYPE=96.0)
    assert float(venue.v.risk[LONG].equity_usd) == pytest.approx(7_000.0)
    assert float(venue.v.risk[LONG].health_usd) < 0.0
    assert venue.kinds(LONG) == []
    venue.update(HYPE=99.0)
    venue.update(HYPE=99.0)
    assert venue.kinds(LONG) == []
    assert int(venue.v.user[LONG].breached) == 0


def test_without_a_liquidator_breaches_are_recorded_and_trading_goes_on(engine):
    venue = long_against_house(15_000, engine=engine)
    venue.v.dial["liquidator_out"] = 1.0
    venue.update(HYPE=96.0)
    assert venue.kinds(LONG) == [EV_BREACH]
    venue.bid(HOUSE, HYPE_PERP, 95.0, 50)
    venue.order(LONG, HYPE_PERP, SELL, 95.0, 20, tif=IOC)
    venue.step()
    assert [int(fill["qty_lots"]) for fill in venue.fills] == [20]
    venue.v.dial["liquidator_out"][0] = 0.0  # out for all or not at all
    venue.update()
    assert EV_FORCED_ORDER in venue.kinds(LONG)


@pytest.mark.parametrize(("dial", "value"), [("check_delay_s", 60.0), ("liquidator_out", 1.0)])
def test_what_was_taken_over_is_sold_under_late_checks_and_kept_without_a_liquidator(
    engine, dial, value
):
    venue = long_against_house(15_000, engine=engine)
    venue.update(HYPE=94.5)  # below two thirds of maintenance
    assert EV_TAKEOVER_PERPS in venue.kinds(LONG)
    held = int(venue.v.perp[venue.backstop, HYPE_PERP])
    venue.v.dial[dial] = value
    venue.bid(HOUSE, HYPE_PERP, 94.0, 100_000)
    for _ in range(3):
        venue.update(HYPE=94.5)
    left = int(venue.v.perp[venue.backstop, HYPE_PERP])
    assert left < held if dial == "check_delay_s" else left == held


def test_a_platform_cap_cut_below_its_use_leaves_no_room_and_calls_nothing_back(engine):
    venue = borrower(600_000, 10_000, engine=engine)  # 50,000 USD below its loan-to-value
    changes = RuleChanges(venue.spec)
    cut = venue.spec.with_values({"tokens.USDC.platform_borrow_cap": 100_000.0})
    codes, debts = [], []
    for rules in (venue.spec, cut, venue.spec):
        changes.write(venue.v, rules)
        venue.bid(0, HYPE_SPOT, 99.0, 1_000)
        venue.update(HYPE=100.0)
        codes.append(int(venue.v.reply[0].code))
        debts.append(int(venue.v.debt[0, 0]))
        assert venue.kinds(0) == []
        room = platform_headroom(venue.v.token_spec[0], venue.v.reserve[0])
        assert (room == 0) == (rules is cut)
    assert codes == [RESTING, R_CAP_REACHED, RESTING]
    assert 600_000 * 10**6 < debts[0] == debts[1] < debts[2]  # what rests has drawn its price


def test_a_user_cap_counts_in_the_credit_and_may_put_its_borrower_into_breach(engine):
    venue = borrower(600_000, 10_000, engine=engine)
    cut = venue.spec.with_values({"tokens.USDC.user_borrow_cap": 100_000.0})
    RuleChanges(venue.spec).write(venue.v, cut)
    venue.update(HYPE=100.0)
    assert EV_BREACH in venue.kinds(0)
