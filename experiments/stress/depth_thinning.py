"""Books that thin out: makers' size here, depth outside, or both."""

from __future__ import annotations

from typing import Final, Literal

from stressbook.experiments.stress.base import Stress
from stressbook.experiments.stress.dials import Dials
from stressbook.market.rules.parameters import param

__all__ = ["DepthThinning"]

_DIALS_OF: Final = {
    "venue": ("venue_depth",),
    "outside": ("outside_depth",),
    "both": ("venue_depth", "outside_depth"),
}


class DepthThinning(Stress):
    """Makers of the venue quote less, and the outside moves more under the same flow.

    Parameters
    ----------
    assets : sequence of str
        Empty: all.
    where : {"both", "venue", "outside"}
        Whose depth is cut.
    cut_frac : float
        Share of the depth that is gone at severity 1.

    Examples
    --------
    >>> thinning = DepthThinning(where="venue", cut_frac=0.9)
    >>> dials = thinning.apply(Dials.neutral(("BTC",)), 0.5)
    >>> dials.value("BTC", "venue_depth"), dials.value("BTC", "outside_depth")
    (0.55, 1.0)
    """

    assets: tuple[str, ...] = param((), unit="asset", help="whose books; empty: all")
    where: Literal["both", "venue", "outside"] = param(
        "both", unit="name", help="whose depth is cut"
    )
    cut_frac: float = param(
        0.9,
        unit="1",
        help="share of the depth that is gone",
        source="top of books on 2025-10-10: over 90 %, 98 % at worst: Kaiko, 2025-10",
        low=0.0,
        high=0.99,
    )

    def apply(self, dials: Dials, severity: float) -> Dials:
        """Scale the depth of the named sides; see `Stress.apply`."""
        left = 1.0 - self.cut_frac * severity
        for asset in self.assets or dials.assets:
            dials = dials.scale(asset, **dict.fromkeys(_DIALS_OF[self.where], left))
        return dials
