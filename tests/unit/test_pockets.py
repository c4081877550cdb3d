"""Isolated margin: what moves between an account and the pockets of its perps, by hand."""

import pytest

from stressbook.market.state.codes import (
    BUY,
    CAUSE_ISOLATED_MARGIN,
    EV_BREACH,
    EV_DEFICIT,
    FROM_POCKET,
    GTC,
    IOC,
    OP_TRANSFER,
    R_BAD_USER,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    R_NOT_SUPPORTED,
    SELL,
)
from tests.small_venue import BTC_PERP, HYPE_PERP, SmallVenue, trader

pytestmark = pytest.mark.boundscheck

MAKER = 1


def venue(cash_usd=1_000, perps=None, *, engine="kernel", **more):
    """A trader at 10x and a maker with plenty; a lot of BTC or HYPE is worth a dollar."""
    other = {inst: (-lots, entry) for inst, (lots, entry) in (perps or {}).items()}
    accounts = [
        trader(1, cash_usd, perps, leverage={BTC_PERP: 10, HYPE_PERP: 5}),
        trader(2, 10_000_000, other),
    ]
    return SmallVenue(*accounts, engine=engine, regime="isolated", **more)


def pocket(v, inst):
    return int(v.v.row_of[0, inst])


def trade(v, side, usd, lots, inst=BTC_PERP):
    v.order(MAKER, inst, 1 - side, usd, lots, tif=GTC)
    v.step()
    v.step()
    v.order(0, inst, side, usd, lots, tif=IOC)
    v.step()
    v.step()


def last_code(v, user=0):
    replies = v.v.reply[: v.v.ctr[12]]
    return int([reply["code"] for reply in replies if reply["user"] == user][-1])


@pytest.mark.parametrize("engine", ["kernel", "reference"])
def test_opening_moves_notional_over_leverage_and_the_fee_in(engine):
    v = venue(engine=engine)
    trade(v, BUY, 100_000.0, 2_000)
    row, fee = pocket(v, BTC_PERP), 0.9  # 0.045 % of 2,000
    assert row != 0
    assert v.v.perp[row, BTC_PERP] == 2_000
    assert v.v.perp[0, BTC_PERP] == 0
    # 200 and the fee came in; the perp cost 2,000, and the fee was paid.
    assert v.cash_usd(row) == pytest.approx(200.0 - 2_000.0)
    assert v.cash_usd(0) == pytest.approx(1_000.0 - 200.0 - fee)


@pytest.mark.parametrize("engine", ["kernel", "reference"])
def test_closing_a_part_frees_that_part_of_the_pocket(engine):
    v = venue(perps={BTC_PERP: (2_000, 100_000.0)}, engine=engine)
    row = pocket(v, BTC_PERP)
    # Half of the account's 1,000, since initial margin is only 200.
    assert v.cash_usd(row) + 2_000.0 == 500.0
    v.update(BTC=110_000.0)
    trade(v, SELL, 110_000.0, 500)
    # Worth 500 + 200 less the fee of 0.2475; a quarter of it goes back.
    worth = 700.0 - 0.2475
    assert v.cash_usd(0) == pytest.approx(500.0 + worth / 4, abs=2e-6)
    assert v.cash_usd(row) + 1_500 * 1.1 == pytest.approx(worth * 3 / 4, abs=2e-6)
    trade(v, SELL, 110_000.0, 1_500)
    assert v.cash_usd(row) == 0.0
    assert v.cash_usd(0) == pytest.approx(1_200.0 - 0.2475 - 0.7425, abs=2e-6)


def test_turning_a_position_frees_all_and_brings_new_margin_in():
    v = venue(perps={BTC_PERP: (1_000, 100_000.0)})
    row = pocket(v, BTC_PERP)
    trade(v, SELL, 100_000.0, 3_000)
    assert v.v.perp[row, BTC_PERP] == -2_000
    fee = 1.35
    # The closing part has no fee of its own; the opened 2,000 bring 200 and the whole fee in.
    assert v.cash_usd(row) - 2_000.0 == pytest.approx(200.0)
    assert v.cash_usd(0) == pytest.approx(1_000.0 - 200.0 - fee)


@pytest.mark.parametrize("engine", ["kernel", "reference"])
def test_a_pocket_that_breaks_leaves_the_rest_of_the_account_alone(engine):
    v = venue(perps={BTC_PERP: (4_000, 100_000.0), HYPE_PERP: (1_000, 100.0)}, engine=engine)
    btc, hype = pocket(v, BTC_PERP), pocket(v, HYPE_PERP)
    free, other = v.v.cash[0], v.v.cash[hype]
    v.order(0, BTC_PERP, BUY, 70_000.0, 10, tif=GTC)
    v.order(0, HYPE_PERP, BUY, 70.0, 10, tif=GTC)
    v.update()
    v.update(BTC=88_000.0)  # 4,000 lose 480, the pocket held 400
    assert v.event(EV_BREACH)["user"] == btc
    assert v.v.open_lots[0, BTC_PERP, BUY] == 0  # orders of the broken perp are gone
    assert v.v.open_lots[0, HYPE_PERP, BUY] == 10
    for _ in range(3):
        v.update()
    assert v.v.perp[btc, BTC_PERP] == 0
    assert v.v.cash[btc] == 0
    # Deleveraged at the previous mark, which leaves it the 400 that it opened with.
    assert v.v.cash[0] == free + 400_000_000
    assert v.v.cash[hype] == other
    assert v.v.perp[hype, HYPE_PERP] == 1_000


def test_what_a_forced_close_leaves_comes_back():
    v = venue(perps={BTC_PERP: (4_000, 100_000.0)}, liquidation__backstop="none")
    row, free = pocket(v, BTC_PERP), v.cash_usd(0)
    v.order(MAKER, BTC_PERP, BUY, 89_500.0, 4_000, tif=GTC)
    v.update(BTC=89_500.0)  # 500 - 420 left: below 1.25 % of the notional? 80 > 44.75
    assert v.v.perp[row, BTC_PERP] == 4_000
    v.update(BTC=88_500.0)  # 40 left against 44
    v.update()
    v.update()
    assert v.v.perp[row, BTC_PERP] == 0
    assert v.v.cash[row] == 0
    assert v.cash_usd(0) > free
    assert EV_DEFICIT not in v.kinds()


def test_margin_can_be_added_and_taken_out():
    v = venue(perps={BTC_PERP: (2_000, 100_000.0)})
    row = pocket(v, BTC_PERP)
    v.update()
    v.send(op=OP_TRANSFER, user=0, inst=BTC_PERP, qty_lots=100_000_000)
    v.step()
    assert v.cash_usd(row) + 2_000.0 == 600.0
    # Initial margin is 200, and so is a tenth of notional.
    v.send(op=OP_TRANSFER, user=0, inst=BTC_PERP, qty_lots=400_000_001, options=FROM_POCKET)
    v.step()
    assert last_code(v) == R_INSUFFICIENT_MARGIN
    v.send(op=OP_TRANSFER, user=0, inst=BTC_PERP, qty_lots=400_000_000, options=FROM_POCKET)
    v.step()
    assert v.cash_usd(row) + 2_000.0 == 200.0
    assert v.cash_usd(0) == 800.0
    v.send(op=OP_TRANSFER, user=0, inst=BTC_PERP, qty_lots=800_000_001)
    v.step()
    assert last_code(v) == R_INSUFFICIENT_BALANCE
    assert v.v.flow[row, 0, CAUSE_ISOLATED_MARGIN] == -300_000_000


def test_pockets_send_no_messages_and_cross_accounts_have_none():
    v = venue()
    v.order(pocket(v, BTC_PERP), BTC_PERP, BUY, 100_000.0, 10, tif=GTC)
    v.step()
    assert last_code(v, pocket(v, BTC_PERP)) == R_BAD_USER
    cross = SmallVenue(trader(1, 1_000))
    cross.send(op=OP_TRANSFER, user=0, inst=BTC_PERP, qty_lots=1)
    cross.step()
    assert last_code(cross) == R_NOT_SUPPORTED


def test_orders_bind_the_accounts_own_cash_only():
    v = venue(cash_usd=100)
    v.order(0, BTC_PERP, BUY, 99_000.0, 980, tif=GTC)  # 97 of margin and the buffer
    v.order(0, HYPE_PERP, BUY, 99.0, 20, tif=GTC)
    v.step()
    assert last_code(v) == R_INSUFFICIENT_MARGIN
