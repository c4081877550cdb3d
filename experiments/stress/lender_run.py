"""Lenders that ask their money back, all at once."""

from __future__ import annotations

from stressbook.experiments.stress.base import Stress
from stressbook.experiments.stress.dials import Dials
from stressbook.market.rules.parameters import param

__all__ = ["LenderRun"]


class LenderRun(Stress):
    """Lenders of USDC leave with a hazard on top of their own, as far as the pool goes.

    Who is late finds the pool lent out and waits. The run needs lenders: without the class `lender`
    it changes nothing.

    Parameters
    ----------
    run_per_hour : float
        Hazard of leaving at severity 1.

    Examples
    --------
    >>> run = LenderRun(run_per_hour=2.0, duration="30min")
    >>> run.apply(Dials.neutral(("BTC", "HYPE")), 0.5).value("BTC", "lender_run")
    1.0
    """

    run_per_hour: float = param(
        1.0,
        unit="1/h",
        help="hazard of leaving; at 1 of lenders 63 % in an hour",
        low=0.0,
        high=60.0,
    )

    def apply(self, dials: Dials, severity: float) -> Dials:
        """Raise the hazard; see `Stress.apply`."""
        for asset in dials.assets:
            dials = dials.add(asset, lender_run=self.run_per_hour * severity)
        return dials
