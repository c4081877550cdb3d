import math

import numpy as np
import pytest

from stressbook.errors import InvalidInput
from stressbook.experiments.statistics.break_even import break_even
from stressbook.experiments.statistics.exact import share_estimate
from stressbook.experiments.statistics.sequences import (
    failure_sequence,
    mean_sequence,
    stop_when,
)
from tests.planted_losses import at_most, miscovered


def test_without_a_failure_the_upper_end_has_a_closed_form():
    found = failure_sequence([False] * 150)
    n = np.arange(1.0, 151.0)
    assert found.high == pytest.approx(1.0 - (20.0 * (n + 1.0)) ** (-1.0 / n), abs=1e-12)
    assert not found.low.any()


def test_ends_are_where_the_mixture_reaches_its_limit():
    rng = np.random.default_rng(4)
    failed = (rng.random(200) < 0.3).tolist()
    a, b = 2.0, 5.0
    found = failure_sequence(failed, prior=(a, b), confidence=0.9)
    k = sum(failed)
    log_beta = lambda p, q: math.lgamma(p) + math.lgamma(q) - math.lgamma(p + q)  # noqa: E731
    inside = np.ones(999, bool)
    grid = np.arange(1, 1_000) / 1_000
    for n in range(1, 201):
        k = sum(failed[:n])
        mixture = log_beta(a + k, b + n - k) - log_beta(a, b)
        likelihood = k * np.log(grid) + (n - k) * np.log1p(-grid)
        inside &= mixture - likelihood < math.log(10.0)
    assert grid[inside].min() == pytest.approx(found.low[-1], abs=0.001)
    assert grid[inside].max() == pytest.approx(found.high[-1], abs=0.001)


def test_sequences_read_in_seed_order_to_the_first_gap():
    there = [False, True, None, True, True]
    assert len(failure_sequence(there)) == 2
    assert failure_sequence(there).at(2) == failure_sequence([False, True]).at(2)
    with pytest.raises(InvalidInput, match="n = 3 has not been read"):
        failure_sequence(there).at(3)
    assert len(mean_sequence([1.0, None, 2.0], low=0.0, high=2.0)) == 1


def test_intervals_never_widen_and_are_wider_than_a_single_look():
    rng = np.random.default_rng(8)
    failed = (rng.random(300) < 0.05).tolist()
    found = failure_sequence(failed)
    assert (np.diff(found.low) >= 0.0).all()
    assert (np.diff(found.high) <= 0.0).all()
    fixed = share_estimate(sum(failed), 300)
    assert found.at(300).low <= fixed.low < fixed.high <= found.at(300).high


def test_a_law_that_changes_on_the_way_leaves_no_interval():
    found = failure_sequence([False] * 400 + [True] * 400)
    assert math.isnan(found.at(800).low)
    assert stop_when(found, half_width=1e-9) is None


def test_betting_keeps_the_means_whose_capital_stays_small():
    rng = np.random.default_rng(9)
    values = rng.beta(2.0, 6.0, 60)
    found = mean_sequence(values.tolist(), low=0.0, high=1.0)
    inside = []
    for m in np.arange(1, 1_000) / 1_000:
        up = down = 1.0
        kept, total, squares = True, 0.5, 0.25
        variance = 0.25
        for t, x in enumerate(values, start=1):
            bet = math.sqrt(2.0 * math.log(2.0 / 0.05) / (variance * t * math.log1p(t)))
            up *= 1.0 + min(bet, 0.5 / m) * (x - m)
            down *= 1.0 - min(bet, 0.5 / (1.0 - m)) * (x - m)
            kept &= max(up, down) / 2.0 < 20.0
            total += x
            squares += (x - total / (t + 1)) ** 2
            variance = squares / (t + 1)
        if kept:
            inside.append(m)
    assert found.low[-1] == pytest.approx(min(inside) - 0.001)
    assert found.high[-1] == pytest.approx(max(inside) + 0.001)


def test_means_scale_and_crashes_count_as_the_worst():
    values = [1.0, 3.0, 2.0, 4.0] * 20
    unit = mean_sequence([v / 10.0 for v in values], low=0.0, high=1.0)
    found = mean_sequence(values, low=0.0, high=10.0)
    assert found.high == pytest.approx(10.0 * unit.high)
    crashed = mean_sequence([*values, math.nan], low=0.0, high=10.0)
    assert crashed.value[-1] == pytest.approx((sum(values) + 10.0) / 81)
    with pytest.raises(InvalidInput, match="leave the range"):
        mean_sequence([11.0], low=0.0, high=10.0)
    with pytest.raises(InvalidInput, match="is empty"):
        mean_sequence([1.0], low=2.0, high=2.0)


def test_a_sequence_stops_once_it_is_narrow_or_decided():
    quiet = failure_sequence([False] * 400)
    decided = stop_when(quiet, budget=0.05)
    assert decided.reason == "at most"
    assert quiet.high[decided.n - 2] > 0.05 >= quiet.high[decided.n - 1]
    narrow = stop_when(quiet, half_width=0.05, budget=0.05)
    assert (narrow.reason, narrow.n < decided.n) == ("narrow", True)
    above = stop_when(failure_sequence([True] * 30), budget=0.05)
    assert (above.reason, above.estimate.low > 0.05) == ("above", True)
    assert stop_when(failure_sequence([False] * 20), budget=0.05) is None
    with pytest.raises(InvalidInput, match="half_width or budget"):
        stop_when(quiet)


def test_the_whole_path_covers():
    rng = np.random.default_rng(7)
    shares, means = miscovered(rng, 150, 40, n=200)
    assert shares <= at_most(0.05, 150)
    assert means <= at_most(0.05, 40)


def test_bisection_ends_at_the_root_of_an_exact_curve():
    # Failures 0.05 / multiplier^2 x 4: alpha is reached at 2.
    found = break_even(lambda m: (round(1e6 * 0.2 / m**2), 1_000_000))
    assert found.value == pytest.approx(2.0, rel=0.03)
    assert [round(point.multiplier, 3) for point in found.tried[:3]] == [1.0, 2.0, 1.414]
    assert len(found.tried) == 6
    rising = break_even(lambda m: (round(1e6 * 0.2 * m**2 / 16.0), 1_000_000), rises=True)
    assert rising.value == pytest.approx(2.0, rel=0.03)


def test_the_interval_is_of_the_points_that_the_runs_cannot_tell_from_alpha():
    rng = np.random.default_rng(1)
    seeds = rng.random(59)
    found = break_even(lambda m: (int((seeds < 0.05 / m**4).sum()), 59))
    holding = [point.multiplier for point in found.tried if point.share.covers(0.05)]
    assert (found.low, found.high) == (min(holding), max(holding))
    assert found.low <= found.value <= found.high
    assert any(not point.share.covers(0.05) for point in found.tried)


def test_roots_beyond_the_ends_are_said_to_lie_outside():
    above = break_even(lambda _: (59, 59))
    assert (str(above), len(above.tried)) == ("outside [0.25, 4]: above", 7)
    assert (above.value, above.low, above.high) == (math.inf, 4.0, math.inf)
    below = break_even(lambda _: (0, 59))
    assert str(below) == "outside [0.25, 4]: below"
    # 0 of 59 cannot be told from 5 %: the interval reaches up to all that was tried.
    assert (below.value, below.low, below.high) == (0.0, 0.0, 1.0)
    at_the_end = break_even(lambda m: (59 if m < 3.99 else 0, 59))
    assert at_the_end.value == pytest.approx(3.9, rel=0.01)


def test_the_root_lies_between_the_nearest_points_told_from_alpha():
    rng = np.random.default_rng(12)
    root, below, above, tried = 1.3, 0, 0, 0
    for _ in range(400):
        seeds = rng.random(59)

        def failures(m, seeds=seeds):
            return int((seeds < 0.05 * (root / m) ** 2).sum()), 59

        found = break_even(failures)
        assert found.bound_low <= found.value <= found.bound_high
        below += root < found.bound_low
        above += root > found.bound_high
        tried += not found.low <= root <= found.high
    assert below / 400 <= at_most(0.05, 400)
    assert above / 400 <= at_most(0.05, 400)
    assert 0.15 < tried / 400 < 0.27  # as the module says of the other interval


def test_bounds_turn_with_the_direction():
    falling = break_even(lambda m: (round(590 * min(1.0, 0.05 * (1.5 / m) ** 4)), 590))
    rising = break_even(lambda m: (round(590 * min(1.0, 0.05 * (m * 1.5) ** 4)), 590), rises=True)
    turned = (1.0 / rising.bound_high, 1.0 / rising.bound_low)
    assert (falling.bound_low, falling.bound_high) == pytest.approx(turned)
    assert 1.0 <= falling.bound_low < 1.5 < falling.bound_high <= 2.0
    assert str(falling) == "1.51 (1.41 to 1.54; above 1 and below 1.68 at 95 %)"
