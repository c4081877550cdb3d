"""A venue that stops: no order is taken or matched."""

from __future__ import annotations

from stressbook.errors import Problem
from stressbook.experiments.stress.base import Stress
from stressbook.experiments.stress.dials import Dials
from stressbook.market.rules.parameters import param

__all__ = ["VenueHalt"]


class VenueHalt(Stress):
    """Books take and match nothing but cancels, forced orders neither.

    A halt is there or not: the severity is the share of the duration that it lasts, from the
    onset on.

    Parameters
    ----------
    assets : sequence of str
        Whose books; empty: all.
    clock_runs : bool
        Whether the venue goes on with oracle, mark, funding, interest and breach checks. What
        falls due while its clock stands lapses.

    Examples
    --------
    >>> halt = VenueHalt(at="30min", duration="10min", severity=0.5)
    >>> [halt.shape(minutes / 10) for minutes in (1, 5, 6, 10)]
    [1.0, 1.0, 0.0, 0.0]
    >>> dials = halt.apply(Dials.neutral(("BTC",)), 0.5)
    >>> dials.value("BTC", "halt"), dials.value("BTC", "standstill")
    (1.0, 0.0)
    """

    assets: tuple[str, ...] = param((), unit="asset", help="whose books stop; empty: all")
    clock_runs: bool = param(
        True, unit="switch", help="prices, funding, interest and breach checks go on"
    )

    def problems(self) -> list[Problem]:
        """Tell that the clock is that of all assets; see `Stress.problems`."""
        if self.clock_runs or not self.assets:
            return []
        allowed = "empty where the clock stands: it is that of all assets"
        return [Problem("stops a part of the clock", "assets", list(self.assets), allowed)]

    def shape(self, progress: float) -> float:
        """Return 1 for the share of the duration that the severity says; see `Stress.shape`."""
        return 1.0 if progress <= self.severity else 0.0

    def apply(self, dials: Dials, severity: float) -> Dials:
        """Raise the dials of the halt; see `Stress.apply`."""
        if severity == 0.0:
            return dials
        for asset in self.assets or dials.assets:
            dials = dials.set(asset, halt=1.0)
            if not self.clock_runs:
                dials = dials.set(asset, standstill=1.0)
        return dials
