import numpy as np
import pytest
from scipy import stats

from stressbook.errors import InvalidInput
from stressbook.experiments.calibration.estimate import (
    basic_bootstrap,
    block_bootstrap,
    block_bootstrap_one,
    estimated,
    interval_of,
    require_length,
)
from stressbook.experiments.calibration.series import autocovariance, remove_season, unit_ar1


def mean_of(rows):
    return float(rows.mean())


def test_bootstrap_of_a_dependent_mean_covers_what_it_says():
    n_covered = 0
    n_records = 150
    for seed in range(n_records):
        rng = np.random.default_rng(seed)
        x = unit_ar1(0.8, 1_500, rng=rng)
        n_covered += block_bootstrap_one(x, mean_of, block=50, rng=rng, n_draws=120).covers(0.0)
    # Blocks cut some of the dependence, so 0.85 of 0.90 is asked; a right one fails once in 1e6.
    least, most = stats.binom.ppf([1e-6, 1 - 1e-6], n_records, [0.83, 0.93])
    assert least <= n_covered <= most


def test_single_draws_instead_of_blocks_would_cover_too_little():
    n_covered = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        x = unit_ar1(0.8, 1_500, rng=rng)
        n_covered += block_bootstrap_one(x, mean_of, block=1, rng=rng, n_draws=120).covers(0.0)
    assert n_covered < stats.binom.ppf(1e-6, 150, 0.83)


def test_statistics_share_their_resamples_and_keep_their_order():
    x = np.random.default_rng(1).normal(size=(400, 2)) + np.array([0.0, 5.0])
    first, second = block_bootstrap(
        x, lambda rows: rows.mean(axis=0), block=5, rng=np.random.default_rng(2)
    )
    assert (first.n, second.n) == (400, 400)
    assert first.value == pytest.approx(x[:, 0].mean())
    assert second.value == pytest.approx(x[:, 1].mean())
    assert first.high < second.low


def test_basic_bootstrap_mirrors_the_draws_in_the_estimate():
    draws = np.array([[1.2, 4.0], [1.4, 4.0]])
    np.testing.assert_allclose(
        basic_bootstrap(np.array([1.0, 5.0]), draws), [[0.8, 6.0], [0.6, 6.0]]
    )


def test_rows_are_resampled_together():
    x = np.random.default_rng(1).normal(size=400)
    both = np.column_stack([x, x])
    fit = block_bootstrap_one(
        both,
        lambda rows: float(np.abs(rows[:, 0] - rows[:, 1]).max()),
        block=5,
        rng=np.random.default_rng(2),
    )
    assert (fit.low, fit.high) == (0.0, 0.0)


def test_interval_leaves_out_undefined_draws():
    assert interval_of([np.nan, 1.0, 1.0]) == (1.0, 1.0)
    assert np.isnan(interval_of([np.nan, np.nan])).all()


def test_change_of_unit_turns_the_interval_with_the_sign():
    assert estimated(1.0, 0.5, 2.0, 9).scaled(-2.0) == estimated(-2.0, -4.0, -1.0, 9)


def test_short_series_are_refused_by_name():
    with pytest.raises(InvalidInput, match=r"hours = 3 observations are too few") as caught:
        require_length("hours", 3, 10)
    assert caught.value.allowed == "10 or more"
    assert caught.value.hint == "record a longer window"


def test_autocovariance_skips_pairs_with_a_hole():
    y = np.array([1.0, np.nan, -1.0, 1.0, -1.0, 1.0])
    deviation = y - np.nanmean(y)
    pairs = [deviation[i] * deviation[i + 1] for i in (2, 3, 4)]
    assert autocovariance(y, np.array([1]))[0] == pytest.approx(np.mean(pairs))


def test_season_is_the_mean_of_each_cell():
    y = np.array([1.0, 10.0, 3.0, np.nan, 5.0, 30.0])
    residual, season = remove_season(y, np.array([0, 1, 0, 1, 0, 1]))
    np.testing.assert_allclose(season, [3.0, 20.0, 3.0, 20.0, 3.0, 20.0])
    np.testing.assert_allclose(residual, [-2.0, -10.0, 0.0, np.nan, 2.0, 10.0])
