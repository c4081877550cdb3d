"""The backstop: a ring-fenced account that sells what it took over and repays what it assumed.

It sells a fixed share of the rest at every mark update, so that the rest halves every ten minutes.
Debts are repaid from those sales; once every token is sold from its own capital; and what is left
when its perps are closed as well is a deficit like any other. Tokens that it owes it buys back in
the spot book at the same pace, with what cash it has beyond its debt.
Source: Hyperliquid docs, liquidations, 2026-01; portfolio margin, 2026-08-01.
"""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.reserve import repay, set_off
from stressbook.market.lending.token_debts import pay_token_debts
from stressbook.market.margin.valuation import holds_perps, perp_value_micro
from stressbook.market.orders.forced import emit_forced
from stressbook.market.rules.ticks import limit_tick
from stressbook.market.state.codes import (
    BACKSTOP_FUND,
    BACKSTOP_NONE,
    BACKSTOP_VAULT,
    BUY,
    CAUSE_REPAY,
    CAUSE_TAKEOVER,
    CAUSE_TWAP_SALE,
    EV_BACKSTOP_USED,
    EV_LIQUIDATION_FEE,
    EV_SHORTFALL_PAID,
    FAULT_POLICY,
    FORCED,
    PERP,
    REDUCE_ONLY,
    SELL,
    TWAP,
)
from stressbook.market.state.events import log_event
from stressbook.market.state.ledger import move_cash, position_lots, raise_fault
from stressbook.market.state.records import VenueState

__all__ = [
    "can_buy_back",
    "has_sold_out",
    "loss_limit_holds",
    "pay_backstop",
    "repay_assumed_debt",
    "sell_taken_over",
    "twap_lots",
]


@inline_kernel
def twap_lots(rest_lots: int, step_frac: float) -> int:
    """Return what one mark update sells of a rest.

    Parameters
    ----------
    rest_lots : int
        Signed.
    step_frac : float
        Share that halves the rest in the half-life.

    Returns
    -------
    int
        Lots, at least one of a rest that is not 0.

    Examples
    --------
    >>> twap_lots(-1_000, 0.00346), twap_lots(5, 0.00346), twap_lots(0, 0.00346)
    (3, 1, 0)
    """
    if rest_lots == 0:
        return 0
    return max(1, int(float(abs(rest_lots)) * step_frac))


@inline_kernel
def loss_limit_holds(v: VenueState) -> bool:
    """Tell whether the backstop may take perps: it is on, and has equity left.

    Parameters
    ----------
    v : VenueState
        Changed in its faults by an unknown policy; equity, capital inside, as last valued.
    """
    policy = int(v.par[0].backstop_policy)
    if policy in (BACKSTOP_VAULT, BACKSTOP_FUND):
        return bool(v.risk[v.par[0].backstop_user].equity_usd > 0.0)
    if policy != BACKSTOP_NONE:
        raise_fault(v, FAULT_POLICY)
    return False


@sub_kernel
def pay_backstop(v: VenueState, user: int, amount: int, t_ms: int) -> None:
    """Book what goes between an account and the backstop beside positions at the mark.

    Parameters
    ----------
    v : VenueState
        Changed in `cash`, `flow` and `event`.
    user : int
        A user.
    amount : int
        Micro-USDC; below zero the backstop pays.
    t_ms : int
        Time of the step.
    """
    backstop = int(v.par[0].row_backstop)
    if amount == 0:
        return
    move_cash(v, user, backstop, amount, CAUSE_TAKEOVER)
    v.backstop[0].perp_cash_micro += amount
    kind = EV_LIQUIDATION_FEE if amount > 0 else EV_SHORTFALL_PAID
    log_event(v, t_ms, kind, user, -1, 0, 0, abs(amount), CAUSE_TAKEOVER, backstop)


@sub_kernel
def sell_taken_over(v: VenueState, t_ms: int) -> None:
    """Emit this update's part of the disposal: perps reduced, tokens sold, owed ones bought.

    Parameters
    ----------
    v : VenueState
        Changed in `outbox`.
    t_ms : int
        Time of the step.
    """
    user = int(v.par[0].backstop_user)
    free_micro = _free_micro(v)
    for inst in range(v.inst.shape[0]):
        spec = v.inst[inst]
        rest = position_lots(v, user, inst)
        if spec.kind != PERP and v.debt[user, spec.token] > 0:
            # Rounded away from zero where it owes more than it has.
            owned = int(v.token[user, spec.token]) - int(v.debt[user, spec.token])
            rest = owned // int(spec.lot_units)
            if rest < 0:
                free_micro -= _buy_back(v, inst, -rest, free_micro, t_ms)
                continue
        if rest == 0:
            continue
        price = v.price[spec.asset]
        flags = FORCED | TWAP
        price_usd = price.oracle_usd
        if spec.kind == PERP:
            flags |= REDUCE_ONLY
            price_usd = price.mark_usd
        side = SELL if rest > 0 else BUY
        lots = twap_lots(rest, v.par[0].twap_step_frac)
        tick = limit_tick(side, price_usd, v.par[0].forced_slippage_frac, spec.tick_usd)
        emit_forced(v, user, inst, side, tick, lots, flags, t_ms)


@sub_kernel
def repay_assumed_debt(v: VenueState, t_ms: int) -> None:
    """Repay what was assumed: from sales, and once every token is sold from capital.

    Parameters
    ----------
    v : VenueState
        Changed in the ledger, `reserve`, `user`, `backstop` and `event`.
    t_ms : int
        Time of the step.
    """
    user = int(v.par[0].backstop_user)
    me = v.user[user]
    pay_token_debts(v, user)
    set_off(v, user, 0, int(v.debt[user, 0]))
    free = int(v.cash[user]) + perp_value_micro(v, user)
    sold = int(v.flow[user, 0, CAUSE_TWAP_SALE])
    paid = repay(v, user, 0, min(sold - int(me.sales_used_micro), free))
    me.sales_used_micro += paid
    if v.debt[user, 0] == 0:
        me.sales_used_micro = sold  # what sales bring beyond the debt is capital
        return
    if not _holds_whole_lots(v, user):
        paid = repay(v, user, 0, free - paid)
        if paid > 0:
            v.backstop[0].used_micro += paid
            log_event(v, t_ms, EV_BACKSTOP_USED, user, -1, 0, 0, paid, CAUSE_REPAY, -1)


@inline_kernel
def has_sold_out(v: VenueState) -> bool:
    """Tell whether nothing is left of what the backstop took over: no perp, no lot of a token.

    Parameters
    ----------
    v : VenueState
        Read only.
    """
    user = int(v.par[0].backstop_user)
    return not holds_perps(v, user) and not _holds_whole_lots(v, user)


@inline_kernel
def _holds_whole_lots(v: VenueState, user: int) -> bool:
    for inst in range(v.inst.shape[0]):
        if v.inst[inst].kind != PERP and position_lots(v, user, inst) > 0:
            return True
    return False


@sub_kernel
def can_buy_back(v: VenueState) -> bool:
    """Tell whether the backstop has the cash for a lot of any token that it owes.

    Parameters
    ----------
    v : VenueState
        Read only.
    """
    user, free_micro = int(v.par[0].backstop_user), _free_micro(v)
    for inst in range(v.inst.shape[0]):
        spec = v.inst[inst]
        owes = spec.kind != PERP and v.debt[user, spec.token] > v.token[user, spec.token]
        if owes and _affordable_lots(v, inst, free_micro) > 0:
            return True
    return False


@inline_kernel
def _free_micro(v: VenueState) -> int:
    """Return the backstop's cash beyond its debt, perps at the mark; micro-USDC."""
    user = int(v.par[0].backstop_user)
    return int(v.cash[user]) - int(v.debt[user, 0]) + perp_value_micro(v, user)


@inline_kernel
def _lot_cost_micro(v: VenueState, inst: int) -> float:
    """Return the most that a lot of a token costs the backstop, fee in; micro-USDC."""
    user, spec = int(v.par[0].backstop_user), v.inst[inst]
    fee_frac = float(v.fee_tier[v.user[user].fee_tier].spot_taker_e7) / 1e7
    most_usd = v.price[spec.asset].oracle_usd * (1.0 + v.par[0].forced_slippage_frac)
    return float(spec.lot_size * most_usd * (1.0 + fee_frac) * 1e6)


@inline_kernel
def _affordable_lots(v: VenueState, inst: int, free_micro: int) -> int:
    return int(float(max(0, free_micro)) / _lot_cost_micro(v, inst))


@inline_kernel
def _buy_back(v: VenueState, inst: int, rest: int, free_micro: int, t_ms: int) -> int:
    """Bid for this update's part of tokens that are owed; return the most that it costs."""
    lots = min(twap_lots(rest, v.par[0].twap_step_frac), _affordable_lots(v, inst, free_micro))
    if lots <= 0:
        return 0
    user, spec = int(v.par[0].backstop_user), v.inst[inst]
    price_usd = v.price[spec.asset].oracle_usd
    tick = limit_tick(BUY, price_usd, v.par[0].forced_slippage_frac, spec.tick_usd)
    # Not under the flag of its sales: what those bring repays what it owes in USDC.
    emit_forced(v, user, inst, BUY, tick, lots, FORCED, t_ms)
    return int(float(lots) * _lot_cost_micro(v, inst)) + 1
