"""A NamedTuple of arrays as one pointer, and calls without a look at every argument.

A state of forty arrays is a poor argument: a call from Python spends 4 us on looking at each of
them, and compiled code hands 300 numbers to every function that is not inlined. `pin` lays the
tuple down once in its compiled form; kernels take the pointer in its place and read an array from
there where they use it. The block never changes, so the compiler may keep what it has read.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import config, typeof, types
from numba.core import cgutils
from numba.core.datamodel.models import PrimitiveModel
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    lower_getattr_generic,
    register_model,
    typeof_impl,
    unbox,
)

__all__ = ["compiled_call", "pin"]

State = TypeVar("State", bound=tuple[Any, ...])
Call = TypeVar("Call", bound=Callable[..., Any])


def pin(state: State) -> State:
    """Return what kernels take in place of a state, far cheaper to hand over.

    Parameters
    ----------
    state : NamedTuple of arrays
        Its arrays are shared: what a kernel writes is seen in `state`, and the other way round.

    Returns
    -------
    NamedTuple of arrays
        It has the same fields for Python too; uncompiled it is `state` itself.

    Examples
    --------
    >>> from typing import NamedTuple
    >>> from stressbook.market.kernel import kernel
    >>> class Purse(NamedTuple):
    ...     cash: np.ndarray
    >>> @kernel
    ... def earn(purse, amount):
    ...     purse.cash[0] += amount
    >>> purse = Purse(np.zeros(1, np.int64))
    >>> earn(pin(purse), 5)
    >>> purse.cash
    array([5])
    """
    return state if config.DISABLE_JIT else cast(State, _Pinned(state))


def compiled_call(function: Call, *arguments: Any) -> Call:
    """Return a kernel compiled for arguments of these types, to be called with no others.

    Parameters
    ----------
    function : kernel
        A function under `stressbook.market.kernel.kernel`.
    *arguments : object
        What one call takes.

    Returns
    -------
    callable
        It does not check what it is given: a call costs 0.2 us where the kernel's own costs 0.5 us
        and more. Uncompiled it is the kernel itself.

    Examples
    --------
    >>> from stressbook.market.kernel import kernel
    >>> @kernel
    ... def twice(lots):
    ...     return 2 * lots
    >>> compiled_call(twice, 1)(21)
    42
    """
    if config.DISABLE_JIT:
        return function
    signature = tuple(typeof(argument) for argument in arguments)
    dispatcher = cast(Any, function)
    dispatcher.compile(signature)
    return cast(Call, dispatcher.overloads[signature].entry_point)


class _Pinned:
    """The block of a state, which keeps its arrays alive."""

    def __init__(self, state: tuple[Any, ...]) -> None:
        self._state = state
        self._block = np.array([word for array in state for word in _words(array)], np.int64)
        self._numba_type_ = _StatePointer(typeof(state))
        self.address = self._block.ctypes.data

    def __getattr__(self, field: str) -> Any:
        if field.startswith("_"):  # not yet set: a copy is being made
            raise AttributeError(field)
        return getattr(self._state, field)


def _words(array: npt.NDArray[Any]) -> Iterator[int]:
    """Yield Numba's struct of an array: owners (none), sizes, place, shape, strides."""
    yield from (0, 0, array.size, array.itemsize, array.ctypes.data)
    yield from array.shape
    yield from array.strides


class _StatePointer(types.Type):  # type: ignore[misc,unused-ignore]
    """Numba's type of a pinned state; `content` is that of the NamedTuple."""

    def __init__(self, content: Any) -> None:
        self.content = content
        # The full name, 10 kB of fields, would stand in every symbol.
        digest = hashlib.blake2b(content.name.encode(), digest_size=8).hexdigest()
        super().__init__(name=f"Pinned{content.instance_class.__name__}({digest})")


class _StatePointerModel(PrimitiveModel):  # type: ignore[misc,unused-ignore]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.IntType(8).as_pointer())


class _StatePointerFields(AttributeTemplate):  # type: ignore[misc,unused-ignore]
    key = _StatePointer

    def generic_resolve(self, pointer: Any, field: str) -> Any:
        fields = pointer.content.fields
        return pointer.content[fields.index(field)] if field in fields else None


def _load_field(context: Any, builder: Any, pointer: Any, value: Any, field: str) -> Any:
    content = context.get_value_type(pointer.content)
    block = builder.bitcast(value, content.as_pointer())
    return _load(
        builder, cgutils.gep_inbounds(builder, block, 0, pointer.content.fields.index(field))
    )


def _load(builder: Any, place: Any) -> Any:
    """Load a struct member by member, so that members that nobody uses cost nothing."""
    kind = place.type.pointee
    if not isinstance(kind, ir.LiteralStructType | ir.ArrayType):
        loaded = builder.load(place)
        loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
        return loaded
    value = ir.Constant(kind, ir.Undefined)
    for index in range(kind.count if isinstance(kind, ir.ArrayType) else len(kind.elements)):
        part = _load(builder, cgutils.gep_inbounds(builder, place, 0, index))
        value = builder.insert_value(value, part, index)
    return value


def _unbox(_pointer: Any, pinned: Any, context: Any) -> Any:
    boxed = context.pyapi.object_getattr_string(pinned, "address")
    address = context.unbox(types.int64, boxed).value
    context.pyapi.decref(boxed)
    return NativeValue(context.builder.inttoptr(address, ir.IntType(8).as_pointer()))


def _type_of_pinned(pinned: _Pinned, _context: Any) -> Any:
    return pinned._numba_type_


register_model(_StatePointer)(_StatePointerModel)
infer_getattr(_StatePointerFields)
lower_getattr_generic(_StatePointer)(_load_field)
unbox(_StatePointer)(_unbox)
typeof_impl.register(_Pinned)(_type_of_pinned)
