"""How rare falls are: the tail of hourly falls over a year, carried to shorter windows.

Months of 5-minute bars hold too few clusters for the shape of a tail. So shape, scale and rate
come from falls between hourly closes, the shape from all assets together. A window's sizes are
those times the ratio of mean daily largest falls, both from the 5-minute bars: a window that may
start at any of them over the hours of the clock. Sums keep the shape of what they sum (Feller, An
Introduction to Probability Theory, vol. 2, VIII.8).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from stressbook.experiments.calibration.estimate import require_length
from stressbook.experiments.calibration.rows import filled_span, values_of
from stressbook.experiments.inference import Estimate, ratio_estimate
from stressbook.experiments.recorded import ASSETS, KINDS, find_recordings
from stressbook.experiments.recorded_tables import read_closes
from stressbook.experiments.statistics.tails import Tail, cluster_maxima, common_shape, fit_tail

__all__ = ["WINDOWS_MIN", "daily_largest", "hourly_tails", "window_ratio", "write_fall_tails"]

WINDOWS_MIN = (10, 30, 60)
THRESHOLD_SHARE = 0.98
GAP_H = 12
FINE_MIN = 5
LEAST_DAYS = 10
LEAST_HOURS = 1_000
YEAR_H = 365.25 * 24.0


def hourly_tails(closes_1h: pd.DataFrame) -> dict[str, Tail]:
    """Fit the tails of falls between hourly closes, with one shape for all assets.

    Parameters
    ----------
    closes_1h : DataFrame
        From `recorded_tables.read_closes`.

    Returns
    -------
    dict of str to Tail
        Of log falls above their 98 % quantile, the largest of each cluster; exceedances more
        than 12 h apart belong to different ones.
    """
    sizes, tails = [], []
    for asset in ASSETS:
        series = filled_span(closes_1h, f"{asset}_perp_close")
        falls = -np.diff(np.log(values_of(series)))
        n = int(np.isfinite(falls).sum())
        require_length(f"hourly falls of {asset}", n, LEAST_HOURS)
        threshold = float(np.nanquantile(falls, THRESHOLD_SHARE))
        sizes.append(cluster_maxima(falls, threshold=threshold, gap=GAP_H))
        tail = fit_tail(sizes[-1], threshold=threshold, years=n / YEAR_H, source=_span(series))
        tails.append(tail)
    return dict(zip(ASSETS, common_shape(tails, sizes), strict=True))


def window_ratio(closes_5min: pd.DataFrame, asset: str, window_min: int) -> Estimate:
    """Return how much larger falls within a window are than those between hourly closes.

    Parameters
    ----------
    closes_5min : DataFrame
        From `recorded_tables.read_closes`.
    asset : str
        One of `ASSETS`.
    window_min : int
        A multiple of 5.

    Returns
    -------
    Estimate
        Ratio of mean daily largest falls over the same UTC days.
    """
    series = filled_span(closes_5min, f"{asset}_perp_close")
    within = daily_largest(series, window_min)
    hourly = daily_largest(series[pd.DatetimeIndex(series.index).minute == 0], 60)
    days = within.index.intersection(hourly.index)
    require_length("days of 5-min bars", len(days), LEAST_DAYS)
    return ratio_estimate(values_of(within[days]), values_of(hourly[days]))


def daily_largest(series: pd.Series, window_min: int) -> pd.Series:
    """Return the largest log fall that ends on each UTC day, days with a gap left out.

    Parameters
    ----------
    series : Series
        Closes in USD, equally spaced in UTC.
    window_min : int
        Between the two closes of a fall.

    Returns
    -------
    Series
        One value a day.

    Examples
    --------
    >>> hours = pd.date_range("2025-06-01", periods=48, freq="h", tz="UTC")
    >>> prices = pd.Series(100.0, hours)
    >>> prices.iloc[30:] = 90.0
    >>> daily_largest(prices, 60).round(3).tolist()
    [0.105]
    """
    step_min = int((series.index[1] - series.index[0]).total_seconds()) // 60
    falls = -np.log(series).diff(window_min // step_min)
    by_day = falls.groupby(falls.index.floor("D"))
    is_whole = by_day.count() == 24 * 60 // step_min
    return by_day.max()[is_whole]


def write_fall_tails(folder: Path, path: Path) -> None:
    """Fit the tails of all assets and windows, and write them as TOML.

    Parameters
    ----------
    folder : Path
        Holds the recordings, see `recorded.KINDS`.
    path : Path
        File to write: experiments/statistics/fall_tails.toml is made this way.

    Raises
    ------
    InvalidRecording
        If recordings are missing or broken.
    InvalidInput
        If they are too short.
    """
    found = find_recordings(folder)
    fine = read_closes(found["closes_5min"], bar_s=60 * FINE_MIN)
    coarse = read_closes(found["closes_1h"], bar_s=3_600)
    tails = hourly_tails(coarse)
    blocks = [_head(), *(_asset_block(asset, fine, tails[asset]) for asset in ASSETS)]
    path.write_text("\n".join(blocks), encoding="utf-8")


def _head() -> str:
    return (
        "# Tails of log falls, ln(before / after), of perp closes, which stand for the oracle's\n"
        "# prices: those are not recorded. Written by stressbook.experiments.calibration.falls;\n"
        "# shape (of all assets) and rate from hourly closes, sizes by the ratio to them.\n"
        "# scale, threshold: log fall; rate_per_year: clusters of falls above the threshold.\n"
        f'source = "{KINDS["closes_1h"].source}"\n'
    )


def _asset_block(asset: str, fine: pd.DataFrame, tail: Tail) -> str:
    lines = [
        f"[assets.{asset}]",
        f'tail_span = "1 h closes of {tail.source}"',
        f'ratio_span = "5 min closes of {_span(filled_span(fine, f"{asset}_perp_close"))}"',
        "",
    ]
    for window in WINDOWS_MIN:
        ratio = window_ratio(fine, asset, window)
        lines += [
            f"# {ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f}) times hourly falls",
            f"[assets.{asset}.windows.{window}]",
            *_numbers(tail.scaled(ratio, tail.source)),
            "",
        ]
    return "\n".join(lines)


def _numbers(tail: Tail) -> list[str]:
    names = ("shape", "scale", "threshold", "rate_per_year", "log_size_sd")
    return [*(f"{name} = {getattr(tail, name):.4g}" for name in names), f"n = {tail.n}"]


def _span(series: pd.Series) -> str:
    first, last = (series.index[i].strftime("%Y-%m-%d") for i in (0, -1))
    return f"{first} to {last}"
