"""A population file: what is refused, and what opens from it to the unit."""

import copy
import json
import tomllib

import numpy as np
import pandas as pd
import pytest

import stressbook as sb
from stressbook.agents.population import build_population
from stressbook.api.parameters import scenario_changes
from stressbook.errors import InvalidScenario
from stressbook.experiments.own_book.checks import scenario_accounts
from stressbook.experiments.own_book.table import read_book
from stressbook.experiments.run import run_scenario
from stressbook.experiments.scenario import load_scenario, scenario_from_table
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.store import load_run, save_run
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.state.codes import MODE_PORTFOLIO, MODE_UNIFIED, REGIME_PORTFOLIO
from stressbook.market.state.conservation import Conservation

BASE = load_scenario("hyperliquid").with_(
    assets=["BTC", "HYPE"], warmup=0.0, duration=20.0, stresses=[]
)
HEAD = "account,kind,asset,amount,entry_price_usd,leverage,account_mode,owner\n"
BOOK = HEAD + (
    "carry,cash,USDC,250000.5,,,portfolio,fund\n"
    "carry,token,UBTC,2.0000000001,,,,\n"
    "carry,token,HYPE,40000.00000001,,,,\n"
    "carry,perp,HYPE,-39999.99,81.12345678,5,,\n"
    "carry,debt,USDC,200000.000001,,,,\n"
    "bet,cash,USDC,250000,,,unified,fund\n"
    "bet,perp,BTC,12.34567,78000,20,,\n"
    "lender,supply,USDC,1000,,,,\n"
    "lender,cash,USDC,0.25,,,,\n"
)
BTC_PERP, HYPE_PERP, BTC, HYPE = 0, 1, 1, 2


def book_file(tmp_path, text=BOOK, name="book.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def opened(scenario, seed=7):
    """Simulation at step 0, and the users of the file's accounts."""
    sim = Simulation(scenario, seed=seed)
    users = np.flatnonzero(sim.engine.state.user["class_id"] == CLASS_NUMBERS["own_book"])
    return sim, users.tolist()


# --- what opens ----------------------------------------------------------------------------------


def test_accounts_open_to_the_unit_and_nothing_is_made(tmp_path):
    sim, (carry, bet, lender) = opened(BASE.with_(population=str(book_file(tmp_path))))
    v = sim.engine.state
    # Raw cash is what is there less what perps cost: lots x entry, to the nearest micro-USDC.
    cost = round(-3_999_999 * 8_112_345_678 / 10_000)
    assert v.cash[[carry, bet, lender]].tolist() == [
        250_000_500_000 - cost,
        250_000_000_000 - 1_234_567 * 780_000,
        250_000,
    ]
    assert v.entry_cost[carry, HYPE_PERP] == cost
    assert v.token[carry].tolist() == [0, 20_000_000_001, 4_000_000_000_001]
    assert v.perp[carry].tolist()[:2] == [0, -3_999_999]
    assert v.perp[bet].tolist()[:2] == [1_234_567, 0]
    assert v.debt[[carry, bet, lender], 0].tolist() == [200_000_000_001, 0, 0]
    assert v.supply[[carry, bet, lender], 0].tolist() == [0, 0, 1_000_000_000]
    assert v.leverage[carry, HYPE_PERP] == 5
    assert v.leverage[bet, BTC_PERP] == 20
    assert v.user["account_mode"][[carry, bet]].tolist() == [MODE_PORTFOLIO, MODE_UNIFIED]
    assert v.user["owner"][[carry, bet, lender]].tolist() == [carry, carry, lender]
    assert [int(v.perp[:, inst].sum()) for inst in (BTC_PERP, HYPE_PERP)] == [0, 0]
    assert sim.enrolment["own_book"].enrolled == 1
    kept = Conservation(v)
    sim.advance(12)
    kept.check(v)
    assert v.token[carry].tolist() == [0, 20_000_000_001, 4_000_000_000_001]  # nobody acts


def test_the_crowd_takes_the_other_side_and_others_have_the_room_that_is_left(tmp_path):
    path = book_file(tmp_path)
    spec, before = BASE.venue_spec(), population_of(BASE)
    after = population_of(BASE.with_(population=str(path)))
    shipped = after.accounts[: len(before.accounts)]
    assert [one.key for one in shipped] == [one.key for one in before.accounts]
    assert [one.latency_us for one in shipped] == [one.latency_us for one in before.accounts]
    for inst, lots in ((BTC_PERP, 1_234_567), (HYPE_PERP, -3_999_999)):
        others = sum(one.perps.get(inst, (0, 0))[0] for one in shipped)
        assert others == -lots
    supplied = sum(one.supply for one in after.accounts)
    owed = sum(one.debt for one in after.accounts)
    assert after.utilisation == pytest.approx(owed / supplied, rel=1e-12)
    assert supplied == sum(one.supply for one in before.accounts) + 1_000_000_000
    assert spec.tokens[0].platform_borrow_cap * 1e6 >= owed


def population_of(scenario, **venue):
    scenario = scenario.with_(venue=venue) if venue else scenario
    return build_population(
        scenario.agents,
        scenario.venue_spec(),
        seed=7,
        world=scenario.world,
        classes=scenario.agents,
        own=scenario_accounts(scenario),
    )


def test_where_the_platform_cap_binds_the_file_is_served_first(tmp_path):
    caps = {"tokens": {"USDC": {"platform_borrow_cap": 1e6}}}
    text = HEAD + "a,token,HYPE,20000,,,portfolio,\na,debt,USDC,600000,,,,\n"
    scenario = BASE.with_(population=str(book_file(tmp_path, text)), venue=caps)
    accounts = population_of(scenario).accounts
    assert accounts[-1].debt == 600_000_000_000
    assert 0 < sum(one.debt for one in accounts[:-1]) <= 300_400_000_000  # 90 % of the cap in all


def test_under_cross_an_account_without_debt_opens_unenrolled(tmp_path):
    text = HEAD + "a,token,HYPE,2000,,,portfolio,\n"
    scenario = BASE.with_(population=str(book_file(tmp_path, text)), margin_regime="cross")
    sim, (user,) = opened(scenario)
    assert sim.engine.state.row["regime"][user] != REGIME_PORTFOLIO
    assert sim.engine.state.user["account_mode"][user] == MODE_UNIFIED


# --- what fixes a run ----------------------------------------------------------------------------


def test_the_content_of_the_file_is_part_of_the_scenario(tmp_path):
    path = book_file(tmp_path)
    first = BASE.with_(population=str(path))
    again = scenario_from_table(tomllib.loads(first.to_toml()))
    assert again == first
    assert again.digest() == first.digest() != BASE.digest()
    path.write_text(BOOK.replace("12.34567", "12.34568"))
    assert again.with_(duration=20.0).digest() == first.digest()  # the file is not read again
    changed = BASE.with_(population=str(path))
    assert changed.digest() != first.digest()
    assert run_scenario(changed, seed=7).digest != run_scenario(first, seed=7).digest
    assert first.with_(population="") == BASE
    (row,) = sb.Scenario(first).parameters("population")
    assert "3 accounts" in row.value
    assert scenario_changes(BASE, first)[0].startswith("population none -> book.csv")


def test_a_run_is_reproducible_and_its_folder_needs_no_file(tmp_path):
    path = book_file(tmp_path)
    record = run_scenario(BASE.with_(population=str(path)), seed=7)
    folder = save_run(record, tmp_path / "run")
    path.unlink()
    kept = load_run(folder)
    assert read_book(folder / "population.csv").holdings == kept.scenario.population.holdings
    assert run_scenario(kept.scenario, seed=7).digest == record.digest
    assert run_scenario(kept.scenario, seed=7, engine="reference").digest == record.digest


def test_a_path_counts_from_the_scenario_file_and_is_inherited(tmp_path):
    book_file(tmp_path)
    (tmp_path / "a.toml").write_text('inherits = "hype-fall"\npopulation = "book.csv"\n')
    (tmp_path / "b.toml").write_text('inherits = "a.toml"\nduration = "2h"\n')
    scenario = load_scenario(tmp_path / "b.toml")
    assert scenario.population.account_names == ("carry", "bet", "lender")


def test_parquet_says_the_same_as_csv(tmp_path):
    path = book_file(tmp_path)
    frame = pd.read_csv(path)
    frame.to_parquet(tmp_path / "book.parquet")
    assert BASE.with_(population=str(tmp_path / "book.parquet")).venue_spec()
    sims = [
        opened(BASE.with_(population=str(tmp_path / f"book.{kind}"))) for kind in ("csv", "parquet")
    ]
    (one, users), (other, _) = sims
    for name in ("cash", "token", "perp", "debt", "supply", "leverage"):
        a, b = (getattr(sim.engine.state, name)[users] for sim in (one, other))
        assert a.tolist() == b.tolist()


# --- what is refused -----------------------------------------------------------------------------

PM = "a,token,HYPE,2000,,,portfolio,\n"
# (rows, place, words of the problem, words of what is allowed)
REFUSED = [
    ("a,token,HYP,5,,,,\n", "row 2, asset", "is no token of this scenario", "HYPE"),
    ("a,token,ETH,5,,,,\n", "row 2, asset", "is no token of this scenario", "USDC, BTC, HYPE"),
    ("a,perp,DOGE,5,1,,,\n", "row 2, asset", "has no perp", "BTC, HYPE"),
    ("a,cash,HYPE,5,,,,\n", "row 2, asset", "is no cash", "USDC"),
    ("a,token,USDC,5,,,,\n", "row 2, kind", "is no kind of USDC", "cash"),
    ("a,stake,HYPE,5,,,,\n", "row 2, kind", "is unknown", "cash, token, perp, debt, supply"),
    ("a,token,HYPE,nan,,,,\n", "row 2, amount", "is no finite number", ""),
    ("a,cash,USDC,inf,,,,\n", "row 2, amount", "is no finite number", ""),
    ("a,cash,USDC,five,,,,\n", "row 2, amount", "is no number", "-12.5"),
    ("a,cash,USDC,1e30,,,,\n", "row 2, amount", "is too large", "2**62"),
    ("a,cash,USDC,0.0000001,,,,\n", "row 2, amount", "no whole number of units", "micro-USDC"),
    ("a,token,HYPE,-5,,,,\n", "row 2, amount", "is negative", "kind debt"),
    ("a,token,HYPE,0.000000001,,,,\n", "row 2, amount", "no whole number of units", "HYPE"),
    ("a,perp,HYPE,0.005,80,,,\n", "row 2, amount", "no whole number of units", "lots of 0.01"),
    ("a,perp,HYPE,5,,,,\n", "row 2, entry_price_usd", "is no number", ""),
    ("a,perp,HYPE,5,-1,,,\n", "row 2, entry_price_usd", "is out of range", "its ladder"),
    ("a,perp,HYPE,5,80,11,,\n", "row 2, leverage", "is out of range", "1 to 10"),
    ("a,perp,HYPE,5,80,2.5,,\n", "row 2, leverage", "no whole number", ""),
    ("a,cash,USDC,5,80,,,\n", "row 2, entry_price_usd", "is not read of kind cash", "empty"),
    ("a,cash,USDC,5,,,margin,\n", "row 2, account_mode", "is unknown", "portfolio, unified"),
    (PM + "a,cash,USDC,5,,,unified,\n", "row 3, account_mode", "another row", "portfolio"),
    (PM + "a,token,HYPE,1,,,,\n", "row 3, asset", "is there twice for a", "add them up"),
    (PM + "a,debt,HYPE,1,,,,\n", "row 3, asset", "is not lent by this venue", "USDC"),
    (PM + "a,debt,USDC,-1,,,,\n", "row 3, amount", "is negative", "0 or more"),
    (",cash,USDC,5,,,,\n", "row 2, account", "is empty", "a name"),
    (
        "a,cash,USDC,90000,,,portfolio,\na,debt,USDC,5,,,,\n",
        "row 3, amount",
        "is owed without collateral",
        "HYPE",
    ),
    (
        "a,token,HYPE,2000,,,,\na,debt,USDC,5,,,,\n",
        "row 3, account_mode",
        "cannot owe",
        "portfolio",
    ),
    ("a,cash,USDC,9000,,,portfolio,\n", "row 2, account", "is not eligible", "above 10,000"),
    ("a,cash,USDC,25000000,,,portfolio,\n", "row 2, account", "is not eligible", "25,000,000"),
]


@pytest.mark.parametrize(("rows", "place", "problem", "allowed"), REFUSED)
def test_what_a_file_may_not_say_is_refused_with_its_row(tmp_path, rows, place, problem, allowed):
    with pytest.raises(InvalidScenario) as raised:
        BASE.with_(population=str(book_file(tmp_path, HEAD + rows)))
    (one,) = raised.value.problems
    assert one.name == f"population book.csv {place}"
    assert problem in one.problem
    assert allowed in one.allowed


def test_all_problems_are_told_at_once(tmp_path):
    rows = "a,token,HYP,5,,,,\nb,cash,USDC,nan,,,,\nc,perp,HYPE,5,,,,\n"
    with pytest.raises(InvalidScenario) as raised:
        BASE.with_(population=str(book_file(tmp_path, HEAD + rows)), dt=-1.0)
    places = [one.name.removeprefix("population book.csv ") for one in raised.value.problems]
    assert set(places) >= {"row 2, asset", "row 3, amount", "row 4, entry_price_usd", "dt"}


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("", "population", "is empty"),
        (HEAD, "population", "holds no account"),
        ("account,kind,asset\na,cash,USDC\n", "column amount", "is missing"),
        (HEAD.replace("owner", "ownr") + PM, "column ownr", "is read by nothing"),
        (HEAD + "a,cash,USDC,5\n", "row 2", "has another number of cells"),
        (HEAD.strip() + ",class\na,cash,USDC,5,,,,,hedger\n", "row 2, class", "is no class"),
        (HEAD.strip() + ",volume_14d_usd\na,cash,USDC,5,,,,,-1\n", "row 2, volume", "is negative"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, text, place, problem):
    with pytest.raises(InvalidScenario) as raised:
        BASE.with_(population=str(book_file(tmp_path, text)))
    assert any(place in one.name and problem in one.problem for one in raised.value.problems)


def test_a_missing_file_and_one_of_another_kind_are_refused(tmp_path):
    with pytest.raises(InvalidScenario, match="does not exist"):
        BASE.with_(population="nowhere.csv")
    with pytest.raises(InvalidScenario, match="is of no kind that is read"):
        BASE.with_(population=str(book_file(tmp_path, name="book.xls")))
    with pytest.raises(InvalidScenario, match="is no path"):
        BASE.with_(population=3)
    table = tomllib.loads(BASE.with_(population=str(book_file(tmp_path))).to_toml())
    table["population"]["holdings"] += "x,cash,USDC,1,,,,,,\n"
    with pytest.raises(InvalidScenario, match="does not fit the holdings"):
        scenario_from_table(table)


def test_debt_under_a_regime_that_enrols_nobody_is_refused(tmp_path):
    text = HEAD + PM + "a,debt,USDC,5,,,,\n"
    with pytest.raises(InvalidScenario, match="margin_regime cross, which enrols nobody"):
        BASE.with_(population=str(book_file(tmp_path, text)), margin_regime="cross")


@pytest.mark.parametrize(
    ("rows", "changes", "words"),
    [
        (
            "a,token,HYPE,2000,,,portfolio,\na,debt,USDC,140000,,,,\n",
            {},
            r"opens in breach: 1 accounts, by name a \(ratio",
        ),
        ("a,cash,USDC,100,,,,\na,perp,HYPE,100,84,,,\n", {}, "by name a .equity"),
        (
            "a,token,HYPE,200000,,,portfolio,\na,debt,USDC,8e6,,,,\n",
            {"venue": {"tokens": {"USDC": {"platform_borrow_cap": 5e6}}}},
            r"platform borrow cap(.|\n)*5,000,000.00 USDC",
        ),
        (
            "a,token,HYPE,200000,,,portfolio,\na,debt,USDC,8e6,,,,\n",
            {"agents": {"lender": {"supply_usd": 2e6}}},
            r"more than the reserve has to lend(.|\n)*2,000,000.00 USDC",
        ),
        (
            "a,cash,USDC,1e9,,,,\na,perp,HYPE,9e6,84,,,\n",
            {},
            r"other side of the hedged books and of \+900000000 lots of the population file",
        ),
    ],
)
def test_what_the_market_cannot_carry_is_refused_with_numbers(tmp_path, rows, changes, words):
    scenario = BASE.with_(population=str(book_file(tmp_path, HEAD + rows)), **changes)
    with pytest.raises(InvalidScenario, match=words):
        Simulation(scenario, seed=7)


# --- the venue's own print -----------------------------------------------------------------------

# Marks of the file: BTC 79,000 and HYPE 85.
PRINTED = {
    "account": "0xabc",
    "clearinghouseState": {
        "assetPositions": [
            {
                "type": "oneWay",
                "position": {
                    "coin": "BTC",
                    "szi": "-2.5",
                    "entryPx": "80000.0",
                    "positionValue": "197500.0",
                    "unrealizedPnl": "2500.0",
                    "marginUsed": "9875.0",
                    "leverage": {"type": "cross", "value": 20},
                    "maxLeverage": 40,
                },
            },
            {
                "type": "oneWay",
                "position": {
                    "coin": "HYPE",
                    "szi": "120.25",
                    "entryPx": "84.5",
                    "positionValue": "10221.25",
                    "unrealizedPnl": "60.125",
                    "marginUsed": "1022.125",
                    "leverage": {"type": "cross", "value": 10},
                    "maxLeverage": 10,
                },
            },
        ],
        "marginSummary": {
            "accountValue": "2721.25",
            "totalNtlPos": "207721.25",
            "totalRawUsd": "190000.0",
            "totalMarginUsed": "10897.125",
        },
    },
    "spotClearinghouseState": {
        "portfolioMarginEnabled": True,
        "balances": [
            {
                "coin": "USDC",
                "token": 0,
                "total": "-38278.75000001",
                "hold": "0.0",
                "borrowed": "41000.00000001",
                "supplied": "0.0",
            },
            {"coin": "UBTC", "token": 197, "total": "3.5000000001", "hold": "0.0", "ltv": "0.5"},
            {"coin": "HYPE", "token": 150, "total": "0.0", "hold": "0.0"},
        ],
    },
    "borrowLendUserState": {
        "tokenToState": [
            [
                0,
                {
                    "borrow": {"basis": "40000.0", "value": "41000.00000001"},
                    "supply": {"basis": "0.0", "value": "0.0"},
                },
            ]
        ],
        "health": "healthy",
        "healthFactor": None,
    },
}


def printed_file(tmp_path, content):
    return book_file(tmp_path, json.dumps(content), "state.json")


@pytest.mark.parametrize("shape", ["one", "list", "by name"])
def test_a_printed_account_opens_to_the_unit(tmp_path, shape):
    content = {"one": PRINTED, "list": [PRINTED], "by name": {"0xabc": PRINTED}}[shape]
    scenario = BASE.with_(population=str(printed_file(tmp_path, content)))
    assert scenario.population.account_names == ("0xabc",)
    sim, (user,) = opened(scenario)
    v = sim.engine.state
    assert v.cash[user] == 190_000_000_000  # totalRawUsd is the ledger of the venue
    assert v.token[user].tolist() == [0, 35_000_000_001, 0]
    assert v.perp[user].tolist()[:2] == [-250_000, 12_025]
    assert v.entry_cost[user].tolist()[:2] == [-200_000_000_000, 10_161_125_000]
    assert v.debt[user].tolist() == [41_000_000_001, 0, 0]  # debts are rounded up
    assert v.leverage[user].tolist()[:2] == [20, 10]
    assert v.user["account_mode"][user] == MODE_PORTFOLIO


def test_a_standard_account_keeps_perps_and_spot_apart_and_adds_both(tmp_path):
    content = copy.deepcopy(PRINTED)
    content["userAbstraction"] = "disabled"
    content["spotClearinghouseState"]["balances"][0] |= {"total": "500.5", "borrowed": "0.0"}
    del content["borrowLendUserState"]
    _, (user,) = opened(BASE.with_(population=str(printed_file(tmp_path, content))))
    sim, _ = opened(BASE.with_(population=str(printed_file(tmp_path, content))))
    assert sim.engine.state.cash[user] == 190_500_500_000


def changed(path, value):
    content = copy.deepcopy(PRINTED)
    node = content
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return content


SUMMARY = ("clearinghouseState", "marginSummary")
FIRST = ("clearinghouseState", "assetPositions", 0, "position")
USDC = ("spotClearinghouseState", "balances", 0)
LOAN = ("borrowLendUserState", "tokenToState", 0, 1, "borrow", "value")


@pytest.mark.parametrize(
    ("path", "value", "place", "problem"),
    [
        ((*SUMMARY, "accountValue"), "2731.25", "marginSummary.accountValue", "does not add up"),
        ((*SUMMARY, "totalNtlPos"), "0.0", "marginSummary.totalNtlPos", "does not add up"),
        ((*SUMMARY, "totalMarginUsed"), "1.0", "totalMarginUsed", "does not add up"),
        ((*SUMMARY, "totalRawUsd"), "NaN", "", "is no number"),
        ((*FIRST, "unrealizedPnl"), "-2500.0", "unrealizedPnl", "does not add up"),
        ((*FIRST, "coin"), "DOGE", "asset", "has no perp"),
        ((*FIRST, "szi"), "-2.500001", "amount", "no whole number of units"),
        ((*FIRST, "leverage"), {"type": "isolated", "value": 20}, "type", "not margined with"),
        ((*USDC, "total"), "38278.75", "balances.USDC.total", "does not add up"),
        (LOAN, "9000.0", "USDC.borrowed", "does not add up"),
        (("userAbstraction",), "pm", "userAbstraction", "is unknown"),
        (
            ("spotClearinghouseState", "balances", 2),
            {"coin": "PURR", "total": "1.0"},
            "asset",
            "no token",
        ),
    ],
)
def test_a_print_that_contradicts_itself_is_refused(tmp_path, path, value, place, problem):
    with pytest.raises(InvalidScenario) as raised:
        BASE.with_(population=str(printed_file(tmp_path, changed(path, value))))
    found = [(one.name, one.problem) for one in raised.value.problems]
    assert any(place in name and problem in words for name, words in found), found


def test_what_is_no_print_is_refused(tmp_path):
    for content in (3, [3], {"a": 3}, {"a": {"b": 1}}):
        with pytest.raises(InvalidScenario):
            BASE.with_(population=str(printed_file(tmp_path, content)))
    with pytest.raises(InvalidScenario, match="is not JSON"):
        BASE.with_(population=str(book_file(tmp_path, "{", "state.json")))


# --- files that no desk meant to write -----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "a" * 140_000 + ",cash,USDC,1,,,,\n", "row 2 is not CSV"),
        (HEAD + "a,cash,USDC,1e999999,,,,\n", "is too large"),
        (HEAD + "a,token,HYPE,-9e999995,,,,\n", "is too large"),
        (HEAD + "a,cash,USDC,1e-999999,,,,\n", "no whole number of units"),
        (HEAD + "a,cash,USDC,1.0000000000000000000000000000000000001,,,,\n", "no whole number"),
    ],
)
def test_cells_of_any_length_are_refused_with_their_row(tmp_path, text, words):
    with pytest.raises(InvalidScenario, match=words):
        BASE.with_(population=str(book_file(tmp_path, text)))


def test_lines_may_end_as_on_any_system(tmp_path):
    for end in ("\r", "\r\n"):
        path = tmp_path / "book.csv"
        path.write_bytes(b"\xef\xbb\xbf" + BOOK.replace("\n", end).encode())
        assert len(read_book(path).holdings) == BOOK.count("\n") - 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "brackets"),
        ('[{"a": ' + "9" * 5000 + "}]", "digits"),
        ('{"borrowLendUserState": {"tokenToState": 1}}', "is no list"),
        ('{"borrowLendUserState": {"tokenToState": [[0]]}}', "is no list of pairs"),
        ('{"borrowLendUserState": {"tokenToState": [[0, 1]]}}', "is no list of pairs"),
        ('{"spotClearinghouseState": {"balances": [{"coin": "USDC", "total": "1e25"}]}}', "large"),
        ('{"spotClearinghouseState": {"balances": [{"coin": "USDC", "total": "1e23"}]}}', "large"),
    ],
)
def test_prints_of_nonsense_are_refused(tmp_path, text, words):
    with pytest.raises(InvalidScenario, match=words):
        BASE.with_(population=str(book_file(tmp_path, text, "book.json")))
