import numpy as np
import pytest
from scipy import stats

from stressbook.errors import InvalidInput
from stressbook.experiments.statistics.exact import (
    allowed_failures,
    least_runs,
    lower_bound,
    share_estimate,
    upper_bound,
)
from stressbook.experiments.statistics.paired import compare_rows


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 8, 0.0, 0.36942), (8, 8, 0.63058, 1.0), (5, 8, 0.24486, 0.91477), (1, 1, 0.025, 1.0)],
)
def test_shares_have_clopper_and_pearsons_interval(hits, n, low, high):
    found = share_estimate(hits, n)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-5), pytest.approx(high, abs=1e-5))


def test_without_a_failure_both_bounds_have_their_closed_form():
    assert upper_bound(0, 59) == pytest.approx(1.0 - 0.05 ** (1 / 59))
    assert share_estimate(0, 59).high == pytest.approx(1.0 - 0.025 ** (1 / 59))
    assert lower_bound(59, 59) == pytest.approx(0.05 ** (1 / 59))
    assert (lower_bound(0, 59), upper_bound(59, 59)) == (0.0, 1.0)


def test_bounds_of_a_row_of_59():
    assert [round(100.0 * upper_bound(k, 59), 1) for k in (1, 2, 3)] == [7.8, 10.3, 12.6]
    assert upper_bound(0, 59) < 0.05 < upper_bound(0, 58)


def test_bounds_are_where_the_binomial_tail_is_the_error():
    high, low = upper_bound(3, 40, confidence=0.9), lower_bound(3, 40, confidence=0.9)
    assert stats.binom.cdf(3, 40, high) == pytest.approx(0.1)
    assert stats.binom.sf(2, 40, low) == pytest.approx(0.1)


def test_runs_without_a_failure_that_show_a_probability():
    assert [least_runs(alpha) for alpha in (0.05, 0.01, 0.005, 0.001)] == [59, 299, 598, 2_995]
    # (1/2)^4 is the error exactly: four runs do, although the quotient of logarithms may not say.
    assert least_runs(0.5, 1.0 - 0.5**4) == 4


def test_allowed_failures_are_those_whose_bound_is_at_most_alpha():
    for n in (58, 59, 92, 93, 234, 400):
        allowed = allowed_failures(n, 0.05)
        assert allowed < 0 or upper_bound(allowed, n) <= 0.05
        assert upper_bound(allowed + 1, n) > 0.05


def test_what_is_no_count_and_no_probability_is_refused():
    with pytest.raises(InvalidInput, match="hits = 5 is no count"):
        upper_bound(5, 4)
    with pytest.raises(InvalidInput, match="leaves nothing"):
        lower_bound(0, 0)
    with pytest.raises(InvalidInput) as caught:
        least_runs(0.0, 1.0)
    assert [problem.name for problem in caught.value.problems] == ["alpha", "confidence"]


def test_rows_are_compared_on_the_same_seeds_and_corrected_together():
    default = np.arange(59) < 2
    worse = np.arange(59) < 8  # six seeds more: p = 2/64 alone
    rows = {"a": worse, "same": default, "other": np.arange(59) == 40}
    a, same, other = compare_rows(rows, default)
    assert (a.failures, a.n, a.only_here, a.only_default) == (8, 59, 6, 0)
    assert a.p == pytest.approx(2 / 64)
    assert not a.differs  # Holm over three rows asks for 1/60
    assert compare_rows({"a": worse}, default)[0].differs
    (part,) = compare_rows({"a": [True, None, False, None]}, [False, True, False, False])
    assert (part.failures, part.n, part.only_here, part.only_default) == (1, 2, 1, 0)
    assert part.upper == upper_bound(1, 2)
    assert (same.p, same.upper) == (1.0, upper_bound(2, 59))
    assert (other.only_here, other.only_default) == (1, 2)


def test_rows_of_other_lengths_are_refused_together():
    with pytest.raises(InvalidInput) as caught:
        compare_rows({"a": [True], "b": [True] * 3}, [False] * 2)
    assert [problem.name for problem in caught.value.problems] == ["a", "b"]
