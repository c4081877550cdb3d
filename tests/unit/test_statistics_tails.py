import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stressbook.errors import InvalidInput, UnknownName
from stressbook.experiments.calibration.falls import (
    daily_largest,
    hourly_tails,
    window_ratio,
    write_fall_tails,
)
from stressbook.experiments.inference import Estimate
from stressbook.experiments.recorded import ASSETS, KINDS
from stressbook.experiments.statistics import fall_tails as shipped
from stressbook.experiments.statistics.tails import (
    Tail,
    cluster_maxima,
    common_shape,
    fit_tail,
)


def planted(shape, n, seed=1, scale=0.5, threshold=1.0):
    draws = stats.genpareto.rvs(shape, scale=scale, size=n, random_state=seed)
    return threshold + draws


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.3, 0.8])
def test_planted_tails_are_found(shape):
    tail = fit_tail(planted(shape, 4_000), threshold=1.0, years=8.0, source="planted")
    assert tail.shape == pytest.approx(shape, abs=4.0 * (1.0 + shape) / math.sqrt(4_000))
    assert tail.scale == pytest.approx(0.5, rel=0.08)
    assert (tail.rate_per_year, tail.n) == (500.0, 4_000)


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.3, 0.8])
def test_the_fit_is_the_most_likely_one(shape):
    sizes = planted(shape, 80)
    tail = fit_tail(sizes, threshold=1.0, years=1.0, source="")

    def likelihood(c, scale):
        return stats.genpareto.logpdf(sizes - 1.0, c, scale=scale).sum()

    best = likelihood(tail.shape, tail.scale)
    found, _, scale = stats.genpareto.fit(sizes - 1.0, floc=0.0)
    assert best >= likelihood(found, scale) - 1e-6
    for c, s in ((0.01, 1.0), (-0.01, 1.0), (0.0, 1.01), (0.0, 0.99)):
        assert best > likelihood(tail.shape + c, tail.scale * s)


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.3])
def test_periods_and_sizes_are_inverse_and_those_of_the_law(shape):
    tail = Tail(shape, 0.5, 1.0, 20.0, 100, "")
    size = tail.size_of(50.0).value
    assert stats.genpareto.sf(size - 1.0, shape, scale=0.5) == pytest.approx(1.0 / 1_000)
    assert tail.return_period_years(size).value == pytest.approx(50.0)
    assert tail.return_period_years(1.0).value == pytest.approx(1.0 / 20.0)
    near = Tail(shape + 1e-7, 0.5, 1.0, 20.0, 100, "")
    assert near.size_of(50.0).value == pytest.approx(size, rel=1e-4)


def test_intervals_cover_about_as_often_as_they_say():
    true_size = 1.0 + float(stats.genpareto.isf(1e-4, 0.2, scale=0.5))
    hits = np.zeros(2)
    for seed in range(120):
        tail = fit_tail(planted(0.2, 100, seed), threshold=1.0, years=1.0, source="")
        hits += [
            tail.return_period_years(true_size).covers(100.0),
            tail.size_of(100.0).covers(true_size),
        ]
    assert (hits >= 0.8 * 120).all()


def test_intervals_of_many_sizes_are_those_of_the_delta_method():
    tail = Tail(0.6, 0.5, 1.0, 20.0, 1_000_000, "")
    log_count, grown = math.log(20.0 * 50.0), (20.0 * 50.0) ** 0.6
    by_scale = (grown - 1.0) / 0.6
    by_shape = 0.5 * (grown * log_count - by_scale) / 0.6
    gradient = np.array([by_shape, by_scale, 0.5 * grown])
    covariance = np.zeros((3, 3))  # of shape, scale and ln(rate)
    covariance[:2, :2] = [[1.6**2, -1.6 * 0.5], [-1.6 * 0.5, 2.0 * 1.6 * 0.5**2]]
    covariance[2, 2] = 1.0
    sd = math.sqrt(gradient @ covariance @ gradient / 1e6)
    found = tail.size_of(50.0)
    assert found.half_width == pytest.approx(1.959964 * sd, rel=0.01)
    period = tail.return_period_years(found.value)
    slope = 50.0 / (0.5 * grown)  # years a unit of size
    assert period.half_width == pytest.approx(slope * found.half_width, rel=0.01)


def test_intervals_stay_above_what_was_seen_and_know_no_end():
    tail = Tail(0.0, 0.01, 0.02, 100.0, 90, "")
    far = tail.return_period_years(0.7)
    assert far.low > 1.0
    assert far.high == math.inf
    ends = Tail(-0.4, 0.01, 0.02, 100.0, 90, "").return_period_years(0.1)
    assert ends.value == math.inf
    assert ends.low > 0.0


def test_what_lies_below_the_threshold_is_not_answered():
    tail = Tail(0.1, 0.5, 1.0, 20.0, 100, "")
    with pytest.raises(InvalidInput, match="below the threshold"):
        tail.return_period_years(0.9)
    with pytest.raises(InvalidInput, match="too few"):
        tail.size_of(0.01)
    with pytest.raises(InvalidInput, match="above the threshold are too few"):
        fit_tail(planted(0.1, 19), threshold=1.0, years=1.0, source="")


def test_a_factor_scales_sizes_and_widens_intervals():
    tail = Tail(0.1, 0.5, 1.0, 20.0, 100, "a")
    double = tail.scaled(Estimate(2.0, 2.0, 2.0, 9), "b")
    assert double.size_of(50.0).value == pytest.approx(2.0 * tail.size_of(50.0).value)
    assert double.source == "b"
    noisy = tail.scaled(Estimate(2.0, 1.0, 4.0, 9), "b")
    assert noisy.log_size_sd == pytest.approx(math.log(4.0) / 2.0 / 1.959964)
    for exact, wide in (
        (double.size_of(50.0), noisy.size_of(50.0)),
        (double.return_period_years(6.0), noisy.return_period_years(6.0)),
    ):
        assert exact.value == wide.value
        assert wide.low < exact.low
        assert wide.high > exact.high
    # The factor alone would give a quarter and four times the size's bounds.
    assert noisy.size_of(50.0).low < double.size_of(50.0).value / 1.9


def test_one_shape_for_alike_series_is_nearer_than_each_alone():
    sizes = [planted(0.2, 60, seed, scale=s) for seed, s in enumerate((0.1, 0.4, 1.0, 3.0) * 3)]
    tails = [fit_tail(x, threshold=1.0, years=1.0, source="") for x in sizes]
    together = common_shape(tails, sizes)
    assert len({tail.shape for tail in together}) == 1
    alone = np.sqrt(np.mean([(tail.shape - 0.2) ** 2 for tail in tails]))
    assert abs(together[0].shape - 0.2) < alone
    for tail, s in zip(together, (0.1, 0.4, 1.0, 3.0), strict=False):
        assert tail.scale == pytest.approx(s, rel=0.5)
    assert [tail.n for tail in together] == [60] * 12


def test_clusters_are_parted_by_gaps():
    values = [5.0, 0.0, 6.0, 0.0, 0.0, 0.0, 4.0, math.nan, 7.0]
    assert cluster_maxima(values, threshold=1.0, gap=3).tolist() == [6.0, 7.0]
    assert cluster_maxima(values, threshold=1.0, gap=4).tolist() == [7.0]
    assert cluster_maxima(values, threshold=1.0, gap=1).tolist() == [5.0, 6.0, 4.0, 7.0]
    assert len(cluster_maxima(values, threshold=9.0, gap=1)) == 0


def test_shipped_falls_grow_with_the_window_and_say_where_they_come_from():
    tails = shipped.fall_tails()
    assert set(tails) == {(asset, window) for asset in ASSETS for window in (10, 30, 60)}
    for asset in ASSETS:
        by_window = [shipped.fall_tail(asset, window) for window in (10, 30, 60)]
        assert all(a.size_of(1.0).value < b.size_of(1.0).value for a, b in pairwise(by_window))
        assert all(tail.n >= 50 and "2025" in tail.source for tail in by_window)
        assert by_window[0].source.startswith(f"{asset} perp on Hyperliquid")
    with pytest.raises(UnknownName, match="tail of falls = 'DOGE 60' is unknown"):
        shipped.fall_tail("DOGE", 60)


def closes(n_hours, bar_min, seed):
    rng = np.random.default_rng(seed)
    n = n_hours * 60 // bar_min
    index = pd.date_range("2025-06-01", periods=n, freq=f"{bar_min}min", tz="UTC")
    sd = 0.002 * math.sqrt(bar_min)
    names = [f"{a}_{leg}_{what}" for a in ASSETS for leg in ("perp", "spot") for what in ("close",)]
    steps = sd * rng.standard_t(4.0, (n, len(names)))
    table = pd.DataFrame(100.0 * np.exp(np.cumsum(steps, axis=0)), index, names)
    for asset in ASSETS:
        for leg in ("perp", "spot"):
            table[f"{asset}_{leg}_vol"] = 1.0
    return table


def test_a_fall_belongs_to_the_day_that_it_ends_on_and_days_with_a_gap_to_none():
    index = pd.date_range("2025-06-01", periods=4 * 288, freq="5min", tz="UTC")
    prices = pd.Series(100.0, index)
    prices.iloc[288 + 100 : 288 + 102] = [95.0, 90.0]  # a fall of 10 % in 10 min on day 1
    prices.iloc[2 * 288 + 5] = math.nan
    found = daily_largest(prices, 10)
    assert [day.day for day in found.index] == [2, 4]
    assert found.iloc[0] == pytest.approx(math.log(100.0 / 90.0))
    assert daily_largest(prices, 5).iloc[0] == pytest.approx(math.log(95.0 / 90.0))


def test_falls_of_independent_steps_grow_with_the_root_of_the_window():
    fine = closes(24 * 40, 5, seed=4)
    ten, forty = (window_ratio(fine, "HYPE", window) for window in (10, 40))
    assert forty.value / ten.value == pytest.approx(2.0, rel=0.25)
    assert ten.n == 39  # the first day lacks its first falls
    assert window_ratio(fine, "HYPE", 60).value > 1.0  # any start against the clock's hours


def test_the_file_is_written_from_recordings(tmp_path, monkeypatch):
    coarse, fine = closes(2_400, 60, seed=5), closes(24 * 14, 5, seed=6)
    for asset in ASSETS:
        for end in ("low", "high"):
            coarse[f"{asset}_perp_{end}"] = coarse[f"{asset}_perp_close"]
    coarse.to_csv(tmp_path / "hl_perp_spot_hourly_a.csv")
    fine.to_csv(tmp_path / "hl_perp_spot_5min_a.csv")
    for name, kind in KINDS.items():
        if not name.startswith("closes"):
            (tmp_path / kind.pattern.replace("*", "a")).touch()
    path = tmp_path / "out" / "fall_tails.toml"
    path.parent.mkdir()
    write_fall_tails(tmp_path, path)
    shipped._read.cache_clear()
    monkeypatch.setattr(shipped, "files", lambda _: path.parent)
    written = shipped.fall_tail("SOL", 30)
    monkeypatch.undo()
    shipped._read.cache_clear()
    expected = hourly_tails(coarse)["SOL"].scaled(window_ratio(fine, "SOL", 30), "")
    assert written.shape == pytest.approx(expected.shape, rel=1e-3)
    assert written.scale == pytest.approx(expected.scale, rel=1e-3)
    assert written.log_size_sd == pytest.approx(expected.log_size_sd, rel=1e-3)
    assert (written.n, written.source[:24]) == (expected.n, "SOL perp on Hyperliquid,")
