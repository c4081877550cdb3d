"""A regime read back from the arrays of a state: underlyings and tokens by their numbers."""

from __future__ import annotations

from typing import Any

from stressbook.market.compiling.arrays import Records
from stressbook.market.reference.range_volatility import FollowedRange
from stressbook.market.regimes.rows import ChargeRow, ScanRow, SpreadRow, Step, WeightRow
from stressbook.market.regimes.spec import MarginRegime, RegimeRules
from stressbook.market.regimes.tables import AGGREGATIONS, APC_TOOLS, DEBTS_IN_RATIO
from stressbook.market.state.records import VenueState

__all__ = ["ranges_of", "regime_of"]


def regime_of(v: VenueState, r: int) -> MarginRegime:
    """Return a regime as data; "0" is the first underlying, and USDC among tokens.

    Parameters
    ----------
    v : VenueState
        Read only.
    r : int
        0 the ordinary one, 1 that of enrolled accounts.
    """
    n_insts, regime = len(v.inst), v.regime[r]
    assets = range(len(v.asset))
    scans, charges = [], []
    for asset in assets:
        legs = [j for j in range(v.leg.shape[1]) if v.leg[r, j].unit == asset]
        scanned = [j for j in legs if v.leg[r, j].scanned == 1]
        if regime.n_moves > 0 and scanned:
            moves = tuple(float(x) for x in v.move[r, asset, : int(regime.n_moves)])
            volatility = float(v.unit[r, asset].long_run_daily_volatility)
            scans.append(ScanRow((str(asset),), 1.0, False, moves, (), volatility))
        charges.append(_charge(v, r, asset))
    return MarginRegime(
        "read back",
        "",
        "",
        _rules(regime),
        tuple(scans),
        tuple(charges),
        tuple(_weight(v, r, n_insts + token, token) for token in range(len(v.token_spec))),
        tuple(_spread(line) for line in v.credit[r][: int(regime.n_credits)]),
    )


def ranges_of(v: VenueState, r: int) -> dict[str, FollowedRange]:
    """Return where the ranges of a regime stand, by underlying.

    Parameters
    ----------
    v : VenueState
        Read only.
    r : int
        As of `regime_of`.
    """
    return {
        str(asset): FollowedRange(
            float(unit.long_run_daily_volatility),
            float(unit.daily_variance),
            float(unit.range_multiple),
        )
        for asset, unit in enumerate(v.unit[r])
    }


def _rules(regime: Any) -> RegimeRules:
    names = {code: name for name, code in AGGREGATIONS.items()}
    debts = {code: name for name, code in DEBTS_IN_RATIO.items()}
    tools = {code: name for name, code in APC_TOOLS.items()}
    return RegimeRules(
        pockets="position" if regime.by_position else "account",
        collateral="loan_to_value" if regime.uses_ltv else "weights",
        uses_tiers=bool(regime.uses_tiers),
        tier_at_entry=bool(regime.tier_at_entry),
        leverage_counts=bool(regime.leverage_counts),
        initial_over_maintenance=float(regime.initial_over_maintenance),
        closing_fee_frac=float(regime.closing_fee_frac),
        aggregation=names[int(regime.aggregation)],
        offset_frac=float(regime.offset),
        initial_factor=float(regime.initial_factor),
        maintenance_factor=float(regime.maintenance_factor),
        constant_initial_usd=float(regime.constant_initial_usd),
        constant_maintenance_usd=float(regime.constant_maintenance_usd),
        rates_at_oracle=bool(regime.rates_at_oracle),
        nets_orders=bool(regime.nets_orders),
        trigger_ratio=float(regime.trigger_ratio),
        debt_in_ratio=debts[int(regime.debt_in_ratio)],
        margin_is_borrowed=bool(regime.margin_is_borrowed),
        falls_back=bool(regime.falls_back),
        confidence_threshold=float(regime.confidence_threshold),
        confidence_rate=float(regime.confidence_rate),
        volatility_time_s=float(regime.volatility_time_s),
        apc_tool=tools[int(regime.apc_tool)],
        buffer_frac=float(regime.buffer),
        stressed_weight_frac=float(regime.stressed_weight),
        stressed_multiple=float(regime.stressed_multiple),
        floor_multiple=float(regime.floor_multiple),
    )


def _charge(v: VenueState, r: int, asset: int) -> ChargeRow:
    unit, perp = v.unit[r, asset], int(v.asset[asset].perp_inst)
    leg = v.leg[r, max(perp, 0)]
    return ChargeRow(
        (str(asset),),
        float(leg.initial_rate) if perp >= 0 else 0.0,
        float(leg.maintenance_rate) if perp >= 0 else 0.0,
        float(unit.floor_net_rate),
        float(unit.floor_hedged_rate),
        _steps(v.hedge_step[r, asset], int(unit.n_hedge_steps), "maintenance"),
        _steps(v.floor_step[r, asset], int(unit.n_floor_steps), "maintenance"),
        str(int(unit.group)),
    )


def _weight(v: VenueState, r: int, j: int, token: int) -> WeightRow:
    leg = v.leg[r, j]
    n = int(leg.n_loan_steps)
    return WeightRow(
        (str(token),),
        float(leg.asset_initial),
        float(leg.asset_maintenance),
        float(leg.liability_initial),
        float(leg.liability_maintenance),
        bool(leg.scanned),
        _steps(v.loan_step[r, j], n, "initial"),
        _steps(v.loan_step[r, j], n, "maintenance"),
    )


def _steps(rows: Records, n: int, column: str) -> tuple[Step, ...]:
    return tuple(Step(float(row.lower_usd), float(row[column])) for row in rows[:n])


def _spread(line: Any) -> SpreadRow:
    legs = range(int(line.n_legs))
    return SpreadRow(
        tuple(str(int(line[f"unit{i}"])) for i in legs),
        tuple(float(line[f"ratio{i}"]) for i in legs),
        tuple(float(line[f"credit{i}"]) for i in legs),
    )
