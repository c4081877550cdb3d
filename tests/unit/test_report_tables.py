from dataclasses import replace

import numpy as np
import pytest

from stressbook.experiments.episode import CapUse
from stressbook.experiments.inference import Estimate
from stressbook.experiments.losses import LOSSES
from stressbook.experiments.outcome_words import label_of, shown_outcomes
from stressbook.experiments.stress import CorrelationBreak, PriceGap
from stressbook.report.ending import ending_text, lenders_text
from stressbook.report.impact import impact_text, size_table
from stressbook.report.loss_tables import run_loss_table, study_loss_table
from stressbook.report.numbers import cell, interval, money, percent, plain, signed, usd
from stressbook.report.rule_tables import deciding_table, rule_table
from stressbook.report.scale import flattering_text, scale_text, withdrawal_text
from stressbook.report.shock import shock_table
from stressbook.report.study_layout import (
    amplification_table,
    cap_table,
    class_table,
    milestone_table,
    near_breach_table,
    outcome_table,
    seed_table,
)
from stressbook.report.study_tables import (
    STRESSED,
    amplifications,
    class_rows,
    drift_rows,
    refusal_rows,
    regime_claims,
)
from tests.short_runs import short_run
from tests.unit.report_planted import study, wobble


def test_net_of_revaluation_all_rows_sum_to_zero():
    rows = class_rows(study(8))
    for regime in (0, 1):
        net = [row.net[regime].value for row in rows]
        assert sum(net[:-1]) == pytest.approx(0.0, abs=1e-6)
        assert net[-1] == pytest.approx(0.0, abs=1e-6)


def test_a_class_that_is_left_out_shows_in_the_sum():
    made = study(8)
    for run in made.runs:
        run.episodes["R"].classes[1] = 0.0
    assert class_rows(made)[-1].net[0].value == pytest.approx(-2e6, rel=0.1)


def test_the_sum_of_revaluations_is_that_of_all_rows():
    rows = class_rows(study(8))
    assert rows[-1].revaluation[0].value == pytest.approx(-50e6)
    assert rows[-1].change[0].value == pytest.approx(-50e6)


def test_arms_are_compared_as_the_measures_say():
    found = amplifications(study(8, effect=0.0))["hyperliquid-pm"]
    assert found.forced.value == pytest.approx(0.07)
    assert found.absorbed.value == pytest.approx(0.02)
    assert found.whole.value == pytest.approx(0.10)
    assert found.frozen.value == pytest.approx((0.35 - 0.01) / (0.25 - 0.01))
    assert found.defence.value == pytest.approx(0.01)
    assert found.price.value == pytest.approx((0.35 - 0.01) / (0.28 - 0.01))
    assert found.loss.value == pytest.approx(3e8 - 1e6)
    assert found.loss_ratio.value == pytest.approx(299 / 200)


def test_an_amplification_inside_its_noise_is_undefined():
    made = study(8, placebo=2.0)
    assert amplifications(made)["cross"].price is None
    rows = {row[0].text: row for row in amplification_table(made).rows}
    assert rows["price amplification: (R - 0) / (F - 0)"][3].text == "undefined"


def test_without_all_arms_there_is_no_amplification():
    assert amplifications(study(8, arms=("0", "R"))) == {}


def test_a_measure_that_rules_fix_is_shown_and_not_judged():
    found = {m.name: c for m, c in regime_claims(study(8, effect=0.05), STRESSED, arm="R")}
    assert found["debt_taken_over_usd"].word == "not judged"
    assert found["fall"].word == "higher"


def test_every_mean_of_the_outcome_table_has_its_interval_and_its_word():
    table = outcome_table(study(8, effect=0.05), STRESSED, arm="R", caption="")
    fall = table.rows[0]
    assert [c.text for c in fall[:2]] == ["Largest fall of the HYPE mark", "%"]
    assert [c.text for c in fall[2:5]] == ["33.0", "29.5", "+3.4"]
    assert all(c.below for c in fall[2:5])
    assert fall[-1].text.endswith("higher")
    assert len({len(row) for row in table.rows} | {len(table.head)}) == 1


def test_without_a_placebo_the_table_has_no_column_for_it():
    table = outcome_table(study(8, arms=("0", "R")), STRESSED, arm="R", caption="")
    assert "placebo" not in table.head


def test_caps_name_the_asset_and_the_share_in_use():
    row = cap_table(study(8)).rows[0]
    assert (row[0].text, row[1].text, row[3].text) == (
        "HYPE as collateral, platform",
        "100",
        "50.0 %",
    )


def test_drift_is_relative_and_by_the_hour():
    row = drift_rows(study(8))[0]
    assert row.drift[0].value == pytest.approx(10.0 * 60.0 / 1e6, rel=1e-4)
    assert row.word == ("steady", "steady")


def test_drift_beyond_the_band_is_said():
    made = study(8)
    for run in made.runs:
        run.before["open interest, lots"] = 1e6 * (1.0 + 0.01 * np.arange(5.0))
    assert drift_rows(made)[0].word == ("drifts", "drifts")


def test_what_is_not_there_has_no_drift():
    made = study(8)
    for run in made.runs:
        run.before["open interest, lots"] = np.zeros(5)
    assert drift_rows(made)[0].word == ("nothing there", "nothing there")


def test_refusals_are_means_of_calm_and_stressed_runs():
    made = study(8)
    for run in made.runs:
        if run.regime == "hyperliquid-pm":
            run.episodes["R"] = replace(run.episodes["R"], refusals={"cap_reached": 8})
    rows = dict(refusal_rows(made))
    assert [e.value for e in rows["cap reached"]] == [0.0, 8.0, 0.0, 0.0]
    assert [e.value for e in rows["insufficient margin"]] == [3.0, 0.0, 3.0, 3.0]


def test_milestones_are_minutes_from_the_onset_or_never():
    table = milestone_table(study(8, short=(1e6, 0.0)))
    found = {row[0].text: [c.text for c in row[1:3]] for row in table.rows}
    assert found["first forced order filled"] == ["6.0", "6.0"]
    assert found["first counterparty deleveraged, for an account"] == ["never", "never"]
    assert found["backstop's capital used up"] == ["10.0", "never"]
    assert found["end of the imposed stress"] == ["10.0", "10.0"]


def test_the_range_of_impact_stands_beside_the_reference_on_the_same_seeds():
    labels = [row[0].text for row in size_table(study(8)).rows]
    assert labels == [
        "reference, hyperliquid-pm margin",
        "reference, cross margin",
        "impact x 2, hyperliquid-pm margin",
        "impact x 2, cross margin",
    ]


def test_the_range_says_where_it_breaks_and_how_the_regimes_differ():
    table = size_table(study(8, effect=0.05, short=(1e6, 0.0)))
    assert table.head[-1] == "broke, of 2 seeds"
    assert [row[-1].below for row in table.rows[:2]] == ["16 to 100 %", "0 to 84 %"]
    assert [row[-1].text for row in table.rows] == ["2", "0", "2", "0"]
    assert table.rows[0][2].text.startswith("+3.")
    assert table.rows[1][2].text == ""


def test_a_law_that_changes_nothing_is_said_to_change_nothing():
    text = impact_text(study(8, n_variant_seeds=8))
    assert text.count("no law moves it by more than its interval") == 2


def test_few_seeds_of_a_law_are_ignorance_and_not_robustness():
    made = study(8)
    kept = made.of("hyperliquid-pm", "impact x 2")[0].arms
    kept["R"] = replace(kept["R"], log_drawdown=kept["R"].log_drawdown + 0.5)
    text = impact_text(made)
    assert "no law moves it" not in text
    assert "2 seeds are too few to tell whether a law moves it" in text
    first = study(8).fall("hyperliquid-pm", "R", "impact x 2")
    moved = 1.0 - (1.0 - first[0]) * np.exp(-0.5)
    low, high = (percent(x) for x in sorted((moved, first[1])))
    assert f"with impact x 2 single seeds go from {low} to {high} %." in text


def test_a_law_under_which_forced_orders_add_less_is_named():
    made = study(8, n_variant_seeds=8)
    for run in made.of("hyperliquid-pm", "impact x 2"):
        kept = run.arms["R"]
        run.arms["R"] = replace(
            kept, log_drawdown=kept.log_drawdown - 0.03 - wobble(run.seed, 0.001)
        )
    text = impact_text(made)
    assert "it differs from the reference with impact x 2 (\N{MINUS SIGN}2.1 points" in text
    assert text.count("with impact x 2") == 2


def test_one_seed_of_a_law_tells_nothing():
    assert impact_text(study(1)).startswith("One seed of each law")
    assert impact_text(study(8, variants=())) == ""


def test_each_seed_has_a_row_under_each_regime():
    rows = seed_table(study(3, short=(0.0, 2e6))).rows
    assert [row[0].text for row in rows[:2]] == ["1, hyperliquid-pm", "1, cross"]
    assert [row[3].text for row in rows[:2]] == ["5\u202f000", "\N{MINUS SIGN}2\u202f000"]
    assert [row[-2].text for row in rows] == ["held", "emptied"] * 3
    assert [row[-1].text for row in rows[::2]] == ["1", "2", "3"]  # the planted digests


def test_a_backstop_that_is_emptied_by_a_little_is_not_printed_as_zero():
    rows = seed_table(study(1, short=(40.0, 0.0))).rows
    assert rows[0][3].text == "\N{MINUS SIGN}0.04"
    assert seed_table(study(1, short=(4.0, 0.0))).rows[0][3].text == "\N{MINUS SIGN}0.0040"


def test_milestones_are_counted_over_seeds():
    table = milestone_table(study(8, short=(1e6, 0.0)))
    found = {row[0].text: [c.text for c in row[3:]] for row in table.rows}
    assert found["backstop's capital used up"] == ["8", "0"]
    assert found["first takeover by the backstop"] == ["8", "8"]
    assert found["lowest mark"] == ["\N{EN DASH}"] * 2


def test_a_cap_that_falls_with_the_price_shows_what_is_used_of_it_at_the_end():
    made = study(8)
    halved = (CapUse("{1} as collateral, platform", "USD", 4e7, 5e7),)
    for run in made.of("hyperliquid-pm"):
        run.episodes["R"] = replace(run.episodes["R"], caps=halved)
    row = cap_table(made).rows[0]
    assert (row[2].text, row[3].text, row[4].text, row[5].text) == (
        "50.0",
        "50.0 %",
        "50.0",
        "40.0",
    )
    assert row[6].text == "80.0 %"
    assert "cap at the end" in cap_table(made).head[4]


def test_utilisation_stands_below_the_caps_and_only_where_something_is_lent():
    made = study(8)
    assert cap_table(made).rows[-1][3].text == "70.0 %"
    for run in made.of("hyperliquid-pm"):
        line = run.episodes["R"].timeline
        empty = line._replace(utilisation_frac=0.0 * line.utilisation_frac)
        run.episodes["R"] = replace(run.episodes["R"], timeline=empty)
    assert [row[0].text for row in cap_table(made).rows] == ["HYPE as collateral, platform"]


def test_an_interval_that_passes_below_nothing_is_cut_and_marked():
    made = study(8)
    made.of("cross")[0].episodes["R"].outcomes["n_breaches"] = 100.0
    table = outcome_table(made, STRESSED, arm="R", caption="")
    row = next(row for row in table.rows if row[0].text == "Breaches begun")
    assert row[3].below.startswith("0.0\N{DAGGER} to ")


def test_rows_that_are_not_judged_say_why():
    made = study(8)
    made.of("cross")[0].episodes["R"].outcomes["taken_over_usd"] = 1e6
    table = outcome_table(made, STRESSED, arm="R", caption="")
    words = {row[0].text: row[-1].text for row in table.rows}
    assert words["of it with holdings frozen at the onset (P)"] == "by construction"
    assert words["of them taken over by the backstop"] == "part of another row"


def test_without_frozen_holdings_there_is_no_row_of_them():
    table = outcome_table(study(8, arms=("0", "R")), STRESSED, arm="R", caption="")
    assert not any("frozen" in row[0].text or "R - P" in row[0].text for row in table.rows)


def test_every_number_of_the_rules_has_its_value():
    scenario = study(1).plan.scenario
    table = rule_table(scenario)
    values = {row[0].text: row[1].text for row in table.rows}
    assert values["margin.trigger_ratio"] == "0.95"
    assert values["tokens.HYPE.ltv"] == "0.65"
    assert values["assets.HYPE.tiers"].startswith("10 x from 0 USD, 5 x from")
    assert "tokens.ETH.ltv" not in values
    assert all(values.values())


def test_the_rules_that_decide_are_read_from_the_venue():
    scenario = study(1).plan.scenario.with_(venue={"liquidation": {"socialise": "positions"}})
    found = {row[0].text: row[1].text for row in deciding_table(scenario).rows}
    assert found["the deficit of a flat account is paid by"] == (
        "accounts with positions, by equity"
    )
    assert found["capital of the backstop"] == "12.3 M USD"


def test_perps_near_a_breach_at_the_opening_are_shown():
    rows = near_breach_table(study(3)).rows
    assert [cell.text for cell in rows[0][1:]] == ["4.00", "4.00"]
    assert [cell.text for cell in rows[1][1:]] == ["9.00", "9.00"]


def test_the_shock_is_told_in_words():
    table = shock_table(
        [
            PriceGap(at=0.0, duration=60.0, assets=("HYPE",), fall_frac=-0.1),
            CorrelationBreak(at=0.0, duration=60.0, residual_fall_frac=0.3, residual_factor=2.0),
        ]
    )
    assert table.rows[0][-1].text == "HYPE; rises by 10.0 %"
    assert "loadings on all other factors x 2.0" in table.rows[1][-1].text
    assert "falls by 30.0 % on its own" in table.rows[1][-1].text


def test_a_severity_above_one_is_told_with_its_return_period():
    rare = PriceGap(duration=600.0, fall_frac=0.2, severity=1.5)
    note = shock_table([rare], assets=["BTC"]).note
    assert note.startswith("Severity 1.5: a fall of 30 % in 10 min; BTC: return period")
    assert note.endswith("extrapolated.")
    usual = PriceGap(duration=600.0)
    assert shock_table([usual], assets=["BTC"]).note == ""


def test_the_end_of_the_run_is_told():
    text = ending_text(study(8))
    assert "30 min after the onset" in text
    assert "stands 0.1 % below the oracle under portfolio margin" in text
    assert "300 M USD are still lent" in text
    made = study(8)
    for run in made.of("cross"):
        line = run.episodes["R"].timeline
        gap = line._replace(premium_frac=0.0 * line.premium_frac)
        run.episodes["R"] = replace(run.episodes["R"], timeline=gap)
    assert "and at the oracle under cross margin" in ending_text(made)


def test_what_lenders_missed_at_the_worst_minute_is_said_with_the_horizon():
    made = study(8)
    text = lenders_text(made)
    assert "7.00 M USD in the mean and 7.00 M USD at most, something in 8 of 8 seeds" in text
    assert "at the end they miss 6.00 M USD, 30 min after the onset, with 300 M USD" in text
    for run in made.runs:
        kept = run.arms["R"]
        none = dict.fromkeys(("reserve_shortfall_usd", "reserve_shortfall_peak_usd"), 0.0)
        run.arms["R"] = replace(kept, losses=kept.losses | none)
    assert "missed nothing at any minute in 8 of 8 seeds" in lenders_text(made)
    assert "missed something in 0 to 37 % of such shocks" in lenders_text(made)


def test_the_fall_has_the_shock_alone_as_its_scale():
    text = scale_text(study(8))
    assert "takes HYPE down by 22.1 %" in text  # planted as 0.25 of the logarithm
    assert "with trading but no forced orders it falls by 24.4 %" in text
    assert "with everything by 29.5 %" in text
    assert "forced orders add 5.1 points" in text
    made = study(8)
    for run in made.of("hyperliquid-pm"):
        run.arms["R"] = run.arms["F"]
    assert "forced orders change that by 0.0 points, which cannot be told from nothing" in (
        scale_text(made)
    )
    assert scale_text(study(8, arms=("0", "R"))) == ""


def test_what_flatters_is_measured():
    made = study(8)
    text = flattering_text(made)
    assert "only 10.0 % (95 %: 9.9 to 10.1) of the accounts' equity is under" in text
    assert "72 of 899 accounts" in text
    assert "buyers" not in text  # trading adds to the planted fall
    assert "had none to pay" in text
    assert "the backstop held" not in text
    assert "70.0 to 70.0 % of what is supplied lent" in text
    for run in made.runs:
        run.arms["N"] = run.arms["0"]
        run.episodes["R"].outcomes["treasury_paid_usd"] = 2e5
    made.of("cross")[1].episodes["R"].outcomes["backstop_held_frac"] = 18.5
    text = flattering_text(made)
    assert "buyers of assumed size take 21.1 points" in text
    assert "without limit, paid 200 k USD under portfolio and 200 k USD under cross" in text
    assert "the backstop held up to 18.5 times its capital" in text


def test_a_venue_whose_accounts_pay_deficits_has_no_treasury_that_flatters():
    made = study(8)
    shared = made.plan.scenario.with_(venue={"liquidation": {"socialise": "positions"}})
    assert "treasury" not in flattering_text(
        replace(made, plan=replace(made.plan, scenario=shared))
    )


def test_withdrawal_that_adds_nothing_is_said_to_add_nothing():
    made = study(8)
    assert "is forced changes the fall: 0.8 points" in withdrawal_text(made)
    for run in made.runs:
        run.arms["F"] = run.arms["N"]
    assert "adds nothing that can be told from zero: 0.0 points" in withdrawal_text(made)


def test_the_class_table_prints_its_sum_as_zero():
    last = class_table(study(8)).rows[-1]
    assert (last[0].text, last[4].text, last[6].text) == ("sum", "0.00", "0.00")


def test_numbers_have_digits_that_matter():
    assert [usd(x) for x in (123_456_789.0, 12_345_678.0, 123_456.0)] == ["123", "12.3", "0.12"]
    assert percent(0.12345) == "12.3"
    assert signed("0.00") == "0.00"
    assert plain(float("nan"), 1) == "\N{EN DASH}"
    assert cell(Estimate(-1e6, -2e6, 0.0, 8), "usd").text == "\N{MINUS SIGN}1.00"


def test_an_interval_without_width_is_not_printed():
    assert interval(Estimate(0.0, 0.0, 0.0, 8), "usd") == ""
    assert interval(Estimate(1.0, float("nan"), float("nan"), 1), "usd") == ""


def test_every_loss_has_a_row_with_its_meaning():
    found = study(3)
    rows = {row[0].text: row for row in study_loss_table(found).rows}
    meanings = [row[-1].text for row in rows.values()]
    assert [loss.help for loss in LOSSES] == [
        text for text in meanings if any(text == loss.help for loss in LOSSES)
    ]
    assert len(rows) == len(LOSSES) + 2  # the share of what was closed, and seeds below zero
    # Planted as 1, 2, 3, ... millions in the order of the table.
    assert [c.text for c in rows["Lost by those deleveraged, against the mark"][1:5]] == [
        "4.00",
        "4.00",
        "0.00",
        "M USD",
    ]
    assert rows["Time in which lenders could not leave"][4].text == "h"
    assert rows["Lost by those deleveraged, of what was closed"][1].text == "\N{EN DASH}"


def test_an_outcome_has_the_same_words_on_the_page_and_in_tables_of_several_sides():
    shown = shown_outcomes([m.name for m in STRESSED] + [loss.name for loss in LOSSES])
    words = {m.name: m.label.format("HYPE", "12.0") for m in STRESSED}
    alike = [name for name in shown if name in words]
    assert len(alike) > 10
    for name in alike:
        known = (label_of(name, alone=True), f"{label_of(name)} (12.0 M USD at the onset)")
        assert words[name] in known


def test_what_the_backstop_lost_is_among_the_losses():
    made = study(8)
    for run in made.runs:
        is_first = run.regime == "hyperliquid-pm"
        planted = {"backstop_result_usd": -12e6, "backstop_low_usd": -1e6} if is_first else {}
        planted = planted or {"backstop_result_usd": -7e6, "backstop_low_usd": 5e6}
        kept = run.arms["R"]
        run.arms["R"] = replace(kept, losses=kept.losses | planted)
    rows = {row[0].text: row for row in study_loss_table(made).rows}
    result = rows["Backstop's result, end less opening"]
    assert [c.text for c in result[1:5]] == [
        "\N{MINUS SIGN}12.0",
        "\N{MINUS SIGN}7.00",
        "\N{MINUS SIGN}5.00",
        "M USD",
    ]
    assert [c.text for c in rows["Backstop's lowest equity"][1:3]] == ["\N{MINUS SIGN}1.00", "5.00"]
    below = [row for label, row in rows.items() if "below zero, seeds" in label]
    assert [[(c.text, c.below) for c in row[1:3]] for row in below] == [
        [("8 of 8", "63 to 100 %"), ("0 of 8", "0 to 37 %")]
    ]


def test_the_interval_of_a_loss_is_cut_at_zero_unless_it_may_be_negative():
    made = study(8)
    for run in made.runs:
        kept = run.arms["R"]
        planted = {
            "backstop_result_usd": wobble(run.seed, 1e7),
            "borne_usd": 1e6 + wobble(run.seed, 1e7),
        }
        run.arms["R"] = replace(kept, losses=kept.losses | planted)
    rows = {row[0].text: row for row in study_loss_table(made).rows}
    assert "\N{DAGGER}" not in rows["Backstop's result, end less opening"][1].below
    assert "\N{DAGGER}" in rows["Sum of all who paid"][1].below


def test_losses_that_are_zero_in_every_seed_share_one_line():
    made = study(3)
    for run in made.runs:
        kept = run.arms["R"].losses
        run.arms["R"] = replace(run.arms["R"], losses=kept | {"socialised_usd": 0.0})
    table = study_loss_table(made)
    assert (
        table.note == "Zero in every seed under both regimes: paid by accounts that share deficits."
    )
    made.of("cross")[0].arms["R"].losses["socialised_usd"] = 1.0
    assert study_loss_table(made).note == ""


def test_the_haircut_is_a_share_of_what_was_closed():
    made = study(3)
    for run in made.of("cross")[:2]:
        run.episodes["R"].outcomes["deleveraged_usd"] = 5e8
        run.episodes["R"].outcomes["backstop_shed_usd"] = 3e8
    row = next(r for r in study_loss_table(made).rows if "of what was closed" in r[0].text)
    assert [c.text for c in row[1:3]] == ["\N{EN DASH}", "50.0"]  # 4 M of 800 M, bp
    assert row[-1].text.endswith("mean over the 0 and 2 seeds with any")


def test_outcomes_that_are_zero_in_every_seed_share_one_line():
    made = study(8)
    table = outcome_table(made, STRESSED, arm="R", caption="")
    assert "breaches begun" in table.note
    made.of("cross")[0].episodes["R"].outcomes["n_breaches"] = 1.0
    table = outcome_table(made, STRESSED, arm="R", caption="")
    assert "breaches begun" not in table.note
    assert "Breaches begun" in [row[0].text for row in table.rows]


def test_amounts_below_a_million_are_in_thousands():
    made = study(8)
    for run in made.runs:
        run.episodes["R"].outcomes["treasury_paid_usd"] = 3411.0
    rows = {r[0].text: r for r in outcome_table(made, STRESSED, arm="R", caption="").rows}
    assert [c.text for c in rows["Paid by the treasury, without limit"][1:4]] == [
        "k USD",
        "3.41",
        "3.41",
    ]


def test_losses_of_a_run_are_those_of_its_outcomes():
    record = short_run().record
    rows = {row[0].text: row for row in run_loss_table(record).rows}
    zeros = run_loss_table(record).note
    for loss in LOSSES:
        is_zero = record.outcomes[loss.name] == 0.0
        assert is_zero != (loss.help in [row[-1].text for row in rows.values()])
    assert "paid by accounts that share deficits" in zeros
    # The same number as in the table of accounts: one meaning, wherever it stands.
    back = record.accounts[-1]
    change = float(back["equity_usd"] - back["opening_equity_usd"])
    shown = rows["Backstop's result, end less opening"]
    assert change != 0.0
    assert f"{shown[1].text} {shown[2].text}" == money(change)
