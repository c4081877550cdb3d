"""The basis, from closes of five minutes: perp over spot, or the oracle where there is no spot."""

from __future__ import annotations

import math
from typing import Final, Literal

import numpy as np

from stressbook.experiments.validation.watch import CLOSE_MINUTES, Watched
from stressbook.market.compiling.arrays import F64

__all__ = ["basis_bp", "halflife_min", "lag_correlation"]

_TO_BP: Final = 1e4
_FEW: Final = 3


def basis_bp(
    watched: Watched, asset: int, perp: int, spot: int, *, at: Literal["last", "mid"] = "last"
) -> F64:
    """Return perp / spot - 1 at every close.

    Parameters
    ----------
    watched : Watched
        A stretch of a run.
    asset, perp, spot : int
        Indices; spot -1: against the oracle.
    at : {"last", "mid"}
        Price of a close: of the last trade, as in recorded bars, or the mid.

    Returns
    -------
    ndarray of float64, shape (n_closes,)
        bp; NaN where a book has no price.
    """
    prices = watched.last_usd if at == "last" else watched.mid_usd
    below = prices[:, spot] if spot >= 0 else watched.oracle_usd[:, asset]
    basis: F64 = (prices[:, perp] / below - 1.0) * _TO_BP
    return basis


def lag_correlation(values: F64, lag: int = 1) -> float:
    """Return the correlation of a series with itself some places later, gaps left out.

    Examples
    --------
    >>> round(lag_correlation(np.array([1.0, -1.0, 1.0, -1.0, 1.0])), 3)
    -1.0
    """
    a, b = values[lag:], values[:-lag]
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < _FEW or np.ptp(a[both]) == 0.0 or np.ptp(b[both]) == 0.0:
        return math.nan
    return float(np.corrcoef(a[both], b[both])[0, 1])


def halflife_min(basis: F64) -> float:
    """Return ln .5 over the logarithm of the lag-1 autocorrelation, minutes.

    Examples
    --------
    >>> halflife_min(np.array([1.0, -1.0, 1.0, -1.0, 1.0]))
    0.0
    """
    rho = lag_correlation(basis)
    if not rho > 0.0:
        return 0.0 if rho <= 0.0 else math.nan
    return CLOSE_MINUTES * math.log(0.5) / math.log(min(rho, 1.0 - 1e-12))
