"""Which ticks of a ladder hold orders: three levels of 64-ary bitmaps for each side.

Bit b of word w of `bits0` stands for tick 64 w + b, a bit of `bits1` for a word of `bits0`, a bit
of `bits2` for a word of `bits1`. The next best price is three look-ups away, however wide the gap.
The words are uint64 and never meet an int64: compiled, the sum of the two is a float.
"""

from typing import Final

import numpy as np

from stressbook.market.compiling.bits import highest_bit, lowest_bit
from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.state.codes import BUY
from stressbook.market.state.records import EMPTY_ASK, EMPTY_BID, VenueState

__all__ = ["clear_tick", "mark_tick", "next_tick"]

_ONE: Final = np.uint64(1)
_ZERO: Final = np.uint64(0)
_ALL: Final = np.uint64(2**64 - 1)


@inline_kernel
def mark_tick(v: VenueState, inst: int, side: int, tick: int) -> None:
    """Note that a level that was empty holds an order.

    Parameters
    ----------
    v : VenueState
        Changed in `bits0`, `bits1`, `bits2`.
    inst, side, tick : int
        The level.
    """
    v.bits0[inst, side, tick >> 6] |= _ONE << np.uint64(tick & 63)
    v.bits1[inst, side, tick >> 12] |= _ONE << np.uint64((tick >> 6) & 63)
    v.bits2[inst, side] |= _ONE << np.uint64(tick >> 12)


@inline_kernel
def clear_tick(v: VenueState, inst: int, side: int, tick: int) -> None:
    """Note that a level is empty again.

    Parameters
    ----------
    v : VenueState
        Changed in `bits0`, `bits1`, `bits2`.
    inst, side, tick : int
        The level.
    """
    word = v.bits0[inst, side, tick >> 6] ^ (_ONE << np.uint64(tick & 63))
    v.bits0[inst, side, tick >> 6] = word
    if word == _ZERO:
        word = v.bits1[inst, side, tick >> 12] ^ (_ONE << np.uint64((tick >> 6) & 63))
        v.bits1[inst, side, tick >> 12] = word
        if word == _ZERO:
            v.bits2[inst, side] ^= _ONE << np.uint64(tick >> 12)


@inline_kernel
def next_tick(v: VenueState, inst: int, side: int, tick: int) -> int:
    """Return the best occupied tick behind `tick`: lower for bids, higher for asks.

    Parameters
    ----------
    v : VenueState
        Read only.
    inst, side, tick : int
        A level, itself not looked at.

    Returns
    -------
    int
        A tick, or `EMPTY_BID`, `EMPTY_ASK`.
    """
    if side == BUY:
        return _highest_below(v, inst, tick)
    return _lowest_above(v, inst, tick)


@inline_kernel
def _highest_below(v: VenueState, inst: int, tick: int) -> int:
    word = v.bits0[inst, 0, tick >> 6] & _bits_below(tick & 63)
    if word != _ZERO:
        return (tick & ~63) + highest_bit(word)
    word = v.bits1[inst, 0, tick >> 12] & _bits_below((tick >> 6) & 63)
    if word != _ZERO:
        index = ((tick >> 12) << 6) + highest_bit(word)
        return (index << 6) + highest_bit(v.bits0[inst, 0, index])
    word = v.bits2[inst, 0] & _bits_below(tick >> 12)
    if word == _ZERO:
        return EMPTY_BID
    index = highest_bit(word)
    index = (index << 6) + highest_bit(v.bits1[inst, 0, index])
    return (index << 6) + highest_bit(v.bits0[inst, 0, index])


@inline_kernel
def _lowest_above(v: VenueState, inst: int, tick: int) -> int:
    word = v.bits0[inst, 1, tick >> 6] & _bits_above(tick & 63)
    if word != _ZERO:
        return (tick & ~63) + lowest_bit(word)
    word = v.bits1[inst, 1, tick >> 12] & _bits_above((tick >> 6) & 63)
    if word != _ZERO:
        index = ((tick >> 12) << 6) + lowest_bit(word)
        return (index << 6) + lowest_bit(v.bits0[inst, 1, index])
    word = v.bits2[inst, 1] & _bits_above(tick >> 12)
    if word == _ZERO:
        return EMPTY_ASK
    index = lowest_bit(word)
    index = (index << 6) + lowest_bit(v.bits1[inst, 1, index])
    return (index << 6) + lowest_bit(v.bits0[inst, 1, index])


@inline_kernel
def _bits_below(bit: int) -> np.uint64:
    return (_ONE << np.uint64(bit)) - _ONE


@inline_kernel
def _bits_above(bit: int) -> np.uint64:
    # Two shifts: one by 64 would be undefined.
    return (_ALL << np.uint64(bit)) << _ONE
