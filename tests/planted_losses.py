"""A model of losses with a known answer, and whole studies on it, repeated."""

import math

import numpy as np
from scipy.special import ndtr, ndtri

from stressbook.experiments.statistics.certificate import failures, judge, plan_certificate
from stressbook.experiments.statistics.critical_caps import cap_interval, propose, read_caps
from stressbook.experiments.statistics.sequences import failure_sequence, mean_sequence

BUDGET = 25e6
MEDIAN_FRAC = 0.05
SPREAD = 0.5
CAPS = 60e6 * 1.03 ** np.arange(90)


def draw_losses(rng, caps, n_seeds):
    """Each seed loses a lognormal part of the cap."""
    part = MEDIAN_FRAC * np.exp(SPREAD * rng.standard_normal(n_seeds))
    return part[:, None] * np.asarray(caps)


def failure_rate(cap):
    return float(ndtr(math.log(MEDIAN_FRAC * cap / BUDGET) / SPREAD)) if cap > 0.0 else 0.0


def true_cap(alpha):
    return BUDGET / MEDIAN_FRAC * math.exp(SPREAD * float(ndtri(alpha)))


def pass_share(rng, plan, rate, repetitions):
    """Share of repetitions in which one planned attempt or more passes."""
    draws = rng.random((repetitions, plan.attempts, plan.n)) < rate
    return np.mean(
        [any(judge(plan, one.tolist()).word == "certified" for one in tries) for tries in draws]
    )


def study(rng, *, n_seeds=59, proposing=59, alpha=0.05):
    """Propose from the first seeds, certify on fresh ones: what a study of one cap does."""
    found = read_caps(draw_losses(rng, CAPS, n_seeds), CAPS, BUDGET)
    cap = propose(found, alpha, n_seeds=proposing).cap
    plan = plan_certificate(alpha)
    fresh = draw_losses(rng, [cap], plan.n)[:, 0]
    return cap, judge(plan, failures(fresh.tolist(), BUDGET)), cap_interval(found, alpha)


def at_most(rate, repetitions, false_alarm=1e-6):
    """Largest share that chance gives at a rate, but for the false alarms."""
    return rate - float(ndtri(false_alarm)) * math.sqrt(rate * (1.0 - rate) / repetitions) + 1e-9


def miscovered(rng, share_paths, mean_paths, *, n):
    """Shares of paths on which a confidence sequence misses the truth at any time."""
    rates = [0.02, 0.05, 0.3]
    shares = 0
    for i in range(share_paths):
        rate = rates[i % len(rates)]
        path = failure_sequence((rng.random(n) < rate).tolist())
        shares += not (path.low[-1] <= rate <= path.high[-1])
    means = 0
    for _ in range(mean_paths):
        path = mean_sequence(rng.beta(0.4, 1.6, n).tolist(), low=0.0, high=1.0)
        means += not (path.low[-1] <= 0.2 <= path.high[-1])
    return shares / share_paths, means / mean_paths
