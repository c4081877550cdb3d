"""A fall or a rally that comes from outside."""

from __future__ import annotations

from typing import ClassVar, Final

from stressbook.errors import Problem
from stressbook.experiments.stress.base import Stress
from stressbook.experiments.stress.dials import Dials
from stressbook.experiments.stress.fall_periods import WINDOWS_MIN, fall_period, has_fall_tail
from stressbook.experiments.words import duration
from stressbook.market.numbers.elementary import ln
from stressbook.market.rules.parameters import param

__all__ = ["PriceGap"]

MOST_FALL: Final = 0.95


class PriceGap(Stress):
    """The fundamental of some assets falls or rallies over the duration.

    The move comes on top of what the law of the world draws; it stays.

    Parameters
    ----------
    severity : float
        Multiplies the fall; above 1, up to 3, for falls within an hour of assets whose tail of
        falls has been fitted.
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

    tail: ClassVar[str] = "falls within 10, 30 and 60 min, by asset"

    severity: float = param(
        1.0,
        unit="1",
        help="multiplies the fall: 0 changes nothing; above 1 where a tail of falls is fitted",
        low=0.0,
        high=3.0,
    )

    assets: tuple[str, ...] = param((), unit="asset", help="what moves; empty: all")
    fall_frac: float = param(
        0.132,
        unit="1",
        help="fall of the price over the duration; negative: a rally",
        source="BTC, 2025-10-10, 20:45 to the low: Binance perps, one-minute bars",
        low=-3.0,
        high=MOST_FALL,
    )

    def problems(self) -> list[Problem]:
        """Tell which severities above 1 no tail speaks of; see `Stress.problems`."""
        if self.severity <= 1.0:
            return []
        fall = self.fall_frac * self.severity
        if self.fall_frac < 0.0:
            reason, allowed = "is above 1 of a rally, of which no tail is fitted", "0.0 to 1.0"
        elif fall > MOST_FALL:
            reason = f"takes the fall to {100.0 * fall:.4g} %"
            allowed = f"0.0 to {MOST_FALL / self.fall_frac:.4g}: a fall of 95 % at most"
        elif self.duration_s > 60.0 * WINDOWS_MIN[-1]:
            reason = f"is above 1 over {duration(self.duration_s)}, of which no tail is fitted"
            allowed = f"0.0 to 1.0; above it falls within {WINDOWS_MIN[-1]} min"
        else:
            return []
        return [Problem(reason, "severity", self.severity, allowed)]

    def problems_among(self, assets: tuple[str, ...]) -> list[Problem]:
        """Tell of assets without a fitted tail; see `Stress.problems_among`."""
        without = [name for name in self.assets or assets if not has_fall_tail(name)]
        if self.severity <= 1.0 or not without:
            return []
        reason = f"is above 1, and no tail of falls of {', '.join(without)} is fitted"
        return [Problem(reason, "severity", self.severity, "0.0 to 1.0")]

    def note(self, assets: tuple[str, ...]) -> str:
        """Return size and return period of a severity above 1; see `Stress.note`."""
        if self.severity <= 1.0:
            return ""
        fall = self.fall_frac * self.severity
        how = f"severity {self.severity:g}: a fall of {100.0 * fall:.3g} %"
        periods = [fall_period(name, fall, self.duration_s) for name in self.assets or assets]
        return f"{how} in {duration(self.duration_s)}; {'; '.join(periods)}; extrapolated"

    def apply(self, dials: Dials, severity: float) -> Dials:
        """Add the drift that makes the move; see `Stress.apply`."""
        drift = float(ln(1.0 - self.fall_frac * severity)) / self.duration_s
        for asset in self.assets or dials.assets:
            dials = dials.add(asset, drift=drift)
        return dials
