"""From what was typed to a scenario."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stressbook.errors import InvalidScenario

if TYPE_CHECKING:
    from stressbook.api import Scenario

__all__ = ["resolved"]


def resolved(
    name_or_path: str,
    *,
    sets: Sequence[str] = (),
    stresses: Sequence[str] = (),
    plugins: Sequence[Path] = (),
) -> Scenario:
    """Return the scenario that the options describe.

    Parameters
    ----------
    name_or_path : str
        A name of the catalogue, or a TOML file.
    sets : sequence of str
        Each "place=value".
    stresses : sequence of str
        Each "kind:field=value,..".
    plugins : sequence of Path
        Files of own agents and stresses.

    Returns
    -------
    Scenario

    Raises
    ------
    InvalidScenario, InvalidInput, UnknownName
        With every problem of the file, or of the options, at once.
    """
    from stressbook.api import load_plugin, scenario
    from stressbook.experiments.scenario_files.stress_table import parse_stress

    for path in plugins:
        load_plugin(path)
    found = scenario(name_or_path, overrides=tuple(sets))
    if not stresses:
        return found
    own = found.resolved.stresses
    try:
        return found.with_(stresses=[*own, *map(parse_stress, stresses)])
    except InvalidScenario as error:
        raise _as_options(error, n_own=len(own)) from None


def _as_options(error: InvalidScenario, *, n_own: int) -> InvalidScenario:
    """Return the error with stresses of options under the name of the option."""
    problems = []
    for problem in error.problems:
        match = re.match(r"stresses\[(\d+)\]", problem.name)
        if match and int(match[1]) >= n_own:
            place = f"--stress {int(match[1]) - n_own + 1}{problem.name[match.end() :]}"
            problems.append(replace(problem, name=place))
        else:
            problems.append(problem)
    return InvalidScenario.from_problems(problems)
