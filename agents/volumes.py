"""Daily volumes of the venue: what paces and sizes of the crowd are measured by."""

from __future__ import annotations

from typing import Final

SECONDS_PER_DAY: Final = 86_400.0
HOURS_PER_DAY: Final = 24.0
VOLUME_SOURCE: Final = "Hyperliquid hourly candles, mean of May to July 2025"

PERP_VOLUME_USD: Final = {"BTC": 3570e6, "ETH": 2240e6, "SOL": 730e6, "HYPE": 500e6}
SPOT_VOLUME_USD: Final = {"BTC": 37e6, "ETH": 26e6, "SOL": 15e6, "HYPE": 178e6}
