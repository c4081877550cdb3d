"""Prices of liquidations beside the book: auctions, hand-overs at the mark, fillable limits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stressbook.market.opening.setup import AccountOpening
from stressbook.market.resolution.auction import (
    auction_price_frac,
    buffer_margin_usd,
    insolvent_payout_usd,
    share_to_buffer,
)
from stressbook.market.resolution.liquidation import fillable_price_usd
from stressbook.market.state.codes import (
    EV_AUCTION,
    EV_BREACH,
    EV_BREACH_ENDED,
    EV_COLLATERAL_BOUGHT,
    EV_FORCED_ORDER,
    EV_LIQUIDATION_FEE,
    EV_SHORTFALL_PAID,
    EV_SLICE,
    EV_TAKEOVER_PERPS,
    EV_TOKEN_DEBT,
)
from tests.distress import TWO_WAY_RULE_SETS, TwoWayVenue
from tests.small_venue import (
    BTC,
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

AUCTION = {"liquidation__taker": "auction", "liquidation__auction_period_ms": 30_000}


# --- published numbers ----------------------------------------------------------------------------


def test_the_published_solvent_auction_of_derive():
    assert buffer_margin_usd(300.0, -100.0, 0.1) == pytest.approx(-140.0)
    prices = [auction_price_frac(t, 1.0, 0.8, 600.0) for t in (0.0, 300.0, 900.0)]
    assert prices == pytest.approx([1.0, 0.9, 0.8])
    shares = [share_to_buffer(-140.0, 300.0, price) for price in prices[:2]]
    assert shares == pytest.approx([0.318, 0.341], abs=1e-3)
    buffer = buffer_margin_usd(119.30633018077472, -103.09061949052965, 0.2)
    assert buffer == pytest.approx(-147.57000942479047)
    assert share_to_buffer(buffer, 119.30633018077472, 0.98) == pytest.approx(0.5579412854255694)


def test_the_published_insolvent_auction_of_derive():
    paid = [insolvent_payout_usd(-100.0, -300.0, t, 600.0) for t in (0.0, 12.0, 300.0, 900.0)]
    assert paid == pytest.approx([100.0, 104.0, 200.0, 300.0])


@pytest.mark.parametrize(
    ("quote", "lots", "adjustment", "spread", "wanted"),
    [
        (-4501, 0.1, 2.0, 0.1, 49_998.0),
        (5499, -0.1, 2.0, 0.1, 50_002.0),
        (5499, -0.1, 1.0, 0.2, 50_002.0),
        (-5500, 0.1, 1.0, 0.1, 49_500.0),
    ],
)
def test_published_fillable_prices_of_dydx(quote, lots, adjustment, spread, wanted):
    value = lots * 50_000.0
    found = fillable_price_usd(value, lots, quote + value, 500.0, 500.0, adjustment, spread)
    assert found == pytest.approx(wanted)


# --- what must hold -------------------------------------------------------------------------------


@given(st.floats(1.0, 1e6), st.floats(1.01, 20.0), st.floats(0.0, 1.0), st.floats(0.1, 1.0))
def test_after_the_largest_sale_the_buffer_margin_is_zero(worth, needed, buffer, price):
    health = worth - worth * needed
    margin = buffer_margin_usd(worth, health, buffer)
    share = share_to_buffer(margin, worth, price)
    paid = share * price * worth
    left_worth, left_health = (1 - share) * worth + paid, (1 - share) * health + paid
    left = buffer_margin_usd(left_worth, left_health, buffer)
    assert left == pytest.approx(0.0, abs=1e-9 * worth * needed)


# --- on a venue -----------------------------------------------------------------------------------


def test_the_backstop_waits_for_its_discount_and_restores_the_buffer(engine):
    # 19,000 - 10,000 = 9,000 of equity on 9,500 of maintenance. From 5 % at once to 30 % in 30 s:
    # a tenth is reached after 6 s, at the third update.
    s = long_against_house(19_000, engine=engine, **AUCTION)
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_AUCTION]
    assert s.event(EV_AUCTION)["amount_micro"] == 9_000_000_000
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == []
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_TAKEOVER_PERPS, EV_LIQUIDATION_FEE]
    # BM = -500 - .15 x 9,500 = -1,925; f = 1,925 / (1,925 + .9 x 9,000) = .192020
    lots = -(-200_000 * 192_019_951 // 10**9)
    assert s.v.perp[s.backstop, HYPE_PERP] == lots
    assert s.event(EV_LIQUIDATION_FEE)["amount_micro"] == pytest.approx(
        0.19201995 * 900e6, rel=1e-6
    )
    worth, needed = s.equity_usd(LONG), (200_000 - lots) * 0.95 * 0.05
    assert worth - 1.15 * needed == pytest.approx(0.0, abs=0.1)  # a lot is worth .055 of it
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH_ENDED]


def test_below_zero_the_treasury_pays_a_vault_for_taking_all(engine):
    s = long_against_house(
        9_000,
        engine=engine,
        liquidation__auction_insolvent_period_ms=60_000,
        **AUCTION,
    )
    s.update(HYPE=95.0)  # 1,000 below zero, 10,500 below maintenance
    s.update(HYPE=95.0)
    s.update(HYPE=95.0)  # a tenth of the minute: 1,000 + .1 x 9,500
    kinds = [EV_TAKEOVER_PERPS, EV_SHORTFALL_PAID, EV_SHORTFALL_PAID, EV_BREACH_ENDED]
    assert s.kinds(LONG) == kinds
    paid = [int(e["amount_micro"]) for e in s.events if e["kind"] == EV_SHORTFALL_PAID]
    assert paid == [1_000_000_000, 1_950_000_000]
    assert s.v.cash[LONG] == 0
    assert s.equity_usd(s.backstop) == 12_300_000.0 + 950.0
    assert s.cash_usd(s.v.par[0].row_treasury) == -1_950.0


def test_collateral_is_sold_with_the_rest_and_pays_debt(engine):
    s = borrower(debt_usd=640_000, engine=engine, liquidation__auction_reserve_frac=0.05, **AUCTION)
    s.update(HYPE=80.0)
    bought = s.event(EV_COLLATERAL_BOUGHT)
    paid = int(bought["amount_micro"])
    assert bought["inst"] == HYPE
    assert paid == pytest.approx(int(bought["lots"]) / 1e8 * 80.0 * 1e6, abs=1.0)
    assert s.v.debt[LONG, 0] == 640_000_000_000 - paid
    # The discount is 5 % of the share of 160,000 that was sold.
    share = int(bought["lots"]) / 1e12
    assert s.event(EV_LIQUIDATION_FEE)["amount_micro"] == pytest.approx(share * 8e9, rel=1e-6)


def test_at_the_mark_the_backstop_takes_a_share_for_a_penalty(engine):
    # 9,000 on 9,500: (1 - s) 9,500 < .9 (9,000 - .5 s 9,500) from s = .4 on: 5,700 < 6,390.
    s = long_against_house(
        19_000,
        engine=engine,
        liquidation__taker="backstop",
        liquidation__select="share_of_all",
        liquidation__penalty_frac=0.5,
    )
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_TAKEOVER_PERPS, EV_LIQUIDATION_FEE]
    assert s.event(EV_TAKEOVER_PERPS)["lots"] == 80_000
    assert s.event(EV_LIQUIDATION_FEE)["amount_micro"] == 1_900_000_000
    assert s.equity_usd(s.backstop) == 12_300_000.0 + 1_900.0


def test_a_fillable_limit_is_as_far_from_the_mark_as_the_account_is_distressed(engine):
    # 9,000 of 9,500: a distress of 1/19, of a tenth of 5 % of 95: 2.5 cents, in ticks of one.
    s = long_against_house(19_000, engine=engine, liquidation__price="fillable")
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_FORCED_ORDER]
    limit_usd = float(s.forced[0]["price_tick"]) * float(s.v.inst[HYPE_PERP].tick_usd)
    assert limit_usd == pytest.approx(95.0 - 0.1 * 0.05 * 95.0 / 19.0, abs=0.01)


def short_of_tokens(engine, owed, *, lots=0, **held):
    """User 0 has 100,000 USD beside its perp and has sold the HYPE that it owes, at 100."""
    units = owed * 10**8
    me = trader(1, 100_000, {BTC_PERP: (lots, 100_000.0)} if lots else {}, portfolio=True)
    me = replace(me, borrowed={HYPE: units}, tokens={HYPE: -units} | held.pop("tokens", {}))
    return SmallVenue(
        me,
        trader(2, HOUSE_CASH, {BTC_PERP: (-lots, 100_000.0)} if lots else {}),
        AccountOpening(key=91, cash_micro=10**10, tokens={HYPE: 2 * units}, lent={HYPE: units}),
        engine=engine,
        tokens__HYPE__borrowable=True,
        tokens__HYPE__user_borrow_cap=1e4,
        tokens__HYPE__platform_borrow_cap=5e4,
        **AUCTION,
    )


def test_an_account_that_owes_tokens_is_auctioned_back_to_health(engine):
    # Owes 90,000, maintains 6,000 of 480,000: a ratio of .96, a health of .95 x 100,000 - 96,000.
    s = short_of_tokens(engine, 900, lots=480_000)
    for _ in range(3):
        s.update(HYPE=100.0)
        if s.v.perp[LONG, BTC_PERP] == 480_000:
            assert s.v.risk[LONG].ratio == pytest.approx(0.96)
            assert s.v.risk[LONG].health_usd == pytest.approx(-1_000.0)
    # BM = -1,000 - .15 x 11,000 = -2,650; f = 2,650 / (2,650 + .9 x 10,000)
    assert s.kinds(LONG) == [EV_TAKEOVER_PERPS, EV_LIQUIDATION_FEE]
    lots = -(-480_000 * 2_650 // 11_650)
    assert s.v.perp[s.backstop, BTC_PERP] == lots
    assert s.v.risk[LONG].health_usd == pytest.approx(
        0.95 * (100_000 - 10_000 * 0.1 * 2_650 / 11_650) - 90_000 - (480_000 - lots) * 0.0125,
        abs=0.01,
    )
    s.update(HYPE=100.0)
    assert s.kinds(LONG) == [EV_BREACH_ENDED]


def test_collateral_is_auctioned_to_the_last_unit(engine):
    """Of one unit no share is less than one; then its debt of tokens goes in slices."""
    s = short_of_tokens(engine, 990, tokens={BTC: 1})
    for _ in range(3):
        s.update(HYPE=100.0)
    assert s.event(EV_COLLATERAL_BOUGHT)["lots"] == 1
    assert s.v.token[LONG, BTC] == 0
    s.update(HYPE=100.0)
    assert EV_TOKEN_DEBT in s.kinds(LONG)


def test_an_auction_begins_when_there_is_a_bidder_not_when_a_slice_is_due(engine):
    """A backstop without capital earns some with the first slice, and bids from then on."""
    s = borrower(debt_usd=690_000, engine=engine, backstop_usd=0.0, **AUCTION)
    s.update(HYPE=80.0)
    assert EV_SLICE in s.kinds(LONG)
    assert (s.v.user[LONG].next_slice_ms, s.v.user[LONG].auction_from_ms) == (s.t_ms + 3_000, 0)
    s.update(HYPE=80.0)
    assert s.kinds(LONG) == [EV_AUCTION]
    assert s.v.user[LONG].auction_from_ms == s.t_ms


def test_what_the_ratio_and_health_say_of_a_breach_is_the_same(engine):
    for seed in range(3):
        venue = TwoWayVenue(seed, engine=engine, values=TWO_WAY_RULE_SETS["lent"])
        for _ in range(8):
            venue.random_step()
            r = venue.v.risk[: venue.backstop]
            trigger = float(venue.v.par[0].pm_trigger_ratio)
            cross = r["equity_usd"] < r["maintenance_usd"]
            breached = np.where(r["judged_as_portfolio"] == 1, r["ratio"] > trigger, cross)
            clear = np.abs(r["health_usd"]) > 1e-6
            assert (breached == (r["health_usd"] < 0.0))[clear].all()
