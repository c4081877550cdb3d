"""What a resting book looks like: spread, depth by distance, and how depth grows."""

from dataclasses import dataclass

import numpy as np

from stressbook.experiments.calibration.estimate import (
    F64,
    block_bootstrap,
    block_bootstrap_one,
    require_length,
)
from stressbook.experiments.inference import Estimate
from stressbook.experiments.recorded_feed import DEPTH_BP, OrderFeed

__all__ = ["BookFit", "book_fit", "depth_exponent", "spread_bp"]

# Ten seconds: queues refill within one or two.
BLOCK_S = 10
EXPONENT_BP = (5.0, 10.0, 25.0, 50.0)


@dataclass(frozen=True, slots=True)
class BookFit:
    """Time means of one book.

    Parameters
    ----------
    spread_bp : Estimate
        Time-weighted spread, bp of mid.
    depth_usd : dict of float to Estimate
        USD within so many bp of mid on one side, mean of both sides.
    exponent : Estimate
        Slope of log depth on log distance over 5-50 bp; NaN where the levels do not reach.
    hump_bp : float
        Middle of the band of `DEPTH_BP` with the most depth a basis point.
    """

    spread_bp: Estimate
    depth_usd: dict[float, Estimate]
    exponent: Estimate
    hump_bp: float


def spread_bp(feed: OrderFeed, *, rng: np.random.Generator) -> Estimate:
    """Estimate the time-weighted spread from every change of the touch.

    Parameters
    ----------
    feed : OrderFeed
        Needs ten quotes.
    rng : numpy.random.Generator
        For the bootstrap over blocks of ten seconds' share of quotes.

    Returns
    -------
    Estimate
        In bp of mid, `n` the number of quotes.

    Raises
    ------
    InvalidInput
        If there are fewer than ten quotes.

    Examples
    --------
    >>> import pandas as pd
    >>> quotes = pd.DataFrame({"t_ms": np.arange(50.0), "bid": 99.995, "ask": 100.005})
    >>> feed = OrderFeed(quotes, quotes, quotes, 0, 0.05, 10.0)
    >>> round(spread_bp(feed, rng=np.random.default_rng(1)).value, 6)
    1.0
    """
    quotes = feed.quotes
    require_length("quotes", len(quotes), 10)
    bid, ask, t_ms = (quotes[name].to_numpy() for name in ("bid", "ask", "t_ms"))
    spread = (ask - bid) / (ask + bid) * 2e4
    held = np.diff(t_ms)
    rows = np.column_stack([spread[:-1] * held, held])
    per_block = max(1, int(len(rows) * BLOCK_S * 1e3 / max(float(held.sum()), 1.0)))

    def mean(sample: F64) -> float:
        return float(sample[:, 0].sum() / sample[:, 1].sum())

    return block_bootstrap_one(rows, mean, block=per_block, rng=rng)


def depth_exponent(mean_depth: F64) -> float:
    """Return the slope of log depth on log distance over 5, 10, 25 and 50 bp.

    Parameters
    ----------
    mean_depth : ndarray, shape (n_bands,), dtype float64
        Cumulative depth at each of `DEPTH_BP`.

    Returns
    -------
    float

    Examples
    --------
    >>> round(depth_exponent(DEPTH_BP**0.8), 6)
    0.8
    """
    chosen = np.isin(DEPTH_BP, EXPONENT_BP)
    if not np.all(mean_depth[chosen] > 0.0):
        return float("nan")
    return float(np.polyfit(np.log(DEPTH_BP[chosen]), np.log(mean_depth[chosen]), 1)[0])


def book_fit(feed: OrderFeed, *, rng: np.random.Generator) -> BookFit:
    """Estimate spread, depth and its growth with distance.

    Parameters
    ----------
    feed : OrderFeed
        Samples every second, or snapshots.
    rng : numpy.random.Generator
        For the bootstrap over blocks of ten samples.

    Returns
    -------
    BookFit

    Raises
    ------
    InvalidInput
        If there are fewer than ten samples or quotes.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"t_ms": np.arange(50.0) * 1e3, "bid": 99.995, "ask": 100.005})
    >>> for band in DEPTH_BP:
    ...     frame[f"depth_{band:g}"] = 1e5 * band
    >>> fit = book_fit(OrderFeed(frame, frame, frame, 0, 50.0, 60.0), rng=np.random.default_rng(1))
    >>> round(fit.exponent.value, 6), round(fit.depth_usd[10.0].value)
    (1.0, 1000000)
    """
    depth = feed.samples[[f"depth_{band:g}" for band in DEPTH_BP]].to_numpy()
    require_length("book samples", len(depth), 10)
    fits = block_bootstrap(depth, _mean_columns, block=BLOCK_S, rng=rng)
    exponent = block_bootstrap_one(
        depth, lambda rows: depth_exponent(_mean_columns(rows)), block=BLOCK_S, rng=rng
    )
    mean = _mean_columns(depth)
    return BookFit(
        spread_bp(feed, rng=rng),
        {float(band): fit for band, fit in zip(DEPTH_BP, fits, strict=True)},
        exponent,
        _hump(mean),
    )


def _mean_columns(rows: F64) -> F64:
    # A band that some snapshot does not reach has no mean: deep moments would be left out.
    return np.asarray(rows.mean(axis=0))


def _hump(mean: F64) -> float:
    edges = np.r_[0.0, DEPTH_BP]
    density = np.diff(np.r_[0.0, mean]) / np.diff(edges)
    if not np.isfinite(density).any():
        return float("nan")
    densest = int(np.nanargmax(density))
    return float((edges[densest] + edges[densest + 1]) / 2.0)
