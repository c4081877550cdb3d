"""The compiler decorators of the project.

No other file knows Numba's options. A kernel is compiled without reference counts (`_nrt=False`:
four fifths of the time of a book went into them, and allocating becomes a compile error) and with
NumPy's division, which cannot raise; `NUMBA_DISABLE_JIT=1` gives back plain Python. What is
compiled is kept on disk under a key of all its sources (`stressbook.market.kernel_cache`).
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import numba
from numba import config, types
from numba.core.codegen import CPUCodeLibrary
from numba.core.cpu import CPUTargetOptions
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic, overload

from stressbook.market.kernel_cache import keep_on_disk, register_plugin_folder

__all__ = [
    "inline_kernel",
    "kernel",
    "register_plugin_folder",
    "spliced_kernel",
    "sub_kernel",
    "wrapping_mul",
]

F = TypeVar("F", bound=Callable[..., Any])

# `_nrt` is not public: without it everything still works, slower.
_OPTIONS: Final[dict[str, Any]] = {"error_model": "numpy"} | (
    {"_nrt": False} if hasattr(CPUTargetOptions, "_nrt") else {}
)


def kernel(function: F) -> F:
    """Compile a function over plain arrays and numbers; nothing inside may allocate.

    Parameters
    ----------
    function : callable
        Within Numba's subset: explicit loops, int64 and float64, records, no NumPy functions.

    Returns
    -------
    callable
        Of the same signature, compiled at its first call.

    Examples
    --------
    >>> @kernel
    ... def twice(lots: int) -> int:
    ...     return 2 * lots
    >>> twice(21)
    42
    """
    return _compiled(function, no_cfunc_wrapper=True)


def inline_kernel(function: F) -> F:
    """Compile like `kernel`, and always inline into the compiled caller.

    For inner functions that take the state: a call that is not inlined copies it.

    Parameters
    ----------
    function : callable
        As for `kernel`; short, since its code is repeated in every caller.

    Returns
    -------
    callable
        Of the same signature.

    Examples
    --------
    >>> @inline_kernel
    ... def is_bid(side: int) -> bool:
    ...     return side == 0
    >>> is_bid(0)
    True
    """
    return _inner(function, forceinline=True)


def sub_kernel(function: F) -> F:
    """Compile like `kernel`, as a function of its own that other kernels call.

    For what runs rarely or is called from many places: it is compiled once, at the price of copying
    the state's addresses at each call (about 0.2 microseconds).

    Parameters
    ----------
    function : callable
        As for `kernel`.

    Returns
    -------
    callable
        Of the same signature.

    Examples
    --------
    >>> @sub_kernel
    ... def is_ask(side: int) -> bool:
    ...     return side == 1
    >>> is_ask(0)
    False
    """
    return _inner(function)


def wrapping_mul(a: int, b: int) -> int:
    """Return a product of which only the low 64 bits are meant.

    Compiled integer arithmetic is told that it never overflows, and optimised on that promise:
    a product that may pass 2**63 needs this instead of `*`.

    Parameters
    ----------
    a, b : int
        int64, or arrays of it outside kernels.

    Returns
    -------
    int
        Its low 64 bits are those of the product; mask before any other use. As plain Python the
        whole product.

    Examples
    --------
    >>> wrapping_mul(0xFFFFFFFF, 0xFFFFFFFF) >> 32 & 0xFFFFFFFF
    4294967294
    """
    return a * b


@intrinsic  # type: ignore[untyped-decorator,unused-ignore]
def _mul_without_promise(typing_context: Any, a: Any, b: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.mul(*arguments)

    return numba.int64(numba.int64, numba.int64), generate


@overload(wrapping_mul, jit_options=_OPTIONS | {"forceinline": True})  # type: ignore[untyped-decorator,unused-ignore]
def _wrapping_mul_compiled(a: Any, b: Any) -> Callable[[Any, Any], Any]:
    def product(a: Any, b: Any) -> Any:
        return _mul_without_promise(a, b)

    return product


def spliced_kernel(function: F) -> F:
    """Compile like `kernel`, but splice the source into the caller before types are inferred.

    For helpers that return a tuple of records, which a compiled call cannot hand back.

    Parameters
    ----------
    function : callable
        As for `kernel`; a few lines.

    Returns
    -------
    callable
        Of the same signature.

    Examples
    --------
    >>> @spliced_kernel
    ... def pair(lots: int) -> tuple[int, int]:
    ...     return lots, -lots
    >>> pair(3)
    (3, -3)
    """
    return _compiled(function, inline="always")


class _Kernel(CPUDispatcher):  # type: ignore[misc]
    """A kernel that knows whether it is compiled for its callers alone."""

    def compile(self, sig: Any) -> Any:
        _are_inlined.append(bool(self.targetoptions.get("forceinline")))
        try:
            return super().compile(sig)
        finally:
            _are_inlined.pop()


class _InnerKernel(_Kernel):
    """A kernel that other kernels call: its entry from Python is compiled only if it is used.

    Of the half second that a function of the state took to compile, three quarters went into the
    two wrappers for callers from Python and from C, which inner functions never meet.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        entry = self.__dict__.get("_entry")
        if entry is None:
            entry = self.__dict__["_entry"] = _compiled(self.py_func)
        return entry(*args, **kwargs)


_are_inlined: list[bool] = []  # of the kernels that are being compiled, the innermost last


def _leave_to_callers(library: type) -> None:
    """Optimise what is inlined in its callers only, not at every level of calls before that.

    A third of the time of compiling the matching of a step went into code that nobody called.
    """
    optimise: Any = getattr(library, "_optimize_final_module", None)
    if optimise is None:  # not public: without it everything still works, slower
        return

    def optimise_unless_inlined(self: Any) -> None:
        if not (_are_inlined and _are_inlined[-1]):
            optimise(self)

    library._optimize_final_module = optimise_unless_inlined  # type: ignore[attr-defined]


_leave_to_callers(CPUCodeLibrary)


def _inner(function: F, **extra: Any) -> F:
    dispatcher: Any = _compiled(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, **extra)
    if dispatcher is not function:
        dispatcher.__class__ = _InnerKernel
    return dispatcher


def _compiled(function: F, **extra: Any) -> F:
    if config.DISABLE_JIT:
        return function
    dispatcher = numba.njit(**_OPTIONS, **extra)(function)
    dispatcher.__class__ = _Kernel
    _serve_plain_arguments(dispatcher)
    keep_on_disk(dispatcher)
    return dispatcher


def _serve_plain_arguments(dispatcher: Any) -> None:
    """Let one compiled copy serve calls with constants and with narrower integers.

    Otherwise Numba compiles a kernel anew for each combination of constants that it is called
    with: twenty calls that differ in a code took 3.2 s in place of 0.13 s.
    """
    resolve = dispatcher.get_call_template

    def resolve_plain(args: Iterable[Any], kws: dict[str, Any]) -> Any:
        return resolve(tuple(map(_plain, args)), {name: _plain(kws[name]) for name in kws})

    dispatcher.get_call_template = resolve_plain


def _plain(kind: Any) -> Any:
    if isinstance(kind, types.IntegerLiteral | types.BooleanLiteral):
        kind = types.unliteral(kind)
    return types.int64 if isinstance(kind, types.Integer) and kind.signed else kind
