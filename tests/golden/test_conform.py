"""Golden cases through the command's own readers: all that should pass, and what must not."""

import copy
import json
from pathlib import Path

import pytest

import stressbook as sb
from stressbook.experiments.conform import judge_document

HERE = Path(__file__).parent
VENUE_FILES = {
    name: json.loads((HERE / f"hyperliquid_{name}.json").read_text())
    for name in ("accounts", "reserves", "rules")
}
N_CASES = {"accounts": 26, "reserves": 7, "rules": 42}
SKIPPED = {"context", "note", "source", "why"}
# What sections judge by name, where no `expected`, `exp_*` or last column says so.
OUTPUTS = {
    "reserves": "utilization borrowYearlyRate supplyYearlyRate",
    "net_balance_rollforward": "predicted_end_net api_end_net",
    "borrow_rate": "borrow_rate supply_rate",
    "maintenance_tiers": "maintenance_margin",
    "borrow_liquidation": "borrowable health_factor partial_threshold full_threshold "
    "pmr_pure_borrow partial full pmr_liquidatable",
    "borrow_liquidation_prices": "px_pmr_095 px_partial px_full",
    "health_factor_faq": "health",
    "locked_collateral_faq": "locked_hype",
    "borrowable_faq": "borrowable",
    "funding": "premium rate_8h rate_hour payment_long_10_contracts",
    "cross_liquidation": "maintenance_margin liq_price px_equity_two_thirds_mm px_bankruptcy",
    "btcquant_carry": "requirement liquidation_value ratio",
    "adl_index": "index",
    "tick_rules": "valid",
}
COLUMNS = {"isolated_liquidation": [-1], "funding_payments": [-1], "fees": [-2, -1]}


def places_of(section, name):
    """Yield the place of every number that has to be judged, as keys from the section down."""
    if name == "accounts":
        for i, account in enumerate(section):
            yield from ((i, "expected", key) for key in account["expected"])
            for j in range(len(account["perps"]["positions"])):
                yield i, "perps", "positions", j, -1
    elif name == "net_negative_series":
        judged = [i for i, key in enumerate(section["columns"]) if key.startswith("exp_")]
        yield from (("rows", i, j) for i in range(len(section["rows"])) for j in judged)
        extra = section["extra"]
        yield from (("extra", key) for key in extra if key.endswith("_hold") or "Ratio" in key)
        yield from (
            ("extra", "availableAfterMaintenance", key)
            for key in extra["availableAfterMaintenance"]
        )
        yield "extra", "cross_short_HYPE", "liquidationPx"
    elif name in COLUMNS:
        yield from (("rows", i, j) for i in range(len(section["rows"])) for j in COLUMNS[name])
    else:
        names = OUTPUTS[name].split()
        if isinstance(section, list):
            yield from ((i, key) for i, one in enumerate(section) for key in names if key in one)
        else:
            yield from ((key,) for key in names)


def changed(value):
    """Return a number that no tolerance of the files takes for the same."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return str(float(value) + 0.001)
    return (value or 0.0) * 1.001 + 0.01


@pytest.mark.parametrize("name", VENUE_FILES)
def test_the_venue_passes_in_every_case(name):
    found = sb.conform(HERE / f"hyperliquid_{name}.json")
    assert found.misses == []
    assert found.reasons == []
    assert (found.passed, found.failed, found.unsupported) == (N_CASES[name], 0, 0)


SECTIONS = [
    (file, name)
    for file, document in VENUE_FILES.items()
    for name in document
    if name in OUTPUTS or name in COLUMNS or name in ("accounts", "net_negative_series")
]


@pytest.mark.parametrize(("file", "name"), SECTIONS)
def test_a_changed_number_fails_its_case_alone(file, name):
    section = VENUE_FILES[file][name]
    n = judge_document({name: section}).passed
    places = list(places_of(section, name))
    assert len(places) >= n
    for place in places:
        bad = copy.deepcopy(section)
        at = bad
        for key in place[:-1]:
            at = at[key]
        if at[place[-1]] is None and "positions" not in place:
            continue
        at[place[-1]] = changed(at[place[-1]])
        found = judge_document({name: bad})
        assert (found.passed, found.failed) == (n - 1, 1), place
        assert len(found.misses) == 1, place
