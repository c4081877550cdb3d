r"""Standardised shocks by inverse transform: normal, or a truncated Student t with 4 degrees.

Seconds of prices have fat tails, but the exponential of an untruncated t has no mean, and a price
that should be a martingale needs one. Cut at `TAIL_SD` standard deviations all moments exist in
closed form, and the cumulants that the drift correction needs are exact.

With s = t / sqrt(4 + t^2) the distribution function is 1/2 + (3/4)(s - s^3/3), a cubic, so the
quantile needs square roots only.
"""

from __future__ import annotations

import math
from typing import Final

from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.numbers.elementary import ln, normal_quantile

__all__ = ["NORMAL", "STUDENT4", "TAIL_SD", "fourth_cumulant", "innovation", "student4_quantile"]

NORMAL: Final = 0
STUDENT4: Final = 1
TAIL_SD: Final = 40.0  # standard deviations of the untruncated t; met once in 3 million draws
_NEWTON_STEPS: Final = 5  # quadratic from an error of .13: the last changes no bit


def _moments_of_truncated_t() -> tuple[float, float, float]:
    """Return probability inside the cut, variance and fourth moment of what is left."""
    cut = TAIL_SD * math.sqrt(2.0)
    s = cut / math.sqrt(4.0 + cut * cut)
    cube = s * s * s / 3.0
    inside = 1.5 * (s - cube)
    variance = 2.0 * s * s * s / inside
    atanh = 0.5 * ln((1.0 + s) / (1.0 - s))
    return inside, variance, 24.0 * (atanh - s - cube) / inside


_INSIDE, _VARIANCE, _FOURTH = _moments_of_truncated_t()
_OUTSIDE_BELOW: Final = 0.5 * (1.0 - _INSIDE)
_UNIT_SD: Final = 1.0 / math.sqrt(_VARIANCE)
_FOURTH_CUMULANT: Final = _FOURTH / (_VARIANCE * _VARIANCE) - 3.0


@kernel
def student4_quantile(p: float) -> float:
    r"""Return the quantile of Student's t with 4 degrees of freedom.

    Parameters
    ----------
    p : float
        Probability, 0 < p < 1.

    Returns
    -------
    float
        t, with a relative error near 1e-15.

    Notes
    -----
    With :math:`\alpha = 4p(1-p)` and :math:`4c^3 - 3c = \sqrt\alpha`,
    :math:`t^2 = 4(c/\sqrt\alpha - 1)`. The cubic is solved for d = 1 - c, which loses no digits
    near the median. Source: Shaw (2006), "Sampling Student's T distribution", J. Computational
    Finance 9(4), section on four degrees of freedom.

    Examples
    --------
    >>> round(student4_quantile(0.975), 6), student4_quantile(0.5)
    (2.776445, 0.0)
    """
    root = math.sqrt(4.0 * p * (1.0 - p))
    gap = (1.0 - 2.0 * p) * (1.0 - 2.0 * p) / (1.0 + root)
    d = gap / 9.0
    for _ in range(_NEWTON_STEPS):
        d -= (d * (9.0 + d * (4.0 * d - 12.0)) - gap) / (9.0 + d * (12.0 * d - 24.0))
    size = 4.0 * math.sqrt((1.0 - d) * d * (2.0 - d) / root)
    return -size if p < 0.5 else size


@inline_kernel
def innovation(kind: int, u: float) -> float:
    """Return a shock with mean 0 and variance 1.

    Parameters
    ----------
    kind : int
        `NORMAL` or `STUDENT4`.
    u : float
        Uniform draw, 0 < u < 1.

    Returns
    -------
    float
        Standard deviations, symmetric.

    Examples
    --------
    >>> innovation(STUDENT4, 0.5), round(innovation(NORMAL, 0.975), 3)
    (0.0, 1.96)
    """
    if kind == NORMAL:
        return normal_quantile(u)
    return _UNIT_SD * student4_quantile(_OUTSIDE_BELOW + _INSIDE * u)


def fourth_cumulant(kind: int) -> float:
    """Return the excess kurtosis of `innovation`, for the drift that keeps a price a martingale.

    Parameters
    ----------
    kind : int
        `NORMAL` or `STUDENT4`.

    Returns
    -------
    float
        Dimensionless.

    Examples
    --------
    >>> fourth_cumulant(NORMAL), round(fourth_cumulant(STUDENT4), 1)
    (0.0, 13.3)
    """
    return 0.0 if kind == NORMAL else _FOURTH_CUMULANT
