"""How kernels receive a state of many arrays: as one address.

Numba hands a NamedTuple of sixty arrays on as five hundred values, at every call and through every
stage of compiling. Here a state class is a pointer to them instead: the arrays' descriptors are
written into one block when the state is first handed to a kernel, and `v.cash` reads the one that
is needed. The block never changes, so the compiler may keep what it has read. Nothing else changes:
in Python a state is an ordinary NamedTuple, and with the compiler off it stays one.
"""

import hashlib
import operator
from collections.abc import Callable, Iterator
from functools import cached_property, partial
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

__all__ = ["by_address", "compiled_call"]

State = TypeVar("State", bound=type)


def by_address(cls: State) -> State:
    """Let kernels receive a NamedTuple class of arrays as one address.

    Parameters
    ----------
    cls : type
        A NamedTuple whose fields are arrays; instances keep their arrays for life.

    Returns
    -------
    type
        A subclass of the same name and fields.

    Examples
    --------
    >>> from typing import NamedTuple
    >>> from stressbook.market.compiling.kernel import kernel
    >>> @by_address
    ... class Purse(NamedTuple):
    ...     cash: npt.NDArray[np.int64]
    >>> @kernel
    ... def earn(purse, amount):
    ...     purse.cash[0] += amount
    >>> purse = Purse(np.zeros(1, np.int64))
    >>> earn(purse, 5)
    >>> purse.cash
    array([5])
    """
    if config.DISABLE_JIT:
        return cls

    class Addressed(cls):  # type: ignore[valid-type,misc]
        @cached_property
        def _block(self) -> npt.NDArray[np.int64]:
            return np.array([word for array in self for word in _descriptor(array)], np.int64)

        @cached_property
        def _block_address(self) -> int:
            return int(self._block.ctypes.data)

        @cached_property
        def _block_type(self) -> "_StatePointer":
            return _StatePointer(typeof(cls(*self)))

        def __index__(self) -> int:
            return self._block_address

        def __reduce__(self) -> Any:
            return type(self), tuple(self)

    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(Addressed, name, getattr(cls, name))
    typeof_impl.register(Addressed)(lambda state, _context: state._block_type)
    return Addressed  # type: ignore[return-value]


def compiled_call(
    function: Callable[..., Any], *held: Any, then: tuple[Any, ...] = ()
) -> Callable[..., Any]:
    """Return a kernel that is compiled for these arguments and holds the first of them.

    Parameters
    ----------
    function : kernel
        A function under `stressbook.market.compiling.kernel.kernel`.
    *held : object
        Its first arguments, the same at every call.
    then : tuple, default ()
        The others, as one call takes them.

    Returns
    -------
    callable
        To be called with arguments of the types of `then` and no others: it does not look at what
        it is given. The kernel's own call looks at every array, 5 us for a state; this one costs
        0.1 us with three, since it hands on numbers. From states it would read them anew, 0.3 us.

    Examples
    --------
    >>> from stressbook.market.compiling.kernel import kernel
    >>> @kernel
    ... def times(lots, factor):
    ...     return lots * factor
    >>> compiled_call(times, 2, then=(1,))(21)
    42
    """
    if config.DISABLE_JIT:
        return partial(function, *held)
    signature = tuple(typeof(argument) for argument in (*held, *then))
    dispatcher = cast(Any, function)
    dispatcher.compile(signature)
    numbers = [operator.index(one) if hasattr(one, "_block_address") else one for one in held]
    call = partial(dispatcher.overloads[signature].entry_point, *numbers)
    call.__dict__["held"] = held  # a number keeps no state alive
    return call


def _descriptor(array: npt.NDArray[Any]) -> Iterator[int]:
    """Yield Numba's struct of an array: owners (none), sizes, place, shape, strides."""
    yield from (0, 0, array.size, array.itemsize, array.ctypes.data)
    yield from array.shape
    yield from array.strides


class _StatePointer(types.Type):  # type: ignore[misc,unused-ignore]
    """Numba's type of a state; `content` is that of the NamedTuple."""

    def __init__(self, content: Any) -> None:
        self.content = content
        # The full name, 10 kB of fields, would stand in every symbol.
        digest = hashlib.blake2b(content.name.encode(), digest_size=8).hexdigest()
        super().__init__(name=f"{content.instance_class.__name__}({digest})")


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
    index = pointer.content.fields.index(field)
    return _load(builder, cgutils.gep_inbounds(builder, block, 0, index))


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


def _unbox(_pointer: Any, state: Any, context: Any) -> Any:
    """Take a state's `__index__`, or a number that has been taken from it."""
    number = context.pyapi.number_as_ssize_t(state)
    address = context.builder.inttoptr(number, ir.IntType(8).as_pointer())
    failed = cgutils.is_not_null(context.builder, context.pyapi.err_occurred())
    return NativeValue(address, is_error=failed)


register_model(_StatePointer)(_StatePointerModel)
infer_getattr(_StatePointerFields)
lower_getattr_generic(_StatePointer)(_load_field)
unbox(_StatePointer)(_unbox)
