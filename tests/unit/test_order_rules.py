"""Sizes of orders: bounds by hand, who is exempt, on both venues."""

import pytest

from stressbook.errors import InvalidInput
from stressbook.market.state.codes import (
    BUY,
    CANCELLED,
    FILLED,
    FORCED,
    GTC,
    IOC,
    PLACEBO,
    POST_ONLY,
    R_ORDER_TOO_LARGE,
    R_ORDER_TOO_SMALL,
    REDUCE_ONLY,
    RESTING,
    SELL,
)
from tests.exchange_twin import (
    BTC_PERP,
    BTC_SPOT,
    ETH_PERP,
    HYPE_PERP,
    SOL_PERP,
    SPEC,
    Twin,
    order,
    venue,
)

pytestmark = pytest.mark.boundscheck

SIZES = {"orders.order_min_usd": 10.0} | {
    f"order_sizes.{k}.market_order_max_usd": tier.market_order_max_usd
    for k, tier in enumerate(SPEC.order_sizes)
}


def sized(values=None):
    return Twin(venue(3, values=SIZES | (values or {})))


# A lot of BTC is 0.00001, its tick 1 USD: at 100,000 a lot is worth a dollar.
@pytest.mark.parametrize("inst", [BTC_PERP, BTC_SPOT])
@pytest.mark.parametrize(
    ("tick", "lots", "code"),
    [
        (100_000, 10, RESTING),  # 10 USD
        (99_999, 10, R_ORDER_TOO_SMALL),  # 9.9999 USD
        (100_000, 9, R_ORDER_TOO_SMALL),
    ],
)
def test_an_order_is_worth_ten_dollars_at_its_limit(inst, tick, lots, code):
    assert sized().step(order(0, inst, SELL, tick, lots, tif=POST_ONLY)) == [code]


def test_a_whole_position_may_be_closed_whatever_it_is_worth():
    twin = sized()
    codes = twin.step(
        order(1, BTC_PERP, SELL, 80_000, 20),
        order(0, BTC_PERP, BUY, 80_000, 20),
        order(2, BTC_PERP, BUY, 80_000, 40),
        order(0, BTC_PERP, SELL, 80_000, 15),  # 12 USD
        order(0, BTC_PERP, SELL, 80_000, 4),  # 3.20 of the 4 USD that are left
        order(0, BTC_PERP, SELL, 80_000, 4, flags=REDUCE_ONLY),
        order(0, BTC_PERP, SELL, 80_000, 6),
        order(0, BTC_PERP, SELL, 80_000, 5),
    )
    assert codes == [RESTING, FILLED, RESTING, FILLED, *[R_ORDER_TOO_SMALL] * 3, FILLED]
    assert twin.v.perp[0, BTC_PERP] == 0


def test_a_reduce_only_order_is_worth_what_is_left_to_reduce():
    twin = sized()
    twin.step(order(1, BTC_PERP, SELL, 80_000, 20), order(0, BTC_PERP, BUY, 80_000, 20))
    twin.step(order(2, BTC_PERP, BUY, 80_000, 15), order(0, BTC_PERP, SELL, 80_000, 15))
    cut = order(0, BTC_PERP, SELL, 80_000, 100, flags=REDUCE_ONLY)  # 5 lots
    assert twin.step(cut) == [RESTING]
    most = SIZES | {"order_sizes.3.market_order_max_usd": 10.0}
    twin = Twin(venue(3, values=most))
    twin.step(order(1, BTC_PERP, SELL, 80_000, 20), order(0, BTC_PERP, BUY, 80_000, 20))
    twin.step(order(0, BTC_PERP, SELL, 80_000, 8, tif=IOC))
    cut = order(0, BTC_PERP, SELL, 50_000, 10**6, tif=IOC, flags=REDUCE_ONLY)  # 20 lots, 10 USD
    assert twin.step(cut) == [CANCELLED]


def test_a_few_lots_of_a_token_cannot_be_sold():
    twin = Twin(venue(2, values=SIZES, tokens={1: 5 * 10**5}))  # 5 lots of BTC
    assert twin.step(order(0, BTC_SPOT, SELL, 80_000, 5)) == [R_ORDER_TOO_SMALL]


@pytest.mark.parametrize(
    ("inst", "usd", "most"),
    # By maximum leverage: 40, 25, 20, 10.
    [
        (BTC_PERP, 80_000, 30e6),
        (ETH_PERP, 2_500, 30e6),
        (SOL_PERP, 100, 5e6),
        (HYPE_PERP, 80, 2e6),
    ],
)
def test_an_order_has_a_largest_size_that_is_ten_times_larger_if_it_may_rest(inst, usd, most):
    twin = sized()
    tick = round(usd / float(twin.v.inst[inst].tick_usd))
    lots = round(most / (usd * float(twin.v.inst[inst].lot_size)))
    assert twin.step(
        order(0, inst, BUY, tick, lots, tif=IOC),
        order(0, inst, BUY, tick, lots + 1, tif=IOC),
        order(0, inst, BUY, tick, 10 * lots, tif=GTC),
        order(0, inst, BUY, tick, 10 * lots + 1, tif=GTC),
        order(0, inst, BUY, tick, 10 * lots + 1, tif=POST_ONLY),
    ) == [CANCELLED, R_ORDER_TOO_LARGE, RESTING, R_ORDER_TOO_LARGE, R_ORDER_TOO_LARGE]


def test_perps_of_little_leverage_have_the_smallest_bound():
    tiers = SPEC.with_values({"order_sizes.1.leverage_from": 11})
    assert [tiers.market_order_max_usd(book) for book in tiers.instruments[:4]] == [
        30e6,
        30e6,
        5e6,
        500e3,
    ]
    assert [SPEC.market_order_max_usd(book) for book in SPEC.instruments[3:]] == [2e6, 0, 0, 0]


def test_tokens_have_no_largest_order():
    lots = 6 * 10**10  # 6 billion USD
    assert sized().step(order(0, BTC_SPOT, BUY, 10_000, lots, tif=GTC)) == [RESTING]


def test_orders_of_the_venue_and_of_a_study_have_any_size():
    small = [order(0, BTC_PERP, BUY, 80_000, 1, tif=IOC, flags=f) for f in (FORCED, PLACEBO, 0)]
    assert sized().step(*small) == [CANCELLED, CANCELLED, R_ORDER_TOO_SMALL]
    large = order(0, HYPE_PERP, BUY, 80_000, 10**8, tif=IOC, flags=FORCED)
    assert sized().step(large) == [CANCELLED]


def test_zero_is_any_size():
    values = {"orders.order_min_usd": 0.0, "order_sizes.3.market_order_max_usd": 0.0}
    small = order(0, BTC_PERP, BUY, 1, 1, tif=IOC)
    assert sized(values).step(small) == [CANCELLED]
    large = order(0, BTC_PERP, BUY, 80_000, 10**9, tif=IOC)
    assert sized(values).step(large) == [CANCELLED]


def test_tiers_of_sizes_rise_from_one():
    with pytest.raises(InvalidInput, match="do not rise from 1"):
        SPEC.with_values({"order_sizes.2.leverage_from": 5})
