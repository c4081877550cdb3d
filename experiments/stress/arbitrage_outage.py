"""Arbitrageurs that are cut off from one of their two sides."""

from __future__ import annotations

from stressbook.experiments.stress.base import Stress
from stressbook.experiments.stress.dials import Dials
from stressbook.market.rules.parameters import param

__all__ = ["ArbitrageOutage"]


class ArbitrageOutage(Stress):
    """Arbitrageurs between the venue and the outside have a part of their capacity only.

    Parameters
    ----------
    assets : sequence of str
        Empty: all.
    left_frac : float
        Share of the capacity that is left at severity 1.

    Examples
    --------
    >>> outage = ArbitrageOutage(left_frac=0.2)
    >>> outage.apply(Dials.neutral(("BTC",)), 0.5).value("BTC", "arbitrage"), outage.duration_s
    (0.6, 1980.0)
    """

    duration: float | str = param(
        1_980.0,
        unit="s",
        help="how long it lasts",
        source="33 min on 2025-10-10, 21:18-21:51: transfers of Binance degraded; its statements",
        low=0.001,
    )
    assets: tuple[str, ...] = param((), unit="asset", help="whose arbitrageurs; empty: all")
    left_frac: float = param(
        0.2, unit="1", help="share of the capacity that is left", low=0.0, high=1.0
    )

    def apply(self, dials: Dials, severity: float) -> Dials:
        """Scale the capacity; see `Stress.apply`."""
        left = 1.0 - (1.0 - self.left_frac) * severity
        for asset in self.assets or dials.assets:
            dials = dials.scale(asset, arbitrage=left)
        return dials
