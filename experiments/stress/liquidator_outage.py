"""A liquidator that is out, while the market goes on."""

from __future__ import annotations

from stressbook.experiments.stress.base import Stress
from stressbook.experiments.stress.dials import Dials

__all__ = ["LiquidatorOutage"]


class LiquidatorOutage(Stress):
    """No forced order, takeover, slice or deleveraging; breaches are recorded, trading goes on.

    What the backstop has taken over is not sold either. At the first mark update after the outage
    everything that has piled up is resolved at once. An outage is there or not: the severity is the
    share of the duration that it lasts, from the onset on.

    Examples
    --------
    >>> outage = LiquidatorOutage(duration="10min", severity=0.5)
    >>> [outage.shape(minutes / 10) for minutes in (1, 5, 6)]
    [1.0, 1.0, 0.0]
    >>> outage.apply(Dials.neutral(("BTC",)), 0.5).value("BTC", "liquidator_out")
    1.0
    """

    def shape(self, progress: float) -> float:
        """Return 1 for the share of the duration that the severity says; see `Stress.shape`."""
        return 1.0 if progress <= self.severity else 0.0

    def apply(self, dials: Dials, severity: float) -> Dials:
        """Raise the dial of the outage; see `Stress.apply`."""
        if severity == 0.0:
            return dials
        for asset in dials.assets:
            dials = dials.set(asset, liquidator_out=1.0)
        return dials
