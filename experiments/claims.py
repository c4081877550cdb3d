"""What may be claimed of paired runs: an effect beside its interval, its noise, and its word.

A difference is claimed if there are eight pairs or more, its p-value stands after Holm's
correction over all outcomes of the table, and it is larger than what a placebo changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from stressbook.experiments.inference import (
    Estimate,
    correlation,
    holm,
    mean_estimate,
    paired_difference,
    ratio_estimate,
)
from stressbook.market.compiling.arrays import F64

__all__ = [
    "MIN_PAIRS",
    "Claim",
    "Word",
    "claims",
    "p_value",
    "paired_share_p",
    "ratio_above_noise",
]

MIN_PAIRS: Final = 8
Word = Literal[
    "higher", "lower", "equal", "inside noise", "inconclusive", "not evidence", "not judged"
]


@dataclass(frozen=True)
class Claim:
    """What the treated runs changed in one outcome.

    Parameters
    ----------
    name : str
        Of the outcome.
    treated, control : Estimate
        Means over seeds.
    difference : Estimate
        Of treated - control, paired.
    correlation : float
        That pairing achieved; NaN where one side does not vary.
    noise : float
        Largest bound of the placebo's mean effect; NaN if none ran.
    p : float
        Of the difference, two-sided, before correction.
    word : str
        What may be said.
    """

    name: str
    treated: Estimate
    control: Estimate
    difference: Estimate
    correlation: float
    noise: float
    p: float
    word: Word


def claims(
    outcomes: Sequence[tuple[str, F64, F64, Sequence[F64]]], *, level: float = 0.95
) -> list[Claim]:
    """Judge several outcomes together.

    Parameters
    ----------
    outcomes : sequence of (name, treated, control, placebos)
        Values by seed, shape (n,); each placebo is an array of paired placebo effects, shape (n,),
        in either arm.
    level : float, default 0.95
        Of the intervals, and 1 - the familywise error rate of the words.

    Returns
    -------
    list of Claim

    Examples
    --------
    >>> up = np.arange(8.0)
    >>> found = claims([("fall", up + 1.0 + 0.01 * up, up, [np.zeros(8)])])
    >>> found[0].word, round(found[0].difference.value, 3)
    ('higher', 1.035)
    """
    differences = [paired_difference(a, b, level=level) for _, a, b, _ in outcomes]
    p = [p_value(np.asarray(a) - np.asarray(b)) for _, a, b, _ in outcomes]
    stands = holm(p, alpha=1.0 - level)
    return [
        Claim(
            name,
            mean_estimate(a, level=level),
            mean_estimate(b, level=level),
            difference,
            correlation(a, b),
            _noise(placebos, level),
            p[i],
            _word(
                difference,
                _noise(placebos, level),
                equal=len(a) >= MIN_PAIRS and np.array_equal(a, b, equal_nan=True),
                is_clear=stands[i],
            ),
        )
        for i, ((name, a, b, placebos), difference) in enumerate(
            zip(outcomes, differences, strict=True)
        )
    ]


def p_value(values: npt.ArrayLike) -> float:
    """Return the two-sided p-value of a mean of 0; NaN for fewer than two values.

    Examples
    --------
    >>> round(p_value([1.0, 2.0, 3.0]), 4)
    0.0742
    """
    x = np.asarray(values, np.float64)
    x = x[np.isfinite(x)]
    if len(x) < 2:
        return math.nan
    deviation = float(np.std(x, ddof=1))
    if deviation == 0.0:
        return 1.0 if x[0] == 0.0 else 0.0
    t = float(x.mean()) / (deviation / math.sqrt(len(x)))
    return float(2.0 * stdtr(len(x) - 1, -abs(t)))


def paired_share_p(treated: Sequence[bool], control: Sequence[bool]) -> float:
    """Return the exact two-sided p-value that two shares over the same seeds are equal.

    McNemar's test: only pairs that differ count.

    Examples
    --------
    >>> paired_share_p([True] * 6, [False] * 6), paired_share_p([True], [True])
    (0.03125, 1.0)
    """
    pairs = list(zip(treated, control, strict=True))
    up = sum(a and not b for a, b in pairs)
    down = sum(b and not a for a, b in pairs)
    n = up + down
    tail = sum(math.comb(n, k) for k in range(min(up, down) + 1)) / 2**n
    return min(1.0, 2.0 * tail)


def ratio_above_noise(
    numerators: npt.ArrayLike, denominators: npt.ArrayLike, *, noise: float, level: float = 0.95
) -> Estimate | None:
    """Return the ratio of two means over the same seeds, None if the denominator is noise.

    Parameters
    ----------
    numerators, denominators : array_like of float, shape (n,)
        One pair a seed.
    noise : float
        Means of denominators up to it are not divided by.
    level : float, default 0.95
        Confidence.

    Returns
    -------
    Estimate or None
        See `stressbook.experiments.inference.ratio_estimate`.

    Examples
    --------
    >>> ratio_above_noise([2.0, 4.0, 3.0], [1.0, 2.0, 1.5], noise=0.1).value
    2.0
    """
    below = mean_estimate(denominators, level=level)
    if below.n == 0 or abs(below.value) <= noise or not (below.n < 2 or below.excludes(0.0)):
        return None
    return ratio_estimate(numerators, denominators, level=level)


def _noise(placebos: Sequence[F64], level: float) -> float:
    found = [mean_estimate(values, level=level) for values in placebos]
    bounds = [max(abs(e.low), abs(e.high)) for e in found if e.n > 1]
    return max(bounds) if bounds else math.nan


def _word(difference: Estimate, noise: float, *, equal: bool, is_clear: bool) -> Word:
    if equal:
        return "equal"
    if difference.n < MIN_PAIRS:
        return "not evidence"
    if not is_clear:
        return "inconclusive"
    if abs(difference.value) <= noise:
        return "inside noise"
    return "higher" if difference.value > 0.0 else "lower"
