"""Dials: what a stress may turn, one float64 for each asset, with a value that changes nothing.

A stress writes them in step 1 of a run; the world, the venue and the crowd read them. Every dial
moves what it names and no random draw.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from stressbook.errors import InvalidInput
from stressbook.market.compiling.arrays import Records, record_dtype

__all__ = ["DIAL", "DIALS", "DialInfo", "neutral_dials", "reset_dials"]


class DialInfo(NamedTuple):
    """What one dial means; the row that documentation prints."""

    name: str
    neutral: float
    unit: str
    low: float
    high: float
    help: str


_ANY: Final = float("inf")

DIALS: Final = (
    DialInfo("drift", 0.0, "1/s", -_ANY, _ANY, "log return a second on top of the law's"),
    DialInfo("jump", 0.0, "1", -_ANY, _ANY, "log return of this step on top of the law's"),
    DialInfo("volatility", 1.0, "1", 0.0, _ANY, "multiplies the asset's volatility"),
    DialInfo("beta", 1.0, "1", -_ANY, _ANY, "multiplies the loading on the market factor"),
    DialInfo("residual", 1.0, "1", 0.0, _ANY, "multiplies the loadings on all other factors"),
    DialInfo("correlation", 0.0, "1", 0.0, 1.0, "way from the asset's factor to the target's"),
    DialInfo("outside_depth", 1.0, "1", 1e-6, _ANY, "divides the outside impact of new flow"),
    DialInfo("outside_spread", 1.0, "1", 0.0, _ANY, "multiplies outside half-spreads"),
    DialInfo("outside_recovery", 1.0, "1", 0.0, _ANY, "multiplies the decay rate of impact"),
    DialInfo("outside_basis", 0.0, "1", -_ANY, _ANY, "log shift of the outside perp over spot"),
    DialInfo("oracle_lag_s", 0.0, "s", 0.0, _ANY, "age of the oracle that the venue publishes"),
    DialInfo("oracle_shift", 0.0, "1", -1.0, _ANY, "relative error of the oracle: a wick"),
    DialInfo("oracle_weight", 0.0, "1", -1.0, 1.0, "added to the weight of the venue's own spot"),
    DialInfo("oracle_confidence", 1.0, "1", 0.0, 1.0, "of the oracle, where margin asks for it"),
    DialInfo("venue_depth", 1.0, "1", 0.0, _ANY, "share of makers' size that is left"),
    DialInfo("arbitrage", 1.0, "1", 0.0, _ANY, "share of arbitrage capacity that is left"),
    DialInfo("defence", 1.0, "1", 0.0, 1.0, "0: no withdrawal, stop or voluntary de-risking"),
    DialInfo("lender_run", 0.0, "1/h", 0.0, _ANY, "largest of all: hazard of lenders leaving"),
    DialInfo("check_delay_s", 0.0, "s", 0.0, 86_400.0, "largest of all: between breach checks"),
    DialInfo("liquidator_out", 0.0, "1", 0.0, 1.0, "above 0, of all: breaches are recorded only"),
    DialInfo("halt", 0.0, "1", 0.0, 1.0, "above 0: its books do nothing but cancel orders"),
    DialInfo("standstill", 0.0, "1", 0.0, 1.0, "above 0, of all assets: the venue's clock stands"),
)
DIAL: Final = record_dtype("", " ".join(dial.name for dial in DIALS))


def neutral_dials(n_assets: int) -> Records:
    """Return dials that change nothing.

    Parameters
    ----------
    n_assets : int
        Number of underlyings.

    Returns
    -------
    ndarray of DIAL, shape (n_assets,)
        To be shared by the world and the venue.

    Raises
    ------
    InvalidInput
        If `n_assets` is below 1.

    Examples
    --------
    >>> dials = neutral_dials(2)
    >>> float(dials[0].volatility), float(dials[1].drift)
    (1.0, 0.0)
    """
    if n_assets < 1:
        raise InvalidInput("is too small", name="n_assets", value=n_assets, allowed="1 or more")
    dials = np.zeros(n_assets, DIAL)
    reset_dials(dials)
    return dials


def reset_dials(dials: Records) -> None:
    """Set every dial to its neutral value, in place.

    Parameters
    ----------
    dials : ndarray of DIAL, shape (n_assets,)
        Changed in place.

    Examples
    --------
    >>> dials = neutral_dials(1)
    >>> dials[0].drift = 0.1
    >>> reset_dials(dials)
    >>> float(dials[0].drift)
    0.0
    """
    for dial in DIALS:
        dials[dial.name] = dial.neutral
