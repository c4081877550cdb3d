"""What can be wrong with a regime: numbers out of range, choices that do not go together, rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from stressbook.errors import InvalidInput, Problem
from stressbook.market.declared import range_problems
from stressbook.market.regimes.rows import ScanRow, SpreadRow, Step, Tail, has_whole_loss
from stressbook.market.regimes.tables import AGGREGATIONS, APC_TOOLS, DEBTS_IN_RATIO, MAX_STEPS

if TYPE_CHECKING:
    from stressbook.market.regimes.spec import MarginRegime

__all__ = ["checked", "choice_problems", "regime_problems", "row_problems"]

COLLATERAL: Final = ("none", "loan_to_value", "weights")
POCKETS: Final = ("account", "position")
_MOST_MOVE: Final = 100.0
_MOST_RATIO: Final = 1e6


def checked(regime: MarginRegime) -> MarginRegime:
    """Return a regime if nothing is wrong with it, else raise all problems."""
    problems = list(regime_problems(regime))
    if problems:
        raise InvalidInput.from_problems(problems)
    return regime


def regime_problems(regime: MarginRegime) -> Iterator[Problem]:
    """Yield what is wrong with the numbers of a regime.

    Parameters
    ----------
    regime : MarginRegime
        As read.

    Yields
    ------
    Problem
        Of each section in turn.
    """
    yield from range_problems(regime.rules, place="rules")
    yield from choice_problems(regime, place="rules")
    yield from row_problems(regime)


def choice_problems(regime: MarginRegime, *, place: str) -> Iterator[Problem]:
    """Yield unknown choices, and choices that do not go together."""
    rules = regime.rules
    for name, allowed in (
        ("pockets", POCKETS),
        ("collateral", COLLATERAL),
        ("aggregation", tuple(AGGREGATIONS)),
        ("debt_in_ratio", tuple(DEBTS_IN_RATIO)),
        ("apc_tool", tuple(APC_TOOLS)),
    ):
        if getattr(rules, name) not in allowed:
            yield Problem("is unknown", f"{place}.{name}", getattr(rules, name), ", ".join(allowed))
    if rules.falls_back and (regime.scans or not rules.uses_tiers):
        # What falls back keeps the requirement of its perps, and only loses its credit.
        yield Problem(
            "does not fit a scan", f"{place}.falls_back", True, "false, or perps by the tiers alone"
        )
    if rules.offset_frac and (not regime.scans or rules.aggregation == "credits"):
        only = "0.0 without scenarios that are added up"
        yield Problem("is read by nothing", f"{place}.offset_frac", rules.offset_frac, only)
    yield from _volatility_problems(regime, place)
    if rules.collateral == "weights" and not regime.weights:
        yield Problem("is missing", "weights", allowed="a row, since collateral counts by weight")


def _volatility_problems(regime: MarginRegime, place: str) -> Iterator[Problem]:
    """Yield what ranges lack that are to follow volatility."""
    time_s, tool = regime.rules.volatility_time_s, regime.rules.apc_tool
    if type(time_s) is not float or not isfinite(time_s) or time_s < 0.0:
        return  # said already
    if time_s == 0.0 and tool in tuple(APC_TOOLS) and tool != "none":
        allowed = "none, or a volatility_time_s above 0"
        yield Problem("does not fit static ranges", f"{place}.apc_tool", tool, allowed)
    if time_s > 0.0 and not regime.scans:
        yield Problem("has no ranges", f"{place}.volatility_time_s", time_s, "0 without a scan")
    for i, row in enumerate(regime.scans if time_s > 0.0 else ()):
        if row.long_run_daily_volatility == 0.0:
            name = f"scans.{i}.long_run_daily_volatility"
            yield Problem("is missing", name, allowed="above 0 where ranges follow volatility")


def row_problems(regime: MarginRegime) -> Iterator[Problem]:
    """Yield what is wrong with scans, charges, weights and spreads."""
    for table in ("scans", "charges", "weights", "spreads"):
        for i, row in enumerate(getattr(regime, table)):
            place = f"{table}.{i}"
            problems = [*range_problems(row, place=place), *_list_problems(row, place)]
            if not problems and isinstance(row, ScanRow):
                # Moves can be made of numbers that are numbers alone.
                problems = list(_move_problems(row, place))
            yield from problems
    lengths = {len(row.steps) + len(row.tails) for row in regime.scans}
    if len(lengths) > 1:
        found = ", ".join(str(n) for n in sorted(lengths))
        yield Problem("differs between assets", "scans", found, "as many scenarios for every asset")


def _list_problems(row: Any, place: str) -> Iterator[Problem]:
    for entry in fields(row):
        value = getattr(row, entry.name)
        name = f"{place}.{entry.name}"
        if not isinstance(value, tuple):
            continue
        if entry.name in ("assets", "tokens"):
            if not value or not all(isinstance(one, str) and one for one in value):
                yield Problem("is not a list of names", name, list(value))
        elif value and isinstance(value[0], Step):
            yield from _step_problems(value, name)
        elif value and isinstance(value[0], Tail):
            for i, tail in enumerate(value):
                yield from range_problems(tail, place=f"{name}.{i}")
        elif not all(type(one) is float and isfinite(one) for one in value):
            yield Problem("is not a list of finite numbers", name, list(value))
    if isinstance(row, SpreadRow):
        yield from _spread_problems(row, place)


def _move_problems(row: ScanRow, place: str) -> Iterator[Problem]:
    if has_whole_loss(row):
        yield Problem("falls to nothing", place, allowed="moves above -1 under an inverse payoff")
    for step in row.steps:
        if not -1.0 <= step * row.range_frac <= _MOST_MOVE:
            name = f"{place}.steps"
            allowed = f"moves of -1 to {_MOST_MOVE:g} of the price"
            yield Problem("moves too far", name, step, allowed)


def _step_problems(steps: tuple[Step, ...], name: str) -> Iterator[Problem]:
    for i, step in enumerate(steps):
        yield from range_problems(step, place=f"{name}.{i}")
    lowers = [step.lower_usd for step in steps]
    if not all(type(lower) is float for lower in lowers):
        return  # said already
    if lowers[0] != 0.0 or lowers != sorted(set(lowers)):
        yield Problem("do not rise from 0", f"{name}.lower_usd", lowers)
    if len(steps) > MAX_STEPS:
        yield Problem("are too many", name, len(steps), f"{MAX_STEPS} or fewer")


def _spread_problems(row: SpreadRow, place: str) -> Iterator[Problem]:
    n = len(row.assets)
    if not 2 <= n <= 3 or len(row.ratios) != n or len(row.credit_fracs) != n:
        yield Problem(
            "does not fit", place, list(row.assets), "2 or 3 assets with a ratio and a credit each"
        )
    elif not all(type(one) is float for one in (*row.ratios, *row.credit_fracs)):
        return  # said already
    elif not all(abs(ratio) <= _MOST_RATIO for ratio in row.ratios):
        yield Problem("is out of range", f"{place}.ratios", list(row.ratios), "-1e6 to 1e6")
    elif 0.0 in row.ratios or len({ratio > 0.0 for ratio in row.ratios}) == 1:
        yield Problem("is no spread", f"{place}.ratios", list(row.ratios), "both signs, none 0")
    if any(not 0.0 <= one <= 1.0 for one in row.credit_fracs):
        yield Problem("is out of range", f"{place}.credit_fracs", list(row.credit_fracs), "0 to 1")
