"""The clock of a scenario: step, warm-up and length, and what has to fall on its steps."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final, NamedTuple

from stressbook.errors import Problem

__all__ = ["Clock"]


STEPS_MAX: Final = 20_000_000  # 230 days of seconds; a row of four assets takes 2 KB


class Clock(NamedTuple):
    """Times of a run in seconds, as far as they could be read.

    Examples
    --------
    >>> clock = Clock(dt=2.0, warmup=60.0, duration=600.0)
    >>> print(clock.step_problem("stresses[0].at", 91.0))
    stresses[0].at = 91.0 is no whole number of steps.
      allowed: multiples of 2.0 s
      hint   : did you mean 92?
    """

    dt: Any
    warmup: Any
    duration: Any

    @property
    def is_read(self) -> bool:
        """True if all three are usable."""
        all_finite = all(isinstance(value, float) and isfinite(value) for value in self)
        return all_finite and 0.0 < self.dt < 1e9  # milliseconds of it are a number too

    def problems(self) -> list[Problem]:
        """Return which of these times are no whole numbers of steps, or the step none of ms."""
        found = [self.step_problem(name, getattr(self, name)) for name in ("warmup", "duration")]
        found.append(_grid_problem("dt", self.dt, 0.001, "ms") if self.is_read else None)
        found.append(self._length_problem() if self.is_read else None)
        return [problem for problem in found if problem is not None]

    def _length_problem(self) -> Problem | None:
        """Return the problem of a run whose rows no machine holds."""
        if (self.warmup + self.duration) / self.dt <= STEPS_MAX:
            return None
        most = STEPS_MAX * self.dt
        return Problem("is too long", "duration", self.duration, f"{most:g} s with the warm-up")

    def step_problem(self, place: str, value: Any) -> Problem | None:
        """Return the problem of a time that is no whole number of steps."""
        return _grid_problem(place, value, self.dt, "steps") if self.is_read else None

    def onset_problem(self, place: str, at: float) -> Problem | None:
        """Return the problem of an onset in the warm-up or after the end."""
        if not self.is_read or self.warmup <= at < self.warmup + self.duration:
            return None
        return Problem(
            "falls outside of the run",
            place,
            at,
            f"{self.warmup} to {self.warmup + self.duration} s: after the warm-up, before the end",
            "onsets count from the start of the warm-up",
        )


def _grid_problem(place: str, value: Any, unit_s: float, unit: str) -> Problem | None:
    if not isinstance(value, float) or not isfinite(value):
        return None
    count = value / unit_s
    what, allowed = f"is no whole number of {unit}", f"multiples of {unit_s} s"
    if not isfinite(count):
        return Problem(what, place, value, allowed)
    if abs(count - round(count)) <= 1e-9 * max(1.0, abs(count)):
        return None
    nearest = max(1, round(count)) * unit_s
    return Problem(what, place, value, allowed, f"did you mean {nearest:.6g}?")
