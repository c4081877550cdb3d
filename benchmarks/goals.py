"""What all benchmarks share: repeated times, promises with their verdict, the machine."""

import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Final, NamedTuple, Self

N_LOOPED: Final = 2_000_000
_LINE: Final = re.compile(
    r"goal (?P<promise>[^:]+): (?P<measured>[^(]+) \((?P<spread>[^)]*)\), (?P<ratio>.+): "
    r"(?P<verdict>met|missed)"
)


class Times(NamedTuple):
    """Median, smallest and largest of repeated measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Return what stands for some measurements."""
        kept = list(values)
        return cls(statistics.median(kept), min(kept), max(kept))

    def scaled(self, factor: float) -> Self:
        """Return the same in another unit."""
        return type(self)(*(factor * value for value in self))

    def inverse(self) -> Self:
        """Return rates in place of times."""
        return type(self)(1.0 / self.median, 1.0 / self.high, 1.0 / self.low)


class Goal(NamedTuple):
    """A promise with what was measured, as one line that says whether it is met."""

    promise: str
    measured: str
    spread: str
    ratio: str  # to the reference loop of the same run
    verdict: str  # "met" or "missed"

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """Return the goal that a line of output states, None if it states none."""
        found = _LINE.fullmatch(line.strip())
        return cls(**found.groupdict()) if found else None

    def __str__(self) -> str:
        return f"goal {self.promise}: {self.measured} ({self.spread}), {self.ratio}: {self.verdict}"


def judged(
    promise: str,
    times: Times,
    *,
    unit: str,
    ratio: str,
    at_most: float = 0.0,
    at_least: float = 0.0,
) -> Goal:
    """Return a goal that is met if the median is on the right side of a bound.

    Parameters
    ----------
    promise : str
        In words, without a colon.
    times : Times
        Measured, in `unit`.
    unit : str
        Of the numbers.
    ratio : str
        To the reference loop, in words.
    at_most, at_least : float
        The bound; the one that is given counts.

    Returns
    -------
    Goal
    """
    is_met = times.median <= at_most if at_most else times.median >= at_least
    spread = f"{_three_digits(times.low)} to {_three_digits(times.high)}"
    return Goal(
        promise,
        f"{_three_digits(times.median)} {unit}",
        spread,
        ratio,
        "met" if is_met else "missed",
    )


def _three_digits(value: float) -> str:
    return f"{value:#.3g}".rstrip(".")


def cpu_seconds(call: Callable[[], object]) -> float:
    """Return the CPU time that a call takes in this process."""
    begin = time.process_time()
    call()
    return time.process_time() - begin


def plain_loop() -> None:
    """Add whole numbers in plain Python: how fast this machine is just now."""
    total = 0
    for number in range(N_LOOPED):
        total += number & 7


def machine() -> str:
    """Return what the figures depend on: cores, what else is running, versions."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    versions = [f"{name} {version(name)}" for name in ("numpy", "numba", "mesa")]
    python = f"python {platform.python_version()}"
    return ", ".join([f"{os.cpu_count()} cores", f"load {load:.1f}", python, *versions])


def as_table(goals: Iterable[Goal]) -> list[str]:
    """Return the rows of a Markdown table of goals."""
    head = ["promise", "median", "spread", "reference loop of the same run", "verdict"]
    rows = [head, ["---"] * len(head), *goals]
    return [f"| {' | '.join(row)} |" for row in rows]
