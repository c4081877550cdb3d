"""A shipped rule run one account at a time, in plain Python, with the messages of its desk.

`decide` is the very function that the desk compiles. Here it gets objects with the same fields in
place of records: slots cost a thirtieth of a field of a NumPy record.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from stressbook.agents.base import OneAccount
from stressbook.agents.outbox import Outbox
from stressbook.agents.plain import plain
from stressbook.agents.rule import Rule
from stressbook.agents.view import Accounts, Market, Me
from stressbook.market.compiling.arrays import I64, Records
from stressbook.market.state.records import MESSAGE

__all__ = ["RuleAccount", "RuleAccounts"]


class RuleAccount(OneAccount):
    """One account that follows a shipped rule in plain Python.

    Parameters
    ----------
    model : mesa.Model
        The simulation.
    decide : callable
        The rule, uncompiled.
    user : int
        Of the account.
    parameters : slot object
        Fields of the rule's parameters.
    """

    def __init__(self, model: Any, decide: Callable[..., None], user: int, parameters: Any) -> None:
        super().__init__(model)
        self.rule_decide = decide
        self.user = user
        self.parameters = parameters

    def decide(self, accounts: Accounts, market: Market, memory: Any, out: _Box) -> None:
        """Look with the eyes of the rule, and emit its messages."""
        self.rule_decide(_look(accounts, self.user, memory), market, self.parameters, out)


class RuleAccounts:
    """The accounts of a class as scalar agents, in place of a `Desk`.

    Parameters
    ----------
    model : mesa.Model
        The simulation.
    rule : Rule
        Behaviour of every account.
    users, parameters, memory
        As of a desk.
    """

    def __init__(
        self, model: Any, rule: Rule, users: I64, parameters: Records, memory: Records
    ) -> None:
        self.rule = rule
        self.users = users
        self.parameters = parameters
        self.memory = memory
        decide = plain(rule.decide)
        self.agents = [
            RuleAccount(model, decide, int(user), slots(record))
            for user, record in zip(users, parameters, strict=True)
        ]

    def bind(self, accounts: Accounts, market: Market, out: Outbox) -> None:
        """Keep what the accounts look at and write to."""
        self._views = accounts, market, out

    def decide(self) -> None:
        """Let the accounts decide one after the other."""
        accounts, market, out = self._views
        rows: tuple[Any, ...] = tuple(_Rows(map(slots, records)) for records in market)
        seen = Market(*rows)
        box = _Box(out)
        for j, agent in enumerate(self.agents):
            memory = slots(self.memory[j])
            agent.decide(accounts, seen, memory, box)
            for name in self.memory.dtype.names or ():
                self.memory[name][j] = getattr(memory, name)
        box.flush()


def slots(record: Any) -> Any:
    """Return an object with the fields of a record, as plain numbers and lists."""
    found = _slot_class(record.dtype)()
    for name in record.dtype.names:
        setattr(found, name, record[name].tolist())
    return found


@cache
def _slot_class(dtype: np.dtype[np.void]) -> type:
    return type("Slots", (), {"__slots__": dtype.names})


class _Rows(list[Any]):
    """A list that knows its length as arrays do."""

    @property
    def shape(self) -> tuple[int]:
        return (len(self),)


class _Grid:
    """Rows of numbers under two indices."""

    __slots__ = ("rows",)

    def __init__(self, rows: list[list[int]]) -> None:
        self.rows = rows

    def __getitem__(self, place: tuple[int, int]) -> int:
        return self.rows[place[0]][place[1]]


class _Messages:
    """Takes the place of the message array: a slot object for each message that is written."""

    def __init__(self, n_rows: int) -> None:
        self.shape = (n_rows,)
        self.written: list[Any] = []

    def __getitem__(self, n: int) -> Any:
        self.written.append(_MESSAGE())
        return self.written[-1]


class _Box:
    """An outbox for uncompiled rules: counts and messages as plain objects until the flush."""

    def __init__(self, out: Outbox) -> None:
        self._out = out
        self._first = int(out.count[0])
        self.count = out.count.tolist()
        self.message = _Messages(len(out.message))
        self.outside = out.outside

    def flush(self) -> None:
        """Move what was written into the venue's outbox."""
        for n, message in enumerate(self.message.written, self._first):
            row = [getattr(message, name, 0) for name in MESSAGE.names or ()]
            self._out.message[n] = tuple(row)
        self._out.count[:] = self.count


def _look(accounts: Accounts, user: int, memory: Any) -> Me:
    """Return one account as its rule sees it, in plain numbers."""
    start, end = accounts.order_start[user : user + 2].tolist()
    seen: tuple[Any, ...] = (
        slots(accounts.account[user]),
        accounts.position[user].tolist(),
        accounts.token[user].tolist(),
        _Grid(accounts.outside[user].tolist()),
        accounts.entry_cost[user].tolist(),
        accounts.leverage[user].tolist(),
        _Rows(map(slots, accounts.order[start:end])),
        memory,
    )
    return Me(*seen)


_MESSAGE = _slot_class(MESSAGE)
