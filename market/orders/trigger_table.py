"""The table of waiting triggers: an array in the order of their placing, without gaps."""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.state.records import C_TRIGGERS, VenueState

__all__ = ["cancel_trigger", "cancel_triggers", "drop_trigger", "is_waiting"]


@inline_kernel
def drop_trigger(v: VenueState, place: int) -> None:
    """Take a trigger out of the table, and close its gap.

    Parameters
    ----------
    v : VenueState
        Changed in `trigger` and `n_triggers`.
    place : int
        Of a waiting trigger.
    """
    v.n_triggers[v.trigger[place].user] -= 1
    last = int(v.ctr[C_TRIGGERS]) - 1
    for k in range(place, last):
        v.trigger[k] = v.trigger[k + 1]
    v.ctr[C_TRIGGERS] = last


@sub_kernel
def cancel_trigger(v: VenueState, user: int, client_id: int) -> bool:
    """Take the waiting trigger of a client id away.

    Parameters
    ----------
    v : VenueState
        Changed in `trigger` and `n_triggers`.
    user, client_id : int
        The name; 0 names nothing.

    Returns
    -------
    bool
        Whether there was one.
    """
    place = _find(v, user, client_id)
    if place >= 0:
        drop_trigger(v, place)
    return place >= 0


@sub_kernel
def cancel_triggers(v: VenueState, user: int, inst: int) -> int:
    """Take the waiting triggers of a user away.

    Parameters
    ----------
    v : VenueState
        Changed in `trigger` and `n_triggers`.
    user : int
        Whose.
    inst : int
        One book, or -1 for all of them.

    Returns
    -------
    int
        How many there were.
    """
    if v.n_triggers[user] == 0:
        return 0
    n_kept, n = 0, int(v.ctr[C_TRIGGERS])
    for place in range(n):
        t = v.trigger[place]
        if t.user != user or (inst >= 0 and t.inst != inst):
            if n_kept != place:
                v.trigger[n_kept] = v.trigger[place]
            n_kept += 1
    v.ctr[C_TRIGGERS] = n_kept
    v.n_triggers[user] -= n - n_kept
    return n - n_kept


@inline_kernel
def is_waiting(v: VenueState, user: int, client_id: int) -> bool:
    """Tell whether a trigger of that client id waits.

    Parameters
    ----------
    v : VenueState
        Read only.
    user, client_id : int
        The name; 0 names nothing.

    Returns
    -------
    bool
    """
    return v.n_triggers[user] != 0 and _find(v, user, client_id) >= 0


@sub_kernel
def _find(v: VenueState, user: int, client_id: int) -> int:
    if client_id != 0 and v.n_triggers[user] != 0:
        for place in range(int(v.ctr[C_TRIGGERS])):
            t = v.trigger[place]
            if t.user == user and t.client_id == client_id:
                return place
    return -1
