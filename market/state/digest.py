"""The fingerprint of a run: a SHA-256 chain over fills, events and the state in canonical order.

Nothing in it depends on slots, clocks or the engine: queues are listed by instrument, side, tick
and place, each order as user, client id, lots.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from stressbook.market.compiling.arrays import I64
from stressbook.market.state.records import (
    C_EVENTS,
    C_FILLS,
    C_PENDING,
    C_TRIGGERS,
    EMPTY_ASK,
    EMPTY_BID,
    VenueState,
)

_LEDGER: Final = ("cash", "token", "perp", "entry_cost", "supply", "debt", "flow")
_RECORDS: Final = ("user", "price", "reserve", "risk")


class DigestChain:
    """A running digest: one link a step, then the final state.

    Examples
    --------
    >>> chain = DigestChain()
    >>> chain.add(b"step 1")
    >>> len(chain.hexdigest())
    64
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, data: bytes) -> None:
        """Add raw bytes."""
        self._hash.update(data)

    def add_step(self, v: VenueState) -> None:
        """Add the fills and events of the step just run, in the order in which they happened."""
        for log, n in ((v.fill, v.ctr[C_FILLS]), (v.event, v.ctr[C_EVENTS])):
            if n:
                self._hash.update(log[:n].tobytes())

    def copy(self) -> DigestChain:
        """Return an independent chain that continues from here."""
        twin = DigestChain()
        twin._hash = self._hash.copy()
        return twin

    def hexdigest(self) -> str:
        """Return the digest so far, 64 hex digits."""
        return self._hash.hexdigest()


def canonical_state(v: VenueState) -> bytes:
    """Return the state as bytes that are equal exactly if two venues are in the same state.

    Parameters
    ----------
    v : VenueState
        Read only.

    Returns
    -------
    bytes
        Ledger, users, prices, reserves, queues, waiting messages and triggers.
    """
    parts = [np.ascontiguousarray(getattr(v, name)).tobytes() for name in _LEDGER + _RECORDS]
    if (v.regime["volatility_time_s"] > 0.0).any():
        parts += [v.unit[name].tobytes() for name in ("daily_variance", "range_multiple")]
    parts.append(canonical_queues(v).tobytes())
    parts.append(v.pending[: v.ctr[C_PENDING]].tobytes())
    parts.append(v.trigger[: v.ctr[C_TRIGGERS]].tobytes())
    return b"".join(parts)


def canonical_queues(v: VenueState) -> I64:
    """List resting orders by instrument, side, price from the best, and place in the queue.

    Parameters
    ----------
    v : VenueState
        Read only.

    Returns
    -------
    ndarray of int64, shape (n_orders, 7)
        Instrument, side, tick, user, client id, lots, flags.
    """
    rows: list[tuple[int, ...]] = []
    for inst in range(v.best.shape[0]):
        for side in (0, 1):
            for tick in _occupied_ticks(v, inst, side):
                link = int(v.level[inst, tick].head)
                while link > 0:
                    o = v.order[link - 1]
                    rows.append(
                        (
                            inst,
                            side,
                            tick,
                            int(o.user),
                            int(o.client_id),
                            int(o.qty_lots),
                            int(o.options),
                        )
                    )
                    link = int(o.next_slot)
    return np.array(rows, np.int64).reshape(-1, 7)


def _occupied_ticks(v: VenueState, inst: int, side: int) -> list[int]:
    words = v.bits0[inst, side]
    if v.best[inst, side] in (EMPTY_BID, EMPTY_ASK):
        return []
    bits = np.unpackbits(words.view(np.uint8), bitorder="little").view(np.bool_)
    ticks: list[int] = np.flatnonzero(bits).tolist()
    return ticks if side == 1 else ticks[::-1]
