"""Index of the lowest and of the highest set bit of a word: one instruction each.

Compiled they are LLVM's `cttz` and `ctlz`; uncompiled they are `int.bit_length`.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

__all__ = ["highest_bit", "lowest_bit"]


def _lowest_bit(_context: Any, word: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(word), generate


def _highest_bit(_context: Any, word: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        zeros_above = builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 1))
        return builder.sub(ir.Constant(ir.IntType(64), 63), zeros_above)

    return types.int64(word), generate


def _lowest_bit_of_int(word: Any) -> int:
    return (int(word) & -int(word)).bit_length() - 1


def _highest_bit_of_int(word: Any) -> int:
    return int(word).bit_length() - 1


# Both take a uint64 that is not 0.
if config.DISABLE_JIT:
    lowest_bit: Callable[..., int] = _lowest_bit_of_int
    highest_bit: Callable[..., int] = _highest_bit_of_int
else:
    lowest_bit = intrinsic(_lowest_bit)
    highest_bit = intrinsic(_highest_bit)
