"""A cap is met to the last unit: as much as it passes, one unit more is refused."""

import pytest

from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    GTC,
    OP_SUPPLY,
    R_CAP_REACHED,
    RESTING,
)
from stressbook.market.state.records import C_REPLIES
from tests.small_venue import ETH_SPOT, HOUSE_CASH, HYPE, SmallVenue, trader

CAP = 1_000_000_000  # micro-USDC


def reply(venue):
    [found] = venue.v.reply[: venue.v.ctr[C_REPLIES]]
    return int(found["code"])


@pytest.mark.parametrize("cap", ["user_supply_cap", "platform_supply_cap"])
@pytest.mark.parametrize(("extra", "code"), [(0, ACCEPTED), (1, R_CAP_REACHED)])
def test_what_is_lent_is_capped_to_the_unit(cap, extra, code, engine):
    venue = SmallVenue(
        trader(1, 5_000.0), trader(2, 5_000.0), engine=engine, **{f"tokens__USDC__{cap}": CAP / 1e6}
    )
    before = int(venue.v.reserve[0].total_supply)
    room = CAP - before if cap == "platform_supply_cap" else CAP
    venue.send(op=OP_SUPPLY, user=0, inst=0, qty_lots=room + extra)
    venue.step()
    assert reply(venue) == code
    assert int(venue.v.reserve[0].total_supply) == before + (room if code == ACCEPTED else 0)


@pytest.mark.parametrize("cap", ["user_borrow_cap", "platform_borrow_cap"])
@pytest.mark.parametrize(("less", "code"), [(0, RESTING), (1, R_CAP_REACHED)])
def test_what_is_borrowed_is_capped_to_the_unit(cap, less, code, engine):
    """A bid without any cash needs its whole value as a loan."""
    probe = bidder(engine)
    need = int(probe.v.debt[0, 0])
    assert need > 0
    venue = bidder(engine, **{f"tokens__USDC__{cap}": (need - less) / 1e6})
    assert reply(venue) == code
    assert int(venue.v.debt[0, 0]) == (need if code == RESTING else 0)


def bidder(engine, **rules):
    venue = SmallVenue(
        trader(1, 0.0, tokens={HYPE: 1_000}),
        trader(2, HOUSE_CASH, supply_usd=1e6),
        engine=engine,
        **rules,
    )
    venue.update()
    venue.order(0, ETH_SPOT, BUY, 1_000.0, 100, tif=GTC)
    venue.step()
    return venue
