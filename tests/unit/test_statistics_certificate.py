import math

import numpy as np
import pytest
from scipy import stats

from stressbook.errors import InvalidInput
from stressbook.experiments.statistics.certificate import (
    failures,
    judge,
    plan_certificate,
    supported_alphas,
)
from stressbook.experiments.statistics.exact import upper_bound
from tests.planted_losses import (
    at_most,
    failure_rate,
    pass_share,
    study,
    true_cap,
)


@pytest.mark.parametrize(
    ("alpha", "attempts", "n", "allowed"),
    [
        (0.05, 1, 234, 6),
        (0.05, 2, 312, 8),
        (0.05, 3, 353, 9),
        (0.05, 4, 363, 9),
        (0.05, 5, 398, 10),
        (0.01, 1, 1_182, 6),
        (0.001, 1, 13_146, 7),
    ],
)
def test_plans(alpha, attempts, n, allowed):
    plan = plan_certificate(alpha, attempts=attempts)
    assert (plan.n, plan.allowed) == (n, allowed)
    assert stats.binom.cdf(allowed, n, alpha) <= 0.05 / attempts
    assert stats.binom.cdf(allowed, n - 1, alpha) > 0.05 / attempts
    assert plan.power == pytest.approx(stats.binom.cdf(allowed, n, 0.4 * alpha))


def test_no_smaller_plan_has_the_power():
    for n in range(1, 234):
        allowed = int(stats.binom.ppf(0.05, n, 0.05))
        while allowed >= 0 and stats.binom.cdf(allowed, n, 0.05) > 0.05:
            allowed -= 1
        assert allowed < 0 or stats.binom.cdf(allowed, n, 0.02) < 0.8


def test_plans_that_cannot_be_are_refused():
    with pytest.raises(InvalidInput, match="leaves no room"):
        plan_certificate(true_rate=0.05)
    with pytest.raises(InvalidInput, match="plans nothing"):
        plan_certificate(attempts=0)
    with pytest.raises(InvalidInput, match=r"alpha = 1\.5"):
        plan_certificate(1.5)


def test_a_refusal_comes_at_the_failure_that_exceeds_the_plan():
    plan = plan_certificate()
    failed = [False] * 100 + [True] * 7 + [False] * 127
    assert judge(plan, failed[:106]).word == "open"
    found = judge(plan, failed)
    assert (found.word, found.failures, found.read) == ("refused", 7, 107)
    assert found.upper == pytest.approx(upper_bound(6, 106))
    assert judge(plan, [True] * 7).upper == 1.0


def test_a_certificate_comes_when_the_rest_cannot_exceed():
    plan = plan_certificate()
    failed = [True] * 2 + [False] * 232
    assert judge(plan, failed[:229]).word == "open"
    found = judge(plan, failed[:230])
    assert (found.word, found.read, found.least_left) == ("certified", 230, 0)
    assert found.upper == pytest.approx(upper_bound(6, 234))
    assert found.upper <= 0.05
    last = [True] * 6 + [False] * 228
    assert judge(plan, last[:233]).word == "open"
    assert judge(plan, last).word == "certified"


def test_an_open_certificate_has_no_bound_but_says_what_is_left():
    found = judge(plan_certificate(), [False] * 225)
    assert math.isnan(found.upper)
    assert (found.least_left, found.most_left) == (3, 9)
    assert str(found) == "open: 0 of 225 runs failed, 6 of 234 allowed; 3 to 9 runs to go"


@pytest.mark.parametrize("rate", [0.02, 0.03, 0.05])
def test_neither_looking_nor_the_order_of_arrival_changes_a_decision(rate):
    plan = plan_certificate()
    rng = np.random.default_rng(11)
    for _ in range(8):
        failed = (rng.random(plan.n) < rate).tolist()
        whole = "certified" if sum(failed) <= plan.allowed else "refused"
        there = [None] * plan.n
        for i in rng.permutation(plan.n):
            there[i] = failed[i]
            assert judge(plan, there).word in ("open", whole)
        assert judge(plan, there).word == whole
        assert judge(plan, there) == judge(plan, failed)


def test_crashed_runs_fail_and_missing_ones_are_waited_for():
    assert failures([25e6, math.nan, None, 25e6 + 1.0], 25e6) == [False, True, None, True]
    plan = plan_certificate()
    assert judge(plan, failures([math.nan] * 7, 25e6)).word == "refused"
    assert judge(plan, [None, *[True] * 7]).read == 0


def test_the_bound_of_shared_attempts_has_their_confidence():
    plan = plan_certificate(attempts=2)
    found = judge(plan, [False] * plan.n)
    assert found.upper == pytest.approx(upper_bound(8, 312, confidence=0.975))
    assert "97.5 % confidence" in str(found)


def test_alphas_that_runs_do_not_reach_are_not_supported():
    five, one, tenth = supported_alphas(1_182)
    assert (five.allowed, one.allowed, tenth.allowed) == (46, 6, -1)
    assert one.power >= 0.8
    assert str(tenth) == "0.1 %: not supported, needs 2,995 runs"
    assert (tenth.power, tenth.planned_runs) == (0.0, 13_146)


def test_false_passes_and_power_are_those_of_the_plan():
    rng = np.random.default_rng(5)
    plan = plan_certificate()
    assert pass_share(rng, plan, 0.05, 200) <= at_most(0.05, 200)
    assert pass_share(rng, plan, 0.02, 200) >= 1.0 - at_most(0.2, 200)


def test_a_study_finds_the_known_cap():
    rng = np.random.default_rng(6)
    assert failure_rate(true_cap(0.05)) == pytest.approx(0.05)
    found = [study(rng) for _ in range(100)]
    false = [judged.word == "certified" and failure_rate(cap) > 0.05 for cap, judged, _ in found]
    assert np.mean(false) <= at_most(0.05, 100)
    missed = [not interval.covers(true_cap(0.05)) for *_, interval in found]
    assert np.mean(missed) <= at_most(0.05, 100)
    assert np.mean([judged.word == "certified" for _, judged, _ in found]) > 0.6
