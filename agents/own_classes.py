"""Classes of agents that users write, by the name under which scenario files know them."""

from __future__ import annotations

from dataclasses import MISSING, Field, make_dataclass
from inspect import get_annotations
from typing import Any, Final, NamedTuple

from stressbook.errors import InvalidInput, Problem
from stressbook.market.numbers.draws import CLASS_NUMBERS

__all__ = ["OWN_CLASSES", "OwnClass", "declared_parameters", "params_dataclass", "register"]


class OwnClass(NamedTuple):
    """A class of own agents with the dataclass of its parameters."""

    agent: type
    params: type

    @property
    def address(self) -> str:
        """Module and name; a class that is defined again has the same."""
        return f"{self.agent.__module__}.{self.agent.__qualname__}"


OWN_CLASSES: Final[dict[str, OwnClass]] = {}


def register(agent: type, params: type) -> None:
    """Make a class of own agents usable as `[agents.NAME]`, by the name of the class.

    Parameters
    ----------
    agent : type
        Subclass of `Account`. Defined again, as by running a cell of a notebook twice, it replaces
        itself.
    params : type
        Frozen dataclass of its parameters.

    Raises
    ------
    InvalidInput
        If another class has that name.
    """
    found, name = OwnClass(agent, params), agent.__name__
    known = OWN_CLASSES.get(name)
    if name in CLASS_NUMBERS or (known is not None and known.address != found.address):
        raise InvalidInput(
            "is taken" if known is None else f"is the name of {known.address} already",
            name="class of agents",
            value=name,
            allowed="a name for each class",
            hint="give the class another name",
        )
    OWN_CLASSES[name] = found


def declared_parameters(agent: type) -> dict[str, Field[Any]]:
    """Return the parameters that a class body declares, and leave their defaults in it.

    Raises
    ------
    InvalidInput
        If a parameter has no type, so that files cannot be checked against it.
    """
    hints = get_annotations(agent)
    found = {name: item for name, item in vars(agent).items() if isinstance(item, Field)}
    problems = [
        Problem(
            "has no type",
            f"{agent.__name__}.{name}",
            allowed="float, int, bool, str or a tuple of them",
            hint=f"write {name}: float = sb.param(...)",
        )
        for name in found
        if name not in hints
    ]
    if problems:
        raise InvalidInput.from_problems(problems)
    for name, item in found.items():
        factory = item.default_factory
        setattr(agent, name, item.default if factory is MISSING else factory())
    return found


def params_dataclass(agent: type, declared: dict[str, Field[Any]], base: type | None) -> type:
    """Return the frozen dataclass of what a class body declares, after what its base has."""
    hints = get_annotations(agent)
    made = make_dataclass(
        "Params",
        [(name, hints[name], item) for name, item in declared.items()],
        bases=() if base is None else (base,),
        frozen=True,
        kw_only=True,
        namespace={"__doc__": agent.__doc__ or f"Parameters of {agent.__name__}."},
    )
    # Found by that address when a scenario is sent to another process.
    made.__module__, made.__qualname__ = agent.__module__, f"{agent.__qualname__}.Params"
    return made
