"""Orders of the venue itself: forced sales, and what the backstop sells and buys back."""

from stressbook.market.compiling.kernel import sub_kernel
from stressbook.market.state.codes import FAULT_OUTBOX, IOC, OP_NEW
from stressbook.market.state.ledger import raise_fault
from stressbook.market.state.records import C_OUTBOX, VenueState

__all__ = ["emit_forced"]


@sub_kernel
def emit_forced(
    v: VenueState,
    user: int,
    inst: int,
    side: int,
    price_tick: int,
    lots: int,
    flags: int,
    t_ms: int,
) -> None:
    """Put an order without latency into the outbox.

    Parameters
    ----------
    v : VenueState
        Changed in `outbox`.
    user, inst, side, price_tick, lots, flags : int
        Of the message, an immediate-or-cancel order.
    t_ms : int
        Time of the step.
    """
    place = int(v.ctr[C_OUTBOX])
    if place >= v.outbox.shape[0]:
        raise_fault(v, FAULT_OUTBOX)
        return
    message = v.outbox[place]
    message.op = OP_NEW
    message.user = user
    message.inst = inst
    message.side = side
    message.price_tick = price_tick
    message.qty_lots = lots
    message.tif = IOC
    message.options = flags
    message.client_id = 0
    message.handle = 0
    message.emitted_ms = t_ms
    v.ctr[C_OUTBOX] = place + 1
