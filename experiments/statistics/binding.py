"""Whether a cap binds at all: where it never does, a larger one changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from stressbook.errors import InvalidInput

__all__ = ["BINDING_FRAC", "Binding", "platform_binding", "user_binding"]

BINDING_FRAC: Final = 0.95


@dataclass(frozen=True)
class Binding:
    """In how many seeds each cap of a grid binds.

    Parameters
    ----------
    caps : tuple of float
        Rising, in the unit of the cap.
    seeds : tuple of int
        Seeds in which each binds.
    n : int
        Seeds.
    """

    caps: tuple[float, ...]
    seeds: tuple[int, ...]
    n: int

    @property
    def never_binds(self) -> bool:
        """Whether no cap of the grid binds in any seed."""
        return not any(self.seeds)

    def __str__(self) -> str:
        if self.never_binds:
            return f"not binding up to {self.caps[-1]:,.0f}"
        largest = max(i for i, count in enumerate(self.seeds) if count)
        if largest == len(self.caps) - 1:
            return f"binding in {self.seeds[-1]} of {self.n} seeds at {self.caps[-1]:,.0f}"
        free = f"{self.caps[largest + 1]:,.0f} to {self.caps[-1]:,.0f}"
        return f"binding up to {self.caps[largest]:,.0f}, not binding from {free}"


def platform_binding(
    peak_debt: npt.ArrayLike,
    caps: Sequence[float],
    is_rationed: npt.ArrayLike | None = None,
) -> Binding:
    """Tell where a cap on all debt binds: peak debt reached 95 % of it, or it rationed a book.

    Parameters
    ----------
    peak_debt : array_like of float, shape (n_seeds, n_caps)
        Largest debt over time, in the unit of the cap; NaN of a run that crashed, of which
        nothing is known, so that the cap counts as binding in it.
    caps : sequence of float, shape (n_caps,)
        Rising.
    is_rationed : array_like of bool, shape (n_seeds, n_caps), optional
        Whether accounts opened smaller than they wanted by it: opening books leave a tenth of the
        cap free, so that their debts alone never reach 95 %.

    Returns
    -------
    Binding

    Raises
    ------
    InvalidInput
        If the shape is not that of the grid.

    Examples
    --------
    >>> print(platform_binding([[80.0, 85.0], [70.0, 70.0]], [100.0, 200.0]))
    not binding up to 200
    """
    peaks = np.asarray(peak_debt, np.float64)
    limits = np.asarray(caps, np.float64)
    _require_shape(peaks, limits)
    rationed = np.zeros(peaks.shape, np.bool_) if is_rationed is None else np.asarray(is_rationed)
    return user_binding(~(peaks < BINDING_FRAC * limits) | rationed, caps)


def user_binding(is_active: npt.ArrayLike, caps: Sequence[float]) -> Binding:
    """Tell where a cap on each user binds: it was the active minimum of some agent's size.

    Parameters
    ----------
    is_active : array_like of bool, shape (n_seeds, n_caps)
        Whether it ever was.
    caps : sequence of float, shape (n_caps,)
        Rising.

    Returns
    -------
    Binding

    Raises
    ------
    InvalidInput
        If the shape is not that of the grid.

    Examples
    --------
    >>> print(user_binding([[True, False], [True, False]], [5.0, 10.0]))
    binding up to 5, not binding from 10 to 10
    """
    active = np.asarray(is_active, np.bool_)
    _require_shape(active, np.asarray(caps, np.float64))
    counts = tuple(int(k) for k in active.sum(axis=0))
    return Binding(tuple(float(cap) for cap in caps), counts, len(active))


def _require_shape(values: npt.NDArray[np.generic], caps: npt.NDArray[np.float64]) -> None:
    if values.ndim != 2 or values.shape[1] != len(caps) or values.size == 0:
        raise InvalidInput(
            "does not fit the grid",
            name="matrix",
            value=values.shape,
            allowed=f"one or more seeds x {len(caps)} caps",
        )
