r"""Self-exciting arrivals: how large a share of orders is set off by orders before.

Intensity :math:`\mu + \sum_{t_i<t}\sum_j n_j\beta_j e^{-\beta_j(t-t_i)}`; :math:`\sum_j n_j` is
the branching ratio. Two readings of one recording: the likelihood of the arrival times, ruled by
milliseconds where machines answer each other, and the dispersion of counts over half a second to
ten, which is what a model in steps of a second can reproduce.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import least_squares, minimize

from stressbook.experiments.calibration.estimate import (
    F64,
    LEVEL,
    basic_bootstrap,
    estimated,
    interval_of,
    require_length,
)
from stressbook.experiments.inference import Estimate

__all__ = [
    "DispersionFit",
    "HawkesFit",
    "dispersion",
    "dispersion_fit",
    "expected_dispersion",
    "hawkes_fit",
    "simulate_hawkes",
]

WINDOWS_S = (0.5, 1.0, 2.0, 5.0, 10.0)
MIN_EVENTS = 200
MAX_LOG_REACH = 20.0


@dataclass(frozen=True, slots=True)
class HawkesFit:
    """Likelihood fit with one or two exponential kernels.

    Parameters
    ----------
    base_per_s : Estimate
        Arrivals set off by nothing before, 1/s.
    branching : Estimate
        Sum of the kernels' branching ratios.
    decay_per_s : tuple of Estimate
        Decay rate of each kernel, 1/s, the fastest first.
    log_likelihood : float
        At the maximum.
    ks_distance : float
        Kolmogorov-Smirnov distance of the rescaled waiting times from the unit exponential law.
    """

    base_per_s: Estimate
    branching: Estimate
    decay_per_s: tuple[Estimate, ...]
    log_likelihood: float
    ks_distance: float


@dataclass(frozen=True, slots=True)
class DispersionFit:
    """Fit of variance over mean of counts, windows of half a second to ten.

    Parameters
    ----------
    branching : Estimate
        Branching ratio of the one-kernel process with these dispersions. Drift of the base rate
        counts as branching: an upper bound.
    halflife_s : Estimate
        Half-life of the autocovariance of the rate, s.
    """

    branching: Estimate
    halflife_s: Estimate


def simulate_hawkes(
    base_per_s: float,
    branching: float,
    decay_per_s: float,
    *,
    span_s: float,
    rng: np.random.Generator,
) -> F64:
    """Draw the arrival times of a one-kernel process, generation by generation.

    Parameters
    ----------
    base_per_s, branching, decay_per_s : float
        Rate of immigrants (1/s), branching ratio (below 1), decay of the kernel (1/s).
    span_s : float
        Observed from 0 to here; clusters begun up to 20 relaxation times before 0 are included.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    ndarray, shape (n_events,), dtype float64
        Sorted times, s.

    References
    ----------
    .. [1] A. G. Hawkes, D. Oakes (1974), "A cluster process representation of a self-exciting
       process", J. Appl. Prob. 11(3).

    Examples
    --------
    >>> t = simulate_hawkes(1.0, 0.5, 2.0, span_s=5_000.0, rng=np.random.default_rng(1))
    >>> abs(len(t) / 5_000.0 - 2.0) < 0.2
    True
    """
    start = -20.0 / (decay_per_s * (1.0 - branching))
    n_immigrants = rng.poisson(base_per_s * (span_s - start))
    generation = rng.uniform(start, span_s, n_immigrants)
    born = [generation]
    while len(generation):
        children = np.repeat(generation, rng.poisson(branching, len(generation)))
        generation = children + rng.exponential(1.0 / decay_per_s, len(children))
        generation = generation[generation < span_s]
        born.append(generation)
    times = np.concatenate(born)
    return np.sort(times[times >= 0.0])


def hawkes_fit(times_s: F64, *, span_s: float, n_kernels: int = 1) -> HawkesFit:
    """Fit base rate, branching ratio and decays by maximum likelihood.

    Parameters
    ----------
    times_s : ndarray, shape (n,), dtype float64
        Sorted arrival times in [0, `span_s`], s.
    span_s : float
        Length of the observation, s.
    n_kernels : int, default 1
        1 or 2 exponential kernels.

    Returns
    -------
    HawkesFit
        Intervals from the curvature of the likelihood in the logarithms of the parameters.

    Raises
    ------
    InvalidInput
        If there are fewer than 200 arrivals.

    References
    ----------
    .. [1] Y. Ogata (1981), "On Lewis' simulation method for point processes", IEEE Trans. Inf.
       Theory 27(1), with the recursion of T. Ozaki (1979).

    Examples
    --------
    >>> t = simulate_hawkes(1.0, 0.5, 2.0, span_s=800.0, rng=np.random.default_rng(1))
    >>> abs(hawkes_fit(t, span_s=800.0).branching.value - 0.5) < 0.1
    True
    """
    require_length("arrivals", len(times_s), MIN_EVENTS)
    start = _start(len(times_s) / span_s, n_kernels)
    best = minimize(
        _negative_likelihood,
        start,
        args=(times_s, span_s),
        method="Nelder-Mead",
        options={"maxiter": 1_500, "xatol": 1e-4, "fatol": 1e-4},
    )
    theta = _fastest_first(np.asarray(best.x))
    return _described(theta, times_s, span_s)


def _start(rate_per_s: float, n_kernels: int) -> F64:
    decays = [3.0 * rate_per_s] if n_kernels == 1 else [15.0 * rate_per_s, 0.3 * rate_per_s]
    return np.log([0.5 * rate_per_s, *([0.5 / n_kernels] * n_kernels), *decays])


def _fastest_first(theta: F64) -> F64:
    k = len(theta) // 2
    order = np.argsort(-theta[k + 1 :])
    return np.concatenate([theta[:1], theta[1 : k + 1][order], theta[k + 1 :][order]])


def _excitation(times_s: F64, decay: float) -> F64:
    # sum over earlier arrivals of exp(-decay x (t_i - t_j)), by its recursion.
    factors = np.exp(-decay * np.diff(times_s)).tolist()
    level = 0.0
    levels = [0.0]
    for factor in factors:
        level = factor * (level + 1.0)
        levels.append(level)
    return np.array(levels)


def _negative_likelihood(theta: F64, times_s: F64, span_s: float) -> float:
    k = len(theta) // 2
    if np.any(np.abs(theta) > 25.0):
        return 1e12
    base, *rest = np.exp(theta)
    intensity = np.full(len(times_s), base)
    expected = base * span_s
    for n, decay in zip(rest[:k], rest[k:], strict=True):
        intensity += n * decay * _excitation(times_s, decay)
        expected += n * float(np.sum(-np.expm1(-decay * (span_s - times_s))))
    return float(expected - np.sum(np.log(intensity)))


def _described(theta: F64, times_s: F64, span_s: float) -> HawkesFit:
    k = len(theta) // 2
    covariance = _inverse_curvature(theta, times_s, span_s)
    reach = float(stats.norm.ppf((1.0 + LEVEL) / 2.0))
    sd = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    n = len(times_s)
    single = [_log_normal(theta[i], reach * sd[i], n) for i in range(len(theta))]
    ratio = np.exp(theta[1 : k + 1])
    weight = ratio / ratio.sum()
    spread = reach * float(np.sqrt(weight @ covariance[1 : k + 1, 1 : k + 1] @ weight))
    branching = _log_normal(float(np.log(ratio.sum())), spread, n)
    return HawkesFit(
        single[0],
        branching,
        tuple(single[k + 1 :]),
        -_negative_likelihood(theta, times_s, span_s),
        _ks_distance(theta, times_s),
    )


def _log_normal(log_value: float, reach: float, n: int) -> Estimate:
    # A flat direction of the likelihood has no curvature: the interval is wide, not infinite.
    reach = min(reach, MAX_LOG_REACH)
    ends = np.exp([log_value, log_value - reach, log_value + reach])
    return estimated(float(ends[0]), float(ends[1]), float(ends[2]), n)


def _inverse_curvature(theta: F64, times_s: F64, span_s: float) -> F64:
    size = len(theta)
    step = 1e-3
    shifts = np.eye(size) * step
    curvature = np.empty((size, size))

    def at(shift: F64) -> float:
        return _negative_likelihood(theta + shift, times_s, span_s)

    for i in range(size):
        for j in range(i + 1):
            a, b = shifts[i], shifts[j]
            second = (at(a + b) - at(a - b) - at(b - a) + at(-a - b)) / (4.0 * step**2)
            curvature[i, j] = curvature[j, i] = second
    return np.asarray(np.linalg.pinv(curvature))


def _ks_distance(theta: F64, times_s: F64) -> float:
    k = len(theta) // 2
    base, *rest = np.exp(theta)
    gaps = np.diff(times_s)
    waits = base * gaps
    for n, decay in zip(rest[:k], rest[k:], strict=True):
        waits = waits + n * (_excitation(times_s, decay)[:-1] + 1.0) * -np.expm1(-decay * gaps)
    return float(stats.kstest(waits, "expon").statistic)


def dispersion(times_s: F64, *, span_s: float, window_s: float) -> float:
    """Return variance over mean of counts in windows that start every tenth of a window.

    Parameters
    ----------
    times_s : ndarray, shape (n,), dtype float64
        Sorted arrival times in [0, `span_s`], s.
    span_s, window_s : float
        Length of observation and window, s.

    Returns
    -------
    float
        1 for Poisson arrivals.

    Examples
    --------
    >>> t = np.sort(np.random.default_rng(1).uniform(0.0, 10_000.0, 10_000))
    >>> abs(dispersion(t, span_s=10_000.0, window_s=5.0) - 1.0) < 0.1
    True
    """
    starts = np.arange(0.0, span_s - window_s, window_s / 10.0)
    counts = np.searchsorted(times_s, starts + window_s) - np.searchsorted(times_s, starts)
    return float(counts.var() / counts.mean())


def dispersion_fit(
    times_s: F64, *, span_s: float, rng: np.random.Generator, n_draws: int = 100
) -> DispersionFit:
    """Fit a branching ratio and a memory to the dispersions of counts.

    Parameters
    ----------
    times_s : ndarray, shape (n,), dtype float64
        Sorted arrival times in [0, `span_s`], s.
    span_s : float
        Length of the observation, at least 100 s.
    rng : numpy.random.Generator
        Draws the simulated recordings that give the intervals.
    n_draws : int, default 100
        Simulated recordings.

    Returns
    -------
    DispersionFit

    Raises
    ------
    InvalidInput
        If there are fewer than 200 arrivals.

    References
    ----------
    .. [1] A. G. Hawkes (1971), "Spectra of some self-exciting and mutually exciting point
       processes", Biometrika 58(1): the covariance whose double integral is fitted.

    Examples
    --------
    >>> t = simulate_hawkes(2.0, 0.6, 2.0, span_s=400.0, rng=np.random.default_rng(1))
    >>> fit = dispersion_fit(t, span_s=400.0, rng=np.random.default_rng(2), n_draws=40)
    >>> abs(fit.branching.value - 0.6) < 0.2
    True
    """
    require_length("arrivals", len(times_s), MIN_EVENTS)
    measured = [dispersion(times_s, span_s=span_s, window_s=w) for w in WINDOWS_S]
    branching, relaxation = _fit_dispersions(measured)
    rate = len(times_s) / span_s
    draws = []
    for _ in range(n_draws):
        t = simulate_hawkes(
            rate * (1.0 - branching),
            branching,
            relaxation / (1.0 - branching),
            span_s=span_s,
            rng=rng,
        )
        draws.append(
            _fit_dispersions([dispersion(t, span_s=span_s, window_s=w) for w in WINDOWS_S])
        )
    return _dispersion_estimates(branching, relaxation, np.array(draws), len(times_s))


def _dispersion_estimates(branching: float, relaxation: float, draws: F64, n: int) -> DispersionFit:
    # On scales without bounds: the logit of the ratio, the logarithm of the time.
    logits = basic_bootstrap(_logit(branching), _logit(draws[:, 0]))
    low, high = interval_of(1.0 / (1.0 + np.exp(-logits)))
    life = float(np.log(2.0) / relaxation)
    lives = np.exp(basic_bootstrap(np.log(life), np.log(np.log(2.0) / draws[:, 1])))
    return DispersionFit(
        estimated(branching, low, high, n), estimated(life, *interval_of(lives), n)
    )


def _logit(p: float | F64) -> F64:
    return np.asarray(np.log(p) - np.log1p(-np.asarray(p)))


def expected_dispersion(branching: float, relaxation: float, windows_s: F64) -> F64:
    """Return variance over mean of counts of the one-kernel process.

    Parameters
    ----------
    branching : float
        Branching ratio, below 1.
    relaxation : float
        Decay of the rate's autocovariance, 1/s: the kernel's decay x (1 - branching).
    windows_s : ndarray, shape (n_windows,), dtype float64
        Lengths of the windows, s.

    Returns
    -------
    ndarray, shape (n_windows,), dtype float64

    Examples
    --------
    >>> expected_dispersion(0.5, 1.0, np.array([1e-9, 1e9])).round(6)
    array([1., 4.])
    """
    x = relaxation * windows_s
    excess = branching * (2.0 - branching) / (1.0 - branching) ** 2
    return np.asarray(1.0 + excess * (1.0 + np.expm1(-x) / x))


def _fit_dispersions(measured: Sequence[float]) -> tuple[float, float]:
    windows = np.array(WINDOWS_S)
    target = np.log(measured)

    def misfit(theta: F64) -> F64:
        branching = 1.0 / (1.0 + np.exp(-theta[0]))
        return np.log(expected_dispersion(branching, float(np.exp(theta[1])), windows)) - target

    fit = least_squares(misfit, [0.0, 0.0], bounds=([-7.0, -5.0], [7.0, 5.0]))
    return float(1.0 / (1.0 + np.exp(-fit.x[0]))), float(np.exp(fit.x[1]))
