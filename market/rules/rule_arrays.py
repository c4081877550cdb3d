"""The rules of a venue as records: what kernels read instead of the specification."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

import numpy as np

from stressbook.market.compiling.arrays import Records
from stressbook.market.numbers.elementary import exp, ln
from stressbook.market.numbers.units import MICRO, PRICE_ONE
from stressbook.market.regimes.building import Leg, margin_tables
from stressbook.market.regimes.rows import row_for
from stressbook.market.regimes.tables import scratch_of
from stressbook.market.rules.listing import ORACLE_MODES, AssetSpec, TokenSpec
from stressbook.market.rules.policies import VALUE_MAX_POLICIES
from stressbook.market.rules.scalars import LiquidationRules, OrderRules
from stressbook.market.rules.spec import VenueSpec
from stressbook.market.state import records as state
from stressbook.market.state.codes import PERP, SPOT

__all__ = ["maintenance_table", "rule_arrays"]

# Numbers of the policies that are there for comparison.
_COMPARED: Final = (
    "share_step_frac",
    "target_ratio",
    "fillable_adjustment",
    "fillable_spread_frac",
    "penalty_frac",
    "auction_start_frac",
    "auction_cutoff_frac",
    "auction_period_ms",
    "auction_insolvent_period_ms",
    "auction_buffer_frac",
    "auction_reserve_frac",
    "liquidation_fee_frac",
)
_E6: Final = 1_000_000
_E7: Final = 10_000_000


def rule_arrays(spec: VenueSpec) -> dict[str, Records]:
    """Return the rule arrays of a state by the name of their field.

    Parameters
    ----------
    spec : VenueSpec
        With ticks fixed.

    Returns
    -------
    dict
        `par` (1,), `inst` (n_insts,), `asset` (n_assets,), `tier` (n_assets, MAX_TIERS),
        `token_spec` (n_tokens,), `fee_tier` (n_fee_tiers,). Of `par` only the rules are written.

    Examples
    --------
    >>> from stressbook.market.rules.spec import load_preset
    >>> arrays = rule_arrays(load_preset("hyperliquid"))
    >>> arrays["inst"][0].k, arrays["tier"][0, 1].deduction_usd
    (np.int64(10), np.float64(1875000.0))
    """
    return {
        "par": _par(spec),
        "inst": _instruments(spec),
        "asset": _assets(spec),
        "tier": np.stack([_tiers(asset) for asset in spec.assets]),
        "token_spec": _tokens(spec),
        "fee_tier": _fee_tiers(spec),
        **_regimes(spec),
    }


def maintenance_table(tiers: Sequence[tuple[float, float]]) -> list[tuple[float, float, float]]:
    """Return lower bound, maintenance rate and deduction of each margin tier.

    Parameters
    ----------
    tiers : sequence of (float, float)
        Lower notional in USD, from 0 rising, and maximum leverage.

    Returns
    -------
    list of (float, float, float)
        USD, fraction, USD. Maintenance of a notional is `notional x rate - deduction`, the
        deductions making it continuous. Source: Hyperliquid docs, margin tiers, 2026-04-24.

    Examples
    --------
    >>> maintenance_table([(0.0, 40), (150e6, 20)])
    [(0.0, 0.0125, 0.0), (150000000.0, 0.025, 1875000.0)]
    """
    table: list[tuple[float, float, float]] = []
    rate = deduction = 0.0
    for lower_usd, max_leverage in tiers:
        former, rate = rate, 1.0 / (2.0 * float(max_leverage))
        deduction += lower_usd * (rate - former)
        table.append((lower_usd, rate, deduction))
    return table


def _write(record: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(record, name, value)


def _par(spec: VenueSpec) -> Records:
    par = np.zeros(1, state.VENUE_PARAMS)
    liquidation, margin = spec.liquidation, spec.margin
    values = {
        **{name: getattr(spec.clock, name) for name in spec.clock.__dataclass_fields__},
        **{name: getattr(spec.mark, name) for name in spec.mark.__dataclass_fields__},
        **{f"funding_{k}": getattr(spec.funding, k) for k in spec.funding.__dataclass_fields__},
        "n_insts": len(spec.instruments),
        "n_assets": len(spec.assets),
        "n_tokens": len(spec.tokens),
        "class_delay_us": spec.orders.class_delay_ms * 1000,
        "admission_on": spec.orders.admission_on,
        "order_min_micro": round(spec.orders.order_min_usd * MICRO),
        "cap_rest_band_frac_e6": round(spec.orders.cap_rest_band_frac * _E6),
        "price_band_frac_e6": round(spec.orders.price_band_frac * _E6),
        "trigger_slippage_frac": spec.orders.trigger_slippage_frac,
        "sample_max_spread_on": spec.orders.sample_max_spread_on,
        "resolution_on": liquidation.resolution_on,
        "adl_on": liquidation.adl_on,
        "backstop_mm_frac": liquidation.backstop_mm_frac,
        "partial_notional_micro": round(liquidation.partial_notional_usd * MICRO),
        "partial_frac_e6": round(liquidation.partial_frac * _E6),
        "cooldown_ms": liquidation.cooldown_ms,
        "forced_slippage_frac": liquidation.forced_slippage_frac,
        "twap_step_frac": _twap_step_frac(spec),
        "slice_frac_e6": round(liquidation.slice_frac * _E6),
        "slice_at_partial_threshold": liquidation.slice_at_partial_threshold,
        "slice_of_remaining": liquidation.slice_of_remaining,
        "slice_full_discount": liquidation.slice_full_discount,
        **_policies(liquidation),
        **_policies(spec.orders),
        **{name: getattr(liquidation, name) for name in _COMPARED},
        "pm_trigger_ratio": margin.trigger_ratio
        if spec.regime.collateral == "loan_to_value"
        else spec.regime.trigger_ratio,
        # Caps are those of the venue's own collateral; a regime with weights knows none.
        "user_cap_in_credit": margin.user_cap_in_credit
        and spec.regime.collateral == "loan_to_value",
        "min_borrow_offset_on": margin.min_borrow_offset_on,
        "min_borrow_offset_usd": margin.min_borrow_offset_usd,
        "order_margin_buffer_frac": margin.order_margin_buffer_frac,
        "notional_floor_frac": margin.notional_floor_frac,
        "eligible_volume_micro": round(margin.eligible_volume_usd * MICRO),
        "eligible_value_micro": round(margin.eligible_value_usd * MICRO),
        "account_value_max_micro": round(margin.account_value_max_usd * MICRO),
        "value_max_later_policy": VALUE_MAX_POLICIES[margin.value_max_later],
        "volume_perp_weight_e6": round(margin.volume_perp_weight * _E6),
        "volume_spot_weight_e6": round(margin.volume_spot_weight * _E6),
        "volume_forget_e9": round(1e9 / margin.volume_lookback_days),
        "borrowable_in_credit": margin.borrowable_in_credit
        and spec.regime.collateral == "loan_to_value",
        "interest_is_simple": spec.lending.interest_is_simple,
        "retained_frac_e6": round(spec.lending.retained_frac * _E6),
        "latency_median_ms": spec.latency.median_ms,
        "latency_jitter_frac": spec.latency.jitter_frac,
    }
    _write(par[0], values)
    return par


def _policies(rules: LiquidationRules | OrderRules) -> dict[str, int]:
    """Return the code of each policy that rules choose by name."""
    choices = {entry.name: entry.metadata.get("choices") for entry in fields(rules)}
    return {
        f"{name}_policy": codes[getattr(rules, name)]
        for name, codes in choices.items()
        if codes is not None
    }


def _twap_step_frac(spec: VenueSpec) -> float:
    halvings = spec.clock.price_period_ms / spec.liquidation.twap_halflife_ms
    return 1.0 - exp(-halvings * ln(2.0))


def _index(spec: VenueSpec, table: str, **wanted: str) -> int:
    """Return the index of the entry with the wanted attributes, -1 if there is none."""
    for index, entry in enumerate(getattr(spec, table)):
        if all(getattr(entry, name) == value for name, value in wanted.items()):
            return index
    return -1


def _instruments(spec: VenueSpec) -> Records:
    records = np.zeros(len(spec.instruments), state.INSTRUMENT)
    for record, entry in zip(records, spec.instruments, strict=True):
        is_spot = entry.kind == "spot"
        token = _index(spec, "tokens", asset=entry.asset) if is_spot else -1
        most_usd = spec.market_order_max_usd(entry)
        values = {
            "kind": SPOT if is_spot else PERP,
            "asset": _index(spec, "assets", name=entry.asset),
            "token": token,
            "k": entry.micro_per_lot_tick,
            "tick_e8": entry.tick_e8,
            "tick_usd": entry.tick_e8 / PRICE_ONE,
            "mark_den": entry.mark_den,
            "lot_size": entry.lot_size,
            "lot_units": spec.tokens[token].unit // 10**entry.sz_decimals if is_spot else 0,
            "max_position_lots": spec.max_position_lots(entry),
            "impact_notional_micro": round(entry.impact_notional_usd * MICRO),
            "market_order_max_micro": round(most_usd * MICRO),
            "limit_order_max_micro": round(most_usd * spec.orders.limit_order_max_factor * MICRO),
            "two_sided_max_spread_frac": entry.two_sided_max_spread_frac,
            "open_interest_cap_usd": entry.open_interest_cap_usd,
        }
        _write(record, values)
    return records


def _assets(spec: VenueSpec) -> Records:
    records = np.zeros(len(spec.assets), state.ASSET)
    for record, asset in zip(records, spec.assets, strict=True):
        values = {
            "perp_inst": _index(spec, "instruments", kind="perp", asset=asset.name),
            "spot_inst": _index(spec, "instruments", kind="spot", asset=asset.name),
            "token": _index(spec, "tokens", asset=asset.name),
            "n_tiers": len(asset.tiers),
            "max_leverage": asset.tiers[0].max_leverage if asset.tiers else 1,
            "oracle_mode": ORACLE_MODES[asset.oracle_mode],
            "oracle_venue_weight": asset.oracle_venue_weight,
        }
        _write(record, values)
    return records


def _tiers(asset: AssetSpec) -> Records:
    records = np.zeros(state.MAX_TIERS, state.TIER)
    table = maintenance_table([(tier.lower_usd, tier.max_leverage) for tier in asset.tiers])
    for record, (lower_usd, rate, deduction_usd) in zip(records, table, strict=False):
        values = {
            "lower_usd": lower_usd,
            "maintenance_rate": rate,
            "deduction_usd": deduction_usd,
        }
        _write(record, values)
    return records


def _tokens(spec: VenueSpec) -> Records:
    records = np.zeros(len(spec.tokens), state.TOKEN)
    for record, token in zip(records, spec.tokens, strict=True):
        caps = ("user_supply_cap", "user_borrow_cap", "platform_supply_cap", "platform_borrow_cap")
        curve = ("rate_base", "rate_low_slope", "rate_slope", "kink_utilisation")
        numbers = ("ltv", "slice_width_usd", *curve)
        values = {
            "asset": _index(spec, "assets", name=token.asset),
            "unit": token.unit,
            "borrowable": token.borrowable,
            **{name: round(getattr(token, name) * token.unit) for name in caps},
            **{name: getattr(token, name) for name in numbers},
            "credit_weight": _credit_weight(spec, token),
        }
        _write(record, values)
    return records


def _credit_weight(spec: VenueSpec, token: TokenSpec) -> float:
    if spec.regime.collateral != "weights":
        return (1.0 + token.ltv) * 0.5
    weight = row_for(spec.regime_rows.weights, token.name, "tokens")
    return 0.0 if weight is None else float(weight.asset_maintenance)


def _regimes(spec: VenueSpec) -> dict[str, Any]:
    """Return the tables of both regimes, and scratch for one pocket."""
    tiers = {asset.name: (row, len(asset.tiers)) for row, asset in enumerate(spec.assets)}
    legs = [
        Leg(entry.asset, tier_row=tiers[entry.asset][0], n_tiers=tiers[entry.asset][1])
        for entry in spec.instruments
    ]
    legs += [Leg(token.asset, token.name) for token in spec.tokens]
    assets = [asset.name for asset in spec.assets]
    tables = margin_tables([spec.ordinary, spec.enrolled], assets, legs)
    scratch = scratch_of(tables)
    return {
        **tables._asdict(),
        "pocket": scratch.pocket,
        "unit_scratch": scratch.unit,
        "loss_sums": scratch.loss_sums,
    }


def _fee_tiers(spec: VenueSpec) -> Records:
    records = np.zeros(len(spec.fee_tiers), state.FEE_TIER)
    rates = ("perp_taker", "perp_maker", "spot_taker", "spot_maker")
    for record, tier in zip(records, spec.fee_tiers, strict=True):
        values = {f"{name}_e7": round(getattr(tier, f"{name}_frac") * _E7) for name in rates}
        _write(record, {"volume_from_micro": round(tier.volume_from_usd * MICRO), **values})
    return records
