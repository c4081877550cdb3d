"""An agent that a user writes: one account in plain Python.

Subclass `Account`, declare parameters with `param`, and write `decide`. It looks at a `View`, puts
messages into an `OutboxView`, and may keep any state in attributes of its own.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from stressbook.agents.base import OneAccount
from stressbook.agents.own_classes import declared_parameters, params_dataclass, register
from stressbook.agents.own_outbox import OutboxView
from stressbook.agents.own_view import View
from stressbook.market.rules.parameters import param

__all__ = ["Account", "AccountParams"]


@dataclass(frozen=True, kw_only=True)
class AccountParams:
    """What every class of own agents has beside the parameters that it declares."""

    accounts: int = param(
        1, unit="1", help="how many accounts follow this behaviour", low=0.0, high=16_384.0
    )
    cash_usd: float = param(
        1e6, unit="USD", help="USDC that each account opens with", low=0.0, high=1e12
    )
    enrolled: bool = param(
        False,
        unit="switch",
        help="asks to be margined as one portfolio, where the scenario's regime is that",
    )
    volume_14d_usd: float = param(
        0.0, unit="USD", help="weighted 14-day volume, which sets the fees", low=0.0, high=1e13
    )


class Account(OneAccount):
    """One account whose behaviour is plain Python.

    A subclass is usable in scenario files as `[agents.NAME]`, by the name of the class, as soon as
    its file is imported. Its parameters are attributes of the instance, next to those of
    `AccountParams`. What else it keeps in attributes is part of snapshots.

    Parameters
    ----------
    model : mesa.Model
        The simulation.
    params : dataclass instance
        Values of the parameters.

    Attributes
    ----------
    Params : type
        Frozen dataclass of all parameters; made from the class body.

    Examples
    --------
    >>> class BuyOnce(Account):
    ...     lots: int = param(100, unit="lots", help="size of the only order", low=1.0)
    ...     done = False
    ...
    ...     def decide(self, view, out):
    ...         if not self.done:
    ...             out.buy("BTC-PERP", self.lots)
    ...         self.done = True
    >>> BuyOnce.Params(accounts=3)
    BuyOnce.Params(accounts=3, cash_usd=1000000.0, enrolled=False, volume_14d_usd=0.0, lots=100)
    """

    Params: ClassVar[type] = AccountParams

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.Params = params_dataclass(cls, declared_parameters(cls), cls.Params)
        if cls.decide is not Account.decide:
            register(cls, cls.Params)

    def __init__(self, model: Any, params: Any) -> None:
        super().__init__(model)
        for entry in fields(params):
            setattr(self, entry.name, getattr(params, entry.name))
        self.setup()

    def setup(self) -> None:
        """Prepare own state, once, before the first step; does nothing unless overridden."""

    @abstractmethod
    def decide(self, view: View, out: OutboxView) -> None:
        """Look, and emit messages; called once a step.

        Parameters
        ----------
        view : View
            The own account as it stands, the public market as it was one step ago.
        out : OutboxView
            Takes orders, cancels and transfers; executed when the venue sequences the step.
        """
