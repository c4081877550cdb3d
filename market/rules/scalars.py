"""Rules that are one number for the whole venue, by the concept they belong to.

The classes carry unit, meaning and allowed range of each number; the numbers themselves and their
sources come from a preset.
"""

from dataclasses import dataclass

from stressbook.market.declared import choice, rule
from stressbook.market.rules.policies import (
    ALLOCATE_POLICIES,
    BACKSTOP_POLICIES,
    CANCEL_POLICIES,
    PRICE_POLICIES,
    SCORE_POLICIES,
    SELECT_POLICIES,
    SOCIALISE_POLICIES,
    TAKER_POLICIES,
    VALUE_MAX_POLICIES,
)

__all__ = [
    "ClockRules",
    "FundingRules",
    "LatencyRules",
    "LendingRules",
    "LiquidationRules",
    "MarginRules",
    "MarkRules",
    "OrderRules",
]


@dataclass(frozen=True)
class ClockRules:
    """Periods of what the venue does by itself."""

    price_period_ms: int = rule("ms", "update of oracle and mark", low=1)
    premium_period_ms: int = rule("ms", "sample of the funding premium", low=1)
    # Caps and rates are those of an hour: another period would need other ones.
    funding_period_ms: int = rule(
        "ms", "booking of funding and interest", low=3_600_000, high=3_600_000
    )


@dataclass(frozen=True)
class MarkRules:
    """Averages inside the mark price."""

    mark_ema_ms: int = rule("ms", "time constant of mid - oracle", low=1)
    last_ema_ms: int = rule("ms", "time constant of the stand-in for a missing input", low=1)


@dataclass(frozen=True)
class FundingRules:
    """Funding of perps."""

    cap_frac: float = rule("1/h", "largest absolute rate", low=0.0, high=1.0)
    interest_frac: float = rule("1/8h", "interest part of the rate", low=-0.01, high=0.01)
    clamp_frac: float = rule("1/8h", "bound of interest - premium", low=0.0, high=0.1)
    static_frac: float = rule("1/8h", "always added to the rate", low=-0.01, high=0.01)


@dataclass(frozen=True)
class MarginRules:
    """Portfolio margin beyond tiers and loan-to-value."""

    trigger_ratio: float = rule("1", "ratio above which an account is in breach", low=0.1, high=1.0)
    notional_floor_frac: float = rule(
        "1", "least initial requirement of transfers and borrowing, of notional", low=0.0, high=1.0
    )
    order_margin_buffer_frac: float = rule("1", "surcharge on the margin of orders", low=0.0)
    user_cap_in_credit: bool = rule("switch", "user caps bound capacity and credit of collateral")
    borrowable_in_credit: bool = rule(
        "switch",
        "protects up to what is owed and may be borrowed by user cap, platform cap and pool",
    )
    min_borrow_offset_on: bool = rule("switch", "the offset counts in the ratio")
    min_borrow_offset_usd: float = rule("USD", "offset in the requirement", low=0.0)
    eligible_volume_usd: float = rule("USD", "weighted 14-day volume that admits", low=0.0)
    eligible_value_usd: float = rule("USD", "account value that admits instead", low=0.0)
    account_value_max_usd: float = rule("USD", "account value beyond which none enrols", low=0.0)
    value_max_later: str = choice(
        "what becomes of an enrolled account that grows beyond it", VALUE_MAX_POLICIES
    )
    volume_perp_weight: float = rule("1", "of perps in the weighted volume", low=0.0, high=100.0)
    volume_spot_weight: float = rule("1", "of tokens in the weighted volume", low=0.0, high=100.0)
    volume_lookback_days: float = rule("day", "mean life of traded volume", low=1.0, high=365.0)


@dataclass(frozen=True)
class LendingRules:
    """Interest of the reserves."""

    interest_is_simple: bool = rule("switch", "APY / 8760 an hour, else (1 + APY)^(1 / 8760) - 1")
    retained_frac: float = rule("1", "share of interest that the protocol keeps", low=0.0, high=1.0)


@dataclass(frozen=True)
class LiquidationRules:
    """What happens on breach."""

    resolution_on: bool = rule("switch", "breaches are resolved, else only recorded")
    forced_slippage_frac: float = rule(
        "1", "limit of forced orders from the mark", low=0.0, high=1.0
    )
    backstop: str = choice("who takes over below the threshold", BACKSTOP_POLICIES)
    adl_on: bool = rule("switch", "equity below zero is deleveraged")
    backstop_mm_frac: float = rule("1", "takeover threshold, of maintenance", low=0.0, high=1.0)
    backstop_capital_usd: float = rule("USD", "capital of the backstop at the opening", low=0.0)
    liquidation_fee_frac: float = rule(
        "1", "largest fee of a forced fill to an insurance fund, of notional", low=0.0, high=0.1
    )
    partial_notional_usd: float = rule("USD", "larger positions are sold in parts", low=0.0)
    partial_frac: float = rule("1", "first part of a larger position", low=1e-6, high=1.0)
    cooldown_ms: int = rule("ms", "whole orders only, after a part", low=0)
    twap_halflife_ms: int = rule("ms", "sale of what was taken over", low=1)
    slice_frac: float = rule("1", "part of the debt taken at a time", low=1e-6, high=1.0)
    slice_at_partial_threshold: bool = rule(
        "switch", "slices start at the partial threshold, else at the trigger ratio"
    )
    slice_of_remaining: bool = rule("switch", "a slice is a part of what is left to take")
    slice_full_discount: bool = rule("switch", "slices of any size pay the full discount")
    select: str = choice("which perps a breached account loses, and how much", SELECT_POLICIES)
    share_step_frac: float = rule("1", "step of the share of all perps", low=0.01, high=1.0)
    target_ratio: float = rule("1", "ratio that shares and sizes aim below", low=0.1, high=1.0)
    taker: str = choice("to whom it loses them", TAKER_POLICIES)
    price: str = choice("at what limit the book is asked for them", PRICE_POLICIES)
    fillable_adjustment: float = rule(
        "1", "how fast a fillable limit widens below maintenance", low=0.0, high=100.0
    )
    fillable_spread_frac: float = rule(
        "1", "widest fillable limit from the mark, of maintenance", low=0.0, high=10.0
    )
    penalty_frac: float = rule(
        "1", "penalty of a hand-over at the mark, of the maintenance set free", low=0.0, high=1.0
    )
    auction_start_frac: float = rule("1", "first price of an auction", low=0.0, high=1.0)
    auction_cutoff_frac: float = rule("1", "its last price", low=0.0, high=1.0)
    auction_period_ms: int = rule("ms", "from the first price to the last", low=1)
    auction_insolvent_period_ms: int = rule(
        "ms", "rise of the payout for an account below zero", low=1
    )
    auction_buffer_frac: float = rule(
        "1", "buffer that an auction restores, of the requirement", low=0.0, high=10.0
    )
    auction_reserve_frac: float = rule(
        "1", "discount, or part of the payout, that the backstop waits for", low=0.0, high=1.0
    )
    allocate: str = choice("who bears what an account below zero leaves", ALLOCATE_POLICIES)
    score: str = choice("who comes first in its queue", SCORE_POLICIES)
    socialise: str = choice("who shares a deficit before the treasury pays", SOCIALISE_POLICIES)


@dataclass(frozen=True)
class OrderRules:
    """Orders on their way to the book."""

    admission_on: bool = rule("switch", "orders need initial margin")
    cancel_below_initial: str = choice(
        "which resting orders an account below initial margin loses", CANCEL_POLICIES
    )
    price_band_frac: float = rule(
        "1", "farthest an order may rest from the oracle; 0 is any distance", low=0.0
    )
    order_min_usd: float = rule("USD", "least value of an order at its limit; 0 is any", low=0.0)
    limit_order_max_factor: float = rule(
        "1", "largest value of an order that may rest, over that of a market order", low=1.0
    )
    cap_rest_band_frac: float = rule(
        "1",
        "farthest an order may rest from the oracle in a perp at its cap",
        low=0.0,
    )
    trigger_slippage_frac: float = rule(
        "1", "limit of a triggered market order from its trigger", low=0.0, high=1.0
    )
    class_delay_ms: int = rule("ms", "wait of orders that may take", low=0)
    sample_max_spread_on: bool = rule("switch", "a wide book does not count as two-sided")


@dataclass(frozen=True)
class LatencyRules:
    """Time from an agent's decision to the venue, lognormal over accounts."""

    median_ms: float = rule("ms", "median over accounts", low=0.001)
    p99_ms: float = rule("ms", "99th percentile over accounts", low=0.001)
    jitter_frac: float = rule("1", "uniform deviation of a message", low=0.0, high=1.0)
