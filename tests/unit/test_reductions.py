"""Closing a position where orders are netted: a hedge may not be taken apart beyond its margin."""

import pytest

from stressbook.market.state.codes import (
    BUY,
    CANCELLED,
    CAUSE_FUNDING,
    EV_MARGIN_EXPIRED,
    FILLED,
    FORCED,
    GTC,
    IOC,
    R_INSUFFICIENT_MARGIN,
    REDUCE_ONLY,
    RESTING,
    SELL,
)
from stressbook.market.state.ledger import move_cash
from stressbook.market.state.records import C_REPLIES
from tests.small_venue import (
    BTC,
    BTC_PERP,
    HOUSE,
    HOUSE_CASH,
    HYPE_PERP,
    LONG,
    SmallVenue,
    trader,
)

ENGINES = ("kernel", "reference")
PRICE = 100_000.0
# Initial margin of one bitcoin, hedged by its perp and without it.
HEDGED_AND_NAKED = {
    "paradex": (1_000, 16_000),
    "span": (1_100, 33_000),
    "tims": (750, 15_000),
    "deribit": (1_000, 16_000),
}


def venue(engine, regime, cash_usd, position, *, tokens=None, debt_usd=0):
    """One account with a perp position in USD, and a house on the other side of it."""
    s = SmallVenue(
        trader(
            1,
            cash_usd,
            {BTC_PERP: (position, PRICE)},
            tokens=tokens,
            debt_usd=debt_usd,
            portfolio=True,
        ),
        trader(2, HOUSE_CASH, {BTC_PERP: (-position, PRICE)}, supply_usd=1_000_000),
        engine=engine,
        regime=regime,
    )
    s.update()
    return s


def answer(s, *order, **more):
    """The reply to one order, sent and executed."""
    s.order(*order, **more)
    return replies(s)[0]


def replies(s):
    found = []
    for _ in range(2):  # with its latency an order arrives in this step or in the next
        s.step()
        found += [int(r["code"]) for r in s.v.reply[: s.v.ctr[C_REPLIES]]]
    return found


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("regime", sorted(HEDGED_AND_NAKED))
@pytest.mark.parametrize("flags", [0, REDUCE_ONLY])
def test_a_hedge_is_not_taken_apart_by_its_perp(engine, regime, flags):
    hedged, naked = HEDGED_AND_NAKED[regime]
    for enough in (False, True):
        # Tokens count for 0.95 to 1 of their value, the debt leaves a twentieth of that and more.
        worth = naked + 1 if enough else 5_000
        weight = 0.95 if regime == "deribit" else 1.0
        s = venue(engine, regime, 0, -100_000, tokens={BTC: 1}, debt_usd=weight * 100_000 - worth)
        assert float(s.v.risk[LONG].initial_usd) == pytest.approx(hedged)
        assert answer(s, HOUSE, BTC_PERP, SELL, PRICE, 100_000, tif=GTC) == RESTING
        code = answer(s, LONG, BTC_PERP, BUY, PRICE, 100_000, tif=IOC, flags=flags)
        assert code == (FILLED if enough else R_INSUFFICIENT_MARGIN)
        assert int(s.v.perp[LONG, BTC_PERP]) == (0 if enough else -100_000)


@pytest.mark.parametrize("engine", ENGINES)
def test_forced_orders_are_exempt(engine):
    s = venue(engine, "paradex", 0, -100_000, tokens={BTC: 1}, debt_usd=95_000)
    assert answer(s, HOUSE, BTC_PERP, SELL, PRICE, 100_000, tif=GTC) == RESTING
    flags = REDUCE_ONLY | FORCED
    assert answer(s, LONG, BTC_PERP, BUY, PRICE, 100_000, tif=IOC, flags=flags) == FILLED


@pytest.mark.parametrize("engine", ENGINES)
def test_a_resting_reduction_is_judged_again_at_the_match(engine):
    """It was healthy with 20,000; once it is worth 6,000 nobody may buy its hedge back."""
    for worth, fills in ((20_000, True), (6_000, False)):
        s = venue(engine, "paradex", 120_000, -100_000, tokens={BTC: 1}, debt_usd=200_000)
        code = answer(s, LONG, BTC_PERP, BUY, PRICE, 100_000, tif=GTC, flags=REDUCE_ONLY)
        assert code == RESTING
        move_cash(s.v, LONG, HOUSE, (20_000 - worth) * 10**6, CAUSE_FUNDING)
        s.engine.reload()
        s.order(HOUSE, BTC_PERP, SELL, PRICE, 100_000, tif=IOC)
        kinds, codes = [], []
        for _ in range(2):
            s.step()
            kinds += s.kinds(LONG)
            codes += [int(r["code"]) for r in s.v.reply[: s.v.ctr[C_REPLIES]]]
        assert codes == [FILLED if fills else CANCELLED]
        assert (EV_MARGIN_EXPIRED in kinds) is not fills


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("flags", [0, REDUCE_ONLY])
def test_who_is_below_initial_margin_may_still_reduce(engine, flags):
    """A long of 100,000 on 10,000 misses 6,000; a quarter of it sold frees 4,000."""
    for price, code in ((99_000.0, FILLED), (80_000.0, R_INSUFFICIENT_MARGIN)):
        s = venue(engine, "paradex", 10_000, 100_000)
        assert answer(s, HOUSE, BTC_PERP, BUY, 99_000.0, 25_000, tif=GTC) == RESTING
        # At 99,000 it loses 250 and misses 2,250; at 80,000 it may lose 5,000.
        found = answer(s, LONG, BTC_PERP, SELL, price, 25_000, tif=IOC, flags=flags)
        assert found == code


@pytest.mark.parametrize("engine", ENGINES)
def test_a_pair_is_not_taken_apart_where_underlyings_offset(engine):
    """A pair is asked for its floor, 1.3 x 0.7 % of 130,000; its leg for 1.3 x 1.41 %."""
    s = SmallVenue(
        trader(1, 1_600, {BTC_PERP: (100_000, PRICE), HYPE_PERP: (-30_000, 100.0)}, portfolio=True),
        trader(2, HOUSE_CASH, {BTC_PERP: (-100_000, PRICE), HYPE_PERP: (30_000, 100.0)}),
        engine=engine,
        regime="scan",
        regime__offset_frac=1.0,
    )
    s.update()
    assert float(s.v.risk[LONG].initial_usd) == pytest.approx(1_183.0)
    assert answer(s, HOUSE, HYPE_PERP, SELL, 100.0, 30_000, tif=GTC) == RESTING
    code = answer(s, LONG, HYPE_PERP, BUY, 100.0, 30_000, tif=IOC, flags=REDUCE_ONLY)
    assert code == R_INSUFFICIENT_MARGIN
