"""Open-interest caps by hand: what a perp at its cap still takes, on both venues."""

import pytest

from stressbook.errors import InvalidInput
from stressbook.market.reference.order_rules import order_rules_of
from stressbook.market.state.codes import (
    BUY,
    CANCELLED,
    FILLED,
    FORCED,
    GTC,
    IOC,
    POST_ONLY,
    R_OPEN_INTEREST_CAP,
    REDUCE_ONLY,
    RESTING,
    SELL,
)
from tests.exchange_twin import BTC_PERP, BTC_SPOT, SPEC, Twin, order, venue

pytestmark = pytest.mark.boundscheck

LONG, SHORT, NEW = 0, 1, 2
MARK = 78_803  # USD, and ticks: 100 lots are worth 78.803 USD
CAP = "instruments.BTC-PERP.open_interest_cap_usd"


def perp(user, side, lots, *, tick=MARK, tif=GTC, flags=0):
    return order(user, BTC_PERP, side, tick, lots, tif=tif, flags=flags)


def at_cap(lots=100, cap_usd=78.8):
    """User 0 is long and user 1 short of as many lots."""
    twin = Twin(venue(3, values={CAP: cap_usd}))
    assert twin.step(perp(SHORT, SELL, lots), perp(LONG, BUY, lots)) == [RESTING, FILLED]
    assert twin.v.open_interest[BTC_PERP] == lots
    return twin


def test_a_perp_below_its_cap_takes_an_order_that_leads_beyond():
    twin = at_cap(lots=99)  # 78.01 USD
    assert twin.step(perp(NEW, SELL, 500), perp(LONG, BUY, 500)) == [RESTING, FILLED]
    assert twin.v.open_interest[BTC_PERP] == 599
    assert twin.step(perp(NEW, SELL, 1), perp(LONG, BUY, 1)) == [R_OPEN_INTEREST_CAP] * 2


@pytest.mark.parametrize("tif", [GTC, IOC, POST_ONLY])
@pytest.mark.parametrize(
    ("user", "side", "lots"),
    [(NEW, BUY, 1), (NEW, SELL, 1), (LONG, BUY, 1), (SHORT, SELL, 1), (LONG, SELL, 101)],
)
def test_at_its_cap_nobody_opens_adds_or_turns(user, side, lots, tif):
    assert at_cap().step(perp(user, side, lots, tif=tif)) == [R_OPEN_INTEREST_CAP]


def test_at_its_cap_positions_may_be_reduced():
    twin = at_cap()
    assert twin.step(
        perp(LONG, SELL, 60),
        perp(LONG, SELL, 41),  # 101 with what rests
        perp(LONG, SELL, 500, flags=REDUCE_ONLY),
        perp(SHORT, BUY, 70),
    ) == [RESTING, R_OPEN_INTEREST_CAP, RESTING, FILLED]
    assert twin.v.open_interest[BTC_PERP] == 30
    assert twin.step(perp(NEW, SELL, 1)) == [RESTING]  # below again


def test_a_match_at_the_cap_hands_a_position_on():
    """A resting order that was taken before the cap was reached stays, and may still fill."""
    twin = Twin(venue(3, values={CAP: 78.8}))
    twin.step(perp(NEW, BUY, 300, tick=MARK - 5_000), perp(NEW, BUY, 30, tick=MARK - 1))
    twin.step(perp(SHORT, SELL, 100), perp(LONG, BUY, 100))
    assert twin.step(perp(LONG, SELL, 30, tick=MARK - 1)) == [FILLED]
    assert twin.v.perp[:3, BTC_PERP].tolist() == [70, -100, 30]
    assert twin.v.open_interest[BTC_PERP] == 100
    assert twin.step(perp(LONG, SELL, 50, tick=MARK - 5_000, tif=IOC)) == [FILLED]
    assert twin.v.open_interest[BTC_PERP] == 100


@pytest.mark.parametrize(
    ("tick", "tif", "code"),
    [
        (MARK + 788, GTC, RESTING),  # 1 % of the oracle is 788.03 USD
        (MARK + 789, GTC, R_OPEN_INTEREST_CAP),
        (MARK + 789, POST_ONLY, R_OPEN_INTEREST_CAP),
        (MARK - 789, GTC, R_OPEN_INTEREST_CAP),
        (MARK - 20_000, IOC, CANCELLED),  # does not rest
    ],
)
def test_at_its_cap_orders_rest_near_the_oracle(tick, tif, code):
    close = perp(LONG, SELL, 10, tick=tick, tif=tif, flags=REDUCE_ONLY)
    assert at_cap().step(close) == [code]
    assert Twin(venue(3, values={CAP: 0.0})).step(perp(NEW, SELL, 10, tick=MARK + 789)) == [RESTING]


def test_the_backstop_and_orders_of_the_venue_are_exempt():
    twin = at_cap()
    backstop = int(twin.v.par[0].backstop_user)
    assert twin.step(
        perp(backstop, BUY, 10, tick=MARK - 10_000),
        perp(NEW, BUY, 10, tif=IOC, flags=FORCED),
    ) == [RESTING, CANCELLED]


def test_open_interest_counts_at_the_mark():
    twin = at_cap()
    twin.v.price[0]["mark_usd"] = 70_000.0  # 70 USD
    twin.exchange.order_rules = order_rules_of(twin.v)
    assert twin.step(perp(NEW, BUY, 1)) == [RESTING]
    twin.v.price[0]["mark_usd"] = 78_800.0  # 78.80 USD: at the cap
    twin.exchange.order_rules = order_rules_of(twin.v)
    assert twin.step(perp(NEW, BUY, 1)) == [R_OPEN_INTEREST_CAP]


def test_other_books_have_no_cap():
    twin = at_cap()
    assert twin.step(order(NEW, BTC_SPOT, SELL, MARK, 1)) == [RESTING]
    assert twin.step(order(NEW, 1, SELL, 27_000, 1)) == [RESTING]


def test_a_token_has_no_open_interest():
    with pytest.raises(InvalidInput, match="is no perp"):
        SPEC.with_values({"instruments.BTC-SPOT.open_interest_cap_usd": 1.0})
