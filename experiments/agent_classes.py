"""The classes of agents that a scenario can name: the shipped ones and those of users."""

from __future__ import annotations

from stressbook.agents.classes import CLASSES
from stressbook.agents.own_classes import OWN_CLASSES
from stressbook.errors import UnknownName

__all__ = ["agent_class_names", "is_own_class", "params_class"]


def agent_class_names() -> list[str]:
    """Return the names that `[agents.NAME]` may have."""
    return [*CLASSES, *OWN_CLASSES]


def params_class(name: str) -> type:
    """Return the frozen dataclass of parameters of a class of agents.

    Parameters
    ----------
    name : str
        As in scenario files: "market_maker".

    Returns
    -------
    type
        Its fields are declared with `stressbook.market.rules.parameters.param`.

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
    if name not in CLASSES:
        raise UnknownName("agents", name, known=agent_class_names())
    return CLASSES[name].params


def is_own_class(name: str) -> bool:
    """Say whether a class of agents was written by a user."""
    return name not in CLASSES
