"""Coverage and power of the statistics of caps, 2,000 repetitions on a model with known answer."""

import numpy as np
import pytest
from scipy import stats

from stressbook.experiments.statistics.certificate import judge, plan_certificate
from stressbook.experiments.statistics.tails import fit_tail
from tests.planted_losses import (
    at_most,
    failure_rate,
    miscovered,
    pass_share,
    study,
    true_cap,
)

pytestmark = pytest.mark.verify

REPETITIONS = 2_000


@pytest.mark.parametrize("attempts", [1, 2, 3, 5])
def test_planned_attempts_share_five_percent_of_false_passes(attempts):
    rng = np.random.default_rng(attempts)
    plan = plan_certificate(attempts=attempts)
    assert pass_share(rng, plan, 0.05, REPETITIONS) <= at_most(0.05, REPETITIONS)
    one = plan_certificate(attempts=1)
    assert pass_share(rng, one, 0.02, REPETITIONS) >= 1.0 - at_most(0.2, REPETITIONS)
    assert pass_share(rng, plan, 0.02, REPETITIONS) >= 1.0 - at_most(0.2, REPETITIONS)


@pytest.mark.parametrize("rate", [0.01, 0.03, 0.05, 0.1])
def test_bounds_of_settled_certificates_cover(rate):
    rng = np.random.default_rng(17)
    plan = plan_certificate()
    draws = rng.random((REPETITIONS, plan.n)) < rate
    missed = np.mean([judge(plan, one.tolist()).upper < rate for one in draws])
    assert missed <= at_most(0.05, REPETITIONS)


def test_unplanned_attempts_would_not_share_the_error():
    rng = np.random.default_rng(18)
    plan = plan_certificate()
    draws = rng.random((REPETITIONS, 5, plan.n)) < 0.05
    passed = [any(judge(plan, one.tolist()).word == "certified" for one in five) for five in draws]
    assert np.mean(passed) > 0.18


def test_sequences_cover_over_the_whole_path():
    rng = np.random.default_rng(19)
    shares, means = miscovered(rng, REPETITIONS, REPETITIONS, n=400)
    assert shares <= at_most(0.05, REPETITIONS)
    assert means <= at_most(0.05, REPETITIONS)


def test_studies_find_the_known_cap():
    rng = np.random.default_rng(20)
    found = [study(rng) for _ in range(REPETITIONS)]
    above = np.array([failure_rate(cap) > 0.05 for cap, *_ in found])
    passed = np.array([judged.word == "certified" for _, judged, _ in found])
    covered = np.array([interval.covers(true_cap(0.05)) for *_, interval in found])
    assert above.mean() <= at_most(0.05, REPETITIONS)  # the proposal is a 95 % lower bound
    assert (above & passed).mean() <= 0.05 * 0.05 + 0.005
    assert 1.0 - covered.mean() <= at_most(0.05, REPETITIONS)
    assert passed.mean() == pytest.approx(0.80, abs=0.045)


def test_more_proposing_seeds_bring_the_proposal_nearer_to_failing():
    rng = np.random.default_rng(21)
    passed = [study(rng, n_seeds=59)[1].word == "certified" for _ in range(500)]
    sharper = [study(rng, n_seeds=500, proposing=500)[1].word == "certified" for _ in range(500)]
    assert np.mean(sharper) < np.mean(passed) - 0.25


@pytest.mark.parametrize(("shape", "covered"), [(0.0, 0.88), (0.2, 0.91)])
def test_intervals_of_tails_cover_as_documented(shape, covered):
    size = 1.0 + float(stats.genpareto.isf(1e-4, shape, scale=0.5))
    draws = stats.genpareto.rvs(shape, scale=0.5, size=(REPETITIONS, 100), random_state=22)
    tails = [fit_tail(1.0 + one, threshold=1.0, years=1.0, source="") for one in draws]
    periods = np.mean([tail.return_period_years(size).covers(100.0) for tail in tails])
    sizes = np.mean([tail.size_of(100.0).covers(size) for tail in tails])
    assert periods == pytest.approx(covered, abs=0.03)
    assert sizes == pytest.approx(covered, abs=0.03)
