"""The matching of a step: every sequenced message is validated, admitted, executed and answered.

A message does all of what it asks for or is refused with a code and no effect. Replies stand in the
order of execution. One order can trade with at most all that rest, so a batch ends before an order
for which the fill log might not have room.
"""

from typing import Final

from stressbook.market.compiling.arrays import Record, Records
from stressbook.market.compiling.bits import natural, prefetch
from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.reserve import redeem
from stressbook.market.margin.admission import admits
from stressbook.market.margin.enrolment import enrol
from stressbook.market.margin.loans import supply
from stressbook.market.margin.pockets import transfer_margin
from stressbook.market.orders.book import (
    cancel_all,
    cancel_client_id,
    cancel_handle,
    check_order,
    lots_allowed,
    place,
)
from stressbook.market.orders.client_ids import hash_client_id
from stressbook.market.orders.depth import open_books
from stressbook.market.orders.halts import is_halted
from stressbook.market.orders.order_rules import refusal_by_rules
from stressbook.market.orders.requests import deposit, set_leverage, withdraw
from stressbook.market.orders.trigger_table import cancel_trigger, cancel_triggers
from stressbook.market.orders.triggers import place_trigger
from stressbook.market.state.codes import (
    ACCEPTED,
    CANCELLED,
    EV_REFUSAL,
    FAULT_FILL_LOG,
    FORCED,
    FROM_POCKET,
    N_OPS,
    OP_CANCEL,
    OP_CANCEL_ALL,
    OP_CANCEL_CLIENT_ID,
    OP_DEPOSIT,
    OP_ENROL,
    OP_LEVERAGE,
    OP_NEW,
    OP_REDEEM,
    OP_SUPPLY,
    OP_TRANSFER,
    OP_TRIGGER,
    OP_WITHDRAW,
    OWN_MOVE,
    PLACEBO,
    R_BAD_INSTRUMENT,
    R_BAD_OP,
    R_BAD_USER,
    R_HALTED,
    R_NOT_SUPPORTED,
    REDUCE_ONLY,
    TAKE,
    TRIGGERED,
    TWAP,
)
from stressbook.market.state.events import log_event
from stressbook.market.state.ledger import raise_fault
from stressbook.market.state.records import C_FILLS, C_LIVE, C_REPLIES, VenueState

__all__ = ["match_batch", "match_messages"]

_AHEAD: Final = 6  # messages between the prefetch of what one needs and its execution
_ALL_FLAGS: Final = REDUCE_ONLY | FORCED | TWAP | OWN_MOVE | FROM_POCKET | PLACEBO | TRIGGERED
_TRIGGER_FLAGS: Final = REDUCE_ONLY | TAKE


@inline_kernel
def match_messages(v: VenueState, n: int, t_ms: int) -> None:
    """Execute the sequenced messages of a step.

    Parameters
    ----------
    v : VenueState
        The messages stand in `merged`; a fill log that is too small sets the fault word.
    n : int
        Number of messages.
    t_ms : int
        Time of the step.
    """
    open_books(v)
    if match_batch(v, v.merged, n, t_ms) < n:
        raise_fault(v, FAULT_FILL_LOG)


@inline_kernel
def match_batch(v: VenueState, messages: Records, n: int, t_ms: int) -> int:
    """Execute messages, as many as the fill log has room for.

    Parameters
    ----------
    v : VenueState
        Changed as the messages say.
    messages : (n or more,) MESSAGE
        In the order of execution.
    n : int
        Number of messages.
    t_ms : int
        Time of the step.

    Returns
    -------
    int
        How many were executed; less than `n` if the log must be emptied first.
    """
    for j in range(n):
        if int(v.ctr[C_FILLS]) + int(v.ctr[C_LIVE]) >= v.fill.shape[0]:
            return j
        if j + _AHEAD < n:
            _warm(v, messages[j + _AHEAD])
        message = messages[j]
        place_of_reply = natural(v.ctr[C_REPLIES])
        reply = v.reply[place_of_reply]
        reply.user = message.user
        reply.client_id = message.client_id
        reply.handle = 0 if message.op == OP_NEW else message.handle
        reply.filled_lots = 0
        code = _execute(v, message, t_ms)
        reply.code = code
        v.reply_count[code] += 1
        v.ctr[C_REPLIES] = place_of_reply + 1
    return n


@inline_kernel
def _execute(v: VenueState, message: Record, t_ms: int) -> int:
    op, user, flags = int(message.op), int(message.user), int(message.options)
    allowed = _TRIGGER_FLAGS if op == OP_TRIGGER else _ALL_FLAGS
    if op < 0 or op >= N_OPS or flags & ~allowed != 0:
        return R_BAD_OP
    if user < 0 or user >= v.user.shape[0]:
        return R_BAD_USER
    if v.user[user].parent >= 0 and flags & FORCED == 0:
        return R_BAD_USER  # pockets are spoken for by their account
    if op == OP_NEW:
        return _execute_order(v, message, t_ms)
    if op == OP_CANCEL_CLIENT_ID:
        code = cancel_client_id(v, user, int(message.client_id))
        if code != CANCELLED and cancel_trigger(v, user, int(message.client_id)):
            return CANCELLED
        return code
    if op == OP_CANCEL:
        return cancel_handle(v, user, int(message.handle))
    inst = int(message.inst)
    if op == OP_CANCEL_ALL:
        if inst < -1 or inst >= v.inst.shape[0]:
            return R_BAD_INSTRUMENT
        cancel_all(v, user, inst)
        cancel_triggers(v, user, inst)
        return CANCELLED
    if op == OP_TRIGGER:
        return place_trigger(v, message)
    return _execute_request(v, op, user, inst, int(message.qty_lots), flags)


@inline_kernel
def _execute_order(v: VenueState, message: Record, t_ms: int) -> int:
    user, inst, side = int(message.user), int(message.inst), int(message.side)
    tick, lots, tif = int(message.price_tick), int(message.qty_lots), int(message.tif)
    flags, client_id = int(message.options), int(message.client_id)
    code = R_HALTED
    if not is_halted(v, inst):
        code = check_order(v, user, inst, side, tick, lots, tif, flags, client_id)
    if code == ACCEPTED:
        lots = lots_allowed(v, user, inst, side, lots, flags)
        code = refusal_by_rules(v, user, inst, side, tick, lots, tif, flags)
        if code == ACCEPTED and v.par[0].admission_on != 0:
            code = admits(v, user, inst, side, tick, lots, flags)
        if code == ACCEPTED:
            return place(v, user, inst, side, tick, lots, tif, flags, client_id, t_ms)
    if flags & (FORCED | TRIGGERED) != 0:
        log_event(v, t_ms, EV_REFUSAL, user, inst, lots, 0, 0, code, -1)
    return code


@sub_kernel
def _execute_request(v: VenueState, op: int, user: int, inst: int, amount: int, flags: int) -> int:
    """Do what is no order."""
    if op == OP_DEPOSIT:
        return deposit(v, user, inst, amount, flags)
    if op == OP_WITHDRAW:
        return withdraw(v, user, inst, amount, flags)
    if op == OP_SUPPLY:
        return supply(v, user, inst, amount)
    if op == OP_REDEEM:
        return redeem(v, user, inst, amount)
    if op == OP_ENROL:
        return enrol(v, user, amount)
    if op == OP_LEVERAGE:
        return set_leverage(v, user, inst, amount)
    if op == OP_TRANSFER:
        return transfer_margin(v, user, inst, amount, flags)
    return R_NOT_SUPPORTED


@inline_kernel
def _warm(v: VenueState, message: Record) -> None:
    """Have the entry of a client id fetched before it is needed."""
    client_hash = hash_client_id(int(message.user), int(message.client_id))
    prefetch(v.client_slot, client_hash & (v.client_slot.shape[0] - 1))
