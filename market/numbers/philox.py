"""Counter-based random numbers: a draw is a function of what it is for.

Philox4x32-10, keyed by the seed, one block a draw; nothing depends on what was drawn before. One
source serves plain Python, NumPy arrays and compiled kernels with equal bits.

Source: Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011.
"""

import operator
from contextlib import suppress
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stressbook.errors import InvalidInput
from stressbook.market.compiling.kernel import inline_kernel, kernel, wrapping_mul

__all__ = [
    "INDEX_MAX",
    "TIME_MAX_MS",
    "draw_bits",
    "key_from_seed",
    "philox",
    "uniform",
    "uniforms",
    "unit",
]

INDEX_MAX: Final = 2**24 - 1
TIME_MAX_MS: Final = 2**40 - 1  # 34 years

_MASK32: Final = 0xFFFF_FFFF
_MASK64: Final = 0xFFFF_FFFF_FFFF_FFFF
_ROUNDS: Final = 10
_MULTIPLIER0: Final = 0xD251_1F53
_MULTIPLIER1: Final = 0xCD9E_8D57
_WEYL0: Final = 0x9E37_79B9  # golden ratio
_WEYL1: Final = 0xBB67_AE85  # sqrt(3) - 1
_TO_UNIT: Final = 2.0**-52


def key_from_seed(seed: int) -> tuple[int, int]:
    """Return the two 32-bit words of the key that a seed stands for.

    Parameters
    ----------
    seed : int
        0 to 2**64 - 1.

    Returns
    -------
    tuple of int
        The words of one step of SplitMix64, so that near seeds have unlike keys.

    Raises
    ------
    InvalidInput
        If `seed` is not an integer in range.

    Examples
    --------
    >>> key_from_seed(7)
    (1496452567, 1674306020)
    """
    number = -1
    if not isinstance(seed, bool):
        with suppress(TypeError):
            number = operator.index(seed)
    if not 0 <= number <= _MASK64:
        raise InvalidInput(
            "is no seed", name="seed", value=seed, allowed="a whole number from 0 to 2**64 - 1"
        )
    z = (number + 0x9E37_79B9_7F4A_7C15) & _MASK64
    z = ((z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK64
    z = ((z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK64
    z ^= z >> 31
    return z & _MASK32, z >> 32


@inline_kernel
def philox(
    counter0: int, counter1: int, counter2: int, counter3: int, key0: int, key1: int
) -> tuple[int, int, int, int]:
    """Return the Philox4x32-10 block of a counter.

    Parameters
    ----------
    counter0, counter1, counter2, counter3 : int
        Words of 32 bits; outside kernels also int64 arrays that broadcast together.
    key0, key1 : int
        Words of 32 bits.

    Returns
    -------
    tuple of int
        Four words of 32 bits.

    Examples
    --------
    >>> [f"{word:08x}" for word in philox(0, 0, 0, 0, 0, 0)]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    for _ in range(_ROUNDS):
        product0 = wrapping_mul(counter0, _MULTIPLIER0)
        product1 = wrapping_mul(counter2, _MULTIPLIER1)
        counter0 = ((product1 >> 32) & _MASK32) ^ counter1 ^ key0
        counter2 = ((product0 >> 32) & _MASK32) ^ counter3 ^ key1
        counter1 = product1 & _MASK32
        counter3 = product0 & _MASK32
        key0 = (key0 + _WEYL0) & _MASK32
        key1 = (key1 + _WEYL1) & _MASK32
    return counter0, counter1, counter2, counter3


@inline_kernel
def _unit(a: int, b: int) -> float:
    """Return 52 bits and a half as a number in (0, 1): 53 bits could round to 1."""
    return unit((a >> 6) * 2**26 + (b >> 6))


@inline_kernel
def unit(bits: int) -> float:
    """Return a draw from what `draw_bits` returned for it.

    Parameters
    ----------
    bits : int
        0 to 2**52 - 1.

    Returns
    -------
    float
        As `uniform` returns it.

    Examples
    --------
    >>> unit(2**52 - 1) < 1.0
    True
    """
    return (bits + 0.5) * _TO_UNIT


@inline_kernel
def _time_words(t_ms: int, index: int) -> tuple[int, int]:
    return index + ((t_ms >> 32) << 24), t_ms & _MASK32


@inline_kernel
def uniform(key0: int, key1: int, purpose: int, account_key: int, t_ms: int, index: int) -> float:
    """Return a uniform draw, 0 < u < 1.

    Parameters
    ----------
    key0, key1 : int
        The seed's key (`key_from_seed`).
    purpose : int
        Number from the draw table.
    account_key : int
        Who draws (`account_key`), 0 to 2**32 - 1.
    t_ms : int
        Time in ms, 0 to `TIME_MAX_MS`.
    index : int
        Which draw of the purpose at that time, 0 to `INDEX_MAX`.

    Returns
    -------
    float
        An odd multiple of 2**-53. Arguments out of range repeat other draws: callers check them
        once, where populations are built.

    Examples
    --------
    >>> uniform(*key_from_seed(7), 1, 0, 1000, 0)
    0.3595296169078025
    """
    word0, word1 = _time_words(int(t_ms), int(index))
    a, b, _, _ = philox(word0, word1, int(account_key), int(purpose), int(key0), int(key1))
    return _unit(a, b)


@inline_kernel
def draw_bits(key0: int, key1: int, purpose: int, account_key: int, t_ms: int, index: int) -> int:
    """Return the bits of a uniform draw: `unit` of them is `uniform` of the same arguments.

    A loop of nothing else becomes vector instructions, 9 ns a draw in place of 23 ns.

    Parameters
    ----------
    key0, key1, purpose, account_key, t_ms, index : int
        As for `uniform`.

    Returns
    -------
    int
        0 to 2**52 - 1.

    Examples
    --------
    >>> key = key_from_seed(7)
    >>> unit(draw_bits(*key, 1, 0, 1000, 0)) == uniform(*key, 1, 0, 1000, 0)
    True
    """
    # Vectors have products of words of 32 bits only, and these masks tell that they are such.
    word0, word1 = _time_words(int(t_ms) & TIME_MAX_MS, int(index) & INDEX_MAX)
    word2 = int(account_key) & _MASK32
    a, b, _, _ = philox(word0, word1, word2, int(purpose), int(key0) & _MASK32, int(key1) & _MASK32)
    return (a >> 6) * 2**26 + (b >> 6)


def uniforms(
    key0: int,
    key1: int,
    *,
    purpose: int,
    account_key: npt.ArrayLike,
    t_ms: npt.ArrayLike,
    index: npt.ArrayLike = 0,
) -> npt.NDArray[np.float64]:
    """Return the draws of `uniform` for arrays of accounts, times and indices.

    Parameters
    ----------
    key0, key1 : int
        The seed's key (`key_from_seed`).
    purpose : int
        Number from the draw table.
    account_key, t_ms, index : array_like of int
        As for `uniform`, broadcast together.

    Returns
    -------
    ndarray
        float64, of the broadcast shape.

    Raises
    ------
    InvalidInput
        If a value is out of range.

    Examples
    --------
    >>> key = key_from_seed(7)
    >>> u = uniforms(*key, purpose=1, account_key=[0, 1], t_ms=1000)
    >>> float(u[0]) == uniform(*key, 1, 0, 1000, 0)
    True
    """
    words = np.broadcast_arrays(
        _words("account_key", account_key, limit=_MASK32),
        _words("t_ms", t_ms, limit=TIME_MAX_MS),
        _words("index", index, limit=INDEX_MAX),
    )
    drawn = np.empty(words[0].shape)
    flat: tuple[Any, ...] = tuple(np.array(array).reshape(-1) for array in words)
    accounts, times, indices = flat
    if hasattr(uniform, "py_func"):
        _fill(drawn.reshape(-1), int(key0), int(key1), int(purpose), accounts, times, indices)
        return drawn
    # Not compiled: whole arrays through the same source, in place of a loop.
    word0, word1 = _time_words(times, indices)
    a, b, _, _ = philox(word0, word1, accounts, int(purpose), int(key0), int(key1))
    drawn.reshape(-1)[:] = _unit(a, b)
    return drawn


def _words(name: str, value: npt.ArrayLike, *, limit: int) -> npt.NDArray[np.int64]:
    words = np.asarray(value)
    if words.size and (words.dtype.kind not in "iu" or words.min() < 0 or words.max() > limit):
        raise InvalidInput(
            "is out of range", name=name, value=value, allowed=f"whole numbers from 0 to {limit}"
        )
    return words.astype(np.int64)


@kernel
def _fill(
    drawn: npt.NDArray[np.float64],
    key0: int,
    key1: int,
    purpose: int,
    account_key: npt.NDArray[np.int64],
    t_ms: npt.NDArray[np.int64],
    index: npt.NDArray[np.int64],
) -> None:
    for i in range(drawn.shape[0]):
        drawn[i] = uniform(key0, key1, purpose, account_key[i], t_ms[i], index[i])
