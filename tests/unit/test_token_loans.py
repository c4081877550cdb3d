"""Tokens that are borrowed: short sales, interest, repayment, breach, takeover, write-off by hand.

HYPE at 100, loan-to-value .65; BTC at 100,000, loan-to-value .5; a taker pays .07 %. A lot of
either is a dollar at these prices.
"""

import pytest

from stressbook.errors import InvalidInput
from stressbook.market.opening.setup import AccountOpening
from stressbook.market.state.codes import (
    ACCEPTED,
    BORNE_BY_SUPPLIERS,
    BUY,
    EV_BREACH,
    EV_INTEREST,
    EV_MARGIN_EXPIRED,
    EV_SLICE,
    EV_TAKEOVER_ALL,
    EV_TOKEN_DEBT,
    EV_WRITTEN_OFF,
    FILLED,
    GTC,
    IOC,
    MODE_PORTFOLIO,
    OP_CANCEL_ALL,
    OP_DEPOSIT,
    OP_ENROL,
    OP_REDEEM,
    OP_SUPPLY,
    OP_WITHDRAW,
    R_BAD_TOKEN,
    R_CAP_REACHED,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    R_NOT_ELIGIBLE,
    R_UTILISATION_FULL,
    REGIME_PORTFOLIO,
    RESTING,
    SELL,
)
from tests.small_venue import (
    BTC,
    BTC_SPOT,
    ETH,
    HYPE,
    HYPE_SPOT,
    SPEC,
    SmallVenue,
    trader,
)

ONE = 10**8  # units of a HYPE
HOUR_MS = 3_600_000
FEE = 0.0007
LENT = {
    f"tokens__{name}__{key}": value
    for name, cap in (("BTC", 10.0), ("HYPE", 10_000.0))
    for key, value in (
        ("borrowable", True),
        ("user_borrow_cap", cap),
        ("platform_borrow_cap", 2.0 * cap),
    )
}
SHORT, LENDER, HOUSE = 0, 1, 2  # users
NO_BACKSTOP = {"backstop_usd": 0.0}


def venue(cash_usd=10_000, *, engine, lent=1_000, tokens=None, portfolio=True, **more):
    """A short seller, a lender of HYPE and one BTC, and a house that trades with anybody."""
    return SmallVenue(
        trader(1, cash_usd, tokens=tokens, portfolio=portfolio),
        trader(
            2,
            1_000,
            tokens={HYPE: lent, BTC: 1},
            portfolio=False,
            lent={HYPE: lent * ONE, BTC: 10**10},
        ),
        trader(3, 10_000_000, tokens={HYPE: 50_000, BTC: 50}, portfolio=False),
        engine=engine,
        **(LENT | more),
    )


def asks(s, inst, side, usd, lots, *, user=SHORT, tif=IOC):
    """Send one order in a step of its own; return the reply."""
    s.order(user, inst, side, usd, lots, tif=tif)
    s.step()
    return int(s.v.reply[0]["code"])


def quotes(s, inst, side, usd, lots):
    s.order(HOUSE, inst, side, usd, lots, tif=GTC)
    s.step()


def sells(s, lots, *, usd=100.0, inst=HYPE_SPOT):
    """Sell short to the house."""
    quotes(s, inst, BUY, usd, lots)
    return asks(s, inst, SELL, usd, lots)


def sends(s, op, token, units, user=LENDER):
    s.send(op=op, user=user, inst=token, qty_lots=units)
    s.step()
    return int(s.v.reply[0]["code"])


def hour(s, **prices):
    s.t_ms += HOUR_MS - 9_000 - s.t_ms % HOUR_MS
    s.step(9_000, **prices)


def owed(s, user=SHORT, token=HYPE):
    return int(s.v.debt[user, token])


def test_a_sale_of_what_is_not_there_borrows_it_against_cash(engine):
    s = venue(engine=engine)
    assert sells(s, 10_000) == FILLED
    assert owed(s) == 100 * ONE
    assert int(s.v.token[SHORT, HYPE]) == 0
    assert s.cash_usd(SHORT) == pytest.approx(10_000 + 10_000 * (1 - FEE))
    s.update()
    # Equity falls by the debt; the ratio is what is owed over all cash.
    risk, cash = s.v.risk[SHORT], s.cash_usd(SHORT)
    assert risk["judged_as_portfolio"] == 1
    assert risk["equity_usd"] == pytest.approx(cash - 10_000)
    assert risk["ratio"] == pytest.approx(10_000 / cash)
    assert risk["debt_usd"] == pytest.approx(10_000)
    # 10,000 / .65 stay bound.
    assert risk["available_usd"] == pytest.approx(cash - 10_000 / 0.65)


@pytest.mark.parametrize(("lots", "code"), [(18_547, FILLED), (18_549, R_INSUFFICIENT_MARGIN)])
def test_what_may_be_sold_short_against_cash(lots, code, engine):
    # S (1 / .65 - .9993) = 10,000, so S = 18,547.8.
    assert sells(venue(engine=engine), lots) == code


@pytest.mark.parametrize(("lots", "code"), [(92_700, FILLED), (92_800, R_INSUFFICIENT_MARGIN)])
def test_what_may_be_sold_short_against_another_token(lots, code, engine):
    # S (1 / .65 - .9993) = .5 x 100,000, so S = 92,738.
    assert sells(venue(0, tokens={BTC: 1}, engine=engine), lots) == code


@pytest.mark.parametrize(
    ("values", "lots", "code"),
    [
        ({"tokens__HYPE__user_borrow_cap": 50.0}, 5_001, R_CAP_REACHED),
        ({"tokens__HYPE__user_borrow_cap": 50.0}, 5_000, FILLED),
        ({"tokens__HYPE__platform_borrow_cap": 50.0}, 5_001, R_CAP_REACHED),
        ({"lent": 50}, 5_001, R_UTILISATION_FULL),
        ({"lent": 50}, 5_000, FILLED),
        ({"tokens__HYPE__borrowable": False, "lent": 0}, 1, R_INSUFFICIENT_BALANCE),
        ({"portfolio": False}, 1, R_INSUFFICIENT_BALANCE),
    ],
)
def test_caps_and_pool_bound_what_is_borrowed(values, lots, code, engine):
    s = venue(engine=engine, **values) if values.get("lent") != 0 else plain(engine)
    assert sells(s, lots) == code
    assert owed(s) == (lots * ONE // 100 if code == FILLED else 0)


def plain(engine):
    """The rules as published: HYPE is not lent."""
    return SmallVenue(
        trader(1, 10_000, portfolio=True),
        trader(2, 1_000),
        trader(3, 10_000_000, tokens={HYPE: 50_000}, portfolio=False),
        engine=engine,
    )


def test_an_account_in_breach_sells_nothing_short(engine):
    s = venue(engine=engine, liquidation__resolution_on=False)
    sells(s, 18_500)
    s.update(HYPE=150.0)
    assert s.v.user[SHORT]["breached"] == 1
    assert asks(s, HYPE_SPOT, SELL, 150.0, 1) == R_IN_RESOLUTION


def test_interest_in_tokens_and_the_lender_s_share(engine):
    s = venue(engine=engine)
    sells(s, 10_000)
    hour(s)
    # 5 % a year while 100 of 1,000 are lent; debt up, a tenth kept, the rest to the lender.
    interest = -(-100 * ONE * 5_569_668_955 // 10**15)
    assert owed(s) == 100 * ONE + interest
    assert int(s.v.reserve[HYPE].retained) == interest // 10
    assert int(s.v.supply[LENDER, HYPE]) == 1_000 * ONE + interest - interest // 10
    event = next(e for e in s.events if e["kind"] == EV_INTEREST and e["inst"] == HYPE)
    assert int(event["lots"]) == interest
    assert int(s.v.debt[SHORT, 0]) == 0


def test_a_higher_rate_beyond_the_kink(engine):
    s = venue(engine=engine, lent=100)
    sells(s, 9_000)
    hour(s)
    assert float(s.v.reserve[HYPE].utilisation) == 0.9
    assert float(s.v.reserve[HYPE].borrow_rate) == pytest.approx(0.525)


def test_what_is_bought_back_repays_at_the_hour(engine):
    s = venue(engine=engine)
    sells(s, 10_000)
    quotes(s, HYPE_SPOT, SELL, 101.0, 4_000)
    assert asks(s, HYPE_SPOT, BUY, 101.0, 4_000) == FILLED
    assert (owed(s), int(s.v.token[SHORT, HYPE])) == (100 * ONE, 40 * ONE)
    s.update()
    # What lies idle is no debt already.
    assert s.v.risk[SHORT]["debt_usd"] == pytest.approx(60 * 100.0, rel=0.02)
    hour(s)
    interest = -(-100 * ONE * 5_569_668_955 // 10**15)
    assert owed(s) == 60 * ONE + interest
    assert int(s.v.token[SHORT, HYPE]) == 0


def test_who_is_short_to_the_limit_may_still_buy_back(engine):
    s = venue(engine=engine)
    assert sells(s, 18_500) == FILLED
    quotes(s, HYPE_SPOT, SELL, 100.0, 30_000)
    # Beyond what is owed it would need cash that is bound.
    assert asks(s, HYPE_SPOT, BUY, 100.0, 28_600) == R_INSUFFICIENT_MARGIN
    assert asks(s, HYPE_SPOT, BUY, 100.0, 18_500) == FILLED
    hour(s)
    assert owed(s) < ONE // 100  # the interest of an hour or two


def test_a_resting_bid_that_buys_back_fills(engine):
    s = venue(engine=engine)
    assert sells(s, 18_500) == FILLED
    assert asks(s, HYPE_SPOT, BUY, 100.0, 18_500, tif=GTC) == RESTING
    quotes(s, HYPE_SPOT, SELL, 100.0, 18_500)
    assert int(s.v.token[SHORT, HYPE]) == 185 * ONE
    assert EV_MARGIN_EXPIRED not in s.kinds()


def test_what_is_on_offer_is_not_repaid(engine):
    s = venue(engine=engine)
    assert asks(s, HYPE_SPOT, SELL, 110.0, 10_000, tif=GTC) == RESTING
    assert (owed(s), int(s.v.token[SHORT, HYPE])) == (100 * ONE, 100 * ONE)
    hour(s)
    assert owed(s) > 100 * ONE
    s.send(op=OP_CANCEL_ALL, user=SHORT, inst=-1)
    s.step()
    hour(s)
    assert owed(s) < ONE // 100  # the interest of an hour or two


def test_an_offer_expires_where_its_fill_would_lack_margin(engine):
    s = venue(engine=engine)
    assert asks(s, HYPE_SPOT, SELL, 101.0, 15_000, tif=GTC) == RESTING
    # 150 short at 140 need 32,308, and 10,000 + 15,150 are there.
    s.update(HYPE=140.0)
    asks(s, HYPE_SPOT, BUY, 140.0, 15_000, user=HOUSE)
    assert EV_MARGIN_EXPIRED in s.kinds(SHORT)
    assert s.cash_usd(SHORT) == 10_000


def test_borrowed_tokens_and_what_stands_for_them_stay(engine):
    s = venue(0, tokens={BTC: 1}, engine=engine)
    assert sells(s, 30_000) == FILLED
    quotes(s, HYPE_SPOT, SELL, 100.0, 1_000)
    assert asks(s, HYPE_SPOT, BUY, 100.0, 1_000) == FILLED
    assert sends(s, OP_WITHDRAW, HYPE, 1, user=SHORT) == R_INSUFFICIENT_BALANCE
    assert sends(s, OP_SUPPLY, HYPE, 1, user=SHORT) == R_INSUFFICIENT_BALANCE
    # 29,000 / .65 of the 50,000 that a BTC carries are used, so cash is free and .1077 BTC are.
    cash = int(s.v.cash[SHORT])
    assert sends(s, OP_WITHDRAW, 0, cash, user=SHORT) == ACCEPTED
    assert sends(s, OP_WITHDRAW, BTC, 1_080_000_000, user=SHORT) == R_INSUFFICIENT_MARGIN
    assert sends(s, OP_WITHDRAW, BTC, 1_070_000_000, user=SHORT) == ACCEPTED
    s.send(op=OP_ENROL, user=SHORT, qty_lots=0)
    s.step()
    assert int(s.v.reply[0]["code"]) == R_NOT_ELIGIBLE


def test_lenders_supply_and_redeem_what_is_not_lent(engine):
    s = venue(engine=engine, lent=100)
    sells(s, 9_000)
    assert sends(s, OP_REDEEM, HYPE, 10 * ONE + 1) == R_UTILISATION_FULL
    assert sends(s, OP_REDEEM, HYPE, 10 * ONE) == ACCEPTED
    assert sends(s, OP_REDEEM, HYPE, 200 * ONE) == R_INSUFFICIENT_BALANCE
    assert sends(s, OP_SUPPLY, HYPE, 10 * ONE + 1) == R_INSUFFICIENT_BALANCE
    assert asks(s, HYPE_SPOT, SELL, 150.0, 600, user=LENDER, tif=GTC) == RESTING
    assert sends(s, OP_SUPPLY, HYPE, 5 * ONE) == R_INSUFFICIENT_BALANCE  # six are on offer
    assert sends(s, OP_SUPPLY, HYPE, 4 * ONE) == ACCEPTED
    assert int(s.v.supply[LENDER, HYPE]) == 94 * ONE
    assert sends(s, OP_SUPPLY, ETH, 1) == R_BAD_TOKEN
    assert sends(s, OP_REDEEM, ETH, 1) == R_BAD_TOKEN
    assert sends(s, OP_SUPPLY, 99, 1) == R_BAD_TOKEN
    assert sends(s, OP_SUPPLY, HYPE, -1) != ACCEPTED


def test_supply_caps_hold_for_tokens(engine):
    s = venue(engine=engine, tokens__HYPE__user_supply_cap=1_000.0)
    assert sends(s, OP_DEPOSIT, HYPE, ONE) == ACCEPTED
    assert sends(s, OP_SUPPLY, HYPE, 1) == R_CAP_REACHED


def test_two_debts_count_together(engine):
    s = venue(10_000, engine=engine)
    assert sells(s, 4_000) == FILLED
    assert sells(s, 3_000, usd=100_000.0, inst=BTC_SPOT) == FILLED
    assert (owed(s), owed(s, token=BTC)) == (40 * ONE, 3 * 10**8)
    s.update()
    cash, risk = s.cash_usd(SHORT), s.v.risk[SHORT]
    assert risk["ratio"] == pytest.approx(7_000 / cash, rel=1e-3)
    assert risk["available_usd"] == pytest.approx(cash - 4_000 / 0.65 - 3_000 / 0.5, rel=1e-3)


def short_of(lots, *, engine, **more):
    s = venue(engine=engine, **more)
    assert sells(s, lots) == FILLED
    return s


def test_a_breach_and_a_slice_for_cash(engine):
    # 185 HYPE are owed against 28,487 USDC: .95 of it are 146.29 each.
    s = short_of(18_500, engine=engine)
    cash = s.cash_usd(SHORT)
    s.update(HYPE=146.2)
    assert EV_BREACH not in s.kinds()
    s.update(HYPE=147.0)
    assert EV_BREACH in s.kinds(SHORT)
    # A fifth, 5,439, at a discount of .35 / 3 x 5,439 / 3 M.
    event = s.event(EV_TOKEN_DEBT, SHORT)
    assert int(event["lots"]) == 37 * ONE
    assert int(event["amount_micro"]) == 5_439 * 10**6
    paid = cash - s.cash_usd(SHORT)
    assert paid == pytest.approx(5_439 / (1 - 0.35 / 3 * 5_439 / 3e6), abs=1e-4)
    assert (owed(s), owed(s, s.backstop)) == (148 * ONE, 37 * ONE)
    # A fifth of 37 x 1,000 lots in its half-life of 10 minutes: it buys back at once.
    forced = s.forced[s.forced["user"] == s.backstop]
    assert [(int(m["inst"]), int(m["side"])) for m in forced] == [(HYPE_SPOT, BUY)]
    assert 1 <= int(forced[0]["qty_lots"]) < 20


def test_slices_for_collateral_where_the_cash_is_gone(engine):
    s = short_of(30_000, engine=engine, cash_usd=0, tokens={BTC: 1})
    assert sends(s, OP_WITHDRAW, 0, int(s.v.cash[SHORT]), user=SHORT) == ACCEPTED
    s.update(HYPE=237.0)  # .95 x .75 x 100,000 are 71,250, and 71,100 are owed
    assert EV_BREACH not in s.kinds()
    s.update(HYPE=238.0)
    part = 71_400 / 5
    price = 100_000 * (1 - 0.5 / 3 * part / 300_000)
    event = s.event(EV_SLICE, SHORT)
    assert (int(event["inst"]), int(event["amount_micro"])) == (BTC, 14_280 * 10**6)
    assert int(event["lots"]) == pytest.approx(part / price * 1e10, abs=2)
    assert int(s.event(EV_TOKEN_DEBT, SHORT)["lots"]) == 60 * ONE


def test_the_whole_is_taken_over_and_bought_back(engine):
    s = short_of(18_500, engine=engine)
    quotes(s, HYPE_SPOT, SELL, 150.0, 18_500)
    s.update(HYPE=155.0)  # 28,675 are owed, 28,487 are there
    event = s.event(EV_TAKEOVER_ALL, SHORT)
    assert int(event["amount_micro"]) == 28_675 * 10**6
    assert (owed(s), s.cash_usd(SHORT), owed(s, s.backstop)) == (0, 0.0, 185 * ONE)
    before = owed(s, s.backstop)
    for _ in range(4):
        s.update()
    assert 0 < owed(s, s.backstop) < before  # bought in the book, repaid at the next update
    assert int(s.v.token[s.backstop, HYPE]) < 200 * ONE // 100


@pytest.mark.parametrize("retained", [0, 3 * ONE])
def test_what_nothing_can_buy_back_is_written_off(retained, engine):
    s = short_of(18_500, engine=engine, liquidation__twap_halflife_ms=300, **NO_BACKSTOP)
    if retained:
        hour(s)
        retained = int(s.v.reserve[HYPE].retained)
    supplied = int(s.v.supply[LENDER, HYPE])
    s.update(HYPE=250.0)
    assert EV_TAKEOVER_ALL in s.kinds(SHORT)
    quotes(s, HYPE_SPOT, SELL, 250.0, 40_000)
    debt = owed(s, s.backstop)
    lost = 0
    for _ in range(6):
        s.update()
        lost += sum(
            int(e["lots"])
            for e in s.events
            if e["kind"] == EV_WRITTEN_OFF and e["cause"] == BORNE_BY_SUPPLIERS
        )
    assert owed(s, s.backstop) == 0
    # 28,487 USDC buy 113.8 of the 185 at 250; what is left of retained interest goes first.
    assert lost == pytest.approx((185 - 113.8) * ONE, rel=0.02)
    assert int(s.v.supply[LENDER, HYPE]) == supplied - lost
    assert int(s.v.reserve[HYPE].retained) == 0
    assert debt - 185 * ONE < ONE // 100


def test_a_debt_with_nothing_left_is_written_off_at_once(engine):
    s = SmallVenue(
        AccountOpening(
            key=1,
            tokens={HYPE: -ONE},
            borrowed={HYPE: ONE},
            regime=REGIME_PORTFOLIO,
            account_mode=MODE_PORTFOLIO,
        ),
        AccountOpening(key=2, tokens={HYPE: 5 * ONE}, lent={HYPE: 4 * ONE}),
        engine=engine,
        **LENT,
    )
    s.update()
    event = s.event(EV_WRITTEN_OFF, 0)
    assert (int(event["inst"]), int(event["lots"])) == (HYPE, ONE)
    assert int(event["amount_micro"]) == 100 * 10**6
    assert int(s.v.supply[1, HYPE]) == 3 * ONE


def test_collateral_counts_in_proportion_to_what_the_platform_s_cap_leaves(engine):
    s = venue(
        0,
        tokens={HYPE: 1_000},
        lent=1_000,
        engine=engine,
        tokens__HYPE__platform_supply_cap=1_500.0,
    )
    s.update()
    assert float(s.v.reserve[HYPE].counted_share) == 0.5
    assert int(s.v.reserve[HYPE].total_supply) == 1_000 * ONE


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"tokens.ETH.borrowable": True}, "tokens.ETH.ltv"),
        ({"tokens.USDC.borrowable": False}, "tokens.USDC.borrowable"),
    ],
)
def test_what_cannot_be_lent(values, place):
    with pytest.raises(InvalidInput) as caught:
        SPEC.with_values(values)
    assert place in {problem.name for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"borrowed": {HYPE: 1}}, "accounts[0].borrowed[3]"),
        ({"lent": {ETH: 1}}, "accounts[0].lent[2]"),
        ({"lent": {HYPE: 1}}, "accounts[0].lent[3]"),
        ({"tokens": {HYPE: -1}}, "accounts[0].tokens[3]"),
    ],
)
def test_loans_at_the_opening_are_checked(changes, place):
    values = {} if "borrowed" in changes else LENT
    fields = {"regime": REGIME_PORTFOLIO, "account_mode": MODE_PORTFOLIO} | changes
    account = AccountOpening(key=1, **fields)
    with pytest.raises(InvalidInput) as caught:
        SmallVenue(account, engine="kernel", **values)
    assert place in {problem.name for problem in caught.value.problems}
