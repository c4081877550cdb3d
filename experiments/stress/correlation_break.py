"""An asset that stops moving with the others, or starts to move far more than they do."""

from __future__ import annotations

from stressbook.experiments.stress.base import Stress
from stressbook.experiments.stress.dials import Dials
from stressbook.market.compiling.arrays import F64
from stressbook.market.numbers.elementary import ln
from stressbook.market.rules.parameters import param

__all__ = ["CorrelationBreak"]


class CorrelationBreak(Stress):
    """Beta, residual and correlation of some assets change for a while.

    Hedges in another asset then miss, and books that a margin rule nets lose on both legs. A
    factor of beta below 1 decouples, above 1 converges: each hurts other books.

    Parameters
    ----------
    assets : sequence of str
        What breaks away; empty: all but the first, which is the market.
    beta_factor : float
        Multiplies the loading on the market factor at severity 1.
    residual_factor : float
        Multiplies the loadings on all other factors at severity 1.
    correlation_after : float, optional
        Correlation with every other asset at severity 1; not touched if left out. Where the
        whole matrix would not be valid, the last valid one on the way.
    residual_fall_frac : float
        Fall of these assets alone over the duration at severity 1; negative: a rally.

    Examples
    --------
    >>> broken = CorrelationBreak(assets=["HYPE"], beta_factor=0.0, residual_factor=3.0)
    >>> dials = broken.apply(Dials.neutral(("BTC", "HYPE")), 0.5)
    >>> dials.value("HYPE", "beta"), dials.value("HYPE", "residual"), dials.value("BTC", "beta")
    (0.5, 2.0, 1.0)
    """

    assets: tuple[str, ...] = param((), unit="asset", help="what breaks; empty: all but the first")
    beta_factor: float = param(
        0.25,
        unit="1",
        help="multiplies the loading on the market",
        source="HYPE on 2026-02-05: beta of .46 to BTC, against 1.84 before; Binance perps",
        low=-10.0,
        high=10.0,
    )
    residual_factor: float = param(
        2.0, unit="1", help="multiplies the loadings on the other factors", low=0.0, high=20.0
    )
    correlation_after: float | None = param(
        None,
        unit="1",
        help="correlation with the others; left out: not touched",
        low=-1.0,
        high=1.0,
    )
    residual_fall_frac: float = param(
        0.0, unit="1", help="fall of these assets alone; negative: a rally", low=-3.0, high=0.95
    )

    def apply(self, dials: Dials, severity: float) -> Dials:
        """Turn the dials of the assets that break; see `Stress.apply`."""
        drift = float(ln(1.0 - self.residual_fall_frac * severity)) / self.duration_s
        for asset in self._broken(dials.assets):
            dials = dials.scale(
                asset,
                beta=1.0 + (self.beta_factor - 1.0) * severity,
                residual=1.0 + (self.residual_factor - 1.0) * severity,
            ).add(asset, drift=drift)
        if self.correlation_after is None:
            return dials
        # The factors are triangular: assets after a broken one load on it and have to follow.
        for asset in dials.assets:
            dials = dials.add(asset, correlation=severity)
        return dials

    def correlation_target(self, correlation: F64, *, assets: tuple[str, ...]) -> F64:
        """Return the correlations at severity 1; see `Stress.correlation_target`."""
        if self.correlation_after is None:
            return correlation
        target = correlation.copy()
        for asset in self._broken(assets):
            index = assets.index(asset)
            target[index, :] = self.correlation_after
            target[:, index] = self.correlation_after
            target[index, index] = 1.0
        return target

    def _broken(self, assets: tuple[str, ...]) -> tuple[str, ...]:
        return self.assets or assets[1:]
