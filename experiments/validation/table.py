"""The table of how the market behaves: rows, their text, and the page that holds them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from stressbook.errors import InvalidInput
from stressbook.experiments.inference import Estimate
from stressbook.experiments.validation.verdicts import (
    Band,
    Tolerance,
    against_band,
    within_tolerances,
)

__all__ = ["Row", "as_record", "beside_band", "fill_page", "judged", "markdown", "shown", "within"]

_UNDECIDED: Final = "undecided"


@dataclass(frozen=True)
class Row:
    """One statistic with its n, interval and verdict.

    Parameters
    ----------
    name : str
        What it is.
    where : str
        Asset, class or case.
    unit : str
        Of the estimate as printed.
    estimate : Estimate
        In that unit.
    target : str
        What it should be; empty where nothing is asked.
    verdict : str
        Empty where nothing is asked: the value is shown.
    note : str
        What a reader should know.
    tolerance : float
        For a check that is judged together with the others of its table; 0 elsewhere.
    """

    name: str
    where: str
    unit: str
    estimate: Estimate
    target: str = ""
    verdict: str = ""
    note: str = ""
    tolerance: float = 0.0


def shown(name: str, where: str, unit: str, estimate: Estimate, *, note: str = "") -> Row:
    """Return a row that is shown without a verdict."""
    return Row(name, where, unit, estimate, note=note)


def beside_band(
    name: str, where: str, unit: str, estimate: Estimate, band: Band, *, note: str = ""
) -> Row:
    """Return a row that is judged against a range.

    Examples
    --------
    >>> spread = Estimate(0.1, 0.09, 0.11, 30, 0.9)
    >>> beside_band("spread", "BTC", "bp", spread, Band(0.015, 0.15)).verdict
    'inside'
    """
    return Row(name, where, unit, estimate, _band_text(band), against_band(estimate, band), note)


def within(
    name: str, where: str, unit: str, estimate: Estimate, most: float, *, note: str = ""
) -> Row:
    """Return a row that should lie within +- a tolerance; `judged` gives the verdict."""
    target = f"within ±{_number(most)}"
    return Row(name, where, unit, estimate, target, _UNDECIDED, note, most)


def judged(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of one table with the verdicts of its tolerances, Holm's correction in."""
    checks = [row for row in rows if row.tolerance > 0.0]
    verdicts = iter(within_tolerances([Tolerance(row.estimate, row.tolerance) for row in checks]))
    return [replace(row, verdict=next(verdicts)) if row.tolerance > 0.0 else row for row in rows]


def markdown(rows: Sequence[Row]) -> str:
    """Return rows as a table in Markdown.

    Examples
    --------
    >>> print(markdown([shown("spread", "BTC", "bp", Estimate(0.1, 0.09, 0.11, 30, 0.9))]))
    | what | where | value | interval | n | should be | verdict |
    |---|---|---|---|---|---|---|
    | spread, bp | BTC | 0.1 | 0.09 to 0.11 (90 %) | 30 | | shown |
    """
    lines = ["| what | where | value | interval | n | should be | verdict |", "|---|" + "---|" * 6]
    for row in rows:
        cells = (
            f"{row.name}, {row.unit}" if row.unit not in ("", "1") else row.name,
            row.where,
            _number(row.estimate.value),
            _interval(row.estimate),
            str(row.estimate.n),
            row.target,
            row.verdict or "shown",
        )
        lines.append("|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|")
    notes = _notes(rows)
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _notes(rows: Sequence[Row]) -> list[str]:
    """Return what a reader should know, said once for all rows of a name that share it."""
    places: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.note:
            places.setdefault((row.name, row.note), []).append(row.where)
    return [f"- {name}, {'; '.join(where)}: {note}" for (name, note), where in places.items()]


def as_record(row: Row) -> dict[str, Any]:
    """Return a row as plain data for JSON."""
    e = row.estimate
    return {
        "what": row.name,
        "where": row.where,
        "unit": row.unit,
        "value": e.value,
        "low": e.low,
        "high": e.high,
        "level": e.level,
        "n": e.n,
        "target": row.target,
        "verdict": row.verdict,
        "note": row.note,
    }


def fill_page(page: str, part: str, text: str) -> str:
    """Return a page with what lies between the marks of a part replaced.

    Parameters
    ----------
    page : str
        Markdown with the lines `<!-- begin PART -->` and `<!-- end PART -->`.
    part : str
        Which.
    text : str
        What stands there now.

    Returns
    -------
    str

    Raises
    ------
    InvalidInput
        If the page has no such marks.

    Examples
    --------
    >>> fill_page("<!-- begin a -->old<!-- end a -->", "a", "new").split()
    ['<!--', 'begin', 'a', '-->', 'new', '<!--', 'end', 'a', '-->']
    """
    begin, end = f"<!-- begin {part} -->", f"<!-- end {part} -->"
    if begin not in page or end not in page:
        raise InvalidInput("is not marked in the page", name="part", value=part, allowed=begin)
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n{text}\n{end}{tail}"


def _number(value: float) -> str:
    """Return three significant digits."""
    if not math.isfinite(value):
        return "-"
    if round(value, 6) == 0.0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 6)}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"


def _interval(estimate: Estimate) -> str:
    if not math.isfinite(estimate.low + estimate.high):
        return "-"
    low, high = _number(estimate.low), _number(estimate.high)
    return f"{low} to {high} ({estimate.level:.0%})".replace("%", " %")


def _band_text(band: Band) -> str:
    if math.isinf(band.high):
        return f"above {_number(band.low)}"
    return f"{_number(band.low)} to {_number(band.high)}"
