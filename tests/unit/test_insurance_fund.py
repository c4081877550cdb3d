"""The insurance fund: bankruptcy prices, fees and shortfalls, by published numbers and by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stressbook.market.resolution.insurance_fund import bankruptcy_quote, insurance_delta
from stressbook.market.state.codes import (
    EV_BREACH,
    EV_BREACH_ENDED,
    EV_DEFICIT,
    EV_DELEVERAGED,
    EV_FORCED_ORDER,
    EV_LIQUIDATION_FEE,
    EV_SHORTFALL_PAID,
    EV_TAKEOVER_PERPS,
)
from tests.small_venue import (
    BTC_PERP,
    HOUSE,
    HOUSE_CASH,
    HYPE_PERP,
    LONG,
    SmallVenue,
    long_against_house,
    trader,
)

FUND = {"liquidation__backstop": "insurance_fund"}
PRICES = {"BTC": 50_000.0, "ETH": 3_000.0}
BOOKS = st.lists(
    st.tuples(st.floats(-50.0, 50.0).filter(lambda q: abs(q) > 1e-3), st.floats(1.0, 1e5)),
    min_size=2,
    max_size=5,
)


def quote_of(quote, positions, symbol, delta, rate=0.1):
    """What closing a part must bring, by dYdX's inputs: one rate of maintenance for all."""
    net = quote + sum(q * PRICES[name] for name, q in positions.items())
    needed = sum(abs(q) * PRICES[name] for name, q in positions.items()) * rate
    after = abs(positions[symbol] + delta) - abs(positions[symbol])
    price = PRICES[symbol]
    return bankruptcy_quote(delta * price, net, after * price * rate, needed)


@pytest.mark.parametrize(
    ("quote", "positions", "symbol", "delta", "wanted"),
    [
        (-4501, {"BTC": 0.1}, "BTC", -0.1, 4501.0),
        (-5000, {"BTC": 0.1}, "BTC", -0.05, 2500.0),
        (-5100, {"BTC": 0.1}, "BTC", -0.1, 5100.0),
        (510, {"BTC": -0.004, "ETH": -0.1}, "ETH", 0.1, -306.0),
        (110, {"BTC": 0.004, "ETH": -0.1}, "ETH", 0.1, -306.0),
        (1, {"BTC": 1.0}, "BTC", -1.0, -1.0),
    ],
)
def test_published_bankruptcy_prices_of_dydx(quote, positions, symbol, delta, wanted):
    assert quote_of(quote, positions, symbol, delta) == pytest.approx(wanted, abs=1e-6)


def test_published_deltas_of_the_fund_of_dydx():
    # Short .1 at 50,000 with 4,900: closed at 44,100, a surplus of 490 on 4,410.
    surplus = -4_410.0 - quote_of(4900, {"BTC": -0.1}, "BTC", 0.1)
    assert insurance_delta(surplus, 4_410.0, 0.025) == pytest.approx(110.25)
    assert insurance_delta(surplus, 4_410.0, 1.0) == pytest.approx(490.0)
    assert insurance_delta(0.0, 4_900.0, 0.005) == 0.0
    short = 4_800.0 - quote_of(-4900, {"BTC": 0.1}, "BTC", -0.1)
    assert insurance_delta(short, 4_800.0, 0.005) == pytest.approx(-100.0)


@given(st.floats(-1e6, 1e6), BOOKS, st.floats(0.01, 0.99))
def test_a_slice_at_its_bankruptcy_price_leaves_the_ratio_as_it_was(quote, book, part):
    net = quote + sum(q * price for q, price in book)
    needed = sum(abs(q) * price * 0.05 for q, price in book)
    q, price = book[0]
    change = -part * abs(q) * price * 0.05
    received = bankruptcy_quote(-part * q * price, net, change, needed)
    after = net - part * q * price + received
    assert after / (needed + change) == pytest.approx(net / needed, rel=1e-6, abs=1e-6)


@given(st.floats(-1e6, 1e6), BOOKS)
def test_all_slices_together_bring_what_is_owed(quote, book):
    net = quote + sum(q * price for q, price in book)
    needs = [abs(q) * price * 0.05 for q, price in book]
    quotes = [
        bankruptcy_quote(-q * price, net, -need, sum(needs))
        for (q, price), need in zip(book, needs, strict=True)
    ]
    assert sum(quotes) == pytest.approx(-quote, rel=1e-9, abs=1e-3)


def test_the_fund_takes_positions_with_what_the_account_is_worth(engine):
    s = long_against_house(15_000, engine=engine, backstop_usd=300_000.0, **FUND)
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_TAKEOVER_PERPS, EV_LIQUIDATION_FEE, EV_BREACH_ENDED]
    assert s.event(EV_LIQUIDATION_FEE)["amount_micro"] == 5_000_000_000
    assert s.v.perp[s.backstop, HYPE_PERP] == 200_000
    assert s.v.cash[LONG] == 0
    assert s.equity_usd(s.backstop) == 305_000.0


def test_the_fund_pays_a_shortfall_while_it_can(engine):
    s = long_against_house(9_000, engine=engine, backstop_usd=300_000.0, **FUND)
    s.update(HYPE=95.0)
    assert s.kinds(LONG) == [EV_BREACH, EV_TAKEOVER_PERPS, EV_SHORTFALL_PAID, EV_BREACH_ENDED]
    assert s.event(EV_SHORTFALL_PAID)["amount_micro"] == 1_000_000_000
    assert s.v.cash[LONG] == 0
    assert s.equity_usd(s.backstop) == 299_000.0


def test_beyond_its_limit_winners_are_deleveraged_and_it_pays_what_it_has(engine):
    s = long_against_house(9_000, entry_usd=105.0, engine=engine, backstop_usd=400.0, **FUND)
    s.update(HYPE=95.0)
    # Closed at the previous mark of 100 it is still 1,000 below zero.
    kinds = [EV_BREACH, EV_DELEVERAGED, EV_SHORTFALL_PAID, EV_DEFICIT, EV_BREACH_ENDED]
    assert s.kinds(LONG) == kinds
    assert s.cash_usd(s.backstop) == 0.0
    assert s.cash_usd(s.v.par[0].row_treasury) == -600.0


def test_every_position_takes_its_part_by_maintenance(engine):
    # Worth 6,000 on 12,500 and 5,000 of maintenance, below two thirds.
    s = SmallVenue(
        trader(1, 6_000, {BTC_PERP: (1_000_000, 100_000.0), HYPE_PERP: (-100_000, 100.0)}),
        trader(2, HOUSE_CASH, {BTC_PERP: (-1_000_000, 100_000.0), HYPE_PERP: (100_000, 100.0)}),
        engine=engine,
        **FUND,
    )
    s.update()
    paid = [int(e["amount_micro"]) for e in s.events if e["kind"] == EV_LIQUIDATION_FEE]
    assert paid == pytest.approx([6e9 * 12.5 / 17.5, 6e9 * 5.0 / 17.5], abs=1.0)
    assert sum(paid) == 6_000_000_000
    assert s.v.cash[LONG] == 0


@pytest.mark.parametrize(("bid", "paid"), [(85.2, 426.0), (80.0, -1_036.0)])
def test_a_forced_fill_pays_a_fee_or_has_its_shortfall_paid(engine, bid, paid):
    """4,200 of equity at 85.2 on 4,260 of maintenance: sold there, half a per cent of 85,200."""
    s = long_against_house(19_000, 100_000, engine=engine, **FUND)
    s.bid(HOUSE, HYPE_PERP, bid, 100_000)
    s.step()
    s.update(HYPE=85.2)
    assert s.kinds(LONG)[:2] == [EV_BREACH, EV_FORCED_ORDER]
    kind = EV_LIQUIDATION_FEE if paid > 0 else EV_SHORTFALL_PAID
    assert s.event(kind)["amount_micro"] == pytest.approx(abs(paid) * 1e6, abs=1.0)
    assert EV_DEFICIT not in s.kinds(LONG)
    assert s.cash_usd(s.backstop) == pytest.approx(12_300_000.0 + paid, abs=2e-6)
