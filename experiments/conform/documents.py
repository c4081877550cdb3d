"""Files of golden cases: which format they have, their cases, and the verdicts on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stressbook.errors import InvalidInput, Problem
from stressbook.experiments.conform.cases import Case, Miss, Unsupported, judge
from stressbook.experiments.conform.inputs import NotSupported
from stressbook.experiments.conform.margin_cases import margin_cases
from stressbook.experiments.conform.venue_accounts import account_cases
from stressbook.experiments.conform.venue_reserves import reserve_cases
from stressbook.experiments.conform.venue_rules import RULE_LISTS, RULE_OBJECTS
from stressbook.experiments.conform.venue_series import series_cases
from stressbook.experiments.conform.venue_tables import TABLES, rollforward_cases

__all__ = ["Verdicts", "judge_document", "read_documents"]

_Reader = Callable[[Any, str], Iterator[Case]]
_LISTS: Final[Mapping[str, _Reader]] = {
    "accounts": account_cases,
    "reserves": reserve_cases,
    **RULE_LISTS,
}
_OBJECTS: Final[Mapping[str, _Reader]] = {
    "net_negative_series": series_cases,
    "net_balance_rollforward": rollforward_cases,
    **TABLES,
    **RULE_OBJECTS,
}


@dataclass(frozen=True)
class Verdicts:
    """What became of the cases of a document.

    Parameters
    ----------
    passed, failed : int
        Cases.
    misses : tuple of Miss
        Of the failed cases, number by number.
    unsupported : tuple of Unsupported
        One of each case that can neither pass nor fail.
    """

    passed: int
    failed: int
    misses: tuple[Miss, ...]
    unsupported: tuple[Unsupported, ...]


def read_documents(paths: Sequence[Path]) -> list[Any]:
    """Return the documents of some files.

    Parameters
    ----------
    paths : sequence of Path
        JSON files.

    Returns
    -------
    list
        In the same order.

    Raises
    ------
    InvalidInput
        With every file that cannot be read or is of no known format.
    """
    problems: list[Problem] = []
    documents = []
    for path in paths:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            problems.append(Problem(f"cannot be read: {error.strerror or error}", str(path)))
            continue
        except (ValueError, RecursionError) as error:  # no JSON, or no text
            problems.append(Problem(f"is no JSON file: {error}", str(path)))
            continue
        problem = _format_problem(document, str(path))
        if problem is None:
            documents.append(document)
        else:
            problems.append(problem)
    if problems:
        raise InvalidInput.from_problems(problems)
    return documents


def _format_problem(document: Any, name: str) -> Problem | None:
    known = ", ".join([*_LISTS, *_OBJECTS])
    formats = f"a list of cases with kind, inputs and expected, or an object with any of {known}"
    if isinstance(document, list):
        if any(isinstance(one, Mapping) and "kind" in one for one in document):
            return None
        return Problem("holds no golden case", name, allowed=formats)
    if not isinstance(document, Mapping) or not set(document) & {*_LISTS, *_OBJECTS}:
        return Problem("is of no known format", name, allowed=formats)
    if not list(_cases_of(document)):
        return Problem("holds no golden case", name, allowed=formats)
    return None


def judge_document(document: Any) -> Verdicts:
    """Judge every case of a document.

    Parameters
    ----------
    document : object
        As from `read_documents`.

    Returns
    -------
    Verdicts

    Examples
    --------
    >>> point = {"utilization": 0.5, "borrow_rate": 0.06}
    >>> found = judge_document({"borrow_rate": [point]})
    >>> found.failed, str(found.misses[0])
    (1, 'borrow_rate[0]: borrow_rate is 0.05, expected 0.06 within 6e-10')
    """
    passed = failed = 0
    misses: list[Miss] = []
    unsupported: list[Unsupported] = []
    for case in _cases_of(document):
        wrong, why = judge(case)
        if wrong:
            failed += 1
            misses += wrong
        elif why is not None:
            unsupported.append(why)
        else:
            passed += 1
    return Verdicts(passed, failed, tuple(misses), tuple(unsupported))


def _cases_of(document: Any) -> Iterator[Case]:
    if isinstance(document, list):
        yield from margin_cases(document)
        return
    for name, section in document.items():
        if section is None:
            continue
        if name in _LISTS and isinstance(section, list):
            yield from _LISTS[name](section, name)
        elif name in _OBJECTS and isinstance(section, Mapping):
            yield from _OBJECTS[name](section, name)
        elif name in _LISTS or name in _OBJECTS:
            kind = "list" if name in _LISTS else "table"
            yield _unread(name, f"is no {kind}")
        elif _looks_like_cases(section):
            yield from _unread_section(section, name)


def _looks_like_cases(section: Any) -> bool:
    if isinstance(section, list):
        return bool(section) and all(isinstance(one, Mapping) for one in section)
    return isinstance(section, Mapping) and ("rows" in section or "expected" in section)


def _unread_section(section: Any, name: str) -> Iterator[Case]:
    parts = section if isinstance(section, list) else section.get("rows")
    if not isinstance(parts, list):
        yield _unread(name, "no reader knows this section")
        return
    for i in range(len(parts)):
        yield _unread(f"{name}[{i}]", "no reader knows this section")


def _unread(label: str, reason: str) -> Case:
    def refuse() -> Any:
        raise NotSupported(reason)

    return Case(label, (), refuse)
