"""Texts of a law that stand for a draw: "$fall" is what is drawn, "1/$depth" its inverse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

__all__ = ["DrawnText", "drawn_text", "drawn_texts", "filled_in"]

_DRAW: Final = "$"
_INVERSE: Final = "1/$"


class DrawnText(NamedTuple):
    """What a text of a law stands for."""

    name: str  # of the draw
    is_inverse: bool

    def value(self, drawn: Mapping[str, float]) -> float:
        """Return its number in an episode."""
        return 1.0 / drawn[self.name] if self.is_inverse else drawn[self.name]


def drawn_text(value: Any) -> DrawnText | None:
    """Return what a value of a law stands for; None if it stands for itself.

    Examples
    --------
    >>> drawn_text("1/$depth"), drawn_text("fall"), drawn_text(0.5)
    (DrawnText(name='depth', is_inverse=True), None, None)
    """
    if not isinstance(value, str):
        return None
    for mark in (_DRAW, _INVERSE):
        if value.startswith(mark):
            return DrawnText(value.removeprefix(mark), mark == _INVERSE)
    return None


def drawn_texts(value: Any) -> Iterator[DrawnText]:
    """Yield what the texts in tables and lists of a law stand for, in order.

    Examples
    --------
    >>> [one.name for one in drawn_texts({"a": "$fall", "b": [{"c": "1/$depth"}], "d": "fall"})]
    ['fall', 'depth']
    """
    one = drawn_text(value)
    if one is not None:
        yield one
    for item in _items(value):
        yield from drawn_texts(item)


def filled_in(value: Any, drawn: Mapping[str, float]) -> Any:
    """Return a value of a law with draws in place of their texts.

    Parameters
    ----------
    value : object
        A number, a text, or tables and lists of them.
    drawn : mapping of str to float
        Of an episode, by name.

    Examples
    --------
    >>> filled_in({"a": "$fall", "b": ["1/$fall", 3, "fall"]}, {"fall": 0.5})
    {'a': 0.5, 'b': [2.0, 3, 'fall']}
    """
    one = drawn_text(value)
    if one is not None:
        return one.value(drawn)
    if isinstance(value, Mapping):
        return {key: filled_in(item, drawn) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [filled_in(item, drawn) for item in value]
    return value


def _items(value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list | tuple) else ()
