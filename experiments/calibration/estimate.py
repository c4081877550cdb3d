"""A fitted number with its interval, and the block bootstrap that gives it for series.

Intervals cover 90 % wherever this package prints one, as for the bands they are judged against.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from stressbook.errors import InvalidInput
from stressbook.experiments.inference import Estimate

__all__ = [
    "F64",
    "LEVEL",
    "basic_bootstrap",
    "block_bootstrap",
    "block_bootstrap_one",
    "estimated",
    "interval_of",
    "require_length",
    "unbiased_block_bootstrap",
]

F64 = NDArray[np.float64]

LEVEL = 0.90


def estimated(value: float, low: float, high: float, n: int) -> Estimate:
    """Return a number estimated from data, with its 90 % interval.

    Parameters
    ----------
    value : float
        The estimate, in the unit of its name.
    low, high : float
        Ends of the interval, NaN where the data give none.
    n : int
        Observations that the estimate rests on.

    Examples
    --------
    >>> estimated(2.0, 1.5, 2.5, 100).scaled(10.0)
    Estimate(value=20.0, low=15.0, high=25.0, n=100, level=0.9)
    """
    return Estimate(value, low, high, n, LEVEL)


def require_length(name: str, n: int, minimum: int) -> None:
    """Refuse a series too short to estimate from.

    Parameters
    ----------
    name : str
        What was counted, for the message.
    n, minimum : int
        Observations found and needed.

    Raises
    ------
    InvalidInput
        If `n` is below `minimum`.

    Examples
    --------
    >>> require_length("hourly returns", 100, 50)
    """
    if n < minimum:
        raise InvalidInput(
            "observations are too few to estimate from",
            name=name,
            value=n,
            allowed=f"{minimum} or more",
            hint="record a longer window",
        )


def interval_of(draws: Sequence[float] | F64, *, level: float = LEVEL) -> tuple[float, float]:
    """Return the central `level` share of bootstrap draws.

    Parameters
    ----------
    draws : array_like, shape (n_draws,)
        Bootstrap values; NaN draws (an undefined resample) are left out.
    level : float, default 0.9
        Coverage.

    Returns
    -------
    (float, float)
        Lower and upper end, NaN if every draw is.

    Examples
    --------
    >>> low, high = interval_of(np.arange(101.0))
    >>> round(low, 6), round(high, 6)
    (5.0, 95.0)
    """
    tail = (1.0 - level) / 2.0
    values = np.asarray(draws, dtype=np.float64)
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return float(low), float(high)


def basic_bootstrap(fitted: float | F64, draws: F64) -> F64:
    """Reflect estimates from records simulated at the fitted values into plausible true values.

    What the draws do about the planted value, the estimate does about the truth: their mean
    corrects its bias, their quantiles are its interval.

    Parameters
    ----------
    fitted : float or ndarray, shape (n_parameters,)
        Estimates, at which the records were simulated.
    draws : ndarray, shape (n_draws,) or (n_draws, n_parameters), dtype float64
        Estimates from those records.

    Returns
    -------
    ndarray, as `draws`
        2 x fitted - draws.

    References
    ----------
    .. [1] A. C. Davison, D. V. Hinkley (1997), "Bootstrap methods and their application", ch. 5.2.

    Examples
    --------
    >>> basic_bootstrap(1.0, np.array([1.2, 1.4])).round(6)
    array([0.8, 0.6])
    """
    return np.asarray(2.0 * fitted - draws)


def block_bootstrap(
    data: F64,
    statistic: Callable[[F64], F64],
    *,
    block: int,
    rng: np.random.Generator,
    n_draws: int = 200,
) -> list[Estimate]:
    """Estimate several statistics of one series, with moving-block bootstrap intervals.

    Parameters
    ----------
    data : ndarray, shape (n,) or (n, n_columns), dtype float64
        Series in time order; rows are resampled together. Not modified.
    statistic : callable
        From an array like `data` to an array, shape (n_statistics,).
    block : int
        Rows of a block, cut to half of the series: longer than the dependence that matters.
    rng : numpy.random.Generator
        Draws `n_draws` sets of block starts.
    n_draws : int, default 200
        Resamples.

    Returns
    -------
    list of Estimate
        One for each statistic, `n` the number of rows.

    Raises
    ------
    InvalidInput
        If there are fewer than four rows.

    References
    ----------
    .. [1] H. R. Kuensch (1989), "The jackknife and the bootstrap for general stationary
       observations", Ann. Statist. 17(3).

    Examples
    --------
    >>> x = np.random.default_rng(1).normal(3.0, 1.0, 1000)
    >>> mean, = block_bootstrap(
    ...     x, lambda y: np.array([y.mean()]), block=10, rng=np.random.default_rng(2)
    ... )
    >>> round(mean.high - mean.low, 2), mean.n
    (0.1, 1000)
    """
    draws = _block_draws(data, statistic, block=block, rng=rng, n_draws=n_draws)
    value = statistic(data)
    ends = [interval_of(column) for column in draws.T]
    return [estimated(float(v), *end, len(data)) for v, end in zip(value, ends, strict=True)]


def _block_draws(
    data: F64,
    statistic: Callable[[F64], F64],
    *,
    block: int,
    rng: np.random.Generator,
    n_draws: int,
) -> F64:
    n = len(data)
    require_length("rows to resample", n, 4)
    length = max(1, min(block, n // 2))
    n_blocks = -(-n // length)
    offsets = np.arange(length)
    draws = []
    for _ in range(n_draws):
        starts = rng.integers(0, n - length + 1, n_blocks)
        rows = (starts[:, None] + offsets).ravel()[:n]
        draws.append(statistic(data[rows]))
    return np.array(draws)


def block_bootstrap_one(
    data: F64,
    statistic: Callable[[F64], float],
    *,
    block: int,
    rng: np.random.Generator,
    n_draws: int = 200,
) -> Estimate:
    """Estimate one statistic; see `block_bootstrap`.

    Examples
    --------
    >>> x = np.random.default_rng(1).normal(3.0, 1.0, 1000)
    >>> mean = block_bootstrap_one(
    ...     x, lambda y: float(y.mean()), block=10, rng=np.random.default_rng(2)
    ... )
    >>> abs(mean.value - 3.0) < 0.2
    True
    """

    def as_array(rows: F64) -> F64:
        return np.array([statistic(rows)])

    return block_bootstrap(data, as_array, block=block, rng=rng, n_draws=n_draws)[0]


def unbiased_block_bootstrap(
    data: F64,
    statistic: Callable[[F64], float],
    *,
    block: int,
    rng: np.random.Generator,
    n_draws: int = 200,
) -> Estimate:
    """Estimate a variance whose bias a resample repeats: value and interval are corrected for it.

    Parameters
    ----------
    data, statistic, block, rng, n_draws
        As in `block_bootstrap`; the statistic is 0 or more.

    Returns
    -------
    Estimate
        Mean and quantiles of the reflected draws (see `basic_bootstrap`), 0 where they are below.

    Raises
    ------
    InvalidInput
        If there are fewer than four rows.

    Examples
    --------
    The square of a mean is too large by the mean's variance, which nearly all of this is:

    >>> x = np.random.default_rng(1).normal(0.0, 1.0, 100)
    >>> fit = unbiased_block_bootstrap(
    ...     x, lambda rows: float(rows.mean()) ** 2, block=1, rng=np.random.default_rng(2)
    ... )
    >>> bool(fit.value < x.mean() ** 2)
    True
    """

    def as_array(rows: F64) -> F64:
        return np.array([statistic(rows)])

    draws = _block_draws(data, as_array, block=block, rng=rng, n_draws=n_draws)[:, 0]
    plausible = basic_bootstrap(statistic(data), draws)
    ends = interval_of(np.maximum(plausible, 0.0))
    return estimated(max(float(plausible.mean()), 0.0), *ends, len(data))
