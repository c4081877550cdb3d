"""The certificate: runs and failures allowed are fixed first, then fresh seeds decide.

Looking at an exact bound again and again is not free; stopping where the outcome is settled is,
for it changes no decision. So an open certificate has no bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from scipy.special import bdtr

from stressbook.errors import InvalidInput
from stressbook.experiments.statistics.exact import (
    allowed_failures,
    least_runs,
    require_fractions,
    upper_bound,
)

__all__ = [
    "CERTIFIED_ALPHAS",
    "CertificatePlan",
    "Judgement",
    "Support",
    "failures",
    "judge",
    "plan_certificate",
    "supported_alphas",
]

CERTIFIED_ALPHAS: Final = (0.05, 0.01, 0.001)
TRUE_OVER_ALPHA: Final = 0.4


@dataclass(frozen=True)
class CertificatePlan:
    """What was fixed before the first run of a certificate.

    Parameters
    ----------
    alpha : float
        Probability of a failure an episode that is to be shown not to be exceeded.
    confidence : float
        That of all planned attempts together.
    n : int
        Runs of one attempt, on seeds of its own.
    allowed : int
        Failures that still pass.
    power : float
        Chance that one attempt passes at `true_rate`.
    true_rate : float
        Probability of a failure at which the power holds.
    attempts : int
        Attempts that share the error.
    """

    alpha: float
    confidence: float
    n: int
    allowed: int
    power: float
    true_rate: float
    attempts: int

    @property
    def attempt_confidence(self) -> float:
        """Confidence of one attempt: each has an equal part of the error."""
        return 1.0 - (1.0 - self.confidence) / self.attempts


def plan_certificate(
    alpha: float = 0.05,
    confidence: float = 0.95,
    power: float = 0.8,
    true_rate: float | None = None,
    attempts: int = 1,
) -> CertificatePlan:
    """Return the smallest plan that rarely passes at alpha and mostly passes at a lower rate.

    P(at most `allowed` of n | p = alpha) <= (1 - confidence) / attempts, the error split evenly
    (Bonferroni), and P(at most `allowed` of n | p = true_rate) >= power for each attempt alone:
    attempts are for caps of their own, and a later one is not there to lift the chance of the
    first.

    Parameters
    ----------
    alpha, confidence, power : float
        See `CertificatePlan`.
    true_rate : float, optional
        Default 0.4 alpha.
    attempts : int, default 1
        That are planned, 1 or more.

    Returns
    -------
    CertificatePlan

    Raises
    ------
    InvalidInput
        If a probability does not lie between 0 and 1, the true rate not below alpha, or no
        attempt is planned.

    Examples
    --------
    >>> plan = plan_certificate()
    >>> plan.n, plan.allowed, round(plan.power, 3)
    (234, 6, 0.809)
    """
    rate = TRUE_OVER_ALPHA * alpha if true_rate is None else true_rate
    require_fractions(alpha=alpha, confidence=confidence, power=power, true_rate=rate)
    if rate >= alpha:
        raise InvalidInput(
            "leaves no room for power", name="true_rate", value=rate, allowed=f"below {alpha}"
        )
    if attempts < 1:
        raise InvalidInput("plans nothing", name="attempts", value=attempts, allowed="1 or more")
    error = (1.0 - confidence) / attempts
    allowed, n = -1, 0
    reached = 0.0
    # For each number allowed the fewest runs have the most power, and both grow with it.
    while reached < power:
        allowed += 1
        n = _fewest_runs(allowed, alpha, error, above=max(n, allowed))
        reached = float(bdtr(allowed, n, rate))
    return CertificatePlan(alpha, confidence, n, allowed, reached, rate, attempts)


def _fewest_runs(allowed: int, alpha: float, error: float, *, above: int) -> int:
    least, most = above, 2 * above + 2
    while float(bdtr(allowed, most, alpha)) > error:
        least, most = most, 2 * most
    while most - least > 1:
        middle = (least + most) // 2
        if float(bdtr(allowed, middle, alpha)) > error:
            least = middle
        else:
            most = middle
    return most


def failures(losses: Sequence[float | None], budget: float) -> list[bool | None]:
    """Return which runs failed: above the budget, or crashed.

    Parameters
    ----------
    losses : sequence of float or None
        In seed order and the unit of `budget`; NaN of a run that crashed, None of one that is
        not there yet.
    budget : float
        Largest loss that passes.

    Returns
    -------
    list of bool or None
        As `judge` reads it.

    Examples
    --------
    >>> failures([0.0, 26e6, float("nan"), None], 25e6)
    [False, True, True, None]
    """
    return [None if loss is None else not loss <= budget for loss in losses]


@dataclass(frozen=True)
class Judgement:
    """What the runs so far say of a plan.

    Parameters
    ----------
    plan : CertificatePlan
        As stored.
    word : str
        "certified", "refused" or "open".
    failures, read : int
        Failures among the runs read; reading stops where the outcome is settled.
    upper : float
        Exact upper bound on P(failure) at the confidence of one attempt; NaN while open.
    least_left, most_left : int
        Runs that may still be needed: if all agree at once, and if they do not.
    """

    plan: CertificatePlan
    word: Literal["certified", "refused", "open"]
    failures: int
    read: int
    upper: float
    least_left: int
    most_left: int

    def __str__(self) -> str:
        counted = f"{self.failures} of {self.read} runs failed"
        plan = f"{self.plan.allowed} of {self.plan.n} allowed"
        if self.word == "open":
            return f"open: {counted}, {plan}; {self.least_left} to {self.most_left} runs to go"
        level = f"{100.0 * self.plan.attempt_confidence:g} % confidence"
        return (
            f"{self.word}: {counted}, {plan}; "
            f"P(failure) is at most {100.0 * self.upper:.2f} % at {level}"
        )


def judge(plan: CertificatePlan, failed: Sequence[bool | None]) -> Judgement:
    """Judge a certificate from the runs there are, read in seed order up to the first gap.

    Parameters
    ----------
    plan : CertificatePlan
        Stored before the first run.
    failed : sequence of bool or None
        Of seed 0, 1, ...; a run that crashed has failed (True), None is not there yet. What lies
        beyond the first None is not read, so that the order of arrival changes nothing.

    Returns
    -------
    Judgement
        "refused" at the failure that exceeds the plan, "certified" as soon as the rest cannot
        exceed it, both as the whole of the runs would have been. The bound of a certificate
        counts what was not run as failed; that of a refusal at run m is the bound for `allowed`
        failures of m - 1 (outcomes ordered by how late they exceed the plan). Both are exact.

    Examples
    --------
    >>> plan = plan_certificate()
    >>> print(judge(plan, [True, False, None, True]))
    open: 1 of 2 runs failed, 6 of 234 allowed; 6 to 232 runs to go
    >>> judge(plan, [False] * 234).word, judge(plan, [True] * 7).word
    ('certified', 'refused')
    """
    count = 0
    read = 0
    for one in failed[: plan.n]:
        if one is None:
            break
        read += 1
        count += bool(one)
        if count > plan.allowed:
            upper = _bound(plan.allowed, read - 1, plan)
            return Judgement(plan, "refused", count, read, upper, 0, 0)
        if count + plan.n - read <= plan.allowed:
            upper = _bound(count + plan.n - read, plan.n, plan)
            return Judgement(plan, "certified", count, read, upper, 0, 0)
    left = plan.n - read
    least = min(plan.allowed + 1 - count, left - (plan.allowed - count))
    return Judgement(plan, "open", count, read, math.nan, least, left)


def _bound(hits: int, n: int, plan: CertificatePlan) -> float:
    return upper_bound(hits, n, confidence=plan.attempt_confidence) if n > 0 else 1.0


@dataclass(frozen=True)
class Support:
    """What a number of runs can say of one alpha.

    Parameters
    ----------
    alpha : float
        Probability of a failure.
    allowed : int
        Failures of `n` that still show it; -1 if not even 0 would.
    power : float
        Chance to show it at a true rate of 0.4 alpha; 0 where it cannot be shown.
    least_runs : int
        That show it without a failure.
    planned_runs : int
        Of a plan with the power asked for.
    """

    alpha: float
    allowed: int
    power: float
    least_runs: int
    planned_runs: int

    def __str__(self) -> str:
        if self.allowed < 0:
            return f"{100.0 * self.alpha:g} %: not supported, needs {self.least_runs:,} runs"
        return f"{100.0 * self.alpha:g} %: supported, {self.allowed} failures allowed"


def supported_alphas(
    n: int,
    *,
    alphas: Sequence[float] = CERTIFIED_ALPHAS,
    confidence: float = 0.95,
    power: float = 0.8,
    attempts: int = 1,
) -> list[Support]:
    """Return which alphas a number of runs reaches, each by itself.

    Parameters
    ----------
    n : int
        Runs.
    alphas : sequence of float
        Default 5, 1 and 0.1 %.
    confidence, power, attempts
        As in `plan_certificate`.

    Returns
    -------
    list of Support

    Examples
    --------
    >>> print(*supported_alphas(234), sep=chr(10))
    5 %: supported, 6 failures allowed
    1 %: not supported, needs 299 runs
    0.1 %: not supported, needs 2,995 runs
    """
    found = []
    for alpha in alphas:
        plan = plan_certificate(alpha, confidence, power, attempts=attempts)
        allowed = allowed_failures(n, alpha, plan.attempt_confidence)
        chance = float(bdtr(allowed, n, plan.true_rate)) if allowed >= 0 else 0.0
        least = least_runs(alpha, plan.attempt_confidence)
        found.append(Support(alpha, allowed, chance, least, plan.n))
    return found
