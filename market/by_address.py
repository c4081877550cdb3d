"""How kernels receive a state of many arrays: as one address.

Numba hands a NamedTuple of sixty arrays on as five hundred values, at every call and through every
stage of compiling. Here a state class is a pointer to them instead: the arrays' descriptors are
written into one block when the state is first handed to a kernel, and `v.cash` reads the one that is
needed. Nothing else changes: in Python a state is an ordinary NamedTuple, and with the compiler off
it stays one.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.extending import (
    NativeValue,
    infer_getattr,
    intrinsic,
    lower_getattr_generic,
    models,
    register_model,
    typeof_impl,
    unbox,
)
from numba.core.typing.templates import AttributeTemplate

__all__ = ["by_address"]

T = TypeVar("T", bound=type)


class StateType(types.Type):  # type: ignore[misc]
    """Type of a state in kernels; its fields are those of the NamedTuple."""

    def __init__(self, fields: types.NamedTuple) -> None:
        self.fields = fields
        super().__init__(name=f"State({fields.name})")


@register_model(StateType)
class _StateModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: StateType) -> None:
        super().__init__(manager, kind, ir.IntType(8).as_pointer())


@infer_getattr
class _StateAttributes(AttributeTemplate):  # type: ignore[misc]
    key = StateType

    def generic_resolve(self, state: StateType, name: str) -> Any:
        if name in state.fields.fields:
            return state.fields.types[state.fields.fields.index(name)]
        return None


@lower_getattr_generic(StateType)
def _load_field(context: Any, builder: Any, state: StateType, value: Any, name: str) -> Any:
    index = state.fields.fields.index(name)
    struct = context.get_value_type(state.fields)
    place = builder.bitcast(value, struct.as_pointer())
    loaded = builder.load(cgutils.gep_inbounds(builder, place, 0, index))
    return impl_ret_borrowed(context, builder, state.fields.types[index], loaded)


@unbox(StateType)
def _unbox_state(kind: StateType, obj: Any, c: Any) -> NativeValue:
    number = c.pyapi.object_getattr_string(obj, "_block_address")
    address = c.pyapi.long_as_voidptr(number)
    c.pyapi.decref(number)
    return NativeValue(address, is_error=cgutils.is_not_null(c.builder, c.pyapi.err_occurred()))


@intrinsic  # type: ignore[untyped-decorator,unused-ignore]
def _store(typing_context: Any, address: Any, fields: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.inttoptr(arguments[0], arguments[1].type.as_pointer())
        builder.store(arguments[1], place)
        return context.get_dummy_value()

    return types.void(types.int64, fields), generate


@njit
def _write_block(address: int, fields: Any) -> None:
    _store(address, fields)


def by_address(cls: T) -> T:
    """Let kernels receive a NamedTuple class of arrays as one address.

    Parameters
    ----------
    cls : type
        A NamedTuple whose fields are arrays; instances keep their arrays for life.

    Returns
    -------
    type
        A subclass of the same name and fields.
    """
    plain = cls

    class State(plain):  # type: ignore[valid-type,misc]
        @property
        def _block_address(self) -> int:
            block = self.__dict__.get("_block")
            if block is None:
                # A descriptor is at most 12 words: pointer, shape and strides of three axes.
                block = self.__dict__["_block"] = np.zeros(12 * len(self) + 8, np.int64)
                _write_block(block.ctypes.data, plain(*self))
            return int(block.ctypes.data)

        def __reduce__(self) -> Any:
            return type(self), tuple(self)

    State.__name__, State.__qualname__ = cls.__name__, cls.__qualname__
    State.__module__, State.__doc__ = cls.__module__, cls.__doc__
    if not config.DISABLE_JIT:

        @typeof_impl.register(State)
        def _type_of_state(value: Any, context: Any) -> StateType:
            kind = value.__dict__.get("_kind")
            if kind is None:
                kind = value.__dict__["_kind"] = StateType(typeof_impl(plain(*value), context))
            return kind

    return State  # type: ignore[return-value]
