"""The fault word: kernels cannot raise, so they set bits that become an error after the call."""

from stressbook.errors import LadderExhausted, OverflowFault
from stressbook.market.state.codes import (
    FAULT_EVENT_LOG,
    FAULT_FILL_LOG,
    FAULT_LADDER,
    FAULT_OUTBOX,
    FAULT_OVERFLOW,
    FAULT_POLICY,
)
from stressbook.market.state.records import C_FAULT, VenueState

__all__ = ["raise_faults"]


def raise_faults(state: VenueState, t_ms: int) -> None:
    """Turn the fault word into an error.

    Parameters
    ----------
    state : VenueState
        Read only.
    t_ms : int
        Time of the step, for the message.

    Raises
    ------
    LadderExhausted, OverflowFault, ConservationError
        For a price off its ladder, a balance or log that overflowed, units that do not add up.
    """
    word = int(state.ctr[C_FAULT])
    if word == 0:
        return
    if word & FAULT_LADDER:
        raise LadderExhausted(
            "left the price ladder",
            name="oracle or mark price",
            value=[float(p) for p in state.price["oracle_usd"]],
            allowed="1 to 262143 ticks",
            hint=f"at t = {t_ms} ms; a smaller shock, or another opening tick",
        )
    logs = {
        FAULT_OVERFLOW: "a balance passed 2^62",
        FAULT_FILL_LOG: "the fill log of one step is full",
        FAULT_EVENT_LOG: "the event log of one step is full",
        FAULT_OUTBOX: "the outbox of one step is full",
        FAULT_POLICY: "a rule names a policy that has no behaviour",
    }
    found = [text for bit, text in logs.items() if word & bit]
    raise OverflowFault("; ".join(found), name="t_ms", value=t_ms)
