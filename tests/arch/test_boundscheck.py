"""The run with Numba's bounds checks really checks: a read beyond a view is caught in it."""

import numpy as np
import pytest
from numba import config

from stressbook.market.compiling.kernel import kernel


@kernel
def read(values, i):
    return values[i]


@pytest.mark.boundscheck
def test_bounds_are_checked_exactly_when_asked():
    # A view of a longer array: the unchecked read stays in memory of ours.
    view = np.arange(10)[:5]
    if config.BOUNDSCHECK or config.DISABLE_JIT:
        with pytest.raises(IndexError):
            read(view, 7)
    else:
        assert read(view, 7) == 7
