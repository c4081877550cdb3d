"""Rules that are those of another file, but for what they say themselves.

Sections are merged number by number, listings row by row under their names; a list whose rows have
no names (fee tiers) is replaced whole. A number that is inherited keeps its source. Where the base
is of a later day, nobody said so at the time: such a source is marked as assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from stressbook.errors import Problem, UnknownName

__all__ = ["Inherited", "inherited"]

_OWN: Final = ("name", "summary", "as_of", "inherits", "sources")
_Document = Mapping[str, Any]


class Inherited(dict[str, str]):
    """Sources of a merged row, number by number."""


def inherited(
    document: _Document,
    load: Callable[[str], _Document],
    problems: list[Problem],
    _chain: Sequence[str] = (),
) -> dict[str, Any]:
    """Return a document in which what it inherits is written out.

    Parameters
    ----------
    document : mapping
        As parsed; with or without `inherits`.
    load : callable
        From a name to a document, `UnknownName` where there is none.
    problems : list of Problem
        Appended to: a base that does not exist or leads back, changed rows without a source.

    Returns
    -------
    dict
        Not checked; rows that were merged have an `Inherited` as their source.

    Examples
    --------
    >>> base = {"as_of": 2, "tokens": [{"name": "HYPE", "ltv": 0.65, "decimals": 8, "source": "b"}]}
    >>> child = {"as_of": 1, "inherits": "base", "tokens": [{"name": "HYPE", "ltv": 0.5}]}
    >>> problems = []
    >>> inherited(child, lambda name: base, problems)["tokens"][0]["source"]
    {'ltv': 'None', 'decimals': 'assumed as of 2; b'}
    >>> str(problems[0]).splitlines()[0]
    'tokens.HYPE.source is missing.'
    """
    merged = {key: value for key, value in document.items() if key != "inherits"}
    if "inherits" not in document:
        return merged
    name = document["inherits"]
    base = _base_of(name, load, problems, _chain)
    if base is None:
        return merged
    base = inherited(base, load, problems, (*_chain, str(name)))
    later = _is_before(document.get("as_of"), base.get("as_of"))
    mark = f"assumed as of {base.get('as_of')}; " if later else ""
    for key, below in base.items():
        if key not in _OWN:
            merged[key] = _merged(below, document.get(key), mark, key, problems)
    return merged


def _base_of(
    name: Any,
    load: Callable[[str], _Document],
    problems: list[Problem],
    chain: Sequence[str],
) -> _Document | None:
    if not isinstance(name, str):
        problems.append(Problem("is not readable", "inherits", name, "a name of shipped rules"))
    elif name in chain:
        allowed = "a base that does not lead back"
        problems.append(Problem("is a circle", "inherits", name, allowed))
    else:
        try:
            return load(name)
        except UnknownName as error:
            problems.append(Problem("is unknown", "inherits", name, error.allowed, error.hint))
    return None


def _is_before(day: Any, other: Any) -> bool:
    try:
        return bool(day < other)
    except TypeError:  # one of them is no day, which the reader of the rules reports
        return False


def _merged(below: Any, own: Any, mark: str, place: str, problems: list[Problem]) -> Any:
    """Return a section or a listing of the base with the document's own numbers in it."""
    if isinstance(below, Mapping):
        if own is not None and not isinstance(own, Mapping):
            return own
        return {key: _marked(cell, mark) for key, cell in below.items()} | dict(own or {})
    if not _is_listing(below):
        return [_marked(row, mark) for row in below] if own is None else own
    if own is not None and not _is_listing(own):
        return own
    known = {row["name"]: row for row in below}
    rows = {name: _row(row, {}, mark, place, problems) for name, row in known.items()}
    for row in own or ():
        before = known.get(row["name"], {})
        rows[row["name"]] = _row(before, row, mark, place, problems) if before else row
    return list(rows.values())


def _marked(cell: Any, mark: str) -> Any:
    if isinstance(cell, Mapping) and "source" in cell:
        return {**cell, "source": f"{mark}{cell['source']}"}
    return cell


def _row(
    below: _Document, own: _Document, mark: str, place: str, problems: list[Problem]
) -> dict[str, Any]:
    changed = [key for key in own if key not in ("name", "source")]
    if changed and not isinstance(own.get("source"), str):
        name = f"{place}.{own['name']}.source"
        problems.append(Problem("is missing", name, allowed="a string"))
    before = below.get("source")
    sources = Inherited()
    for key in [*changed, *below]:
        if key not in ("name", "source") and key not in sources:
            text = before.get(key) if isinstance(before, Inherited) else before
            sources[key] = str(own.get("source")) if key in own else f"{mark}{text}"
    return {**below, **own, "source": sources}


def _is_listing(rows: Any) -> bool:
    return isinstance(rows, list) and all(
        isinstance(row, Mapping) and "name" in row for row in rows
    )
