"""Margin regimes as arrays: what the margin kernel reads, and its scratch.

Axes: `regime` (of a venue: 0 the ordinary one, 1 the one that accounts enrol in), `leg` (what a
pocket can hold: perps and spot books by instrument, then tokens), `unit` (an underlying, whose
legs net against each other), `move` (a scenario). Losses of delta-one legs are linear in the
shock, so that a scenario's weight and payoff are folded into one number a unit and scenario: profit
over signed value.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from stressbook.market.compiling.arrays import F64, Records, record_dtype

__all__ = [
    "AGGREGATIONS",
    "APC_TOOLS",
    "BUFFER",
    "CREDIT",
    "CREDITS",
    "DEBTS_IN_RATIO",
    "FLOOR_MULTIPLE",
    "GROUPS",
    "LEG",
    "MAX_CREDIT_LEGS",
    "MAX_STEPS",
    "MIX",
    "POCKET",
    "REGIME",
    "STEP",
    "STRESSED_WEIGHT",
    "UNIT",
    "UNIT_SCRATCH",
    "MarginTables",
    "PocketScratch",
    "scratch_of",
]

MAX_STEPS: Final = 8  # steps of a sliced rate
MAX_CREDIT_LEGS: Final = 3
LEAST_LTV: Final = 0.01  # where a loan-to-value was cut to nothing while tokens were owed

# How losses of several units add up.
MIX: Final = 0  # (1 - offset) x each at its own worst + offset x the worst of all together
GROUPS: Final = 1  # point by point, losses less offset x gains inside a group; groups add up
CREDITS: Final = 2  # each at its own worst, less credits for spreads by priority
AGGREGATIONS: Final = {"mix": MIX, "groups": GROUPS, "credits": CREDITS}

DEBT_AT_MAINTENANCE: Final = 0
DEBT_DRAWN: Final = 1
NO_DEBT: Final = 2
DEBTS_IN_RATIO: Final = {
    "at_maintenance": DEBT_AT_MAINTENANCE,
    "drawn": DEBT_DRAWN,
    "none": NO_DEBT,
}

# What keeps ranges that follow volatility from rising all at once.
NO_TOOL: Final = 0
BUFFER: Final = 1
STRESSED_WEIGHT: Final = 2
FLOOR_MULTIPLE: Final = 3
APC_TOOLS: Final = {
    "none": NO_TOOL,
    "buffer": BUFFER,
    "stressed_weight": STRESSED_WEIGHT,
    "floor": FLOOR_MULTIPLE,
}

REGIME = record_dtype(
    "n_moves aggregation n_credits uses_tiers tier_at_entry leverage_counts rates_at_oracle "
    "nets_orders debt_in_ratio margin_is_borrowed falls_back by_position uses_ltv apc_tool "
    "tokens_count",  # whether tokens held or owed change a requirement: else they are no legs
    "offset initial_factor maintenance_factor trigger_ratio constant_initial_usd "
    "constant_maintenance_usd initial_over_maintenance closing_fee_frac confidence_threshold "
    "confidence_rate "
    # volatility_time_s: of the average that ranges follow, 0 is none; each number is of one tool
    "volatility_time_s buffer stressed_weight stressed_multiple floor_multiple",
)
LEG = record_dtype(
    # tier_row, n_tiers: of a perp, in the table of tiers
    "unit scanned n_loan_steps tier_row n_tiers",
    # rates: of the leg's gross value, outside the factors; weights: of a token's value in equity
    "initial_rate maintenance_rate asset_initial asset_maintenance liability_initial "
    "liability_maintenance",
)
UNIT = record_dtype(
    "group n_hedge_steps n_floor_steps",
    # range_multiple: what losses in the scan count for, 1 where ranges are static; it and the
    # variance change at mark updates
    # lowest_move, highest_move: over the scenarios, where the worst loss of a unit stands
    "floor_net_rate floor_hedged_rate range_multiple daily_variance long_run_daily_volatility "
    "lowest_move highest_move",
)
STEP = record_dtype("", "lower_usd initial maintenance")  # of a sliced rate or multiple
CREDIT = record_dtype(
    " ".join(f"unit{i}" for i in range(MAX_CREDIT_LEGS)) + " n_legs",
    " ".join(f"ratio{i} credit{i}" for i in range(MAX_CREDIT_LEGS)),
)

# What a pocket holds of one leg. value: signed, of a perp at the mark, of a token at the borrow
# oracle, below 0 owed; oracle: at the oracle; entry: what it was bought for; buy, sell: notional of
# resting orders of each side.
POCKET = record_dtype("leg", "value_usd oracle_usd entry_usd leverage buy_usd sell_usd confidence")
UNIT_SCRATCH = record_dtype(
    # listed: the i-th unit of the pocket, in the place of unit i; touched: 0 between calls
    "touched listed",
    "net_usd gross_usd buy_net_usd buy_gross_usd sell_net_usd sell_gross_usd worst_usd rest_usd",
)


class MarginTables(NamedTuple):
    """The regimes of a venue."""

    regime: Records  # (n_regimes,) REGIME
    leg: Records  # (n_regimes, n_legs) LEG
    move: F64  # (n_regimes, n_units, n_moves) profit over signed value, weight in
    unit: Records  # (n_regimes, n_units) UNIT
    hedge_step: Records  # (n_regimes, n_units, MAX_STEPS) STEP: rates of the hedged part
    floor_step: Records  # (n_regimes, n_units, MAX_STEPS) STEP: multiples of the least charge
    loan_step: Records  # (n_regimes, n_legs, MAX_STEPS) STEP: rates of a debt in a token
    credit: Records  # (n_regimes, n_credits) CREDIT, in order of priority


class PocketScratch(NamedTuple):
    """Where the kernel lays out one pocket; overwritten by each call."""

    pocket: Records  # (n_legs,) POCKET
    unit: Records  # (n_units,) UNIT_SCRATCH
    loss_sums: F64  # (2, n_moves) of units added up scenario by scenario: losses, gains


def scratch_of(tables: MarginTables) -> PocketScratch:
    """Return scratch that fits the tables.

    Parameters
    ----------
    tables : MarginTables
        Of a venue or of a single case.

    Returns
    -------
    PocketScratch
        Zeros.
    """
    n_units, n_moves = tables.move.shape[1:]
    return PocketScratch(
        np.zeros(tables.leg.shape[1], POCKET),
        np.zeros(n_units, UNIT_SCRATCH),
        np.zeros((2, n_moves)),
    )
