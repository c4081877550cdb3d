"""What kernels work on: integer and float arrays, and arrays of records."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
U64 = npt.NDArray[np.uint64]
Records = npt.NDArray[np.void]
Record = Any  # one element of Records

_CACHE_LINE: Final = 64


def record_dtype(ints: str = "", floats: str = "") -> np.dtype[np.void]:
    """Return an aligned record dtype of int64 and float64 fields named in two word lists."""
    fields: list[tuple[str, type]] = [(name, np.int64) for name in ints.split()]
    fields += [(name, np.float64) for name in floats.split()]
    return np.dtype((np.record, np.dtype(fields, align=True)))


def zero_pages(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array of zeros that begins with a cache line, and costs nothing until touched."""
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    room = np.zeros(size + _CACHE_LINE, np.uint8)
    first = -room.ctypes.data % _CACHE_LINE
    return room[first : first + size].view(kind).reshape(shape)
