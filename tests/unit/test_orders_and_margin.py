"""Margin where orders are placed and where they fill, worked by hand, on both engines."""

import pytest

from stressbook.market.numbers.units import MICRO
from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    CANCELLED,
    EV_MARGIN_EXPIRED,
    EV_REDUCE_ONLY_EXPIRED,
    FILLED,
    IOC,
    MODE_PORTFOLIO,
    OP_ENROL,
    OP_REDEEM,
    OP_WITHDRAW,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    R_NOT_ELIGIBLE,
    R_POST_ONLY_WOULD_TAKE,
    R_PRICE_BAND,
    R_UTILISATION_FULL,
    REDUCE_ONLY,
    REGIME_PORTFOLIO,
    RESTING,
    SELL,
)
from stressbook.market.state.records import C_REPLIES
from tests.small_venue import (
    HOUSE,
    HOUSE_CASH,
    HYPE,
    HYPE_PERP,
    HYPE_SPOT,
    LONG,
    SmallVenue,
    trader,
)

HOUR_MS = 3_600_000


def venue(*accounts, engine, **values):
    at_once = {"orders__class_delay_ms": 0, "latency__jitter_frac": 0.0}
    at_once |= {f"order_sizes__{tier}__market_order_max_usd": 0.0 for tier in range(4)}
    return SmallVenue(*accounts, engine=engine, **(at_once | values))


def account(key, cash_usd, perps=None, **more):
    return trader(key, cash_usd, perps, latency_us=1_000 * key, **more)


def reply(s, user):
    """The code that a user's only message of the last step was answered with."""
    (found,) = [r for r in s.v.reply[: s.v.ctr[C_REPLIES]] if r["user"] == user]
    return int(found["code"])


# --- placing an order ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("equity_usd", "held", "bought", "code"),
    [
        # Above 20 M a dollar more needs 20 % in place of 10 %: 33 M need 2 x (3.3 M - 1 M).
        (4_600_000, 0, 33_000_000, FILLED),
        (3_500_000, 0, 33_000_000, R_INSUFFICIENT_MARGIN),
        # 19.9 M need 1.99 M, 24.9 M need 2 x (2.49 M - 1 M).
        (2_990_000, 19_900_000, 5_000_000, FILLED),
        (2_600_000, 19_900_000, 5_000_000, R_INSUFFICIENT_MARGIN),
        # Within the first tier nothing changes.
        (1_000_000, 0, 9_900_000, FILLED),
    ],
)
def test_an_order_needs_the_margin_of_the_tier_it_leads_to(equity_usd, held, bought, code, engine):
    s = venue(
        account(1, equity_usd + 50_000, {HYPE_PERP: (held, 100.0)} if held else None),
        account(2, 10 * HOUSE_CASH, {HYPE_PERP: (-held, 100.0)} if held else None),
        engine=engine,
    )
    s.order(HOUSE, HYPE_PERP, SELL, 100.0, bought)
    s.step()
    s.order(LONG, HYPE_PERP, BUY, 100.0, bought, tif=IOC)
    s.step()
    assert reply(s, LONG) == code
    s.update()
    assert s.v.risk[LONG]["available_usd"] >= 0.0


def test_the_other_side_is_not_charged_for_what_it_closes(engine):
    s = venue(
        account(1, 2_500_000, {HYPE_PERP: (15_000_000, 100.0)}),
        account(2, 10 * HOUSE_CASH, {HYPE_PERP: (-15_000_000, 100.0)}),
        engine=engine,
    )
    s.bid(HOUSE, HYPE_PERP, 100.0, 16_000_000)
    s.step()
    # Sells 16 M of 15 M held: 1.5 M are bound, 1.6 M more would be too much by tiers of 31 M.
    s.order(LONG, HYPE_PERP, SELL, 100.0, 9_000_000, tif=IOC)
    s.step()
    assert reply(s, LONG) == FILLED


@pytest.mark.parametrize(
    ("busy", "code"), [("perp", R_NOT_ELIGIBLE), ("order", R_NOT_ELIGIBLE), ("", ACCEPTED)]
)
def test_portfolio_margin_takes_accounts_without_perps_and_orders(busy, code, engine):
    lots = 500 if busy == "perp" else 0
    perps = ({HYPE_PERP: (lots, 100.0)}, {HYPE_PERP: (-lots, 100.0)}) if lots else (None, None)
    s = venue(account(1, 200_000, perps[0]), account(2, HOUSE_CASH, perps[1]), engine=engine)
    if busy == "order":
        s.bid(LONG, HYPE_PERP, 99.0, 10)
        s.step()
    s.send(op=OP_ENROL, user=LONG, qty_lots=MODE_PORTFOLIO)
    s.step()
    assert reply(s, LONG) == code
    assert (s.v.row[LONG]["regime"] == REGIME_PORTFOLIO) == (code == ACCEPTED)


# --- the resting side at a match -----------------------------------------------------------------


@pytest.mark.parametrize(("equity_usd", "fills"), [(101_000, False), (281_000, True)])
def test_a_resting_order_needs_its_margin_when_it_fills(equity_usd, fills, engine):
    s = venue(account(1, equity_usd), account(2, HOUSE_CASH), engine=engine)
    s.bid(LONG, HYPE_PERP, 100.0, 1_000_000)
    s.step()
    s.order(HOUSE, HYPE_PERP, SELL, 80.0, 1_000_000, tif=IOC)
    # At 80 the fill loses 200,000 and needs 80,000.
    s.update(HYPE=80.0)
    assert reply(s, HOUSE) == (FILLED if fills else CANCELLED)
    assert int(s.v.perp[LONG, HYPE_PERP]) == (1_000_000 if fills else 0)
    if not fills:
        event = s.event(EV_MARGIN_EXPIRED, LONG)
        assert (event["inst"], event["lots"]) == (HYPE_PERP, 1_000_000)
        assert s.equity_usd(LONG) == equity_usd
        assert s.v.user[LONG]["n_orders"] == 0


def test_an_order_that_covered_nothing_any_more_needs_margin_too(engine):
    s = venue(
        account(1, 900, {HYPE_PERP: (9_000, 100.0)}),
        account(2, HOUSE_CASH, {HYPE_PERP: (-9_000, 100.0)}),
        engine=engine,
    )
    s.order(LONG, HYPE_PERP, SELL, 101.0, 9_000)  # closes what it holds: no margin
    s.step()
    s.bid(HOUSE, HYPE_PERP, 99.0, 9_000)
    s.step()
    # Within one step: what it holds is sold at 99, and the house comes for what rests at 101.
    s.order(LONG, HYPE_PERP, SELL, 99.0, 9_000, tif=IOC, flags=REDUCE_ONLY)
    s.bid(HOUSE, HYPE_PERP, 101.0, 9_000, tif=IOC)
    s.step()
    # 900 less 90 and a fee of 4.01, plus 90 for selling above the mark: 895.99 of 900.
    assert s.event(EV_MARGIN_EXPIRED, LONG)["lots"] == 9_000
    assert int(s.v.perp[LONG, HYPE_PERP]) == 0


def test_who_only_reduces_fills_whatever_it_has(engine):
    s = venue(
        account(1, 10_100, {HYPE_PERP: (100_000, 100.0)}),
        account(2, HOUSE_CASH, {HYPE_PERP: (-100_000, 100.0)}),
        engine=engine,
    )
    s.order(LONG, HYPE_PERP, SELL, 97.0, 100_000)
    s.step()
    s.bid(HOUSE, HYPE_PERP, 97.0, 100_000, tif=IOC)
    s.step(HYPE=97.0)
    assert int(s.v.perp[LONG, HYPE_PERP]) == 0
    assert EV_MARGIN_EXPIRED not in s.kinds()


def test_a_position_that_turns_within_an_order_is_entered_at_its_own_prices(engine):
    s = venue(
        account(1, 10_000, {HYPE_PERP: (-500, 100.0)}),
        account(2, HOUSE_CASH, {HYPE_PERP: (500, 100.0)}),
        engine=engine,
    )
    s.order(HOUSE, HYPE_PERP, SELL, 100.0, 400)
    s.step()
    s.order(HOUSE, HYPE_PERP, SELL, 101.0, 600)
    s.step()
    s.bid(LONG, HYPE_PERP, 101.0, 1_000, tif=IOC)
    s.step()
    # 400 at 100 and 100 at 101 close, 500 at 101 open.
    assert int(s.v.perp[LONG, HYPE_PERP]) == 500
    assert int(s.v.entry_cost[LONG, HYPE_PERP]) == 505_000_000


@pytest.mark.parametrize(("held_by_house", "code"), [(0, RESTING), (40, R_POST_ONLY_WOULD_TAKE)])
def test_orders_that_can_trade_with_nobody_do_not_keep_others_out(held_by_house, code, engine):
    s = venue(
        account(1, 200_000, {HYPE_PERP: (100, 100.0)}),
        account(2, HOUSE_CASH, {HYPE_PERP: (-100, 100.0)}),
        account(3, HOUSE_CASH),
        engine=engine,
    )
    s.order(LONG, HYPE_PERP, SELL, 101.0, 100, flags=REDUCE_ONLY)
    s.step()
    s.bid(HOUSE, HYPE_PERP, 99.0, 100)
    s.step()
    s.order(LONG, HYPE_PERP, SELL, 99.0, 100 - held_by_house, tif=IOC)
    s.step()
    s.bid(2, HYPE_PERP, 101.0, 25)
    s.step()
    assert reply(s, 2) == code
    dead = [e for e in s.events if e["kind"] == EV_REDUCE_ONLY_EXPIRED]
    assert len(dead) == (code == RESTING)
    assert s.v.best[HYPE_PERP].tolist()[0] < s.v.best[HYPE_PERP].tolist()[1]


# --- what is lent --------------------------------------------------------------------------------


def test_lent_cash_comes_back_before_it_is_spent(engine):
    s = venue(
        account(1, 0, tokens={HYPE: 100}, supply_usd=1_000),
        account(2, 1_000, tokens={HYPE: 100}),
        engine=engine,
    )
    s.order(HOUSE, HYPE_SPOT, SELL, 100.0, 500)
    s.step()
    s.order(LONG, HYPE_SPOT, BUY, 100.0, 500, tif=IOC)
    s.step()
    assert reply(s, LONG) == FILLED
    # 500 and the taker fee of .07 %, to the micro-USDC or one above.
    assert s.v.supply[LONG, 0] == 1_000_000_000 - 500_350_000
    assert 0 <= s.v.cash[LONG] <= 1
    assert s.v.debt[LONG, 0] == 0


def test_what_is_lent_on_cannot_be_spent(engine):
    s = venue(
        account(1, 0, tokens={HYPE: 100}, supply_usd=1_000),
        account(2, 1_000, tokens={HYPE: 100}),
        account(3, 1_000, tokens={HYPE: 1_000}, debt_usd=1_000),
        engine=engine,
    )
    s.send(op=OP_REDEEM, user=LONG, inst=0, qty_lots=999 * MICRO)
    s.step()
    assert reply(s, LONG) == R_UTILISATION_FULL
    s.order(HOUSE, HYPE_SPOT, SELL, 100.0, 990)
    s.step()
    s.order(LONG, HYPE_SPOT, BUY, 100.0, 990, tif=IOC)
    s.step()
    assert reply(s, LONG) == R_UTILISATION_FULL
    assert (s.v.cash[LONG], s.v.supply[LONG, 0]) == (0, 1_000_000_000)
    s.send(op=OP_WITHDRAW, user=LONG, inst=0, qty_lots=MICRO)
    s.step()
    assert reply(s, LONG) == R_INSUFFICIENT_BALANCE


def test_a_debt_is_set_off_against_what_the_borrower_lends(engine):
    s = venue(
        account(1, 0, tokens={HYPE: 100}, debt_usd=500, supply_usd=1_000),
        account(2, 1_000),
        engine=engine,
    )
    s.t_ms = HOUR_MS - 3_000
    s.step(3_000)
    assert (s.v.cash[LONG], s.v.debt[LONG, 0]) == (0, 0)
    # Nine tenths of the interest came back to the only lender.
    assert 499_990_000 < s.v.supply[LONG, 0] < 500_000_000


# --- volume --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("volume_usd", "fee_micro"), [(5_000_000, 450_000), (5_000_001, 400_000)])
def test_a_tier_begins_above_its_volume(volume_usd, fee_micro, engine):
    s = venue(
        account(1, 100_000, volume_14d_micro=volume_usd * MICRO),
        account(2, HOUSE_CASH),
        engine=engine,
    )
    s.order(HOUSE, HYPE_PERP, SELL, 100.0, 1_000)
    s.step()
    s.order(LONG, HYPE_PERP, BUY, 100.0, 1_000, tif=IOC)
    s.step()
    assert s.fills["taker_fee_micro"].tolist() == [fee_micro]
    assert s.v.user[LONG]["volume_14d_micro"] == (volume_usd + 1_000) * MICRO


def test_spot_counts_twice_in_the_volume(engine):
    s = venue(account(1, 100_000), account(2, 0, tokens={HYPE: 100}), engine=engine)
    s.order(HOUSE, HYPE_SPOT, SELL, 100.0, 1_000)
    s.step()
    s.order(LONG, HYPE_SPOT, BUY, 100.0, 1_000, tif=IOC)
    s.step()
    assert s.v.user[LONG]["volume_14d_micro"] == 2_000 * MICRO
    assert s.v.user[HOUSE]["volume_14d_micro"] == 2_000 * MICRO


@pytest.mark.parametrize("oracle", [50.05, 99.95, 137.7])
def test_a_price_at_the_edge_of_the_band_is_within_it(engine, oracle):
    # 80 % away, exactly: 50.05 x 1.8 is 90.09, which floats take for a little more.
    s = venue(account(1, 1_000_000), engine=engine)
    s.update(HYPE=oracle)
    for price, code in ((oracle * 1.8, RESTING), (oracle * 0.2, RESTING)):
        s.order(0, HYPE_PERP, BUY, round(price, 2), 20)
        s.step()
        assert reply(s, 0) == code
    s.order(0, HYPE_PERP, BUY, round(oracle * 1.8, 2) + 0.01, 20)
    s.step()
    assert reply(s, 0) == R_PRICE_BAND


@pytest.mark.parametrize(
    ("lent_usd", "cash_usd", "code"),
    [
        (20_000, 0, ACCEPTED),  # more than 10,000
        (9_000, 1_000, R_NOT_ELIGIBLE),
        (24_000_000, 20_000, ACCEPTED),
        (26_000_000, 20_000, R_NOT_ELIGIBLE),  # 25 M or more
    ],
)
def test_lent_cash_is_account_value(engine, lent_usd, cash_usd, code):
    s = venue(account(1, cash_usd, supply_usd=lent_usd), engine=engine)
    s.send(op=OP_ENROL, user=0, qty_lots=MODE_PORTFOLIO)
    s.step()
    assert reply(s, 0) == code
