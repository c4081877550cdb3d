"""What the tests of calibration share: the yardstick of recovery."""

import numpy as np

# Five standard errors: with new seeds a right estimator fails six times in ten million.
Z_MAX = 5.0
HALF_WIDTH_Z = 1.6449


def assert_recovers(estimate, planted, *, within, on_log=False):
    """Planted value within five standard errors, and these small enough to tell: `within`.

    `within` bounds the half-width of the 90 % interval (of the logarithm, with `on_log`), so that
    an estimator cannot pass by claiming to know nothing.
    """
    ends = np.array([estimate.low, estimate.value, estimate.high, planted])
    low, value, high, truth = np.log(ends) if on_log else ends
    half = (high - low) / 2.0
    assert 0.0 < half <= within, f"half-width {half:.4g}"
    assert abs(value - truth) <= Z_MAX * half / HALF_WIDTH_Z, f"{value:.4g} for {truth:.4g}"
