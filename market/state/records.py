"""The state of the venue: one NamedTuple of struct arrays, and nothing else.

Axes: `user` (an account of a participant, or under isolated margin the pocket of one of its perps;
the backstop is the last user), `row` (of the ledger: row u is user u's, then `outside`, `treasury`,
`rounding` and one `pool` per token), `inst` (a book), `asset` (an underlying), `token` (0 = USDC).

Money is int64: cash in micro-USDC, tokens in their own units, positions and orders in lots, order
prices in ticks, oracle and mark in 1e-8 USD, rates in 1e-15. Floats stand only in valuations.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from stressbook.market.compiling.arrays import F64, I64, U64, Records, record_dtype
from stressbook.market.compiling.by_address import by_address

N_TICKS: Final = 262_144  # 64**3: three 64-ary levels of occupancy bits
MAX_TIERS: Final = 4
N_SORT_DIGITS: Final = 128
EMPTY_BID: Final = -1  # `best` of an empty bid side
EMPTY_ASK: Final = N_TICKS  # and of an empty ask side

# One record: clock, sizes, rules that are one number for the whole venue.
VENUE_PARAMS = record_dtype(
    "seed_key0 seed_key1 dt_ms price_period_ms premium_period_ms funding_period_ms "
    "n_users n_pockets n_insts n_assets n_tokens backstop_user "
    "row_outside row_treasury row_rounding row_backstop row_pool0 "  # token k: row_pool0 + k
    "mark_ema_ms last_ema_ms class_delay_us adl_on "
    "partial_notional_micro partial_frac_e6 cooldown_ms slice_frac_e6 "
    "slice_at_partial_threshold slice_of_remaining slice_full_discount "
    # codes of `policies`
    "auction_period_ms auction_insolvent_period_ms "
    "select_policy taker_policy price_policy backstop_policy allocate_policy score_policy "
    "socialise_policy cancel_below_initial_policy "
    "admission_on user_cap_in_credit min_borrow_offset_on "
    "interest_is_simple retained_frac_e6 price_band_frac_e6 sample_max_spread_on resolution_on "
    "eligible_volume_micro eligible_value_micro account_value_max_micro order_min_micro "
    "value_max_later_policy volume_perp_weight_e6 volume_spot_weight_e6 volume_forget_e9 "
    "borrowable_in_credit "
    "cap_rest_band_frac_e6",
    "funding_cap_frac funding_interest_frac funding_clamp_frac funding_static_frac "
    "pm_trigger_ratio "
    "backstop_mm_frac order_margin_buffer_frac notional_floor_frac min_borrow_offset_usd "
    "latency_median_ms latency_jitter_frac forced_slippage_frac share_step_frac target_ratio "
    "trigger_slippage_frac "
    "liquidation_fee_frac fillable_adjustment fillable_spread_frac penalty_frac "
    "auction_start_frac auction_cutoff_frac auction_buffer_frac auction_reserve_frac "
    "twap_step_frac",  # share of the rest that one mark update sells: 1 - 2^(-period / half-life)
)

# Static description of an instrument. value_usd = lots * lot_size * price_usd.
INSTRUMENT = record_dtype(
    "kind asset token k tick_e8 mark_den lot_units max_position_lots impact_notional_micro "
    "market_order_max_micro limit_order_max_micro",
    # k: micro-USDC of one lot at one tick; mark_den: micro-USDC = lots * price_e8 / mark_den;
    # lot_units: token units of one lot (spot); largest orders: 0 is any
    "lot_size tick_usd two_sided_max_spread_frac open_interest_cap_usd",
)
# Margin tiers of the perp of an asset, first `n_tiers` valid: rate and deduction of maintenance.
# oracle_mode: 0 outside spot, 1 the venue's own spot, 2 both, the venue's with this weight.
ASSET = record_dtype(
    "perp_inst spot_inst token n_tiers max_leverage oracle_mode", "oracle_venue_weight"
)
TIER = record_dtype("", "lower_usd maintenance_rate deduction_usd")
TOKEN = record_dtype(
    "asset unit borrowable user_supply_cap user_borrow_cap platform_supply_cap platform_borrow_cap",
    # unit: token units of one token (USDC: 1e6); caps in token units
    # credit_weight: what a collateral counts for at maintenance
    "ltv credit_weight slice_width_usd rate_base rate_low_slope rate_slope kink_utilisation",
)
FEE_TIER = record_dtype("volume_from_micro perp_taker_e7 perp_maker_e7 spot_taker_e7 spot_maker_e7")

USER = record_dtype(
    "volume_14d_micro fee_tier n_orders key class_id account_mode enrolled owner latency_us "
    "breached cooldown_until_ms next_slice_ms auction_from_ms slice_micro sales_used_micro "
    # parent: of the pocket of an isolated perp its account, else -1; pocket_inst: that perp
    "next_message parent pocket_inst"
)
ROW = record_dtype("user regime")

# Valuation of a user's account at the last mark update, in USD.
RISK = record_dtype(
    "judged_as_portfolio",
    # net: cash + perps - debt; equity: net (+ tokens at oracle where they are collateral)
    # credit: LVc; available: free for new initial margin, borrowing room in
    # health: what there is beyond maintenance, below zero in breach
    "net_usd equity_usd initial_usd maintenance_usd available_usd ratio health_usd credit_usd "
    "gross_notional_usd "
    "token_value_usd debt_usd deepest_negative_usd",
)

# What the backstop has done so far, beside its row of the ledger.
BACKSTOP_SUMS = record_dtype(
    # debts taken over; cash and claims that came with perps, less what they cost; capital spent
    "assumed_micro perp_cash_micro used_micro",
    "debt_at_deepest_usd",  # its debt when its equity was deepest below zero
)

# Prices of an asset. Oracle, mark, index in 1e-8 USD; EMAs in USD.
PRICE = record_dtype(
    "oracle_e8 mark_e8 previous_mark_e8 borrow_oracle_e8 last_funding_rate_e15 n_premium_samples",
    # venue_spot_usd: last acceptable price of the venue's own spot book, 0 before the first
    "oracle_usd mark_usd borrow_oracle_usd ema_num ema_den last_ema_num last_ema_den premium_sum "
    "venue_spot_usd",
)
N_ORACLE_HISTORY: Final = 512  # composed oracles kept for the lag dial, one a price update
# What the world shows the venue and the agents, per asset: outside prices in USD.
OUTSIDE = record_dtype(
    "",
    # half-spreads: fractions of the price; impacts: displacement by 1 M USD of flow now
    "fundamental_usd spot_usd perp_usd spot_half_spread perp_half_spread "
    "spot_impact_per_musd perp_impact_per_musd "
    # volatility of the outside spot over its long-run value; long-run sd of a step's log return
    "volatility_ratio step_volatility",
)
# Per book, updated by matching: last trade and this step's sample.
BOOK = record_dtype(
    # lots and trades of this step, by the side of the taker
    "last_tick n_orders sampled bid_tick ask_tick end_bid_tick end_ask_tick "
    "traded_lots buy_lots sell_lots n_trades",
    # first sample of the step, and the one at its end; depth within 10 bp of the mid, each side
    "mid_usd spread_frac bid_depth_usd ask_depth_usd "
    "end_mid_usd end_spread_frac end_bid_depth_usd end_ask_depth_usd",
)
RESERVE = record_dtype(
    # token units; of a collateral, total_supply is what portfolio accounts hold of it, user caps in
    "retained claim total_supply total_debt last_step_e15 retained_used supplier_loss",
    # counted_share: of a collateral in new borrowing, below 1 beyond its platform supply cap
    "utilisation borrow_rate supply_rate counted_share",
)

# Resting orders, 64 bytes each: one cache line. Slots in links are + 1, so that 0 is none.
ORDER = np.dtype(
    (
        np.record,
        np.dtype(
            [(name, "i8") for name in ("qty_lots", "client_id", "sequence")]
            + [(name, "u4") for name in ("price_tick", "user", "inst", "generation")]
            + [(name, "u4") for name in ("next_slot", "prev_slot")]  # queue of a level
            + [(name, "u4") for name in ("next_own", "prev_own")]  # of a user in a book
            + [("client_hash", "u4"), ("side", "u2"), ("options", "u2")],
            align=True,
        ),
    )
)
# One price of a book: its queue, and what rests there in all. One ladder serves both sides.
LEVEL = np.dtype(
    (np.record, np.dtype([("head", "u4"), ("tail", "u4"), ("qty_lots", "i8")], align=True))
)

# Flags are in `options`: every NumPy record has an attribute `flags` already.
MESSAGE = record_dtype(
    "op user inst side tif options price_tick qty_lots client_id handle "
    "effective_us number emitted_ms"
)
# An order that waits for the mark to reach `trigger_tick`, oldest first; `options` has TAKE.
TRIGGER = record_dtype("user inst side tif options price_tick qty_lots client_id trigger_tick")
REPLY = record_dtype("code user client_id handle filled_lots")
FILL = record_dtype(
    "t_ms inst price_tick qty_lots taker maker taker_side options taker_client_id maker_client_id "
    "taker_fee_micro maker_fee_micro"
)
EVENT = record_dtype("t_ms kind user inst lots price_e8 amount_micro cause counterparty")

# Counters of `ctr`.
C_FREE: Final = 0  # head of the free list of order slots, + 1
C_LIVE: Final = 1
C_FILLS: Final = 2
C_EVENTS: Final = 3
C_PENDING: Final = 4
C_OUTBOX: Final = 5  # this and the next are the counters of `agents.outbox.Outbox`
C_NO_ROOM: Final = 6
C_FAULT: Final = 7
C_SEQUENCE: Final = 8
C_USED_SLOTS: Final = 9  # slots ever used; those above it are untouched
C_STEP: Final = 10
C_PRICE_UPDATES: Final = 11
C_REPLIES: Final = 12
C_TRIGGERS: Final = 13
N_COUNTERS: Final = 16


@by_address
class VenueState(NamedTuple):
    """Everything that the venue knows; shapes in the comments."""

    par: Records  # (1,) VENUE_PARAMS
    inst: Records  # (n_insts,) INSTRUMENT
    asset: Records  # (n_assets,) ASSET
    tier: Records  # (n_assets, MAX_TIERS) TIER
    token_spec: Records  # (n_tokens,) TOKEN
    fee_tier: Records  # (n_fee_tiers,) FEE_TIER
    # margin regimes, 0 the ordinary one, 1 that of enrolled accounts: market/regimes/tables.py
    regime: Records  # (2,) REGIME
    leg: Records  # (2, n_insts + n_tokens) LEG
    move: F64  # (2, n_assets, n_moves)
    unit: Records  # (2, n_assets) UNIT
    hedge_step: Records  # (2, n_assets, MAX_STEPS) STEP
    floor_step: Records  # (2, n_assets, MAX_STEPS) STEP
    loan_step: Records  # (2, n_insts + n_tokens, MAX_STEPS) STEP
    credit: Records  # (2, n_credits) CREDIT
    pocket: Records  # (n_insts + n_tokens,) POCKET, scratch
    unit_scratch: Records  # (n_assets,) UNIT_SCRATCH, scratch
    loss_sums: F64  # (2, n_moves) scratch
    # ledger
    cash: I64  # (n_rows,) micro-USDC, raw
    token: I64  # (n_rows, n_tokens) token units; column 0 unused (USDC is `cash`)
    perp: I64  # (n_rows, n_insts) lots; spot columns 0
    open_interest: I64  # (n_insts,) lots of all longs; spot columns 0
    entry_cost: I64  # (n_rows, n_insts) micro-USDC paid for the open position, a memo
    supply: I64  # (n_rows, n_tokens) claim on the pool; USDC in micro
    debt: I64  # (n_rows, n_tokens)
    flow: I64  # (n_rows, 1 + n_tokens + n_insts, N_CAUSES); axis 1: cash, tokens, perps
    # users and rows
    user: Records  # (n_users,) USER
    row: Records  # (n_rows,) ROW
    leverage: I64  # (n_users, n_insts)
    row_of: I64  # (n_users, n_insts) row where fills book
    # books
    order: Records  # (capacity,) ORDER
    level: Records  # (n_insts, N_TICKS) LEVEL
    bits0: U64  # (n_insts, 2, 4096)
    bits1: U64  # (n_insts, 2, 64)
    bits2: U64  # (n_insts, 2)
    best: I64  # (n_insts, 2) best tick of each side
    own_head: I64  # (n_users, n_insts) first own order, slot + 1
    client_slot: I64  # (power of two >= 2 capacity,) hash table: client_hash << 32 | slot + 1
    open_lots: I64  # (n_users, n_insts, 2) resting lots
    open_notional: I64  # (n_users, n_insts, 2) micro-USDC at limit prices, non-reduce-only orders
    book: Records  # (n_insts,) BOOK
    trigger: Records  # (capacity,) TRIGGER, waiting ones in the order of their placing
    n_triggers: I64  # (n_users,) how many of them are each user's
    # prices and reserves
    price: Records  # (n_assets,) PRICE
    oracle_history: F64  # (n_assets, N_ORACLE_HISTORY) ring of composed oracles, USD
    outside: Records  # (n_assets,) OUTSIDE, the world's own array
    dial: Records  # (n_assets,) DIAL of market/prices/dials.py, the world's own array
    reserve: Records  # (n_tokens,) RESERVE
    # logs and queues
    outbox: Records  # (capacity,) MESSAGE, this step's
    pending: Records  # (capacity,) MESSAGE, effective in a later step
    merged: Records  # (capacity,) MESSAGE, scratch of the sequencer
    order_key: I64  # (capacity,) scratch
    order_index: I64  # (2, capacity) scratch: sort keys, from one row to the other
    digit_count: I64  # (N_SORT_DIGITS,) scratch: keys of each digit
    reply: Records  # (capacity,) REPLY, of the messages executed this step, in execution order
    reply_count: I64  # (N_REPLIES,) by code, since the start
    fill: Records  # (capacity,) FILL, this step's
    event: Records  # (capacity,) EVENT, this step's
    risk: Records  # (n_users,) RISK, as of the last mark update
    taken_negative_usd: F64  # (n_users,) equity below zero that the backstop took over
    backstop: Records  # (1,) BACKSTOP_SUMS
    work_index: I64  # (n_users, 2) scratch of resolution: accounts in breach, in order
    work_rank: F64  # (n_users, 2) scratch of resolution: ranks of deleveraging
    plan_lots: I64  # (n_insts,) scratch of resolution: how much of each perp an account loses
    shift_lots: I64  # (n_insts,) scratch of resolution: what is added to each perp in a trial
    # scratch of an allocation, by user: what it has, its score, its share, and the order of taking
    queue_size: I64  # (n_users,)
    queue_score: F64  # (n_users,)
    queue_taken: I64  # (n_users,)
    queue_order: I64  # (n_users,)
    queue_rest: F64  # (n_users,)
    ctr: I64  # (N_COUNTERS,)


class Capacity(NamedTuple):
    """Sizes of the arrays that hold orders and logs."""

    orders: int = 16_384
    messages: int = 16_384
    fills: int = 32_768
    events: int = 16_384
    triggers: int = 4_096
