"""What happens on a breach: at a mark update each breached account loses its resting orders and gets
exactly one of deleveraging, takeover, orders to the book, a slice of its loan.

Source: Hyperliquid docs, liquidations and portfolio margin, 2026-08; the order in which the steps are
tried is a stated reading (docs/decisions).
"""

from __future__ import annotations

from stressbook.market.backstop import (
    emit_forced,
    loss_limit_holds,
    repay_assumed_debt,
    sell_taken_over,
)
from stressbook.market.book import cancel_all, cancel_newest_risk_increasing
from stressbook.market.codes import (
    BUY,
    CAUSE_DEFICIT,
    EV_BREACH,
    EV_BREACH_ENDED,
    EV_DEFICIT,
    EV_FORCED_ORDER,
    EV_RISK_ORDER_CANCELLED,
    EV_WRITTEN_OFF,
    FORCED,
    REDUCE_ONLY,
    REGIME_PORTFOLIO,
    SELL,
)
from stressbook.market.deleveraging import deleverage
from stressbook.market.draws import PURPOSE_BREACH_ORDER, uniform
from stressbook.market.events import log_event
from stressbook.market.kernel import inline_kernel, sub_kernel
from stressbook.market.ledger import move_cash
from stressbook.market.reserve import repay, write_off
from stressbook.market.takeover import (
    full_threshold_usd,
    take_everything,
    take_perps,
    take_slice,
)
from stressbook.market.units import FLOOR, mul_div
from stressbook.market.valuation import holds_perps, is_breached, value_account, value_all


@inline_kernel
def risk_step(v, t_ms):  # type: ignore[no-untyped-def]
    """Value all accounts, record breaches, resolve them, and let the backstop dispose."""
    value_all(v, t_ms)
    n_breached = _collect_breaches(v, t_ms)
    if v.par[0].resolution_on == 0:
        return
    repay_assumed_debt(v, t_ms)
    for k in range(n_breached):
        user = v.work_index[k, 0]
        cancel_all(v, user, -1)
        _resolve(v, user, t_ms)
    if v.par[0].adl_on == 1:
        _deleverage_deepest_first(v, n_breached, t_ms)
    for k in range(n_breached):
        _settle_flat(v, v.work_index[k, 0], t_ms)
    sell_taken_over(v, t_ms)


@sub_kernel
def _collect_breaches(v, t_ms):  # type: ignore[no-untyped-def]
    """List breached users in the order of a draw by account; mark beginnings and ends."""
    n = 0
    backstop = v.par[0].backstop_user
    for user in range(v.par[0].n_users):
        me = v.user[user]
        if not is_breached(v, user):
            if me.breached == 1:
                _end_breach(v, user, t_ms)
            continue
        if me.breached == 0:
            me.breached = 1
            me.breach_t_ms = t_ms
            equity_micro = int(v.risk[user].equity_usd * 1e6)
            log_event(v, t_ms, EV_BREACH, user, -1, 0, 0, equity_micro, 0, -1)
        if user == backstop and v.risk[user].equity_usd >= 0.0:
            continue  # the backstop holds no margin; it is only ever deleveraged
        draw = uniform(
            v.par[0].seed_key0, v.par[0].seed_key1, PURPOSE_BREACH_ORDER, me.key, t_ms, 0
        )
        j = n
        while j > 0 and v.work_rank[j - 1, 0] > draw:
            v.work_rank[j, 0] = v.work_rank[j - 1, 0]
            v.work_index[j, 0] = v.work_index[j - 1, 0]
            j -= 1
        v.work_rank[j, 0] = draw
        v.work_index[j, 0] = user
        v.work_index[n, 1] = 0
        n += 1
    return n


@inline_kernel
def _end_breach(v, user, t_ms):  # type: ignore[no-untyped-def]
    me = v.user[user]
    me.breached = 0
    me.slice_micro = 0
    me.next_slice_ms = 0
    log_event(v, t_ms, EV_BREACH_ENDED, user, -1, 0, 0, 0, 0, -1)


@sub_kernel
def _resolve(v, user, t_ms):  # type: ignore[no-untyped-def]
    """Apply the first measure that fits; deleveraging waits until all others are done."""
    r = v.risk[user]
    has_perps = holds_perps(v, user)
    if has_perps and r.equity_usd < 0.0:
        return
    beyond_full = r.debt_usd > 0.0 and r.debt_usd > full_threshold_usd(v, user)
    if r.judged_as_portfolio == 1 and beyond_full:
        take_everything(v, user, t_ms, loss_limit_holds(v))
        value_account(v, v.par[0].backstop_user)
    elif has_perps and _is_below_backstop_margin(v, user) and loss_limit_holds(v):
        take_perps(v, user, t_ms)
        value_account(v, v.par[0].backstop_user)
    elif has_perps:
        _order_to_book(v, user, t_ms)
    elif r.judged_as_portfolio == 1 and v.debt[user, 0] > 0:
        if t_ms >= v.user[user].next_slice_ms:
            take_slice(v, user, t_ms)
            v.user[user].next_slice_ms = t_ms + v.par[0].price_period_ms
    value_account(v, user)


@inline_kernel
def _is_below_backstop_margin(v, user):  # type: ignore[no-untyped-def]
    r = v.risk[user]
    return r.net_usd + r.credit_usd < v.par[0].backstop_mm_frac * r.maintenance_usd


@sub_kernel
def _order_to_book(v, user, t_ms):  # type: ignore[no-untyped-def]
    """Send each perp to the book: a fifth of a large one first, then all of it for the cooldown."""
    me = v.user[user]
    in_cooldown = t_ms < me.cooldown_until_ms
    for inst in range(v.par[0].n_insts):
        position = v.perp[user, inst]
        if position == 0:
            continue
        lots = abs(position)
        mark_usd = v.price[v.inst[inst].asset].mark_usd
        notional_micro = float(lots) * v.inst[inst].lot_size * mark_usd * 1e6
        if not in_cooldown and notional_micro > float(v.par[0].partial_notional_micro):
            lots = max(1, mul_div(lots, v.par[0].partial_frac_e6, 1_000_000, FLOOR))
            me.cooldown_until_ms = t_ms + v.par[0].cooldown_ms
        side = SELL if position > 0 else BUY
        emit_forced(v, user, inst, side, mark_usd, lots, FORCED | REDUCE_ONLY, t_ms)
        mark_e8 = v.price[v.inst[inst].asset].mark_e8
        log_event(v, t_ms, EV_FORCED_ORDER, user, inst, lots, mark_e8, 0, side, -1)


@sub_kernel
def _deleverage_deepest_first(v, n_breached, t_ms):  # type: ignore[no-untyped-def]
    """Close accounts below zero that still hold perps, the deepest first."""
    while True:
        deepest = -1
        lowest_usd = 0.0
        for k in range(n_breached):
            user = v.work_index[k, 0]
            if v.risk[user].equity_usd < lowest_usd and v.work_index[k, 1] == 0:
                if holds_perps(v, user):
                    lowest_usd = v.risk[user].equity_usd
                    deepest = k
        if deepest < 0:
            return
        v.work_index[deepest, 1] = 1
        deleverage(v, v.work_index[deepest, 0], t_ms)


@sub_kernel
def _settle_flat(v, user, t_ms):  # type: ignore[no-untyped-def]
    """Book the deficit of an account with nothing left to close, at once, and end its breach."""
    if user == v.par[0].backstop_user or holds_perps(v, user):
        return
    portfolio = v.row[user].regime == REGIME_PORTFOLIO
    if portfolio and _holds_collateral(v, user):
        return
    if v.debt[user, 0] > 0 and v.cash[user] > 0:
        repay(v, user, 0, min(v.debt[user, 0], v.cash[user]))
    left = v.debt[user, 0]
    if left > 0:
        write_off(v, user, 0, left)
        log_event(v, t_ms, EV_WRITTEN_OFF, user, -1, 0, 0, left, 1, -1)
    deficit = -v.cash[user]
    if deficit > 0:
        move_cash(v, v.par[0].row_treasury, user, deficit, CAUSE_DEFICIT)
        log_event(v, t_ms, EV_DEFICIT, user, -1, 0, 0, deficit, 0, -1)
    value_account(v, user)
    if v.user[user].breached == 1:
        _end_breach(v, user, t_ms)


@inline_kernel
def _holds_collateral(v, user):  # type: ignore[no-untyped-def]
    for token in range(1, v.par[0].n_tokens):
        if v.token_spec[token].ltv > 0.0 and v.token[user, token] > 0:
            return True
    return False


@inline_kernel
def settle_step(v, t_ms):  # type: ignore[no-untyped-def]
    """At mark updates: accounts below initial margin lose risk-increasing orders, newest first."""
    for user in range(v.par[0].n_users):
        if v.user[user].n_orders == 0:
            continue
        value_account(v, user)
        while v.risk[user].available_usd < 0.0:
            inst = cancel_newest_risk_increasing(v, user)
            if inst < 0:
                break
            log_event(v, t_ms, EV_RISK_ORDER_CANCELLED, user, inst, 0, 0, 0, 0, -1)
            value_account(v, user)
