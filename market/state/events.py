"""The event log: every forced trade, takeover, deleveraging and deficit, with its cause."""

from __future__ import annotations

from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.state.codes import FAULT_EVENT_LOG
from stressbook.market.state.records import C_EVENTS, C_FAULT, VenueState


@inline_kernel
def log_event(
    v: VenueState,
    t_ms: int,
    kind: int,
    user: int,
    inst: int,
    lots: int,
    price_e8: int,
    amount_micro: int,
    cause: int,
    counterparty: int,
) -> None:
    """Append one EVENT of this step; -1 stands for "none" in inst and counterparty."""
    n = v.ctr[C_EVENTS]
    if n >= v.event.shape[0]:
        v.ctr[C_FAULT] |= FAULT_EVENT_LOG
        return
    e = v.event[n]
    e.t_ms = t_ms
    e.kind = kind
    e.user = user
    e.inst = inst
    e.lots = lots
    e.price_e8 = price_e8
    e.amount_micro = amount_micro
    e.cause = cause
    e.counterparty = counterparty
    v.ctr[C_EVENTS] = n + 1
