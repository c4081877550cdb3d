"""Population files: CSV, Parquet and the venue's JSON, read into holdings.

Here a file is only read: whether a venue has such tokens, and whether the amounts are whole units,
is judged by `stressbook.experiments.own_book.checks`.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from stressbook.errors import InvalidScenario, Problem, nearest_name
from stressbook.experiments.own_book.holdings import COLUMNS, REQUIRED, Holding, OwnBook
from stressbook.experiments.own_book.printed_state import printed_holdings

__all__ = ["parse_csv", "read_book"]

KINDS_OF_FILE: Final = (".csv", ".parquet", ".json")
_EXAMPLE: Final = f"columns {', '.join(COLUMNS)}; the first four are needed"


def read_book(path: str | Path) -> OwnBook:
    """Return the holdings of a population file.

    Parameters
    ----------
    path : str or Path
        Of a CSV, Parquet or JSON file.

    Returns
    -------
    OwnBook

    Raises
    ------
    InvalidScenario
        With every problem of the file at once.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        if path.suffix not in KINDS_OF_FILE:
            problem = Problem(
                "is of no kind that is read", "population", path.name, ", ".join(KINDS_OF_FILE)
            )
            raise InvalidScenario.from_problems([problem])
        if path.suffix == ".parquet":
            holdings, problems = _read_parquet(path)
        elif path.suffix == ".json":
            holdings, problems = _read_json(content, file=path.name)
        else:
            holdings, problems = parse_csv(content.decode("utf-8-sig"), file=path.name)
    except UnicodeDecodeError as error:
        holdings, problems = [], [Problem("is not UTF-8", f"byte {error.start}")]
    except OSError as error:
        what = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be read"
        problem = Problem(what, "population", str(path), "a file that is there")
        raise InvalidScenario.from_problems([problem]) from error
    if not holdings and not problems:
        problems = [Problem("holds no account", "population", path.name, _EXAMPLE)]
    if problems:
        raise InvalidScenario.from_problems(problems, source=path.name)
    return OwnBook(path.name, tuple(holdings))


def parse_csv(text: str, *, file: str) -> tuple[list[Holding], list[Problem]]:
    r"""Return the holdings of a CSV text, and what is wrong with its form.

    Parameters
    ----------
    text : str
        With a line of column names; empty lines and those that begin with # are skipped.
    file : str
        Name in problems.

    Returns
    -------
    list of Holding
    list of Problem

    Examples
    --------
    >>> holdings, problems = parse_csv("account,kind,asset,amount\ndesk,cash,USDC,5", file="a")
    >>> holdings[0].amount, problems
    ('5', [])
    """
    # Lines may end as on any system.
    reader = csv.reader(io.StringIO(text, newline=None))
    try:
        rows = [
            (f"row {reader.line_num}", [cell.strip() for cell in cells])
            for cells in reader
            if any(cell.strip() for cell in cells) and not cells[0].lstrip().startswith("#")
        ]
    except csv.Error as error:
        return [], [Problem(f"is not CSV: {error}", f"row {reader.line_num}")]
    if not rows:
        return [], [Problem("is empty", "population", file, _EXAMPLE)]
    return _from_rows(rows[0][1], rows[1:])


def _from_rows(
    head: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]
) -> tuple[list[Holding], list[Problem]]:
    problems = _head_problems(head)
    for place, cells in rows:
        if len(cells) != len(head):
            allowed = f"{len(head)}, as in the line of names"
            problems.append(Problem("has another number of cells", place, len(cells), allowed))
    if problems:
        return [], problems
    names = ["class_" if name == "class" else name for name in head]
    return [
        Holding(**dict(zip(names, cells, strict=True)), place=place) for place, cells in rows
    ], []


def _head_problems(head: Sequence[str]) -> list[Problem]:
    found = []
    for name in head:
        if name not in COLUMNS:
            nearest = nearest_name(name, COLUMNS)
            hint = f"did you mean {nearest!r}?" if nearest else ""
            place = f"column {name}"
            found.append(
                Problem("is read by nothing", place, allowed=", ".join(COLUMNS), hint=hint)
            )
        elif list(head).count(name) > 1:
            found.append(Problem("is there twice", f"column {name}", allowed="each once"))
    found += [
        Problem("is missing", f"column {name}", allowed=_EXAMPLE)
        for name in REQUIRED
        if name not in head
    ]
    return list(dict.fromkeys(found))


def _read_parquet(path: Path) -> tuple[list[Holding], list[Problem]]:
    pandas = import_module("pandas")  # waits for such a file
    try:
        frame = pandas.read_parquet(path, engine="pyarrow")
    except ImportError:
        hint = "pip install 'stressbook[parquet]', or save the table as CSV"
        return [], [Problem("needs pyarrow", "population", path.name, hint=hint)]
    except (ValueError, OSError) as error:
        return [], [Problem(f"is not Parquet: {error}", "population", path.name)]
    head = [str(name) for name in frame.columns]
    needed = [name in REQUIRED for name in head]
    rows = [
        (
            f"row {rank}",
            [_cell(value, keeps_nan=keep) for value, keep in zip(row, needed, strict=True)],
        )
        for rank, row in enumerate(frame.itertuples(index=False, name=None), start=1)
    ]
    return _from_rows(head, rows)


def _cell(value: Any, *, keeps_nan: bool) -> str:
    """Return a cell as text; what is missing is empty where it may be."""
    if value is None:
        return ""
    if isinstance(value, float) and math.isnan(value):
        return "nan" if keeps_nan else ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2.0**53:
        return str(int(value))
    return repr(float(value)) if isinstance(value, float) else str(value).strip()


def _read_json(content: bytes, *, file: str) -> tuple[list[Holding], list[Problem]]:
    try:
        # Numbers as they are printed: a float would round them.
        found = json.loads(content.decode("utf-8-sig"), parse_float=str, parse_constant=str)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        return [], [Problem(f"is not JSON: {error.msg.lower()}", place)]
    except (ValueError, RecursionError) as error:  # numbers and lists that Python does not read
        what = "thousands of digits" if isinstance(error, ValueError) else "thousands of brackets"
        return [], [Problem(f"has {what} in a row", "population", file)]
    return printed_holdings(found, file=file)
