"""The classes of agents that a scenario can name, by the module that holds their parameters."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from stressbook.agents.own_classes import OWN_CLASSES
from stressbook.errors import UnknownName

__all__ = ["agent_class_names", "is_own_class", "params_class"]

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


def agent_class_names() -> list[str]:
    """Return the names that `[agents.NAME]` may have."""
    return [*_SHIPPED, *OWN_CLASSES]


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
    if name in OWN_CLASSES:
        return OWN_CLASSES[name].params
    if name not in agent_class_names():
        raise UnknownName("agents", name, known=agent_class_names())
    found = getattr(
        import_module(f"stressbook.agents.{name}"), f"{name.title().replace('_', '')}Params"
    )
    assert isinstance(found, type)
    return found


def is_own_class(name: str) -> bool:
    """Say whether a class of agents was written by a user."""
    return name not in _SHIPPED
