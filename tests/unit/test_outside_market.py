"""Impact of flow on an outside price: exact values of the curve and of its average."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

from stressbook.market.prices.outside_market import displacement, mean_displacement

X0 = 0.03


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        *((0.0, 0.0), (0.01, 0.01), (-0.03, -0.03), (0.12, 0.06)),
        (-0.27, 0.97 * math.exp(-0.06 / 0.97) - 1.0),
    ],
)
def test_displacement_is_linear_then_grows_with_the_root(load, expected):
    assert displacement(load, X0) == pytest.approx(expected, rel=1e-14)


def test_no_sale_brings_a_price_to_zero_and_none_jumps():
    loads = -np.geomspace(1e-4, 1e4, 400)
    moved = [displacement(float(load), X0) for load in loads]
    assert all(b < a for a, b in pairwise(moved))
    assert moved[-1] > -1.0
    for side in (-1.0, 1.0):  # the slope halves where the root begins, the value does not jump
        below, at, above = (displacement(side * X0 * (1.0 + h), X0) for h in (-1e-6, 0.0, 1e-6))
        assert (at - below) / (above - at) == pytest.approx(2.0, rel=1e-3)


def test_without_a_concave_part_impact_is_linear_for_ever():
    assert displacement(5.0, math.inf) == 5.0
    assert mean_displacement(1.0, 4.0, math.inf) == 3.0


@pytest.mark.boundscheck
@pytest.mark.parametrize("load", [-0.2, -0.03, 0.0, 0.02, 0.5])
@pytest.mark.parametrize("change", [-0.4, -0.01, 0.0, 1e-9, 0.05, 0.3])
def test_mean_displacement_is_the_integral_over_the_trade(load, change):
    kinks = [x for x in (-X0, X0) if min(load, load + change) < x < max(load, load + change)]
    if change == 0.0:
        expected = displacement(load, X0)
    else:
        area, _ = quad(lambda y: displacement(y, X0), load, load + change, points=kinks)
        expected = area / change
    assert mean_displacement(load, change, X0) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_two_halves_pay_what_the_whole_pays():
    rng = np.random.default_rng(3)
    for load, first, second in rng.uniform(-0.3, 0.3, (200, 3)):
        split = first * mean_displacement(load, first, X0) + second * mean_displacement(
            load + first, second, X0
        )
        whole = (first + second) * mean_displacement(load, first + second, X0)
        assert split == pytest.approx(whole, abs=1e-13)
