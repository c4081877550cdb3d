"""Who bears what an account below zero leaves: shares, scores and haircuts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stressbook.market.numbers.allocation import share_by_leverage, share_by_size, take_by_score
from stressbook.market.resolution.deleveraging_scores import (
    gain_times_leverage,
    price_gain,
    profit_over_collateral_bp,
    profit_times_leverage,
)
from stressbook.market.state.codes import (
    CAUSE_DEFICIT,
    EV_DEFICIT,
    EV_DELEVERAGED,
    EV_HAIRCUT,
)
from tests.small_venue import (
    HOUSE_CASH,
    HYPE_PERP,
    SmallVenue,
    trader,
)

SIZES = st.lists(st.integers(0, 2**42), min_size=1, max_size=9)


def taken_by_score(sizes, scores, wanted):
    taken, order = np.zeros(len(sizes), np.int64), np.zeros(len(sizes), np.int64)
    missing = take_by_score(np.array(sizes), np.array(scores, float), wanted, taken, order)
    return missing, taken.tolist(), [int(i) for i in order if i >= 0]


def taken_by_size(sizes, wanted):
    taken = np.zeros(len(sizes), np.int64)
    missing = share_by_size(np.array(sizes), wanted, taken, taken.copy())
    return missing, taken.tolist()


def taken_by_leverage(sizes, per_leverage, wanted):
    taken, rest = np.zeros(len(sizes), np.int64), np.zeros(len(sizes))
    missing = share_by_leverage(np.array(sizes), np.array(per_leverage, float), wanted, taken, rest)
    return missing, taken.tolist()


# --- published numbers ----------------------------------------------------------------------------


def test_the_top_of_the_queue_is_closed_whole_and_the_next_in_part():
    assert taken_by_score([10, 20], [2.0, 1.0], 20) == (0, [10, 10], [0, 1])  # sat.is
    assert taken_by_score([100, 100], [1.0, 2.6666], 150) == (0, [50, 100], [1, 0])  # openhl
    assert taken_by_score([100], [1.0], 250) == (150, [100], [0])


def test_scores_of_a_real_venue_give_its_order():
    profit = (0.1, 0.05, 0.2, 0.05, 0.15, 0.03, 0.12, 0.06, 0.11, 0.07)
    leverage = (4, 0.5, 1.2, 10, 2, 4, 5, 0.8, 11, 6)
    scores = [profit_times_leverage(p, float(x)) for p, x in zip(profit, leverage, strict=True)]
    wanted = [0.4, 0.025, 0.24, 0.5, 0.3, 0.12, 0.6, 0.048, 1.21, 0.42]
    assert scores == pytest.approx(wanted)
    _, _, order = taken_by_score([1] * 10, scores, 10)
    assert [order.index(i) + 1 for i in range(10)] == [5, 10, 7, 3, 6, 8, 2, 9, 1, 4]  # ZUBR


def test_scores_of_other_venues():
    # BitMEX: leverage is |value| / (value - value at bankruptcy)
    assert profit_times_leverage(0.2, 80.0 / 30.0) == pytest.approx(0.5333333333)
    assert profit_times_leverage(-5.0 / 75.0, 80.0 / 2.5) == pytest.approx(-0.0020833333)
    assert gain_times_leverage(price_gain(False, 200.0, 150.0), 150.0, 40.0) == 5.0
    assert profit_over_collateral_bp(100.0, 100.0, 200.0, 200.0) == 10_000.0
    assert profit_over_collateral_bp(100.0, 50.0, 200.0, 150.0) == 26_666.0


def test_the_scores_rank_differently():
    """High profit at low leverage, against low profit at high leverage."""
    gain = [gain_times_leverage(price_gain(True, 50.0, 100.0), 100.0, 80.0)]
    gain.append(gain_times_leverage(price_gain(True, 98.0, 100.0), 1_000.0, 80.0))
    profit = [profit_times_leverage(1.0, 1.25), profit_times_leverage(2.0 / 98.0, 12.5)]
    assert gain[0] < gain[1]
    assert profit[0] > profit[1]


def test_parts_of_a_lot_go_to_different_accounts_when_levelling():
    assert taken_by_leverage([10, 10, 10], [1.0, 1.0, 1.0], 5) == (0, [2, 2, 1])


# --- what must hold for any sizes -----------------------------------------------------------------


@given(SIZES, st.integers(0, 2**44))
def test_every_way_takes_exactly_what_is_wanted_or_all_there_is(sizes, wanted):
    results = [
        taken_by_score(sizes, range(len(sizes)), wanted)[:2],
        taken_by_size(sizes, wanted),
        taken_by_leverage(sizes, [1.0 + size for size in sizes], wanted),
    ]
    for missing, taken in results:
        assert sum(taken) == min(wanted, sum(sizes))
        assert missing == wanted - sum(taken)
        assert all(0 <= part <= size for part, size in zip(taken, sizes, strict=True))


@given(SIZES, st.integers(0, 2**44))
def test_shares_by_size_are_within_a_unit_of_exact_ones(sizes, wanted):
    total = sum(sizes)
    _, taken = taken_by_size(sizes, wanted)
    for part, size in zip(taken, sizes, strict=True):
        if total > wanted:
            assert abs(part * total - wanted * size) < total


@given(st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 10**6)), min_size=2, max_size=9))
def test_after_levelling_nobody_cut_is_less_levered_than_one_who_is_not(pairs):
    sizes, equities = [list(x) for x in zip(*pairs, strict=True)]
    wanted = sum(sizes) // 3
    _, taken = taken_by_leverage(sizes, equities, wanted)
    after = [
        (size - cut) / equity for size, cut, equity in zip(sizes, taken, equities, strict=True)
    ]
    level = max(after)
    for cut, leverage, equity in zip(taken, after, equities, strict=True):
        if cut > 1:
            assert leverage >= level - 2.0 / equity - 1e-9 * level - 2.0 / min(equities)


# --- on a venue -----------------------------------------------------------------------------------


def below_zero(engine, **rules):
    """User 0, long 200k, is below zero at 95; three shorts of equity 90k, 20k and 5m."""
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (200_000, 100.0)}),
        trader(2, 90_000, {HYPE_PERP: (-100_000, 100.0)}),
        trader(3, 20_000, {HYPE_PERP: (-100_000, 120.0)}),
        trader(4, 5_000_000, {HYPE_PERP: (-200_000, 90.0)}),
        trader(5, HOUSE_CASH, {HYPE_PERP: (200_000, 90.0)}),
        engine=engine,
        backstop_usd=0.0,
        **rules,
    )
    s.update(HYPE=95.0)
    return s


def test_pro_rata_every_position_of_the_other_side_loses_the_same_share(engine):
    s = below_zero(engine, liquidation__allocate="pro_rata")
    assert s.v.perp[:5, HYPE_PERP].tolist() == [0, -50_000, -50_000, -100_000, 200_000]


def test_levelling_cuts_the_most_levered(engine):
    # Equities at 95: 95,000, 45,000 (20,000 + 25,000), about 5m; leverages at 100: 1.05, 2.2, 0.04.
    # (400k - 200k) lots of a dollar over 140,000 and 4.99m: only the first two are cut at first.
    s = below_zero(engine, liquidation__allocate="leverage_levelling")
    assert s.v.perp[0, HYPE_PERP] == 0
    left = -s.v.perp[1:4, HYPE_PERP]
    equity = [95_000.0, 45_000.0, 4_990_000.0 - 200_000 * (95 - 90) / 100 + 10_000]
    assert left.sum() == 200_000
    assert left[0] / equity[0] == pytest.approx(left[1] / equity[1], abs=3e-5)
    assert left[2] / equity[2] == pytest.approx(left[1] / equity[1], abs=3e-5)


def test_ranked_by_profit_share_the_losing_short_is_spared(engine):
    # Profit x leverage at 100: 0, .2 / 1.2 x 2.2, and a loss over leverage, which is the lowest.
    s = below_zero(engine, liquidation__score="profit_times_leverage")
    found = [e["counterparty"] for e in s.events if e["kind"] == EV_DELEVERAGED]
    assert found == [2, 1]


def test_winners_pay_the_deficit_in_cash_within_their_profit(engine):
    """Sold out at 90, the long owes 1,045; of two winners the higher score pays first."""
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (100_000, 100.0)}),
        trader(2, 5_000, {HYPE_PERP: (-10_000, 100.0)}),
        trader(3, HOUSE_CASH, {HYPE_PERP: (-150_000, 100.0)}),
        trader(4, HOUSE_CASH, {HYPE_PERP: (60_000, 100.0)}),
        engine=engine,
        liquidation__allocate="profit_haircut",
        liquidation__score="profit_over_collateral",
        backstop_usd=0.0,
    )
    s.bid(2, HYPE_PERP, 90.0, 100_000)
    s.step()
    s.update(HYPE=91.0)
    deficit = int(s.event(EV_DEFICIT)["amount_micro"])
    paid = [
        (int(e["counterparty"]), int(e["amount_micro"]))
        for e in s.events
        if e["kind"] == EV_HAIRCUT
    ]
    # 9 % of 10,000 lots of a dollar at 100: that profit is the first to pay, all of it.
    assert deficit == 1_000_000_000 + 40_500_000
    assert paid == [(1, 900_000_000), (2, deficit - 900_000_000)]
    assert s.v.flow[s.v.par[0].row_treasury, 0, CAUSE_DEFICIT] == 0
    assert s.v.flow[0, 0, CAUSE_DEFICIT] == deficit
    # What it has paid is no profit any more: entered at 91 now.
    assert s.v.entry_cost[1, HYPE_PERP] == -9_100_000_000


def test_without_winners_left_the_treasury_pays(engine):
    s = SmallVenue(
        trader(1, 9_000, {HYPE_PERP: (100_000, 100.0)}),
        trader(2, HOUSE_CASH, {HYPE_PERP: (-100_000, 80.0)}),
        engine=engine,
        liquidation__allocate="profit_haircut",
        backstop_usd=0.0,
    )
    s.bid(1, HYPE_PERP, 90.0, 100_000)
    s.step()
    s.update(HYPE=91.0)
    assert s.event(EV_DEFICIT)["amount_micro"] == 1_040_500_000
    assert not [e for e in s.events if e["kind"] == EV_HAIRCUT]
    assert s.v.flow[s.v.par[0].row_treasury, 0, CAUSE_DEFICIT] == -1_040_500_000
