"""Which reader takes a case: by its kind, then by the keys of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from stressbook.experiments.conform.cases import Case, Judged, Quantities
from stressbook.experiments.conform.inputs import Given, NotSupported
from stressbook.experiments.conform.judging import NEVER_JUDGED, tolerance_in
from stressbook.experiments.conform.margin_cases.funding import FUNDING
from stressbook.experiments.conform.margin_cases.grids import GRIDS
from stressbook.experiments.conform.margin_cases.lending import LENDING
from stressbook.experiments.conform.margin_cases.requirements import REQUIREMENTS
from stressbook.experiments.conform.margin_cases.resolution import RESOLUTION
from stressbook.experiments.conform.margin_cases.spreads import SPREADS

__all__ = ["margin_cases"]

_Read: TypeAlias = Callable[[Given], Quantities]
KINDS: Final[Mapping[str, _Read]] = {
    **LENDING,
    **FUNDING,
    **GRIDS,
    **SPREADS,
    **REQUIREMENTS,
    **RESOLUTION,
}


def margin_cases(document: Sequence[Any]) -> Iterator[Case]:
    """Yield the cases of a list.

    Parameters
    ----------
    document : sequence
        Objects with `kind`, `inputs`, `expected`, `tolerance`.

    Yields
    ------
    Case
    """
    for i, table in enumerate(document):
        if not isinstance(table, Mapping):
            yield Case(f"[{i}]", (), partial(_refuse, "is no table"))
            continue
        name = table.get("name")
        label = name if isinstance(name, str) else f"[{i}]"
        yield Case(label, tuple(_judged(table)), partial(_read, table))


def _refuse(reason: str) -> Quantities:
    raise NotSupported(reason)


def _judged(table: Mapping[str, Any]) -> Iterator[Judged]:
    expected = table.get("expected")
    if isinstance(expected, Mapping):
        stated = tolerance_in(table)
        for name, value in expected.items():
            if value is not None and name not in NEVER_JUDGED:
                yield Judged(name, value, stated)


def _read(table: Mapping[str, Any]) -> Quantities:
    case = Given(table)
    kind = case.text("kind")
    if kind not in KINDS:
        raise NotSupported(f"kind {kind!r} has no reader")
    return KINDS[kind](case.table("inputs"))
