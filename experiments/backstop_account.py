"""What the backstop came to: its capital, its equity now, how low it stood, and what it lost."""

from __future__ import annotations

import numpy as np

from stressbook.experiments.recorder import backstop_lows_usd
from stressbook.market.compiling.arrays import Records
from stressbook.market.state.codes import CAUSE_OPENING, PERP
from stressbook.market.state.records import VenueState

__all__ = ["capital_usd", "end_equity_usd", "loss_usd", "lowest_usd"]


def capital_usd(v: VenueState) -> float:
    """Return the capital of the backstop at the opening, USD."""
    return float(v.flow[v.par[0].row_backstop, 0, CAUSE_OPENING]) / 1e6


def end_equity_usd(v: VenueState) -> float:
    """Return its equity as the venue stands, perps at the mark and tokens at the oracle, USD."""
    row = int(v.par[0].backstop_user)
    total = float(v.cash[row] + v.supply[row, 0] - v.debt[row, 0]) / 1e6
    perps = v.inst["kind"] == PERP
    marks_usd = v.price["mark_usd"][v.inst["asset"]]
    total += float((v.perp[row] * v.inst["lot_size"] * marks_usd)[perps].sum())
    spec = v.token_spec[1 : int(v.par[0].n_tokens)]
    units = (v.token[row] + v.supply[row] - v.debt[row])[1 : len(spec) + 1]
    total += float((units / spec["unit"] * v.price["oracle_usd"][spec["asset"]]).sum())
    return total


def loss_usd(opening_usd: float, end_usd: float) -> float:
    """Return what of its capital is gone: no less than 0, and no more than it had.

    Equity below zero is the loss of whoever bears its gaps, and counts there.

    Examples
    --------
    >>> loss_usd(10.0, 12.0), loss_usd(10.0, 4.0), loss_usd(10.0, -3.0)
    (0.0, 6.0, 10.0)
    """
    return max(min(opening_usd - end_usd, opening_usd), 0.0)


def lowest_usd(venue: Records, *, first: int) -> float:
    """Return the lowest equity of the backstop since accounts were first valued.

    Parameters
    ----------
    venue : ndarray of VENUE_ROW, shape (n,)
        From the first step of the run on.
    first : int
        Steps that are left out.

    Returns
    -------
    float
        USD, within steps too.
    """
    valued = np.flatnonzero(venue["backstop_equity_usd"][first:])
    start = int(valued[0]) if len(valued) else len(venue) - first - 1
    return float(backstop_lows_usd(venue, first=first)[start:].min())
