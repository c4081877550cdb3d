"""From the state of venue and world to what agents see: two compiled copies a step.

Whatever engine ran the step, its state (or the mirror of it) is read here, so rules cannot tell
engines apart.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from stressbook.agents.outbox import Outbox
from stressbook.agents.view import (
    ACCOUNT_VIEW,
    ASSET_VIEW,
    CLOCK,
    INSTRUMENT_VIEW,
    OWN_ORDER,
    TOKEN_VIEW,
    Accounts,
    Market,
)
from stressbook.market.compiling.arrays import I64
from stressbook.market.compiling.bits import natural, prefetch, widened
from stressbook.market.compiling.kernel import kernel, sub_kernel
from stressbook.market.lending.borrowing import platform_headroom
from stressbook.market.lending.reserve import borrow_rate, supply_rate, utilisation
from stressbook.market.lending.token_debts import lends_tokens
from stressbook.market.prices.world import WorldState
from stressbook.market.state.records import C_NO_ROOM, C_OUTBOX, C_PENDING, VenueState

_AHEAD: Final = 12  # orders between the prefetch of one and its turn


def make_market(v: VenueState) -> Market:
    """Allocate the public view and copy what never or seldom changes during a run."""
    par = v.par[0]
    market = Market(
        np.zeros(1, CLOCK),
        np.zeros(par.n_insts, INSTRUMENT_VIEW),
        np.zeros(par.n_assets, ASSET_VIEW),
        np.zeros(par.n_tokens, TOKEN_VIEW),
    )
    for name in ("kind", "asset", "token", "k", "lot_units", "lot_size", "tick_usd"):
        market.inst[name] = v.inst[name]
    for name in ("perp_inst", "spot_inst", "token", "max_leverage"):
        market.asset[name] = v.asset[name]
    observe_rules(v, market)
    for name in ("dt_ms", "seed_key0", "seed_key1"):
        market.clock[name] = par[name]
    return market


def observe_rules(v: VenueState, market: Market) -> None:
    """Copy rules of tokens, which change where a study changes them during a run."""
    for name in ("asset", "borrowable", "user_supply_cap", "user_borrow_cap", "unit", "ltv"):
        market.token[name] = v.token_spec[name]


def make_accounts(v: VenueState, w: WorldState) -> Accounts:
    """Allocate the account views; positions and tokens are the very rows of the ledger.

    Where tokens are lent, holdings are a copy of what is owned: see `observe_owned`.
    """
    n_users = int(v.par[0].n_users)
    tokens = v.token[:n_users]
    perp, entry_cost = v.perp[:n_users], v.entry_cost[:n_users]
    if v.par[0].n_pockets > 0:  # what stands in pockets is gathered at each step
        perp, entry_cost = perp.copy(), entry_cost.copy()
    accounts = Accounts(
        np.zeros(n_users, ACCOUNT_VIEW),
        perp,
        tokens.copy() if lends_tokens(v) else tokens,
        w.inventory,
        entry_cost,
        v.leverage,
        np.zeros(n_users + 1, np.int64),
        np.zeros(v.order.shape[0], OWN_ORDER),
    )
    for name in ("key", "class_id", "account_mode", "enrolled"):
        accounts.account[name] = v.user[name]
    accounts.account["user"] = np.arange(n_users)
    return accounts


def make_outbox(v: VenueState, w: WorldState) -> Outbox:
    """Return the outbox over the venue's messages and counters and the world's requests."""
    return Outbox(v.outbox, v.ctr[C_OUTBOX : C_NO_ROOM + 1], w.request)


@kernel
def observe_market(v: VenueState, mkt: Market, t_ms: int) -> None:
    """Copy public data at the end of a step; agents see it in the next one."""
    mkt.clock[0].t_ms = t_ms
    for i in range(v.par[0].n_insts):
        view = mkt.inst[i]
        book = v.book[i]
        view.best_bid_tick = v.best[i, 0]
        view.best_ask_tick = v.best[i, 1]
        view.last_tick = book.last_tick
        view.spread_frac = book.end_spread_frac
        view.bid_depth_usd = book.end_bid_depth_usd
        view.ask_depth_usd = book.end_ask_depth_usd
        if v.best[i, 0] >= 0 and v.best[i, 1] < v.level.shape[1]:
            view.mid_usd = 0.5 * float(v.best[i, 0] + v.best[i, 1]) * view.tick_usd
    run_per_hour = 0.0
    for a in range(v.par[0].n_assets):
        seen = mkt.asset[a]
        price = v.price[a]
        dial = v.dial[a]
        seen.oracle_usd = price.oracle_usd
        seen.mark_usd = price.mark_usd
        seen.funding_hourly = float(price.last_funding_rate_e15) / 1e15
        if price.n_premium_samples > 0:
            seen.premium = price.premium_sum / float(price.n_premium_samples)
        seen.outside_spot_usd = v.outside[a].spot_usd
        seen.outside_perp_usd = v.outside[a].perp_usd
        seen.spot_half_spread = v.outside[a].spot_half_spread
        seen.perp_half_spread = v.outside[a].perp_half_spread
        seen.spot_impact_per_musd = v.outside[a].spot_impact_per_musd
        seen.perp_impact_per_musd = v.outside[a].perp_impact_per_musd
        seen.volatility_ratio = v.outside[a].volatility_ratio
        seen.step_volatility = v.outside[a].step_volatility
        seen.venue_depth = dial.venue_depth
        seen.arbitrage = dial.arbitrage
        seen.defence = dial.defence
        run_per_hour = max(run_per_hour, dial.lender_run)
    mkt.token[0].run_per_hour = run_per_hour
    for k in range(v.par[0].n_tokens):
        token = mkt.token[k]
        spec, reserve = v.token_spec[k], v.reserve[k]
        token.utilisation = utilisation(reserve)
        token.borrow_rate = borrow_rate(spec, reserve)
        token.supply_rate = supply_rate(spec, reserve, v.par[0].retained_frac_e6)
        token.platform_headroom = platform_headroom(spec, reserve)
        token.pool = v.cash[v.par[0].row_pool0] if k == 0 else v.token[v.par[0].row_pool0 + k, k]


@sub_kernel
def _gather_pockets(v: VenueState, accounts: Accounts, user: int) -> None:
    """Show an account what stands in the pockets of its perps as its own."""
    me = accounts.account[user]
    for i in range(v.par[0].n_insts):
        row = int(v.row_of[user, i])
        accounts.position[user, i] = v.perp[row, i]
        accounts.entry_cost[user, i] = v.entry_cost[row, i]
        if row == user:
            continue
        r = v.risk[row]
        me.cash_micro += v.cash[row]
        me.equity_usd += r.equity_usd
        me.initial_usd += r.initial_usd
        me.maintenance_usd += r.maintenance_usd


@kernel
def observe_owned(v: VenueState, accounts: Accounts) -> None:
    """Copy what each user holds of each token less what it owes: negative for a short."""
    for u in range(v.par[0].n_users):
        for k in range(1, v.par[0].n_tokens):
            accounts.token[u, k] = v.token[u, k] - v.debt[u, k]


@kernel
def observe_accounts(v: VenueState, accounts: Accounts, listed: I64) -> None:
    """Copy each user's margin figures and list its resting orders, newest first in each book.

    `listed` is scratch as long as `v.order`: the slots of the orders in the last list.
    """
    n = 0
    for u in range(v.par[0].n_users):
        me = accounts.account[u]
        r = v.risk[u]
        me.breached = v.user[u].breached
        me.n_orders = v.user[u].n_orders
        me.n_pending = 0
        me.n_triggers = v.n_triggers[u]
        me.cash_micro = v.cash[u]
        me.debt_micro = v.debt[u, 0]
        me.equity_usd = r.equity_usd
        me.initial_usd = r.initial_usd
        me.maintenance_usd = r.maintenance_usd
        me.available_usd = r.available_usd
        me.ratio = r.ratio
        if v.par[0].n_pockets > 0:
            _gather_pockets(v, accounts, u)
        accounts.order_start[u] = n
        if v.user[u].n_orders > 0:
            for i in range(v.par[0].n_insts):
                slot = natural(v.own_head[u, i])
                while slot > 0:
                    o = v.order[natural(slot - 1)]
                    # Only an order says which comes next, but most stood in the last list: to
                    # fetch those ahead takes 1.5 us from the 6.3 us of a thousand orders.
                    if n + _AHEAD < listed.shape[0]:
                        prefetch(v.order, listed[natural(n + _AHEAD)])
                    listed[natural(n)] = slot - 1
                    own = accounts.order[natural(n)]
                    own.inst = i
                    own.side = o.side
                    own.price_tick = o.price_tick
                    own.qty_lots = o.qty_lots
                    own.client_id = o.client_id
                    n += 1
                    slot = widened(o.next_own)
    accounts.order_start[v.par[0].n_users] = n
    for k in range(v.ctr[C_PENDING]):
        accounts.account[v.pending[k].user].n_pending += 1
