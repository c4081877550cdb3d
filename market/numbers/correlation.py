"""Correlation matrices as triangular factors, by explicit loops: the same bits on every processor.

The first asset is the market: column 0 of a factor holds what moves all, the other columns what
is left to each.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from stressbook.errors import InvalidInput
from stressbook.market.compiling.arrays import F64

__all__ = ["factor_of", "nearest_valid"]

_PIVOT_MIN: Final = 1e-12  # a smaller one is rounding: the asset is fully explained by those before
_BISECTIONS: Final = 50


def factor_of(correlation: F64) -> F64:
    """Return the lower triangular factor of a correlation matrix.

    Parameters
    ----------
    correlation : ndarray, shape (n_assets, n_assets), dtype float64
        Symmetric, unit diagonal, positive semidefinite; dimensionless. Not modified.

    Returns
    -------
    ndarray, shape (n_assets, n_assets), dtype float64
        L with L L' = correlation; rows of length 1.

    Raises
    ------
    InvalidInput
        If the matrix is not square, not finite, not symmetric within 1e-12, has another diagonal
        than ones, or is not positive semidefinite.

    Examples
    --------
    >>> factor_of(np.array([[1.0, 0.6], [0.6, 1.0]]))
    array([[1. , 0. ],
           [0.6, 0.8]])
    """
    _check(correlation)
    factor = _cholesky(correlation)
    if factor is None:
        raise InvalidInput(
            "is no correlation matrix",
            name="correlation",
            value=correlation.tolist(),
            allowed="a positive semidefinite matrix",
            hint="move it towards a valid one with nearest_valid",
        )
    return factor


def nearest_valid(correlation: F64, target: F64) -> F64:
    """Return the last valid matrix on the straight way from one matrix to a target.

    Parameters
    ----------
    correlation : ndarray, shape (n_assets, n_assets), dtype float64
        A valid correlation matrix.
    target : ndarray, shape (n_assets, n_assets), dtype float64
        Symmetric with unit diagonal; need not be valid.

    Returns
    -------
    ndarray, shape (n_assets, n_assets), dtype float64
        The target itself if it is valid.

    Raises
    ------
    InvalidInput
        If a matrix is not square, symmetric, finite or of unit diagonal, or `correlation` is not
        valid.

    Examples
    --------
    Three assets cannot all move against each other by more than one half:

    >>> target = np.full((3, 3), -0.9) + 1.9 * np.eye(3)
    >>> round(float(nearest_valid(np.eye(3), target)[0, 1]), 9)
    -0.5
    """
    factor_of(correlation)
    _check(target)
    if _cholesky(target) is not None:
        return target.copy()
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        share = 0.5 * (low + high)
        if _cholesky(correlation + share * (target - correlation)) is None:
            high = share
        else:
            low = share
    return correlation + low * (target - correlation)


def _cholesky(correlation: F64) -> F64 | None:
    """Return the factor, None if a pivot is negative beyond rounding."""
    n = correlation.shape[0]
    factor = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            rest = float(correlation[i, j])
            for k in range(j):
                rest -= float(factor[i, k]) * float(factor[j, k])
            if i == j:
                if rest < -_PIVOT_MIN:
                    return None
                factor[i, i] = math.sqrt(rest) if rest > _PIVOT_MIN else 0.0
            elif factor[j, j] > 0.0:
                factor[i, j] = rest / float(factor[j, j])
            elif abs(rest) > math.sqrt(_PIVOT_MIN):
                return None
    return factor


def _check(correlation: F64) -> None:
    n = correlation.shape[0]
    problem = ""
    if correlation.ndim != 2 or correlation.shape != (n, n) or n == 0:
        problem = "is not square"
    elif not bool(np.isfinite(correlation).all()):
        problem = "is not finite"
    elif float(np.abs(correlation - correlation.T).max()) > 1e-12:
        problem = "is not symmetric"
    elif float(np.abs(np.diagonal(correlation) - 1.0).max()) > 1e-12:
        problem = "has a diagonal other than 1"
    if problem:
        raise InvalidInput(
            problem,
            name="correlation",
            value=correlation.tolist(),
            allowed="a symmetric matrix with unit diagonal",
        )
