"""The compiler decorators of the project.

No other file knows Numba's options. A kernel is compiled without reference counts (`_nrt=False`:
four fifths of the time of a book went into them, and allocating becomes a compile error) and with
NumPy's division, which cannot raise; `NUMBA_DISABLE_JIT=1` gives back plain Python. What is
compiled is kept on disk under a key of all its sources
(`stressbook.market.compiling.kernel_cache`).
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import numba
from numba import config, types
from numba.core.codegen import JITCodeLibrary
from numba.core.cpu import CPUTargetOptions
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic, overload

from stressbook.market.compiling.kernel_cache import keep_on_disk, register_plugin_folder

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
    # Said, not left out: Numba hands the option of an inlined caller down to what it calls, and a
    # dozen calls of the margin of an account, each spliced in, took ten minutes to compile.
    return _inner(function, forceinline=False)


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


class _InnerKernel(CPUDispatcher):  # type: ignore[misc]
    """A kernel that other kernels call: it has no machine code of its own.

    Its entry from Python is compiled only if it is used.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        entry = self.__dict__.get("_entry")
        if entry is None:
            entry = self.__dict__["_entry"] = _compiled(self.py_func)
        return entry(*args, **kwargs)

    def add_overload(self, compiled: Any) -> None:
        compiled.library.__class__ = _Part
        # Callers find what was compiled by its entry, which nobody calls.
        compiled = compiled._replace(entry_point=object())
        self.targetctx.insert_user_function(
            compiled.entry_point, compiled.fndesc, [compiled.library]
        )
        self.overloads[tuple(compiled.signature.args)] = compiled


class _Part(JITCodeLibrary):  # type: ignore[misc]
    """Code that is optimised and made into machine code in its callers only.

    Numba does both at every level of calls: two thirds of the work went into code that nobody ran.
    """

    def finalize(self) -> None:
        self._finalized = True


def _gather_parts(library: type) -> None:
    """Let code from Python's entries link what their callees call, at any depth."""
    finalize: Any = library.finalize  # type: ignore[attr-defined]

    def finalize_whole(self: Any) -> None:
        found = dict.fromkeys(self._linking_libraries)
        waiting = [part for part in found if isinstance(part, _Part)]
        while waiting:
            new = [callee for callee in waiting.pop()._linking_libraries if callee not in found]
            found |= dict.fromkeys(new)
            waiting += [part for part in new if isinstance(part, _Part)]
        self._linking_libraries = list(found)
        finalize(self)

    library.finalize = finalize_whole  # type: ignore[attr-defined]


_gather_parts(JITCodeLibrary)


def _inner(function: F, **extra: Any) -> F:
    if config.DISABLE_JIT:
        return function
    dispatcher = _dispatcher(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, **extra)
    dispatcher.__class__ = _InnerKernel
    dispatcher._compiler._customize_flags = _without_machine_code
    return dispatcher


def _without_machine_code(flags: Any) -> Any:
    flags.no_compile = True
    return flags


def _compiled(function: F, **extra: Any) -> F:
    if config.DISABLE_JIT:
        return function
    dispatcher = _dispatcher(function, **extra)
    keep_on_disk(dispatcher)
    return dispatcher


def _dispatcher(function: Any, **extra: Any) -> Any:
    dispatcher = numba.njit(**_OPTIONS, **extra)(function)
    _serve_plain_arguments(dispatcher)
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
