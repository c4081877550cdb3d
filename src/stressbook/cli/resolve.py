"""From what was typed to a scenario."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stressbook.errors import InvalidInput, InvalidScenario

if TYPE_CHECKING:
    from stressbook.api import Scenario

__all__ = ["resolved", "stress_table"]

_ITEM = re.compile(r",(?![^\[]*\])")  # a comma that is not inside a list


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

    for path in plugins:
        load_plugin(path)
    found = scenario(name_or_path, overrides=tuple(sets))
    if not stresses:
        return found
    own = found.resolved.stresses
    try:
        return found.with_(stresses=[*own, *map(stress_table, stresses)])
    except InvalidScenario as error:
        raise _as_options(error, n_own=len(own)) from None


def stress_table(text: str) -> dict[str, Any]:
    """Return the table of a stress that was typed as "kind:field=value,..".

    Raises
    ------
    InvalidInput
        If the text is not of this form.

    Examples
    --------
    >>> stress_table("price_gap:at=30min,fall_frac=0.2,assets=[HYPE,BTC]")
    {'kind': 'price_gap', 'at': '30min', 'fall_frac': 0.2, 'assets': ['HYPE', 'BTC']}
    >>> stress_table("depth_thinning:assets=HYPE")["assets"]
    ['HYPE']
    """
    kind, _, rest = text.partition(":")
    table: dict[str, Any] = {"kind": kind.strip()}
    for item in filter(None, _ITEM.split(rest)):
        field, equals, value = item.partition("=")
        if not equals or not field.strip() or not value.strip():
            raise InvalidInput(
                f"has {item!r}, which sets nothing",
                name="--stress",
                value=text,
                allowed="kind:field=value,field=value",
                hint="as in price_gap:at=30min,fall_frac=0.2",
            )
        table[field.strip()] = _value(field.strip(), value.strip())
    return table


def _value(field: str, text: str) -> Any:
    from stressbook.experiments.scenario_file import override_value

    if text.startswith("[") and text.endswith("]"):
        return [override_value(item) for item in text[1:-1].split(",") if item.strip()]
    value = override_value(text)
    if field == "assets":
        return [value]
    with suppress(ValueError):  # numbers that TOML writes in another way: .5
        return float(value) if isinstance(value, str) else value
    return value


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
