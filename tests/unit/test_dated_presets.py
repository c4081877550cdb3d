"""Rules of earlier days: the published caps, what they inherit, and what a base must be."""

import copy
import re
from datetime import date

import pytest

from stressbook.errors import InvalidInput
from stressbook.experiments.scenario import load_scenario
from stressbook.market.rules.presets import newest_preset, preset_document, preset_names
from stressbook.market.rules.spec import load_preset, parse_venue

M = 1e6
NONE = 1e12  # no such door
# Day, then (user supply, user borrow, platform supply, platform borrow, loan-to-value) of USDC, BTC
# and HYPE, then account value from and up to: the history of the venue's documentation.
# None: nothing is known of that day.
HISTORY = {
    "hyperliquid-2025-12": (
        "2025-12-23",
        (None, 1_000, 5 * M, 1 * M, 0.0),
        (0, 0, 0, 0, 0.0),
        (200, 0, None, 0, 0.5),
        (NONE, NONE),
    ),
    "hyperliquid-2026-03": (
        "2026-03-14",
        (5 * M, 1 * M, 500 * M, 100 * M, 0.0),
        (20, 0, 400, 0, 0.5),
        (50_000, 0, 1 * M, 0, 0.5),
        (NONE, NONE),
    ),
    "hyperliquid-2026-05": (
        "2026-05-07",
        (50 * M, 10 * M, 1_000 * M, 200 * M, 0.0),
        (200, 0, 4_000, 0, 0.5),
        (500_000, 0, 10 * M, 0, 0.5),
        (NONE, NONE),
    ),
    "hyperliquid-2026-06-21": (
        "2026-06-21",
        (50 * M, 10 * M, 1_000 * M, 200 * M, 0.0),
        (200, 0, 4_000, 0, 0.5),
        (500_000, 0, 10 * M, 0, 0.5),
        (10_000, 5 * M),
    ),
    "hyperliquid-2026-06": (
        "2026-06-23",
        (250 * M, 50 * M, 1_000 * M, 500 * M, 0.0),
        (200, 0, 2_000, 0, 0.5),
        (1 * M, 0, 10 * M, 0, 0.5),
        (10_000, 25 * M),
    ),
    "hyperliquid-2026-08": (
        "2026-08-22",
        (250 * M, 50 * M, 1_000 * M, 500 * M, 0.0),
        (200, 0, 2_000, 0, 0.5),
        (1 * M, 0, 10 * M, 0, 0.65),
        (10_000, 25 * M),
    ),
}
NUMBERS = (
    "user_supply_cap",
    "user_borrow_cap",
    "platform_supply_cap",
    "platform_borrow_cap",
    "ltv",
)
BASE = load_preset("hyperliquid-2026-08")


@pytest.mark.parametrize("name", HISTORY)
def test_caps_and_eligibility_are_those_of_the_day(name):
    day, *tokens, (value_from, value_to) = HISTORY[name]
    spec = load_preset(name)
    assert spec.as_of == day
    assert spec.margin.eligible_volume_usd == 5 * M
    assert (spec.margin.eligible_value_usd, spec.margin.account_value_max_usd) == (
        value_from,
        value_to,
    )
    places = {token.name: index for index, token in enumerate(spec.tokens)}
    for symbol, row in zip(("USDC", "BTC", "HYPE"), tokens, strict=True):
        token, later = spec.tokens[places[symbol]], BASE.tokens[places[symbol]]
        for number, value in zip(NUMBERS, row, strict=True):
            place = f"tokens.{symbol}.{number}"
            if value is None:
                assert getattr(token, number) == getattr(later, number), place
                assert "assumed" in spec.sources[place]
            else:
                assert getattr(token, number) == value, place
            assert re.search(r"20\d\d-\d\d-\d\d", spec.sources[place])


@pytest.mark.parametrize("name", sorted(set(HISTORY) - {newest_preset()}))
def test_what_a_later_base_says_is_marked_as_assumed(name):
    spec = load_preset(name)
    assert set(spec.places()) <= set(spec.sources)
    own = {f"margin.{x}" for x in preset_document(name)["margin"]}
    for row in preset_document(name)["tokens"]:
        own |= {f"tokens.{row['name']}.{x}" for x in row}
    for place in [place for place in spec.places() if not place.startswith("regime.")]:
        is_marked = spec.sources[place].startswith("assumed as of 2026-08-22; ")
        assert is_marked == (place not in own), place
    assert [one.tiers for one in spec.assets] == [one.tiers for one in BASE.assets]


def test_the_plain_name_is_the_newest_and_scenarios_take_any():
    assert set(HISTORY) <= set(preset_names())
    assert load_preset("hyperliquid") == load_preset(newest_preset()) == BASE
    march = load_scenario("skeleton").with_(preset="hyperliquid-2026-03")
    assert (march.preset, march.rules_date) == ("hyperliquid-2026-03", "2026-03-14")
    assert {token.name: token.ltv for token in march.venue_spec().tokens}["HYPE"] == 0.5


def test_two_way_borrow_is_the_venue_with_tokens_lent():
    spec = load_preset("two-way-borrow")
    lent = {token.name: token.borrowable for token in spec.tokens}
    assert lent == {"USDC": True, "BTC": True, "ETH": False, "HYPE": True}
    assert spec.sources["tokens.HYPE.ltv"] == BASE.sources["tokens.HYPE.ltv"]
    back = {
        f"tokens.{token.name}.{key}": getattr(token, key)
        for token in BASE.tokens
        for key in ("borrowable", "user_borrow_cap", "platform_borrow_cap")
    }
    assert spec.with_values(back).tokens == BASE.tokens


def child(**changes):
    return {"name": "own", "as_of": date(2026, 9, 1), "inherits": "hyperliquid"} | changes


def test_a_file_of_another_venue_inherits_and_keeps_sources():
    spec = parse_venue(
        child(tokens=[{"name": "HYPE", "ltv": 0.4, "source": "own"}], fee_tiers=[FREE])
    )
    hype = {token.name: token for token in spec.tokens}["HYPE"]
    assert (hype.ltv, hype.decimals, len(spec.fee_tiers)) == (0.4, 8, 1)
    assert spec.sources["tokens.HYPE.ltv"] == "own"
    assert spec.sources["tokens.HYPE.decimals"] == BASE.sources["tokens.HYPE.decimals"]
    assert spec.sources["clock.price_period_ms"] == BASE.sources["clock.price_period_ms"]


FREE = {
    "volume_from_usd": 0.0,
    "perp_taker_frac": 0.0,
    "perp_maker_frac": 0.0,
    "spot_taker_frac": 0.0,
    "spot_maker_frac": 0.0,
    "source": "none",
}


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"inherits": "hyperliqid"}, "inherits", "unknown"),
        ({"inherits": 7}, "inherits", "not readable"),
        ({"tokens": [{"name": "HYPE", "ltv": 0.4}]}, "tokens.HYPE.source", "missing"),
        ({"tokens": [{"name": "HYPE", "lvt": 0.4, "source": "x"}]}, "tokens.HYPE.lvt", "nothing"),
        ({"margin": {"trigger_ratio": 0.9}}, "margin.trigger_ratio", "not readable"),
        ({"margin": 7}, "margin", "not readable"),
        ({"tokens": 7}, "tokens", "not readable"),
        ({"margn": {}}, "margn", "nothing"),
    ],
)
def test_problems_of_a_child(changes, place, words):
    with pytest.raises(InvalidInput) as caught:
        parse_venue(child(**changes) | {"clok": {}})
    problems = {problem.name: problem.problem for problem in caught.value.problems}
    assert words in problems[place]
    assert "clok" in problems  # with all others at once


def test_a_base_that_leads_back_is_a_problem():
    from stressbook.market.rules.presets.inheritance import inherited

    documents = {"a": {"inherits": "b"}, "b": {"inherits": "a"}}
    problems = []
    inherited(copy.deepcopy(documents["a"]), documents.__getitem__, problems)
    assert [problem.problem for problem in problems] == ["is a circle"]
