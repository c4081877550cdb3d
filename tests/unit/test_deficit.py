"""What a flat account cannot pay, and who bears it, by hand-worked numbers on both engines."""

import pytest

from stressbook.market.resolution.socialising import withdrawal_factor
from stressbook.market.state.codes import (
    BORNE_BY_RETAINED,
    BORNE_BY_SUPPLIERS,
    CAUSE_DEFICIT,
    EV_BREACH,
    EV_BREACH_ENDED,
    EV_DEFICIT,
    EV_DELEVERAGED,
    EV_FORCED_ORDER,
    EV_SLICE,
    EV_SOCIALISED,
    EV_WRITTEN_OFF,
    IOC,
    OP_DEPOSIT,
    REDUCE_ONLY,
    SELL,
)
from tests.small_venue import (
    BTC_PERP,
    HOUSE,
    HOUSE_CASH,
    HYPE,
    HYPE_PERP,
    LONG,
    SmallVenue,
    borrower,
    long_against_house,
    trader,
)


def test_a_deficit_is_booked_to_the_treasury_and_ends_the_breach(engine):
    # Entered at 105: at the previous mark of 100 already 1,000 below zero.
    s = long_against_house(9_000, entry_usd=105.0, engine=engine)
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_DELEVERAGED, EV_DEFICIT, EV_BREACH_ENDED]
    assert s.event(EV_DEFICIT)["amount_micro"] == 1_000_000_000
    assert s.v.cash[LONG] == 0
    assert s.cash_usd(s.v.par[0].row_treasury) == -1_000.0
    assert s.v.flow[LONG, 0, CAUSE_DEFICIT] == 1_000_000_000


def test_socialised_a_deficit_is_shared_by_equity_of_those_with_positions(engine):
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 105.0)}),
        trader(2, 1_000_000, {HYPE_PERP: (-200_000, 100.0)}),
        trader(3, 3_000_000, {BTC_PERP: (10, 100_000.0)}),
        trader(4, 1_000_000, {BTC_PERP: (-10, 100_000.0)}),
        trader(5, 5_000_000),
        engine=engine,
        liquidation__socialise="positions",
    )
    s.update(HYPE=95.0)
    assert s.event(EV_DEFICIT)["amount_micro"] == 1_000_000_000
    # Users 2 and 3 share 3 : 1; user 1 is flat by then, user 4 never held anything.
    assert [s.equity_usd(u) for u in range(5)] == [0, 1e6, 3e6 - 750, 1e6 - 250, 5e6]
    assert s.v.cash[s.v.par[0].row_treasury] == 0


def test_a_forced_sale_below_zero_is_booked_in_its_own_step(engine):
    s = long_against_house(19_000, 100_000, engine=engine)
    s.bid(HOUSE, HYPE_PERP, 80.0, 100_000)
    s.step()
    # 4,200 is below 4,260; sold at 80 it loses 20,000 and a fee of 36.
    s.update(HYPE=85.2)
    assert s.kinds(LONG) == [EV_BREACH, EV_FORCED_ORDER, EV_DEFICIT, EV_BREACH_ENDED]
    assert s.event(EV_DEFICIT)["amount_micro"] == 1_036_000_000


def test_the_next_deposit_pays_no_deficit(engine):
    """Sold out at a loss beyond its margin: booked before the deposit of the next step arrives."""
    s = long_against_house(9_000, 100_000, engine=engine)
    s.bid(HOUSE, HYPE_PERP, 90.0, 100_000)
    s.step()
    s.order(LONG, HYPE_PERP, SELL, 90.0, 100_000, tif=IOC, flags=REDUCE_ONLY)
    s.step()
    # 9,000 - 10,000 - a fee of 40.5.
    assert s.event(EV_DEFICIT)["amount_micro"] == 1_040_500_000
    s.send(op=OP_DEPOSIT, user=LONG, inst=0, qty_lots=5_000_000_000)
    s.step()
    assert s.cash_usd(LONG) == 5_000.0


def test_a_tokens_book_is_left_alone_by_a_breach_of_cross_margin(engine):
    """Tokens are no margin under cross, and no deficit takes them."""
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 105.0)}, tokens={HYPE: 50}, portfolio=False),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-200_000, 100.0)}),
        engine=engine,
    )
    s.update(HYPE=95.0)
    assert s.event(EV_DEFICIT)["amount_micro"] == 1_000_000_000
    assert s.v.token[LONG, HYPE] == 50 * 10**8


def test_debt_that_nothing_is_left_for_is_written_off(engine):
    """Retained interest bears it first, then suppliers pro rata."""
    s = SmallVenue(
        trader(1, 0, debt_usd=1_000, portfolio=True),
        trader(2, HOUSE_CASH, supply_usd=3_000),
        trader(3, HOUSE_CASH, supply_usd=1_000),
        engine=engine,
    )
    s.v.reserve[0].retained, s.v.reserve[0].claim = 200_000_000, -200_000_000
    s.engine.reload()
    s.update()
    kept, lost = (e for e in s.events if e["kind"] == EV_WRITTEN_OFF)
    assert (kept["cause"], kept["amount_micro"]) == (BORNE_BY_RETAINED, 200_000_000)
    assert (lost["cause"], lost["amount_micro"]) == (BORNE_BY_SUPPLIERS, 800_000_000)
    assert s.v.supply[:3, 0].tolist() == [0, 2_400_000_000, 800_000_000]
    assert s.kinds(LONG) == [EV_BREACH, EV_WRITTEN_OFF, EV_WRITTEN_OFF, EV_BREACH_ENDED]


def test_lent_cash_is_set_off_before_a_write_off(engine):
    """Though the pool is lent to the last dollar."""
    s = SmallVenue(
        trader(1, 0, debt_usd=1_000, supply_usd=400, portfolio=True),
        trader(2, HOUSE_CASH, supply_usd=600),
        engine=engine,
    )
    s.update()
    assert s.event(EV_WRITTEN_OFF)["amount_micro"] == 600_000_000
    assert s.v.supply[:2, 0].tolist() == [0, 0]


def test_lent_cash_of_a_portfolio_account_pays_its_deficit(engine):
    """The treasury takes the claim over: with an empty pool it cannot be redeemed."""
    s = SmallVenue(
        trader(1, 8_500, {HYPE_PERP: (200_000, 105.0)}, supply_usd=500, portfolio=True),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-200_000, 100.0)}),
        trader(3, 500, debt_usd=500, tokens={HYPE: 10}),
        engine=engine,
    )
    s.update(HYPE=95.0)  # 1,500 below zero at the previous mark
    treasury = s.v.par[0].row_treasury
    assert s.event(EV_DEFICIT)["amount_micro"] == 1_000_000_000
    assert (s.v.supply[LONG, 0], s.v.supply[treasury, 0]) == (0, 500_000_000)
    assert s.cash_usd(treasury) == -1_500.0


def test_by_one_factor_everybody_shares_a_deficit(engine):
    """A deficit of 1,000 out of 10m of equities: a factor of 1e-4, positions or none."""
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 105.0)}),
        trader(2, 1_000_000, {HYPE_PERP: (-200_000, 100.0)}),
        trader(3, 3_000_000),
        trader(4, 6_000_000),
        engine=engine,
        liquidation__socialise="withdrawal_factor",
        backstop_usd=0.0,
    )
    s.update(HYPE=95.0)
    assert s.event(EV_DEFICIT)["amount_micro"] == 1_000_000_000
    # User 1 has won 10,000 at the mark of 95, and lost it again by being closed at 100.
    before = (1_000_000.0, 3_000_000.0, 6_000_000.0)
    paid = [-float(s.v.flow[user, 0, CAUSE_DEFICIT]) / 1e6 for user in (1, 2, 3)]
    assert paid == pytest.approx([usd * 1_000.0 / sum(before) for usd in before], abs=2e-6)
    total = s.event(EV_SOCIALISED)["amount_micro"]
    assert 1_000_000_000 - 3 <= total <= 1_000_000_000
    assert s.v.flow[s.v.par[0].row_rounding, 0, CAUSE_DEFICIT] == total - 1_000_000_000
    assert s.v.flow[s.v.par[0].row_treasury, 0, CAUSE_DEFICIT] == 0


def test_the_published_factor_of_paradex_divides_by_what_is_claimed():
    # 3,000 of balances, less 2,000 of bankruptcy and 1,000 of insurance: 4,000 for 5,000 of claims.
    assert withdrawal_factor(1_000.0, 4_000.0) == 0.2
    assert withdrawal_factor(1_000.0, -200.0) == 1.0
    assert withdrawal_factor(0.0, 0.0) == 0.0


def test_an_enrolled_account_without_credit_keeps_its_tokens_and_what_it_lent(engine):
    """Nothing was lent against them: the deficit of its perps is a cross account's."""
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 105.0)}, tokens={HYPE: 50}, supply_usd=700),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-200_000, 100.0)}),
        engine=engine,
        tokens__USDC__user_borrow_cap=0.0,
    )
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_DELEVERAGED, EV_DEFICIT, EV_BREACH_ENDED]
    assert s.event(EV_DEFICIT)["amount_micro"] == 1_000_000_000
    assert s.v.token[LONG, HYPE] == 50 * 10**8
    assert s.v.supply[LONG, 0] == 700_000_000


def test_a_loan_whose_cap_was_cut_to_nothing_still_takes_the_collateral(engine):
    s = borrower(600_000, 10_000, engine=engine)
    s.update(HYPE=100.0)
    s.v.token_spec["user_supply_cap"][HYPE] = 0
    if engine == "reference":
        s.engine.parts.desk.tokens[HYPE].user_supply_cap = 0
    s.update(HYPE=100.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_SLICE]
    assert s.v.token[LONG, HYPE] < 10_000 * 10**8
    for _ in range(12):
        s.update(HYPE=100.0)
    assert s.v.debt[LONG, 0] == 0
    assert s.kinds(LONG) == []
