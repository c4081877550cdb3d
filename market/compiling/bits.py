"""What the compiler has an instruction for: bits of a word, prefetching, a promise.

Compiled they are LLVM's `cttz` and `ctlz`; uncompiled they are `int.bit_length`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

from stressbook.market.compiling.kernel import inline_kernel

_BYTES = ir.IntType(8).as_pointer()
_WORD = ir.IntType(32)

__all__ = ["highest_bit", "lowest_bit", "natural", "prefetch", "widened"]


def _lowest_bit(_context: Any, word: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(word), generate


def _highest_bit(_context: Any, word: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        zeros_above = builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 1))
        return builder.sub(ir.Constant(ir.IntType(64), 63), zeros_above)

    return types.int64(word), generate


def _natural(_context: Any, number: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        builder.assume(builder.icmp_signed(">=", arguments[0], arguments[0].type(0)))
        return arguments[0]

    return number(number), generate


def _prefetch(_context: Any, array: Any, index: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        items = target.make_array(array)(target, builder, arguments[0])
        place = builder.bitcast(builder.gep(items.data, [arguments[1]]), _BYTES)
        kind = ir.FunctionType(ir.VoidType(), [_BYTES, _WORD, _WORD, _WORD])
        touch = builder.module.declare_intrinsic("llvm.prefetch", [_BYTES], kind)
        builder.call(touch, [place, _WORD(0), _WORD(3), _WORD(1)])
        return target.get_dummy_value()

    return types.void(array, index), generate


def _lowest_bit_of_int(word: Any) -> int:
    return (int(word) & -int(word)).bit_length() - 1


def _highest_bit_of_int(word: Any) -> int:
    return int(word).bit_length() - 1


def _nothing(_array: Any, _index: Any) -> None:
    return None


# Both take a uint64 that is not 0.
if config.DISABLE_JIT:
    lowest_bit: Callable[..., int] = _lowest_bit_of_int
    highest_bit: Callable[..., int] = _highest_bit_of_int
    natural: Callable[..., int] = int
    prefetch: Callable[..., None] = _nothing
else:
    lowest_bit = intrinsic(_lowest_bit)
    highest_bit = intrinsic(_highest_bit)
    natural = intrinsic(_natural)
    prefetch = intrinsic(_prefetch)


@inline_kernel
def widened(field: Any) -> int:
    """Return a narrow field of a record as int64.

    Parameters
    ----------
    field : int
        Of any width, signed or not; unsigned ones would turn sums with int64 into floats.

    Returns
    -------
    int
        The same number, int64.
    """
    return np.int64(field)  # type: ignore[return-value]
