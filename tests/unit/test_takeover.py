"""Takeovers by hand-worked numbers, on both engines.

HYPE: maintenance 5 % of notional, loan-to-value .65, so that a token counts .825 at maintenance and
.8833 of the value in debt takes everything.
"""

import pytest

from stressbook.market.state.codes import (
    EV_BREACH,
    EV_BREACH_ENDED,
    EV_FORCED_ORDER,
    EV_TAKEOVER_ALL,
    EV_TAKEOVER_PERPS,
    FORCED,
    REDUCE_ONLY,
    TWAP,
)
from tests.small_venue import (
    BTC_PERP,
    HOUSE_CASH,
    HYPE,
    HYPE_PERP,
    LONG,
    SmallVenue,
    borrower,
    long_against_house,
    trader,
)

# --- takeover of perps ----------------------------------------------------------------------------


def test_below_two_thirds_of_maintenance_perps_and_margin_are_taken(engine):
    s = long_against_house(15_000, engine=engine)
    s.update(HYPE=95.0)  # equity 5,000 below 2/3 x 9,500
    taken = s.event(EV_TAKEOVER_PERPS)
    assert (taken["lots"], taken["price_e8"]) == (200_000, 95 * 10**8)
    assert s.v.perp[:, HYPE_PERP].tolist()[:3] == [0, -200_000, 200_000]
    assert (s.v.cash[LONG], s.equity_usd(s.backstop)) == (0, 12_305_000.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_TAKEOVER_PERPS, EV_BREACH_ENDED]
    # The same update sells 1 - 2^(-3/600) of it.
    assert s.forced[0]["options"] == FORCED | TWAP | REDUCE_ONLY
    assert s.forced[0]["qty_lots"] == int(200_000 * (1 - 2 ** (-3 / 600)))


def test_without_capital_the_book_is_tried_instead(engine):
    s = long_against_house(15_000, engine=engine, backstop_usd=0.0)
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_FORCED_ORDER]


def test_switched_off_the_backstop_takes_no_perps(engine):
    s = long_against_house(15_000, engine=engine, liquidation__backstop="none")
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_FORCED_ORDER]


def test_the_loss_limit_is_looked_at_anew_for_each_account(engine):
    """Taking at the mark with a margin costs nothing, so equity of the backstop only rises."""
    s = SmallVenue(
        trader(1, 15_000, {HYPE_PERP: (200_000, 100.0)}),
        trader(2, 15_000, {HYPE_PERP: (200_000, 100.0)}),
        trader(3, HOUSE_CASH, {HYPE_PERP: (-400_000, 100.0)}),
        engine=engine,
        backstop_usd=1.0,
    )
    s.update(HYPE=95.0)
    assert s.kinds().count(EV_TAKEOVER_PERPS) == 2
    assert s.v.risk[s.backstop].equity_usd == 10_001.0


def test_borrowed_cash_is_no_margin_and_stays_with_its_debt(engine):
    # 6,250 owed and drawn into margin; the perps lose 9.6k of the 10k: E + credit < 2/3 MM.
    s = SmallVenue(
        trader(1, 0, {HYPE_PERP: (100_000, 100.0)}, tokens={HYPE: 120}),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-100_000, 100.0)}, supply_usd=100_000),
        engine=engine,
    )
    s.update()
    debt = int(s.v.debt[LONG, 0])
    assert debt == 7_800_000_000  # the commitment of 10,000 cut to 120 x 100 x .65
    s.update(HYPE=94.0)
    # E -6,000, credit 9,306: 3,306 above 2/3 x 4,700 = 3,133; at 93.5: 2,756 below 3,117.
    assert s.kinds(LONG) == [EV_BREACH, EV_FORCED_ORDER]
    s.update(HYPE=93.5)
    assert s.kinds(LONG) == [EV_TAKEOVER_PERPS]
    assert s.v.debt[LONG, 0] == debt
    assert s.cash_usd(LONG) == 7_800 - 6_500
    assert s.v.token[LONG, HYPE] == 120 * 10**8


@pytest.mark.parametrize(
    "lent_usd",
    [0, 200, 1_000],
)
def test_margin_is_net_cash_and_what_was_lent_is_part_of_it(engine, lent_usd):
    # 8,000 of its own, what it has lent called back, and 650 borrowed.
    # At 94 net 2,000 and credit 775.5 are below 2/3 x 4,700.
    perps = {HYPE_PERP: (100_000, 100.0)}
    s = SmallVenue(
        trader(1, 8_000 - lent_usd, perps, tokens={HYPE: 10}, supply_usd=lent_usd),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-100_000, 100.0)}, supply_usd=100_000),
        engine=engine,
    )
    s.update()
    s.update(HYPE=94.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_TAKEOVER_PERPS]
    left = s.v.cash[LONG], s.v.supply[LONG, 0], s.v.debt[LONG, 0]
    assert tuple(amount / 1e6 for amount in left) == (650, 0, 650)
    assert s.v.risk[s.backstop].equity_usd == 12_302_000.0


def test_lent_cash_of_a_cross_account_is_no_margin(engine):
    # 5,000 of equity, whatever it has lent.
    s = SmallVenue(
        trader(1, 15_000, {HYPE_PERP: (200_000, 100.0)}, supply_usd=4_000),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-200_000, 100.0)}),
        engine=engine,
    )
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_TAKEOVER_PERPS, EV_BREACH_ENDED]
    assert s.v.supply[LONG, 0] == 4_000_000_000


# --- takeover of everything -----------------------------------------------------------------------


def test_beyond_the_full_threshold_everything_is_taken(engine):
    s = borrower(engine=engine)
    s.update(HYPE=67.9)  # .8833 x 679,000 = 599,783
    assert s.kinds(LONG) == [EV_BREACH, EV_TAKEOVER_ALL, EV_BREACH_ENDED]
    assert s.event(EV_TAKEOVER_ALL)["amount_micro"] == 600_000_000_000
    assert (s.v.debt[LONG, 0], s.v.token[LONG, HYPE]) == (0, 0)
    assert (s.v.debt[s.backstop, 0], s.v.token[s.backstop, HYPE]) == (
        600_000_000_000,
        10_000 * 10**8,
    )
    assert s.v.risk[s.backstop].equity_usd == pytest.approx(12_379_000.0)


def test_debts_need_no_capital(engine):
    s = borrower(engine=engine, backstop_usd=0.0)
    s.update(HYPE=50.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_TAKEOVER_ALL, EV_BREACH_ENDED]


@pytest.mark.parametrize("backstop_usd", [1_000_000.0, 0.0])
def test_perps_go_along_while_the_loss_limit_holds(engine, backstop_usd):
    s = SmallVenue(
        trader(1, 0, {BTC_PERP: (100_000, 100_000.0)}, tokens={HYPE: 10_000}, debt_usd=600_000),
        trader(2, HOUSE_CASH, {BTC_PERP: (-100_000, 100_000.0)}, supply_usd=1_000_000),
        engine=engine,
        backstop_usd=backstop_usd,
    )
    s.update(HYPE=67.0, BTC=101_000.0)  # net -599,000; .8833 x 670,000 = 591,833
    taken = EV_TAKEOVER_ALL in s.kinds(LONG)
    assert taken
    assert (EV_TAKEOVER_PERPS in s.kinds(LONG)) == (backstop_usd > 0.0)
    held = int(s.v.perp[LONG, BTC_PERP])
    assert held == (0 if backstop_usd else 100_000)
    # Left with its perps and nothing behind them: worth nothing at the mark.
    assert s.equity_usd(LONG) == 0.0
    assert (s.v.debt[LONG, 0], s.v.token[LONG, HYPE]) == (0, 0)


def test_lent_cash_goes_along(engine):
    s = SmallVenue(
        trader(1, 0, tokens={HYPE: 10_000}, debt_usd=650_000, supply_usd=50_000),
        trader(2, HOUSE_CASH, supply_usd=1_000_000),
        engine=engine,
    )
    s.update(HYPE=67.0)
    assert s.kinds(LONG)[1] == EV_TAKEOVER_ALL
    assert s.v.supply[LONG, 0] == 0
    s.update()  # set off against the debt that came along
    assert (s.v.debt[s.backstop, 0], s.v.supply[s.backstop, 0]) == (600_000_000_000, 0)
