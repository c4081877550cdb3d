"""Scenarios: what files may say, how they inherit, and that the resolved form says it all."""

import json
import pickle
import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stressbook.agents import classes
from stressbook.errors import InvalidScenario
from stressbook.experiments.agent_classes import agent_class_names, params_class
from stressbook.experiments.scenario import Scenario, load_scenario, scenario_from_table
from stressbook.experiments.scenario_files.binding import bind, unbind
from stressbook.experiments.scenario_files.durations import seconds
from stressbook.experiments.scenario_files.file import (
    apply_overrides,
    catalogue_names,
    merge,
    parse,
)
from stressbook.experiments.scenario_files.stress_table import parse_stress
from stressbook.experiments.scenario_files.toml_text import toml_text
from stressbook.experiments.stress import (
    CorrelationBreak,
    DepthThinning,
    PriceGap,
    base,
)
from stressbook.market.rules.parameters import param
from stressbook.market.rules.spec import load_preset
from tests.own_names import own_names_forgotten

CLASSES = list(classes.CLASSES)
TWO = 'assets = ["BTC", "HYPE"]\n'


def load(text):
    return scenario_from_table(parse(text, source="case.toml"), source="case.toml")


# (file, attribute path of the scenario, value)
VALID = [
    ("", "assets", ("BTC", "HYPE")),
    ("dt = 2", "dt_s", 2.0),
    ("duration = '1h30min'", "duration_s", 5400.0),
    ("warmup = 0", "warmup_s", 0.0),
    ("preset = 'hyperliquid'", "preset", "hyperliquid-2026-08"),
    ("", "rules_date", "2026-08-22"),
    ("rules_date = 2026-06-01", "rules_date", "2026-06-01"),
    ("rules_date = '2026-06-01'", "rules_date", "2026-06-01"),
    ("assets = ['HYPE']", "assets", ("HYPE",)),
    ("assets = ['HYPE', 'BTC']", "world.correlation", ((1.0, 0.54), (0.54, 1.0))),
    ("", "opening_price_usd", {"BTC": 78_803.0, "HYPE": 84.035}),
    ("[opening_price_usd]\nHYPE = 40", "opening_price_usd", {"BTC": 78_803.0, "HYPE": 40.0}),
    ("[world]\nresidual_exponent = 1", "world.residual_exponent", 1.0),
    ("[world.HYPE.perp]\nbasis_mean_bp = -3", "world.assets.1.perp.basis_mean_bp", -3.0),
    ("[world.correlation.BTC]\nHYPE = -0.2", "world.correlation", ((1.0, -0.2), (-0.2, 1.0))),
    ("[venue.tokens.HYPE]\nltv = 0", "venue", {"tokens.HYPE.ltv": 0.0}),
    ("[venue.assets.HYPE]\noracle_mode = 'outside'", "venue",
     {"assets.HYPE.oracle_mode": "outside"}),
    ("[venue.latency]\nmedian_ms = 2000\np99_ms = 3000", "venue",
     {"latency.median_ms": 2000.0, "latency.p99_ms": 3000.0}),
    ("[agents.lender]\ninterval_s = '2min'", "agents.lender.interval_s", 120.0),
    ("[agents.holder.HYPE]\naccounts = 3", "agents.holder.accounts", {"BTC": 30, "HYPE": 3}),
    ("[sources]\nfall = 'assumed'", "sources", {"fall": "assumed"}),
    ("[[stresses]]\nkind = 'price_gap'\nat = '20min'", "stresses.0.at_s", 1200.0),
]  # fmt: skip


def value_at(found, path):
    for key in path.split("."):
        if isinstance(found, tuple):
            found = found[int(key)]
        else:
            found = found[key] if isinstance(found, dict) else getattr(found, key)
    return found


@pytest.mark.parametrize(("text", "path", "value"), VALID)
def test_valid_file(text, path, value):
    scenario = load(text if "assets" in text else TWO + text)
    assert value_at(scenario, path) == value


@pytest.mark.parametrize("text", [case[0] for case in VALID])
def test_resolved_form_reads_back_equal(text):
    scenario = load(text if "assets" in text else TWO + text)
    again = load(scenario.to_toml())
    assert again == scenario
    assert again.to_toml() == scenario.to_toml()
    assert again.digest() == scenario.digest()


@pytest.mark.parametrize("name", catalogue_names())
def test_catalogue_reads_and_reads_back(name):
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.summary
    assert list(scenario.agents) == [name for name in CLASSES if name != "borrower"]
    assert load(scenario.to_toml()) == scenario


def test_catalogue_has_the_first_scenarios():
    expected = {
        "skeleton", "calm-two-assets", "hyperliquid", "correlation-break", "hype-fall",
        "btc-fall-thin",
    }  # fmt: skip
    assert expected <= set(catalogue_names())


def calibrated():
    file = Path(__file__).parents[2] / "results" / "reference" / "calibration.json"
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    return {(row["asset"], row["name"]): row for row in rows}


PERP = "basis_fast_sd_bp basis_fast_halflife_s basis_slow_sd_bp basis_slow_halflife_s"


@pytest.mark.parametrize("name", ["BTC", "ETH", "SOL", "HYPE"])
def test_world_of_the_reference_scenario_is_the_calibrated_one(name):
    scenario = load_scenario("hyperliquid")
    asset = next(asset for asset in scenario.world.assets if asset.name == name)
    rows = calibrated()
    used = {field: getattr(asset.perp, field) for field in PERP.split()}
    used |= {"daily_vol_frac": asset.daily_volatility, "premium_mean_bp": asset.perp.basis_mean_bp}
    for other, row in zip(scenario.assets, scenario.world.correlation, strict=True):
        if (name, f"corr_{other}") in rows:
            used[f"corr_{other}"] = row[scenario.assets.index(name)]
    for field, value in used.items():
        assert value == pytest.approx(rows[name, field]["value"], rel=0.03), field
    for leg in (asset.spot, asset.perp):
        assumed = rows[name, "outside_impact_bp_per_musd"]["value"]
        assert leg.impact_bp_per_musd == assumed


def test_law_of_the_reference_scenario_is_that_of_btc():
    rows = calibrated()
    fast, middle, slow, season = (
        rows["BTC", f"log_vol_var_{scale}"]["value"] for scale in ("20min", "4h", "3d", "season")
    )
    law = load_scenario("hyperliquid").world
    assert law.log_vol_variances == pytest.approx((fast, middle + season, slow), rel=0.03)


def test_digests_of_the_catalogue_differ():
    digests = {load_scenario(name).digest() for name in catalogue_names()}
    assert len(digests) == len(catalogue_names())


def test_resolved_form_leaves_nothing_to_defaults():
    table = load_scenario("hyperliquid").to_table()
    assert {entry.name for entry in fields(Scenario)} - {"population"} == set(table)
    for name in load_scenario("hyperliquid").agents:
        assert unbind(params_class(name)()).keys() <= table["agents"][name].keys()


def test_all_classes_of_agents_can_be_named():
    assert agent_class_names() == CLASSES


@pytest.mark.parametrize("name", CLASSES)
def test_parameters_of_a_class_read_back(name):
    cls = params_class(name)
    assets = ("BTC", "ETH", "SOL", "HYPE")
    problems = []
    again = bind(cls, unbind(cls()), place=name, assets=assets, problems=problems)
    assert problems == []
    assert again == cls()


@pytest.mark.parametrize("name", CLASSES)
def test_every_parameter_of_a_class_has_unit_and_help(name):
    for entry in fields(params_class(name)):
        assert entry.metadata["unit"], entry.name
        assert entry.metadata["help"], entry.name


def test_inheritance_merges_tables_and_replaces_arrays(tmp_path):
    (tmp_path / "base.toml").write_text(
        TWO + "dt = 2\n[world.HYPE]\ndaily_volatility = 0.08\n[[stresses]]\n"
        "kind = 'price_gap'\nat = '20min'\n[agents.lender]\nrun_per_hour = 0.1\n"
    )
    (tmp_path / "child.toml").write_text(
        "inherits = 'base.toml'\nsummary = 'no stress'\nstresses = []\n"
        "[world.HYPE.spot]\nhalf_spread_bp = 9\n[agents.lender]\nsupply_usd = 1e6"
    )
    child = load_scenario(tmp_path / "child.toml")
    assert (child.name, child.dt_s, child.stresses) == ("child", 2.0, ())
    hype = child.world.assets[1]
    assert (hype.daily_volatility, hype.spot.half_spread_bp) == (0.08, 9.0)
    lender = child.agents["lender"]
    assert (lender.run_per_hour, lender.supply_usd) == (0.1, 1e6)


def test_name_and_summary_are_not_inherited(tmp_path):
    (tmp_path / "child.toml").write_text("inherits = 'skeleton'")
    child = load_scenario(tmp_path / "child.toml")
    assert (child.name, child.summary) == ("child", "")


def test_what_is_inherited_of_dropped_assets_is_left_out(tmp_path):
    (tmp_path / "base.toml").write_text(
        TWO + "[world.HYPE]\ndaily_volatility = 0.08\n[world.correlation.BTC]\nHYPE = 0.1\n"
        "[agents.holder.HYPE]\naccounts = 3\n[venue.tokens.HYPE]\nltv = 0.6\n"
        "[opening_price_usd]\nHYPE = 40.0"
    )
    (tmp_path / "child.toml").write_text("inherits = 'base.toml'\nassets = ['BTC']")
    child = load_scenario(tmp_path / "child.toml")
    assert list(child.agents["holder"].accounts) == ["BTC"]
    assert child.venue == {}


def test_a_chain_of_three(tmp_path):
    (tmp_path / "b.toml").write_text("inherits = 'skeleton'\ndt = 2")
    (tmp_path / "c.toml").write_text("inherits = 'b.toml'\nwarmup = 10")
    found = load_scenario(tmp_path / "c.toml")
    assert (found.dt_s, found.warmup_s, found.margin_regime) == (2.0, 10.0, "cross")


def test_merge_does_not_touch_its_arguments():
    base, child = {"a": {"x": [1]}}, {"a": {"y": [2]}}
    merged = merge(base, child)
    merged["a"]["y"].append(3)
    assert (base, child) == ({"a": {"x": [1]}}, {"a": {"y": [2]}})


def test_overrides_reach_tables_lists_and_texts():
    scenario = load_scenario(
        "skeleton",
        overrides=[
            "world.HYPE.daily_volatility=0.08",
            "stresses[0].severity = 0.5",
            "margin_regime=hyperliquid-pm",
            'assets=["BTC", "HYPE"]',
            "agents.lender.supply_usd=1e6",
        ],
    )
    assert scenario.world.assets[1].daily_volatility == 0.08
    assert scenario.stresses[0].severity == 0.5
    assert scenario.margin_regime == "hyperliquid-pm"
    assert scenario.agents["lender"].supply_usd == 1e6


def test_overrides_leave_their_table_alone():
    table = {"world": {"HYPE": {}}}
    apply_overrides(table, ["world.HYPE.daily_volatility=0.1"])
    assert table == {"world": {"HYPE": {}}}


def test_with_replaces_values_tables_and_objects():
    base = load_scenario("skeleton")
    lender = replace(base.agents["lender"], supply_usd=5e6)
    changed = base.with_(
        margin_regime="hyperliquid-pm",
        duration="1h",
        venue={"tokens.HYPE.ltv": 0.65},
        world={"HYPE": {"daily_volatility": 0.1}},
        agents={"lender": lender},
        stresses=(DepthThinning(at="20min"),),
    )
    assert (changed.margin_regime, changed.duration_s) == ("hyperliquid-pm", 3600.0)
    assert changed.venue == {"tokens.HYPE.ltv": 0.65}
    assert changed.world.assets[1].daily_volatility == 0.1
    assert changed.agents["lender"] == lender
    assert changed.stresses == (DepthThinning(at="20min"),)
    assert base == load_scenario("skeleton")


def test_with_other_assets_drops_what_belongs_to_the_rest():
    scenario = load_scenario("skeleton").with_(assets=["BTC"], stresses=[])
    assert list(scenario.opening_price_usd) == ["BTC"]
    assert len(scenario.venue_spec().instruments) == 2


def test_stressed_adds_after_the_others():
    base = load_scenario("skeleton")
    both = base.stressed(CorrelationBreak(at="20min", severity=0.8))
    assert [type(stress) for stress in both.stresses] == [PriceGap, CorrelationBreak]
    assert both.stresses[1].severity == 0.8


def test_digest_sees_one_number():
    base = load_scenario("skeleton")
    changed = base.with_(agents={"lender": {"run_per_hour": 1e-9}})
    assert base.digest() != changed.digest()
    assert base.digest() == load_scenario("skeleton").digest()


def test_digest_does_not_see_how_a_number_came_in():
    said = load(TWO + "dt = '1s'\n[agents.holder.HYPE]\naccounts = 30\n[agents.lender]")
    left_out = load(TWO + "[agents.lender]\n[agents.holder]")
    assert said.digest() == left_out.digest()


def test_scenario_travels_to_workers():
    scenario = load_scenario("btc-fall-thin")
    assert pickle.loads(pickle.dumps(scenario)) == scenario


def test_venue_of_a_scenario():
    spec = (
        load_scenario("skeleton")
        .with_(venue={"tokens.HYPE.ltv": 0.65}, opening_price_usd={"HYPE": 20.0})
        .venue_spec()
    )
    assert [asset.name for asset in spec.assets] == ["BTC", "HYPE"]
    assert [token.name for token in spec.tokens] == ["USDC", "BTC", "HYPE"]
    assert (spec.tokens[2].ltv, spec.assets[1].opening_price_usd) == (0.65, 20.0)
    ticked = load_preset("hyperliquid").with_opening_prices({"HYPE": 20.0})
    hype = {entry.name: entry.tick_e8 for entry in ticked.instruments}
    assert all(entry.tick_e8 == hype[entry.name] for entry in spec.instruments)


def test_venue_keeps_the_order_of_the_assets():
    spec = load("assets = ['HYPE', 'BTC']").venue_spec()
    assert [asset.name for asset in spec.assets] == ["HYPE", "BTC"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('at=25min,assets=["BTC", "HYPE"],fall_frac=-0.1', {"at": 1500, "fall_frac": -0.1}),
        ("at=25min,assets=[BTC,HYPE],fall_frac=-.1", {"at": 1500, "fall_frac": -0.1}),
        ("assets=HYPE,", {"assets": ["HYPE"]}),
        ("assets='HYPE'", {"assets": ["HYPE"]}),
        ("", {"assets": []}),
    ],
)
def test_short_stress_reads_lists_and_durations(text, expected):
    both = {"assets": ["BTC", "HYPE"], **expected}
    (stress,) = (
        load_scenario("skeleton").with_(stresses=[parse_stress(f"price_gap:{text}")]).stresses
    )
    assert stress == PriceGap(**both)


def test_short_stress_knows_lists_of_assets_by_their_unit():
    with own_names_forgotten():

        class Halt(base.Stress):
            books: tuple[str, ...] = param((), unit="asset", help="whose books")
            base_asset: str = param("BTC", unit="asset", help="what they are priced in")

            def apply(self, dials, severity):
                return dials

        found = parse_stress("halt:books=HYPE,base_asset=HYPE")
        (stress,) = load_scenario("skeleton").with_(stresses=[found]).stresses
        assert stress == Halt(books=("HYPE",), base_asset="HYPE")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("250ms", 0.25), ("90s", 90.0), ("1.5h", 5400.0), ("2d", 172_800.0), ("1d12h", 129_600.0)],
)
def test_durations(text, expected):
    assert seconds(text) == expected


def blocks_of_the_page(language):
    page = Path(__file__).parents[2].joinpath("docs", "scenarios.md").read_text(encoding="utf-8")
    found = re.findall(r"```(\w*)\n(.*?)```", page, re.DOTALL)
    return [text for name, text in found if name == language]


def test_examples_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(base, "REGISTRY", {})
    Path("my-break.toml").write_text(blocks_of_the_page("toml")[0], encoding="utf-8")
    names = {}
    for block in blocks_of_the_page("python"):
        exec(block, names)
    scenario = names["scenario"]
    assert scenario.venue_spec().tokens[3].ltv == 0.5
    assert load_scenario("hyperliquid").venue_spec().tokens[3].ltv == 0.65  # as the page says
    assert scenario.stresses == (PriceGap(at=3600, assets=["HYPE"], fall_frac=0.2, severity=0.5),)
    assert base.REGISTRY["oracle_freeze"] is names["OracleFreeze"]


def test_error_of_the_page_is_what_is_printed(tmp_path):
    text = blocks_of_the_page("toml")[0]
    text = text.replace("daily_volatility = 0.08", "daily_volatility = 5.0")
    (tmp_path / "my-break.toml").write_text(text.replace("fall_frac", "fall"))
    with pytest.raises(InvalidScenario) as caught:
        load_scenario(tmp_path / "my-break.toml")
    assert f"{caught.value}\n" in blocks_of_the_page("")


VALUES = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"])),
        st.dates(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3),
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES, max_size=4))
def test_toml_text_reads_back(table):
    assert tomllib.loads(toml_text(table)) == table
