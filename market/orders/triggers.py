"""Trigger orders: what waits off the book until the mark reaches a price.

A stop buys when the mark has risen to its trigger or sells when it has fallen to it; a take does
the contrary. Waiting triggers bind no margin. At a mark update those that are reached become
ordinary orders in the order of their placing; these arrive without latency and pass every check.
Source: Hyperliquid docs, order types, 2026-08-01; readings in docs/decisions/0042.
"""

from stressbook.market.compiling.arrays import Record
from stressbook.market.compiling.bits import natural
from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.orders.client_ids import find_client_id, hash_client_id
from stressbook.market.orders.halts import is_halted
from stressbook.market.orders.trigger_table import drop_trigger, is_waiting
from stressbook.market.rules.ticks import limit_tick
from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    EV_TRIGGERED,
    FAULT_OUTBOX,
    GTC,
    IOC,
    OP_NEW,
    PERP,
    POST_ONLY,
    R_BAD_INSTRUMENT,
    R_BAD_PRICE,
    R_BAD_QUANTITY,
    R_BAD_SIDE,
    R_BAD_TIF,
    R_BAD_TRIGGER,
    R_DUPLICATE_CLIENT_ID,
    R_HALTED,
    R_TRIGGERS_FULL,
    REDUCE_ONLY,
    SELL,
    TAKE,
    TRIGGER_STOP_LIMIT,
    TRIGGER_STOP_MARKET,
    TRIGGER_TAKE_LIMIT,
    TRIGGER_TAKE_MARKET,
    TRIGGERED,
)
from stressbook.market.state.events import log_event
from stressbook.market.state.ledger import raise_fault
from stressbook.market.state.records import C_OUTBOX, C_TRIGGERS, N_TICKS, VenueState

__all__ = ["fire_triggers", "is_reached", "place_trigger"]


@inline_kernel
def is_reached(side: int, flags: int, trigger_e8: int, mark_e8: int) -> bool:
    """Tell whether a mark has reached a trigger.

    Parameters
    ----------
    side, flags : int
        Of its order; `TAKE` or not.
    trigger_e8, mark_e8 : int
        1e-8 USD.

    Returns
    -------
    bool
        At the trigger too.

    Examples
    --------
    >>> is_reached(SELL, 0, 95, 94), is_reached(SELL, TAKE, 95, 94), is_reached(BUY, 0, 95, 95)
    (True, False, True)
    """
    waits_for_rise = (side == BUY) != (flags & TAKE != 0)
    return mark_e8 >= trigger_e8 if waits_for_rise else mark_e8 <= trigger_e8


@sub_kernel
def place_trigger(v: VenueState, message: Record) -> int:
    """Let an order wait for the mark, or refuse it.

    Parameters
    ----------
    v : VenueState
        Changed in `trigger` and `n_triggers`.
    message : record of MESSAGE
        Of a known user; all else may be any int64.

    Returns
    -------
    int
        `ACCEPTED` or the first refusal that applies. Size, margin and caps are asked for when the
        order is sent.
    """
    user, client_id = int(message.user), int(message.client_id)
    code = _refusal(v, message)
    if code != ACCEPTED:
        return code
    if client_id != 0:
        if find_client_id(v, user, client_id, hash_client_id(user, client_id)) != 0:
            return R_DUPLICATE_CLIENT_ID
        if is_waiting(v, user, client_id):
            return R_DUPLICATE_CLIENT_ID
    place = int(v.ctr[C_TRIGGERS])
    if place >= v.trigger.shape[0]:
        return R_TRIGGERS_FULL
    t = v.trigger[place]
    t.user = user
    t.inst = message.inst
    t.side = message.side
    t.tif = message.tif
    t.options = message.options
    t.price_tick = message.price_tick
    t.qty_lots = message.qty_lots
    t.client_id = client_id
    t.trigger_tick = message.handle
    v.ctr[C_TRIGGERS] = place + 1
    v.n_triggers[user] += 1
    return ACCEPTED


@inline_kernel
def _refusal(v: VenueState, message: Record) -> int:
    inst, side, tif = int(message.inst), int(message.side), int(message.tif)
    tick, lots, trigger = int(message.price_tick), int(message.qty_lots), int(message.handle)
    if inst < 0 or inst >= v.inst.shape[0] or v.inst[natural(inst)].kind != PERP:
        return R_BAD_INSTRUMENT
    if is_halted(v, inst):
        return R_HALTED
    spec = v.inst[natural(inst)]
    if side not in (BUY, SELL):
        return R_BAD_SIDE
    if tif < GTC or tif > POST_ONLY:
        return R_BAD_TIF
    if lots <= 0 or lots > spec.max_position_lots:
        return R_BAD_QUANTITY
    if tick < 0 or tick >= N_TICKS or (tick == 0 and tif != IOC):
        return R_BAD_PRICE
    if trigger <= 0 or trigger >= N_TICKS:
        return R_BAD_TRIGGER
    mark_e8 = int(v.price[natural(spec.asset)].mark_e8)
    if is_reached(side, int(message.options), trigger * int(spec.tick_e8), mark_e8):
        return R_BAD_TRIGGER
    return ACCEPTED


@sub_kernel
def fire_triggers(v: VenueState, t_ms: int) -> None:
    """Send the orders of all triggers that the mark has reached, the oldest first.

    Parameters
    ----------
    v : VenueState
        Changed in `outbox`, `trigger`, `n_triggers` and `event`.
    t_ms : int
        Time of the step, a mark update.
    """
    place = 0
    while place < v.ctr[C_TRIGGERS]:
        t = v.trigger[place]
        spec = v.inst[natural(t.inst)]
        mark_e8 = int(v.price[natural(spec.asset)].mark_e8)
        level_e8 = int(t.trigger_tick) * int(spec.tick_e8)
        reached = is_reached(int(t.side), int(t.options), level_e8, mark_e8)
        if reached and not is_halted(v, int(t.inst)):
            _send_order(v, t, t_ms)
            lots = int(t.qty_lots) if t.side == BUY else -int(t.qty_lots)
            user, inst = int(t.user), int(t.inst)
            log_event(v, t_ms, EV_TRIGGERED, user, inst, lots, mark_e8, 0, _cause(t), -1)
            drop_trigger(v, place)
        else:
            place += 1


@inline_kernel
def _cause(t: Record) -> int:
    if t.options & TAKE != 0:
        return TRIGGER_TAKE_MARKET if t.price_tick == 0 else TRIGGER_TAKE_LIMIT
    return TRIGGER_STOP_MARKET if t.price_tick == 0 else TRIGGER_STOP_LIMIT


@inline_kernel
def _send_order(v: VenueState, t: Record, t_ms: int) -> None:
    place = int(v.ctr[C_OUTBOX])
    if place >= v.outbox.shape[0]:
        raise_fault(v, FAULT_OUTBOX)
        return
    tick = int(t.price_tick)
    if tick == 0:
        slippage_frac = v.par[0].trigger_slippage_frac
        tick = limit_tick(int(t.side), float(t.trigger_tick), slippage_frac, 1.0)
    message = v.outbox[place]
    message.op = OP_NEW
    message.user = t.user
    message.inst = t.inst
    message.side = t.side
    message.tif = t.tif
    message.options = int(t.options) & REDUCE_ONLY | TRIGGERED
    message.price_tick = tick
    message.qty_lots = t.qty_lots
    message.client_id = t.client_id
    message.handle = 0
    message.emitted_ms = t_ms
    v.ctr[C_OUTBOX] = place + 1
