"""From regimes as data to the arrays of a venue."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from stressbook.market.compiling.arrays import Records
from stressbook.market.regimes.rows import ChargeRow, ScanRow, Step, WeightRow, row_for
from stressbook.market.regimes.spec import MarginRegime
from stressbook.market.regimes.tables import (
    AGGREGATIONS,
    APC_TOOLS,
    CREDIT,
    DEBTS_IN_RATIO,
    LEG,
    MAX_CREDIT_LEGS,
    MAX_STEPS,
    REGIME,
    STEP,
    UNIT,
    MarginTables,
)
from stressbook.market.regimes.volatility import tempered_multiple

__all__ = ["Leg", "margin_tables"]


class Leg:
    """What a pocket can hold: a perp of an asset, or a token with or without one.

    Parameters
    ----------
    asset : str
        Name of the underlying; empty for USDC.
    token : str, default ""
        Name of the token; empty for a perp.
    tier_row, n_tiers : int, default 0
        Of a perp: its row in the table of tiers, and how many of them are valid.
    """

    __slots__ = ("asset", "n_tiers", "tier_row", "token")

    def __init__(self, asset: str, token: str = "", *, tier_row: int = 0, n_tiers: int = 0) -> None:
        self.asset = asset
        self.token = token
        self.tier_row = tier_row
        self.n_tiers = n_tiers


def margin_tables(
    regimes: Sequence[MarginRegime], assets: Sequence[str], legs: Sequence[Leg]
) -> MarginTables:
    """Return the tables of some regimes over the legs of a venue.

    Parameters
    ----------
    regimes : sequence of MarginRegime
        In the order of their numbers.
    assets : sequence of str
        Underlyings, in the order of units.
    legs : sequence of Leg
        In the order of legs.

    Returns
    -------
    MarginTables
        Regimes of fewer scenarios than the longest are filled with moves of 0, which lose nothing.

    Examples
    --------
    >>> from stressbook.market.regimes import load_regime
    >>> legs = [Leg("BTC"), Leg("", "USDC"), Leg("BTC", "BTC")]
    >>> margin_tables([load_regime("paradex")], ["BTC"], legs).move.shape
    (1, 1, 17)
    """
    n_moves = max([len(row.moves()) for one in regimes for row in one.scans], default=0)
    n_credits = max([len(one.spreads) for one in regimes], default=0)
    shape = len(regimes), len(legs)
    units = len(regimes), len(assets)
    tables = MarginTables(
        np.zeros(len(regimes), REGIME),
        np.zeros(shape, LEG),
        np.zeros((*units, max(n_moves, 1))),
        np.zeros(units, UNIT),
        np.zeros((*units, MAX_STEPS), STEP),
        np.zeros((*units, MAX_STEPS), STEP),
        np.zeros((*shape, MAX_STEPS), STEP),
        np.zeros((len(regimes), max(n_credits, 1)), CREDIT),
    )
    for r, regime in enumerate(regimes):
        _write_rules(tables.regime[r], regime, n_moves)
        tables.unit[r]["group"] = _groups(regime, assets)
        for u, asset in enumerate(assets):
            charge = row_for(regime.charges, asset)
            if charge is not None:
                _write_unit(tables, r, u, charge)
            scan = row_for(regime.scans, asset)
            _write_moves(tables, r, u, scan)
            _write_volatility(tables, r, u, scan)
        for j, leg in enumerate(legs):
            _write_leg(tables, r, j, leg, assets, regime)
        _write_credits(tables, r, regime, assets)
    return tables


def _write_rules(record: Any, regime: MarginRegime, n_moves: int) -> None:
    rules = regime.rules
    values = {
        "n_moves": n_moves if regime.is_scanned else 0,
        "aggregation": AGGREGATIONS[rules.aggregation],
        "uses_tiers": rules.uses_tiers,
        "tier_at_entry": rules.tier_at_entry,
        "leverage_counts": rules.leverage_counts,
        "rates_at_oracle": rules.rates_at_oracle,
        "nets_orders": rules.nets_orders,
        "debt_in_ratio": DEBTS_IN_RATIO[rules.debt_in_ratio],
        "margin_is_borrowed": rules.margin_is_borrowed,
        "falls_back": rules.falls_back,
        "by_position": rules.pockets == "position",
        "uses_ltv": rules.collateral == "loan_to_value",
        "tokens_count": regime.is_scanned
        or rules.confidence_rate != 0.0
        or any(row.loan_initial or row.loan_maintenance for row in regime.weights),
        "offset": rules.offset_frac,
        "initial_factor": rules.initial_factor,
        "maintenance_factor": rules.maintenance_factor,
        "trigger_ratio": rules.trigger_ratio,
        "constant_initial_usd": rules.constant_initial_usd,
        "constant_maintenance_usd": rules.constant_maintenance_usd,
        "initial_over_maintenance": rules.initial_over_maintenance,
        "closing_fee_frac": rules.closing_fee_frac,
        "confidence_threshold": rules.confidence_threshold,
        "confidence_rate": rules.confidence_rate,
        "volatility_time_s": rules.volatility_time_s,
        "apc_tool": APC_TOOLS[rules.apc_tool],
        "buffer": rules.buffer_frac,
        "stressed_weight": rules.stressed_weight_frac,
        "stressed_multiple": rules.stressed_multiple,
        "floor_multiple": rules.floor_multiple,
    }
    for name, value in values.items():
        setattr(record, name, value)


def _groups(regime: MarginRegime, assets: Sequence[str]) -> list[int]:
    """Return the group of each unit, numbered by its first member; without a name it is alone."""
    rows = [row_for(regime.charges, asset) for asset in assets]
    names = [row.group if row else "" for row in rows]
    return [names.index(name) if name else u for u, name in enumerate(names)]


def _write_unit(tables: MarginTables, r: int, u: int, charge: ChargeRow) -> None:
    unit = tables.unit[r, u]
    unit.floor_net_rate = charge.floor_net_frac
    unit.floor_hedged_rate = charge.floor_hedged_frac
    unit.n_hedge_steps = _write_steps(tables.hedge_step[r, u], charge.hedged, charge.hedged)
    unit.n_floor_steps = _write_steps(
        tables.floor_step[r, u], charge.floor_steps, charge.floor_steps
    )


def _write_moves(tables: MarginTables, r: int, u: int, scan: ScanRow | None) -> None:
    moves = () if scan is None else scan.moves()
    tables.move[r, u, : len(moves)] = moves
    tables.unit[r, u].lowest_move = tables.move[r, u].min()
    tables.unit[r, u].highest_move = tables.move[r, u].max()


def _write_volatility(tables: MarginTables, r: int, u: int, scan: ScanRow | None) -> None:
    """Open at the long-run volatility, with what the tool makes of it; static ranges count once."""
    unit, regime = tables.unit[r, u], tables.regime[r]
    unit.range_multiple = 1.0
    if scan is None or scan.long_run_daily_volatility == 0.0:
        return
    unit.long_run_daily_volatility = scan.long_run_daily_volatility
    unit.daily_variance = scan.long_run_daily_volatility * scan.long_run_daily_volatility
    if regime.volatility_time_s > 0.0:
        unit.range_multiple = tempered_multiple(regime, 1.0, math.inf)


def _write_leg(
    tables: MarginTables,
    r: int,
    j: int,
    leg: Leg,
    assets: Sequence[str],
    regime: MarginRegime,
) -> None:
    record = tables.leg[r, j]
    record.unit = assets.index(leg.asset) if leg.asset in assets else -1
    record.tier_row, record.n_tiers = leg.tier_row, leg.n_tiers
    scan: ScanRow | None = row_for(regime.scans, leg.asset) if record.unit >= 0 else None
    if leg.token:
        weight: WeightRow | None = row_for(regime.weights, leg.token, "tokens")
        if weight is None:
            return
        record.asset_initial = weight.asset_initial
        record.asset_maintenance = weight.asset_maintenance
        record.liability_initial = weight.liability_initial
        record.liability_maintenance = weight.liability_maintenance
        record.n_loan_steps = _write_steps(
            tables.loan_step[r, j], weight.loan_initial, weight.loan_maintenance
        )
        if not weight.scanned:
            return
    else:
        charge: ChargeRow | None = row_for(regime.charges, leg.asset)
        if charge is not None:
            record.initial_rate = charge.gross_initial_frac
            record.maintenance_rate = charge.gross_maintenance_frac
    if scan is not None:
        record.scanned = 1


def _write_steps(rows: Records, initial: Sequence[Step], maintenance: Sequence[Step]) -> int:
    """Write the rates of both levels over the union of their lower bounds; return how many."""
    lowers = sorted({step.lower_usd for step in (*initial, *maintenance)})
    for row, lower in zip(rows, lowers, strict=False):
        row.lower_usd = lower
        row.initial = _rate_at(initial, lower)
        row.maintenance = _rate_at(maintenance, lower)
    return len(lowers)


def _rate_at(steps: Sequence[Step], amount_usd: float) -> float:
    rates = [step.rate for step in steps if step.lower_usd <= amount_usd]
    return rates[-1] if rates else 0.0


def _write_credits(
    tables: MarginTables, r: int, regime: MarginRegime, assets: Sequence[str]
) -> None:
    n = 0
    for spread in regime.spreads:
        if not set(spread.assets) <= set(assets):
            continue
        record = tables.credit[r, n]
        record.n_legs = len(spread.assets)
        for i in range(min(len(spread.assets), MAX_CREDIT_LEGS)):
            setattr(record, f"unit{i}", assets.index(spread.assets[i]))
            setattr(record, f"ratio{i}", spread.ratios[i])
            setattr(record, f"credit{i}", spread.credit_fracs[i])
        n += 1
    tables.regime[r].n_credits = n
