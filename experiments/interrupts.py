"""Ctrl-C while processes start: they would inherit a handler that prints a traceback."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

__all__ = ["interrupts_held"]

_INTERRUPT = {signal.SIGINT}


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back until the block ends; processes that start in it never see one.

    They inherit the mask of this thread. A handler takes the interrupt down that another thread is
    given meanwhile.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # It lets interrupts through once it has been started, so it must not be started below.
    resource_tracker.ensure_running()
    came: list[int] = []

    def note(number: int, _frame: Any) -> None:
        came.append(number)

    before = signal.signal(signal.SIGINT, note)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # what waited is taken down now
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)
