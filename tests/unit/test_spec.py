import copy
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stressbook.errors import InvalidInput, UnknownName
from stressbook.market.rules.presets import newest_preset, preset_document
from stressbook.market.rules.spec import load_preset, parse_venue
from stressbook.market.rules.ticks import (
    is_valid_price,
    ladder_room,
    opening_tick_e8,
    price_decimals,
)
from stressbook.market.state.codes import PERP, SPOT
from stressbook.market.state.records import N_TICKS

SPEC = load_preset("hyperliquid")


def problems_of(call, *arguments):
    with pytest.raises(InvalidInput) as caught:
        call(*arguments)
    return {problem.name: problem for problem in caught.value.problems}


def test_every_number_has_a_dated_source():
    places = SPEC.places()
    assert set(places) <= set(SPEC.sources)
    for place in places:
        assert re.search(
            r"20\d\d-\d\d|assumed|docs disagree|off only|not a rule of", SPEC.sources[place]
        ), place


def test_newest_preset_by_plain_name():
    assert newest_preset().startswith("hyperliquid-")
    assert load_preset(newest_preset()) == SPEC


def test_unknown_preset():
    with pytest.raises(UnknownName) as caught:
        load_preset("hiperliquid")
    assert "hyperliquid-2026-08" in str(caught.value)


def test_rules_of_august_2026():
    usdc, btc, eth, hype = SPEC.tokens
    assert (btc.ltv, eth.ltv, hype.ltv) == (0.5, 0.0, 0.65)
    assert (usdc.user_borrow_cap, usdc.platform_borrow_cap) == (50e6, 500e6)
    assert not SPEC.margin.min_borrow_offset_on
    assert SPEC.margin.user_cap_in_credit
    assert not SPEC.lending.interest_is_simple


def test_all_problems_of_a_document_at_once():
    document = copy.deepcopy(preset_document("hyperliquid"))
    document["margn"] = {}
    document["margin"]["trigger_ratio"]["value"] = math.nan
    document["clock"]["price_period_ms"]["value"] = 3000.5
    document["funding"]["cap_frac"]["unit"] = "1/8h"
    del document["mark"]["last_ema_ms"]
    del document["latency"]["median_ms"]["source"]
    del document["tokens"][1]["decimals"]
    document["tokens"][3]["tick"] = 1
    document["assets"][0]["tiers"] = 40
    document["instruments"][0]["kind"] = 7
    document["fee_tiers"] = "none"
    problems = problems_of(parse_venue, document)
    assert set(problems) == {
        "margn",
        "funding.cap_frac.unit",
        "mark.last_ema_ms",
        "latency.median_ms",
        "tokens.BTC.decimals",
        "tokens.HYPE.tick",
        "assets.BTC.tiers",
        "instruments.BTC-PERP.kind",
        "fee_tiers",
    }
    assert problems["margn"].hint == "did you mean 'margin'?"
    assert problems["mark.last_ema_ms"].problem == "is missing"
    assert problems["funding.cap_frac.unit"].allowed == "1/h"


def test_all_problems_of_a_venue_at_once():
    changes = {
        "margin.trigger_ratio": math.nan,
        "clock.price_period_ms": 3000.5,
        "tokens.HYPE.ltv": 1.5,
        "tokens.ETH.borrowable": True,
        "tokens.BTC.user_supply_cap": 1e12,
        "fee_tiers.1.volume_from_usd": 0.0,
        "latency.p99_ms": 1.0,
        "instruments.BTC-SPOT.sz_decimals": 9,
    }
    problems = problems_of(SPEC.with_values, changes)
    elsewhere = {"fee_tiers.1.volume_from_usd", "tokens.ETH.borrowable"}
    assert set(changes) - elsewhere <= set(problems)
    assert "tokens.ETH.ltv" in problems
    assert "fee_tiers.volume_from_usd" in problems
    assert problems["margin.trigger_ratio"].allowed == "0.1 to 1.0"
    assert problems["clock.price_period_ms"].allowed == "int"
    assert "2**62" in problems["tokens.BTC.user_supply_cap"].allowed


def document_with(table, index, key, value):
    document = copy.deepcopy(preset_document("hyperliquid"))
    document[table][index][key] = value
    return document


@pytest.mark.parametrize(
    ("table", "index", "key", "value", "name", "words"),
    [
        ("assets", 1, "name", "BTC", "assets.name", "is there twice"),
        ("assets", 0, "oracle_mode", "inside", "assets.BTC.oracle_mode", "is unknown"),
        ("assets", 0, "tiers", [], "assets.BTC.tiers", "is empty"),
        ("assets", 0, "opening_price_usd", 2e9, "assets.BTC.opening_price_usd", "out of range"),
        ("tokens", 1, "asset", "DOGE", "tokens.BTC.asset", "is unknown"),
        ("tokens", 1, "asset", "HYPE", "tokens.asset", "has two tokens"),
        ("tokens", 0, "decimals", 8, "tokens.USDC", "is not USDC"),
        ("tokens", 0, "ltv", 0.5, "tokens.USDC.ltv", "counts USDC twice"),
        ("instruments", 0, "asset", "DOGE", "instruments.BTC-PERP.asset", "is unknown"),
        ("instruments", 0, "kind", "future", "instruments.BTC-PERP.kind", "is unknown"),
        ("instruments", 1, "asset", "BTC", "instruments.BTC-PERP.asset", "is there twice"),
        ("instruments", 5, "asset", "SOL", "instruments.ETH-SPOT.asset", "has no token"),
        ("instruments", 0, "tick_e8", 1, "instruments.BTC-PERP.tick_e8", "read by nothing"),
    ],
)
def test_one_problem(table, index, key, value, name, words):
    problems = problems_of(parse_venue, document_with(table, index, key, value))
    assert words in problems[name].problem


def test_tiers_rise_from_zero():
    tiers = [{"lower_usd": 1.0, "max_leverage": 40}, {"lower_usd": 0.5, "max_leverage": 20}]
    problems = problems_of(parse_venue, document_with("assets", 0, "tiers", tiers))
    assert "do not rise" in problems["assets.BTC.tiers.lower_usd"].problem


def test_too_many_tiers():
    tiers = [{"lower_usd": float(k), "max_leverage": 9 - k} for k in range(5)]
    problems = problems_of(parse_venue, document_with("assets", 0, "tiers", tiers))
    assert problems["assets.BTC.tiers"].value == 5


def test_unknown_assets_and_places_with_the_nearest():
    problem = problems_of(SPEC.with_opening_prices, {"BTX": 1.0})["asset"]
    assert (problem.value, problem.hint) == ("BTX", "did you mean 'BTC'?")
    problem = problems_of(SPEC.with_values, {"tokens.HYPE.lvt": 0.5})["place"]
    assert problem.hint == "did you mean 'tokens.HYPE.ltv'?"


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf, 1e10])
def test_prices_that_are_none(price):
    assert "assets.BTC.opening_price_usd" in problems_of(SPEC.with_opening_prices, {"BTC": price})


def test_changes_leave_the_original_alone():
    other = SPEC.with_values({"tokens.HYPE.ltv": 0.5, "tokens.BTC.ltv": 0.4})
    assert [token.ltv for token in other.tokens] == [0.0, 0.4, 0.0, 0.5]
    assert SPEC.tokens[3].ltv == 0.65
    assert other != SPEC


@pytest.mark.parametrize(
    ("price", "sz_decimals", "kind", "tick_usd"),
    [
        (78_803.0, 5, PERP, 1.0),
        (120_000.0, 5, PERP, 1.0),
        (140_000.0, 5, PERP, 10.0),  # by five figures; with 1 USD the price could not double
        (9_999.9, 5, PERP, 0.1),
        (2_745.0, 4, PERP, 0.1),
        (103.347, 2, PERP, 0.01),
        (84.035, 2, PERP, 0.001),
        (84.035, 2, SPOT, 0.001),
        (0.17, 0, PERP, 0.00001),
        (0.0123, 1, PERP, 0.00001),  # at most five decimals
    ],
)
def test_opening_tick(price, sz_decimals, kind, tick_usd):
    assert opening_tick_e8(price, sz_decimals=sz_decimals, kind=kind) == round(tick_usd * 1e8)


@given(
    st.floats(1e-3, 1e8), st.integers(0, 5), st.sampled_from([PERP, SPOT]), st.integers(1, N_TICKS)
)
def test_every_tick_of_the_ladder_is_a_price(price, sz_decimals, kind, tick):
    tick_e8 = opening_tick_e8(price, sz_decimals=sz_decimals, kind=kind)
    room = ladder_room("x", price_usd=price, tick_e8=tick_e8)
    assert room.up_factor >= 2.0
    # A lot times a tick is a whole number of micro-USDC, and decimals stay within the rule.
    if kind == PERP:
        assert tick_e8 % (100 * 10**sz_decimals) == 0
    assert tick_e8 % 10 ** max(0, 8 - price_decimals(sz_decimals, kind=kind)) == 0
    # Up to the next power of ten the tick is that of the venue's own rule.
    if room.opening_tick >= 10_000 and tick <= 99_999:
        assert is_valid_price(f"{tick * tick_e8 / 1e8:.8f}", sz_decimals=sz_decimals, kind=kind)


def test_bound_of_positions():
    for instrument in SPEC.instruments:
        bound = SPEC.max_position_lots(instrument)
        booked = bound * N_TICKS * instrument.micro_per_lot_tick * len(SPEC.instruments)
        assert booked <= 2**60 < booked * 1.001
