"""What one account is like: draws that depend on the seed, its own key and nothing else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stressbook.market.compiling.arrays import F64, I64
from stressbook.market.numbers.draws import PURPOSE_TRAIT, key_from_seed, uniforms
from stressbook.market.numbers.elementary import exp, ln, normal_quantile


def trait(seed: int, keys: I64, index: int, low: float = 0.0, high: float = 1.0) -> F64:
    """Draw one trait of each account, uniform between two bounds.

    Parameters
    ----------
    seed : int
        Of the run.
    keys : ndarray of int64, shape (n,)
        Account keys.
    index : int
        Number of the trait within its class.
    low, high : float, default 0, 1
        Bounds.

    Returns
    -------
    ndarray of float64, shape (n,)

    Examples
    --------
    >>> a = trait(7, np.array([5, 6]), 0)
    >>> b = trait(7, np.array([4, 5, 6]), 0)
    >>> bool((a == b[1:]).all())
    True
    """
    u = uniforms(*key_from_seed(seed), purpose=PURPOSE_TRAIT, account_key=keys, t_ms=0, index=index)
    return low + u * (high - low)


def normal_trait(seed: int, keys: I64, index: int) -> F64:
    """Draw a standard normal trait of each account, shape (n,); arguments as for `trait`.

    Examples
    --------
    >>> normal_trait(7, np.array([5, 6]), 0).shape
    (2,)
    """
    return np.array([normal_quantile(float(u)) for u in trait(seed, keys, index)], np.float64)


def pareto_trait(seed: int, keys: I64, index: int, *, tail: float, largest: float) -> F64:
    """Draw a size of each account from a Pareto law cut at `largest` times the smallest.

    Parameters
    ----------
    seed, keys, index
        As for `trait`.
    tail : float
        Exponent of the tail.
    largest : float
        Largest size over the smallest; the law is the conditional one below it.

    Returns
    -------
    ndarray of float64, shape (n,)
        From 1 to `largest`.

    Examples
    --------
    >>> sizes = pareto_trait(7, np.arange(1000), 0, tail=1.25, largest=25.0)
    >>> bool(sizes.min() >= 1.0 and sizes.max() <= 25.0)
    True
    """
    below = 1.0 - exp(-tail * ln(largest))
    sizes = [exp(-ln(1.0 - float(u) * below) / tail) for u in trait(seed, keys, index)]
    return np.array(sizes, np.float64)


def equities(weights: F64, total_usd: float) -> F64:
    """Share a total among accounts by weight, summed in order.

    Parameters
    ----------
    weights : ndarray of float64, shape (n,)
        Positive.
    total_usd : float
        Sum of the result.

    Returns
    -------
    ndarray of float64, shape (n,)

    Examples
    --------
    >>> equities(np.array([1.0, 3.0]), 100.0).tolist()
    [25.0, 75.0]
    """
    total = 0.0
    for weight in weights:
        total += float(weight)
    return weights * (total_usd / total if total > 0.0 else 0.0)


def halflife_weight(interval_s: npt.ArrayLike, halflife_s: npt.ArrayLike) -> F64:
    """Return the weight of a new value in an average of some half-life, looked at each interval.

    Parameters
    ----------
    interval_s, halflife_s : array_like of float
        Broadcast together.

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> halflife_weight([1.0, 2.0], 1.0).tolist()
    [0.5, 0.75]
    """
    steps = np.atleast_1d(np.asarray(interval_s, np.float64) / np.asarray(halflife_s, np.float64))
    return np.array([1.0 - exp(-ln(2.0) * float(x)) for x in steps], np.float64)
