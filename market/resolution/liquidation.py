"""What becomes of the perps that a breached account loses: the book, at a limit, or the backstop.

The venue sends orders with a limit from the mark. For comparison: a limit that widens with the
account's distress (dYdX v4-chain, fillable price, at 84d4664), and handing over to the backstop at
the mark for a penalty (Paradex docs, liquidations, 2026).
"""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.margin.marginal import freed_by_closing_usd, maintenance_after_usd
from stressbook.market.margin.valuation import backing_usd, value_account
from stressbook.market.numbers.units import round_down
from stressbook.market.orders.forced import emit_forced
from stressbook.market.resolution.backstop import pay_backstop
from stressbook.market.resolution.selection import is_handed_over, plan_lots
from stressbook.market.resolution.takeover import take_perp
from stressbook.market.rules.ticks import limit_tick, tick_of
from stressbook.market.state.codes import (
    BUY,
    CAUSE_FORCED_TRADE,
    EV_FORCED_ORDER,
    FAULT_POLICY,
    FORCED,
    PRICE_FILLABLE,
    PRICE_SLIPPAGE,
    REDUCE_ONLY,
    SELL,
)
from stressbook.market.state.events import log_event
from stressbook.market.state.ledger import raise_fault
from stressbook.market.state.records import VenueState

__all__ = ["fillable_price_usd", "liquidate_perps"]


@inline_kernel
def fillable_price_usd(
    value_usd: float,
    size: float,
    collateral_usd: float,
    requirement_usd: float,
    slice_requirement_usd: float,
    adjustment: float,
    spread_frac: float,
) -> float:
    """Return the worst price at which a position of a distressed account is sold or bought back.

    Parameters
    ----------
    value_usd, size : float
        Of the position at the mark, signed alike; size in the underlying, not 0.
    collateral_usd, requirement_usd : float
        What stands behind the account, and its maintenance requirement, above 0.
    slice_requirement_usd : float
        Of the position.
    adjustment : float
        How fast the limit widens as collateral falls below the requirement.
    spread_frac : float
        Widest spread to the mark, of the position's requirement.

    Returns
    -------
    float
        USD.

    Examples
    --------
    >>> fillable_price_usd(5_000.0, 0.1, 0.0, 500.0, 500.0, 1.0, 0.1)
    49500.0
    """
    distress = adjustment * (1.0 - collateral_usd / requirement_usd)
    distress = min(max(distress, 0.0), 1.0)
    return (value_usd - distress * spread_frac * slice_requirement_usd) / size


@sub_kernel
def liquidate_perps(v: VenueState, user: int, t_ms: int) -> None:
    """Have an account lose what is planned of each perp.

    Parameters
    ----------
    v : VenueState
        Changed in `plan_lots`, `user`, `outbox` and `event`, at the mark in the ledger.
    user : int
        In breach, with perps.
    t_ms : int
        Time of the step.
    """
    plan_lots(v, user, t_ms)
    if is_handed_over(v):
        _give_planned(v, user, t_ms)
        return
    for inst in range(v.inst.shape[0]):
        if v.plan_lots[inst] > 0:
            _send_order(v, user, inst, int(v.plan_lots[inst]), t_ms)


@inline_kernel
def _send_order(v: VenueState, user: int, inst: int, lots: int, t_ms: int) -> None:
    price = v.price[v.inst[inst].asset]
    is_long = v.perp[user, inst] > 0
    side = SELL if is_long else BUY
    slippage_frac, tick_usd = v.par[0].forced_slippage_frac, v.inst[inst].tick_usd
    policy = int(v.par[0].price_policy)
    if policy == PRICE_SLIPPAGE:
        tick = limit_tick(side, price.mark_usd, slippage_frac, tick_usd)
    elif policy == PRICE_FILLABLE:
        tick = tick_of(_fillable_usd(v, user, inst), tick_usd)
    else:
        raise_fault(v, FAULT_POLICY)
        return
    emit_forced(v, user, inst, side, tick, lots, FORCED | REDUCE_ONLY, t_ms)
    log_event(
        v,
        t_ms,
        EV_FORCED_ORDER,
        user,
        inst,
        -lots if is_long else lots,
        int(price.mark_e8),
        0,
        CAUSE_FORCED_TRADE,
        -1,
    )


@inline_kernel
def _fillable_usd(v: VenueState, user: int, inst: int) -> float:
    spec = v.inst[inst]
    size = float(int(v.perp[user, inst])) * spec.lot_size
    return fillable_price_usd(
        size * v.price[spec.asset].mark_usd,
        size,
        backing_usd(v, user),
        v.risk[user].maintenance_usd,
        freed_by_closing_usd(v, user, inst),
        v.par[0].fillable_adjustment,
        v.par[0].fillable_spread_frac,
    )


@inline_kernel
def _give_planned(v: VenueState, user: int, t_ms: int) -> None:
    """Give the backstop what is planned at the mark, with the penalty on what is set free."""
    for inst in range(v.inst.shape[0]):
        lots = int(v.plan_lots[inst])
        v.shift_lots[inst] = -lots if v.perp[user, inst] > 0 else lots
    left_usd = maintenance_after_usd(v, user)
    freed_usd = max(0.0, v.risk[user].maintenance_usd - left_usd)
    for inst in range(v.inst.shape[0]):
        if v.shift_lots[inst] != 0:
            take_perp(v, user, inst, -int(v.shift_lots[inst]), t_ms)
    penalty_usd = min(v.par[0].penalty_frac * freed_usd, max(0.0, v.risk[user].equity_usd))
    pay_backstop(v, user, round_down(penalty_usd * 1e6), t_ms)
    value_account(v, int(v.par[0].backstop_user))
    value_account(v, user)
