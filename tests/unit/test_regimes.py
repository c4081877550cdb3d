"""Margin regimes as files: what ships, what the page says, and what is wrong with bad ones."""

import copy
import re
import tomllib
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from stressbook.errors import InvalidInput, UnknownName
from stressbook.market.regimes import load_regime, read_regime, regime_names
from stressbook.market.regimes.pocket import (
    Holding,
    Pocket,
    healths_usd,
    liquidation_price,
    margin_of,
)
from stressbook.market.rules.spec import load_preset

PAGE = (Path(__file__).parents[2] / "docs" / "regimes.md").read_text(encoding="utf-8")


def document(name):
    path = files("stressbook.market.regimes") / "presets" / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def problems_of(table):
    with pytest.raises(InvalidInput) as caught:
        read_regime(table)
    return {problem.name: problem for problem in caught.value.problems}


def test_the_page_lists_what_ships_and_its_example_runs():
    named = re.findall(r"`([a-z0-9-]+)`", " ".join(re.findall(r"^\| (`.*?) \|", PAGE, re.M)))
    assert sorted(named) == regime_names()
    names = {}
    for example in re.findall(r"```python\n(.*?)```", PAGE, re.S):
        exec(example, names)


def test_an_offset_that_nothing_reads_is_refused():
    for name in ("cross", "span"):
        with pytest.raises(InvalidInput, match="is read by nothing"):
            load_regime(name).with_rules(offset_frac=0.5)


@pytest.mark.parametrize("name", regime_names())
def test_every_number_names_its_source(name):
    regime = load_regime(name)
    tables = ("scans", "charges", "weights", "spreads")
    places = [f"{table}.{i}" for table in tables for i in range(len(getattr(regime, table)))]
    assert set(places) <= set(regime.sources)
    assert all(len(source) > 2 for source in regime.sources.values())
    assert regime == read_regime(document(name))


def test_an_unknown_regime_names_the_nearest():
    with pytest.raises(UnknownName, match="paradex"):
        load_regime("paradx")


def test_all_problems_of_a_file_are_reported_at_once():
    table = copy.deepcopy(document("paradex"))
    table["rules"]["offset_frac"] = {"value": 1.5, "unit": "1", "source": "of nowhere"}
    table["rules"]["aggregation"] = {"value": "sum", "unit": "name", "source": "of nowhere"}
    table["scans"][0]["tails"][0]["weight"] = -0.1
    table["scans"][1]["steps"] = [0.0, 1.0]
    table["charges"][0]["floor_net_frac"] = "2 %"
    table["weights"][0]["tokens"] = []
    assert set(problems_of(table)) == {
        "rules.offset_frac",
        "rules.aggregation",
        "scans.0.tails.0.weight",
        "scans",
        "charges.0.floor_net_frac",
        "weights.0.tokens",
    }


def test_keys_that_nothing_reads_and_missing_ones_are_reported():
    table = copy.deepcopy(document("okx"))
    table["charges"][0]["hedgd"] = []
    table["scans"][0]["tails"][0] = {"move": 0.1}
    del table["rules"]["trigger_ratio"]
    del table["weights"][0]["source"]
    found = problems_of(table)
    assert "hedged" in found["charges.0.hedgd"].hint
    assert {"scans.0.tails", "rules.trigger_ratio", "weights.0.source"} <= set(found)


def test_choices_that_do_not_go_together_are_refused():
    scan = load_regime("scan")
    with pytest.raises(InvalidInput, match="falls_back"):
        scan.with_rules(falls_back=True)
    with pytest.raises(InvalidInput, match="weights"):
        load_regime("cross").with_rules(collateral="weights")
    with pytest.raises(InvalidInput, match="is unknown"):
        scan.with_rules(offset=1.0)
    rows = replace(scan.charges[0], hedged=(replace(scan.charges[0].hedged[0], lower_usd=5.0),))
    with pytest.raises(InvalidInput, match="do not rise from 0"):
        replace(scan, charges=(rows,)).with_rules(offset_frac=0.0)


def test_a_venue_takes_the_regimes_numbers_as_levers():
    spec = load_preset("hyperliquid").with_regime("scan").with_values({"regime.offset_frac": 1.0})
    assert spec.enrolled.rules.offset_frac == 1.0
    assert spec.enrolled.scans == load_regime("scan").scans
    with pytest.raises(InvalidInput, match=r"regime\.offset_frac"):
        spec.with_values({"regime.offset_frac": 2.0})
    assert load_preset("hyperliquid").with_regime("isolated").ordinary.rules.pockets == "position"


def test_loans_are_charged_where_the_regime_charges_them():
    binance = load_regime("binance")
    owed = margin_of(binance, Pocket(0.0, (), debt_usd=10_000.0))
    assert (owed.initial_usd, owed.maintenance_usd) == (960.0, 800.0)
    short = margin_of(binance, Pocket(0.0, (Holding("BTC", -1_000.0, token="BTC"),)))
    assert short.maintenance_worth_usd == -1_000.0


def test_tokens_of_one_book_count_by_loan_to_value():
    """Initial 0.5 x 200,000 + 0.65 x 100,000, maintenance 0.75 and 0.825 of them."""
    regime = load_regime("hyperliquid-pm")
    tiers = ((0.0, 0.0125, 0.0), (150e6, 0.025, 1_875_000.0))
    book = Pocket(
        40_000.0,
        (
            Holding("BTC", -100_000.0, tiers=tiers, leverage=40.0),
            Holding("BTC", 200_000.0, token="BTC", ltv=0.5),
            Holding("HYPE", 100_000.0, token="HYPE", ltv=0.65),
            Holding("ETH", 50_000.0, token="ETH", ltv=0.0),
        ),
        debt_usd=60_000.0,
    )
    assert margin_of(regime, book) == pytest.approx((2_500.0, 1_250.0, 165_000.0, 232_500.0))
    assert healths_usd(regime, book) == pytest.approx((102_500.0, 171_250.0))
    # At price x of the short B* = 1.0125 x - 40,000, and (0.0125 x + B*) / (0.0125 x + 232,500) is
    # 0.95 where x = (0.95 x 232,500 + 40,000) / (1.025 - 0.011875).
    price = liquidation_price(regime, book, 0, 100_000.0)
    assert price == pytest.approx(260_875.0 / 1.013125, rel=1e-12)
    owed = Pocket(500.0, (Holding("HYPE", -325.0, token="HYPE", ltv=0.65),))
    assert healths_usd(regime, owed) == pytest.approx((0.0, 175.0))
    # 325 owed against 500 of cash breaks at 0.95 x 500.
    assert liquidation_price(regime, owed, 0, 100.0) == pytest.approx(475.0 / 3.25)


@pytest.mark.parametrize(
    ("ltv", "problem"), [(None, "ltv is missing for token 'BTC'"), (1.5, "out")]
)
def test_a_token_without_loan_to_value_is_no_silent_nothing(ltv, problem):
    book = Pocket(0.0, (Holding("BTC", 1_000.0, token="BTC", ltv=ltv),))
    with pytest.raises(InvalidInput, match=problem):
        margin_of(load_regime("hyperliquid-pm"), book)
    assert margin_of(load_regime("scan"), book).initial_worth_usd > 0.0
