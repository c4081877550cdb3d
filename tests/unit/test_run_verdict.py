"""What the page of a single run says, on both sides of each sentence."""

import re
from dataclasses import replace

import numpy as np
import pytest

from stressbook.experiments.scenario import load_scenario
from stressbook.report.numbers import money, signed, usd
from stressbook.report.rule_tables import margin_note, margin_tables
from stressbook.report.run_page import run_html
from stressbook.report.run_verdict import run_sentences
from tests.short_runs import short_run

QUIET = dict.fromkeys(
    (
        "n_breaches",
        "backstop_short_usd",
        "treasury_paid_usd",
        "n_deleveragings",
        "deleveraged_usd",
        "backstop_shed_usd",
        "gap_at_adl_usd",
        "socialised_usd",
        "written_off_usd",
        "backstop_held_frac",
        "peak_borrowed_usd",
        "reserve_shortfall_peak_usd",
    ),
    0.0,
)


def said(record=None, **changes):
    record = short_run().record if record is None else record
    changed = replace(record, outcomes=record.outcomes | QUIET | changes)
    return " ".join(run_sentences(changed, "HYPE"))


def test_who_paid_is_named_where_someone_did():
    text = said(
        treasury_paid_usd=128e3,
        n_deleveragings=1.0,
        deleveraged_usd=2e6,
        backstop_shed_usd=1e5,
        gap_at_adl_usd=3411.0,
        socialised_usd=5e3,
        written_off_usd=4e6,
    )
    assert "The treasury paid 128 k USD of deficits; 1 counterparty was deleveraged, 2.10 M" in text
    assert "3.41 k USD worse than the mark, 0.16 % of it" in text
    assert "accounts bore 5.00 k USD of others' deficits; 4.00 M USD of debt was written" in text


def test_nobody_paid_where_nobody_did():
    text = said()
    assert "No account fell into breach." in text
    assert (
        "The treasury paid nothing; no counterparty was deleveraged; no debt written off." in text
    )


def test_a_deleveraging_at_the_mark_or_better_costs_nobody():
    assert "2 counterparties were deleveraged, 1.00 M USD of perps, at the mark or better" in said(
        n_deleveragings=2.0, deleveraged_usd=1e6
    )


def test_the_result_of_the_backstop_is_one_number():
    for change, word in ((-958e3, "lost 958 k USD"), (2e6, "gained 2.00 M USD"), (0.0, "kept all")):
        assert f"to the end it {word}." in said(backstop_result_usd=change)
    assert "held (lowest" in said()
    assert "was used up (lowest" in said(backstop_short_usd=1.0)


def test_what_flatters_a_run_is_measured():
    record = short_run().record
    rows = record.accounts.copy()
    rows["enrolled"][:5] = 1
    accounts, is_in = rows[:-1], rows["enrolled"][:-1] == 1
    share = accounts["opening_equity_usd"][is_in].sum() / accounts["opening_equity_usd"].sum()
    text = said(
        replace(record, accounts=rows),
        treasury_paid_usd=2e5,
        backstop_held_frac=1.5,
        peak_borrowed_usd=1e6,
        peak_utilisation_frac=0.7,
        reserve_shortfall_peak_usd=3e6,
    )
    assert 0.0 < share < 1.0
    assert f"only {100.0 * share:.1f} % of the accounts' equity" in text
    assert f"({is_in.sum()} of {len(accounts)} accounts)" in text
    assert "deficits without limit, 200 k USD here" in text
    assert "held up to 1.5 times its capital" in text
    assert "though they missed 3.00 M USD at the worst minute, with 70.0 %" in text
    quiet = said()
    assert not re.search("times its capital|no lender runs|missed", quiet)


def test_a_run_without_enrolled_accounts_names_no_share():
    record = short_run().record
    rows = record.accounts.copy()
    rows["enrolled"] = 0
    text = " ".join(run_sentences(replace(record, accounts=rows), "HYPE"))
    assert "of the accounts' equity" not in text


@pytest.fixture(scope="module")
def rows():
    page = run_html(short_run().record)
    table = page[page.index("Who gained and who lost") :]
    table = table[: table.index("</table>")]
    found = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tr>")]
    return {row[0]: row[1:] for row in found if row}


def test_the_change_of_the_backstop_is_not_split(rows):
    row = short_run().record.accounts[-1]
    change = float(row["equity_usd"] - row["opening_equity_usd"])
    assert rows["backstop"][2:] == [signed(usd(change)), "\N{EN DASH}", "\N{EN DASH}"]


def test_treasury_reserve_and_outside_have_rows_of_their_own(rows):
    record = short_run().record
    for name in ("treasury", "reserve"):
        assert rows[name][-1] == signed(usd(record.system_usd[name]))
    nets = [
        row["equity_usd"]
        - row["opening_equity_usd"]
        - row["transfers_usd"]
        - row["revaluation_usd"]
        for row in record.classes
    ]
    outside = -float(np.sum(nets)) - sum(record.system_usd.values())
    assert rows["outside market and price gaps"][-1] == signed(usd(outside))
    assert not any("other" in label for label in rows)


def test_the_treasury_gains_its_fees_less_what_it_paid():
    found = short_run().record
    expected = found.outcomes["fees_usd"] - found.outcomes["treasury_paid_usd"]
    assert found.system_usd["treasury"] == pytest.approx(expected, abs=1.0)
    assert found.system_usd["treasury"] != 0.0


def test_a_run_that_was_kept_without_them_says_so():
    page = run_html(replace(short_run().record, system_usd={}))
    assert "treasury, reserve and outside market" in page
    assert "which this run was kept without" in page
    assert "which this run was kept without" not in run_html(short_run().record)


def test_margin_regimes_are_rows_and_those_compared_stand_on_top():
    scenario = load_scenario("hyperliquid").with_(margin_regime="hyperliquid-pm")
    tables = margin_tables(scenario, first=("hyperliquid-pm", "cross"))
    assert len(tables) == 4
    for table in tables:
        assert table.head == ("regime", "BTC", "ETH", "SOL", "HYPE")
        assert [row[0].text for row in table.rows[:2]] == ["hyperliquid-pm", "cross"]
        assert len(table.rows) == len({row[0].text for row in table.rows}) > 8
        assert "over" in table.caption or "%" in table.caption
    assert margin_tables(scenario)[0].rows[0][0].text == "hyperliquid-pm"


def test_own_capital_above_the_margin_has_its_reason():
    scenario = load_scenario("hyperliquid").with_(margin_regime="hyperliquid-pm")
    note = margin_note(scenario)
    own = margin_tables(scenario)[3].rows[0][-1]
    assert f"for HYPE under hyperliquid-pm it is {own.text} %, the 35.0 % of its price" in note
    assert "a loan pays" not in margin_note(scenario, first=("cross",))


def test_amounts_of_a_run_never_read_as_zero():
    record = short_run().record
    small = {"treasury_paid_usd": 3411.0, "fees_usd": 3.0}
    page = run_html(replace(record, outcomes=record.outcomes | small))
    assert re.search(r"fees to the treasury</td><td>k USD</td><td>0\.0030</td>", page)
    # A loss stands among the losses only, in the words of every other table.
    cell = r"</td><td[^>]*>"
    assert re.search(f"Paid by the treasury, without limit{cell}3\\.41{cell}k USD<", page)
    assert page.count("3.41<") == 1
    assert "treasury paid " + money(3411.0) in page


def test_one_number_says_what_the_backstop_came_to(rows):
    found = short_run().record.outcomes["backstop_result_usd"]
    assert rows["backstop"][2] == signed(usd(found)) != "0.00"
    page = run_html(short_run().record)
    label = "Backstop&#39;s result, end less opening"
    assert f"{money(abs(found))}." in page
    assert page.count(label) == 1
