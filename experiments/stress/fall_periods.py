"""How rare a fall is, in words: what a severity above 1 is told with."""

from __future__ import annotations

import math
from typing import Final

from stressbook.experiments.statistics.fall_tails import fall_tails
from stressbook.market.numbers.elementary import ln

__all__ = ["WINDOWS_MIN", "fall_period", "has_fall_tail"]

WINDOWS_MIN: Final = (10, 30, 60)  # of the fitted tails


def has_fall_tail(asset: str) -> bool:
    """Tell whether the tail of an asset's falls has been fitted, in all windows."""
    tails = fall_tails()
    return all((asset, window) in tails for window in WINDOWS_MIN)


def fall_period(asset: str, fall_frac: float, duration_s: float) -> str:
    """Return the return period of a fall, with its interval and the data of the fit.

    Parameters
    ----------
    asset : str
        With a fitted tail.
    fall_frac : float
        Size, of the price.
    duration_s : float
        Up to an hour. The tail is that of the shortest window that holds it, in which so large a
        fall is at least as frequent: the period is a lower bound where the window is longer.

    Returns
    -------
    str

    Examples
    --------
    >>> fall_period("HYPE", 0.01, 600.0)
    'HYPE: more often than the fitted tail of falls in 10 min begins'
    >>> fall_period("HYPE", 0.3, 1_200.0).partition(" years")[0]
    'HYPE: return period at least 840'
    """
    window = next(length for length in WINDOWS_MIN if duration_s <= 60.0 * length)
    tail = fall_tails()[asset, window]
    size = -float(ln(1.0 - fall_frac))
    if size < tail.threshold:
        return f"{asset}: more often than the fitted tail of falls in {window} min begins"
    found = tail.return_period_years(size)
    least = "at least " if duration_s < 60.0 * window else ""
    interval = f"{100.0 * found.level:g} %: {_years(found.low)} to {_years(found.high)}"
    fitted = (
        f"by a tail fitted to {found.n} falls in {window} min of {tail.source.partition(';')[0]}"
    )
    return f"{asset}: return period {least}{_years(found.value)} years ({interval}) {fitted}"


def _years(years: float) -> str:
    """Return years to two digits; far beyond what any data tell, only that."""
    if math.isinf(years) or years > 1e6:
        return "> 1 M"
    digits = max(0, 1 - math.floor(math.log10(years)))
    return f"{round(years, 1 - math.floor(math.log10(years))):,.{digits}f}".replace(",", " ")
