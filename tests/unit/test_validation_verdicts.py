"""Verdicts, estimators and the table of how the market behaves."""

import math

import numpy as np
import pytest

from stressbook.errors import InvalidInput
from stressbook.experiments.inference import Estimate, mean_estimate, ratio_estimate
from stressbook.experiments.validation.estimators import (
    drift_frac,
    median_estimate,
)
from stressbook.experiments.validation.stressed import amplification_row, effect_row
from stressbook.experiments.validation.table import (
    as_record,
    beside_band,
    fill_page,
    judged,
    markdown,
    shown,
    within,
)
from stressbook.experiments.validation.verdicts import (
    Band,
    Tolerance,
    against_band,
    within_tolerances,
)

BAND = Band(1.0, 2.0)


def estimate(value, half, n=30, level=0.9):
    return Estimate(value, value - half, value + half, n, level)


@pytest.mark.parametrize(
    ("value", "half", "verdict"),
    [
        (1.5, 0.51, "undecided"),  # wider than the band, though the point is inside
        (1.5, 0.4, "inside"),
        (1.01, 0.4, "inside"),
        (2.3, 0.4, "compatible"),
        (0.7, 0.31, "compatible"),
        (0.7, 0.29, "miss"),
        (2.5, 0.1, "miss"),
        (1.5, math.nan, "undecided"),
    ],
)
def test_a_band_is_judged_by_the_first_rule_that_holds(value, half, verdict):
    assert against_band(estimate(value, half), BAND) == verdict


def test_a_band_with_one_bound_is_never_too_narrow():
    assert against_band(estimate(-1.9, 50.0), Band(-2.0, math.inf)) == "inside"
    assert against_band(estimate(-3.0, 0.5), Band(-2.0, math.inf)) == "miss"


def test_a_single_tolerance_follows_its_interval():
    # Limits from the t law, not from the code: half-width of the 90 % interval is t(.95, n-1) s.e.
    checks = {
        "met": estimate(0.5, 0.49),
        "undecided": estimate(0.5, 0.51),
        "missed": estimate(1.5, 0.49),
    }
    for verdict, one in checks.items():
        assert within_tolerances([Tolerance(one, 1.0)]) == [verdict]


def test_both_ends_of_a_tolerance_count():
    assert within_tolerances([Tolerance(estimate(-0.5, 0.51), 1.0)]) == ["undecided"]
    assert within_tolerances([Tolerance(estimate(-1.5, 0.49), 1.0)]) == ["missed"]


def test_tolerances_of_a_table_are_corrected():
    barely = Tolerance(estimate(0.5, 0.49), 1.0)  # p just under .05
    clear = Tolerance(estimate(0.0, 0.05), 1.0)
    # Holm: the largest of m p values is held against .05 itself, the others against less.
    assert within_tolerances([barely, clear]) == ["met", "met"]
    assert within_tolerances([barely, barely]) == ["undecided", "undecided"]


def test_a_tolerance_without_interval_is_undecided():
    assert within_tolerances([Tolerance(mean_estimate([0.1]), 1.0)]) == ["undecided"]


def test_equal_seeds_are_judged_by_their_value():
    same = [mean_estimate([x, x, x], level=0.9) for x in (0.5, 1.5)]
    assert within_tolerances([Tolerance(one, 1.0) for one in same]) == ["met", "missed"]


def test_a_tolerance_of_zero_is_refused():
    with pytest.raises(InvalidInput, match=r"most = 0\.0 is not a tolerance"):
        within_tolerances([Tolerance(estimate(0.0, 0.1), 0.0)])


def test_wrong_verdicts_of_a_tolerance_are_as_rare_as_stated():
    rng = np.random.default_rng(7)
    truth = rng.normal(1.0, 1.0, size=(4_000, 12))  # exactly at the bound
    found = [within_tolerances([Tolerance(mean_estimate(row, level=0.9), 1.0)])[0] for row in truth]
    # 5 % each, within five standard errors.
    for verdict in ("met", "missed"):
        assert abs(found.count(verdict) / len(found) - 0.05) < 5.0 * math.sqrt(0.05 * 0.95 / 4_000)


def test_the_ratio_of_means_covers_the_truth_as_often_as_stated():
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(2_000):
        b = rng.normal(10.0, 2.0, 20)
        a = 1.5 * b + rng.normal(0.0, 3.0, 20)
        e = ratio_estimate(a, b, level=0.9)
        hits += e.low <= 1.5 <= e.high
    assert abs(hits / 2_000 - 0.9) < 0.03


def test_a_ratio_to_nothing_has_no_value():
    assert math.isnan(ratio_estimate([1.0, 2.0], [0.0, 0.0]).value)


def test_ratios_pair():
    with pytest.raises(InvalidInput, match="does not pair"):
        ratio_estimate([1.0], [1.0, 2.0])


def test_the_median_covers_the_truth_at_least_as_often_as_stated():
    rng = np.random.default_rng(5)
    for n, level in ((8, 0.9), (30, 0.9)):
        draws = rng.exponential(1.0, size=(2_000, n))
        found = [median_estimate(row, level=level) for row in draws]
        share = np.mean([e.low <= math.log(2.0) <= e.high for e in found])
        assert share > level - 0.02
        assert share < level + 0.07  # and no wider than order statistics allow


def test_a_median_of_few_has_no_interval():
    assert math.isnan(median_estimate([1.0, 2.0, 3.0, 4.0], level=0.9).low)
    assert median_estimate([1.0, 2.0, 3.0, 4.0, 9.0], level=0.9).high == 9.0


def test_drift_is_the_slope_over_the_mean():
    minutes = np.linspace(100.0, 106.0, 61)[:60]  # 6 an hour
    assert drift_frac(minutes) == pytest.approx(6.0 / minutes.mean())
    assert drift_frac(minutes[::-1]) == pytest.approx(-6.0 / minutes.mean())
    assert math.isnan(drift_frac([1.0]))


def test_an_effect_counts_only_beyond_the_placebo():
    effect = np.array([1.0, 1.1, 0.9, 1.0])
    assert effect_row("R - F", "x", effect, np.zeros(4)).verdict == "met"
    assert effect_row("R - F", "x", -effect, np.zeros(4)).verdict == "missed"
    assert effect_row("R - F", "x", effect, effect * [2.0, -1.0, 2.0, 3.0]).verdict == "undecided"
    assert effect_row("R - F", "x", effect * [1, -1, 1, -1], np.zeros(4)).verdict == "undecided"


def test_an_amplification_needs_a_denominator_beyond_its_noise():
    fall, noise = np.array([2.0, 2.1, 1.9, 2.0]), np.array([0.1, -0.1, 0.05, -0.05])
    row = amplification_row("R/F", "x", 1.1 * fall, fall, noise)
    assert row.estimate.value == pytest.approx(1.1)
    lost = amplification_row("R/F", "x", fall, noise, noise)
    assert lost.verdict == "undefined"
    assert math.isnan(lost.estimate.value)
    drowned = amplification_row("R/F", "x", fall, fall, 40.0 * noise)
    assert drowned.verdict == "undefined"


def test_rows_of_a_table_are_judged_together():
    rows = [
        within("drift", "BTC", "%", estimate(0.0, 0.5), 2.0),
        shown("spread", "BTC", "bp", estimate(0.1, 0.01)),
        within("drift", "HYPE", "%", estimate(5.0, 0.5), 2.0),
    ]
    assert [row.verdict for row in judged(rows)] == ["met", "", "missed"]


def test_the_table_prints_value_interval_n_target_and_verdict():
    band = Band(0.015, 0.15)
    row = beside_band("spread", "BTC", "bp", estimate(0.4812, 0.0201), band, note="thin")
    lines = markdown([row]).splitlines()
    assert lines[2] == (
        "| spread, bp | BTC | 0.481 | 0.461 to 0.501 (90 %) | 30 | 0.015 to 0.15 | miss |"
    )
    assert lines[-1] == "- spread, BTC: thin"
    assert as_record(row)["verdict"] == "miss"
    assert as_record(row)["n"] == 30


def test_numbers_keep_three_digits():
    rows = [shown("x", "y", "1", estimate(x, 0.0)) for x in (12345.6, 0.000123, -2.5, 0.0)]
    values = [line.split("|")[3].strip() for line in markdown(rows).splitlines()[2:6]]
    assert values == ["12346", "0.000123", "-2.5", "0"]


def test_a_part_of_the_page_is_replaced_and_the_rest_stays():
    page = "a\n<!-- begin calm -->\nold\n<!-- end calm -->\nb\n"
    assert fill_page(page, "calm", "new") == "a\n<!-- begin calm -->\nnew\n<!-- end calm -->\nb\n"
    with pytest.raises(InvalidInput, match="is not marked"):
        fill_page(page, "stress", "new")
