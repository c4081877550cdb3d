"""Study files: TOML into a checked study, every problem at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

from stressbook.errors import InvalidScenario, Problem, StressbookError
from stressbook.experiments.outcomes import outcome_names
from stressbook.experiments.scenario import Scenario, load_scenario
from stressbook.experiments.scenario_files.file import read_file
from stressbook.experiments.scenario_files.values import (
    unfit_numbers,
    unknown_name,
    unread_key,
)
from stressbook.experiments.studies.shipped import study_file
from stressbook.experiments.sweeps.design import DESIGNS, Design, n_points, points
from stressbook.experiments.sweeps.factor import Factor
from stressbook.experiments.sweeps.factor_file import read_factors, require_once, resolved
from stressbook.experiments.sweeps.series import SERIES
from stressbook.experiments.sweeps.study import Aim, Point, Study
from stressbook.experiments.sweeps.study_choices import control_of, read_stop, require_pairs
from stressbook.experiments.sweeps.study_keys import AimFields, Header, read_fields

__all__ = ["MOST_CELLS", "load_study", "study_from_table"]

MOST_CELLS: Final = 10_000  # that are run without being asked for
_TABLES: Final = ("levers", "uncertainties", "outcomes", "limits", "series", "stop", "control")
_DEFAULT_OUTCOMES: Final = ("reserve_shortfall_usd", "liquidated_usd", "peak_borrowed_usd")
_MOST_TOLD: Final = 20  # problems of combinations


def load_study(path: str | Path, *, allow_many: bool = False) -> Study:
    """Return the study of a file, checked as a whole.

    Parameters
    ----------
    path : str or Path
        A TOML file, or a name of the shipped studies.
    allow_many : bool, default False
        Whether more cells may be run than `[limits] cells` says, 10,000 if it does not.

    Returns
    -------
    Study

    Raises
    ------
    InvalidScenario
        With every problem of the file at once.
    """
    file = study_file(path)
    table = {"name": file.stem, **read_file(file)}
    return study_from_table(table, source=file.name, beside=file.parent, allow_many=allow_many)


def study_from_table(
    table: Mapping[str, Any],
    *,
    source: str = "",
    beside: Path | None = None,
    allow_many: bool = False,
) -> Study:
    """Return the study that a parsed TOML table asks for.

    Parameters
    ----------
    table : mapping
        As a file has it.
    source : str
        Name in errors.
    beside : Path, optional
        Folder from which a relative path of the scenario counts.
    allow_many : bool, default False
        As of `load_study`.

    Returns
    -------
    Study

    Raises
    ------
    InvalidScenario
        With every problem at once.
    """
    reader = _Reader(table, beside or Path())
    study = reader.read(allow_many=allow_many)
    problems = list(
        {p.name: p for p in reversed([*unfit_numbers(table), *reader.problems])}.values()
    )
    if study is None or problems:
        raise InvalidScenario.from_problems(problems[::-1], source=source)
    return study


class _Reader:
    """Reads a table part by part and keeps all problems."""

    def __init__(self, table: Mapping[str, Any], beside: Path) -> None:
        self.table, self.beside = table, beside
        self.problems: list[Problem] = []

    def read(self, *, allow_many: bool) -> Study | None:
        known = [*(entry.name for entry in fields(Header)), *_TABLES]
        self.problems += [unread_key("", k, known=known) for k in self.table if k not in known]
        single = {key: item for key, item in self.table.items() if key not in _TABLES}
        header = read_fields(Header, single, "", self.problems)
        base = self._base(header["scenario"])
        if header["design"] not in DESIGNS:
            self.problems.append(unknown_name("design", header["design"], known=DESIGNS))
        if base is None:
            return None
        levers, uncertain = (
            read_factors(part, self._part(part), base, self.problems)
            for part in ("levers", "uncertainties")
        )
        require_once({"levers": levers, "uncertainties": uncertain}, self.problems)
        aims, series = self._aims(base), self._series()
        stop = read_stop(self._part("stop"), aims, self.problems)
        most = None if allow_many else self._most_cells()
        if self.problems or unfit_numbers(self.table):
            return None  # what follows would tell them again
        factors = [*levers, *uncertain]
        self._require_few(factors, header, most)
        if self.problems:
            return None
        study = Study(
            name=header["name"],
            summary=header["summary"],
            base=base,
            seed=header["seed"],
            replicates=header["replicates"],
            design=header["design"],
            levers=tuple(levers),
            uncertainties=tuple(uncertain),
            aims=aims,
            points=self._points(base, factors, header),
            series=series,
            run_on_s=header["run_on"],
            table=dict(self.table),
            stop=stop,
        )
        return None if self.problems else self._controlled(study, header, most=most)

    def _controlled(self, study: Study, header: Mapping[str, Any], *, most: int | None) -> Study:
        """Return the study with its control, and the placebo of that."""
        given = self.table.get("control")
        if given is None and "placebo" in self.table:
            self.problems.append(Problem("needs a control", "placebo", hint='control = "first"'))
        control = control_of(study, given, self.problems)
        found = replace(
            study, control=control, has_placebo=control is not None and header["placebo"]
        )
        require_pairs(found, self.problems)
        self._require_at_most(found.n_cells, most)
        return found

    def _part(self, name: str) -> Mapping[str, Any]:
        found = self.table.get(name, {})
        if isinstance(found, Mapping):
            return found
        self.problems.append(Problem("is no table", name, found, "a table", f"write [{name}]"))
        return {}

    def _base(self, name: Any) -> Scenario | None:
        if not name or not isinstance(name, str):
            given = {"value": name} if name else {}
            text = "a name of the catalogue, or a file beside the study"
            self.problems.append(Problem("is missing", "scenario", allowed=text, **given))
            return None
        place: str | Path = self.beside / name if name.endswith(".toml") else name
        try:
            return load_scenario(place)
        except StressbookError as error:
            self.problems += [
                replace(one, name=f"scenario {name}, {one.name}") for one in error.problems
            ]
            return None

    def _aims(self, base: Scenario) -> tuple[Aim, ...]:
        known = outcome_names(base.assets)
        found = []
        for name, item in self._part("outcomes").items():
            if name not in known:
                listed = ("outcomes that `stressbook run NAME --json` prints",)
                self.problems.append(unread_key("outcomes", name, known=known, listed=listed))
            elif not isinstance(item, Mapping):
                allowed = "a table, as in { budget = 25e6, alpha = 0.05 } or {}"
                self.problems.append(Problem("is no table", f"outcomes.{name}", item, allowed))
            else:
                aim = read_fields(AimFields, item, f"outcomes.{name}", self.problems)
                if "alpha" in item and "budget" not in item:
                    text = "needs a budget"
                    self.problems.append(Problem(text, f"outcomes.{name}.alpha", item["alpha"]))
                found.append(Aim(name, aim["budget"], aim["alpha"]))
        if "outcomes" not in self.table:
            found = [Aim(name, None, 0.05) for name in _DEFAULT_OUTCOMES]
        return tuple(found)

    def _series(self) -> tuple[str, ...]:
        part = self._part("series")
        self.problems += [unread_key("series", k, known=["keep"]) for k in part if k != "keep"]
        keep = part.get("keep", [])
        if not isinstance(keep, list | tuple):
            self.problems.append(Problem("is no list", "series.keep", keep, "a list of names"))
            return ()
        self.problems += [
            unknown_name(f"series.keep[{k}]", name, known=SERIES)
            for k, name in enumerate(keep)
            if not isinstance(name, str) or name not in SERIES
        ]
        return tuple(dict.fromkeys(name for name in keep if isinstance(name, str)))

    def _most_cells(self) -> int:
        part = self._part("limits")
        self.problems += [unread_key("limits", k, known=["cells"]) for k in part if k != "cells"]
        most = part.get("cells", MOST_CELLS)
        if type(most) is not int or most < 1:
            allowed = "a whole number, 1 or more"
            self.problems.append(Problem("is no number of cells", "limits.cells", most, allowed))
            return MOST_CELLS
        return most

    def _require_few(
        self, factors: Sequence[Factor], header: Mapping[str, Any], most: int | None
    ) -> None:
        design: Design = header["design"]
        fills = design in ("latin_hypercube", "sobol")
        if fills and header["samples"] < 1:
            self.problems.append(
                Problem("is missing", "samples", allowed=f"1 or more combinations of {design}")
            )
        self._require_at_most(
            n_points(factors, design, header["samples"]) * header["replicates"], most
        )

    def _require_at_most(self, n: int, most: int | None) -> None:
        if most is not None and n > most:
            self.problems.append(
                Problem(
                    "are more than are run without being asked for",
                    "cells",
                    n,
                    f"{most}, combinations times replicates",
                    "add --yes, or raise [limits] cells",
                )
            )

    def _points(
        self, base: Scenario, factors: Sequence[Factor], header: Mapping[str, Any]
    ) -> tuple[Point, ...]:
        """Resolve every combination: what one value allows, another may forbid."""
        rows = points(factors, header["design"], samples=header["samples"], seed=header["seed"])
        table, found = base.to_table(), []
        for row in dict.fromkeys(rows):
            values = {factor.place: value for factor, value in zip(factors, row, strict=True)}
            scenario, problems = resolved(table, values) if values else (base, ())
            self.problems += [replace(one, name=_told(values) + one.name) for one in problems]
            if scenario is not None:
                found.append(Point(values, scenario))
            if len(self.problems) > _MOST_TOLD:
                break
        return tuple(found)


def _told(values: Mapping[str, Any]) -> str:
    return f"with {', '.join(f'{place}={value}' for place, value in values.items())}: "
