"""The worst at once: a fall of 99 %, empty books, a pool lent out, a backstop without money.

Each run ends conserved (`SmallVenue` checks every step), with the loss booked where the rules say.
"""

import pytest

from stressbook.market.state.codes import BUY, CAUSE_DEFICIT, EV_DEFICIT, EV_DELEVERAGED, GTC
from tests.distress import RULE_SETS, DistressedVenue
from tests.small_venue import BTC_PERP, HYPE, HYPE_PERP, HYPE_SPOT, SmallVenue, trader

pytestmark = pytest.mark.boundscheck

N = 12
LENDER = N


def borrowers(**rules):
    """Twelve accounts of 100 HYPE and 6,000 USDC of debt, one lender; the pool is lent out."""
    accounts = [trader(1 + i, 0, tokens={HYPE: 100.0}, debt_usd=6_000) for i in range(N)]
    accounts.append(trader(90, 6_000 * N, supply_usd=6_000 * N))
    return SmallVenue(*accounts, backstop_usd=0.0, **rules)


@pytest.mark.parametrize("engine", ["kernel", "reference"])
def test_a_crash_with_a_full_pool_and_no_capital_falls_on_the_lenders(engine):
    v = borrowers(engine=engine, liquidation__twap_halflife_ms=300)
    v.update()
    assert v.v.reserve[0].utilisation == 1.0 or v.v.reserve[0].total_debt == 6_000 * N * 10**6
    v.update(HYPE=1.0)
    assert v.v.token[:N, HYPE].sum() == 0  # all went at once, with their loans
    assert v.v.debt[v.backstop, 0] == 6_000 * N * 10**6
    assert v.v.reserve[0].supplier_loss == 0  # nothing is written off while tokens are unsold
    v.order(LENDER, HYPE_SPOT, BUY, 1.0, 200_000, tif=GTC)
    for _ in range(40):
        v.update(HYPE=1.0)
    assert v.v.token[v.backstop, HYPE] < 10**6  # less than a lot
    assert v.v.debt[v.backstop, 0] == 0
    lost = float(v.v.reserve[0].supplier_loss) / 1e6
    # 1,200 HYPE brought a dollar each, less the taker's fee of 0.07 %.
    assert lost == pytest.approx(6_000 * N - 1_200 * (1 - 0.0007), abs=1.0)
    assert float(v.v.supply[LENDER, 0]) / 1e6 == pytest.approx(6_000 * N - lost, abs=1e-5)
    assert v.v.flow[v.v.par[0].row_treasury, 0, CAUSE_DEFICIT] == 0


@pytest.mark.parametrize("engine", ["kernel", "reference"])
def test_empty_books_deleverage_all_at_the_previous_mark(engine):
    longs = [trader(1 + i, 300, {BTC_PERP: (4_000, 100_000.0)}) for i in range(N)]
    shorts = [trader(50 + i, 5_000, {BTC_PERP: (-6_000, 100_000.0)}) for i in range(8)]
    v = SmallVenue(*longs, *shorts, engine=engine, backstop_usd=0.0)
    v.update()
    v.update(BTC=1_000.0)
    assert not v.v.perp.any()
    closed = [e for e in v.events if e["kind"] == EV_DELEVERAGED]
    assert sum(int(e["lots"]) for e in closed) == 4_000 * N
    # At the previous mark everybody gets what it brought; the treasury pays nothing.
    assert [v.cash_usd(user) for user in range(N + 8)] == [300.0] * N + [5_000.0] * 8
    assert EV_DEFICIT not in v.kinds()


@pytest.mark.parametrize(("socialise", "payer"), [("none", "treasury"), ("positions", "holders")])
def test_without_deleveraging_what_is_left_falls_where_the_rule_says(socialise, payer):
    v = SmallVenue(
        trader(1, 300, {BTC_PERP: (4_000, 100_000.0)}),
        trader(2, 50_000, {BTC_PERP: (-4_000, 100_000.0), HYPE_PERP: (1_000, 100.0)}),
        trader(3, 50_000, {HYPE_PERP: (-1_000, 100.0)}),
        backstop_usd=0.0,
        liquidation__adl_on=False,
        liquidation__socialise=socialise,
    )
    v.update()
    v.order(1, BTC_PERP, BUY, 50_000.0, 4_000, tif=GTC)
    v.update(BTC=50_000.0)
    for _ in range(4):
        v.update()
    assert v.v.perp[0, BTC_PERP] == 0
    # Forced orders go as far as 10 % below the mark and meet 50,000: 2,000 lost, 300 there, fees.
    deficit = sum(
        int(v.v.flow[row, 0, CAUSE_DEFICIT])
        for row in range(len(v.v.cash))
        if v.v.flow[row, 0, CAUSE_DEFICIT] > 0
    )
    assert deficit / 1e6 == pytest.approx(1_700.9, abs=1.0)
    treasury = -int(v.v.flow[v.v.par[0].row_treasury, 0, CAUSE_DEFICIT])
    if payer == "treasury":
        assert treasury == deficit
    else:
        assert treasury < 10  # what rounding leaves
        assert v.v.flow[1, 0, CAUSE_DEFICIT] < 0


def test_everything_breaks_at_once_under_every_set_of_rules():
    """Random venues under a fall of 99 % with nobody quoting, and up again: conserved."""
    for rules in sorted(RULE_SETS):
        venue = DistressedVenue(7, engine="kernel", values=RULE_SETS[rules])
        venue.update(BTC=1_000.0, HYPE=1.0)
        for _ in range(5):
            venue.update()
        venue.update(BTC=240_000.0, HYPE=200.0)
        for _ in range(5):
            venue.update()
