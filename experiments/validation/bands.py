"""Ranges that the market should lie in, from recorded markets; bounds of our own beside them."""

from __future__ import annotations

from math import inf
from typing import Final

from stressbook.experiments.validation.verdicts import Band

__all__ = [
    "BASIS_BAND",
    "BASIS_DAY",
    "BASIS_DAYS",
    "BASIS_HALFLIFE_BAND",
    "DEPTH_EXPONENT_BAND",
    "DEPTH_HUMP_BAND",
    "DRIFT_FRAC",
    "FLOOR_BAND",
    "FLOOR_DAY_DEVIATION",
    "FUNDING_BANDS",
    "HALFLIFE_DAY",
    "HALFLIFE_DAYS",
    "LIQUIDATED_BAND",
    "PROFIT_BAND",
    "SPOT_GAP_BP",
    "SPOT_GAP_SHARE",
    "SPREAD_BAND",
    "STATIONARY_FRAC",
    "TWO_SIDED_SHARE",
    "scaled",
]

_HYPERLIQUID: Final = "Hyperliquid closes and funding, 2024-01 to 2025-07 (docs/calibration.md)"

# Bounds of our own on calm days.
SPOT_GAP_BP: Final = {"BTC": 10.0, "ETH": 10.0, "HYPE": 25.0}  # of the venue's spot, from outside
SPOT_GAP_SHARE: Final = Band(0.95, 1.0, "own bound")
TWO_SIDED_SHARE: Final = Band(0.99, 1.0, "own bound")
PROFIT_BAND: Final = Band(-0.02, inf, "own bound")  # of equity, a day
LIQUIDATED_BAND: Final = Band(
    0.001,
    0.04,
    "1.89 % of shorts, 3.51 % of longs a day: Cheng et al., arXiv 2102.04591; own lower bound",
)
DRIFT_FRAC: Final = 0.02  # in the last hour
STATIONARY_FRAC: Final = 0.05  # first day against the last ten

# Windows of 24 h of 20 recorded days: mean +- 90 % over days, 5 to 95 % of days.
BASIS_DAY: Final = {
    "BTC": Band(2.5, 3.9, _HYPERLIQUID),
    "ETH": Band(2.8, 3.2, _HYPERLIQUID),
    "HYPE": Band(4.3, 4.9, _HYPERLIQUID),
}
BASIS_DAYS: Final = {
    "BTC": Band(2.0, 7.0, _HYPERLIQUID),
    "ETH": Band(2.4, 3.8, _HYPERLIQUID),
    "HYPE": Band(3.5, 6.4, _HYPERLIQUID),
}
HALFLIFE_DAY: Final = {
    "BTC": Band(11.0, 14.0, _HYPERLIQUID),
    "ETH": Band(4.0, 6.0, _HYPERLIQUID),
    "HYPE": Band(8.5, 12.0, _HYPERLIQUID),
}
HALFLIFE_DAYS: Final = {
    "BTC": Band(5.0, 65.0, _HYPERLIQUID),
    "ETH": Band(3.0, 12.0, _HYPERLIQUID),
    "HYPE": Band(7.0, 19.0, _HYPERLIQUID),
}

# Ranges measured on months.
BASIS_BAND: Final = Band(4.0, 8.0, _HYPERLIQUID)  # bp
BASIS_HALFLIFE_BAND: Final = Band(13.0, 48.0, _HYPERLIQUID)  # min
FLOOR_BAND: Final = Band(0.45, 0.60, _HYPERLIQUID)
FLOOR_DAY_DEVIATION: Final = Band(0.27, 0.34, _HYPERLIQUID)
FUNDING_BANDS: Final = {
    "negative share of hours": Band(0.03, 0.14, _HYPERLIQUID),
    "5 % of hours, yearly": Band(-0.17, 0.11, _HYPERLIQUID),
    "95 % of hours, yearly": Band(0.68, 1.62, _HYPERLIQUID),
    "99 % of hours, yearly": Band(1.06, 2.94, _HYPERLIQUID),
    "AR(1) of hours": Band(0.67, 0.91, _HYPERLIQUID),
    "half-life, h": Band(1.7, 7.4, _HYPERLIQUID),
    "autocorrelation at 24 h": Band(0.33, 0.63, _HYPERLIQUID),
}

# Books, judged on what the first taker of a step meets.
SPREAD_BAND: Final = {"BTC": Band(0.015, 0.15, "BTC perps, Binance .018, Hyperliquid .10 bp")}
DEPTH_EXPONENT_BAND: Final = Band(0.7, 1.2, "depth within 5 to 50 bp, Binance 2024-08, three books")
DEPTH_HUMP_BAND: Final = Band(
    3.0, 30.0, "largest density away from the touch: Bouchaud, Mezard and Potters, 2002"
)


def scaled(band: Band, factor: float) -> Band:
    """Return a range in another unit.

    Examples
    --------
    >>> scaled(Band(0.001, 0.04), 100.0).high
    4.0
    """
    return Band(band.low * factor, band.high * factor, band.source)
