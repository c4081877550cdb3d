"""Runs on many seeds: which seeds, and whether any ended."""

from __future__ import annotations

from collections.abc import Sequence

from stressbook.errors import InvalidInput, StressbookError
from stressbook.experiments.sweeps.cell import Replicate

__all__ = ["require_any", "seeds_from"]


def seeds_from(seed: int, reps: int) -> range:
    """Return consecutive seeds; keys of draws are hashed from them, so that runs are independent.

    Raises
    ------
    InvalidInput
        If `reps` is below 1, or `seed` below 0.

    Examples
    --------
    >>> list(seeds_from(7, 3))
    [7, 8, 9]
    """
    for name, value, low in (("reps", reps, 1), ("seed", seed, 0)):
        if value < low:
            raise InvalidInput("is too small", name=name, value=value, allowed=f"{low} or more")
    return range(seed, seed + reps)


def require_any(found: Sequence[Replicate]) -> None:
    """Refuse to go on with nothing.

    Raises
    ------
    StressbookError
        If every run failed, with the reasons.

    Examples
    --------
    >>> require_any([Replicate(7, "", {}, "LadderExhausted: left"), Replicate(8, "", {"x": 1.0})])
    >>> require_any([Replicate(7, "", {}, "LadderExhausted: left")])
    Traceback (most recent call last):
    ...
    stressbook.errors.StressbookError: 1 of 1 runs failed: LadderExhausted: left.
    """
    if all(run.error for run in found):
        reasons = "; ".join(dict.fromkeys(run.error.rstrip(".") for run in found))
        raise StressbookError(f"{len(found)} of {len(found)} runs failed: {reasons}")
