"""Identities of margin regimes, and the kernel against a second reading of the same rules."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stressbook.market.reference.regimes import ReferenceLeg, scanned_usd
from stressbook.market.regimes import load_regime, regime_names
from stressbook.market.regimes.pocket import (
    Holding,
    Pocket,
    healths_usd,
    liquidation_price,
    margin_of,
)
from stressbook.market.regimes.rows import ScanRow, SpreadRow
from stressbook.market.rules.rule_arrays import maintenance_table

ASSETS = ("BTC", "ETH", "SOL", "HYPE")
SCANNED = [name for name in regime_names() if load_regime(name).is_scanned]
TIERS = {
    "BTC": tuple(maintenance_table([(0.0, 40), (150e6, 20)])),
    "ETH": tuple(maintenance_table([(0.0, 25), (100e6, 15)])),
    "SOL": tuple(maintenance_table([(0.0, 20), (70e6, 10)])),
    "HYPE": tuple(maintenance_table([(0.0, 10), (20e6, 5)])),
}

LTV = {"BTC": 0.5, "ETH": 0.0, "SOL": 0.0, "HYPE": 0.65}

usd = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 2))
size = st.floats(0.0, 5e5, allow_nan=False).map(lambda x: round(x, 2))


@st.composite
def holdings(draw, *, orders=False):
    """Perps and tokens of some assets; tokens are held or owed."""
    found = []
    for asset in draw(st.lists(st.sampled_from(ASSETS), unique=True, min_size=1)):
        corners = {"buy_usd": draw(size), "sell_usd": draw(size)} if orders else {}
        found.append(
            Holding(
                asset,
                draw(usd),
                leverage=draw(st.sampled_from([1.0, 3.0, 10.0])),
                tiers=TIERS[asset],
                **corners,
            )
        )
        if draw(st.booleans()):
            found.append(Holding(asset, draw(usd), token=asset, ltv=LTV[asset]))
    return tuple(sorted(found, key=lambda one: (bool(one.token), ASSETS.index(one.asset))))


def core_of(regime, held, **rules):
    """The scanned part alone: factors of 1, nothing beside it."""
    plain = regime.with_rules(
        initial_factor=1.0, maintenance_factor=1.0, uses_tiers=False, leverage_counts=False, **rules
    )
    bare = [
        row.__class__(**{**vars(row), "gross_initial_frac": 0.0, "gross_maintenance_frac": 0.0})
        for row in plain.charges
    ]
    weights = [
        row.__class__(**{**vars(row), "loan_initial": (), "loan_maintenance": ()})
        for row in plain.weights
    ]
    plain = plain.__class__(**{**vars(plain), "charges": tuple(bare), "weights": tuple(weights)})
    return margin_of(plain, Pocket(0.0, held))


@pytest.mark.parametrize("name", SCANNED)
@given(held=holdings(orders=True))
@settings(max_examples=25, deadline=None)
def test_kernel_equals_the_second_reading(name, held):
    regime = load_regime(name)
    legs = [ReferenceLeg(o.asset, o.value_usd, o.token, o.buy_usd, o.sell_usd) for o in held]
    found = core_of(regime, held)
    assert found.initial_usd == scanned_usd(regime, legs, orders=True)
    assert found.maintenance_usd == scanned_usd(regime, legs, orders=False)


@given(
    delta=usd,
    spread=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6),
    width=st.floats(0.01, 0.9),
)
@settings(max_examples=50, deadline=None)
def test_scan_of_one_delta_is_delta_times_range(delta, spread, width):
    steps = tuple(sorted({s for x in (*spread, 1.0) for s in (x, -x)}))
    regime = load_regime("scan")
    scans = (ScanRow(("*",), width, False, steps),)
    regime = regime.__class__(**{**vars(regime), "scans": scans, "charges": ()})
    held = (Holding("BTC", delta),)
    assert core_of(regime, held).maintenance_usd == pytest.approx(abs(delta) * width, abs=1e-9)


@given(held=holdings(), low=st.floats(0.0, 1.0), high=st.floats(0.0, 1.0))
@settings(max_examples=60, deadline=None)
def test_requirement_falls_in_the_offset(held, low, high):
    low, high = min(low, high), max(low, high)
    regime = load_regime("scan")
    apart, loose, tight, joint = (
        core_of(regime, held, offset_frac=offset).maintenance_usd
        for offset in (0.0, low, high, 1.0)
    )
    slack = 1e-9 * max(apart, 1.0)
    assert joint <= tight + slack
    assert tight <= loose + slack
    assert loose <= apart + slack


@pytest.mark.parametrize(("offset", "usd"), [(0.0, 5_555.0), (0.5, 3_475.0), (1.0, 1_750.0)])
def test_floors_bound_the_mix_and_not_its_joint_end(offset, usd):
    """Apart 1,410 + 2,080 + 2,065; in one fall 1,395; floors 0.7 % of 250,000 = 1,750."""
    held = (Holding("BTC", 1e5), Holding("ETH", -1e5), Holding("HYPE", 5e4))
    found = core_of(load_regime("scan"), held, offset_frac=offset).maintenance_usd
    assert found == pytest.approx(usd, rel=1e-12)


@pytest.mark.parametrize("name", SCANNED)
def test_no_weighted_tail_passes_the_end_of_its_range(name):
    for row in load_regime(name).scans:
        tails = [tail.weight * abs(tail.move_frac) for tail in row.tails]
        assert max(tails, default=0.0) <= row.range_frac * (1.0 + 1e-12)


def test_a_long_is_asked_for_its_range_and_the_roll():
    found = margin_of(load_regime("deribit"), Pocket(0.0, (Holding("ETH", 1e6),)))
    assert found.initial_usd == pytest.approx(185_000.0, rel=1e-12)


@given(held=holdings())
@settings(max_examples=60, deadline=None)
def test_cross_at_the_rate_of_the_scan_asks_for_no_less(held):
    perps = tuple(one for one in held if not one.token)
    flat = tuple(Holding(one.asset, one.value_usd, tiers=((0.0, 0.1, 0.0),)) for one in perps)
    regime = load_regime("scan")
    scans = (ScanRow(("*",), 0.1, False, (-1.0, 0.0, 1.0)),)
    regime = regime.__class__(**{**vars(regime), "scans": scans, "charges": ()})
    cross = margin_of(load_regime("cross"), Pocket(0.0, flat)).maintenance_usd
    for offset in (0.0, 0.5, 1.0):
        mixed = core_of(regime, flat, offset_frac=offset).maintenance_usd
        assert mixed <= cross * (1.0 + 1e-12) + 1e-9


@given(notional=st.floats(0.0, 1e9), asset=st.sampled_from(ASSETS))
@settings(max_examples=60, deadline=None)
def test_slices_equal_rate_less_deduction_and_join_at_the_edges(notional, asset):
    tiers = TIERS[asset]
    found = margin_of(
        load_regime("cross"), Pocket(0.0, (Holding(asset, notional, tiers=tiers),))
    ).maintenance_usd
    total = 0.0
    for (lower, rate, _), after in itertools.zip_longest(tiers, tiers[1:]):
        upper = notional if after is None else min(notional, after[0])
        total += max(0.0, upper - lower) * rate
    assert found == pytest.approx(total, rel=1e-12, abs=1e-9)
    (_, below, _), (edge, rate, deduction) = tiers
    assert edge * below == pytest.approx(edge * rate - deduction, rel=1e-12)


@pytest.mark.parametrize("name", regime_names())
@given(held=holdings(), cash=st.floats(0.0, 1e6))
@settings(max_examples=20, deadline=None)
def test_liquidation_price_is_the_root_of_health(name, held, cash):
    regime = load_regime(name)
    pocket = Pocket(cash - sum(o.value_usd for o in held if not o.token), held)
    price = liquidation_price(regime, pocket, 0, 100.0)
    if price is None:
        return
    one = held[0]
    moved = Holding(**{**vars(one), "value_usd": one.value_usd * price / 100.0})
    there = Pocket(pocket.cash_usd, (moved, *held[1:]))
    needed = margin_of(regime, there)
    worth, required = there.net_usd() + needed.maintenance_worth_usd, needed.maintenance_usd
    if name == "hyperliquid-pm":  # (MM + B + tokens owed) / (E + B + credit)
        counted = max(0.0, required - there.net_usd())
        counted += sum(max(0.0, -o.value_usd) for o in there.holdings if o.token)
        worth, required = worth + counted, required + counted
    gap = worth * regime.rules.trigger_ratio - required
    assert abs(gap) <= 1e-6 * (1.0 + needed.maintenance_usd + abs(there.net_usd()))


@pytest.mark.parametrize("name", regime_names())
@given(held=holdings(orders=True), cash=usd)
@settings(max_examples=20, deadline=None)
def test_initial_health_is_no_better_than_maintenance_health(name, held, cash):
    initial, maintenance = healths_usd(load_regime(name), Pocket(cash, held))
    assert initial <= maintenance + 1e-6


@given(held=holdings(), cash=st.lists(st.floats(0.0, 2e5), min_size=8, max_size=8))
@settings(max_examples=60, deadline=None)
def test_healthy_pockets_make_a_healthy_pool(held, cash):
    perps = [one for one in held if not one.token]
    cross = load_regime("cross")
    pockets = [
        Pocket(money - one.value_usd, (one,)) for money, one in zip(cash, perps, strict=False)
    ]
    if all(healths_usd(cross, pocket)[1] >= 0.0 for pocket in pockets):
        pool = Pocket(sum(p.cash_usd for p in pockets), tuple(perps))
        assert healths_usd(cross, pool)[1] >= -1e-6


@pytest.mark.parametrize("name", SCANNED)
@given(held=holdings(orders=True), shares=st.lists(st.floats(0.0, 1.0), min_size=8, max_size=8))
@settings(max_examples=25, deadline=None)
def test_corners_of_orders_cover_every_partial_fill(name, held, shares):
    """No fill of some bids and some asks is worse for one underlying than its worse corner."""
    regime = load_regime(name).with_rules(offset_frac=0.0, aggregation="mix")
    charges = tuple(
        row.__class__(
            **{**vars(row), "hedged": (), "floor_net_frac": 0.0, "floor_hedged_frac": 0.0}
        )
        for row in regime.charges
    )
    regime = regime.__class__(**{**vars(regime), "charges": charges})
    bound = core_of(regime, held).initial_usd
    filled = tuple(
        Holding(one.asset, one.value_usd + a * one.buy_usd - b * one.sell_usd, token=one.token)
        for one, a, b in zip(held, shares, reversed(shares), strict=False)
    )
    assert core_of(regime, filled).initial_usd <= bound * (1.0 + 1e-12) + 1e-9


def test_credits_by_priority_use_what_earlier_lines_left():
    regime = load_regime("span")
    scans = (ScanRow(("*",), 1.0, False, (-1.0, 1.0)),)
    spreads = (
        SpreadRow(("BTC", "ETH"), (2.0, -1.0), (0.55, 0.55)),
        SpreadRow(("BTC", "SOL"), (1.0, -1.0), (0.4, 0.4)),
    )
    regime = regime.__class__(**{**vars(regime), "scans": scans, "charges": (), "spreads": spreads})
    held = (Holding("BTC", 5.0), Holding("ETH", -2.0), Holding("SOL", -3.0))
    # Two spreads take 4 of BTC and 2 of ETH; one is left for SOL.
    credit = 0.55 * (4.0 + 2.0) + 0.4 * (1.0 + 1.0)
    assert core_of(regime, held).maintenance_usd == pytest.approx(10.0 - credit, rel=1e-12)


def test_ratios_and_infinite_leverage_cost_nothing_more():
    held = (Holding("BTC", 1_000.0, leverage=math.inf, tiers=TIERS["BTC"]),)
    assert margin_of(load_regime("cross"), Pocket(0.0, held)).initial_usd == 25.0
