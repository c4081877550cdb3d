"""A margin regime as validated data: its rules, and rows of what it scans, charges and weighs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from stressbook.errors import InvalidInput
from stressbook.market.declared import rule
from stressbook.market.regimes.rows import ChargeRow, ScanRow, SpreadRow, WeightRow
from stressbook.market.regimes.spec_checks import checked

__all__ = ["MarginRegime", "RegimeRules"]


@dataclass(frozen=True)
class RegimeRules:
    """What is one number or one choice for the whole regime; what is left out changes nothing."""

    collateral: str = rule("name", "none, loan_to_value of the venue, or weights of this regime")
    nets_orders: bool = rule("switch", "orders enter by their two corners, else each by its margin")
    trigger_ratio: float = rule(
        "1", "requirement over value above which a pocket is in breach", low=0.1, high=10.0
    )
    pockets: str = rule(
        "name", "account, or position: each perp has a pocket of its own", default="account"
    )
    uses_tiers: bool = rule(
        "switch", "perps are charged by the venue's margin tiers", default=False
    )
    tier_at_entry: bool = rule(
        "switch", "tiers hold for the notional at entry, else at the mark", default=False
    )
    leverage_counts: bool = rule(
        "switch", "initial margin is at least notional / leverage", default=False
    )
    initial_over_maintenance: float = rule(
        "1",
        "least initial requirement of a perp, over that of its tiers",
        low=0.0,
        high=100.0,
        default=0.0,
    )
    closing_fee_frac: float = rule(
        "1", "fee of closing inside maintenance", low=0.0, high=0.1, default=0.0
    )
    aggregation: str = rule(
        "name", "mix, groups or credits: how losses of units add up", default="mix"
    )
    offset_frac: float = rule(
        "1", "of losses of one unit against gains of others", low=0.0, high=1.0, default=0.0
    )
    initial_factor: float = rule(
        "1", "of the scanned requirement", low=0.0, high=100.0, default=1.0
    )
    maintenance_factor: float = rule(
        "1", "of the scanned requirement", low=0.0, high=100.0, default=1.0
    )
    constant_initial_usd: float = rule(
        "USD", "on top, of every pocket that must hold anything", low=0.0, default=0.0
    )
    constant_maintenance_usd: float = rule(
        "USD", "on top, of every pocket that must hold anything", low=0.0, default=0.0
    )
    rates_at_oracle: bool = rule(
        "switch", "gross rates are charged on the value at the oracle", default=False
    )
    debt_in_ratio: str = rule(
        "name", "none, at_maintenance or drawn: debt on both sides of the ratio", default="none"
    )
    margin_is_borrowed: bool = rule(
        "switch", "margin that USDC lacks is borrowed, else collateral covers it", default=False
    )
    falls_back: bool = rule(
        "switch", "without credit an account is judged by the ordinary regime", default=False
    )
    confidence_threshold: float = rule(
        "1", "of an oracle, below which its legs cost more", low=0.0, high=1.0, default=0.0
    )
    confidence_rate: float = rule(
        "1", "of value, at no confidence", low=0.0, high=10.0, default=0.0
    )
    volatility_time_s: float = rule(
        "s",
        "time constant of the volatility that ranges follow, 0: they are static",
        low=0.0,
        high=1e9,
        default=0.0,
    )
    apc_tool: str = rule(
        "name",
        "none, buffer, stressed_weight or floor: what keeps such ranges from rising at once",
        default="none",
    )
    buffer_frac: float = rule(
        "1", "buffer on top that a rise uses up first", low=0.0, high=10.0, default=0.25
    )
    stressed_weight_frac: float = rule(
        "1", "weight of stressed observations in the variance", low=0.0, high=1.0, default=0.25
    )
    stressed_multiple: float = rule(
        "1", "volatility of those over the long-run one", low=0.0, high=100.0, default=1.8
    )
    floor_multiple: float = rule(
        "1", "volatility of a long look-back over the long-run one", low=0.0, high=10.0, default=1.0
    )


@dataclass(frozen=True)
class MarginRegime:
    """A regime.

    Parameters
    ----------
    name, title, as_of : str
        For tables.
    rules : RegimeRules
        Choices.
    scans, charges, weights, spreads : tuple
        Rows; the first that names an asset holds for it.
    sources : mapping of str to str
        Source of each number by its place.
    """

    name: str
    title: str
    as_of: str
    rules: RegimeRules
    scans: tuple[ScanRow, ...] = ()
    charges: tuple[ChargeRow, ...] = ()
    weights: tuple[WeightRow, ...] = ()
    spreads: tuple[SpreadRow, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    def with_rules(self, **changes: Any) -> MarginRegime:
        """Return it with other choices or numbers.

        Raises
        ------
        InvalidInput
            With all problems.

        Examples
        --------
        >>> from stressbook.market.regimes import load_regime
        >>> load_regime("scan").with_rules(offset_frac=1.0).rules.offset_frac
        1.0
        """
        unknown = sorted(set(changes) - {entry.name for entry in fields(RegimeRules)})
        if unknown:
            known = ", ".join(entry.name for entry in fields(RegimeRules))
            raise InvalidInput("is unknown", name=unknown[0], allowed=known)
        return checked(replace(self, rules=replace(self.rules, **changes)))

    @property
    def is_scanned(self) -> bool:
        """Whether it has scenarios."""
        return bool(self.scans)
