"""How fast the backstop sheds what it holds: the most it held, and what is left of it later.

A vault that sells half of the rest every ten minutes has a quarter after twenty, if nothing comes
in; where more does, or books do not take it, the rest says so.
"""

from __future__ import annotations

from typing import Final

from stressbook.market.compiling.arrays import F64

__all__ = ["AFTER_MIN", "peak_of", "rest_frac"]

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
        0 to 1; 0 if nothing was ever held.

    Examples
    --------
    >>> import numpy as np
    >>> rest_frac(np.array([0.0, 80.0, 60.0, 40.0]), 1), rest_frac(np.array([0.0, 80.0]), 30)
    (0.75, 1.0)
    """
    most = peak_of(held_usd)
    if most <= 0.0:
        return 0.0
    place = min(int(held_usd.argmax()) + after_min, len(held_usd) - 1)
    return float(held_usd[place]) / most
