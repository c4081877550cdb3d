"""A deficit is shared by what accounts are worth when it is booked; rounding has its own row."""

import pytest

from stressbook.market.state.codes import CAUSE_DEFICIT, OP_WITHDRAW
from tests.small_venue import HYPE_PERP, SmallVenue, trader


@pytest.mark.parametrize("policy", ["positions", "withdrawal_factor"])
def test_shares_are_of_what_is_there_at_the_booking(policy, engine):
    """A fill has gained since the last mark update, and an account has left with all it had."""
    venue = SmallVenue(
        trader(1, 1_000, {HYPE_PERP: (10_000, 100.0)}),
        trader(2, 30_000, {HYPE_PERP: (-7_000, 100.0)}),
        trader(3, 10_000, {HYPE_PERP: (-3_000, 100.0)}),
        trader(4, 7_000.0),
        trader(5, 60_000),
        engine=engine,
        backstop_usd=0.0,
        liquidation__socialise=policy,
        liquidation__adl_on=False,
    )
    venue.bid(4, HYPE_PERP, 85.0, 10_000)
    venue.step()
    venue.send(op=OP_WITHDRAW, user=3, qty_lots=7_000 * 10**6)
    venue.update(HYPE=89.0)
    borne = venue.v.flow[:, 0, CAUSE_DEFICIT]
    # The long of 100 HYPE is sold at 85, 4 below the mark of 89: the buyer has gained 400.
    equities = [30_000 + 770, 10_000 + 330, 60_000 + 400]
    deficit = int(borne[0])
    assert deficit > 0
    assert int(borne[3]) == 0
    assert int(venue.v.cash[3]) == 0
    payers = [-int(borne[row]) for row in (1, 2, 4)]
    shares = [payer / sum(payers) for payer in payers]
    assert shares == pytest.approx([e / sum(equities) for e in equities], abs=1e-5)
    rounding, treasury = int(venue.v.par[0].row_rounding), int(venue.v.par[0].row_treasury)
    assert sum(payers) - int(borne[rounding]) == deficit
    assert int(borne[treasury]) == 0
    assert 0 < -int(borne[rounding]) <= 3
