"""Shocks of a second: quantiles against SciPy, moments against integrals."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from stressbook.market.numbers.innovations import (
    NORMAL,
    STUDENT4,
    TAIL_SD,
    fourth_cumulant,
    innovation,
    student4_quantile,
)


@pytest.mark.parametrize("p", [1e-12, 3e-7, 1e-3, 0.1, 0.3, 0.49, 0.6, 0.9, 0.999999])
def test_student_quantile_is_that_of_scipy(p):
    assert student4_quantile(p) == pytest.approx(stats.t(4).ppf(p), rel=1e-13)


def test_student_quantile_is_odd_and_rises():
    p = np.linspace(0.001, 0.999, 999)
    t = np.array([student4_quantile(float(x)) for x in p])
    assert (np.diff(t) > 0.0).all()
    assert np.allclose(t, -t[::-1], rtol=1e-12, atol=1e-15)


def test_student_shock_is_cut_at_its_bound():
    bound = TAIL_SD * math.sqrt(2.0 / 1.996257018091079)
    assert innovation(STUDENT4, 1.0 - 2.0**-53) == pytest.approx(bound, rel=1e-6)


@pytest.mark.parametrize("kind", [NORMAL, STUDENT4])
@pytest.mark.parametrize(("power", "expected"), [(1, 0.0), (2, 1.0)])
def test_shock_has_mean_zero_and_variance_one(kind, power, expected):
    moment, _ = quad(lambda u: innovation(kind, u) ** power, 0.0, 1.0, limit=500)
    assert moment == pytest.approx(expected, abs=1e-6)


def test_fourth_cumulant_is_that_of_the_shock():
    # Both tails by the density: the integrand over u has a spike that quadrature misses.
    cut, law = TAIL_SD * math.sqrt(2.0), stats.t(4)
    inside = 1.0 - 2.0 * law.sf(cut)
    second, fourth = (
        2.0 * quad(lambda x, n=n: x**n * law.pdf(x), 0.0, cut, limit=500)[0] / inside
        for n in (2, 4)
    )
    assert fourth_cumulant(STUDENT4) == pytest.approx(fourth / second**2 - 3.0, rel=1e-9)
    assert fourth_cumulant(NORMAL) == 0.0
