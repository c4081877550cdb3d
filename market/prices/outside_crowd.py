"""A levered crowd outside: positions that are liquidated as the outside perp passes their price.

Longs and as many shorts stand in the outside perp of an asset. Their leverages follow a lognormal
law, cut into equal shares by its quantiles: a position of leverage L, as it stands at the opening,
is liquidated once the price has moved against it by 1/L less the maintenance rate. What lies nearer
than `clear_frac` has gone before the run. Forced flow enters the outside perp over the next
seconds, beside the orders of that step and under their impact; each share is liquidated once, and
nobody follows. No random number is drawn. The other side of that flow is the outside's own, so
nothing is booked: an account meets the crowd in the price alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stressbook.errors import Problem
from stressbook.market.compiling.arrays import F64, Record, Records, record_dtype
from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.numbers.elementary import exp, ln, normal_quantile
from stressbook.market.rules.parameters import param

__all__ = [
    "CROWD",
    "CROWD_LONGS",
    "CROWD_SHORTS",
    "N_SHARES",
    "OutsideCrowd",
    "add_crowd_flow",
    "liquidation_distances",
    "open_crowd",
]

CROWD_LONGS: Final = 0
CROWD_SHORTS: Final = 1
N_SHARES: Final = 128
_MIX: Final = "Hyperliquid, January 2026: 2.77 B USD of 7.63 B below 3x, 3.7 B at 3-7x; phemex.com"

# One side: lots of a share, shares, how many were liquidated; lots still to be traded, and traded.
CROWD = record_dtype("share_lots n_shares n_gone due_lots done_lots", "step_frac")


@dataclass(frozen=True)
class OutsideCrowd:
    """Levered longs and shorts in the outside perp of one asset.

    Examples
    --------
    >>> OutsideCrowd().open_interest_usd, round(min(liquidation_distances(OutsideCrowd())), 3)
    (0.0, 0.033)
    """

    open_interest_usd: float = param(
        0.0, unit="USD", help="longs outside, and as many shorts; 0: no crowd", low=0.0
    )
    leverage_median: float = param(
        3.7,
        unit="1",
        help="median leverage at the opening, by notional",
        source=_MIX,
        low=0.1,
        high=200.0,
    )
    leverage_log_sd: float = param(
        0.61, unit="1", help="deviation of its logarithm", source=_MIX, low=0.0, high=5.0
    )
    maintenance_frac: float = param(
        0.02, unit="1", help="equity over notional at which a position is liquidated", low=0.0
    )
    clear_frac: float = param(
        0.03, unit="1", help="distance from the opening price within which nothing is left", low=0.0
    )
    flow_halflife_s: float = param(
        10.0, unit="s", help="half-life of what is still to be sold or bought back", low=0.1
    )

    def problems(self, place: str) -> list[Problem]:
        """Return what is wrong beyond ranges: a crowd of which nobody is left."""
        if self.open_interest_usd <= 0.0 or liquidation_distances(self):
            return []
        allowed = "distances of which some are left: a lower leverage"
        return [Problem("leaves nobody", f"{place}.clear_frac", self.clear_frac, allowed)]


def liquidation_distances(crowd: OutsideCrowd) -> list[float]:
    """Return the moves against the crowd at which its shares are liquidated, rising.

    Parameters
    ----------
    crowd : OutsideCrowd
        Law of its leverages.

    Returns
    -------
    list of float, length up to 128
        Of the opening price; shares that are equal in notional.

    Examples
    --------
    >>> law = OutsideCrowd(leverage_median=4.0, leverage_log_sd=0.0)
    >>> liquidation_distances(law)[0], len(liquidation_distances(law))
    (0.23, 128)
    """
    middle, spread = ln(crowd.leverage_median), crowd.leverage_log_sd
    quantiles = [normal_quantile((k + 0.5) / N_SHARES) for k in range(N_SHARES)]
    leverages = [exp(middle + spread * quantile) for quantile in reversed(quantiles)]
    distances = [1.0 / leverage - crowd.maintenance_frac for leverage in leverages]
    return [distance for distance in distances if distance > crowd.clear_frac]


def open_crowd(
    crowd: Records,
    price_usd: F64,
    law: OutsideCrowd,
    *,
    perp_usd: float,
    lot_usd: float,
    dt_s: float,
) -> None:
    """Write the opening state of an asset's crowd.

    Parameters
    ----------
    crowd : ndarray of CROWD, shape (2,)
        Longs and shorts. Changed.
    price_usd : ndarray of float64, shape (2, 128)
        Prices at which shares are liquidated, the nearest first. Changed.
    law : OutsideCrowd
        Its size and leverages.
    perp_usd : float
        Outside perp at the opening.
    lot_usd : float
        Value of a lot there.
    dt_s : float
        Length of a step.
    """
    distances = liquidation_distances(law) if law.open_interest_usd > 0.0 else []
    for side, sign in ((CROWD_LONGS, -1.0), (CROWD_SHORTS, 1.0)):
        one = crowd[side]
        one.n_shares, one.n_gone, one.due_lots, one.done_lots = len(distances), 0, 0, 0
        one.share_lots = round(law.open_interest_usd / lot_usd) // max(1, len(distances))
        one.step_frac = 1.0 - exp(-ln(2.0) * dt_s / law.flow_halflife_s)
        for place, distance in enumerate(distances):
            price_usd[side, place] = perp_usd * (1.0 + sign * distance)


@inline_kernel
def add_crowd_flow(crowd: Records, price_usd: F64, leg: Records, outside: Records) -> int:
    """Liquidate what the price has passed, and add this step's forced flow to the perp legs.

    Parameters
    ----------
    crowd : ndarray of CROWD, shape (n_assets, 2)
        Changed.
    price_usd : ndarray of float64, shape (n_assets, 2, 128)
        Of the shares.
    leg : ndarray of LEG, shape (n_assets, 2)
        `net_lots` of the perp is changed.
    outside : ndarray of OUTSIDE, shape (n_assets,)
        Prices at the end of the step before.

    Returns
    -------
    int
        Lots traded on both sides of all assets.
    """
    traded = 0
    for i in range(crowd.shape[0]):
        for side in range(2):
            lots = _forced_lots(crowd[i, side], price_usd[i, side], outside[i].perp_usd, side)
            leg[i, 1].net_lots += lots if side == CROWD_SHORTS else -lots
            traded += lots
    return traded


@inline_kernel
def _forced_lots(one: Record, price_usd: F64, perp_usd: float, side: int) -> int:
    """Return what one side of a crowd trades in a step, unsigned."""
    n_gone = int(one.n_gone)
    while n_gone < one.n_shares and _is_passed(perp_usd, float(price_usd[n_gone]), side):
        n_gone += 1
        one.due_lots += one.share_lots
    one.n_gone = n_gone
    due = int(one.due_lots)
    lots = min(due, int(float(due) * one.step_frac) + 1)
    one.due_lots -= lots
    one.done_lots += lots
    return lots


@inline_kernel
def _is_passed(perp_usd: float, price_usd: float, side: int) -> bool:
    return perp_usd <= price_usd if side == CROWD_LONGS else perp_usd >= price_usd
