"""Factors of correlation matrices, and what happens to matrices that are none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stressbook.errors import InvalidInput
from stressbook.market.numbers.correlation import factor_of, nearest_valid


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 8))
def test_factor_times_its_transpose_is_the_matrix(seed, n):
    rows = np.random.default_rng(seed).normal(size=(n, 2 * n))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    correlation = rows @ rows.T
    np.fill_diagonal(correlation, 1.0)
    correlation = (correlation + correlation.T) / 2.0
    factor = factor_of(correlation)
    assert np.allclose(factor @ factor.T, correlation, atol=1e-10)
    assert (np.triu(factor, 1) == 0.0).all()


def test_two_assets_that_are_one_have_a_factor():
    assert factor_of(np.ones((2, 2))).tolist() == [[1.0, 0.0], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("matrix", "problem"),
    [
        (np.eye(2)[:1], "is not square"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "is not finite"),
        (np.array([[1.0, 0.5], [0.4, 1.0]]), "is not symmetric"),
        (np.array([[2.0, 0.5], [0.5, 1.0]]), "diagonal other than 1"),
        (np.array([[1.0, 1.4], [1.4, 1.0]]), "is no correlation matrix"),
        (np.full((3, 3), -0.9) + 1.9 * np.eye(3), "is no correlation matrix"),
    ],
)
def test_no_correlation_matrix_says_why(matrix, problem):
    with pytest.raises(InvalidInput, match=problem) as caught:
        factor_of(matrix)
    assert caught.value.name == "correlation"
    assert caught.value.allowed


def test_a_valid_target_is_taken_as_it_is():
    target = np.array([[1.0, -0.3], [-0.3, 1.0]])
    assert (nearest_valid(np.eye(2), target) == target).all()


def test_an_impossible_target_is_approached_up_to_the_last_valid_matrix():
    target = np.full((4, 4), -1.0) + 2.0 * np.eye(4)
    nearest = nearest_valid(np.eye(4), target)
    assert nearest[0, 1] == pytest.approx(-1.0 / 3.0, abs=1e-9)
    factor_of(nearest)
