"""What an agent may look at: its own account as it stands, and the public market of one step ago.

The same arrays are filled by either engine, so that a rule cannot tell them apart. A rule receives
`me` (one account) and `mkt` (the market); both hold records and array rows, never the venue.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from stressbook.market.compiling.arrays import I64, Records, record_dtype
from stressbook.market.compiling.by_address import by_address
from stressbook.market.compiling.kernel import spliced_kernel

CLOCK = record_dtype("t_ms dt_ms step seed_key0 seed_key1")

# Public data of a book, one step old. Static columns are copied once.
INSTRUMENT_VIEW = record_dtype(
    "kind asset token k lot_units best_bid_tick best_ask_tick last_tick",
    # mid_usd: middle of the last two-sided state; spread_frac of it at the end of the step
    "lot_size tick_usd mid_usd spread_frac bid_depth_usd ask_depth_usd",
)
ASSET_VIEW = record_dtype(
    "perp_inst spot_inst token max_leverage",  # -1 where there is none
    # funding_hourly: last booked rate; premium: mean of this hour's samples;
    # impact_per_musd: by how much 1 M USD of flow outside displaces a price now, as a fraction;
    # volatility_ratio: outside volatility over its long-run value (1 in calm);
    # venue_depth: dial, share of makers' size that is left (1 in calm);
    # arbitrage: dial, share of arbitrage capacity that is left;
    # defence: dial, 0 where voluntary defensive reactions are switched off (arm N)
    "oracle_usd mark_usd funding_hourly premium outside_spot_usd outside_perp_usd "
    "spot_half_spread perp_half_spread spot_impact_per_musd perp_impact_per_musd "
    "volatility_ratio venue_depth arbitrage "
    "defence "
    "step_volatility",  # long-run standard deviation of one step's log return
)
TOKEN_VIEW = record_dtype(
    "asset borrowable user_supply_cap user_borrow_cap platform_headroom pool",
    # run_per_hour: of USDC the dial, hazard of its lenders leaving (0 in calm)
    "unit ltv borrow_rate supply_rate utilisation run_per_hour",
)
# Own account. Margin figures are those of the last mark update (every 3 s).
ACCOUNT_VIEW = record_dtype(
    "key user class_id account_mode enrolled breached n_orders n_pending n_triggers "
    "cash_micro debt_micro",
    "equity_usd initial_usd maintenance_usd available_usd ratio",
    # equity: venue equity, debt deducted; available: free for new initial margin, borrowing room in
)
OWN_ORDER = record_dtype("inst side price_tick qty_lots client_id")


@by_address
class Market(NamedTuple):
    """Public data, the same for every agent."""

    clock: Records  # (1,) CLOCK
    inst: Records  # (n_insts,) INSTRUMENT_VIEW
    asset: Records  # (n_assets,) ASSET_VIEW
    token: Records  # (n_tokens,) TOKEN_VIEW


@by_address
class Accounts(NamedTuple):
    """Own data of every user, row by row; a rule sees its own row only."""

    account: Records  # (n_users,) ACCOUNT_VIEW
    position: I64  # (n_users, n_insts) signed perp lots; spot columns 0
    token: I64  # (n_users, n_tokens) units held less units owed; column 0 (USDC) unused
    outside: I64  # (n_users, n_assets, 2) outside inventory in lots of the asset's perp
    entry_cost: I64  # (n_users, n_insts) micro-USDC
    leverage: I64  # (n_users, n_insts)
    order_start: I64  # (n_users + 1,) first own order of each user in `order`
    order: Records  # (capacity,) OWN_ORDER


class Me(NamedTuple):
    """One account as its rule sees it."""

    account: np.record  # ACCOUNT_VIEW
    position: I64  # (n_insts,)
    token: I64  # (n_tokens,)
    outside: I64  # (n_assets, 2)
    entry_cost: I64  # (n_insts,)
    leverage: I64  # (n_insts,)
    order: Records  # (n_own_orders,) OWN_ORDER, by instrument, newest first
    memory: np.record  # what the rule remembers, of its own dtype


@spliced_kernel
def look(accounts: Accounts, user: int, memory: Any) -> Me:
    """Return the `Me` of one user; `memory` is the record that its desk keeps."""
    return Me(
        accounts.account[user],
        accounts.position[user],
        accounts.token[user],
        accounts.outside[user],
        accounts.entry_cost[user],
        accounts.leverage[user],
        accounts.order[accounts.order_start[user] : accounts.order_start[user + 1]],
        memory,
    )
