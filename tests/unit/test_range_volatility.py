"""Ranges that follow volatility: each tool by hand, through a venue on both engines."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stressbook.errors import InvalidInput
from stressbook.market.reference.range_volatility import FollowedRange
from stressbook.market.regimes import load_regime, regime_names
from stressbook.market.regimes.pocket import Holding, Pocket, margin_of
from stressbook.market.regimes.tables import APC_TOOLS, REGIME, UNIT
from stressbook.market.regimes.volatility import follow_volatility, tempered_multiple
from stressbook.market.state.digest import canonical_state
from tests.small_venue import HYPE_PERP, SmallVenue, trader

LONG_RUN = 0.083  # of HYPE in the preset
HALF_S = 3.0 / math.log(2.0)  # one mark update of 3 s halves what was
RANGE = 0.0413
JUMP_USD = 100.3


def followed(tool, *, engine="kernel", **rules):
    """A long and a short of 100,000 USD of HYPE under a scan of which one mark update is half."""
    values = {"regime__volatility_time_s": HALF_S, "regime__apc_tool": tool}
    values |= {f"regime__{name}": value for name, value in rules.items()}
    return SmallVenue(
        trader(1, 50_000, {HYPE_PERP: (100_000, 100.0)}, portfolio=True),
        trader(2, 50_000, {HYPE_PERP: (-100_000, 100.0)}, portfolio=True),
        engine=engine,
        regime="scan",
        **values,
    )


def multiple_of(venue):
    """Maintenance of the long over its value and the range."""
    mark_usd = float(venue.v.price[3].mark_usd)
    return float(venue.v.risk[0].maintenance_usd) / (1_000.0 * mark_usd * RANGE)


def ratio_after(*log_returns):
    """Realised over long-run volatility, each update weighing half."""
    variance = LONG_RUN**2
    for move in log_returns:
        variance = 0.5 * variance + 0.5 * move * move * 28_800.0  # updates of 3 s in a day
    return math.sqrt(variance) / LONG_RUN


JUMP = math.log(JUMP_USD / 100.0)
CALM, UP, DOWN = ratio_after(0.0), ratio_after(0.0, JUMP), ratio_after(0.0, JUMP, 0.0)


@pytest.mark.parametrize("engine", ["kernel", "reference"])
@pytest.mark.parametrize(
    ("tool", "rules", "calm", "up", "down"),
    [
        ("none", {}, CALM, UP, DOWN),
        # Full as volatility falls; used up by the jump; not full again until it has fallen by it.
        ("buffer", {"buffer_frac": 0.25}, 1.25 * CALM, UP, min(UP, 1.25 * DOWN)),
        # So large a buffer takes the whole jump.
        ("buffer", {"buffer_frac": 9.0}, 10.0 * CALM, 10.0 * CALM, 10.0 * CALM),
        (
            "stressed_weight",
            {"stressed_weight_frac": 0.25, "stressed_multiple": 2.0},
            *(math.sqrt(0.75 * x * x + 0.25 * 4.0) for x in (CALM, UP, DOWN)),
        ),
        ("floor", {"floor_multiple": 1.0}, 1.0, UP, DOWN),
        ("floor", {"floor_multiple": 9.0}, 9.0, 9.0, 9.0),
    ],
)
def test_multiples_by_hand(engine, tool, rules, calm, up, down):
    venue = followed(tool, engine=engine, **rules)
    for price, wanted in ((100.0, calm), (JUMP_USD, up), (JUMP_USD, down)):
        venue.update(HYPE=price)
        assert multiple_of(venue) == pytest.approx(wanted, rel=1e-6)
    assert UP > 1.25 * CALM  # the smaller buffer is used up


def test_the_opening_is_at_the_long_run_with_a_full_buffer():
    held = (Holding("HYPE", 1e6),)
    scan = load_regime("scan")

    def needed(**rules):
        changed = scan.with_rules(volatility_time_s=3_600.0, **rules)
        return margin_of(changed, Pocket(0.0, held)).maintenance_usd / 1e6

    assert (
        needed()
        == needed(apc_tool="floor")
        == margin_of(scan, Pocket(0.0, held)).maintenance_usd / 1e6
    )
    assert needed(apc_tool="buffer") == pytest.approx(1.25 * RANGE)
    mixed = math.sqrt(0.75 + 0.25 * 1.8**2)
    assert needed(apc_tool="stressed_weight") == pytest.approx(mixed * RANGE)


def test_a_jump_raises_margins_less_with_a_buffer_than_without():
    rises = {}
    for tool in ("none", "buffer"):
        venue = followed(tool)
        venue.update(HYPE=100.0)
        before = float(venue.v.risk[0].maintenance_usd)
        venue.update(HYPE=JUMP_USD)
        rises[tool] = float(venue.v.risk[0].maintenance_usd) - before
    assert 0.0 < rises["buffer"] < rises["none"]


def regime_record(tool, **numbers):
    record = np.zeros(1, REGIME)[0]
    record.apc_tool = APC_TOOLS[tool]
    for name, value in numbers.items():
        setattr(record, name, value)
    return record


ratios = st.lists(st.floats(0.0, 20.0), min_size=2, max_size=12)


@given(path=ratios, buffer=st.floats(0.0, 2.0))
@settings(max_examples=100, deadline=None)
def test_a_buffer_is_used_up_before_margins_rise(path, buffer):
    record = regime_record("buffer", buffer=buffer)
    held = tempered_multiple(record, path[0], math.inf)
    assert held == (1.0 + buffer) * path[0]
    for before, now in itertools.pairwise(path):
        found = tempered_multiple(record, now, held)
        assert now <= found <= (1.0 + buffer) * now
        if now >= before:
            # In money as in proportion, no more than without the tool.
            assert 0.0 <= found - held <= (now - before) * (1.0 + 1e-12) + 1e-12
            assert found * before <= now * held * (1.0 + 1e-12) + 1e-12
        held = found


@given(before=st.floats(0.1, 10.0), jump=st.floats(1.0, 10.0), number=st.floats(0.0, 1.0))
@settings(max_examples=100, deadline=None)
def test_a_floor_and_a_stressed_weight_temper_the_rise_in_proportion(before, jump, number):
    floor = regime_record("floor", floor_multiple=5.0 * number)
    stressed = regime_record("stressed_weight", stressed_weight=number, stressed_multiple=1.8)
    for record in (floor, stressed):
        low = tempered_multiple(record, before, 1.0)
        high = tempered_multiple(record, before * jump, 1.0)
        assert low * (1.0 - 1e-12) <= high <= low * jump * (1.0 + 1e-12)


@pytest.mark.parametrize("tool", APC_TOOLS)
def test_a_run_of_updates_is_the_same_in_both_readings(tool):
    rng = np.random.default_rng(5)
    regime = load_regime("scan").with_rules(volatility_time_s=600.0, apc_tool=tool)
    record = regime_record(
        tool,
        volatility_time_s=600.0,
        buffer=0.25,
        stressed_weight=0.25,
        stressed_multiple=1.8,
        floor_multiple=1.0,
    )
    plain = FollowedRange(0.05, 0.05**2, 1.0)
    unit = np.zeros(1, UNIT)[0]
    unit.long_run_daily_volatility, unit.daily_variance, unit.range_multiple = 0.05, 0.05**2, 1.0
    usd = 100.0
    for _ in range(200):
        moved = usd * math.exp(rng.normal(0.0, 0.0003) * rng.choice([1.0, 10.0]))
        follow_volatility(record, unit, usd, moved, 3.0)
        plain.follow(regime.rules, usd, moved, period_s=3.0)
        assert (unit.daily_variance, unit.range_multiple) == (plain.daily_variance, plain.multiple)
        usd = moved
    frozen = unit.copy()
    follow_volatility(record, unit, 0.0, moved, 3.0)  # no price, no return
    plain.follow(regime.rules, 0.0, moved, period_s=3.0)
    assert unit == frozen
    assert plain.multiple == frozen.range_multiple


def test_static_ranges_stay_at_one_whatever_the_oracle_does():
    venue = SmallVenue(trader(1, 1_000), regime="scan")
    before = venue.v.unit.copy()
    for price in (100.0, 50.0, 120.0):
        venue.update(HYPE=price)
    assert venue.v.unit.tobytes() == before.tobytes()
    assert (before["range_multiple"] == 1.0).all()


def test_the_digest_tells_apart_ranges_that_follow_and_no_others():
    for venue, differs in ((followed("none"), True), (SmallVenue(trader(1, 1_000)), False)):
        before = canonical_state(venue.v)
        venue.v.unit["daily_variance"] += 1.0
        assert (canonical_state(venue.v) != before) is differs


@pytest.mark.parametrize("name", sorted(set(regime_names()) - {"scan"}))
def test_what_does_not_name_the_rules_has_static_ranges(name):
    rules = load_regime(name).rules
    assert (rules.volatility_time_s, rules.apc_tool) == (0.0, "none")


def test_rules_that_do_not_fit_are_refused():
    scan = load_regime("scan")
    with pytest.raises(InvalidInput, match=r"apc_tool.*does not fit static ranges"):
        scan.with_rules(apc_tool="buffer")
    with pytest.raises(InvalidInput, match=r"apc_tool.*is unknown"):
        scan.with_rules(apc_tool="buffr", volatility_time_s=60.0)
    with pytest.raises(InvalidInput, match=r"volatility_time_s.*has no ranges"):
        load_regime("cross").with_rules(volatility_time_s=60.0)
    with pytest.raises(InvalidInput, match=r"scans\.0\.long_run_daily_volatility is missing"):
        load_regime("paradex").with_rules(volatility_time_s=60.0)
    rows = [replace(row, long_run_daily_volatility=0.0) for row in scan.scans]
    bare = replace(scan, scans=(scan.scans[0], *rows[1:]))
    with pytest.raises(InvalidInput, match=r"scans\.1\.long_run_daily_volatility"):
        bare.with_rules(volatility_time_s=60.0)
