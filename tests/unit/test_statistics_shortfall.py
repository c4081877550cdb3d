"""The mean of the worst values: its interval covers, and says where it knows nothing."""

import math

import numpy as np
import pytest

from stressbook.experiments.inference import mean_estimate
from stressbook.experiments.statistics.quantiles import LEAST_TAIL, tail_mean_estimate

N = 293
REPETITIONS = 1_500


@pytest.mark.parametrize(
    ("draw", "truth"),
    [
        (lambda rng: rng.exponential(size=N), 1.0 + math.log(20.0)),
        (lambda rng: rng.random(N), 0.975),
        # a loss that is zero in nine of ten episodes: the worst half of the rest
        (lambda rng: rng.exponential(size=N) * (rng.random(N) < 0.1), 1.0 + math.log(2.0)),
    ],
)
def test_the_interval_of_an_expected_shortfall_covers(draw, truth):
    rng = np.random.default_rng(5)
    is_in, is_plain_in = 0, 0
    for _ in range(REPETITIONS):
        x = draw(rng)
        is_in += tail_mean_estimate(x).covers(truth)
        is_plain_in += mean_estimate(np.sort(x)[-15:]).covers(truth)
    assert 0.935 <= is_in / REPETITIONS <= 0.985
    assert is_plain_in / REPETITIONS < 0.87  # a mean over the worst alone knows too much


def test_a_tail_is_the_largest_values_rounded_up():
    found = tail_mean_estimate([*range(100), 1e6])
    assert found.value == pytest.approx((95 + 96 + 97 + 98 + 99 + 1e6) / 6)
    assert found.n == 101


def test_too_few_values_have_a_mean_without_an_interval():
    short = tail_mean_estimate(range(20 * (LEAST_TAIL - 1)))
    assert short.value == pytest.approx(77.5)
    assert math.isnan(short.low)
    assert math.isnan(short.high)
    assert math.isfinite(tail_mean_estimate(range(20 * (LEAST_TAIL - 1) + 1)).high)
    assert math.isnan(tail_mean_estimate([]).value)


def test_equal_values_bound_nothing_above():
    found = tail_mean_estimate(np.full(200, 3.0))
    assert (found.value, found.low) == (3.0, 3.0)
    assert math.isnan(found.high)
