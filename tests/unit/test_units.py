"""Exact arithmetic of amounts against integers of any size."""

import os
import random
import subprocess
import sys
from fractions import Fraction
from hashlib import sha256
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stressbook.market.numbers.units import (
    CEIL,
    FLOOR,
    INT64_MAX,
    INT64_MIN,
    MICRO,
    NEAREST,
    NOT_REPRESENTABLE,
    RATE_ONE,
    TRUNC,
    mul_div,
    round_down,
    round_nearest,
    round_up,
)
from stressbook.market.reference.units import mul_div_reference, rounded_reference

MODES = [FLOOR, CEIL, TRUNC, NEAREST]
EDGES = [
    0, 1, 2, 3, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**54 - 1, 2**54, 2**54 + 1,
    2**62, INT64_MAX - 1, INT64_MAX, -1, -2, -(2**32), -INT64_MAX, INT64_MIN,
]  # fmt: skip
any_int64 = st.one_of(
    st.sampled_from(EDGES),
    st.integers(INT64_MIN, INT64_MAX),
    # Uniform in the number of bits: products and quotients of every size.
    st.builds(
        lambda bits, sign, rest: sign * ((1 << bits) + rest % (1 << bits)),
        st.integers(0, 62),
        st.sampled_from([1, -1]),
        st.integers(0, 2**62),
    ),
)
modes = st.sampled_from(MODES)
boundscheck = pytest.mark.boundscheck


@boundscheck
@given(any_int64, any_int64, any_int64, modes)
@example(INT64_MIN, INT64_MIN, INT64_MIN, NEAREST)
@example(INT64_MIN, INT64_MIN, INT64_MAX, FLOOR)
@example(INT64_MIN, 1, 1, FLOOR)
@example(INT64_MIN, 0, 7, CEIL)
@example(270, 1, INT64_MIN, NEAREST)
@example(2**62, 1, INT64_MIN, NEAREST)
@example(2**62 - 1, 1, INT64_MIN, NEAREST)
def test_mul_div_equals_integers_of_any_size(a, b, c, mode):
    assert mul_div(a, b, c, mode) == mul_div_reference(a, b, c, mode)


@given(any_int64, any_int64, modes)
def test_mul_div_is_exact_where_the_product_is_a_multiple(a, c, mode):
    if c != 0 and abs(a) <= INT64_MAX:
        assert mul_div(a, c, c, mode) == a


@pytest.mark.parametrize("mode", MODES)
def test_mul_div_at_the_limits(mode):
    for a, b, c in product(EDGES, repeat=3):
        assert mul_div(a, b, c, mode) == mul_div_reference(a, b, c, mode), (a, b, c)


@given(
    st.integers(0, 10**10 * MICRO),
    st.integers(-(4 * RATE_ONE // 100), 4 * RATE_ONE // 100),
    modes,
)
def test_mul_div_of_large_rows_by_rates(amount_micro, rate_e15, mode):
    expected = mul_div_reference(amount_micro, rate_e15, RATE_ONE, mode)
    assert mul_div(amount_micro, rate_e15, RATE_ONE, mode) == expected


def test_mul_div_of_ten_billion_dollars():
    ten_billion_micro = 10**10 * MICRO
    assert mul_div(ten_billion_micro, 4 * RATE_ONE // 100, RATE_ONE, FLOOR) == 4 * 10**14
    assert mul_div(ten_billion_micro, 1, RATE_ONE, CEIL) == 10
    assert mul_div(ten_billion_micro + 1, 1, RATE_ONE, CEIL) == 11
    assert mul_div(ten_billion_micro + 1, 1, RATE_ONE, FLOOR) == 10


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (FLOOR, [-3, -2, -2, -1, 0, 1, 1, 2]),
        (CEIL, [-2, -2, -1, 0, 1, 2, 2, 3]),
        (TRUNC, [-2, -2, -1, 0, 0, 1, 1, 2]),
        (NEAREST, [-3, -2, -2, -1, 1, 2, 2, 3]),
    ],
)
def test_modes_on_quarters(mode, expected):
    quarters = [-10, -8, -6, -2, 2, 6, 7, 10]
    assert [mul_div(q, 1, 4, mode) for q in quarters] == expected
    assert [rounded_reference(Fraction(q, 4), mode) for q in quarters] == expected


@pytest.mark.parametrize("mode", MODES)
def test_mul_div_reports_what_it_cannot_represent(mode):
    assert mul_div(1, 1, 0, mode) == NOT_REPRESENTABLE
    assert mul_div(INT64_MAX, 2, 1, mode) == NOT_REPRESENTABLE
    assert mul_div(INT64_MAX, INT64_MAX, 3, mode) == NOT_REPRESENTABLE
    assert mul_div(INT64_MIN, 1, 1, mode) == NOT_REPRESENTABLE
    assert mul_div(INT64_MIN, 1, -1, mode) == NOT_REPRESENTABLE


@pytest.mark.parametrize("half_bits", [32, 40, 62])
@pytest.mark.parametrize("mode", [CEIL, NEAREST])
def test_largest_quotient_is_not_rounded_past_the_limit(half_bits, mode):
    a, b, c = 2**half_bits - 1, 2**half_bits + 1, 2 ** (2 * half_bits - 63)
    assert (a * b // c, a * b % c) == (INT64_MAX, c - 1)
    assert mul_div(a, b, c, FLOOR) == INT64_MAX
    assert mul_div(a, b, c, mode) == NOT_REPRESENTABLE
    assert mul_div(-a, b, c, CEIL) == -INT64_MAX


finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
amounts = st.one_of(
    finite,
    st.floats(-(2.0**53), 2.0**53),
    st.integers(-(2**40), 2**40).map(lambda n: n + 0.5),
)


@boundscheck
@given(amounts)
@example(0.49999999999999994)
@example(-0.49999999999999994)
@example(4503599627370495.5)
@example(9007199254740993.0)
@example(-0.0)
def test_rounding_of_floats_equals_exact_fractions(amount):
    exact = Fraction(amount)
    for function, mode in ((round_down, FLOOR), (round_up, CEIL), (round_nearest, NEAREST)):
        rounded = rounded_reference(exact, mode)
        expected = rounded if abs(amount) < 2.0**63 else NOT_REPRESENTABLE
        result = function(amount)
        assert result == expected
        assert isinstance(result, int)


@pytest.mark.parametrize("function", [round_down, round_up, round_nearest])
@pytest.mark.parametrize("amount", [float("nan"), float("inf"), float("-inf"), 2.0**63, -(2.0**63)])
def test_rounding_reports_what_is_no_int64(function, amount):
    assert function(amount) == NOT_REPRESENTABLE


@pytest.mark.parametrize("function", [round_down, round_up, round_nearest])
def test_rounding_keeps_the_largest_floats_below_the_limit(function):
    assert function(2.0**63 - 1024) == 2**63 - 1024
    assert function(-(2.0**63) + 1024) == -(2**63) + 1024


def digest_of_results(n_points: int) -> str:
    """Return a digest of results at the limits and at random points, most in the slow path."""
    points = random.Random(20)
    digest = sha256()
    for a, b, c in product(EDGES, repeat=3):
        digest.update(repr([int(mul_div(a, b, c, mode)) for mode in MODES]).encode())
    for _ in range(n_points):
        a, b, c = (
            points.getrandbits(points.randint(1, 63)) - points.getrandbits(62) for _ in "abc"
        )
        mode = points.randrange(4)
        amount = (points.random() - 0.5) * 2.0 ** points.randint(0, 66)
        results = [mul_div(a, b, c, mode), *(f(amount) for f in (round_down, round_up))]
        digest.update(repr([int(x) for x in (*results, round_nearest(amount))]).encode())
    return digest.hexdigest()


def test_same_integers_with_the_compiler_off():
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-W", "error", __file__, "3000"]
    plain = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert plain.stdout.strip() == digest_of_results(3000)


if __name__ == "__main__":
    sys.stdout.write(digest_of_results(int(sys.argv[1])))
