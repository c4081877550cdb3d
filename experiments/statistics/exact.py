"""Exact bounds on a share of seeds: Clopper and Pearson, and how many runs they need.

References
----------
.. [1] C. J. Clopper, E. S. Pearson (1934), "The use of confidence or fiducial limits illustrated
   in the case of the binomial", Biometrika 26(4).
"""

from __future__ import annotations

import math

from scipy.special import bdtr, betaincinv

from stressbook.errors import InvalidInput, Problem
from stressbook.experiments.inference import Estimate

__all__ = [
    "allowed_failures",
    "least_runs",
    "lower_bound",
    "require_fractions",
    "share_estimate",
    "upper_bound",
]


def share_estimate(hits: int, n: int, *, level: float = 0.95) -> Estimate:
    """Return a share of seeds with its exact two-sided interval.

    Parameters
    ----------
    hits, n : int
        Seeds that show it, and all of them.
    level : float, default 0.95
        Confidence; half of the rest is left on either side.

    Returns
    -------
    Estimate
        NaN throughout if `n` is 0.

    Examples
    --------
    >>> e = share_estimate(8, 8)
    >>> e.value, round(e.low, 3), e.high
    (1.0, 0.631, 1.0)
    """
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0, level)
    _require_counts(hits, n)
    tail = (1.0 - level) / 2.0
    return Estimate(hits / n, _lower(hits, n, tail), _upper(hits, n, 1.0 - tail), n, level)


def upper_bound(hits: int, n: int, *, confidence: float = 0.95) -> float:
    """Return the exact one-sided upper bound on a probability.

    Parameters
    ----------
    hits, n : int
        Failures and runs, 0 to `n` and 1 or more.
    confidence : float, default 0.95
        Chance at least that the bound is not below the truth.

    Returns
    -------
    float
        The p at which `hits` or fewer have probability 1 - confidence; for no failure that is
        1 - (1 - confidence)^(1/n).

    Raises
    ------
    InvalidInput
        If there are no runs, or more failures than runs.

    Examples
    --------
    >>> [round(upper_bound(k, 59), 3) for k in range(4)]
    [0.05, 0.078, 0.103, 0.126]
    """
    _require_counts(hits, n)
    return _upper(hits, n, confidence)


def lower_bound(hits: int, n: int, *, confidence: float = 0.95) -> float:
    """Return the exact one-sided lower bound on a probability.

    Parameters
    ----------
    hits, n, confidence
        As in `upper_bound`.

    Returns
    -------
    float
        The p at which `hits` or more have probability 1 - confidence; 0 without a failure.

    Examples
    --------
    >>> round(lower_bound(59, 59), 3), lower_bound(0, 59)
    (0.95, 0.0)
    """
    _require_counts(hits, n)
    return _lower(hits, n, 1.0 - confidence)


def least_runs(alpha: float, confidence: float = 0.95) -> int:
    """Return how many runs without a failure show that a probability is at most alpha.

    Parameters
    ----------
    alpha, confidence : float
        Probability to bound and confidence of the bound, between 0 and 1.

    Returns
    -------
    int
        The smallest n with (1 - alpha)^n at most 1 - confidence.

    Examples
    --------
    >>> [least_runs(alpha) for alpha in (0.05, 0.01, 0.001)]
    [59, 299, 2995]
    """
    require_fractions(alpha=alpha, confidence=confidence)
    n = max(1, math.floor(math.log1p(-confidence) / math.log1p(-alpha)) - 1)
    # The quotient may fall on either side of a whole number by rounding alone.
    while float(bdtr(0, n, alpha)) > 1.0 - confidence:
        n += 1
    return n


def allowed_failures(n: int, alpha: float, confidence: float = 0.95) -> int:
    """Return the most failures of n runs that still show a probability of at most alpha.

    Parameters
    ----------
    n : int
        Runs.
    alpha, confidence : float
        As in `least_runs`.

    Returns
    -------
    int
        The largest k that has probability 1 - confidence at most, with all below it, at a true
        rate of alpha; -1 if not even 0 does.

    Examples
    --------
    >>> allowed_failures(58, 0.05), allowed_failures(59, 0.05), allowed_failures(234, 0.05)
    (-1, 0, 6)
    """
    require_fractions(alpha=alpha, confidence=confidence)
    least, most = -1, n  # all n or fewer are certain
    while most - least > 1:
        middle = (least + most) // 2
        if float(bdtr(middle, n, alpha)) <= 1.0 - confidence:
            least = middle
        else:
            most = middle
    return least


def require_fractions(**named: float) -> None:
    """Refuse values that do not lie between 0 and 1, all of them at once.

    Raises
    ------
    InvalidInput
        With a problem for each.

    Examples
    --------
    >>> require_fractions(alpha=0.05)
    """
    problems = [
        Problem("is not a probability", name, value, "between 0 and 1")
        for name, value in named.items()
        if not 0.0 < value < 1.0
    ]
    if problems:
        raise InvalidInput.from_problems(problems)


def _upper(hits: int, n: int, confidence: float) -> float:
    return 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, confidence))


def _lower(hits: int, n: int, error: float) -> float:
    return 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, error))


def _require_counts(hits: int, n: int) -> None:
    if n < 1:
        raise InvalidInput("leaves nothing to bound", name="n", value=n, allowed="1 or more runs")
    if not 0 <= hits <= n:
        raise InvalidInput("is no count of them", name="hits", value=hits, allowed=f"0 to {n}")
