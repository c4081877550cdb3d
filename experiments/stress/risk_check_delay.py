"""A venue that looks for breaches late."""

from __future__ import annotations

from stressbook.experiments.stress.base import Stress
from stressbook.experiments.stress.dials import Dials
from stressbook.market.rules.parameters import param

__all__ = ["RiskCheckDelay"]


class RiskCheckDelay(Stress):
    """Breaches are judged, and resolved, every so often only instead of at every mark update.

    Prices, valuation, admission, draws of debt and what the backstop sells go on. A delay of 60 s
    at full effect means: at the first mark update at or after each full minute of the run.

    Parameters
    ----------
    delay_s : float
        Time between two checks at severity 1; up to the period of the mark it changes nothing.

    Examples
    --------
    >>> late = RiskCheckDelay(delay_s="1min")
    >>> late.apply(Dials.neutral(("BTC", "HYPE")), 0.5).value("HYPE", "check_delay_s")
    30.0
    """

    delay_s: float = param(
        60.0, unit="s", help="time between two checks for breaches", low=0.0, high=3_600.0
    )

    def apply(self, dials: Dials, severity: float) -> Dials:
        """Lengthen the time between checks; see `Stress.apply`."""
        for asset in dials.assets:
            dials = dials.add(asset, check_delay_s=self.delay_s * severity)
        return dials
