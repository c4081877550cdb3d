"""A fall or a rally that comes from outside."""

from __future__ import annotations

from stressbook.experiments.stress.base import Stress
from stressbook.experiments.stress.dials import Dials
from stressbook.market.numbers.elementary import ln
from stressbook.market.rules.parameters import param

__all__ = ["PriceGap"]


class PriceGap(Stress):
    """The fundamental of some assets falls or rallies over the duration.

    The move comes on top of what the law of the world draws; it stays.

    Parameters
    ----------
    assets : sequence of str
        Empty: all.
    fall_frac : float
        Fall of the price over the whole duration at severity 1; negative: a rally.

    Examples
    --------
    >>> gap = PriceGap(at="10min", duration="10min", assets=["HYPE"], fall_frac=0.2)
    >>> dials = gap.apply(Dials.neutral(("BTC", "HYPE")), 1.0)
    >>> dials.value("BTC", "drift"), round(dials.value("HYPE", "drift") * 600.0, 6)
    (0.0, -0.223144)
    """

    assets: tuple[str, ...] = param((), unit="asset", help="what moves; empty: all")
    fall_frac: float = param(
        0.132,
        unit="1",
        help="fall of the price over the duration; negative: a rally",
        source="BTC, 2025-10-10, 20:45 to the low: Binance perps, one-minute bars",
        low=-3.0,
        high=0.95,
    )

    def apply(self, dials: Dials, severity: float) -> Dials:
        """Add the drift that makes the move; see `Stress.apply`."""
        drift = float(ln(1.0 - self.fall_frac * severity)) / self.duration_s
        for asset in self.assets or dials.assets:
            dials = dials.add(asset, drift=drift)
        return dials
