"""What goes where: results to stdout, progress and notes to stderr."""

from __future__ import annotations

import math
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import typer

__all__ = [
    "STARTS_AFRESH",
    "chosen_seed",
    "goes_on",
    "note",
    "progress_of",
    "result",
    "result_json",
    "stopping",
]

STARTS_AFRESH: Final = "nothing is kept, the same command starts afresh"

_SEED_BOUND = 2**31


def result(text: str) -> None:
    """Print a result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def result_json(content: Any) -> None:
    """Print a result as JSON; what is no number becomes null."""
    from stressbook.experiments.words import json_text

    result(json_text(content))


def note(text: str, *, quiet: bool = False) -> None:
    """Print what is no result."""
    if not quiet:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def chosen_seed(seed: int | None, *, quiet: bool) -> int:
    """Return the seed, or draw one and say which."""
    if seed is not None:
        return seed
    drawn = secrets.randbelow(_SEED_BOUND)
    note(f"seed {drawn}", quiet=quiet)
    return drawn


def goes_on(place: Path, drawn_seed: int | None = None) -> Callable[[], str]:
    """Return what says, once a command that keeps finished runs was stopped, what is kept."""
    which = "" if drawn_seed is None else f" with --seed {drawn_seed}"

    def say() -> str:
        from stressbook.experiments.sweeps.status import n_done

        if n_done(place):
            return f"what was finished is kept in {place}, the same command{which} goes on"
        return f"nothing was finished, the same command{which} starts afresh"

    return say


@contextmanager
def stopping(what: str | Callable[[], str]) -> Iterator[None]:
    """Say what Ctrl-C leaves behind, and end with 130."""
    try:
        yield
    except KeyboardInterrupt:
        note(f"stopped; {what() if callable(what) else what}")
        raise typer.Exit(130) from None


@contextmanager
def progress_of(label: str, *, quiet: bool) -> Iterator[Callable[[float], None] | None]:
    """Give a function that is told the share that is done, and shows it.

    A bar on a terminal, a line each 10 % elsewhere.
    """
    if quiet:
        yield None
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with _bar(label) as told:
            yield told
    else:
        yield _lines(label)


@contextmanager
def _bar(label: str) -> Iterator[Callable[[float], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(label, total=1.0)
        yield lambda share: shown.update(task, completed=share)


def _lines(label: str) -> Callable[[float], None]:
    printed = 0
    start_s = time.monotonic()
    first: float | None = None  # what a former call has finished took no time now

    def tell(share: float) -> None:
        nonlocal printed, first
        first = share if first is None else first
        tenths = math.floor(share * 10.0 + 1e-9)
        if tenths > printed:
            printed = tenths
            passed_s = time.monotonic() - start_s
            left_s = passed_s * (1.0 - share) / (share - first) if share > first else 0.0
            left = f", about {left_s:.0f} s left" if left_s > 0.0 else ""
            note(f"{label}: {tenths * 10} % after {passed_s:.0f} s{left}")

    return tell
