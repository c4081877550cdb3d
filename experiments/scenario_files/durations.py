"""Durations as people write them: seconds, or a text such as "90s", "30min", "1h30min", "2d"."""

import re
from typing import Final

from stressbook.errors import InvalidInput

__all__ = ["ALLOWED", "PATTERN", "seconds"]

ALLOWED: Final = 'seconds as a number, or a text such as "90s", "30min", "6h", "1h30min", "2d"'
_MS: Final = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART: Final = r"(\d+(?:\.\d+)?)(ms|s|min|h|d)"
PATTERN: Final = rf"({_PART})+"  # of a whole text, as a regular expression
_MEANT: Final = re.compile(
    r"(\d+(?:\.\d+)?) *(m|mins?|minutes?|sec|secs|seconds?|hours?|hrs?|days?)"
)
_UNIT_OF: Final = {"m": "min", "s": "s", "h": "h", "d": "d"}


def seconds(value: float | str, *, name: str = "duration") -> float:
    """Return a duration in seconds.

    Parameters
    ----------
    value : float or str
        Seconds, or whole texts of number and unit: ms, s, min, h, d.
    name : str, default "duration"
        What an error calls it.

    Returns
    -------
    float
        Seconds, exact to the millisecond for texts.

    Raises
    ------
    InvalidInput
        If a text is not a duration.

    Examples
    --------
    >>> seconds("30min"), seconds("1h30min"), seconds(90)
    (1800.0, 5400.0, 90.0)
    """
    if not isinstance(value, str):
        return float(value)
    if not re.fullmatch(PATTERN, value):
        raise InvalidInput(
            "is no duration", name=name, value=value, allowed=ALLOWED, hint=_hint(value)
        )
    return sum(float(number) * _MS[unit] for number, unit in re.findall(_PART, value)) / 1000.0


def _hint(text: str) -> str:
    meant = _MEANT.fullmatch(text.strip())
    return f"did you mean '{meant[1]}{_UNIT_OF[meant[2][0]]}'?" if meant else ""
