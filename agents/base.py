"""Agents under Mesa: a desk of accounts that follow one compiled rule, or one account in Python.

All three ways of writing an agent share one outbox and are freely mixed. Mesa's random numbers are
not used: draws are keyed by account, purpose and time (`stressbook.market.numbers.draws`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

import mesa

from stressbook.agents.outbox import Outbox
from stressbook.agents.rule import Rule
from stressbook.agents.view import Accounts, Market
from stressbook.market.compiling.arrays import I64, Records
from stressbook.market.compiling.by_address import compiled_call


class Desk(mesa.Agent):
    """One Mesa agent whose accounts are rows; its rule is a compiled loop over them.

    Parameters
    ----------
    model : mesa.Model
        The simulation.
    rule : Rule
        Behaviour of every account of the desk.
    users : ndarray of int64, shape (n,)
        Users of the accounts.
    parameters : ndarray of `rule.parameters`, shape (n,)
        One record an account.
    memory : ndarray of `rule.memory`, shape (n,)
        What the accounts remember; changed in place.
    """

    decide: Callable[[], None]  # lets every account look and emit messages; from `bind` on

    def __init__(
        self, model: mesa.Model, rule: Rule, users: I64, parameters: Records, memory: Records
    ) -> None:
        super().__init__(model)
        self.rule = rule
        self.users = users
        self.parameters = parameters
        self.memory = memory

    def bind(self, accounts: Accounts, market: Market, out: Outbox) -> None:
        """Let `decide` be the compiled rule over these views."""
        mine = (self.users, self.parameters, self.memory)
        self.decide = compiled_call(self.rule.run, accounts, market, *mine, out)


class OneAccount(mesa.Agent):
    """One Mesa agent that is one account; see `stressbook.agents.account.Account`."""

    @property
    def random(self) -> NoReturn:
        """Refuse Mesa's generator: its draws would depend on who else draws."""
        raise AttributeError(_NO_GENERATOR)

    @property
    def rng(self) -> NoReturn:
        """Refuse Mesa's generator: its draws would depend on who else draws."""
        raise AttributeError(_NO_GENERATOR)


_NO_GENERATOR: Final = "Mesa's generator is not reproducible here: draw with `view.uniform(index)`"
