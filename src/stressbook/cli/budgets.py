"""Budgets: the largest value of an outcome that is allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from stressbook.errors import InvalidInput, Problem, UnknownName

__all__ = ["Judged", "budgets_of", "judge"]


# What `--check` judges where no budget is given: losses that neither accounts nor capital bore.
_UNBORNE: Final = ("written_off_usd", "deficit_booked_usd", "backstop_short_usd")


class Judged(NamedTuple):
    """One outcome against its budget."""

    outcome: str
    worst: float  # over all runs
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether no run is over the budget."""
        return self.worst <= self.allowed


def budgets_of(texts: Sequence[str], *, check: bool, assets: Sequence[str]) -> dict[str, float]:
    """Return the largest allowed value by outcome.

    Parameters
    ----------
    texts : sequence of str
        Each "outcome=number".
    check : bool
        Whether to judge a run without budgets by the losses that nobody should bear.
    assets : sequence of str
        Of the scenario: each has a drawdown.

    Returns
    -------
    dict of str to float

    Raises
    ------
    InvalidInput
        With every text that is no budget.
    UnknownName
        If there is no such outcome.

    Examples
    --------
    >>> budgets_of(["liquidated_usd=4e6"], check=False, assets=["BTC"])
    {'liquidated_usd': 4000000.0}
    >>> budgets_of([], check=True, assets=["BTC"])
    {'written_off_usd': 0.0, 'deficit_booked_usd': 0.0, 'backstop_short_usd': 0.0}
    """
    if check and not texts:
        return dict.fromkeys(_UNBORNE, 0.0)
    found: dict[str, float] = {}
    problems = []
    for text in texts:
        name, _, number = text.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            problems.append(
                Problem("is no budget", "--budget", text, "outcome=number", "as in n_breaches=0")
            )
    if problems:
        raise InvalidInput.from_problems(problems)
    _check_names(found, assets)
    return found


def _check_names(budgets: Mapping[str, float], assets: Sequence[str]) -> None:
    from stressbook.experiments.outcomes import outcome_names

    known = outcome_names(assets)
    for name in budgets:
        if name not in known:
            raise UnknownName("outcome", name, known=known)
    if "backstop_low_usd" in budgets:
        raise InvalidInput(
            "has no largest value: the lower, the worse",
            name="--budget",
            value="backstop_low_usd",
            allowed="outcomes of which less is better",
            hint="as in backstop_short_usd=0: how far it fell below zero",
        )


def judge(outcomes: Sequence[Mapping[str, float]], allowed: Mapping[str, float]) -> list[Judged]:
    """Return the worst value of each outcome that has a budget.

    Parameters
    ----------
    outcomes : sequence of mapping of str to float
        Of each run.
    allowed : mapping of str to float
        Largest values by outcome.

    Returns
    -------
    list of Judged

    Examples
    --------
    >>> [judged.holds for judged in judge([{"n": 1.0}, {"n": 3.0}], {"n": 2.0})]
    [False]
    """
    return [
        Judged(name, max((found[name] for found in outcomes), default=math.inf), limit)
        for name, limit in allowed.items()
    ]
