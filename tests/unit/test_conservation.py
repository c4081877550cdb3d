"""Each way in which something booked could be created or lost is noticed, and named."""

import pytest

from stressbook.errors import ConservationError
from stressbook.market.state.codes import CAUSE_TRADE
from tests.small_venue import BTC_PERP, HYPE, SmallVenue, trader


def cash(v):
    v.cash[0] += 1


def token(v):
    v.token[1, HYPE] -= 2


def perp(v):
    v.perp[0, BTC_PERP] += 3


def pool(v):
    v.reserve[0].retained += 4


def debts(v):
    v.debt[0, 0] += 5
    v.cash[v.par[0].row_pool0] -= 5
    v.cash[0] += 5


def supplies(v):
    v.reserve[0].total_supply += 6


def flows(v):
    v.flow[0, 0, CAUSE_TRADE] += 7


def claims(v):
    v.flow[0, 1, CAUSE_TRADE] += 8


def open_interest(v):
    v.open_interest[BTC_PERP] -= 9


@pytest.mark.parametrize(
    ("fault", "name", "moved"),
    [
        (cash, "cash", 1),
        (token, "token 3", -2),
        (perp, "perp of instrument 0", 3),
        (pool, "pool and debts of the reserve", -4),
        (debts, "debts", -5),
        (supplies, "supplies", 6),
        (flows, "flows", 7),
        (claims, "claims on the pool", 8),
        (open_interest, "open interest", 9),
    ],
)
def test_what_is_created_or_lost_is_named(fault, name, moved):
    s = SmallVenue(
        trader(1, 1_000, tokens={HYPE: 5}, debt_usd=50), trader(2, 1_000, supply_usd=100)
    )
    s.step()
    fault(s.v)
    with pytest.raises(ConservationError, match="was created or lost") as caught:
        s.books.check(s.v, t_ms=1_000)
    assert (caught.value.name, caught.value.value) == (name, moved)
    assert "t = 1000 ms" in caught.value.hint


def test_what_only_moves_is_no_fault():
    s = SmallVenue(trader(1, 1_000), trader(2, 1_000))
    s.v.cash[0] -= 5
    s.v.cash[1] += 5
    s.v.flow[0, 0, CAUSE_TRADE] -= 5
    s.v.flow[1, 0, CAUSE_TRADE] += 5
    s.books.check(s.v)
