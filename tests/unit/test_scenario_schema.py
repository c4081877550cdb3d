"""The JSON Schema accepts what the reader accepts, and refuses the same plain mistakes."""

import json
import re
from datetime import date

import pytest

from stressbook.experiments.scenario import load_scenario
from stressbook.experiments.scenario_files.file import catalogue_names, find_file, parse, read_file
from stressbook.experiments.scenario_files.schema import json_schema

TYPES = {
    "object": dict,
    "array": list,
    "string": (str, date),
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}
UNDERSTOOD = {
    "$schema", "title", "description", "default", "type", "properties", "additionalProperties",
    "items", "anyOf", "enum", "const", "minimum", "maximum", "pattern", "required",
}  # fmt: skip


def accepts(schema, value):
    """Judge a value by the part of JSON Schema that ours uses."""
    assert schema.keys() <= UNDERSTOOD
    if "anyOf" in schema and not any(accepts(one, value) for one in schema["anyOf"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if "type" in schema and not has_type(schema["type"], value):
        return False
    if isinstance(value, dict):
        return accepts_table(schema, value)
    if isinstance(value, list):
        return all(accepts(schema.get("items", {}), item) for item in value)
    if isinstance(value, str) and "pattern" in schema:
        return re.search(schema["pattern"], value) is not None
    if isinstance(value, int | float):
        return schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return True


def has_type(name, value):
    is_bool = isinstance(value, bool)
    return isinstance(value, TYPES[name]) and (is_bool == (name == "boolean"))


def accepts_table(schema, table):
    if not set(schema.get("required", ())) <= table.keys():
        return False
    others = schema.get("additionalProperties", True)
    for key, item in table.items():
        below = schema.get("properties", {}).get(key, others)
        if below is False or (below is not True and not accepts(below, item)):
            return False
    return True


@pytest.fixture(scope="module")
def schema():
    return json_schema()


def test_schema_is_json(schema):
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("name", catalogue_names())
def test_schema_accepts_the_catalogue(schema, name):
    assert accepts(schema, read_file(find_file(name)))


@pytest.mark.parametrize("name", catalogue_names())
def test_schema_accepts_resolved_forms(schema, name):
    assert accepts(schema, load_scenario(name).to_table())


@pytest.mark.parametrize(
    "text",
    [
        "colour = 1",
        "margin_regime = 'crss'",
        "preset = 'hyperliqid'",
        "dt = 0",
        "duration = 'soon'",
        "assets = 'BTC'",
        "[world.HYPE]\ndaily_volatility = 5.0",
        "[world.HYPE]\ndaily_vol = 0.5",
        "[world.HYPE.spot]\nhalf_spread_bp = true",
        "[world.correlation.BTC]\nHYPE = 54",
        "[venue.tokens.HYPE]\nltv = 65",
        "[venue.liquidation]\nadl_on = 1",
        '[venue.liquidation]\nallocate = "prorata"',
        "[agents.lender]\nsupply = 5.0",
        "[agents.holder.HYPE]\naccounts = 3.5",
        "[agents.holder]\naccounts = 3",
        "[[stresses]]\nat = 60",
        "[[stresses]]\nkind = 'price_gp'",
        "[[stresses]]\nkind = 'price_gap'\nfall_frac = 20",
    ],
)
def test_schema_refuses(schema, text):
    assert not accepts(schema, parse(text, source="case.toml"))


def test_every_number_is_described(schema):
    def check(node, place):
        for key, item in node.get("properties", {}).items():
            where = f"{place}.{key}"
            if "type" in item and item["type"] in ("number", "integer", "boolean"):
                assert item.get("description"), where
            check(item, where)
        if isinstance(node.get("additionalProperties"), dict):
            check(node["additionalProperties"], f"{place}.*")

    check(schema, "")


def test_units_and_sources_are_in_the_descriptions(schema):
    cap = schema["properties"]["venue"]["properties"]["tokens"]["properties"]["HYPE"]
    described = cap["properties"]["platform_borrow_cap"]["description"]
    assert "[tokens]" in described
    assert "source: " in described


def test_policies_after_a_breach_are_offered_by_name(schema):
    liquidation = schema["properties"]["venue"]["properties"]["liquidation"]
    offered = liquidation["properties"]["allocate"]["enum"]
    assert offered == ["rank", "pro_rata", "leverage_levelling", "profit_haircut"]
