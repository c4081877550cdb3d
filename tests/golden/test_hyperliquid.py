"""The venue's own loops against the golden files, where a file only gives what a loop sums up.

That the printed numbers agree is in `test_conform.py`; here a state is built and the engine runs.
"""

import json
from pathlib import Path

import pytest

from stressbook.experiments.conform.sums import sums
from stressbook.market.margin import printed as shown
from stressbook.market.margin.ratio import margin_ratio, portfolio_ratio
from stressbook.market.margin.sums import account_sums
from stressbook.market.opening.setup import AccountOpening, make_state
from stressbook.market.resolution.takeover import loan_threshold_usd
from stressbook.market.rules.spec import load_preset
from stressbook.market.state.records import Capacity

HERE = Path(__file__).parent
ACCOUNT = json.loads((HERE / "hyperliquid_accounts.json").read_text())["accounts"][0]
RULES = json.loads((HERE / "hyperliquid_rules.json").read_text())
SPEC = load_preset("hyperliquid")
USDC = SPEC.tokens[0]


def borrower(qty, price, ltv, debt):
    """A state whose first account owes a debt against HYPE and holds no perps."""
    spec = SPEC.with_opening_prices({"HYPE": price}).with_values({"tokens.HYPE.ltv": ltv})
    debtor = AccountOpening(
        key=1,
        tokens={3: round(qty * 10**8)},
        cash_micro=-round(debt * 1e6),
        debt=round(debt * 1e6),
        regime=1,
        account_mode=2,
    )
    lender = AccountOpening(key=2, cash_micro=10**12, supply=10**12)
    small = Capacity(orders=1, messages=1, fills=1, events=1)
    return make_state(spec, [debtor, lender], seed=1, capacity=small)


@pytest.mark.parametrize(
    "case", RULES["borrow_liquidation"], ids=lambda c: f"{c['debt']}-at-{c['px']}"
)
def test_borrow_liquidation(case):
    debt = float(case["debt"])
    v = borrower(case["collateral_qty"], float(case["px"]), case["ltv"], debt)
    s = account_sums(v, 0)
    assert s.debt_usd == debt
    assert s.own_cash_usd == -debt
    assert s.collateral_capacity_usd == pytest.approx(case["borrowable"], rel=1e-8)
    assert shown.health(s) == pytest.approx(case["health_factor"], rel=1e-8)
    assert margin_ratio(s, True) == pytest.approx(case["pmr_pure_borrow"], rel=1e-8)
    # Without caps in the way the credit is the partial threshold: value x (1 + LTV) / 2.
    partial, full = s.collateral_credit_usd, loan_threshold_usd(v, 0, True)
    assert partial == pytest.approx(case["partial_threshold"], rel=1e-8)
    assert full == pytest.approx(case["full_threshold"], rel=1e-8)


def test_faq_borrowable_by_the_loop():
    faq = RULES["borrowable_faq"]
    inputs = faq["inputs"]
    v = borrower(inputs["collateral_qty"], float(inputs["px"]), inputs["ltv"], 0.0)
    assert account_sums(v, 0).collateral_capacity_usd == pytest.approx(faq["borrowable"], rel=1e-8)


@pytest.mark.parametrize("name", ["BTC", "ETH", "SOL"])
def test_preset_has_the_published_tiers(name):
    asset = next(asset for asset in SPEC.assets if asset.name == name)
    case = next(case for case in RULES["maintenance_tiers"] if case["table"] == name)
    levels = [[tier.lower_usd, tier.max_leverage] for tier in asset.tiers]
    assert levels == case["tiers"]


def test_preset_has_the_caps_of_the_account():
    caps, scale = ACCOUNT["caps"], ACCOUNT["scale"]
    assert caps["user_borrow"]["USDC"] / scale == pytest.approx(USDC.user_borrow_cap)
    assert caps["user_supply"]["UBTC"] / scale == pytest.approx(SPEC.tokens[1].user_supply_cap)


def test_offset_counts_where_there_is_a_requirement():
    flat = sums(own_cash_usd=10.0, collateral_credit_usd=5.0, borrow_offset_usd=20.0)
    assert portfolio_ratio(flat) == 0.0
    short = flat._replace(own_cash_usd=1_000.0, maintenance_usd=150.0)
    assert portfolio_ratio(short) == (150.0 + 20.0) / 1_005.0
