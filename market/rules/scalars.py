"""Rules that are one number for the whole venue, by the concept they belong to.

The classes carry unit, meaning and allowed range of each number; the numbers themselves and their
sources come from a preset.
"""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from math import isfinite
from typing import Any

from stressbook.errors import Problem, nearest_name
from stressbook.market.rules.policies import (
    ALLOCATE_POLICIES,
    BACKSTOP_POLICIES,
    CANCEL_POLICIES,
    PRICE_POLICIES,
    RANK_SCORES,
    SELECT_POLICIES,
    SOCIALISE_POLICIES,
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
    "choice",
    "range_problems",
    "rule",
]


def rule(
    unit: str,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    default: Any = MISSING,
) -> Any:
    r"""Declare a number of a rule with its unit, meaning and allowed range.

    Parameters
    ----------
    unit : str
        "1" for a pure number, "switch" for a bool, else "USD", "ms", "1/h".
    text : str
        One line that says what the number does.
    low, high : float, optional
        Allowed range, both ends included; None leaves the side open.
    default : optional
        Makes the number one that may be left out.

    Returns
    -------
    dataclasses.Field
        To be used in a class body under `dataclasses.dataclass`.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Cap:
    ...     cap_usd: float = rule("USD", "largest debt", low=0.0)
    >>> [str(problem) for problem in range_problems(Cap(-1.0), place="caps")]
    ['caps.cap_usd = -1.0 is out of range.\n  allowed: 0.0 or more USD']
    """
    metadata = {"unit": unit, "help": text, "low": low, "high": high}
    return field(default=default, metadata=metadata)


def choice(text: str, choices: Mapping[str, int]) -> Any:
    r"""Declare a required rule that is one of several names.

    Parameters
    ----------
    text : str
        One line that says what is chosen.
    choices : mapping of str to int
        The names, and the codes that kernels know them by.

    Returns
    -------
    dataclasses.Field
        As from `rule`, its unit "name".

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Way:
    ...     allocate: str = choice("who bears it", {"rank": 0, "pro_rata": 1})
    >>> [problem] = range_problems(Way("prorata"), place="way")
    >>> problem.allowed, problem.hint
    ('rank, pro_rata', "did you mean 'pro_rata'?")
    """
    named = {"unit": "name", "help": f"{text}: {', '.join(choices)}", "low": None, "high": None}
    return field(metadata={**named, "choices": choices})


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
        "switch", "platform cap and pool bound credit too: to debt and what may still be borrowed"
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
    price: str = choice("at what price it loses them", PRICE_POLICIES)
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
    rank_score: str = choice("who comes first in its queue", RANK_SCORES)
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


def range_problems(rules: Any, *, place: str) -> Iterator[Problem]:
    """Yield what is wrong with each number of a rules object: kind, finiteness, range.

    Parameters
    ----------
    rules : dataclass instance
        Fields declared with `rule`; others are passed over.
    place : str
        Prefix of the names in the problems.

    Yields
    ------
    Problem
        In the order of the fields.

    Examples
    --------
    >>> list(range_problems(MarkRules(150_000, 30_000), place="mark"))
    []
    """
    for entry in fields(rules):
        if "unit" in entry.metadata:
            value = getattr(rules, entry.name)
            name = f"{place}.{entry.name}"
            if not _is_of_kind(value, entry):
                yield Problem("is of the wrong kind", name, value, f"{_kind(entry)}")
            elif value not in entry.metadata.get("choices", (value,)):
                yield _unknown_choice(name, value, entry.metadata["choices"])
            elif not _is_in_range(value, entry.metadata["low"], entry.metadata["high"]):
                yield Problem("is out of range", name, value, allowed_range(entry))


def allowed_range(entry: Field[Any]) -> str:
    """Return the range of a number in words, with its unit."""
    low, high, unit = (entry.metadata[key] for key in ("low", "high", "unit"))
    suffix = "" if unit in ("1", "switch") else f" {unit}"
    if high is None:
        return f"finite{suffix}" if low is None else f"{low} or more{suffix}"
    return f"{low} to {high}{suffix}"


def _unknown_choice(name: str, value: str, choices: Mapping[str, int]) -> Problem:
    nearest = nearest_name(value, list(choices))
    hint = f"did you mean {nearest!r}?" if nearest else ""
    return Problem("is unknown", name, value, ", ".join(choices), hint)


def _kind(entry: Field[Any]) -> str:
    return entry.type if isinstance(entry.type, str) else str(entry.type.__name__)


def _is_of_kind(value: object, entry: Field[Any]) -> bool:
    kinds = {"int": int, "float": float, "bool": bool, "str": str}
    return type(value) is kinds[_kind(entry)]


def _is_in_range(value: Any, low: float | None, high: float | None) -> bool:
    if isinstance(value, bool | str):
        return True
    if not isfinite(value) or abs(value) >= 2**62:
        return False
    return (low is None or value >= low) and (high is None or value <= high)
