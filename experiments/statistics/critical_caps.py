"""Critical caps: what each seed still bears, the cap that an order statistic proposes, the curve.

The whole grid is run for every seed. Bisection would assume the monotonicity that is to be
tested, and the largest passing cap of a non-monotone seed would flatter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from stressbook.errors import InvalidInput, Problem
from stressbook.experiments.inference import Estimate
from stressbook.experiments.statistics.exact import (
    allowed_failures,
    least_runs,
    require_fractions,
    share_estimate,
)
from stressbook.market.compiling.arrays import F64

__all__ = [
    "NON_MONOTONE_FRAC",
    "ORDERED_ALPHAS",
    "ORDERED_SEEDS",
    "PROPOSING_SEEDS",
    "CriticalCaps",
    "Proposal",
    "cap_interval",
    "grid_problems",
    "order_rank",
    "order_ranks",
    "propose",
    "read_caps",
]

NON_MONOTONE_FRAC: Final = 0.05
# More seeds would sharpen the quantile, and so bring the proposal's own failure rate to alpha.
PROPOSING_SEEDS: Final = 59
ORDERED_ALPHAS: Final = (0.05, 0.01, 0.005, 0.001)
ORDERED_SEEDS: Final = (59, 100, 299, 500, 1_000, 2_000, 2_995, 10_000)


@dataclass(frozen=True, eq=False)
class CriticalCaps:
    """What a grid of caps did to each seed.

    Parameters
    ----------
    caps : ndarray, shape (n_caps,), dtype float64
        The grid, rising, in the unit of the cap.
    failed : ndarray, shape (n_seeds, n_caps), dtype bool
        Whether a seed's loss was above the budget at a cap, or its run crashed.
    """

    caps: F64
    failed: npt.NDArray[np.bool_]

    @property
    def n(self) -> int:
        """Seeds."""
        return len(self.failed)

    @property
    def critical(self) -> F64:
        """Return each seed's grid value before its first failure, shape (n_seeds,).

        0 if the first fails; infinite, "above grid", if none does.
        """
        below = np.concatenate(([0.0], self.caps))
        found = below[np.argmax(self.failed, axis=1)]
        return np.where(self.failed.any(axis=1), found, math.inf)

    @property
    def first_failing(self) -> F64:
        """Return the smallest cap at which each seed fails, infinite if none, shape (n_seeds,)."""
        found = self.caps[np.argmax(self.failed, axis=1)]
        return np.where(self.failed.any(axis=1), found, math.inf)

    @property
    def is_non_monotone(self) -> npt.NDArray[np.bool_]:
        """Return which seeds succeed above a failure, shape (n_seeds,)."""
        failed_before = np.logical_or.accumulate(self.failed, axis=1)
        return np.asarray((failed_before & ~self.failed).any(axis=1))

    @property
    def non_monotone(self) -> Estimate:
        """Share of all seeds that are non-monotone."""
        return share_estimate(int(self.is_non_monotone.sum()), self.n)

    @property
    def non_monotone_of_failing(self) -> Estimate:
        """Share of the seeds with a failure that are non-monotone."""
        failing = int(self.failed.any(axis=1).sum())
        return share_estimate(int(self.is_non_monotone.sum()), failing)

    def curve(self, *, level: float = 0.95) -> list[Estimate]:
        """Return the share of failures at each cap, with exact intervals."""
        return [share_estimate(int(k), self.n, level=level) for k in self.failed.sum(axis=0)]

    def first(self, n_seeds: int) -> CriticalCaps:
        """Return the same for the first seeds alone."""
        return CriticalCaps(self.caps, self.failed[:n_seeds])


def read_caps(losses: npt.ArrayLike, caps: Sequence[float], budget: float) -> CriticalCaps:
    """Read losses on a grid of caps.

    Parameters
    ----------
    losses : array_like of float, shape (n_seeds, n_caps)
        Loss of each seed at each cap, in the unit of `budget`; NaN of a run that crashed, which
        has failed.
    caps : sequence of float, shape (n_caps,)
        Above 0 and rising.
    budget : float
        Largest loss that passes.

    Returns
    -------
    CriticalCaps

    Raises
    ------
    InvalidInput
        If there are no seeds, the shape is not that of the grid, or the grid does not rise.

    Examples
    --------
    >>> found = read_caps([[0.0, 9.0], [0.0, 2.0], [7.0, 8.0]], [100.0, 200.0], 5.0)
    >>> found.critical.tolist(), [share.value for share in found.curve()]
    ([100.0, inf, 0.0], [0.3333333333333333, 0.6666666666666666])
    """
    grid = np.asarray(caps, np.float64)
    values = np.asarray(losses, np.float64)
    problems = grid_problems("caps", grid)
    if not problems and (values.ndim != 2 or values.shape[1] != len(grid) or len(values) == 0):
        allowed = f"one or more seeds x {len(grid)} caps"
        problems.append(Problem("do not fit the grid", "losses", values.shape, allowed))
    if not math.isfinite(budget):
        problems.append(Problem("is not a budget", "budget", budget, "a finite loss"))
    if problems:
        raise InvalidInput.from_problems(problems)
    return CriticalCaps(grid, ~(values <= budget))


def grid_problems(name: str, grid: F64) -> list[Problem]:
    """Return what is wrong with a grid of caps, if anything.

    Examples
    --------
    >>> print(*grid_problems("caps", np.array([2.0, 1.0])))
    caps = [2.0, 1.0] is not a rising grid.
      allowed: above 0, each above the one before
    """
    rises = grid.ndim == 1 and len(grid) > 0 and (np.diff(grid, prepend=0.0) > 0.0).all()
    if rises and math.isfinite(grid[-1]):
        return []
    allowed = "above 0, each above the one before"
    return [Problem("is not a rising grid", name, grid.tolist(), allowed)]


def order_rank(n: int, alpha: float, confidence: float = 0.95) -> int:
    """Return which of n sorted critical caps bounds their alpha-quantile from below.

    Parameters
    ----------
    n : int
        Seeds.
    alpha, confidence : float
        Of the quantile and of the bound.

    Returns
    -------
    int
        The largest r with P(Binomial(n, alpha) <= r - 1) <= 1 - confidence; 0, "not supported",
        if even the smallest of n does not bound it. Exact and free of any distribution.
        Source: H. A. David, H. N. Nagaraja, Order Statistics, 2003, section 7.1.

    Examples
    --------
    >>> order_rank(59, 0.05), order_rank(1_000, 0.05), order_rank(100, 0.01)
    (1, 39, 0)
    """
    return allowed_failures(n, alpha, confidence) + 1


def order_ranks(
    ns: Sequence[int] = ORDERED_SEEDS,
    alphas: Sequence[float] = ORDERED_ALPHAS,
    *,
    confidence: float = 0.95,
) -> dict[float, list[int]]:
    """Return the table of ranks, a row for each alpha; 0 is "not supported".

    Examples
    --------
    >>> order_ranks([59, 299], [0.05, 0.01])
    {0.05: [1, 9], 0.01: [0, 1]}
    """
    return {alpha: [order_rank(n, alpha, confidence) for n in ns] for alpha in alphas}


def cap_interval(found: CriticalCaps, alpha: float = 0.05, *, level: float = 0.95) -> Estimate:
    """Return the largest cap at which failures have probability alpha at most, with an interval.

    Parameters
    ----------
    found : CriticalCaps
        All of its seeds are used; they have to be monotone.
    alpha, level : float
        Of the quantile and of the interval.

    Returns
    -------
    Estimate
        Order statistics of the seeds' critical caps from below, and of their first failing caps
        from above, since a seed's own limit lies between the two. An end that the seeds do not
        support is 0 or infinite.

    Examples
    --------
    >>> losses = np.add.outer(np.arange(200.0), [0.0, 100.0, 200.0])
    >>> e = cap_interval(read_caps(losses, [1.0, 2.0, 3.0], 292.0))
    >>> e.low, e.value, e.high
    (1.0, 2.0, 3.0)
    """
    require_fractions(alpha=alpha, level=level)
    one_sided = (1.0 + level) / 2.0
    bear = np.sort(found.critical)
    fail = np.sort(found.first_failing)
    below = order_rank(found.n, alpha, one_sided)
    # P(at least s of n below the quantile) is the chance that s of n succeed, seen from the top.
    above = found.n - allowed_failures(found.n, 1.0 - alpha, one_sided)
    middle = float(bear[max(math.ceil(alpha * found.n) - 1, 0)])
    low = float(bear[below - 1]) if below > 0 else 0.0
    high = float(fail[above - 1]) if above <= found.n else math.inf
    return Estimate(middle, low, high, found.n, level)


@dataclass(frozen=True)
class Proposal:
    """The cap to certify, or why there is none.

    Parameters
    ----------
    cap : float
        Of the grid; 0 if its smallest value fails already, infinite if none fails, NaN if the
        proposal is refused.
    rank, n_seeds : int
        The cap is the rank-th smallest critical cap of the first seeds; 0 if refused.
    reason : str
        Why it is refused, else how it was found.
    """

    cap: float
    rank: int
    n_seeds: int
    reason: str

    @property
    def is_refused(self) -> bool:
        """Whether the curve has to be shown instead."""
        return math.isnan(self.cap)


def propose(
    found: CriticalCaps,
    alpha: float = 0.05,
    confidence: float = 0.95,
    n_seeds: int = PROPOSING_SEEDS,
) -> Proposal:
    """Propose the cap that a certificate is then to hold at.

    Parameters
    ----------
    found : CriticalCaps
        Of all seeds; monotonicity is judged on all of them.
    alpha, confidence : float
        As in `order_rank`.
    n_seeds : int, default 59
        Seeds that propose: the first ones.

    Returns
    -------
    Proposal
        Refused, with the reason, where more than 5 % of the seeds are non-monotone, where there
        are fewer seeds than `n_seeds`, or where these do not support alpha.

    Examples
    --------
    >>> losses = np.zeros((59, 2)); losses[7, 1] = 9.0
    >>> propose(read_caps(losses, [100.0, 200.0], 5.0)).cap
    100.0
    """
    require_fractions(alpha=alpha, confidence=confidence)
    refusal = _refusal(found, alpha, confidence, n_seeds)
    if refusal:
        return Proposal(math.nan, 0, n_seeds, refusal)
    rank = order_rank(n_seeds, alpha, confidence)
    cap = float(np.sort(found.first(n_seeds).critical)[rank - 1])
    place = "smallest critical cap" if rank == 1 else f"critical cap number {rank} from below"
    reason = f"{place} of the first {n_seeds} seeds"
    if cap == 0.0:
        reason += "; the smallest cap of the grid fails"
    elif math.isinf(cap):
        reason += f"; above grid: none fails up to {found.caps[-1]:,.0f}"
    return Proposal(cap, rank, n_seeds, reason)


def _refusal(found: CriticalCaps, alpha: float, confidence: float, n_seeds: int) -> str:
    if found.n < n_seeds:
        return f"{found.n} seeds are too few, {n_seeds} propose"
    if order_rank(n_seeds, alpha, confidence) == 0:
        needed = least_runs(alpha, confidence)
        return f"not supported: {100.0 * alpha:g} % needs {needed:,} seeds, not {n_seeds}"
    odd = int(found.is_non_monotone.sum())
    if odd > NON_MONOTONE_FRAC * found.n:
        failing = int(found.failed.any(axis=1).sum())
        return (
            f"{odd} of {found.n} seeds ({failing} of them fail somewhere) pass above a failure, "
            f"more than {100.0 * NON_MONOTONE_FRAC:g} %: losses do not rise with the cap"
        )
    return ""
