"""How a whole number of lots, or an amount of cash, is shared over those who have to bear it.

Each way takes exactly what is wanted, or all that there is. Entries of 0 have no part in it.
"""

from typing import Final

from stressbook.market.compiling.arrays import F64, I64
from stressbook.market.compiling.bits import natural
from stressbook.market.compiling.kernel import sub_kernel, wrapping_mul
from stressbook.market.numbers.units import FLOOR, mul_div

__all__ = ["NOBODY", "share_by_leverage", "share_by_size", "take_by_score"]

NOBODY: Final = -1  # ends an order of taking
_MASK63: Final = 2**63 - 1
_HALF63: Final = 2**62


@sub_kernel
def take_by_score(sizes: I64, scores: F64, wanted: int, taken: I64, order: I64) -> int:
    """Take from the highest score first, all that it has, until enough is taken.

    Parameters
    ----------
    sizes : ndarray of int64, shape (n,)
        What each has, at least 0.
    scores : ndarray of float64, shape (n,)
        Of equal ones the first comes first.
    wanted : int
        At least 0.
    taken : ndarray of int64, shape (n,)
        Written: of each, what is taken.
    order : ndarray of int64, shape (n,)
        Written: who is taken from, in order, then -1.

    Returns
    -------
    int
        What is missing.

    Examples
    --------
    >>> import numpy as np
    >>> taken, order = np.zeros(3, np.int64), np.zeros(3, np.int64)
    >>> sizes, scores = np.array([100, 70, 50]), np.array([1.0, 2.0, 2.0])
    >>> take_by_score(sizes, scores, 150, taken, order), taken.tolist(), order.tolist()
    (0, [30, 70, 50], [1, 2, 0])
    """
    n = sizes.shape[0]
    for i in range(n):
        taken[i] = 0
        order[i] = NOBODY
    for place in range(n):
        if wanted <= 0:
            break
        first = NOBODY
        for i in range(n):
            waits = sizes[i] > 0 and taken[i] == 0
            if waits and (first == NOBODY or scores[i] > scores[first]):
                first = i
        if first == NOBODY:
            break
        taken[first] = min(int(sizes[first]), wanted)
        order[place] = first
        wanted -= int(taken[first])
    return wanted


@sub_kernel
def share_by_size(sizes: I64, wanted: int, taken: I64, rest: I64) -> int:
    """Take the same share of each, in whole units by largest remainder.

    Parameters
    ----------
    sizes : ndarray of int64, shape (n,)
        What each has, at least 0; together below 2**62.
    wanted : int
        At least 0.
    taken : ndarray of int64, shape (n,)
        Written: of each, what is taken.
    rest : ndarray of int64, shape (n,)
        Scratch.

    Returns
    -------
    int
        What is missing. Of equal remainders the first gets the unit.

    Examples
    --------
    >>> import numpy as np
    >>> taken, rest = np.zeros(3, np.int64), np.zeros(3, np.int64)
    >>> share_by_size(np.array([5, 3, 3]), 4, taken, rest), taken.tolist()
    (0, [2, 1, 1])
    """
    n = sizes.shape[0]
    total = 0
    for i in range(n):
        total += int(sizes[i])
    left = wanted
    for i in range(n):
        taken[i] = 0
        rest[i] = NOBODY
        size = int(sizes[i])
        if size > 0 and total <= wanted:
            taken[i] = size
            left -= size
        elif size > 0:
            taken[i] = mul_div(wanted, size, total, FLOOR)
            rest[i] = _remainder(wanted, size, int(taken[i]), total)
            left -= int(taken[i])
    if total <= wanted:
        return left
    while left > 0:
        first = 0
        for i in range(n):
            if rest[i] > rest[first]:
                first = i
        taken[first] += 1
        rest[first] = NOBODY
        left -= 1
    return 0


@sub_kernel
def share_by_leverage(
    sizes: I64, lots_per_leverage: F64, wanted: int, taken: I64, rest: F64
) -> int:
    """Cut the most levered positions until all that are cut have the same leverage.

    Parameters
    ----------
    sizes : ndarray of int64, shape (n,)
        Lots of each, at least 0.
    lots_per_leverage : ndarray of float64, shape (n,)
        Lots that a leverage of 1 stands for: equity over the value of a lot, above 0 where there
        is a size.
    wanted : int
        Lots, at least 0.
    taken : ndarray of int64, shape (n,)
        Written: of each, what is cut.
    rest : ndarray of float64, shape (n,)
        Scratch.

    Returns
    -------
    int
        What is missing.

    Notes
    -----
    The level l solves sum max(0, size - l x lots_per_leverage) = wanted; it is found from below,
    by leaving out those whose leverage it passes. Parts of a lot go by largest remainder.

    Examples
    --------
    Leverages of 10, 4 and 2, cut to 3, 3 and 2:

    >>> import numpy as np
    >>> taken, rest = np.zeros(3, np.int64), np.zeros(3)
    >>> sizes, per_leverage = np.array([100, 80, 20]), np.array([10.0, 20.0, 10.0])
    >>> share_by_leverage(sizes, per_leverage, 90, taken, rest), taken.tolist()
    (0, [70, 20, 0])
    """
    n = sizes.shape[0]
    total = 0
    for i in range(n):
        taken[i] = 0
        total += int(sizes[i])
    if total <= wanted:
        for i in range(n):
            taken[i] = sizes[i]
        return wanted - total
    level = _level(sizes, lots_per_leverage, wanted)
    left = wanted
    for i in range(n):
        cut = max(0.0, float(sizes[i]) - level * lots_per_leverage[i]) if sizes[i] > 0 else 0.0
        taken[i] = min(int(cut), int(sizes[i]), left)
        rest[i] = cut - float(taken[i])
        left -= int(taken[i])
    while left > 0:
        first = NOBODY
        for i in range(n):
            if taken[i] < sizes[i] and (first == NOBODY or rest[i] > rest[first]):
                first = i
        taken[first] += 1
        rest[first] -= 1.0
        left -= 1
    return 0


@sub_kernel
def _level(sizes: I64, lots_per_leverage: F64, wanted: int) -> float:
    """Return the leverage to which positions are cut; more lots are there than wanted."""
    level = 0.0
    n_in, n_before = 0, -1
    while n_in != n_before:
        n_before = n_in
        lots = 0
        n_in = 0
        per_leverage = 0.0
        for i in range(sizes.shape[0]):
            if sizes[i] > 0 and float(sizes[i]) > level * lots_per_leverage[i]:
                lots += int(sizes[i])
                per_leverage += lots_per_leverage[i]
                n_in += 1
        if lots <= wanted or per_leverage <= 0.0:
            break  # the level of the round before is that of the last ones, to a rounding
        level = float(lots - wanted) / per_leverage
    return level


@sub_kernel
def _remainder(a: int, b: int, quotient: int, divisor: int) -> int:
    """Return a * b - quotient * divisor, known to be from 0 to 2**62: by its low 63 bits."""
    low = (wrapping_mul(a, b) & _MASK63) - (wrapping_mul(quotient, divisor) & _MASK63)
    if low < 0:
        low = low + _HALF63 + _HALF63
    return natural(low)
