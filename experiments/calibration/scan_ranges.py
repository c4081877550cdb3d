"""Ranges of a scan that cover as much as another rule does: a comparison at equal coverage.

Coverage of a requirement is the share of windows of one hour whose loss stays within it. The pooled
coverage of cross margin over all assets is the aim; each asset's range is the smallest, rounded up
to 0.01 %, whose own coverage of a long reaches it. Two rules that hold different amounts can then
be told apart by what they do with them, not by how much they ask for.

Source: the rule is ours, docs/decisions/0046-scan-ranges.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from stressbook.experiments.calibration.dependence import BLOCK_HOURS
from stressbook.experiments.calibration.estimate import (
    F64,
    LEVEL,
    block_bootstrap,
    require_length,
)
from stressbook.experiments.calibration.rows import rng_for, values_of
from stressbook.experiments.inference import Estimate
from stressbook.experiments.recorded import ASSETS, InvalidRecording, look_for_recordings
from stressbook.experiments.recorded_tables import read_closes
from stressbook.experiments.statistics.exact import share_estimate
from stressbook.market.rules.spec import VenueSpec

__all__ = [
    "POOLED",
    "RANGE_STEP_FRAC",
    "Covered",
    "RangeFit",
    "cross_fracs",
    "markdown_ranges",
    "recorded_scan_ranges",
    "scan_ranges",
]

POOLED: Final = "pooled"
RANGE_STEP_FRAC: Final = 1e-4  # to which a range is rounded up
MIN_WINDOWS: Final = 500
_STEPS_PER_ONE: Final = 10_000
_EPS_STEPS: Final = 1e-9  # a loss on the grid stays on it, whichever way its ratio is rounded


@dataclass(frozen=True, slots=True)
class Covered:
    """What a requirement covers of the losses of one side.

    Parameters
    ----------
    n_missed : int
        Windows whose loss was larger.
    exact : Estimate
        Coverage with the interval of Clopper and Pearson, as if windows were independent.
    blocks : Estimate
        The same with the interval of the moving-block bootstrap, since large moves cluster.
    """

    n_missed: int
    exact: Estimate
    blocks: Estimate


@dataclass(frozen=True, slots=True)
class RangeFit:
    """The range of one asset beside what cross margin asks for, both with what they cover.

    Parameters
    ----------
    asset : str
        Or `POOLED`, whose ranges are NaN.
    n : int
        Windows.
    cross_frac : float
        Maintenance of cross margin, of notional.
    range_frac : Estimate
        The range; its interval is that of the whole rule, pooled aim in, over resampled blocks.
    own_range_frac : float
        The range if the aim were what cross covers of this asset alone.
    cross_long, cross_short, scan_long, scan_short : Covered
        By side of a single position.
    """

    asset: str
    n: int
    cross_frac: float
    range_frac: Estimate
    own_range_frac: float
    cross_long: Covered
    cross_short: Covered
    scan_long: Covered
    scan_short: Covered


def cross_fracs(venue: VenueSpec) -> dict[str, float]:
    """Return what cross margin asks for at maintenance, of notional, in the first tier.

    Examples
    --------
    >>> from stressbook.market.rules.spec import load_preset
    >>> cross_fracs(load_preset("hyperliquid"))["BTC"]
    0.0125
    """
    return {
        asset.name: 1.0 / (2.0 * float(asset.tiers[0].max_leverage))
        for asset in venue.assets
        if asset.tiers
    }


def recorded_scan_ranges(folder: Path, rates: Mapping[str, float], *, seed: int) -> list[RangeFit]:
    """Return the ranges that a folder of recordings gives.

    Parameters
    ----------
    folder : Path
        Holds a file of hourly closes, `recorded.KINDS`.
    rates : mapping of str to float
        Maintenance by asset, of notional: `cross_fracs` of a venue.
    seed : int
        Of the resampling.

    Returns
    -------
    list of RangeFit
        As `scan_ranges`, on closes of perps.

    Raises
    ------
    InvalidRecording
        If there is no such file, or it cannot be read.
    """
    found, problems = look_for_recordings(folder)
    if "closes_1h" not in found:
        missing = [problem for problem in problems if problem.name == "closes_1h"]
        raise InvalidRecording.from_problems(missing)
    table = read_closes(found["closes_1h"], bar_s=3_600)
    closes = pd.DataFrame({asset: table[f"{asset}_perp_close"] for asset in ASSETS})
    return scan_ranges(closes, rates, seed=seed)


def scan_ranges(
    closes_usd: pd.DataFrame, rates: Mapping[str, float], *, seed: int
) -> list[RangeFit]:
    """Return the ranges at which a scan covers as much of a long as cross margin does.

    Parameters
    ----------
    closes_usd : DataFrame
        Every hour, one column an asset; NaN for missing bars.
    rates : mapping of str to float
        Maintenance by asset, of notional.
    seed : int
        Of the resampling.

    Returns
    -------
    list of RangeFit
        One an asset in the order of the columns, then `POOLED`.

    Raises
    ------
    InvalidInput
        If an asset has fewer than 500 windows.

    Examples
    --------
    A fall of 2 % every 50 h, of 1 % every 10 h: what asks for 1 % misses one hour in 50.

    >>> falls = np.where(np.arange(1000) % 50 == 0, 0.98, np.where(np.arange(1000) % 10, 1, 0.99))
    >>> fits = scan_ranges(pd.DataFrame({"BTC": np.cumprod(falls)}), {"BTC": 0.0105}, seed=1)
    >>> fits[0].range_frac.value, fits[0].cross_long.n_missed
    (0.01, 19)
    """
    assets = list(closes_usd.columns)
    losses = np.column_stack([_losses(closes_usd[asset]) for asset in assets])
    for column, asset in zip(losses.T, assets, strict=True):
        require_length(f"hourly windows of {asset}", int(np.isfinite(column).sum()), MIN_WINDOWS)
    asked = np.array([rates[asset] for asset in assets])
    ranges = _ranges(losses, asked)
    draws = block_bootstrap(
        losses,
        lambda rows: np.concatenate(
            [*(_shares(rows, each) for each in _sides(asked, ranges)), _ranges(rows, asked)]
        ),
        block=BLOCK_HOURS,
        rng=rng_for(seed, *assets, "scan ranges"),
    )
    width = len(assets) + 1
    blocks = [draws[i * width : (i + 1) * width] for i in range(4)]
    fits = []
    for j, asset in enumerate([*assets, POOLED]):
        one = slice(j, j + 1) if j < len(assets) else slice(None)
        sides = [
            _covered(losses[:, one], limit[one], sign, blocks[i][j])
            for i, (limit, sign) in enumerate(_sides(asked, ranges))
        ]
        has_range = j < len(assets)
        fits.append(
            RangeFit(
                asset,
                int(np.isfinite(losses[:, one]).sum()),
                float(asked[j]) if has_range else np.nan,
                draws[4 * width + j] if has_range else Estimate(np.nan, np.nan, np.nan, 0, LEVEL),
                float(_ranges(losses[:, one], asked[one])[0]) if has_range else np.nan,
                *sides,
            )
        )
    return fits


def _losses(closes_usd: pd.Series) -> F64:
    """Return what a long loses from close to close, of its value at the start; gains below 0."""
    prices = values_of(closes_usd)
    return np.asarray(1.0 - prices[1:] / prices[:-1])


def _sides(asked: F64, ranges: F64) -> list[tuple[F64, float]]:
    """Return limit and sign of loss: cross long and short, scan long and short."""
    return [(limit, sign) for limit in (asked, ranges) for sign in (1.0, -1.0)]


def _shares(losses: F64, side: tuple[F64, float]) -> F64:
    """Return the coverage of each asset, then of all windows together."""
    limit, sign = side
    n = np.isfinite(losses).sum(axis=0)
    kept = (sign * losses <= limit).sum(axis=0)  # a missing window is within nothing
    with np.errstate(invalid="ignore"):
        return np.asarray(np.r_[kept / n, kept.sum() / n.sum()])


def _covered(losses: F64, limit: F64, sign: float, blocks: Estimate) -> Covered:
    n = int(np.isfinite(losses).sum())
    kept = int((sign * losses <= limit).sum())
    return Covered(n - kept, share_estimate(kept, n, level=LEVEL), blocks)


def _ranges(losses: F64, asked: F64) -> F64:
    """Return for each asset the smallest range that covers what all of `asked` cover together."""
    n_all = int(np.isfinite(losses).sum())
    kept_all = int((losses <= asked).sum())
    ranges = []
    for column in losses.T:
        sorted_losses = np.sort(column[np.isfinite(column)])
        # Whole numbers: as many windows as make at least kept_all / n_all of them.
        needed = -(-kept_all * len(sorted_losses) // n_all)
        worst = float(sorted_losses[needed - 1]) if needed else 0.0
        ranges.append(max(0, ceil(worst * _STEPS_PER_ONE - _EPS_STEPS)) / _STEPS_PER_ONE)
    return np.array(ranges)


def markdown_ranges(fits: list[RangeFit]) -> str:
    """Return the table of the page: ranges, and what both rules cover on both sides.

    Parameters
    ----------
    fits : list of RangeFit
        From `scan_ranges`.

    Returns
    -------
    str
        Markdown, coverage in %.
    """
    lines = [
        "| asset | windows | rule | asks for, % | long covered, % | exact, % | by blocks, % "
        "| short covered, % | exact, % | by blocks, % |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for fit in fits:
        own = "" if fit.asset == POOLED else f"{fit.cross_frac:.2%}".rstrip("%")
        lines.append(_line(fit, "cross", own, fit.cross_long, fit.cross_short))
        lines.append(_line(fit, "scan", _range_text(fit), fit.scan_long, fit.scan_short))
    return "\n".join(lines)


def _range_text(fit: RangeFit) -> str:
    if fit.asset == POOLED:
        return ""
    found = fit.range_frac.scaled(100.0)
    return (
        f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f}); "
        f"own aim: {fit.own_range_frac * 100.0:.2f}"
    )


def _line(fit: RangeFit, rule: str, asks: str, long: Covered, short: Covered) -> str:
    cells = []
    for side in (long, short):
        cells += [f"{100.0 * side.exact.value:.2f} ({side.n_missed} missed)"]
        cells += [f"{100.0 * e.low:.2f} to {100.0 * e.high:.2f}" for e in (side.exact, side.blocks)]
    return f"| {fit.asset} | {fit.n:,} | {rule} | {asks} | " + " | ".join(cells) + " |"
