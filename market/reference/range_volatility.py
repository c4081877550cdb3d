"""Ranges that follow volatility again, as the rules read: one underlying under one regime."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stressbook.market.numbers.elementary import exp, ln
from stressbook.market.regimes.spec import RegimeRules

__all__ = ["FollowedRange"]


@dataclass
class FollowedRange:
    """Realised volatility of an underlying, and what losses in the scan count for it.

    Examples
    --------
    >>> from stressbook.market.regimes import load_regime
    >>> rules = load_regime("scan").with_rules(volatility_time_s=3_600.0).rules
    >>> one = FollowedRange(0.024, 0.024**2)
    >>> one.follow(rules, 100.0, 100.0, period_s=3_600.0)
    >>> round(one.multiple, 4)  # a quiet hour leaves exp(-1) of the variance
    0.6065
    """

    long_run_daily_volatility: float
    daily_variance: float
    multiple: float = 1.0

    def follow(
        self, rules: RegimeRules, previous_usd: float, oracle_usd: float, *, period_s: float
    ) -> None:
        """Take an oracle update in; static regimes, and prices that are none, change nothing."""
        is_priced = previous_usd > 0.0 and oracle_usd > 0.0
        if rules.volatility_time_s == 0.0 or not (self.long_run_daily_volatility > 0.0):
            return
        if not is_priced:
            return
        decay = exp(-period_s / rules.volatility_time_s)
        log_return = ln(oracle_usd / previous_usd)
        now = log_return * log_return * (86_400.0 / period_s)
        self.daily_variance = decay * self.daily_variance + (1.0 - decay) * now
        ratio = math.sqrt(self.daily_variance) / self.long_run_daily_volatility
        self.multiple = self._tempered(rules, ratio)

    def _tempered(self, rules: RegimeRules, ratio: float) -> float:
        if rules.apc_tool == "buffer":
            full = (1.0 + rules.buffer_frac) * ratio
            # What was charged is kept as long as it lies between no buffer and a full one.
            return min(max(self.multiple, ratio), full)
        if rules.apc_tool == "stressed_weight":
            weight = rules.stressed_weight_frac
            mixed = (1.0 - weight) * (ratio * ratio)
            return math.sqrt(mixed + weight * (rules.stressed_multiple * rules.stressed_multiple))
        if rules.apc_tool == "floor":
            return max(ratio, rules.floor_multiple)
        return ratio
