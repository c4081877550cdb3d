"""What single days of a basis look like, the yardstick of runs of 24 h."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from stressbook.experiments.calibration.estimate import (
    F64,
    LEVEL,
    estimated,
    interval_of,
    require_length,
)
from stressbook.experiments.inference import Estimate

__all__ = ["BasisDays", "bars_to_halflife", "basis_days"]


@dataclass(frozen=True, slots=True)
class BasisDays:
    """Deviation and half-life within days.

    Parameters
    ----------
    sd_bp : Estimate
        Mean over days of the deviation within a day, with its t interval.
    sd_days_bp : (float, float)
        5 % and 95 % points over days.
    halflife_min : Estimate
        Median over days of ln .5 / ln(lag-1 autocorrelation), with its bootstrap interval.
    halflife_days_min : (float, float)
        5 % and 95 % points over days.
    """

    sd_bp: Estimate
    sd_days_bp: tuple[float, float]
    halflife_min: Estimate
    halflife_days_min: tuple[float, float]


def basis_days(basis: F64, *, bars_per_day: int, rng: np.random.Generator) -> BasisDays:
    """Describe the days of a basis, in windows of 24 h counted from its first bar.

    Parameters
    ----------
    basis : ndarray, shape (n,), dtype float64
        Equally spaced basis, bp; missing bars are left out of the count.
    bars_per_day : int
        Bars of a window.
    rng : numpy.random.Generator
        For the interval of the median.

    Returns
    -------
    BasisDays

    Raises
    ------
    InvalidInput
        If there are fewer than two whole days.

    Examples
    --------
    >>> b = np.random.default_rng(1).normal(0.0, 2.0, 288 * 5).cumsum() / 40
    >>> basis_days(b, bars_per_day=288, rng=np.random.default_rng(2)).sd_bp.n
    5
    """
    present = basis[np.isfinite(basis)]
    n_days = len(present) // bars_per_day
    require_length("whole days of the basis", n_days, 2)
    days = present[: n_days * bars_per_day].reshape(n_days, bars_per_day)
    sd = days.std(axis=1, ddof=1)
    rho = np.array([np.corrcoef(day[:-1], day[1:])[0, 1] for day in days])
    life = bars_to_halflife(rho) * 1_440.0 / bars_per_day
    reach = float(stats.t.ppf((1.0 + LEVEL) / 2.0, n_days - 1) * sd.std(ddof=1) / np.sqrt(n_days))
    medians = [np.median(rng.choice(life, n_days)) for _ in range(1_000)]
    return BasisDays(
        estimated(float(sd.mean()), float(sd.mean()) - reach, float(sd.mean()) + reach, n_days),
        interval_of(sd),
        estimated(float(np.median(life)), *interval_of(np.array(medians)), n_days),
        interval_of(life),
    )


def bars_to_halflife(rho: F64) -> F64:
    """Return ln .5 / ln(lag-1 autocorrelation), in bars; NaN where it is not positive.

    Examples
    --------
    >>> bars_to_halflife(np.array([0.5, 0.25]))
    array([1. , 0.5])
    """
    positive = np.where((rho > 0.0) & (rho < 1.0), rho, np.nan)
    return np.asarray(np.log(0.5) / np.log(positive))
