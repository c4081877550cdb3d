"""Compiled functions as the plain Python they were written in."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

__all__ = ["plain"]


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a kernel that runs uncompiled, with every kernel that it calls.

    A compiled function takes arrays and records only; uncompiled, the same source takes any
    objects that have the same fields.

    Parameters
    ----------
    function : callable
        A kernel, or a function that calls kernels. Kernels are found where they are called by a
        name of the module, which is how they call each other.

    Returns
    -------
    callable
        Of the same signature; `function` itself if there is nothing compiled.

    Examples
    --------
    >>> from stressbook.market.numbers.elementary import ln
    >>> plain(ln)(2.0) == ln(2.0)
    True
    """
    return _Plain().twin(function) if hasattr(function, "py_func") else function


class _Plain:
    """Uncompiled twins, one for each function and module that is reached."""

    def __init__(self) -> None:
        self._modules: dict[int, dict[str, Any]] = {}

    def twin(self, compiled: Any) -> FunctionType:
        source: FunctionType = compiled.py_func
        twin = FunctionType(
            source.__code__,
            self._names(source.__globals__),
            source.__name__,
            source.__defaults__,
            source.__closure__,
        )
        twin.__kwdefaults__ = source.__kwdefaults__
        return twin

    def _names(self, module: dict[str, Any]) -> dict[str, Any]:
        """Return the names of a module, kernels among them replaced by their twins."""
        known = self._modules.get(id(module))
        if known is None:
            # Entered before it is filled: kernels of one module call each other.
            known = self._modules[id(module)] = dict(module)
            for name, value in module.items():
                if isinstance(getattr(value, "py_func", None), FunctionType):
                    known[name] = self.twin(value)
        return known
