"""The backstop: a ring-fenced account that sells what it took over and repays what it assumed.

It sells a fixed share of the rest at every mark update, so that the rest halves every ten minutes;
debts are repaid from the sales, and from its own capital once every token is sold.
"""

from __future__ import annotations

from stressbook.market.codes import (
    BUY,
    CAUSE_TWAP_SALE,
    EV_BACKSTOP_USED,
    EV_WRITTEN_OFF,
    FAULT_OUTBOX,
    FORCED,
    IOC,
    OP_NEW,
    PERP,
    REDUCE_ONLY,
    SELL,
    TWAP,
)
from stressbook.market.events import log_event
from stressbook.market.kernel import inline_kernel, sub_kernel
from stressbook.market.reserve import repay, write_off
from stressbook.market.state import C_FAULT, C_OUTBOX, N_TICKS


@sub_kernel
def emit_forced(v, user, inst, side, price_usd, lots, flags, t_ms):  # type: ignore[no-untyped-def]
    """Put an order without latency into the outbox, at most the forced slippage away from a price."""
    n = v.ctr[C_OUTBOX]
    if n >= v.outbox.shape[0]:
        v.ctr[C_FAULT] |= FAULT_OUTBOX
        return
    slip = v.par[0].forced_slippage_frac
    bound_usd = price_usd * (1.0 + slip) if side == BUY else price_usd * (1.0 - slip)
    m = v.outbox[n]
    m.op = OP_NEW
    m.user = user
    m.inst = inst
    m.side = side
    m.price_tick = min(max(int(bound_usd / v.inst[inst].tick_usd), 1), N_TICKS - 1)
    m.qty_lots = lots
    m.tif = IOC
    m.options = flags
    m.client_id = 0
    m.handle = 0
    m.emitted_ms = t_ms
    v.ctr[C_OUTBOX] = n + 1


@inline_kernel
def loss_limit_holds(v):  # type: ignore[no-untyped-def]
    """Whether the backstop may take perps: on, and its equity (capital inside) above zero."""
    return v.par[0].backstop_on == 1 and v.risk[v.par[0].backstop_user].equity_usd > 0.0


@sub_kernel
def sell_taken_over(v, t_ms):  # type: ignore[no-untyped-def]
    """Emit this update's part of the disposal: perps reduced, tokens sold for USDC."""
    user = v.par[0].backstop_user
    frac = v.par[0].twap_step_frac
    for inst in range(v.par[0].n_insts):
        spec = v.inst[inst]
        if spec.kind == PERP:
            rest = v.perp[user, inst]
            price_usd = v.price[spec.asset].mark_usd
        else:
            rest = v.token[user, spec.token] // spec.lot_units
            price_usd = v.price[spec.asset].oracle_usd
        if rest != 0:
            lots = max(1, int(float(abs(rest)) * frac))
            side = SELL if rest > 0 else BUY
            flags = FORCED | TWAP | (REDUCE_ONLY if spec.kind == PERP else 0)
            emit_forced(v, user, inst, side, price_usd, lots, flags, t_ms)


@inline_kernel
def _holds_tokens(v, user):  # type: ignore[no-untyped-def]
    for inst in range(v.par[0].n_insts):
        spec = v.inst[inst]
        if spec.kind != PERP and v.token[user, spec.token] >= spec.lot_units:
            return True
    return False


@sub_kernel
def repay_assumed_debt(v, t_ms):  # type: ignore[no-untyped-def]
    """Repay from sales; once all is sold from capital; the rest goes down the reserve's waterfall."""
    user = v.par[0].backstop_user
    me = v.user[user]
    sold_micro = v.flow[user, 0, CAUSE_TWAP_SALE]
    if v.debt[user, 0] == 0:
        me.sales_used_micro = sold_micro  # what a sale brought beyond its debt is capital
        return
    from_sales = min(max(sold_micro - me.sales_used_micro, 0), v.debt[user, 0])
    from_sales = min(from_sales, max(v.cash[user], 0))
    if from_sales > 0:
        repay(v, user, 0, from_sales)
        me.sales_used_micro += from_sales
    if v.debt[user, 0] > 0 and not _holds_tokens(v, user):
        from_capital = min(v.debt[user, 0], max(v.cash[user], 0))
        if from_capital > 0:
            repay(v, user, 0, from_capital)
            log_event(v, t_ms, EV_BACKSTOP_USED, user, -1, 0, 0, from_capital, 0, -1)
        left = v.debt[user, 0]
        if left > 0:
            write_off(v, user, 0, left)
            log_event(v, t_ms, EV_WRITTEN_OFF, user, -1, 0, 0, left, 0, -1)
