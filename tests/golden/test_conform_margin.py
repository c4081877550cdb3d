"""Margin cases of other venues through the command: what must pass, and that a change is seen."""

import copy
import json
from pathlib import Path

import pytest

from stressbook.experiments.conform import judge_document

CASES = json.loads((Path(__file__).parent / "margin_cases.json").read_text())
BY_NAME = {case["name"]: case for case in CASES}
MUST_PASS = (
    *("isolated_", "binance_", "hyperliquid_", "derive_", "deribit_", "okx_", "span_", "cme_"),
    *("tims_", "openhl_", "paradex_", "phemex_", "toobit_", "bitmex_", "zubr_", "sat_is_"),
    *("solomon_", "compound_", "aave_v3", "aave_emode", "comet_rates", "comet_is"),
    *("dydx_bankruptcy", "dydx_fillable", "dydx_insurance", "dydx_funding"),
    *("drift_base", "drift_cross", "drift_liability"),
)


def judged(cases):
    return judge_document(cases)


def test_what_a_regime_or_policy_computes_passes():
    found = judged(CASES)
    assert found.misses == ()
    assert found.passed + len(found.unsupported) == len(CASES)
    unsupported = {one.case for one in found.unsupported}
    must = {name for name in BY_NAME if name.startswith(MUST_PASS)}
    assert not must & unsupported
    assert all(one.reason.startswith("no ") for one in found.unsupported)


def changes_of(value, room):
    """Yield copies of an expected value in which one number or boolean differs."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield value + (1 if isinstance(value, int) else 0.02 * abs(value) + 0.02) + room
    elif isinstance(value, list):
        for i, part in enumerate(value):
            for other in changes_of(part, room):
                yield [*value[:i], other, *value[i + 1 :]]


def test_a_changed_number_fails_its_case():
    passing = [case for case in CASES if judged([case]).passed]
    assert len(passing) > 120
    for case in passing:
        changed, room = [], 2 * case["tolerance"].get("abs", 0)
        for key, value in case["expected"].items():
            for other in changes_of(value, room):
                bad = copy.copy(case)
                bad["expected"] = {**case["expected"], key: other}
                changed.append(bad)
        assert changed
        found = judged(changed)
        assert (found.failed, found.passed) == (len(changed), 0), case["name"]


def with_inputs(name, expected, **inputs):
    case = copy.deepcopy(BY_NAME[name])
    case["inputs"].update(inputs)
    case["expected"] = expected
    case["tolerance"] = {"rel": 1e-9, "abs": 1e-9}
    return case


def scaled(value, factor):
    if isinstance(value, list):
        return [scaled(one, factor) for one in value]
    return value * factor


def test_other_sides_sizes_and_rows():
    """Expected numbers are recomputed here by the plain formula of each source."""
    cases = []
    keys = ("symbol", "side", "qty", "entry", "mark", "mmr", "cum")
    for side in (1, -1):
        entry, margin, rate, cum, fee = 20.0, 30.0, 0.02, 0.5, 0.001
        price = (entry - side * (margin + cum) / 5.0) / (1.0 - side * (rate + fee))
        flat = {"side": side, "entry": entry, "qty": 5.0, "mmr": rate, "cum": cum}
        cases.append(
            with_inputs(
                "isolated_liq_with_taker_fee_long_3x_10_1",
                {"liq_price": price},
                **flat,
                margin=margin,
                taker_fee=fee,
            )
        )
        held = [
            dict(zip(keys, values, strict=True))
            for values in (
                ("A", side, 3, 90, 100, 0.03, 1),
                ("B", 1, 2, 50, 40, 0.1, 2),
                ("C", -1, 4, 10, 11, 0.05, 0),
            )
        ]
        others = 60.0 - (80 * 0.1 - 2 + 44 * 0.05) + 2 * (40 - 50) - 4 * (11 - 10)
        price = (others + 1 - side * 3 * 90) / (3 * 0.03 - side * 3)
        cases.append(
            with_inputs(
                "binance_cross_liq_price_BTC",
                {"liq_price": price},
                wallet_balance=60.0,
                positions=held,
                target="A",
            )
        )
        deltas = {"one": 2.0 * side, "two": 0.5, "three": -0.25}
        x = 2.0 * side + 0.25
        worst = max(-x * m / (1.0 + m) for m in (-0.2, 0.2))
        cases.append(
            with_inputs(
                "deribit_delta_one_margin",
                {
                    "worst_case": worst,
                    "roll": 0.0275,
                    "initial_margin": worst + 0.0275 + 0.06,
                    "maintenance_margin": 0.5 * (worst + 0.0275),
                },
                positions=deltas,
                price_range=0.2,
                mm_factor=0.5,
                open_orders_margin=0.0,
            )
        )
    found = judged(cases)
    assert found.passed == len(cases), found.misses + found.unsupported


def derive_v1(given):
    """Return both healths by the source's own formula."""
    q, b, spot, mark = (given[key] for key in ("perp", "base", "spot", "perp_mark"))
    worst = min(q * mark * s + b * spot * s for s in given["shocks"])
    static = (abs(q) * given["perp_pct"] + abs(b) * given["base_pct"]) * spot
    mtm = q * (mark - given["entry"]) + b * spot + given.get("cash", 0.0)
    low = min(given["spot_conf"], given["perp_conf"])
    weak = 0.0
    for size, confidence in ((q, low), (b, given["spot_conf"])):
        if confidence < given["conf_threshold"]:
            weak += (1 - confidence) * given["conf_margin"] * abs(size) * spot
    loss = worst - static
    return {
        "mm": mtm + given["mm_factor"] * loss,
        "im": mtm + given["im_factor"] * loss - weak,
    }


def derive_v2(given):
    """Return both healths by the source's own formula."""
    stable = given["stable"]
    values = [one["amount"] * one["price"] / stable for one in given["collateral"]]
    shocked = given["perp"] * given["perp_mark"] + sum(
        v for v, one in zip(values, given["collateral"], strict=True) if one["risk_cancelling"]
    )
    worst = min(0.0, *(w * shocked * s for s, w in given["shock_weight"]))
    mtm = given["cash"] + given["perp_upnl"] + given["perp_funding"] + sum(values)
    notional = abs(given["perp"]) * given["spot"]
    mm = mtm + given["mm_loss_factor"] * worst - notional * given["mm_perp_pct"]
    peg = max(0.0, given["peg_threshold"] - stable) * given["peg_factor"]
    im = mtm + (given["im_loss_factor"] + peg) * worst
    im -= notional * (given["mm_perp_pct"] + given["im_perp_pct"])
    legs = [(notional, min(given["spot_conf"], given["perp_conf"]))]
    for v, one in zip(values, given["collateral"], strict=True):
        mm -= v * one["mm_haircut"]
        im -= v * (one["mm_haircut"] + one["im_haircut"])
        legs.append((v, min(one["conf"], given["spot_conf"])))
    for value, confidence in legs:
        if confidence < given["conf_threshold"]:
            im -= (1 - confidence) * given["conf_margin"] * value
    return {"mm": mm, "im": im}


def test_grids_with_other_books():
    cases = []
    for perp, base in ((-2.0, 1.5), (3.0, 0.5), (0.5, 2.0)):
        changes = {"perp": perp, "base": base, "entry": 1_900.0, "spot_conf": 0.5}
        name = "derive_pmrm1_delta_hedged_perp"
        cases.append(
            with_inputs(name, derive_v1({**BY_NAME[name]["inputs"], **changes}), **changes)
        )
    for name, amount in (
        ("derive_pmrm2_6_collateral_general_multi_collat_with_oracle_cont", -3.0),
        ("derive_pmrm2_32_perps_perp_hedging", 2.0),
    ):
        given = BY_NAME[name]["inputs"]
        more = [*given["collateral"], {**given["collateral"][0], "amount": 0.75, "conf": 0.3}]
        changes = {"perp": amount, "perp_mark": 1_990.0, "perp_conf": 0.9, "collateral": more}
        cases.append(with_inputs(name, derive_v2({**given, **changes}), **changes))
    found = judged(cases)
    assert found.passed == len(cases), found.misses + found.unsupported


LINEAR = {
    # names whose expected amounts grow with these inputs in proportion
    "paradex_pm_delta_one_partial_hedge": ["deltas"],
    "paradex_min_delta": ["spot"],
    "tims_product_group_90": ["classes"],
    "derive_solvent_auction_after_bid": ["mtm", "mm"],
    "derive_insolvent_auction": ["mtm", "mm"],
    "span_future_array": ["psr", "extreme"],
}


@pytest.mark.parametrize("name", LINEAR)
def test_amounts_scale(name):
    case, factor = copy.deepcopy(BY_NAME[name]), 3.5
    for key in LINEAR[name]:
        if key == "classes":
            for one in case["inputs"][key]:
                one["delta_usd"] *= factor
        else:
            case["inputs"][key] = scaled(case["inputs"][key], factor)
    for key, value in case["expected"].items():
        if key not in ("hedged_delta", "max_fraction"):
            case["expected"][key] = scaled(value, factor)
    case["tolerance"] = {"abs": 20.0} if name.startswith("span") else {"rel": 1e-9, "abs": 1e-9}
    assert judged([case]).passed == 1, judged([case])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "gamma"}, "kind 'gamma' has no reader"),
        ({"kind": 3}, "`kind` is no text"),
        ({"inputs": {"side": 1, "margin": 2}}, "lacks `qty`"),
        ({"inputs": None}, "lacks `inputs`"),
        ({"expected": {"liq_price": None}}, "has nothing that is judged"),
        ({"expected": {"gamma": 1.0}}, "no rule gives `gamma`"),
        ({"expected": {"liq_price": "x"}}, "expected `liq_price` is no number"),
        ({"tolerance": {"abs": "x"}}, "the tolerance of `liq_price` is no number"),
    ],
)
def test_what_no_reader_takes_is_unsupported_with_the_reason(change, reason):
    found = judged([{**BY_NAME["isolated_liq_long_3x_10_1"], **change}])
    assert (found.passed, found.failed) == (0, 0)
    (only,) = found.unsupported
    assert only.reason == reason


@pytest.mark.parametrize("beyond", [float("inf"), -float("inf"), float("nan"), 1e308])
def test_no_number_beyond_all_passes_for_what_is_expected(beyond):
    """A relative tolerance of it would take anything."""
    for case in CASES:
        numbers = {
            name: beyond
            for name, value in case["expected"].items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        if numbers and judged([case]).passed:
            bad = {**case, "expected": {**case["expected"], **numbers}, "tolerance": {}}
            assert judged([bad]).passed == 0, case["name"]


@pytest.mark.parametrize("place", [-1, 3, 10**30, 1e308, 0.5])
def test_a_place_that_names_nobody_is_unsupported(place):
    case = copy.deepcopy(BY_NAME["paradex_socialised_loss"])
    case["inputs"]["position"]["long"] = place
    found = judged([case])
    assert (found.passed, found.failed, len(found.unsupported)) == (0, 0, 1)


@pytest.mark.parametrize("step", [0.0, 1e-12, 1e-308, -1e308, 2.0])
def test_a_step_without_end_is_unsupported(step):
    case = copy.deepcopy(BY_NAME["paradex_partial_liquidation"])
    case["inputs"]["share_step"] = step
    found = judged([case])
    assert (found.passed, found.failed, len(found.unsupported)) == (0, 0, 1)
