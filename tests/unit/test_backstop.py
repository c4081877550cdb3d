"""What the backstop does with what it took over, by hand-worked numbers on both engines."""

from stressbook.market.state.codes import (
    BORNE_BY_RETAINED,
    EV_BACKSTOP_USED,
    EV_BREACH,
    EV_BREACH_ENDED,
    EV_DELEVERAGED,
    EV_TAKEOVER_ALL,
    EV_WRITTEN_OFF,
    FORCED,
    IOC,
    REDUCE_ONLY,
    SELL,
    TWAP,
)
from tests.small_venue import (
    HOUSE,
    HYPE,
    HYPE_PERP,
    HYPE_SPOT,
    LONG,
    borrower,
    long_against_house,
)


def test_sales_repay_the_debt_then_capital_then_the_reserve_bears_the_rest(engine):
    s = borrower(hype=10_000, debt_usd=600_000, engine=engine, backstop_usd=100_000.0)
    s.v.reserve[0].retained, s.v.reserve[0].claim = 20_000_000_000, -20_000_000_000
    s.engine.reload()
    s.bid(HOUSE, HYPE_SPOT, 50.0, 2_000_000)
    s.step()
    s.update(HYPE=55.0)
    assert s.kinds(LONG)[1] == EV_TAKEOVER_ALL
    part = int(1_000_000 * (1 - 2 ** (-3 / 600)))
    assert s.fills["qty_lots"].tolist() == [part]
    s.update()
    # 3,459 lots at 50 USD a token
    assert s.v.debt[s.backstop, 0] == 600_000_000_000 - part * 500_000
    # The rest by hand in this step: 500,000 in all, for fees of .07 %.
    rest = int(s.v.token[s.backstop, HYPE]) // 10**6
    s.order(s.backstop, HYPE_SPOT, SELL, 50.0, rest, tif=IOC, flags=FORCED | TWAP)
    s.step()
    s.update()
    used = s.event(EV_BACKSTOP_USED, s.backstop)["amount_micro"]
    assert used == 99_650_000_000
    off = s.event(EV_WRITTEN_OFF)
    assert (off["cause"], off["amount_micro"]) == (BORNE_BY_RETAINED, 350_000_000)
    assert s.v.debt[:, 0].sum() == 0


def test_the_backstop_is_deleveraged_below_zero(engine):
    s = long_against_house(15_000, engine=engine, backstop_usd=1_000.0)
    s.update(HYPE=95.0)  # takes 200k with 5,000 of margin: equity 6,000
    s.update(HYPE=91.0)  # loses 8,000
    assert s.kinds(s.backstop) == [EV_BREACH, EV_DELEVERAGED, EV_BREACH_ENDED]
    assert s.v.perp[: s.backstop + 1, HYPE_PERP].tolist() == [0, 0, 0]
    assert s.cash_usd(s.backstop) == 6_000.0


def test_without_deleveraging_the_backstop_only_sells_on(engine):
    s = long_against_house(15_000, engine=engine, backstop_usd=1_000.0, liquidation__adl_on=False)
    s.update(HYPE=95.0)
    s.update(HYPE=91.0)
    assert s.kinds(s.backstop) == [EV_BREACH]
    assert [m["options"] for m in s.forced] == [FORCED | TWAP | REDUCE_ONLY]


def test_thin_equity_alone_is_no_breach_of_the_backstop(engine):
    s = long_against_house(15_000, engine=engine, backstop_usd=1_000.0)
    s.update(HYPE=95.0)
    s.update(HYPE=94.0)  # 4,000 on 188,000
    assert s.kinds(s.backstop) == []
