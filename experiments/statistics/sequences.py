"""Confidence sequences: intervals that hold at every n at once, so that one may look and stop.

They read replicates in seed order up to the first gap, whatever the order of arrival.

References
----------
.. [1] H. Robbins (1970), "Statistical methods related to the law of the iterated logarithm",
   Ann. Math. Stat. 41(5).
.. [2] I. Waudby-Smith, A. Ramdas (2024), "Estimating means of bounded random variables by
   betting", J. R. Stat. Soc. B 86(1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, xlog1py, xlogy

from stressbook.errors import InvalidInput
from stressbook.experiments.inference import Estimate
from stressbook.experiments.statistics.exact import require_fractions
from stressbook.market.compiling.arrays import F64

__all__ = ["ConfidenceSequence", "Stop", "failure_sequence", "mean_sequence", "stop_when"]

Bools = npt.NDArray[np.bool_]

BISECTIONS: Final = 50
# Tried means across the range: the interval's ends are good to a thousandth of it.
GRID: Final = 1_000
LARGEST_BET: Final = 0.5


@dataclass(frozen=True, eq=False)
class ConfidenceSequence:
    """An interval after each replicate; all of them cover together at the level.

    Parameters
    ----------
    value : ndarray, shape (n,), dtype float64
        Running share or mean.
    low, high : ndarray, shape (n,), dtype float64
        Ends after each, the intersection of all intervals so far.
    level : float
        Confidence of the whole path.
    """

    value: F64
    low: F64
    high: F64
    level: float

    def __len__(self) -> int:
        return len(self.value)

    def at(self, n: int) -> Estimate:
        """Return the interval after n replicates, 1 or more."""
        if not 1 <= n <= len(self):
            raise InvalidInput("has not been read", name="n", value=n, allowed=f"1 to {len(self)}")
        i = n - 1
        ends = float(self.low[i]), float(self.high[i])
        return Estimate(float(self.value[i]), *ends, n, self.level)


def failure_sequence(
    failed: Sequence[bool | None], *, confidence: float = 0.95, prior: tuple[float, float] = (1, 1)
) -> ConfidenceSequence:
    """Return the confidence sequence of a share of failures.

    The mixture of likelihood ratios over a beta law, M_n(p) = B(a + k, b + n - k) / (B(a, b)
    p^k (1 - p)^(n - k)), is a martingale at the true p: it exceeds 1 / (1 - confidence) at any n
    with probability 1 - confidence at most. The interval is where it does not.

    Parameters
    ----------
    failed : sequence of bool or None
        In seed order; a run that crashed has failed, None is not there yet and ends the reading.
    confidence : float, default 0.95
        Of the whole path.
    prior : (float, float), default (1, 1)
        a and b: where the interval is to be tight. It is valid for each that is fixed beforehand.

    Returns
    -------
    ConfidenceSequence
        Source: [1]_.

    Examples
    --------
    >>> found = failure_sequence([False] * 100)
    >>> len(found), found.at(100).low, round(found.at(100).high, 3)
    (100, 0.0, 0.073)
    """
    require_fractions(confidence=confidence)
    x = _prefix(failed)
    n = np.arange(1.0, len(x) + 1.0)
    k = np.cumsum(x)
    a, b = prior
    evidence = betaln(a + k, b + n - k) - betaln(a, b)
    limit = -math.log1p(-confidence)

    def is_excluded(p: F64) -> Bools:
        return np.asarray(evidence - xlogy(k, p) - xlog1py(n - k, -p) >= limit)

    share = k / n
    # The mixture falls up to the share and rises beyond it; ends are taken from outside.
    low = np.where(k > 0, _edge(np.zeros(len(x)), share, is_excluded), 0.0)
    high = np.where(k < n, _edge(np.ones(len(x)), share, is_excluded), 1.0)
    return _intersected(share, low, high, confidence)


def _edge(outside: F64, inside: F64, is_excluded: Callable[[F64], Bools]) -> F64:
    inside = inside.copy()
    for _ in range(BISECTIONS):
        middle = 0.5 * (outside + inside)
        out = is_excluded(middle)
        outside = np.where(out, middle, outside)
        inside = np.where(out, inside, middle)
    return outside


def mean_sequence(
    values: Sequence[float | None], *, low: float, high: float, confidence: float = 0.95
) -> ConfidenceSequence:
    """Return the confidence sequence of the mean of a bounded number, by hedged betting.

    For each mean m two gamblers bet against it, up and down: capital K+(m) = prod(1 + min(l_i,
    c / m) (x_i - m)), K-(m) likewise, the bets l_i from what came before. At the true mean
    the half of either reaches 1 / (1 - confidence) with probability 1 - confidence at most. K+
    falls with m and K- rises, so what is left is an interval.

    Parameters
    ----------
    values : sequence of float or None
        In seed order; NaN of a run that crashed counts as `high`, None is not there yet.
    low, high : float
        Range that no value leaves.
    confidence : float, default 0.95
        Of the whole path.

    Returns
    -------
    ConfidenceSequence
        Ends lie on a grid of a thousandth of the range, outside the exact ones. Source: [2]_,
        theorem 3, with its predictable plug-in bets and c = 1/2.

    Raises
    ------
    InvalidInput
        If the range is empty or a value leaves it.

    Examples
    --------
    >>> found = mean_sequence([1.0, 3.0] * 100, low=0.0, high=4.0)
    >>> found.at(200).covers(2.0), found.at(200).half_width < 0.5
    (True, True)
    """
    require_fractions(confidence=confidence)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InvalidInput("is empty", name="range", value=(low, high), allowed="low below high")
    x = (_prefix(values, high) - low) / (high - low)
    if ((x < 0.0) | (x > 1.0)).any():
        raise InvalidInput("leave the range", name="values", allowed=f"{low} to {high}")
    bets = _bets(x, 1.0 - confidence)
    means = np.arange(1.0, GRID) / GRID
    up, down = np.zeros(GRID - 1), np.zeros(GRID - 1)
    limit = math.log(2.0 / (1.0 - confidence))
    bottom, top = np.zeros(len(x)), np.ones(len(x))
    for i, (one, bet) in enumerate(zip(x, bets, strict=True)):
        up += np.log1p(np.minimum(bet, LARGEST_BET / means) * (one - means))
        down += np.log1p(np.minimum(bet, LARGEST_BET / (1.0 - means)) * (means - one))
        bottom[i] = means[up >= limit].max(initial=0.0)
        top[i] = means[down >= limit].min(initial=1.0)
    running = np.cumsum(x) / np.arange(1.0, len(x) + 1.0)
    scale = high - low
    return _intersected(low + scale * running, low + scale * bottom, low + scale * top, confidence)


def _bets(x: F64, error: float) -> F64:
    """Return each bet from the values before it, as large as their spread lets it be."""
    t = np.arange(1.0, len(x) + 1.0)
    centre = (0.5 + np.cumsum(x)) / (t + 1.0)
    variance = (0.25 + np.cumsum((x - centre) ** 2)) / (t + 1.0)
    before = np.concatenate(([0.25], variance[:-1]))
    return np.asarray(np.sqrt(2.0 * math.log(2.0 / error) / (before * t * np.log1p(t))))


def _prefix(values: Sequence[bool | None] | Sequence[float | None], crashed: float = 1.0) -> F64:
    read: list[float] = []
    for one in values:
        if one is None:
            break
        read.append(crashed if math.isnan(one) else float(one))
    return np.array(read)


def _intersected(value: F64, low: F64, high: F64, level: float) -> ConfidenceSequence:
    """Return the running intersection; where it is empty the law has changed on the way: NaN."""
    low, high = np.maximum.accumulate(low), np.minimum.accumulate(high)
    is_empty = low > high
    ends = np.where(is_empty, math.nan, low), np.where(is_empty, math.nan, high)
    return ConfidenceSequence(value, *ends, level)


@dataclass(frozen=True)
class Stop:
    """Where a sequence could be stopped, and why.

    Parameters
    ----------
    n : int
        Replicates.
    estimate : Estimate
        The interval there, valid although the data chose n.
    reason : str
        "narrow", "above" or "at most" the budget.
    """

    n: int
    estimate: Estimate
    reason: Literal["narrow", "above", "at most"]


def stop_when(
    sequence: ConfidenceSequence, *, half_width: float | None = None, budget: float | None = None
) -> Stop | None:
    """Return the first replicate at which a sequence may stop.

    Parameters
    ----------
    sequence : ConfidenceSequence
        Of failures or of a mean.
    half_width : float, optional
        Stop once half of the interval's width is at most this.
    budget : float, optional
        Stop once the interval lies wholly above it, or wholly at most at it.

    Returns
    -------
    Stop or None
        None if neither has come about.

    Raises
    ------
    InvalidInput
        If there is nothing to stop for.

    Examples
    --------
    >>> stop_when(failure_sequence([False] * 200), budget=0.05).reason
    'at most'
    """
    if half_width is None and budget is None:
        raise InvalidInput(
            "is missing", name="half_width or budget", hint="say what the runs are to reach"
        )
    for i in range(len(sequence)):
        low, high = float(sequence.low[i]), float(sequence.high[i])
        reason: Literal["narrow", "above", "at most"] | None = None
        if budget is not None and low > budget:
            reason = "above"
        elif budget is not None and high <= budget:
            reason = "at most"
        elif half_width is not None and (high - low) / 2.0 <= half_width:
            reason = "narrow"
        if reason:
            return Stop(i + 1, sequence.at(i + 1), reason)
    return None
