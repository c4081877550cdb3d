"""Margin regimes: as data, as arrays, and the one kernel that evaluates them."""

from stressbook.market.regimes.reading import load_regime, read_regime, regime_names
from stressbook.market.regimes.spec import MarginRegime

__all__ = ["MarginRegime", "load_regime", "read_regime", "regime_names"]
