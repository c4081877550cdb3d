"""Auto-deleveraging: an account below zero is closed against the other side, at the previous mark.

Who of the other side gives up how much is a rule: the highest scores (the venue's way), all pro
rata, or the most levered down to one leverage. The venue ranks by price gain x leverage,
(mark / entry) x (notional / account value), for shorts with entry / mark; its page writes
mark / entry for all, which would rank losing shorts first. Accounts below zero come last, so that
every position can be closed. Source: Hyperliquid docs, auto-deleveraging, 2026-01; for the other
ways docs/decisions/0043-resolution-policies.md.
"""

from typing import Final

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.numbers.allocation import (
    NOBODY,
    share_by_leverage,
    share_by_size,
    take_by_score,
)
from stressbook.market.numbers.units import NEAREST, mul_div
from stressbook.market.resolution.deleveraging_scores import deleveraging_score, price_gain
from stressbook.market.state.codes import (
    ALLOCATE_LEVELLING,
    ALLOCATE_PRO_RATA,
    ALLOCATE_RANK,
    CAUSE_DELEVERAGING,
    EV_DELEVERAGED,
    FAULT_POLICY,
)
from stressbook.market.state.events import log_event
from stressbook.market.state.ledger import book_perp_at, raise_fault
from stressbook.market.state.records import VenueState

__all__ = ["deleverage"]

_ANY: Final = 0  # whose positions are in a queue: everybody's, or by the sign of their equity
_ABOVE_ZERO: Final = 1
_BELOW_ZERO: Final = 2


@sub_kernel
def deleverage(v: VenueState, user: int, t_ms: int) -> None:
    """Close every perp of an account against the other side, in whole lots.

    Parameters
    ----------
    v : VenueState
        Changed in the ledger and `event`: one for each counterparty, its lots those that the
        account gave up, its amount what the counterparty lost against the present mark.
    user : int
        An account below zero.
    t_ms : int
        Time of the step.
    """
    way = int(v.par[0].allocate_policy)
    for inst in range(v.inst.shape[0]):
        wanted = abs(int(v.perp[user, inst]))
        if wanted == 0:
            continue
        if way == ALLOCATE_RANK:
            _close_by_score(v, user, inst, wanted, t_ms)
        elif way == ALLOCATE_PRO_RATA:
            _fill_queue(v, user, inst, _ANY)
            share_by_size(v.queue_size, wanted, v.queue_taken, v.queue_order)
            _close_all(v, user, inst, t_ms)
        elif way == ALLOCATE_LEVELLING:
            _close_by_leverage(v, user, inst, wanted, t_ms)
        else:
            raise_fault(v, FAULT_POLICY)


@inline_kernel
def _close_by_score(v: VenueState, user: int, inst: int, wanted: int, t_ms: int) -> None:
    _fill_queue(v, user, inst, _ANY)
    take_by_score(v.queue_size, v.queue_score, wanted, v.queue_taken, v.queue_order)
    for place in range(v.queue_order.shape[0]):
        if v.queue_order[place] == NOBODY:
            break
        _close(v, user, inst, int(v.queue_order[place]), t_ms)


@inline_kernel
def _close_by_leverage(v: VenueState, user: int, inst: int, wanted: int, t_ms: int) -> None:
    """Level those with equity; accounts without any have no leverage, and lose last, by size."""
    _fill_queue(v, user, inst, _ABOVE_ZERO)
    left = share_by_leverage(v.queue_size, v.queue_score, wanted, v.queue_taken, v.queue_rest)
    _close_all(v, user, inst, t_ms)
    if left > 0:
        _fill_queue(v, user, inst, _BELOW_ZERO)
        share_by_size(v.queue_size, left, v.queue_taken, v.queue_order)
        _close_all(v, user, inst, t_ms)


@sub_kernel
def _fill_queue(v: VenueState, user: int, inst: int, whose: int) -> None:
    """List the positions of the other side with what orders them: scores, or room of leverage."""
    against_longs = v.perp[user, inst] > 0
    price = v.price[v.inst[inst].asset]
    mark_usd = float(int(price.previous_mark_e8)) / 1e8
    lot_usd = v.inst[inst].lot_size * mark_usd
    for other in range(v.par[0].n_users):
        lots = int(v.perp[other, inst])
        equity_usd = v.risk[other].equity_usd
        v.queue_size[other] = 0
        if lots == 0 or (lots > 0) == against_longs:
            continue
        if whose != _ANY and (equity_usd > 0.0) != (whose == _ABOVE_ZERO):
            continue
        v.queue_size[other] = abs(lots)
        if v.par[0].allocate_policy == ALLOCATE_LEVELLING:
            v.queue_score[other] = equity_usd / lot_usd
        else:
            v.queue_score[other] = _position_score(v, other, inst, lots, mark_usd)


@inline_kernel
def _position_score(v: VenueState, other: int, inst: int, lots: int, mark_usd: float) -> float:
    lot_size = v.inst[inst].lot_size
    cost_usd = float(int(v.entry_cost[other, inst])) / 1e6
    value_usd = float(lots) * lot_size * mark_usd
    gain = price_gain(lots > 0, cost_usd / (float(lots) * lot_size), mark_usd)
    equity_usd = float(v.risk[other].equity_usd)
    profit_usd = value_usd - cost_usd
    return deleveraging_score(v, gain, profit_usd, abs(cost_usd), abs(value_usd), equity_usd)


@inline_kernel
def _close_all(v: VenueState, user: int, inst: int, t_ms: int) -> None:
    for other in range(v.par[0].n_users):
        if v.queue_taken[other] > 0:
            _close(v, user, inst, other, t_ms)


@sub_kernel
def _close(v: VenueState, user: int, inst: int, winner: int, t_ms: int) -> None:
    """Close what the queue says against one counterparty."""
    price = v.price[v.inst[inst].asset]
    price_e8 = int(price.previous_mark_e8)
    worse_e8 = price_e8 - int(price.mark_e8)
    taken = int(v.queue_taken[winner])
    moved = taken if v.perp[user, inst] > 0 else -taken
    book_perp_at(v, user, winner, inst, moved, price_e8, CAUSE_DELEVERAGING)
    loss = mul_div(moved, worse_e8, int(v.inst[inst].mark_den), NEAREST)
    log_event(
        v, t_ms, EV_DELEVERAGED, user, inst, moved, price_e8, loss, CAUSE_DELEVERAGING, winner
    )
