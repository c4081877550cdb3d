import math

import numpy as np
import pytest
from scipy import stats

from stressbook.errors import InvalidInput
from stressbook.experiments.statistics.binding import platform_binding, user_binding
from stressbook.experiments.statistics.critical_caps import (
    cap_interval,
    order_rank,
    order_ranks,
    propose,
    read_caps,
)
from stressbook.experiments.statistics.staircase import safe_pairs, staircase
from tests.planted_losses import BUDGET, CAPS, draw_losses, failure_rate

GRID = [100.0, 200.0, 400.0]


def test_a_seeds_critical_cap_lies_below_its_first_failure():
    losses = [[1, 1, 9], [1, 9, 9], [9, 9, 9], [1, 1, 1], [1, 9, 1], [1, 1, math.nan]]
    found = read_caps(losses, GRID, 5.0)
    assert found.critical.tolist() == [200.0, 100.0, 0.0, math.inf, 100.0, 200.0]
    assert found.first_failing.tolist() == [400.0, 200.0, 100.0, math.inf, 200.0, 400.0]
    assert found.is_non_monotone.tolist() == [False] * 4 + [True, False]
    assert (found.non_monotone.value, found.non_monotone.n) == (pytest.approx(1 / 6), 6)
    assert (found.non_monotone_of_failing.value, found.non_monotone_of_failing.n) == (0.2, 5)
    assert [share.value for share in found.curve()] == pytest.approx([1 / 6, 3 / 6, 4 / 6])


def test_a_loss_at_the_budget_passes_and_a_crash_below_a_success_is_non_monotone():
    found = read_caps([[5.0, 5.0, 5.1], [math.nan, 1.0, 1.0]], GRID, 5.0)
    assert found.critical.tolist() == [200.0, 0.0]
    assert found.is_non_monotone.tolist() == [False, True]


def test_ranks_are_those_of_the_table():
    assert order_ranks() == {
        0.05: [1, 2, 9, 17, 39, 84, 130, 464],
        0.01: [0, 0, 1, 2, 5, 13, 21, 84],
        0.005: [0, 0, 0, 0, 2, 5, 9, 39],
        0.001: [0, 0, 0, 0, 0, 0, 1, 5],
    }
    assert stats.binom.cdf(order_rank(777, 0.05) - 1, 777, 0.05) <= 0.05
    assert stats.binom.cdf(order_rank(777, 0.05), 777, 0.05) > 0.05


def test_the_first_59_seeds_propose_and_no_others():
    losses = np.zeros((100, 3))
    losses[58, 2] = losses[59, 1:] = 9.0
    found = propose(read_caps(losses, GRID, 5.0))
    assert (found.cap, found.rank, found.n_seeds) == (200.0, 1, 59)
    assert found.reason == "smallest critical cap of the first 59 seeds"


def test_ends_of_the_grid_are_said():
    above = propose(read_caps(np.zeros((59, 3)), GRID, 5.0))
    assert (above.cap, above.is_refused) == (math.inf, False)
    assert above.reason.endswith("above grid: none fails up to 400")
    losses = np.zeros((59, 3))
    losses[0] = 9.0
    below = propose(read_caps(losses, GRID, 5.0))
    assert below.cap == 0.0
    assert below.reason.endswith("the smallest cap of the grid fails")


def test_a_non_monotone_toy_gets_its_curve_and_the_reason():
    losses = np.zeros((60, 3))
    losses[:30, 2] = 9.0
    losses[:3, 1:] = [9.0, 0.0]
    three = read_caps(losses, GRID, 5.0)
    assert propose(three).cap == 100.0  # 3 of 60 are 5 %, not more
    losses[3, 1:] = [9.0, 0.0]
    four = read_caps(losses, GRID, 5.0)
    refused = propose(four)
    assert refused.is_refused
    assert refused.reason == (
        "4 of 60 seeds (30 of them fail somewhere) pass above a failure, more than 5 %: "
        "losses do not rise with the cap"
    )
    assert [round(share.value, 3) for share in four.curve()] == [0.0, 0.067, 0.433]


def test_too_few_seeds_are_refused_with_what_is_needed():
    few = read_caps(np.zeros((58, 3)), GRID, 5.0)
    assert propose(few).reason == "58 seeds are too few, 59 propose"
    many = read_caps(np.zeros((300, 3)), GRID, 5.0)
    assert propose(many, 0.01).reason == "not supported: 1 % needs 299 seeds, not 59"
    assert propose(many, 0.01, n_seeds=299).cap == math.inf


def test_grids_and_matrices_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInput, match="is not a rising grid"):
        read_caps([[1.0, 1.0]], [2.0, 2.0], 1.0)
    with pytest.raises(InvalidInput, match="do not fit the grid"):
        read_caps([[1.0]], GRID, 1.0)
    with pytest.raises(InvalidInput, match="is not a budget"):
        read_caps([[1.0] * 3], GRID, math.nan)


def test_the_curve_is_that_of_the_planted_law():
    found = read_caps(draw_losses(np.random.default_rng(3), CAPS, 4_000), CAPS, BUDGET)
    for cap, share in list(zip(CAPS, found.curve(level=1.0 - 1e-6), strict=True))[::10]:
        assert share.covers(failure_rate(cap))
    assert found.non_monotone.value == 0.0


def test_the_interval_of_a_cap_is_made_of_order_statistics():
    caps = np.arange(1.0, 101.0)
    losses = np.less.outer(np.arange(100.0), caps)  # seed k fails above cap k
    found = cap_interval(read_caps(losses, caps, 0.5), 0.10)
    # Of 100 seeds, ranks 5 and 17 bound the 10 % quantile at 97.5 % each.
    assert (found.low, found.value, found.high) == (4.0, 9.0, 17.0)
    assert stats.binom.cdf(4, 100, 0.1) <= 0.025 < stats.binom.cdf(5, 100, 0.1)
    assert stats.binom.sf(16, 100, 0.1) <= 0.025 < stats.binom.sf(15, 100, 0.1)


def test_a_cap_that_never_binds_has_its_sentence():
    peaks = np.minimum.outer(np.full(59, 90.0), [100.0, 200.0, 400.0])
    assert str(platform_binding(peaks, GRID)) == "not binding up to 400"
    peaks[3, 0] = 95.0  # 95 % of the cap is binding
    found = platform_binding(peaks, GRID)
    assert (found.seeds, found.n) == ((1, 0, 0), 59)
    assert str(found) == "binding up to 100, not binding from 200 to 400"
    peaks[7, 2] = math.nan  # what crashed may have bound
    assert str(platform_binding(peaks, GRID)) == "binding in 1 of 59 seeds at 400"


def test_a_user_cap_binds_where_it_was_the_active_minimum():
    active = np.zeros((5, 3), bool)
    assert user_binding(active, GRID).never_binds
    active[4, 1] = True
    assert str(user_binding(active, GRID)) == "binding up to 200, not binding from 400 to 400"
    with pytest.raises(InvalidInput, match="does not fit the grid"):
        user_binding(active, GRID[:2])


def test_a_pair_is_safe_if_none_at_or_below_it_fails():
    rng = np.random.default_rng(2)
    failed = rng.random((20, 4, 5)) < 0.1
    safe = safe_pairs(failed)
    for seed, i, j in np.ndindex(failed.shape):
        assert safe[seed, i, j] == (not failed[seed, : i + 1, : j + 1].any())


def test_the_staircase_holds_in_all_of_the_first_seeds():
    first, second = np.array([1.0, 2.0, 3.0, 4.0]), np.array([10.0, 20.0, 30.0])
    product = first[:, None] * second
    losses = np.repeat(product[None], 60, axis=0)
    losses[4] *= 2.0
    losses[59] *= 100.0  # not among the first 59
    found = staircase(losses, first, second, 80.0)
    assert found.pairs == ((1.0, 30.0), (2.0, 20.0), (4.0, 10.0))
    assert found.by_seed[0] == ((2.0, 30.0), (4.0, 20.0))
    assert found.non_monotone.value == 0.0
    losses[4, 0, 0] = math.nan
    nothing = staircase(losses, first, second, 80.0)
    assert (nothing.pairs, nothing.by_seed[4]) == ((), ())
    assert nothing.non_monotone.value == pytest.approx(1 / 60)
    with pytest.raises(InvalidInput, match="are too few"):
        staircase(losses[:58], first, second, 80.0)
    with pytest.raises(InvalidInput, match="second_caps"):
        staircase(losses, first, second[::-1], 80.0)
