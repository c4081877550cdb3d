"""Cases that no file has, against formulas written out here: other books, sizes, sides and rows."""

import copy
import json
import math
import random
from pathlib import Path

import pytest

from stressbook.experiments.conform import judge_document

HERE = Path(__file__).parent
CASES = {case["name"]: case for case in json.loads((HERE / "margin_cases.json").read_text())}
ACCOUNTS = json.loads((HERE / "hyperliquid_accounts.json").read_text())
EXACT = {"rel": 1e-12}


def passes(cases):
    found = judge_document(cases)
    assert (found.misses, found.unsupported, found.passed) == ((), (), len(cases))


def case(kind, inputs, expected, name="own", tolerance=None):
    one = {"name": name, "kind": kind, "inputs": inputs, "expected": expected}
    return one | ({} if tolerance is None else {"tolerance": tolerance})


# --- other numbers ------------------------------------------------------------------------------


def weighted_grid(x):
    """Derive PMRM 2 in plain formulas."""
    scanned, worth, haircut, extra, weak = x["perp"] * x["perp_mark"], 0.0, 0.0, 0.0, 0.0
    threshold, rate = x["conf_threshold"], x["conf_margin"]
    for one in x["collateral"]:
        value = one["amount"] * one["price"] / x["stable"]
        worth += value
        haircut += value * one["mm_haircut"]
        extra += value * one["im_haircut"]
        scanned += value if one["risk_cancelling"] else 0.0
        trust = min(one["conf"], x["spot_conf"])
        weak += (1.0 - trust) * rate * value if trust < threshold else 0.0
    notional = abs(x["perp"]) * x["spot"]
    trust = min(x["spot_conf"], x["perp_conf"])
    weak += (1.0 - trust) * rate * notional if trust < threshold else 0.0
    loss = min(0.0, *(w * scanned * s for s, w in x["shock_weight"]))
    base = x["cash"] + x["perp_upnl"] + x["perp_funding"] + worth
    static = notional * x["mm_perp_pct"] + haircut
    factor = x["im_loss_factor"] + max(0.0, x["peg_threshold"] - x["stable"]) * x["peg_factor"]
    return {
        "mm": base + x["mm_loss_factor"] * loss - static,
        "im": base + factor * loss - static - notional * x["im_perp_pct"] - extra - weak,
    }


def test_weighted_grids_of_other_books():
    draw = random.Random(4)
    cases = []
    for name, one in CASES.items():
        if not name.startswith("derive_pmrm2"):
            continue
        for k in range(3):
            x = copy.deepcopy(one["inputs"])
            x["stable"] = draw.choice([0.5, 0.97, 1.01])
            x["perp"], x["perp_mark"] = draw.uniform(-9, 9), x["spot"] * draw.uniform(0.9, 1.1)
            x["perp_upnl"], x["perp_conf"] = draw.uniform(-500, 500), draw.random()
            x["spot_conf"] = draw.random()
            for i in range(k):
                token = {"name": f"NEW{i}", "amount": draw.uniform(0, 50), "price": 7.5 + i}
                token |= {"conf": draw.random(), "risk_cancelling": draw.random() < 0.5}
                token |= {"mm_haircut": 0.1, "im_haircut": 0.07}
                x["collateral"].append(token)
            cases.append(case("scan", x, weighted_grid(x), f"{name} {k}"))
    passes(cases)


def liquidation_price(rows, target, balance):
    one = rows[target]
    others = [row for i, row in enumerate(rows) if i != target]
    kept = sum(row["mark"] * row["qty"] * row["mmr"] - row["cum"] for row in others)
    gained = sum(row["side"] * row["qty"] * (row["mark"] - row["entry"]) for row in others)
    q, s = one["qty"], one["side"]
    return (balance - kept + gained + one["cum"] - s * q * one["entry"]) / (q * one["mmr"] - s * q)


def test_liquidation_prices_of_other_books():
    draw = random.Random(5)
    cases = []
    for i in range(8):
        rows = [
            {
                "symbol": f"C{j}",
                "side": draw.choice([1, -1]),
                "qty": draw.uniform(1, 50),
                "entry": draw.uniform(90, 110),
                "mark": draw.uniform(90, 110),
                "mmr": draw.uniform(0.005, 0.05),
                "cum": draw.uniform(0.0, 5.0),
            }
            for j in range(draw.randint(1, 4))
        ]
        target, balance = draw.randrange(len(rows)), draw.uniform(200, 900)
        price = liquidation_price(rows, target, balance)
        if price > 0.0:
            x = {"wallet_balance": balance, "positions": rows, "target": f"C{target}"}
            cases.append(case("liq_price", x, {"liq_price": price}, f"cross {i}"))
        one, fee = rows[0], draw.choice([0.0, 0.0007])
        s, rate = one["side"], one["mmr"] + fee
        price = (one["entry"] - s * balance / 40 / one["qty"]) / (1.0 - s * rate)
        flat = {key: one[key] for key in ("side", "entry", "mmr")}
        flat |= {"size": one["qty"], "margin": balance / 40, "taker_fee": fee}
        if price > 0.0:
            cases.append(case("liq_price", flat, {"liq_price": price}, f"isolated {i}"))
    assert len(cases) > 10
    passes(cases)


def test_grids_credits_and_arrays_of_other_sizes():
    draw = random.Random(6)
    arrays = {name: [draw.uniform(-9, 9) for _ in range(16)] for name in ("fut", "jan_put", "x")}
    qty = {"fut": -2.0, "jan_put": 3.0, "x": 1.5}
    worst = max(0.0, *(-sum(qty[n] * arrays[n][s] for n in qty) for s in range(16)))
    alone = max(0.0, *arrays["jan_put"])
    deltas, spot = [2.0, -0.5, -3.5], 2_500.0
    net, gross = abs(sum(deltas)), sum(map(abs, deltas))
    least = (0.03 * net + 0.015 * (gross - net) / 2) * spot
    tails = [{"shock": -0.66, "weight": 0.6}, {"shock": 2, "weight": 0.2}]
    grid = {"deltas": deltas, "spot": spot, "shocks": [-0.1, 0.1], "tails": tails}
    grid |= {"unhedged": 0.03, "hedged": 0.015, "mm_factor": 0.4}
    scan = 0.4 * net * spot  # a short book: the rise of 200 % at a fifth
    losses = [[-0.1 * 70.0, 0.2 * 70.0], [0.1 * 50.0, -0.2 * 50.0], [0.1 * 9.0, -0.2 * 9.0]]
    points = [
        max(
            0.0,
            sum(max(0.0, -one[s]) for one in losses)
            - 0.5 * sum(max(0.0, one[s]) for one in losses),
        )
        for s in (0, 1)
    ]
    classes = [{"delta_usd": 70.0}, {"delta_usd": -50.0}, {"delta_usd": -9.0}]
    legs = [{"margin": 10, "qty": 3}, {"margin": 5, "qty": 1}, {"margin": 2, "qty": 4}]
    passes(
        [
            case(
                "span_array",
                {"arrays": arrays, "qty": qty, "array_sign": "profit_positive"},
                {"scan_book": worst, "scan_short_put": alone},
            ),
            case(
                "scan",
                grid,
                {
                    "scan": scan,
                    "min_delta": least,
                    "net_imr": max(scan, least),
                    "net_mmr": 0.4 * max(scan, least),
                },
            ),
            case(
                "group_offset",
                {"classes": classes, "points": [-0.1, 0.2], "offset": 0.5},
                {"requirement": max(points), "no_offset": 7.0 + 10.0 + 1.8},
            ),
            case(
                "spread_credit",
                {"legs": legs, "credit": 0.25},
                {"outright": 43.0, "saving": 10.75, "final": 32.25},
            ),
            case(
                "spread_credit",
                {"outright": {"F": 70, "G": 90}, "charge": {"F_G": 11, "G_F": 4}},
                {"F_G": 31.0, "G_F": 24.0},
            ),
            case(
                "scan",
                {"delta_btc": -2.0, "moves": [-0.5, 0.25], "payoff": "inverse"},
                {"pnl": [2.0, -0.4]},
            ),
        ],
    )


def accrual(inputs, **expected):
    return case("accrual", inputs, expected, tolerance=EXACT)


def test_curves_growth_and_ranks_of_other_numbers():
    used = [0.0, 0.3, 0.7, 0.95]
    aave = [0.02 + 0.1 * min(u, 0.7) / 0.7 + max(0.0, u - 0.7) / 0.3 * 0.9 for u in used]
    kinked = [0.02 + 0.1 * min(u, 0.7) + 0.9 * max(0.0, u - 0.7) for u in used]
    shape = {"utilisation": used, "optimal": 0.7}
    by_segment = shape | {"base": 0.02, "slope1": 0.1, "slope2": 0.9}
    by_unit = shape | {"min": 0.02, "slope": 0.1, "high_slope": 0.9}
    scores = [40 / 60 * 140 / 100, 3 / 10 * 13 / 13]
    rows = [
        {"id": 7, "side": -1, "size": 10, "entry": 18, "collateral": 60},
        {"id": 3, "side": 1, "size": 1, "entry": 10, "collateral": 10},
    ]
    passes(
        [
            case("borrow_rate", by_segment, {"borrow": aave}),
            case("borrow_rate", by_unit, {"rate": kinked}),
            accrual({"rate": 0.5, "seconds": 31_536_000}, factor=math.expm1(0.5)),
            accrual({"rate": 0.3, "years": 4}, linear=2.2, compound=math.exp(1.2)),
            # A part of an hour, at a rate that 1 + rate would lose.
            accrual({"rate": 1e-5, "seconds": 100}, factor=math.expm1(1e-3 / 31_536_000)),
            accrual({"rate": 0.07, "years": 0.123}, factor=math.expm1(0.07 * 0.123)),
            case(
                "adl_rank",
                {"positions": rows, "mark": 14},
                {"score_bps": [int(scores[0] * 1e4), int(4 / 10 * 14 / 14 * 1e4)]},
            ),
            case(
                "adl_allocate",
                {"positions": rows, "mark": 14, "deficit": 42.5},
                {"haircuts": [[7, 40], [3, 2.5]], "remaining": 0},
            ),
            case(
                "funding",
                {"index": 200, "cap": 0.001, "static": 2e-5, "impact_bid": 201, "impact_ask": 202},
                {"rate_per_hour": 0.005 / 8 + 2e-5},
            ),
        ],
    )


def test_an_account_with_more_collateral_and_other_debts():
    account = copy.deepcopy(ACCOUNTS["accounts"][0])
    account["perps"] |= {"crossMaintenanceMarginUsed": 250_000.0, "totalMarginUsed": 400_000.0}
    rows = [["BTC", 2.0, 150_000.0, 40, None], ["X", -40.0, 4_000.0, 5, None]]
    account["perps"]["positions"] = rows
    account["perps"]["totalNtlPos"] = 5_000_000.0
    account |= {"isolated_equity": 1_500.0, "open_order_IM": 200.0, "spot_bid_notional": 70.0}
    account["collateral"].append(
        {"token": "HYPE", "total": 5_000.0, "ltv": 0.65, "implied_borrow_oracle_px": 40.0}
    )
    account["caps"]["user_supply"]["HYPE"] = 4_000.0
    worth = [one["total"] * one["implied_borrow_oracle_px"] for one in account["collateral"]]
    credit = worth[0] * 0.75 + 160_000.0 * 0.825
    net = account["usdc"]["total"]
    equity, kept = net - 1_500.0, 250_000.0
    debt = max(0.0, kept - equity)
    capacity = worth[0] * 0.5 + worth[1] * 0.65
    commitment = 1_500.0 + 500_000.0 + 202.0 + 70.0
    free = equity + credit - kept
    account["expected"] = {
        "portfolioMarginRatio": (kept + debt) / (equity + debt + credit),
        "availableAfterMaintenance_USDC": free,
        "availableAfterMaintenance_HYPE": min(5_000.0, free / (40.0 * 0.825)),
        "tokenToPortfolioSupplyRatio_HYPE": 1.25,
        "usdc_hold": commitment - capacity,
        "usdc_spotHold": min(net, commitment),
        "HYPE_hold": max(0.0, commitment - net) / 26.0,
    }
    price = 100.0 + free / (40.0 * 1.1)
    rows[0][4], rows[1][4] = max(0.0, 75_000.0 - free / (2.0 * (1.0 - 1 / 80))) or None, price
    found = judge_document({"accounts": [account]})
    assert (found.misses, found.unsupported, found.passed) == ((), (), 1)


# --- sides, orders, missing parts -----------------------------------------------------------------


@pytest.mark.parametrize(
    "short", [{"side": -1, "size": 10}, {"side": -1, "size": -10}, {"size": -10}]
)
def test_a_short_is_one_by_its_side_or_its_sign(short):
    rows = [
        {"id": 7, **short, "entry": 18, "collateral": 60},
        {"id": 3, "size": 1, "entry": 10, "collateral": 10},
    ]
    book = {"positions": rows, "mark": 14}
    shares = {"usdc": 100, "mmf": 0.1, "share_step": 0.5, "target_ratio": 0.9, "penalty_rate": 0.0}
    held = {name.replace("size", "q"): value for name, value in short.items()}
    shares["positions"] = [{**held, "entry": 18, "mark": 20}]
    moved = {name.replace("size", "position"): value for name, value in short.items()}
    moved |= {"premium": 0.01, "clamp": 0.0, "seconds": 28_800, "spot": 5.0}
    passes(
        [
            case("funding", moved, {"pnl": 10 * 0.01 * 5.0}),
            case("adl_rank", book, {"score_bps": [9333, 4000], "first": 0}),
            case(
                "adl_allocate",
                book | {"deficit": 42.5},
                {"haircuts": [[7, 40], [3, 2.5]], "remaining": 0},
            ),
            case("liquidation_size", shares, {"account_value": 80.0, "mmr": 20.0}),
        ]
    )


def test_a_side_counts_in_prices_whatever_the_sign_of_the_size():
    # (20 + 30 / 5) / (1 + 0.02), and 50 + (200 - 25) / (10 x 1.05).
    flat = {"side": -1, "entry": 20.0, "mmr": 0.02, "margin": 30.0}
    table = {"side": -1, "mark": 50.0, "account_value": 200.0, "max_leverage": 10}
    for sign in (1, -1):
        price = {"liq_price": 26 / 1.02}
        passes([case("liq_price", flat | {"qty": 5 * sign}, price)])
        row = table | {"size": 10 * sign, "liq_price": 50 + (200 - 25) / 10.5}
        assert judge_document({"cross_liquidation": [row]}).passed == 1
        rank = {"side": -1, "mark": 50, "entry": 75, "notional": 90 * sign, "account_value": 30}
        passes([case("adl_rank", {"positions": [rank]}, {"index": [4.5]})])
        assert judge_document({"adl_index": [rank | {"index": 4.5}]}).passed == 1
    against = case("liq_price", flat | {"side": 1, "qty": -5}, {"liq_price": 1})
    (only,) = judge_document([against]).unsupported
    assert only.reason == "`side` is 1 and the size below 0"


def test_orders_that_go_below_initial_margin():
    orders = [
        {"id": 9, "side": "buy", "size": 0.5, "price": 99.5},
        {"id": 8, "side": "buy", "size": 1.25, "price": 98},
        {"id": 7, "side": "sell", "size": 0.1, "price": 101},
        {"id": 6, "side": "buy", "size": 0.5, "price": 98},
    ]
    inputs = {"orders": orders, "position": -1.75}
    passes(
        [
            case("order_cancel", inputs, {"cancelled": [7, 6], "kept": [9, 8]}),
            case("order_cancel", inputs | {"position": -1.7}, {"cancelled": [8, 7, 6]}),
            case("order_cancel", inputs | {"position": 0}, {"kept": []}),
            case("order_cancel", inputs | {"position": 1}, {"cancelled": [9, 8, 6]}),
        ]
    )


def test_a_fee_without_the_part_of_its_builder_is_not_judged():
    fees = {"columns": ["coin", "px", "sz", "role", "fee_total", "of_which_builder"]}
    row = ["A", 12.3456789, 7.7, "taker", 0.042777 + 0.009506]
    none = ["A", 2.5, 10.0, "maker", 0.00375, 0]
    found = judge_document({"fees": fees | {"rows": [row, [*row, None], none, [*row, 0.009506]]}})
    assert (found.passed, found.failed) == (2, 0)
    reason = "lacks `of_which_builder`, which is part of the fee"
    assert [one.reason for one in found.unsupported] == [reason] * 2


@pytest.mark.parametrize(("width", "passed"), [(0.5, 1), (1.0, 0), (1.5, 0)])
def test_an_inverse_contract_has_no_payoff_where_the_price_is_gone(width, passed):
    inverse = {"payoff": "inverse"}
    move = width / (1.0 - width) if width < 1.0 else 3.0
    grid = {"positions": {"a": 2.0}, "price_range": width, "roll_min_move": 0.0}
    found = judge_document(
        [
            case("scan", grid | inverse, {"worst_case": 2.0 * move}),
            case("scan", {"delta_btc": 1, "moves": [-width]} | inverse, {"pnl": [-move]}),
        ]
    )
    assert (found.passed, found.failed) == (2 * passed, 0)
    reason = "an inverse contract has no payoff at a price of 0 or below"
    assert {one.reason for one in found.unsupported} == (set() if passed else {reason})


def test_a_liability_that_covers_a_shortage():
    inputs = {"shortage": 7.0, "w_asset": 0.75, "w_liab": 1.3, "liab_price": 40.0}
    inputs["cases"] = [{"am": 1.05, "lm": 0.95, "if_fee": 0.02}, {}]
    weighted = [1.3 - 0.75 * 1.05 / 0.95 - 0.02 * 1.3, 1.3 - 0.75]
    sizes = [7.0 / (40.0 * one) for one in weighted]
    passes([case("liquidation_size", inputs, {"liability": sizes}, tolerance=EXACT)])
