import math

import numpy as np
import pytest

from stressbook.experiments.claims import (
    claims,
    p_value,
    paired_share_p,
    ratio_above_noise,
)
from stressbook.experiments.inference import holm

SEEDS = np.arange(8.0)
QUIET = [np.zeros(8)]


def word(treated, control, placebos=QUIET):
    return claims([("outcome", treated, control, placebos)])[0].word


def test_a_clear_difference_has_the_sign_of_treated_less_control():
    control = np.sin(SEEDS)
    assert word(control + 1.0 + 0.01 * np.cos(SEEDS), control) == "higher"
    assert word(control - 1.0 + 0.01 * np.cos(SEEDS), control) == "lower"


def test_seven_pairs_are_not_evidence_however_clear():
    control = np.sin(SEEDS)[:7]
    assert word(control + 1.0, control, [np.zeros(7)]) == "not evidence"


def test_what_is_smaller_than_the_placebos_bound_is_not_claimed():
    control = np.sin(SEEDS)
    noisy = [2.0 * np.cos(3.0 * SEEDS)]
    assert word(control + 0.5 + 0.01 * np.cos(SEEDS), control, noisy) == "inside noise"


def test_the_noisier_of_two_placebos_counts():
    control = np.sin(SEEDS)
    noisy = [np.zeros(8), 2.0 * np.cos(3.0 * SEEDS)]
    assert word(control + 0.5 + 0.01 * np.cos(SEEDS), control, noisy) == "inside noise"


def test_equal_values_are_equal_not_inconclusive():
    nothing = np.full(8, math.nan)
    assert word(SEEDS, SEEDS) == "equal"
    assert word(nothing, nothing) == "equal"
    assert word(SEEDS[:7], SEEDS[:7], [np.zeros(7)]) == "not evidence"


def test_a_difference_of_chance_is_inconclusive():
    assert word(SEEDS + np.array([1.0, -1.1] * 4), SEEDS) == "inconclusive"


def test_many_outcomes_judged_together_need_a_clearer_one():
    effect = 1.0 + 1.1 * np.array([1.0, -1.0] * 4)
    alone = claims([("a", effect, np.zeros(8), QUIET)])
    chance = [(f"{k}", np.sin(SEEDS * (k + 2)), np.zeros(8), QUIET) for k in range(12)]
    together = claims([("a", effect, np.zeros(8), QUIET), *chance])
    assert alone[0].word == "higher"
    assert together[0].word == "inconclusive"


def test_holm_stops_at_the_first_that_fails():
    assert holm([0.01, 0.04, 0.02], alpha=0.05) == [True, True, True]
    assert holm([0.01, 0.04, 0.03], alpha=0.05) == [True, False, False]
    assert holm([math.nan, 0.04], alpha=0.05) == [False, True]


def test_p_value_is_that_of_students_t():
    # t = 2 sqrt(3) with 2 degrees of freedom: 1 - t / sqrt(t^2 + 2).
    t = 2.0 * math.sqrt(3.0)
    assert p_value([1.0, 2.0, 3.0]) == pytest.approx(1.0 - t / math.sqrt(t * t + 2.0))
    assert p_value([0.0, 0.0]) == 1.0
    assert p_value([1.0, 1.0]) == 0.0
    assert math.isnan(p_value([1.0]))


def test_paired_shares_count_only_pairs_that_differ():
    assert paired_share_p([True, True, False], [True, True, False]) == 1.0
    assert paired_share_p([True] * 5 + [False], [False] * 5 + [False]) == pytest.approx(2 / 32)
    assert paired_share_p([False] * 6, [True] * 6) == pytest.approx(2 / 64)


def test_a_ratio_over_noise_is_undefined():
    above = np.array([2.0, 2.2, 1.8])
    assert ratio_above_noise(above, above / 2.0, noise=0.5).value == pytest.approx(2.0)
    assert ratio_above_noise(above, above / 2.0, noise=1.5) is None
    assert ratio_above_noise(above, [1.0, -1.0, 0.4], noise=0.0) is None
    with_gaps = ratio_above_noise([*above, 9.0, math.nan], [*above / 2.0, math.nan, 1.0], noise=0.5)
    assert (with_gaps.value, with_gaps.n) == (pytest.approx(2.0), 3)


def test_the_interval_of_a_ratio_covers_it_as_often_as_it_says():
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(400):
        below = rng.normal(2.0, 0.3, 8)
        found = ratio_above_noise(3.0 * below + rng.normal(0.0, 0.4, 8), below, noise=0.0)
        hits += found.low <= 3.0 <= found.high
    assert 360 <= hits <= 396  # 95 % of 400, +- four deviations, at this seed
