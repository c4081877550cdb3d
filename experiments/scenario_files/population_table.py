"""The key `population` of a scenario: a file of accounts, or its content in the resolved form."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

from stressbook.errors import InvalidInput, InvalidScenario, Problem
from stressbook.experiments.own_book.checks import accounts_of
from stressbook.experiments.own_book.holdings import OwnBook
from stressbook.experiments.own_book.table import parse_csv, read_book
from stressbook.experiments.scenario_files.values import unread_key
from stressbook.market.rules.spec import VenueSpec

__all__ = ["POPULATION_KEYS", "judge_population", "population_table", "read_population"]

POPULATION_KEYS: Final = ("file", "sha256", "holdings")


def population_table(book: OwnBook) -> dict[str, str]:
    """Return the table of the resolved form, which needs no file any more.

    Examples
    --------
    >>> from stressbook.experiments.own_book.holdings import Holding
    >>> table = population_table(OwnBook("a.csv", (Holding("desk", "cash", "USDC", "5"),)))
    >>> list(table), table["holdings"].splitlines()[1]
    (['file', 'sha256', 'holdings'], 'desk,cash,USDC,5,,,,,,')
    """
    return dict(zip(POPULATION_KEYS, (book.file, book.digest(), book.text()), strict=True))


def read_population(value: Any, *, problems: list[Problem]) -> OwnBook | None:
    """Return the accounts that the key names or holds.

    Parameters
    ----------
    value : object
        A path, or the table of a resolved scenario; an `OwnBook` passes as it is.
    problems : list of Problem
        Appended to.

    Returns
    -------
    OwnBook or None
        None if a problem was reported.
    """
    if isinstance(value, OwnBook):
        return value
    if isinstance(value, Mapping):
        return _read_table(value, problems)
    if not isinstance(value, str):
        allowed = "the path of a CSV, Parquet or JSON file"
        problems.append(Problem("is no path", "population", value, allowed))
        return None
    try:
        return read_book(value)
    except InvalidScenario as error:
        lead = f"population {error.source} " if error.source else ""
        problems += [
            Problem(one.problem, f"{lead}{one.name}", one.value, one.allowed, one.hint)
            for one in error.problems
        ]
        return None


def _read_table(table: Mapping[str, Any], problems: list[Problem]) -> OwnBook | None:
    found = [
        unread_key("population", key, known=POPULATION_KEYS)
        for key in table
        if key not in POPULATION_KEYS
    ]
    found += [
        Problem("is no text", f"population.{key}", table[key])
        for key in POPULATION_KEYS
        if key in table and not isinstance(table[key], str)
    ]
    if "holdings" not in table:
        found.append(Problem("is missing", "population.holdings", hint='population = "FILE"'))
    if found:
        problems += found
        return None
    try:
        book = _parsed(table["holdings"], table.get("file", "population"))
    except InvalidScenario as error:
        problems += error.problems
        return None
    if "sha256" in table and table["sha256"] != book.digest():
        hint = "the holdings were changed by hand: leave sha256 out"
        problems.append(
            Problem("does not fit the holdings", "population.sha256", table["sha256"], hint=hint)
        )
    return book


@lru_cache(maxsize=8)
def _parsed(text: str, file: str) -> OwnBook:
    """Return the accounts of a text; a change of a scenario reads it again."""
    holdings, problems = parse_csv(text, file=file)
    if not holdings and not problems:
        problems = [Problem("holds no account", "population", file)]
    if problems:
        raise InvalidScenario.from_problems(problems)
    return OwnBook(file, tuple(holdings))


def judge_population(
    book: OwnBook,
    spec: VenueSpec,
    changed: Mapping[str, Any],
    *,
    regime: str,
    problems: list[Problem],
) -> None:
    """Judge the accounts by the venue of the scenario.

    Parameters
    ----------
    book : OwnBook
        As read.
    spec : VenueSpec
        Rules, with opening prices.
    changed : mapping of str to value
        Numbers of the rules that the scenario changes, by place.
    regime : str
        Margin regime of the scenario.
    problems : list of Problem
        Appended to.
    """
    with suppress(InvalidInput):  # what does not fit is told of the venue
        spec = spec.with_values(changed)
    accounts_of(book, spec, regime=regime, problems=problems)
