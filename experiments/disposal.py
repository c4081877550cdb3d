"""How fast the backstop sheds what it holds: the most it held, and what is left of it later.

A vault that sells half of the rest every ten minutes has a quarter after twenty, if nothing comes
in; where more does, or books do not take it, the rest says so.
"""

from __future__ import annotations

import math
from typing import Final

from stressbook.market.compiling.arrays import F64

__all__ = ["AFTER_MIN", "closed_frac", "peak_of", "rest_frac"]

AFTER_MIN: Final = (10, 30, 60)


def peak_of(held_usd: F64) -> float:
    """Return the most that was held.

    Parameters
    ----------
    held_usd : ndarray of float64, shape (n_minutes,)
        Value of what is held at the end of each minute, long and short alike.

    Returns
    -------
    float
        USD.
    """
    return float(held_usd.max()) if len(held_usd) else 0.0


def rest_frac(held_usd: F64, after_min: int) -> float:
    """Return what is left of the most that was held, some minutes later.

    Parameters
    ----------
    held_usd : ndarray of float64, shape (n_minutes,)
        As for `peak_of`.
    after_min : int
        Minutes; where the run ends before, its end counts.

    Returns
    -------
    float
        0 to 1; NaN if nothing was ever held, for there was nothing to dispose of.

    Examples
    --------
    >>> import numpy as np
    >>> rest_frac(np.array([0.0, 80.0, 60.0, 40.0]), 1), rest_frac(np.array([0.0, 80.0]), 30)
    (0.75, 1.0)
    """
    most = peak_of(held_usd)
    if most <= 0.0:
        return math.nan
    return float(held_usd[_span(held_usd, after_min)[1]]) / most


def closed_frac(held_usd: F64, closed_usd: F64, after_min: int) -> float:
    """Return how much of the most that was held was closed against winners in the minutes after.

    A vault that is emptied so has sold nothing: the share is not one of sales.

    Parameters
    ----------
    held_usd : ndarray of float64, shape (n_minutes,)
        As for `peak_of`.
    closed_usd : ndarray of float64, shape (n_minutes,)
        Value of its perps closed by deleveraging up to the end of each minute, summed up.
    after_min : int
        As for `rest_frac`.

    Returns
    -------
    float
        0 or more; NaN if nothing was ever held. Above 1 where more came in meanwhile.

    Examples
    --------
    >>> import numpy as np
    >>> closed_frac(np.array([0.0, 80.0, 20.0]), np.array([5.0, 5.0, 45.0]), 10)
    0.5
    """
    most = peak_of(held_usd)
    if most <= 0.0:
        return math.nan
    first, last = _span(held_usd, after_min)
    return float(closed_usd[last] - closed_usd[first]) / most


def _span(held_usd: F64, after_min: int) -> tuple[int, int]:
    """Return the minute at whose end the most was held, and the one so much later."""
    first = int(held_usd.argmax())
    return first, min(first + after_min, len(held_usd) - 1)
