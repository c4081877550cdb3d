"""The `[world]` table of a scenario: the law, its assets and their correlations by pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from stressbook.errors import InvalidInput, Problem, UnknownName
from stressbook.experiments.scenario_files.binding import bind, unbind, unknown_asset
from stressbook.experiments.scenario_files.values import percent_hint
from stressbook.market.numbers.correlation import factor_of
from stressbook.market.prices.world_parameters import AssetWorld, WorldParams, default_world

__all__ = ["read_world", "world_table"]

_OWN: Final = ("assets", "correlation")


def read_world(
    table: Mapping[str, Any], *, assets: tuple[str, ...], problems: list[Problem]
) -> WorldParams | None:
    """Return the world of a `[world]` table over the defaults of its assets.

    Parameters
    ----------
    table : mapping
        Numbers of the law, one table an asset, and `correlation.BTC.HYPE = 0.5` by pair.
    assets : tuple of str
        Of the scenario, the market first.
    problems : list of Problem
        Appended to.

    Returns
    -------
    WorldParams, or None
        None if anything had a problem.

    Examples
    --------
    >>> found = []
    >>> table = {"HYPE": {"daily_volatility": 0.08}, "correlation": {"BTC": {"HYPE": 0.2}}}
    >>> world = read_world(table, assets=("BTC", "HYPE"), problems=found)
    >>> world.assets[1].daily_volatility, world.correlation
    (0.08, ((1.0, 0.2), (0.2, 1.0)))
    """
    before = len(problems)
    try:
        base = default_world(assets)
    except UnknownName as error:
        problems += error.problems
        return None
    legs = tuple(_read_asset(table, asset, assets, problems) for asset in base.assets)
    correlation = _read_correlation(table.get("correlation", {}), base, assets, problems)
    law = {key: item for key, item in table.items() if key not in {*assets, "correlation"}}
    strange = [key for key, item in law.items() if isinstance(item, Mapping)]
    problems += [unknown_asset(f"world.{key}", key, assets) for key in strange]
    law = {key: item for key, item in law.items() if key not in strange}
    read = bind(
        WorldParams, law, place="world", assets=assets, problems=problems, default=base, skip=_OWN
    )
    if len(problems) > before:
        return None
    world = replace(read, assets=legs, correlation=correlation)
    assert isinstance(world, WorldParams)
    problems += world.problems()
    return world


def _read_asset(
    table: Mapping[str, Any], asset: AssetWorld, assets: tuple[str, ...], problems: list[Problem]
) -> Any:
    return bind(
        AssetWorld,
        table.get(asset.name, {}),
        place=f"world.{asset.name}",
        assets=assets,
        problems=problems,
        default=asset,
        skip=("name",),
    )


def _read_correlation(
    table: Any, base: WorldParams, assets: tuple[str, ...], problems: list[Problem]
) -> tuple[tuple[float, ...], ...]:
    rows = table.values() if isinstance(table, Mapping) else [table]
    if not all(isinstance(row, Mapping) for row in rows):
        hint = f"write {assets[0]}.{assets[-1]} = 0.5 in [world.correlation]"
        what = "is no table of pairs"
        problems.append(Problem(what, "world.correlation", table, "one number a pair", hint))
        return base.correlation
    matrix = base.correlation_matrix()
    pairs = [(one, two, value) for one, row in table.items() for two, value in row.items()]
    strange = [p for pair in pairs if (p := _pair_problem(*pair, assets)) is not None]
    if strange:
        problems += strange
        return base.correlation
    for one, two, value in pairs:
        i, j = assets.index(one), assets.index(two)
        matrix[i, j] = matrix[j, i] = float(value)
    try:
        factor_of(matrix)
    except InvalidInput as error:
        what, allowed = error.problems[0].problem, error.allowed
        hint = "correlations of three assets bound each other: change one at a time"
        problems.append(Problem(what, "world.correlation", matrix.tolist(), allowed, hint))
    return tuple(tuple(float(value) for value in row) for row in matrix)


def _pair_problem(first: str, second: str, value: Any, assets: tuple[str, ...]) -> Problem | None:
    place = f"world.correlation.{first}.{second}"
    for name in (first, second):
        if name not in assets:
            return unknown_asset(place, name, assets)
    if assets.index(first) >= assets.index(second):
        hint = f"write {second}.{first}" if first != second else "leave it out: it is 1"
        return Problem("is not in the order of `assets`", place, value, "each pair once", hint)
    if type(value) not in (int, float) or not -1.0 <= value <= 1.0:
        hint = percent_hint(value, -1.0, 1.0)
        return Problem("is not a correlation", place, value, "a number from -1 to 1", hint)
    return None


def world_table(world: WorldParams) -> dict[str, Any]:
    """Return the table that `read_world` reads back to an equal world.

    Parameters
    ----------
    world : WorldParams
        Complete.

    Returns
    -------
    dict
        With every number.
    """
    names = [asset.name for asset in world.assets]
    table = unbind(world, skip=_OWN)
    pairs: dict[str, dict[str, float]] = {}
    for i, first in enumerate(names):
        for j in range(i + 1, len(names)):
            pairs.setdefault(first, {})[names[j]] = world.correlation[i][j]
    if pairs:
        table["correlation"] = pairs
    for asset in world.assets:
        table[asset.name] = unbind(asset, skip=("name",))
    return table
