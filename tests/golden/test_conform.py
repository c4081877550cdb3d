"""Golden cases through the command's own readers: all that should pass, and what must not."""

import copy
import json
from pathlib import Path

import pytest

import stressbook as sb
from stressbook.api.conformity import conform_all
from stressbook.errors import InvalidInput
from stressbook.experiments.conform import judge_document

HERE = Path(__file__).parent
VENUE_FILES = {
    name: json.loads((HERE / f"hyperliquid_{name}.json").read_text())
    for name in ("accounts", "reserves", "rules")
}
N_CASES = {"accounts": 26, "reserves": 7, "rules": 42}
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


# --- other accounts, other numbers ----------------------------------------------------------------


def printed_account(perps, collateral, caps, total, *, borrowed=0.0, orders=0.0, isolated=0.0):
    """An account and what the venue would print of it, by the formulas written out."""
    im, mm, notional = perps
    after = total - isolated - mm
    commitment = isolated + max(im, 0.1 * notional) + 1.01 * orders
    credit = capacity = 0.0
    for token, balance, ltv, price in collateral:
        credit += min(balance, caps["user_supply"][token]) * price * (1 + ltv) / 2
        capacity += balance * price * ltv
    after += credit
    debt = max(0.0, mm - (total - isolated))
    expected = {
        "portfolioMarginRatio": (mm + debt) / (total - isolated + debt + credit),
        "availableAfterMaintenance_USDC": after,
        "usdc_hold": commitment - capacity,
        "usdc_spotHold": min(total, commitment),
        "usdt0_hold": -min(caps["user_borrow"]["USDT0"], (total - commitment + capacity) / 0.999),
        "availableAfterMaintenance_USDT0": min(caps["user_borrow"]["USDT0"], after / 0.999),
        "tokenToPortfolioBorrowRatio_USDC": borrowed / caps["user_borrow"]["USDC"],
    }
    for token, balance, ltv, price in collateral:
        held = max(0.0, commitment - total) / (price * ltv)
        free = min(balance, max(0.0, after) / (price * (1 + ltv) / 2))
        expected[f"{token}_hold"] = held
        expected[f"availableAfterMaintenance_{token}"] = free
        expected[f"tokenToPortfolioSupplyRatio_{token}"] = balance / caps["user_supply"][token]
    return {
        "id": "made up",
        "caps": caps,
        "usdc": {"total": total, "borrowed": borrowed},
        "usdt0_oracle_px": 0.999,
        "collateral": [
            {"token": token, "total": balance, "ltv": ltv, "implied_borrow_oracle_px": price}
            for token, balance, ltv, price in collateral
        ],
        "perps": {
            "totalMarginUsed": im,
            "crossMaintenanceMarginUsed": mm,
            "totalNtlPos": notional,
        },
        "isolated_equity": isolated,
        "open_order_IM": orders,
        "expected": expected,
    }


def test_other_accounts_pass():
    caps = {
        "user_borrow": {"USDC": 1e7, "USDT0": 1e5},
        "user_supply": {"HYPE": 500.0, "UBTC": 20.0},
    }
    both = [("HYPE", 800.0, 0.65, 91.3), ("UBTC", 1.25, 0.5, 78_000.5)]
    accounts = [
        printed_account((900.0, 400.0, 20_000.0), both, caps, -1_500.25, borrowed=2_000.0),
        printed_account(
            (3_000.0, 700.0, 9_000.0), both[:1], caps, 250.5, orders=120.0, isolated=70
        ),
        printed_account((0.0, 0.0, 0.0), both[1:], caps, 10.0),
        printed_account((50.0, 20.0, 400.0), [], caps, 60.0),
    ]
    assert judge_document({"accounts": accounts}).passed == 4
    for account in accounts:
        account["perps"] = {
            "crossMaintenanceMarginUsed": account["perps"]["crossMaintenanceMarginUsed"]
        }
    lacking = judge_document({"accounts": accounts})
    assert (lacking.passed, lacking.failed) == (1, 0)  # without perps nothing is bound
    assert {one.reason for one in lacking.unsupported} == {"lacks `perps.totalMarginUsed`"}


def test_scaled_account_and_more_rows_pass():
    """Amounts and caps in proportion, prices and ratios as they are."""
    account = copy.deepcopy(VENUE_FILES["accounts"]["accounts"][0])
    account["scale"] *= 2.5
    for table in (*account["caps"].values(), account["usdc"]):
        for key in table:
            table[key] *= 2.5
    account["collateral"][0]["total"] *= 2.5
    for key, value in account["perps"].items():
        if isinstance(value, float):
            account["perps"][key] = value * 2.5
    for row in account["perps"]["positions"]:
        row[1], row[2] = row[1] * 2.5, row[2] * 2.5
    for key, value in account["expected"].items():
        if not key.startswith(("portfolio", "tokenTo")):
            account["expected"][key] = value * 2.5
    assert judge_document({"accounts": [account, account]}).passed == 2


def test_other_rows_of_tables_pass():
    isolated = {"columns": ["coin", "szi", "isolated_rawUsd", "maxLeverage", "liquidationPx"]}
    isolated["rows"] = [
        ["A", -4.0, 500.0, 10, 500.0 / (4.0 * 1.05)],
        ["B", 4.0, 100.0, 10, None],  # nothing is owed: no price above 0
    ]
    fees = {"columns": ["coin", "px", "sz", "role", "fee_total", "of_which_builder"]}
    fees["rows"] = [
        ["A", 12.3456789, 7.7, "taker", 0.042777 + 0.009506, 0.009506],
        ["A", 2.5, 10.0, "maker", 0.00375, 0.0],
    ]
    payments = {"columns": ["coin", "szi", "fundingRate", "oracle_px_implied", "usdc_delta"]}
    payments["rows"] = [["A", -250.5, 0.0001, 12.0, 0.3006], ["B", 1e7, 0.0001, 2.0, -2000.0]]
    document = {"isolated_liquidation": isolated, "fees": fees, "funding_payments": payments}
    found = judge_document(document)
    assert found.passed == 6, found
    isolated["rows"][1][-1] = 1.0
    payments["rows"].append(["C", 1.0])
    found = judge_document(document)
    assert (found.failed, found.misses[0].found) == (1, None)
    assert [one.reason for one in found.unsupported] == ["lacks `oracle_px_implied`"]


def test_unknown_keys_sections_and_stated_tolerances():
    point = {"utilization": 0.9, "borrow_rate": 0.525, "why": 3, "gamma": 1.0}
    document = {"borrow_rate": [point], "note": "text", "accounts": None, "colour": {"a": 1}}
    assert judge_document(document).passed == 1
    unread = judge_document({**document, "greeks": [{"vega": 1.0}], "more": {"rows": [[1], [2]]}})
    assert [one.case for one in unread.unsupported] == ["greeks[0]", "more[0]", "more[1]"]
    point["borrow_rate"] = 0.55
    assert judge_document(document).failed == 1
    point["tolerance"] = {"abs": 0.03}
    assert judge_document(document).passed == 1
    series = copy.deepcopy(VENUE_FILES["accounts"]["net_negative_series"])
    series["tolerances"] = {"usd": 1e-12, "hype": 1e-7, "ratio": 1e-9}
    assert judge_document({"net_negative_series": series}).failed == 3


# --- files and results ----------------------------------------------------------------------------


def test_files_that_cannot_be_read_are_told_all_at_once(tmp_path):
    (tmp_path / "text.json").write_text("{")
    (tmp_path / "other.json").write_text('{"a": 1}')
    (tmp_path / "empty.json").write_text("[]")
    (tmp_path / "nothing.json").write_text('{"accounts": []}')
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    names = ["absent", "text", "other", "empty", "nothing", "bytes"]
    paths = [tmp_path / f"{name}.json" for name in names]
    with pytest.raises(InvalidInput) as error:
        conform_all(paths)
    told = [problem.problem for problem in error.value.problems]
    assert [problem.name for problem in error.value.problems] == [str(path) for path in paths]
    assert told[0] == "cannot be read: No such file or directory"
    assert told[1].startswith("is no JSON file: Expecting property name")
    assert told[2:5] == ["is of no known format", "holds no golden case", "holds no golden case"]
    assert told[5].startswith("is no JSON file")
    assert "accounts, reserves" in error.value.problems[2].allowed


def test_results_name_the_file_the_case_and_both_numbers(tmp_path):
    path = tmp_path / "rates.json"
    path.write_text('{"borrow_rate": [{"utilization": 0.5, "borrow_rate": 0.06}, {}]}')
    found = sb.conform(path)
    assert repr(found) == "<Conformity: 0 passed, 1 failed, 1 unsupported>"
    assert found.summary().splitlines() == [
        f"{path}: 0 passed, 1 failed, 1 unsupported",
        "  miss         borrow_rate[0]: borrow_rate is 0.05, expected 0.06 within 6e-10",
        "  unsupported  borrow_rate[1]: lacks `utilization`",
    ]
    table = found.to_dict()
    assert [table[key] for key in ("passed", "failed", "unsupported")] == [0, 1, 1]
    assert table["misses"][0]["found"] == 0.05
    assert table["unsupported_cases"][0]["reason"] == "lacks `utilization`"
