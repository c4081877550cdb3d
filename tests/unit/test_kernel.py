"""The compiler decorators: what they compile, and that plain Python does the same."""

import os
import subprocess
import sys

import pytest

from stressbook.market.compiling.kernel import (
    inline_kernel,
    kernel,
    spliced_kernel,
    sub_kernel,
    wrapping_mul,
)

DECORATORS = [kernel, inline_kernel, sub_kernel, spliced_kernel]


def run(script, **environment):
    """Run a script in a process of its own, compiler on, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=os.environ | {"NUMBA_DISABLE_JIT": "0"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("decorator", DECORATORS)
def test_a_decorated_function_computes_and_keeps_its_name(decorator):
    @decorator
    def notional_micro(lots: int, price_tick: int) -> int:
        """Doc of it."""
        return lots * price_tick * 10

    assert notional_micro(3, 7) == 210
    assert notional_micro.__name__ == "notional_micro"
    assert notional_micro.__doc__ == "Doc of it."


@pytest.mark.parametrize("decorator", ["kernel", "inline_kernel", "sub_kernel", "spliced_kernel"])
def test_with_the_compiler_off_decorators_change_nothing(decorator):
    script = f"""
from types import FunctionType
from stressbook.market.compiling import kernel
def twice(lots): return 2 * lots
assert kernel.{decorator}(twice) is twice
print(twice(21))
"""
    assert run(script, NUMBA_DISABLE_JIT="1") == "42"


def test_a_kernel_that_allocates_does_not_compile():
    script = """
import numba
import numpy as np
from stressbook.market.compiling.kernel import kernel
def allocating(n): return np.zeros(n).sum()
print(numba.njit(allocating)(3))
try:
    kernel(allocating)(3)
except numba.core.errors.NumbaError:
    print("refused")
"""
    assert run(script).split() == ["0.0", "refused"]


def test_division_by_zero_does_not_raise_in_a_compiled_kernel():
    script = """
from stressbook.market.compiling.kernel import kernel
@kernel
def ratio(a, b): return a / b
print(ratio(1.0, 0.0))
"""
    assert run(script) == "inf"


def test_without_the_private_option_kernels_still_compile():
    script = """
import numba.core.cpu
class Without(numba.core.cpu.CPUTargetOptions): pass
bases = [vars(c) for c in numba.core.cpu.CPUTargetOptions.__mro__]
numba.core.cpu.CPUTargetOptions = type("CPUTargetOptions", (), {})
from stressbook.market.compiling.kernel import kernel, _OPTIONS
from stressbook.market.numbers.draws import uniform
@kernel
def twice(lots): return 2 * lots
print("_nrt" in _OPTIONS, twice(21), uniform(1, 2, 3, 4, 5, 6))
"""
    expected = run(
        "from stressbook.market.numbers.draws import uniform; print(uniform(1, 2, 3, 4, 5, 6))"
    )
    assert run(script) == f"False 42 {expected}"


def test_constants_and_narrow_integers_share_one_compiled_copy():
    script = """
import numpy as np
from stressbook.market.compiling.kernel import kernel, inline_kernel
SIDE = 1
@kernel
def signed(lots, side): return lots if side == 0 else -lots
@inline_kernel
def code(lots, side): return 10 * lots + side
@kernel
def book(slots):
    total = 0
    for i in range(slots.shape[0]):
        total += signed(slots[i], 0) + signed(slots[i], SIDE) + signed(i, side=2)
        total += code(slots[i], 0) + code(slots[i], SIDE) + code(i, 2)
    return total
print(book(np.array([5, 6], np.int32)), len(signed.signatures), len(code.signatures))
"""
    assert run(script) == "235 1 1"


def test_inner_kernels_are_compiled_once_and_serve_every_caller():
    script = """
import numba
from stressbook.market.compiling.kernel import kernel, inline_kernel, sub_kernel
@sub_kernel
def tripled(lots): return 3 * lots
@inline_kernel
def shifted(lots): return tripled(lots) + 1
@sub_kernel
def deep(lots): return shifted(lots) if lots > 0 else tripled(lots)
@kernel
def first(lots): return deep(lots)
@kernel
def second(lots): return deep(-lots) + shifted(lots) + first(lots)
@numba.njit
def foreign(lots): return deep(lots) - second(lots)
print(first(2), second(2), foreign(2), deep(2), shifted(2))
print(*(len(f.signatures) for f in (tripled, shifted, deep, first, second)))
"""
    assert run(script).splitlines() == ["7 8 -1 7 7", "1 1 1 1 1"]


def test_results_of_kernels_keep_their_type_when_arguments_are_constants():
    script = """
from stressbook.market.compiling.kernel import kernel
@kernel
def half(x): return x / 2
@kernel
def caller(flag): return half(1) + half(2.5) + (half(3) if flag else 0.0)
print(caller(True))
"""
    assert run(script) == "3.25"


@pytest.mark.parametrize("a", [0, 1, 0xFFFFFFFF, 0x80000001])
@pytest.mark.parametrize("b", [1, 0xD2511F53, 0xFFFFFFFF])
def test_wrapping_mul_has_the_bits_of_the_product(a, b):
    @kernel
    def halves(a: int, b: int) -> tuple[int, int]:
        product = wrapping_mul(a, b)
        return product & 0xFFFFFFFF, (product >> 32) & 0xFFFFFFFF

    assert halves(a, b) == (a * b % 2**32, a * b // 2**32)
