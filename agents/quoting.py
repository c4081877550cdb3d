"""Resting quotes by target: a rule says where each quote should stand, `refresh` does the rest.

A rule has numbered slots, one for each quote it may have: for each book first the bids, then the
asks, from the touch outwards. The client id of an order is slot + n_slots x counter, so that the
slot is the remainder and a replacement never meets the id of the order that it replaces. Targets
live in the memory record: `target_tick`, `target_lots` (0: no quote), `slack_ticks`, `counter`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stressbook.agents.outbox import cancel, place
from stressbook.market.codes import BUY, GTC, POST_ONLY, SELL
from stressbook.market.kernel import inline_kernel
from stressbook.market.state import N_TICKS

MEMORY_OF_QUOTES = ("target_tick", "target_lots", "slack_ticks")


def array_record(
    ints: str = "",
    floats: str = "",
    *,
    int_arrays: Mapping[str, int] | None = None,
    float_arrays: Mapping[str, int] | None = None,
) -> np.dtype[np.void]:
    """Return an aligned record dtype of scalars and short arrays.

    Parameters
    ----------
    ints, floats : str
        Word lists of the int64 and float64 scalars.
    int_arrays, float_arrays : mapping of str to int, optional
        Name to length of the arrays.

    Returns
    -------
    numpy.dtype

    Examples
    --------
    >>> array_record("counter", int_arrays={"target_tick": 3}).itemsize
    32
    """
    fields: list[tuple[str, type, tuple[int, ...]]] = []
    fields += [(name, np.int64, ()) for name in ints.split()]
    fields += [(name, np.float64, ()) for name in floats.split()]
    fields += [(name, np.int64, (size,)) for name, size in (int_arrays or {}).items()]
    fields += [(name, np.float64, (size,)) for name, size in (float_arrays or {}).items()]
    return np.dtype((np.record, np.dtype(fields, align=True)))


@inline_kernel
def bid_tick(price_usd, tick_usd):  # type: ignore[no-untyped-def]
    """Return the highest tick at or below a price."""
    return int(price_usd / tick_usd)


@inline_kernel
def ask_tick(price_usd, tick_usd):  # type: ignore[no-untyped-def]
    """Return the lowest tick at or above a price."""
    tick = int(price_usd / tick_usd)
    return tick + 1 if float(tick) * tick_usd < price_usd else tick


@inline_kernel
def lots_of(usd, lot_size, price_usd):  # type: ignore[no-untyped-def]
    """Return how many whole lots an amount buys; 0 where there is no price."""
    value = lot_size * price_usd
    return int(usd / value) if usd > 0.0 and value > 0.0 else 0


@inline_kernel
def set_target(m, slot, tick, lots, slack_ticks):  # type: ignore[no-untyped-def]
    """Say where the quote of a slot should stand; off the ladder there is none."""
    m.target_tick[slot] = tick
    m.target_lots[slot] = lots if 0 < tick < N_TICKS - 1 and lots > 0 else 0
    m.slack_ticks[slot] = slack_ticks


@inline_kernel
def refresh(me, out, inst, first, n_levels, n_slots, n_eager, is_turn, n_taking):  # type: ignore[no-untyped-def]
    """Cancel what no longer stands for its slot and place what is missing, in one book.

    A quote stays while its price is within its slack and half to three halves of its size are
    left. One that lags behind on the safe side waits for the account's turn, except the innermost
    `n_eager`. Quotes are post-only, but the innermost `n_taking` may take.
    """
    m = me.memory
    kept = 0
    for k in range(me.order.shape[0]):
        order = me.order[k]
        if order.inst != inst:
            continue
        slot = order.client_id % n_slots
        bit = 1 << (slot - first)
        eager = is_turn or (slot - first) % n_levels < n_eager
        if kept & bit == 0 and stands(order, m, slot, eager):
            kept |= bit
        else:
            cancel(out, me, order.client_id)
    for j in range(2 * n_levels):
        slot = first + j
        if (kept >> j) & 1 == 0 and m.target_lots[slot] > 0:
            m.counter += 1
            tif = GTC if j % n_levels < n_taking else POST_ONLY
            side = BUY if j < n_levels else SELL
            client_id = slot + n_slots * m.counter
            place(out, me, inst, side, m.target_tick[slot], m.target_lots[slot], tif, 0, client_id)


@inline_kernel
def stands(order, m, slot, eager):  # type: ignore[no-untyped-def]
    """Whether a resting order may stay as the quote of its slot."""
    lots = m.target_lots[slot]
    if lots <= 0 or 2 * order.qty_lots < lots or 2 * order.qty_lots > 3 * lots:
        return False
    lead = order.price_tick - m.target_tick[slot]
    if order.side == SELL:
        lead = -lead
    if lead > m.slack_ticks[slot]:
        return False
    return not (eager and lead < -m.slack_ticks[slot])
