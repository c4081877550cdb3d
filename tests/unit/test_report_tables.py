from dataclasses import replace

import numpy as np
import pytest

from stressbook.experiments.inference import Estimate
from stressbook.report.numbers import cell, interval, percent, plain, signed, usd
from stressbook.report.study_layout import (
    amplification_table,
    cap_table,
    class_table,
    milestone_table,
    outcome_table,
    size_table,
)
from stressbook.report.study_tables import (
    STRESSED,
    amplifications,
    class_rows,
    drift_rows,
    refusal_rows,
    regime_claims,
)
from tests.unit.report_planted import study


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
    found = amplifications(study(8, effect=0.0))["portfolio"]
    assert found.forced.value == pytest.approx(0.07)
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
        if run.regime == "portfolio":
            run.episodes["R"] = replace(run.episodes["R"], refusals={"cap_reached": 8})
    rows = dict(refusal_rows(made))
    assert [e.value for e in rows["cap reached"]] == [0.0, 8.0, 0.0, 0.0]
    assert [e.value for e in rows["insufficient margin"]] == [3.0, 0.0, 3.0, 3.0]


def test_milestones_are_minutes_from_the_onset_or_never():
    table = milestone_table(study(8, short=(1e6, 0.0)))
    found = {row[0].text: [c.text for c in row[1:]] for row in table.rows}
    assert found["first forced order filled"] == ["6.0", "6.0"]
    assert found["first counterparty deleveraged, for an account"] == ["never", "never"]
    assert found["backstop's capital used up"] == ["10.0", "never"]
    assert found["end of the imposed stress"] == ["10.0", "10.0"]


def test_the_range_of_impact_stands_beside_the_reference_on_the_same_seeds():
    labels = [row[0].text for row in size_table(study(8)).rows]
    assert labels == [
        "reference, portfolio margin",
        "reference, cross margin",
        "impact x 2, portfolio margin",
        "impact x 2, cross margin",
    ]


def test_the_class_table_prints_its_sum_as_zero():
    last = class_table(study(8)).rows[-1]
    assert (last[0].text, last[3].text, last[5].text) == ("sum", "0.00", "0.00")


def test_numbers_have_digits_that_matter():
    assert [usd(x) for x in (123_456_789.0, 12_345_678.0, 123_456.0)] == ["123", "12.3", "0.12"]
    assert percent(0.12345) == "12.3"
    assert signed("0.00") == "0.00"
    assert plain(float("nan"), 1) == "\N{EN DASH}"
    assert cell(Estimate(-1e6, -2e6, 0.0, 8), "usd").text == "\N{MINUS SIGN}1.00"


def test_an_interval_without_width_is_not_printed():
    assert interval(Estimate(0.0, 0.0, 0.0, 8), "usd") == ""
    assert interval(Estimate(1.0, float("nan"), float("nan"), 1), "usd") == ""
