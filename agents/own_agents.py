"""All own agents of a run: what they open with, and their turn in each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from stressbook.agents.account import Account
from stressbook.agents.enrolment import NOT_ASKED, EnrolmentCount, answer, count_of
from stressbook.agents.outbox import Outbox
from stressbook.agents.own_classes import OWN_CLASSES
from stressbook.agents.own_outbox import OutboxView, write_messages
from stressbook.agents.own_view import Now, View
from stressbook.agents.population import latencies_us
from stressbook.agents.view import Accounts, Market
from stressbook.errors import AgentError, StressbookError, place_of
from stressbook.market.numbers.draws import account_key, class_numbers
from stressbook.market.numbers.units import MICRO
from stressbook.market.opening.setup import AccountOpening
from stressbook.market.rules.spec import ORDINARY, VenueSpec
from stressbook.market.state.codes import (
    ELIGIBLE,
    MODE_PORTFOLIO,
    MODE_UNIFIED,
    REGIME_CROSS,
    REGIME_PORTFOLIO,
)

__all__ = ["OwnAgents", "open_own_accounts", "own_enrolment"]


def open_own_accounts(
    params: Mapping[str, Any], spec: VenueSpec, *, seed: int, regime: str
) -> list[AccountOpening]:
    """Return what the accounts of own classes open with, class after class.

    Parameters
    ----------
    params : mapping of str to dataclass
        Parameters by class name.
    spec : VenueSpec
        Rules of the venue.
    seed : int
        Of the run.
    regime : str
        Of the scenario; under "cross" and "isolated" nobody is enrolled, and else those that ask
        and are eligible.

    Returns
    -------
    list of AccountOpening
        Keys lie in the range of plugins, so that they move no draw of shipped accounts.

    Raises
    ------
    InvalidInput
        If two class names hash to one class number.
    """
    opened: list[AccountOpening] = []
    for name, number in class_numbers(params).items():
        mine = params[name]
        is_portfolio = _own_answer(mine, spec, regime) == ELIGIBLE
        keys = [account_key(number, ordinal) for ordinal in range(mine.accounts)]
        latencies = latencies_us(spec, seed, np.array(keys, np.int64))
        for key, latency in zip(keys, latencies, strict=True):
            opened.append(
                AccountOpening(
                    key=key,
                    class_id=number,
                    cash_micro=round(mine.cash_usd * MICRO),
                    regime=REGIME_PORTFOLIO if is_portfolio else REGIME_CROSS,
                    account_mode=MODE_PORTFOLIO if is_portfolio else MODE_UNIFIED,
                    volume_14d_micro=round(mine.volume_14d_usd * MICRO),
                    latency_us=latency,
                )
            )
    return opened


def own_enrolment(
    params: Mapping[str, Any], spec: VenueSpec, *, regime: str
) -> dict[str, EnrolmentCount]:
    """Return how many accounts of own classes ask to be enrolled, and what they are answered.

    Parameters
    ----------
    params, spec, regime
        As of `open_own_accounts`.

    Returns
    -------
    dict of str to EnrolmentCount
        By class; without those that do not ask.
    """
    found = {name: _own_answer(mine, spec, regime) for name, mine in params.items()}
    return {
        name: count_of([found[name]] * mine.accounts)
        for name, mine in params.items()
        if found[name] != NOT_ASKED
    }


def _own_answer(mine: Any, spec: VenueSpec, regime: str) -> int:
    """Return what each account of a class is answered: they open alike."""
    if not mine.enrolled or regime in ORDINARY:
        return NOT_ASKED
    value_micro, volume_micro = round(mine.cash_usd * MICRO), round(mine.volume_14d_usd * MICRO)
    return answer(spec, value_micro=value_micro, volume_micro=volume_micro)


# What may come out of a user's code: `sys.exit` would end the run as if all were well.
_FAILURES: Final = (Exception, SystemExit)


class OwnAgents:
    """The own agents of a run, which decide one after the other, after the desks.

    Parameters
    ----------
    model : mesa.Model
        The simulation.
    params : mapping of str to dataclass
        Parameters by class name.
    spec : VenueSpec
        Rules of the venue.
    accounts, market : Accounts, Market
        Views that every step fills anew.
    first_user : int
        User of the first own account; the others follow.
    """

    def __init__(
        self,
        model: Any,
        params: Mapping[str, Any],
        spec: VenueSpec,
        accounts: Accounts,
        market: Market,
        *,
        first_user: int,
    ) -> None:
        self.agents: Sequence[Account] = [
            _made(OWN_CLASSES[name].agent, model, mine)
            for name, mine in params.items()
            for _ in range(mine.accounts)
        ]
        n_users = len(self.agents)
        self._now = Now(spec, accounts, market, first_user=first_user, n_users=n_users)
        self._flat: list[int] = []
        self._turns = [
            (agent, View(self._now, row), OutboxView(self._now, first_user + row, self._flat))
            for row, agent in enumerate(self.agents)
        ]

    def decide(self, out: Outbox) -> None:
        """Let every own agent look and emit messages.

        Raises
        ------
        AgentError
            If one of them fails, with the place in its file.
        """
        if not self._turns:
            return
        self._now.begin()
        agent = self.agents[0]
        try:
            for agent, view, box in self._turns:
                agent.decide(view, box)
        except _FAILURES as error:
            when = f" at t = {self._now.t_ms / 1000:g} s"
            raise _agent_error(type(agent), "decide", when, error) from error
        write_messages(self._flat, out)


def _made(agent: type[Account], model: Any, params: Any) -> Account:
    try:
        return agent(model, params)
    except _FAILURES as error:
        raise _agent_error(agent, "setup", "", error) from error


def _agent_error(agent: type[Account], where: str, when: str, error: BaseException) -> AgentError:
    place = place_of(error, outside=Path(__file__).parent)
    what, allowed, hint = f"{type(error).__name__}: {error}", "", ""
    if isinstance(error, StressbookError):
        what, allowed, hint = str(error).partition("\n")[0], error.allowed, error.hint
    return AgentError(
        f"failed in {where} ({place}){when}: {what.rstrip('.')}",
        name=agent.__name__,
        allowed=allowed,
        hint=hint,
    )
