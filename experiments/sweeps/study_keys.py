"""The keys of a study file, each with unit and range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from stressbook.errors import Problem
from stressbook.experiments.scenario_files.values import read_value, unread_key, value_types
from stressbook.market.rules.parameters import param

__all__ = ["AimFields", "Header", "Range", "StopFields", "read_fields"]


@dataclass(frozen=True, kw_only=True)
class Header:
    """The keys of a study file that are single values."""

    name: str = param("", unit="text", help="of the study; the file's name if left out")
    summary: str = param("", unit="text", help="what it asks")
    scenario: str = param("", unit="text", help="a name of the catalogue, or a file beside it")
    seed: int = param(0, unit="1", help="first of the seeds", low=0, high=2**31)
    replicates: int = param(30, unit="1", help="seeds of each combination", low=1, high=1_000_000)
    design: str = param("grid", unit="name", help="which combinations are run")
    samples: int = param(0, unit="1", help="combinations that fill the space", low=0, high=10**6)
    placebo: bool = param(True, unit="bool", help="run the control again with one more order")
    run_on: float | str = param(0.0, unit="s", help="most past the end", low=0.0, high=86_400.0)


@dataclass(frozen=True, kw_only=True)
class Range:
    """A range of values in place of a list."""

    low: float = param(0.0, unit="1", help="lower end")
    high: float = param(0.0, unit="1", help="upper end")
    n: int = param(5, unit="1", help="values on a grid", low=2, high=10_000)
    scale: str = param("linear", unit="name", help="differences or ratios are equal")


@dataclass(frozen=True, kw_only=True)
class AimFields:
    """What is allowed of an outcome."""

    budget: float | None = param(None, unit="", help="largest allowed value")
    alpha: float = param(0.05, unit="1", help="allowed share of runs over it", low=1e-6, high=0.5)


@dataclass(frozen=True, kw_only=True)
class StopFields:
    """When a combination is run no further."""

    outcome: str = param("", unit="name", help="one of [outcomes]")
    half_width: float | None = param(None, unit="", help="of the mean's interval", low=0.0)
    decide: bool = param(False, unit="bool", help="once the share over the budget is told")
    low: float | None = param(None, unit="", help="least value that the outcome can have")
    high: float | None = param(None, unit="", help="largest value that the outcome can have")
    check_every: int = param(10, unit="1", help="seeds between two looks", low=1, high=10**6)


def read_fields(
    cls: type, table: Mapping[str, Any], place: str, problems: list[Problem]
) -> dict[str, Any]:
    """Return the fields of a class as a table gives them; what it leaves out has its default.

    Parameters
    ----------
    cls : type
        One of this file.
    table : mapping
        Of the study's file.
    place : str
        Its name; empty of the whole file, whose other keys are read elsewhere.
    problems : list of Problem
        Takes what is wrong; such a field has a value without meaning.
    """
    types, known = value_types(cls), {entry.name: entry for entry in fields(cls)}
    problems += [unread_key(place, key, known=known) for key in table if key not in known and place]
    lead = f"{place}." if place else ""
    return {
        name: read_value(
            table[name], types[name], place=f"{lead}{name}", entry=entry, problems=problems
        )
        if name in table
        else entry.default
        for name, entry in known.items()
    }
