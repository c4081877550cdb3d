"""Margin and reserves against live accounts, live reserves and published examples of Hyperliquid.

Requirements and ratios are what the engine calls; printed values go in as the sums of an account.
"""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from stressbook.market import printed as shown
from stressbook.market import requirements as req
from stressbook.market.codes import PERP, SPOT
from stressbook.market.ledger import fee_micro
from stressbook.market.lending_rates import borrow_rate_at, supply_rate_at, utilisation_of
from stressbook.market.margin import account_sums
from stressbook.market.rule_arrays import maintenance_table
from stressbook.market.setup import AccountOpening, make_state
from stressbook.market.spec import load_preset
from stressbook.market.state import MAX_TIERS, TIER, Capacity
from stressbook.market.takeover import loan_threshold_usd
from stressbook.market.ticks import is_valid_price

HERE = Path(__file__).parent
ACCOUNTS = json.loads((HERE / "hyperliquid_accounts.json").read_text())
RESERVES = json.loads((HERE / "hyperliquid_reserves.json").read_text())["reserves"]
RULES = json.loads((HERE / "hyperliquid_rules.json").read_text())
SPEC = load_preset("hyperliquid")
FLOOR = SPEC.margin.notional_floor_frac
BUFFER = SPEC.margin.order_margin_buffer_frac
USDC = SPEC.tokens[0]

SERIES = ACCOUNTS["net_negative_series"]
SERIES_ROWS = [dict(zip(SERIES["columns"], row, strict=True)) for row in SERIES["rows"]]


def assert_printed(value, printed, *, abs_tol=0.0):
    """Equal within the printed digits, 1e-8 relative, or an absolute tolerance."""
    digits = -Decimal(repr(printed)).as_tuple().exponent
    tolerance = max(abs_tol, 1e-8 * abs(printed), 0.6 * 10.0**-digits if digits > 2 else 0.0)
    assert abs(value - printed) <= tolerance, (value, printed)


def sums(**values):
    zeros = dict.fromkeys(req.AccountSums._fields, 0.0)
    return req.AccountSums(**{**zeros, **values})


def is_in_breach(s):
    """Judge a portfolio account as the engine does."""
    ratio, equity = req.margin_ratio(s, True), req.equity_usd(s, True)
    return req.breaches(True, ratio, equity, s.maintenance_usd, SPEC.margin.trigger_ratio)


def tiers_of(levels):
    tiers = np.zeros((1, MAX_TIERS), TIER)
    for tier, (lower, rate, deduction) in enumerate(maintenance_table(levels)):
        tiers[0, tier].lower_usd = lower
        tiers[0, tier].maintenance_rate = rate
        tiers[0, tier].deduction_usd = deduction
    return tiers


# --- live accounts -------------------------------------------------------------------------------


def sums_of_account(account):
    (token,) = account["collateral"]
    perps = account["perps"]
    worth = token["total"] * token["implied_borrow_oracle_px"]
    signed = sum(np.sign(szi) * value for _, szi, value, _, _ in perps["positions"])
    return sums(
        cash_usd=perps["totalRawUsd"],
        own_cash_usd=perps["totalRawUsd"] - account["usdc"]["borrowed"],
        debt_usd=account["usdc"]["borrowed"],
        position_value_usd=signed,
        gross_notional_usd=perps["totalNtlPos"],
        initial_usd=perps["totalMarginUsed"],
        maintenance_usd=perps["crossMaintenanceMarginUsed"],
        order_margin_usd=account["open_order_IM"],
        spot_bid_usd=account["spot_bid_notional"],
        isolated_equity_usd=account["isolated_equity"],
        collateral_value_usd=worth,
        collateral_capacity_usd=worth * token["ltv"],
        collateral_credit_usd=min(
            worth * ((1.0 + token["ltv"]) * 0.5), account["caps"]["user_borrow"]["USDC"]
        ),
    )


ACCOUNT = ACCOUNTS["accounts"][0]
EXPECTED = ACCOUNT["expected"]


def test_account_total_and_ratio():
    s = sums_of_account(ACCOUNT)
    assert_printed(req.net_usd(s), ACCOUNT["usdc"]["total"])
    assert req.is_judged_as_portfolio(s)
    assert not is_in_breach(s)
    assert_printed(req.margin_ratio(s, True), EXPECTED["portfolioMarginRatio"])
    available = shown.available_after_maintenance_usd(s)
    assert_printed(available, EXPECTED["availableAfterMaintenance_USDC"])


def test_account_holds():
    s = sums_of_account(ACCOUNT)
    (token,) = ACCOUNT["collateral"]
    price, ltv = token["implied_borrow_oracle_px"], token["ltv"]
    commitment = req.commitment_usd(s, FLOOR, BUFFER)
    hold = shown.hold_usd(s, commitment)
    assert_printed(hold, EXPECTED["usdc_hold"])
    assert_printed(min(req.net_usd(s), commitment), EXPECTED["usdc_spotHold"])
    held = shown.collateral_hold(req.net_usd(s), commitment, price, ltv)
    assert_printed(held, EXPECTED["UBTC_hold"])
    free = shown.collateral_available(
        token["total"], shown.available_after_maintenance_usd(s), price, ltv
    )
    assert_printed(free, EXPECTED["availableAfterMaintenance_UBTC"])


def test_account_in_another_stablecoin():
    s = sums_of_account(ACCOUNT)
    cap, price = ACCOUNT["caps"]["user_borrow"]["USDT0"], ACCOUNT["usdt0_oracle_px"]
    available = req.net_usd(s) - shown.hold_usd(s, req.commitment_usd(s, FLOOR, BUFFER))
    assert_printed(-min(cap, available / price), EXPECTED["usdt0_hold"])
    after = shown.available_after_maintenance_usd(s)
    assert_printed(min(cap, after / price), EXPECTED["availableAfterMaintenance_USDT0"])


def test_account_cap_ratios():
    caps, borrowed = ACCOUNT["caps"], ACCOUNT["usdc"]["borrowed"]
    (token,) = ACCOUNT["collateral"]
    borrow_ratio = borrowed / caps["user_borrow"]["USDC"]
    assert_printed(borrow_ratio, EXPECTED["tokenToPortfolioBorrowRatio_USDC"])
    supply_ratio = token["total"] / caps["user_supply"]["UBTC"]
    assert_printed(supply_ratio, EXPECTED["tokenToPortfolioSupplyRatio_UBTC"])
    # The caps of the preset, before the account's amounts were scaled.
    assert_printed(caps["user_borrow"]["USDC"] / ACCOUNT["scale"], USDC.user_borrow_cap)
    assert_printed(caps["user_supply"]["UBTC"] / ACCOUNT["scale"], SPEC.tokens[1].user_supply_cap)


def test_account_maintenance_by_tiers():
    total = 0.0
    for _, _, value, leverage, _ in ACCOUNT["perps"]["positions"]:
        total += req.maintenance_of(tiers_of([(0.0, leverage)]), 0, 1, value)
    assert_printed(total, ACCOUNT["perps"]["crossMaintenanceMarginUsed"])


@pytest.mark.parametrize("position", ACCOUNT["perps"]["positions"], ids=lambda p: p[0])
def test_account_liquidation_prices(position):
    _, size, value, leverage, printed = position
    available = shown.available_after_maintenance_usd(sums_of_account(ACCOUNT))
    price = shown.liquidation_price(value / abs(size), size, available, float(leverage))
    if printed is None:
        assert price <= 0.0
    else:
        assert_printed(price, printed)


def sums_of_row(row):
    worth = row["hypeQty"] * row["hypeOraclePx"]
    return sums(
        cash_usd=row["totalRawUsd"],
        own_cash_usd=row["totalRawUsd"] - row["borrowedUsdc"],
        debt_usd=row["borrowedUsdc"],
        position_value_usd=row["signedPositionValue"],
        initial_usd=row["crossInitialMargin"],
        maintenance_usd=row["crossMaintenanceMargin"],
        order_margin_usd=row["openOrderInitialMargin"],
        isolated_equity_usd=row["isolatedEquity"],
        collateral_capacity_usd=worth * SERIES["ltv"],
        collateral_credit_usd=worth * ((1.0 + SERIES["ltv"]) * 0.5),
    )


@pytest.mark.parametrize("row", SERIES_ROWS, ids=lambda row: row["received_at"])
def test_net_negative_series(row):
    s = sums_of_row(row)
    usd, hype = SERIES["tolerances"]["usd"], SERIES["tolerances"]["hype"]
    net, commitment = req.net_usd(s), req.commitment_usd(s, FLOOR, BUFFER)
    assert_printed(net, row["exp_netBalance"], abs_tol=usd)
    available = net - shown.hold_usd(s, commitment)
    assert_printed(available, row["exp_available"], abs_tol=usd)
    after = shown.available_after_maintenance_usd(s)
    assert_printed(after, row["exp_availableAfterMaintenance"], abs_tol=usd)
    held = shown.collateral_hold(net, commitment, row["hypeOraclePx"], SERIES["ltv"])
    assert_printed(held, row["exp_hypeHold"], abs_tol=hype)
    ratio = req.margin_ratio(s, True)
    assert abs(ratio - row["exp_PMR"]) <= SERIES["tolerances"]["ratio"]
    assert req.debt_at_maintenance_usd(s) > 0.0


def test_net_negative_in_full():
    extra = SERIES["extra"]
    row = next(row for row in SERIES_ROWS if row["received_at"] == extra["at"])
    s, usd = sums_of_row(row), SERIES["tolerances"]["usd"]
    hold = shown.hold_usd(s, req.commitment_usd(s, FLOOR, BUFFER))
    assert_printed(hold, extra["usdc_hold"], abs_tol=usd)
    usdt = (req.net_usd(s) - hold) / extra["usdt0_oraclePx"]
    assert_printed(-min(SERIES["caps"]["user_borrow"]["USDT0"], usdt), extra["usdt0_hold"])
    after, expected = shown.available_after_maintenance_usd(s), extra["availableAfterMaintenance"]
    assert_printed(after, expected["USDC"], abs_tol=usd)
    assert_printed(after / extra["usdt0_oraclePx"], expected["USDT0"], abs_tol=usd)
    price = row["hypeOraclePx"]
    hype = shown.collateral_available(row["hypeQty"], after, price, SERIES["ltv"])
    assert_printed(hype, expected["HYPE"], abs_tol=SERIES["tolerances"]["hype"])
    for token in ("UBTC", "USDH"):
        assert shown.collateral_available(0.0, after, 1.0, 0.5) == expected[token]
    borrow_ratio = row["borrowedUsdc"] / SERIES["caps"]["user_borrow"]["USDC"]
    assert_printed(borrow_ratio, extra["tokenToPortfolioBorrowRatio_USDC"])
    supply_ratio = row["hypeQty"] / SERIES["caps"]["user_supply"]["HYPE"]
    assert_printed(supply_ratio, extra["tokenToPortfolioSupplyRatio_HYPE"])
    short = extra["cross_short_HYPE"]
    mark, leverage = short["positionValue"] / abs(short["szi"]), float(short["maxLeverage"])
    assert_printed(
        shown.liquidation_price(mark, short["szi"], after, leverage), short["liquidationPx"]
    )
    assert shown.health(s) == pytest.approx(1.4829823717, rel=1e-8)


@pytest.mark.parametrize("row", ACCOUNTS["isolated_liquidation"]["rows"], ids=lambda row: row[0])
def test_isolated_liquidation_price(row):
    _, size, raw_usd, leverage, printed = row
    assert_printed(shown.isolated_liquidation_price(raw_usd, size, float(leverage)), printed)


@pytest.mark.parametrize("row", ACCOUNTS["fees"]["rows"], ids=lambda row: f"{row[0]}-{row[1]}")
def test_fees_truncated_in_two_parts(row):
    _, price, size, role, total, builder = row
    notional_micro = int(Decimal(repr(price)) * Decimal(repr(size)) * 1_000_000)
    assert role == "maker"
    rate_e7 = round(SPEC.fee_tiers[0].perp_maker_frac * 1e7)
    parts = fee_micro(notional_micro, rate_e7), fee_micro(notional_micro, 1_000)
    assert sum(parts) == round(total * 1e6)
    assert parts[1] == round(builder * 1e6)


def test_net_balance_moves_by_what_crosses_it():
    roll = ACCOUNTS["net_balance_rollforward"]
    receipts = roll["realized_pnl"] + roll["funding"] + roll["supply_interest"]
    receipts += roll["external"] + roll["spot_cash"]
    cash = receipts - roll["fees"] - roll["borrow_interest"]
    before = sums(own_cash_usd=roll["start_net"] - roll["start_upnl"])
    after = before._replace(own_cash_usd=before.own_cash_usd + cash)
    start = req.net_usd(before._replace(position_value_usd=roll["start_upnl"]))
    end = req.net_usd(after._replace(position_value_usd=roll["end_upnl"]))
    assert start == pytest.approx(roll["start_net"], rel=1e-12)
    tolerances = roll["tolerances"]
    assert abs(end - roll["predicted_end_net"]) <= tolerances["predicted_end_net"]
    assert abs(end - roll["api_end_net"]) <= tolerances["api_end_net"]


# --- reserves ------------------------------------------------------------------------------------


def rates_at(utilisation):
    curve = USDC.rate_base, USDC.rate_low_slope, USDC.rate_slope, USDC.kink_utilisation
    borrow = borrow_rate_at(utilisation, *curve)
    return borrow, supply_rate_at(borrow, utilisation, SPEC.lending.retained_frac)


@pytest.mark.parametrize("state", RESERVES, ids=lambda s: f"{s['token']}-{s['captured']}")
def test_live_reserve(state):
    u = utilisation_of(float(state["totalBorrowed"]), float(state["totalSupplied"]))
    borrow, supply = rates_at(u)
    assert round(u, 10) == float(state["utilization"])
    assert round(borrow, 10) == float(state["borrowYearlyRate"])
    assert round(supply, 10) == float(state["supplyYearlyRate"])


@pytest.mark.parametrize("case", RULES["borrow_rate"], ids=lambda case: str(case["utilization"]))
def test_rates_by_utilisation(case):
    borrow, supply = rates_at(float(case["utilization"]))
    assert borrow == pytest.approx(case["borrow_rate"], rel=1e-8)
    assert supply == pytest.approx(case["supply_rate"], rel=1e-8)


# --- rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case", RULES["maintenance_tiers"], ids=lambda case: f"{case['table']}-{case['notional']:.0f}"
)
def test_maintenance_tiers(case):
    levels = [(float(lower), int(leverage)) for lower, leverage in case["tiers"]]
    value = req.maintenance_of(tiers_of(levels), 0, len(levels), case["notional"])
    assert value == pytest.approx(case["maintenance_margin"], rel=1e-8)


@pytest.mark.parametrize("name", ["BTC", "ETH", "SOL"])
def test_preset_has_the_published_tiers(name):
    asset = next(asset for asset in SPEC.assets if asset.name == name)
    case = next(case for case in RULES["maintenance_tiers"] if case["table"] == name)
    levels = [[tier.lower_usd, tier.max_leverage] for tier in asset.tiers]
    assert levels == case["tiers"]


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


BORROW_CASES = [
    case for case in RULES["borrow_liquidation"] if case["collateral_qty"] * case["px"] > 0
]


@pytest.mark.parametrize("case", BORROW_CASES, ids=lambda c: f"{c['debt']}-at-{c['px']}")
def test_borrow_liquidation(case):
    debt = float(case["debt"])
    v = borrower(case["collateral_qty"], float(case["px"]), case["ltv"], debt)
    s = account_sums(v, 0)
    assert s.debt_usd == debt
    assert s.own_cash_usd == -debt
    assert s.collateral_capacity_usd == pytest.approx(case["borrowable"], rel=1e-8)
    assert shown.health(s) == pytest.approx(case["health_factor"], rel=1e-8)
    assert req.margin_ratio(s, True) == pytest.approx(case["pmr_pure_borrow"], rel=1e-8)
    assert bool(is_in_breach(s)) is case["pmr_liquidatable"]
    # Without caps in the way the credit is the partial threshold: value x (1 + LTV) / 2.
    partial, full = s.collateral_credit_usd, loan_threshold_usd(v, 0, True)
    assert partial == pytest.approx(case["partial_threshold"], rel=1e-8)
    assert full == pytest.approx(case["full_threshold"], rel=1e-8)
    assert bool(debt > partial) is case["partial"]
    if case["full"] is not None:
        assert bool(debt > full) is case["full"]


@pytest.mark.parametrize("case", RULES["borrow_liquidation_prices"], ids=lambda c: str(c["debt"]))
def test_borrow_liquidation_prices(case):
    def ratio_and_thresholds(price):
        v = borrower(case["collateral_qty"], price, case["ltv"], float(case["debt"]))
        s = account_sums(v, 0)
        return req.margin_ratio(s, True), s.collateral_credit_usd, loan_threshold_usd(v, 0, True)

    assert ratio_and_thresholds(case["px_pmr_095"])[0] == pytest.approx(0.95, rel=1e-8)
    assert ratio_and_thresholds(case["px_partial"])[1] == pytest.approx(case["debt"], rel=1e-8)
    assert ratio_and_thresholds(case["px_full"])[2] == pytest.approx(case["debt"], rel=1e-8)


def test_faq_health_locked_and_borrowable():
    faq = RULES["health_factor_faq"]
    capacity = sum(c["qty"] * c["px"] * c["ltv"] for c in faq["inputs"]["collateral"])
    s = sums(collateral_capacity_usd=capacity, debt_usd=float(faq["inputs"]["debt"]))
    assert shown.health(s) == pytest.approx(faq["health"], rel=1e-8)
    locked = RULES["locked_collateral_faq"]
    inputs = locked["inputs"]
    held = shown.collateral_hold(-float(inputs["debt"]), 0.0, float(inputs["px"]), inputs["ltv"])
    assert held == locked["locked_hype"]


def test_faq_borrowable_by_the_loop():
    faq = RULES["borrowable_faq"]
    inputs = faq["inputs"]
    v = borrower(inputs["collateral_qty"], float(inputs["px"]), inputs["ltv"], 0.0)
    assert account_sums(v, 0).collateral_capacity_usd == pytest.approx(faq["borrowable"], rel=1e-8)


@pytest.mark.parametrize("case", RULES["cross_liquidation"], ids=lambda c: str(c["account_value"]))
def test_cross_liquidation(case):
    size, leverage = float(case["side"] * case["size"]), float(case["max_leverage"])
    mark, equity = float(case["mark"]), float(case["account_value"])
    tiers = tiers_of([(0.0, case["max_leverage"])])
    maintenance = req.maintenance_of(tiers, 0, 1, abs(size) * mark)
    assert maintenance == pytest.approx(case["maintenance_margin"], rel=1e-8)
    price = shown.liquidation_price(mark, size, equity - maintenance, leverage)
    assert price == pytest.approx(case["liq_price"], rel=1e-8)
    for share, name in (
        (1.0, "liq_price"),
        (2 / 3, "px_equity_two_thirds_mm"),
        (0.0, "px_bankruptcy"),
    ):
        price = shown.price_at_maintenance_share(mark, size, equity, leverage, share)
        assert price == pytest.approx(case[name], rel=1e-8)


def test_third_party_reading_with_the_offset():
    case = RULES["btcquant_carry"]
    requirement, value = sum(case["requirement_parts"]), sum(case["liquidation_value_parts"])
    assert (requirement, value) == (case["requirement"], case["liquidation_value"])
    assert req.ratio_of(float(requirement), float(value)) == pytest.approx(case["ratio"], rel=1e-8)


def test_offset_counts_where_there_is_a_requirement():
    flat = sums(own_cash_usd=10.0, collateral_credit_usd=5.0, borrow_offset_usd=20.0)
    assert req.portfolio_ratio(flat) == 0.0
    short = flat._replace(own_cash_usd=1_000.0, maintenance_usd=150.0)
    assert req.portfolio_ratio(short) == (150.0 + 20.0) / 1_005.0


@pytest.mark.parametrize("case", RULES["tick_rules"], ids=lambda case: case["px"])
def test_tick_rules(case):
    kind = PERP if case["market"] == "perp" else SPOT
    valid = is_valid_price(case["px"], sz_decimals=case["szDecimals"], kind=kind)
    assert valid is case["valid"]
