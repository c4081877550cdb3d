"""Resting quotes by target: a rule says where each quote should stand, `refresh` does the rest.

A rule has numbered slots, one for each quote it may have: for each book first the bids, then the
asks, from the touch outwards. The client id of an order is slot + n_slots x counter, so that the
slot is the remainder and a replacement never meets the id of the order that it replaces. Targets
live in the memory record: `target_tick`, `target_lots` (0: no quote), `slack_ticks`, `counter`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stressbook.agents.execution import Sender
from stressbook.agents.outbox import Outbox, cancel, place
from stressbook.agents.view import Me
from stressbook.market.compiling.kernel import inline_kernel, spliced_kernel
from stressbook.market.state.codes import BUY, GTC, POST_ONLY, SELL
from stressbook.market.state.records import N_TICKS

__all__ = ["array_record", "ask_tick", "bid_tick", "lots_of", "refresh", "set_target", "targets"]


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
    fields: list[Any] = [(name, np.int64) for name in ints.split()]
    fields += [(name, np.float64) for name in floats.split()]
    fields += [(name, np.int64, (size,)) for name, size in (int_arrays or {}).items()]
    fields += [(name, np.float64, (size,)) for name, size in (float_arrays or {}).items()]
    return np.dtype((np.record, np.dtype(fields, align=True)))


def targets(n_slots: int) -> dict[str, int]:
    """Return the target arrays that a memory record needs for `refresh`.

    Parameters
    ----------
    n_slots : int
        Number of quotes that the rule may have.

    Returns
    -------
    dict of str to int
        For `array_record`.

    Examples
    --------
    >>> targets(4)["target_tick"]
    4
    """
    return dict.fromkeys(("target_tick", "target_lots", "slack_ticks"), n_slots)


@spliced_kernel
def bid_tick(price_usd: float, tick_usd: float) -> Any:
    """Return the highest tick at or below a price."""
    return int(price_usd / tick_usd)


@spliced_kernel
def ask_tick(price_usd: float, tick_usd: float) -> Any:
    """Return the lowest tick at or above a price."""
    tick = int(price_usd / tick_usd)
    return tick + 1 if float(tick) * tick_usd < price_usd else tick


@spliced_kernel
def lots_of(usd: float, lot_usd: float) -> Any:
    """Return how many whole lots an amount buys; none where a lot has no price."""
    return int(usd / lot_usd) if usd > 0.0 and lot_usd > 0.0 else 0


@inline_kernel
def set_target(m: Any, slot: int, tick: int, lots: int, slack_ticks: int) -> None:
    """Say where the quote of a slot should stand; off the ladder there is none."""
    m.target_tick[slot] = tick
    m.target_lots[slot] = lots if 0 < tick < N_TICKS - 1 and lots > 0 else 0
    m.slack_ticks[slot] = slack_ticks


@inline_kernel
def refresh(
    me: Me,
    out: Outbox,
    inst: int,
    first: int,
    n_levels: int,
    n_slots: int,
    n_eager: int,
    n_taking: int,
) -> None:
    """Cancel what no longer stands for its slot and place what is missing, in one book.

    A quote stays while its price is within its slack and half to three halves of its size are
    left. The innermost `n_eager` levels follow at once; farther out a quote that lags behind on
    the safe side stays. Quotes are post-only, but the innermost `n_taking` levels may take.
    """
    m: Any = me.memory
    sender = Sender(me.account)
    kept = 0
    for k in range(me.order.shape[0]):
        order = me.order[k]
        if order.inst != inst:
            continue
        slot = order.client_id % n_slots
        index = slot - first
        bit = 1 << index
        eager = (index if index < n_levels else index - n_levels) < n_eager
        if kept & bit == 0 and _stands(order, m, slot, eager):
            kept |= bit
        else:
            cancel(out, sender, order.client_id)
    for j in range(2 * n_levels):
        slot = first + j
        if (kept >> j) & 1 == 0 and m.target_lots[slot] > 0:
            m.counter += 1
            side, level = (BUY, j) if j < n_levels else (SELL, j - n_levels)
            tif = GTC if level < n_taking else POST_ONLY
            tick, lots = m.target_tick[slot], m.target_lots[slot]
            place(out, sender, inst, side, tick, lots, tif, 0, slot + n_slots * m.counter)


@inline_kernel
def _stands(order: Any, m: Any, slot: int, eager: bool) -> bool:
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
