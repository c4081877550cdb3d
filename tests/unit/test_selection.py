"""Which perps a breached account loses, and how much: by hand and at random."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stressbook.market.numbers.draws import PURPOSE_LIQUIDATED_POSITION, uniform
from stressbook.market.resolution.selection import after_share, share_to_target, size_to_cover
from stressbook.market.state.codes import EV_FORCED_ORDER
from tests.small_venue import BTC_PERP, HOUSE_CASH, HYPE_PERP, SmallVenue, trader


def forced(s):
    found = [e for e in s.events if e["kind"] == EV_FORCED_ORDER]
    return {int(e["inst"]): int(e["lots"]) for e in found}


def two_perps(engine, cash_usd=11_000, *, key=1, **rules):
    """User 0 is long a million of BTC and short a tenth of HYPE, in breach below 17,500."""
    s = SmallVenue(
        trader(key, cash_usd, {BTC_PERP: (1_000_000, 100_000.0), HYPE_PERP: (-100_000, 100.0)}),
        trader(2, HOUSE_CASH, {BTC_PERP: (-1_000_000, 100_000.0), HYPE_PERP: (100_000, 100.0)}),
        engine=engine,
        backstop_usd=0.0,
        **rules,
    )
    s.update()
    return s


def test_the_published_share_of_paradex():
    shares = [0.2, 0.4, 0.6, 0.8]
    found = np.array([after_share(88.8, 80.0, share, 0.5) for share in shares])
    assert found[:, 0] == pytest.approx([71.04, 53.28, 35.52, 17.76])
    assert found[:, 1] == pytest.approx([8.88, 17.76, 26.64, 35.52])
    assert found[:, 2] == pytest.approx([71.12, 62.24, 53.36, 44.48])
    assert share_to_target(88.8, 80.0, 0.2, 0.9, 0.5) == 0.4


def test_the_published_sizes_of_drift():
    rows = [(1.0, 0, 0), (0.99, 0, 0), (1.01, 0, 0), (1.0, 0.01, 0), (1.0, 0.01, 0.01)]
    sizes = [size_to_cover(10.0, 100.0, quote, 0.1, fee, fund) for quote, fee, fund in rows]
    assert sizes == pytest.approx([1.0, 1.01010101, 0.990099009, 1.111111111, 1.25], abs=2e-9)


@given(
    st.floats(1.0, 1e6), st.floats(0.1, 1.5), st.sampled_from([0.05, 0.2, 0.5]), st.floats(0.0, 0.9)
)
def test_the_share_is_the_smallest_that_does_it(requirement, coverage, step, penalty):
    equity = requirement * coverage
    share = share_to_target(requirement, equity, step, 0.9, penalty)

    def does_it(share):
        needed, _, left = after_share(requirement, equity, share, penalty)
        return needed < 0.9 * left

    assert share == 1.0 or does_it(share)
    n = round(share / step)
    assert not any(does_it(float(k) * step) for k in range(1, n) if float(k) * step < 1.0)


@given(st.floats(1.0, 1e5), st.floats(1.0, 1e5), st.floats(0.005, 0.1), st.floats(0.0, 0.004))
def test_the_size_covers_the_shortage_exactly(shortage, price, rate, fee):
    size = size_to_cover(shortage, price, 1.0, rate, fee, 0.0)
    assert size * price * (rate - fee) == pytest.approx(shortage)


def test_the_same_share_of_every_perp(engine):
    # 1m at 1.25 % and 100k at 5 % need 17,500; the vault has nothing.
    # (1 - s) x 17,500 < .9 x 11,000 from s = .6 on.
    s = two_perps(engine, liquidation__select="share_of_all")
    assert forced(s) == {BTC_PERP: -600_000, HYPE_PERP: 60_000}


def test_of_the_largest_requirement_what_is_missing(engine):
    # 12,500 of BTC against 5,000 of HYPE; 17,500 - .9 x 11,000 = 7,600 at 1.25 %: 608,000.
    s = two_perps(engine, liquidation__select="largest_contributor")
    assert forced(s) == {BTC_PERP: -608_000}


@pytest.mark.parametrize("key", [1, 7, 3, 9])
def test_one_perp_is_drawn(engine, key):
    s = two_perps(engine, key=key, liquidation__select="random")
    keys = int(s.v.par[0].seed_key0), int(s.v.par[0].seed_key1)
    draw = uniform(*keys, PURPOSE_LIQUIDATED_POSITION, key, s.t_ms, 0)
    wanted = {BTC_PERP: -1_000_000} if draw < 0.5 else {HYPE_PERP: 100_000}
    assert forced(s) == wanted
