"""Inverse transforms: one uniform draw becomes one draw of another law.

Never a rejection: the number of draws must not depend on their values. All rise with `u`, so a
larger draw in one arm of a comparison is a larger draw in the other.
"""

from stressbook.market.compiling.kernel import kernel
from stressbook.market.numbers.elementary import ln

__all__ = ["exponential_from_uniform"]


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
