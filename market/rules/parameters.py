"""Parameters that document themselves: value, unit, allowed range, meaning and source."""

from __future__ import annotations

from dataclasses import Field, field, fields
from typing import Any, NamedTuple

ASSUMED = "assumed"


class ParameterInfo(NamedTuple):
    """What is known of one parameter; of a stress, the row that `stressbook show` prints."""

    name: str
    default: Any
    unit: str
    help: str
    source: str
    low: float | None
    high: float | None


def param(
    default: Any,
    *,
    unit: str,
    help: str,
    source: str = ASSUMED,
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """Declare a field of a frozen dataclass together with its unit, meaning and source.

    Parameters
    ----------
    default : Any
        Value when nothing is said. A list or dict is copied for each instance.
    unit : str
        "1" for a pure number or a fraction, else for example "USD", "s", "bp", "1/day".
    help : str
        One line that says what the number does.
    source : str, default "assumed"
        Where the default comes from; "assumed" where no data stand behind it.
    low, high : float, optional
        Allowed range, both ends included; None leaves the side open.

    Returns
    -------
    dataclasses.Field
        To be used in a class body under `dataclasses.dataclass`.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Band:
    ...     band_frac: float = param(0.004, unit="1", help="half-width of the no-trade band")
    >>> Band().band_frac, describe(Band)[0].unit
    (0.004, '1')
    """
    metadata = {"unit": unit, "help": help, "source": source, "low": low, "high": high}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def describe(parameters: type) -> list[ParameterInfo]:
    """Return one `ParameterInfo` for each declared parameter of a dataclass, in order."""
    return [_info(entry) for entry in fields(parameters) if "unit" in entry.metadata]


def _info(entry: Field[Any]) -> ParameterInfo:
    default = entry.default
    if callable(entry.default_factory):
        default = entry.default_factory()
    meta = entry.metadata
    return ParameterInfo(
        entry.name, default, meta["unit"], meta["help"], meta["source"], meta["low"], meta["high"]
    )
