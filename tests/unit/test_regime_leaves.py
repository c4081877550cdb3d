"""Whatever stands in the place of a number or a word of a regime is refused by name."""

import copy

import pytest

from stressbook.errors import InvalidInput
from stressbook.market.regimes import read_regime
from tests.unit.test_regimes import document

BAD = [float("nan"), float("inf"), None, [], {}, 2**70, -1e300]


def leaves(value, path=()):
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from leaves(inner, (*path, key))
    else:
        yield path


def with_leaf(table, path, value):
    changed = copy.deepcopy(table)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


@pytest.mark.parametrize("name", ["scan", "span", "okx"])
def test_no_leaf_may_be_anything(name):
    table = document(name)
    for path in leaves(table):
        for bad in BAD:
            with pytest.raises(InvalidInput):
                read_regime(with_leaf(table, path, bad))


def test_a_percentage_is_no_number_and_two_faults_are_two_problems():
    table = document("scan")
    table["scans"][0]["range_frac"] = "50%"
    table["scans"][1]["steps"][0] = -1e300
    with pytest.raises(InvalidInput) as found:
        read_regime(table)
    places = str(found.value)
    assert "scans.0.range_frac" in places
    assert "scans.1.steps" in places


@pytest.mark.parametrize("bad", [[], None, "scan", 5])
def test_what_is_no_table_is_no_regime(bad):
    with pytest.raises(InvalidInput, match="is no table"):
        read_regime(bad)
