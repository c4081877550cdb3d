"""What the repository keeps of a reference study: values by episode, its table, its figure."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np

from stressbook.errors import InvalidInput
from stressbook.experiments.studies.reference.study import ReferenceStudy, Values
from stressbook.experiments.words import json_text
from stressbook.market.compiling.arrays import F64

__all__ = ["differences", "figure_text", "page_part", "read_values", "table_text", "values_text"]

TOLERANCE: Final = 1e-9  # relative
_KEYS: Final = ("arm", "episode")


def values_text(values: Values) -> str:
    """Return values by arm and episode as CSV.

    Examples
    --------
    >>> print(values_text({"a": {"loss_usd": np.array([0.5, 2e6])}}), end="")
    arm,episode,loss_usd
    a,0,0.5
    a,1,2000000
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = list(next(iter(values.values())))
    writer.writerow([*_KEYS, *names])
    for arm, by_name in values.items():
        for i in range(len(by_name[names[0]])):
            writer.writerow([arm, i, *(f"{float(by_name[name][i]):.12g}" for name in names)])
    return out.getvalue()


def read_values(text: str) -> dict[str, dict[str, F64]]:
    r"""Return values by arm and outcome, in the order of episodes.

    Examples
    --------
    >>> read_values("arm,episode,x\na,0,1\na,1,2\n")["a"]["x"].tolist()
    [1.0, 2.0]
    """
    lists: dict[str, dict[str, list[float]]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        by_name = lists.setdefault(row["arm"], {})
        for name, value in row.items():
            if name not in _KEYS:
                by_name.setdefault(name, []).append(float(value))
    return {arm: {name: np.array(x) for name, x in kept.items()} for arm, kept in lists.items()}


def table_text(study: ReferenceStudy, values: Values) -> str:
    """Return the table and the two sentences as JSON."""
    rows = study.rows(values)
    return json_text({"study": study.name, "answer": study.answer(rows), "rows": rows}) + "\n"


def figure_text(study: ReferenceStudy, values: Values) -> str:
    """Return the figure as SVG, the same bytes for the same values."""
    with mpl.rc_context({"svg.hashsalt": study.name, "svg.fonttype": "none", "font.size": 9.0}):
        figure = study.draw(study.rows(values))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return re.sub(r"[ \t]+$", "", buffer.getvalue(), flags=re.MULTILINE)


def page_part(study: ReferenceStudy, table: Mapping[str, Any]) -> str:
    """Return what the page says of a study: the answer, its figure, its table."""
    first, second = table["answer"]
    figure = f"![{study.name}](../results/reference/{study.name}.svg)"
    return f"**{first} {second}**\n\n{figure}\n\n{study.page(table['rows'])}"


def kept_file(folder: Path, study: ReferenceStudy, suffix: str) -> Path:
    """Return the path of a kept file; what is missing is refused with what to do.

    Raises
    ------
    InvalidInput
        If nothing is kept there.
    """
    path = folder / f"{study.name}{suffix}"
    if not path.exists():
        raise InvalidInput(
            "is not there", name="reference", value=str(path), hint="write it with --write"
        )
    return path


def differences(found: Any, kept: Any, where: str = "") -> Iterator[str]:
    """Yield where two tables differ: numbers by more than 1e-9 of the larger, all else at all.

    Examples
    --------
    >>> list(differences({"a": [1.0, "x"]}, {"a": [1.0 + 1e-12, "y"]}, "t"))
    ["t.a.1: 'x', kept 'y'"]
    """
    if isinstance(found, Mapping) and isinstance(kept, Mapping):
        for key in dict.fromkeys([*found, *kept]):
            yield from differences(found.get(key), kept.get(key), f"{where}.{key}")
    elif isinstance(found, list | tuple) and isinstance(kept, list | tuple):
        if len(found) != len(kept):
            yield f"{where}: {len(found)} items, kept {len(kept)}"
        for i, (one, other) in enumerate(zip(found, kept, strict=False)):
            yield from differences(one, other, f"{where}.{i}")
    elif _is_number(found) and _is_number(kept):
        if not math.isclose(found, kept, rel_tol=TOLERANCE, abs_tol=0.0):
            yield f"{where}: {found!r}, kept {kept!r}"
    elif found != kept:
        yield f"{where}: {found!r}, kept {kept!r}"


def load_table(path: Path) -> dict[str, Any]:
    """Return a kept table."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
