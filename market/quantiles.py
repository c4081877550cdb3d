"""Inverse transforms: one uniform draw becomes one draw of another law.

Never a rejection: the number of draws must not depend on their values. All rise with `u`, so a
larger draw in one arm of a comparison is a larger draw in the other.
"""

from typing import Final

from stressbook.market.elementary import exp, ln, pow_
from stressbook.market.kernel import kernel

__all__ = [
    "POISSON_MEAN_MAX",
    "exponential_from_uniform",
    "pareto_from_uniform",
    "poisson_from_uniform",
]

POISSON_MEAN_MAX: Final = 700.0  # exp(-mean) must be a normal number


@kernel
def exponential_from_uniform(u: float, mean: float) -> float:
    """Return the exponential draw that a uniform draw stands for.

    Parameters
    ----------
    u : float
        Probability of a lower draw, 0 < u < 1.
    mean : float
        Mean, in the unit of the result, not negative.

    Returns
    -------
    float
        `-mean ln(1 - u)`.

    Examples
    --------
    >>> round(exponential_from_uniform(0.5, 10.0), 6)
    6.931472
    """
    return -mean * ln(1.0 - u)


@kernel
def pareto_from_uniform(u: float, alpha: float) -> float:
    """Return the Pareto draw, from 1 up, that a uniform draw stands for.

    Parameters
    ----------
    u : float
        Probability of a lower draw, 0 < u < 1.
    alpha : float
        Tail exponent, positive: P(X > x) = x**-alpha.

    Returns
    -------
    float
        `(1 - u)**(-1 / alpha)`; the mean is infinite for alpha <= 1.

    Examples
    --------
    >>> round(pareto_from_uniform(0.75, 2.0), 12)
    2.0
    """
    return pow_(1.0 - u, -1.0 / alpha)


@kernel
def poisson_from_uniform(u: float, mean: float) -> int:
    """Return the Poisson draw that a uniform draw stands for.

    Parameters
    ----------
    u : float
        Probability, 0 < u < 1.
    mean : float
        Mean; below 0 taken as 0, beyond `POISSON_MEAN_MAX` as that.

    Returns
    -------
    int
        The smallest k with P(X <= k) >= u, found from 0 up: takes about `mean` operations.

    Examples
    --------
    >>> poisson_from_uniform(0.5, 0.1), poisson_from_uniform(0.95, 0.1)
    (0, 1)
    """
    if mean <= 0.0:
        return 0
    limited = mean if mean < POISSON_MEAN_MAX else POISSON_MEAN_MAX
    probability = exp(-limited)
    below = probability
    count = 0
    # Far out the sum stops growing, perhaps under a `u` next to 1.
    while below < u and (float(count) < limited or probability > 2.0**-60):
        count += 1
        probability *= limited / float(count)
        below += probability
    return count
