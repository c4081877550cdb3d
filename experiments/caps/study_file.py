"""Cap studies as TOML files: read whole, with every problem at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from stressbook.errors import InvalidScenario, Problem, StressbookError
from stressbook.experiments.caps.episodes import Changes
from stressbook.experiments.caps.file_parts import bound, places_and_values, table_list
from stressbook.experiments.caps.law import ScenarioLaw
from stressbook.experiments.caps.law_file import read_law
from stressbook.experiments.caps.study import (
    AbsorptionParams,
    CapParams,
    CapStudy,
    OutcomeParams,
    Row,
    RowParams,
    SecondParams,
)
from stressbook.experiments.caps.study_checks import (
    absorption_problems,
    divisions_by_zero,
    episode_problems,
    grid_problems,
    lever_problems,
    no_probabilities,
    outcome_problems,
    unknown_draws,
)
from stressbook.experiments.scenario import Scenario, load_scenario
from stressbook.experiments.scenario_files.file import apply_overrides, merge, read_file
from stressbook.experiments.scenario_files.values import (
    unfit_numbers,
    unknown_name,
    unread_key,
)
from stressbook.experiments.studies.shipped import cap_study_file
from stressbook.market.rules.parameters import param

__all__ = ["cap_summary", "load_cap_study"]


@dataclass(frozen=True, kw_only=True)
class _Head:
    name: str = param("", unit="text", help="of the study")
    summary: str = param("", unit="text", help="its question, in a sentence")
    scenario: str = param("hyperliquid", unit="name", help="name or file beside it")
    seed: int = param(1, unit="1", help="of all its episodes", low=0)


_HEAD_KEYS: Final = tuple(entry.name for entry in fields(_Head))
_KEYS: Final = (*_HEAD_KEYS, "cap", "second", "outcome", "law", "absorption", "rows")


def cap_summary(name: str) -> str:
    """Return the question of a study that ships."""
    return str(_inherited(cap_study_file(name), ()).get("summary", ""))


def load_cap_study(name_or_path: str | Path, *, overrides: Iterable[str] = ()) -> CapStudy:
    """Return a cap study of a file or of those that ship, checked as a whole.

    Parameters
    ----------
    name_or_path : str or Path
        A name of `cap_study_names`, or the path of a TOML file.
    overrides : iterable of str
        Single values, each "place=value": "outcome.alpha=0.01", "cap.grid=[1e8, 2e8]".

    Returns
    -------
    CapStudy

    Raises
    ------
    UnknownName
        If no study of that name ships.
    InvalidScenario
        With every problem of the file at once.

    Examples
    --------
    >>> load_cap_study("usdc-borrow-cap").outcome.budget
    25000000.0
    """
    path = cap_study_file(name_or_path)
    table = apply_overrides(_inherited(path, ()), list(overrides))
    reader = _Reader(table, path)
    study = reader.read()
    if reader.problems or study is None:
        first: dict[str, Problem] = {}  # of each place: a NaN is also out of range
        for problem in reader.problems:
            first.setdefault(problem.name, problem)
        raise InvalidScenario.from_problems(list(first.values()), source=path.name)
    return study


def _inherited(path: Path, chain: tuple[Path, ...]) -> dict[str, Any]:
    """Return the table of a file over that of the study that it inherits from, if it does."""
    table = read_file(path)
    if "inherits" not in table:
        return table
    name = table.pop("inherits")
    chain = (*chain, path.resolve())
    if not isinstance(name, str):
        problem = Problem("is not a text", "inherits", name, "a name, or a path that ends .toml")
        raise InvalidScenario.from_problems([problem], source=path.name)
    parent = path.parent / name if name.endswith(".toml") else cap_study_file(name)
    if parent.resolve() in chain:
        problem = Problem("inherits from itself", "inherits", name, hint="break the loop")
        raise InvalidScenario.from_problems([problem], source=path.name)
    base = _inherited(parent, chain)
    own = {key: item for key, item in base.items() if key not in ("name", "summary")}
    return merge(own, table)


class _Reader:
    """Reads a table part by part and keeps all problems."""

    def __init__(self, table: Mapping[str, Any], path: Path) -> None:
        self.table, self.path = table, path
        self.problems: list[Problem] = [*unfit_numbers(table)]

    def read(self) -> CapStudy | None:
        self.problems += [
            unread_key("", key, known=_KEYS) for key in self.table if key not in _KEYS
        ]
        head = self._bound(_Head, {k: v for k, v in self.table.items() if k in _HEAD_KEYS}, "")
        cap = self._bound(CapParams, self.table.get("cap", {}), "cap")
        second = self._bound(SecondParams, self.table.get("second", {}), "second")
        outcome = self._bound(OutcomeParams, self.table.get("outcome", {}), "outcome")
        law = read_law(self.table.get("law", {}), self.problems)
        absorbs = self._bound(AbsorptionParams, self.table.get("absorption", {}), "absorption")
        rows = self._rows(self.table.get("rows", []), law)
        scenario = self._scenario(head.scenario if head else "")
        assets = scenario.assets if scenario is not None else ()
        self.problems += outcome_problems(self.table.get("outcome"), assets)
        for section, chosen in (("cap", cap), ("second", second)):
            if chosen is not None and (section == "cap" or chosen.lever):
                self.problems += grid_problems(section, chosen.grid)
                self.problems += lever_problems(section, chosen.lever, scenario)
        if law is not None and absorbs is not None and scenario is not None:
            self.problems += absorption_problems(absorbs, law, scenario.assets)
        if self.problems or scenario is None or law is None:
            return None
        study = CapStudy(
            head.name or self.path.name.removesuffix(".toml").removesuffix(".cap"),
            head.summary,
            head.seed,
            scenario,
            cap,
            second,
            outcome,
            law,
            absorbs,
            rows,
        )
        self.problems += episode_problems(study)
        return study

    def _bound(self, cls: type, table: Any, place: str, skip: tuple[str, ...] = ()) -> Any:
        return bound(cls, table, place, self.problems, skip=skip)

    def _scenario(self, name: str) -> Scenario | None:
        beside = self.path.parent / name
        try:
            return load_scenario(beside if name.endswith(".toml") else name)
        except StressbookError as error:
            self.problems += error.problems
            return None

    def _rows(self, rows: Any, law: ScenarioLaw | None) -> tuple[Row, ...]:
        found = []
        more = ("set", "scale", "probability")
        for index, raw in enumerate(table_list(rows, "rows", self.problems)):
            place = f"rows[{index}]"
            about = self._bound(RowParams, raw, place, skip=more)
            parts = [places_and_values(raw.get(k, {}), f"{place}.{k}", self.problems) for k in more]
            if law is not None:
                known = [element.name for element in law.elements]
                self.problems += [
                    unknown_name(f"{place}.probability", name, known=known)
                    for name in parts[2]
                    if name not in known
                ]
                self.problems += unknown_draws(parts[:2], law, place)
                self.problems += divisions_by_zero(parts[:2], law)
            self.problems += no_probabilities(parts[2], place)
            if about is not None:
                found.append(Row(about, Changes(*parts)))
        return tuple(found)
