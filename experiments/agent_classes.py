"""The classes of agents that a scenario can name, by the module that holds their parameters."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Final

from stressbook.errors import InvalidInput, UnknownName

__all__ = ["agent_class_names", "params_class", "register_agent_class"]

_SHIPPED: Final = (
    "market_maker",
    "arbitrageur",
    "order_flow",
    "dip_buyer",
    "basis_trader",
    "hedger",
    "holder",
    "directional",
    "lender",
)
_PLUGINS: Final[dict[str, type]] = {}


def agent_class_names() -> list[str]:
    """Return the names that `[agents.NAME]` may have."""
    return [*(name for name in _SHIPPED if find_spec(_module(name))), *_PLUGINS]


def params_class(name: str) -> type:
    """Return the frozen dataclass of parameters of a class of agents.

    Parameters
    ----------
    name : str
        As in scenario files: "market_maker".

    Returns
    -------
    type
        Its fields are declared with `stressbook.market.parameters.param`.

    Raises
    ------
    UnknownName
        If there is no such class.

    Examples
    --------
    >>> params_class("lender").__name__
    'LenderParams'
    """
    if name in _PLUGINS:
        return _PLUGINS[name]
    if name not in agent_class_names():
        raise UnknownName("agents", name, known=agent_class_names())
    found = getattr(import_module(_module(name)), f"{name.title().replace('_', '')}Params")
    assert isinstance(found, type)
    return found


def register_agent_class(name: str, params: type) -> None:
    """Make the parameters of an own class of agents usable in `[agents.NAME]`.

    Parameters
    ----------
    name : str
        Of the class.
    params : type
        Frozen dataclass with fields declared with `param`.

    Raises
    ------
    InvalidInput
        If another class has that name.
    """
    known = _PLUGINS.get(name)
    again = known is not None and (known.__module__, known.__qualname__) == (
        params.__module__,
        params.__qualname__,
    )
    if name in _SHIPPED or (known is not None and not again):
        raise InvalidInput(
            "is taken", name="class of agents", value=name, hint="give the class another name"
        )
    _PLUGINS[name] = params


def _module(name: str) -> str:
    return f"stressbook.agents.{name}"
