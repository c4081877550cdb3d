"""A shipped behaviour: one function `decide(me, mkt, p, out)`, written once.

`decide` keeps to Numba's subset (loops, arithmetic, the helpers of `view` and `outbox`, no NumPy
functions). A desk runs it compiled over its accounts; a scalar agent runs the very same function as
plain Python. Both give the same messages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rule:
    """A behaviour with the records that it needs.

    Parameters
    ----------
    name : str
        Class of the accounts, as in scenario files: "market_maker".
    class_id : int
        First part of the account key; never reused (see `stressbook.market.numbers.draws`).
    parameters, memory : numpy.dtype
        Record of one account's parameters, and of what it remembers between steps (zeros at first).
    decide : callable
        `decide(me, mkt, p, out)`: looks, remembers, emits messages.
    run : callable
        `run(accounts, mkt, users, parameters, memory, out)`: `decide` for each account of a desk.
        A compiled loop of two lines, written out beside each `decide`: made by a factory, it would
        be compiled anew in every process.
    """

    name: str
    class_id: int
    parameters: np.dtype[np.void]
    memory: np.dtype[np.void]
    decide: Callable[..., None]
    run: Callable[..., None]
