"""What takers do: how often, how large, which way, and what a second of it moves."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stressbook.experiments.calibration.estimate import (
    F64,
    block_bootstrap_one,
    estimated,
    require_length,
)
from stressbook.experiments.calibration.moments import hill_index
from stressbook.experiments.inference import Estimate
from stressbook.experiments.recorded_feed import OrderFeed

__all__ = ["FlowFit", "flow_fit", "impact_1s", "market_orders", "sign_exponent"]

TAIL_SHARE = 0.02
SIGN_LAGS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48])
_EXPONENTS = np.arange(0.0, 3.0, 0.001)
_POWERS = SIGN_LAGS ** -_EXPONENTS[:, None]
# Orders of a block: ten seconds and more of the recordings.
BLOCK_ORDERS = 200
BLOCK_S = 10


@dataclass(frozen=True, slots=True)
class FlowFit:
    """Market orders of one book.

    Parameters
    ----------
    rate_per_s : Estimate
        Market orders a second.
    median_usd, mean_usd : Estimate
        Their size.
    size_tail : Estimate
        Hill index of the largest 2 % of sizes.
    sign_exponent : Estimate
        Decay of the autocorrelation of sides with the number of orders between.
    changes_per_order : Estimate
        Changes of price levels a market order.
    impact_1s_bp_per_musd : Estimate
        Slope of the change of mid over a second on the net taken in it.
    """

    rate_per_s: Estimate
    median_usd: Estimate
    mean_usd: Estimate
    size_tail: Estimate
    sign_exponent: Estimate
    changes_per_order: Estimate
    impact_1s_bp_per_musd: Estimate


def market_orders(trades: pd.DataFrame) -> pd.DataFrame:
    """Join trades of one millisecond and side into the market order that they fill.

    Parameters
    ----------
    trades : DataFrame
        As in `OrderFeed`.

    Returns
    -------
    DataFrame
        ``t_ms``, ``side``, ``usd``, in time order.

    Examples
    --------
    >>> trades = pd.DataFrame(
    ...     {"t_ms": [1, 1, 2], "side": [1, 1, -1], "price": [10, 11, 10], "qty": [1, 1, 2]})
    >>> market_orders(trades).usd.tolist()
    [21, 20]
    """
    usd = (trades["price"] * trades["qty"]).rename("usd")
    return usd.groupby([trades["t_ms"], trades["side"]]).sum().reset_index()


def sign_exponent(side: F64, *, rng: np.random.Generator) -> Estimate:
    """Estimate gamma in an autocorrelation of sides c x lag^-gamma, lags 1 to 48 orders.

    Parameters
    ----------
    side : ndarray, shape (n,), dtype float64
        +1 or -1 in time order.
    rng : numpy.random.Generator
        For the bootstrap over blocks of 200 orders, each with the orders up to 48 later.

    Returns
    -------
    Estimate

    Raises
    ------
    InvalidInput
        If there are fewer than 200 orders.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> walk = np.convolve(rng.normal(size=9_000), np.arange(1, 400.0) ** -0.75, mode="same")
    >>> 0.1 < sign_exponent(np.sign(walk), rng=rng).value < 1.0
    True
    """
    require_length("market orders", len(side), 200)
    deviation = side - side.mean()
    n = len(deviation) - int(SIGN_LAGS[-1])
    products = np.column_stack(
        [deviation[:n] ** 2, *(deviation[:n] * deviation[lag : lag + n] for lag in SIGN_LAGS)]
    )

    def exponent(rows: F64) -> float:
        mean = rows.mean(axis=0)
        return _power_of(mean[1:] / mean[0])

    return block_bootstrap_one(products, exponent, block=BLOCK_ORDERS, rng=rng, n_draws=200)


def _power_of(acf: F64) -> float:
    # Fitted in levels: autocorrelations near zero may be negative and have no logarithm. For each
    # exponent the best factor is a projection, so that the search is over exponents alone.
    explained = np.maximum(_POWERS @ acf, 0.0) ** 2 / np.sum(_POWERS**2, axis=1)
    return float(_EXPONENTS[np.argmax(explained)])


def impact_1s(feed: OrderFeed, *, rng: np.random.Generator) -> Estimate:
    """Estimate the slope of the change of mid over a second on the net taken in that second.

    Parameters
    ----------
    feed : OrderFeed
        Quotes and trades, both on the recorder's clock.
    rng : numpy.random.Generator
        For the bootstrap over blocks of ten seconds.

    Returns
    -------
    Estimate
        In bp per million USD. Includes what takers knew: an upper bound of what they caused.

    Raises
    ------
    InvalidInput
        If there are fewer than 30 seconds.

    Examples
    --------
    >>> t = np.arange(100.0) * 1e3
    >>> usd = np.random.default_rng(1).normal(0.0, 1e5, 100)
    >>> mid = 100.0 * np.exp(np.cumsum(usd) / 1e6 * 2e-4)
    >>> quotes = pd.DataFrame({"t_ms": t, "bid": mid - 0.01, "ask": mid + 0.01})
    >>> trades = pd.DataFrame(
    ...     {"seen_ms": t - 500, "price": 1.0, "qty": np.abs(usd), "side": np.sign(usd)})
    >>> feed = OrderFeed(quotes, quotes, trades, 0, 100.0, 9.0)
    >>> round(impact_1s(feed, rng=np.random.default_rng(2)).value, 6)
    2.0
    """
    quotes, trades = feed.quotes, feed.trades
    t_ms = quotes["t_ms"].to_numpy()
    edges = np.arange(t_ms[0], t_ms[-1] + 1.0, 1_000.0)
    require_length("seconds", len(edges) - 1, 30)
    mid = (quotes["bid"].to_numpy() + quotes["ask"].to_numpy()) / 2.0
    mid = mid[np.searchsorted(t_ms, edges, side="right") - 1]
    signed = (trades["price"] * trades["qty"] * trades["side"]).to_numpy() / 1e6
    net = np.histogram(trades["seen_ms"].to_numpy(), bins=edges, weights=signed)[0]
    rows = np.column_stack([net, np.diff(np.log(mid)) * 1e4])

    def slope(sample: F64) -> float:
        x = sample[:, 0] - sample[:, 0].mean()
        square = float(x @ x)
        return float(x @ sample[:, 1]) / square if square > 0.0 else float("nan")

    return block_bootstrap_one(rows, slope, block=BLOCK_S, rng=rng)


def flow_fit(feed: OrderFeed, *, rng: np.random.Generator) -> FlowFit:
    """Estimate everything about a feed's market orders but their clustering (see `hawkes`).

    Parameters
    ----------
    feed : OrderFeed
        With at least 500 market orders.
    rng : numpy.random.Generator
        For the bootstraps.

    Returns
    -------
    FlowFit

    Raises
    ------
    InvalidInput
        If there are fewer than 500 market orders.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> t = np.sort(rng.integers(0, 60_000, 900)).astype(float)
    >>> trades = pd.DataFrame({"t_ms": t, "seen_ms": t, "price": 100.0})
    >>> trades["qty"] = rng.pareto(1.4, 900) + 1
    >>> trades["side"] = rng.choice([-1.0, 1.0], 900)
    >>> seconds = np.arange(61.0) * 1e3
    >>> quotes = pd.DataFrame({"t_ms": seconds, "bid": 99.9, "ask": 100.1})
    >>> fit = flow_fit(OrderFeed(quotes, quotes, trades, 9_000, 60.0, 9.0), rng=rng)
    >>> 13.0 < fit.rate_per_s.value < 16.0
    True
    """
    orders = market_orders(feed.trades)
    n = len(orders)
    require_length("market orders", n, 500)
    usd = orders["usd"].to_numpy(dtype=np.float64)
    rate = _rate(orders["t_ms"].to_numpy(), feed.span_s, rng)
    changes = feed.n_level_changes / feed.span_s
    return FlowFit(
        rate,
        _of_size(usd, lambda rows: float(np.median(rows)), rng),
        _of_size(usd, lambda rows: float(rows.mean()), rng),
        hill_index(usd, share=TAIL_SHARE, block=BLOCK_ORDERS, rng=rng),
        sign_exponent(orders["side"].to_numpy(dtype=np.float64), rng=rng),
        estimated(changes / rate.value, changes / rate.high, changes / rate.low, n),
        impact_1s(feed, rng=rng),
    )


def _of_size(usd: F64, statistic: Callable[[F64], float], rng: np.random.Generator) -> Estimate:
    return block_bootstrap_one(usd, statistic, block=BLOCK_ORDERS, rng=rng)


def _rate(t_ms: NDArray[np.float64], span_s: float, rng: np.random.Generator) -> Estimate:
    counts = np.bincount(((t_ms - t_ms.min()) // 1_000).astype(np.int64)).astype(np.float64)
    fit = block_bootstrap_one(counts, lambda rows: float(rows.mean()), block=BLOCK_S, rng=rng)
    shift = len(t_ms) / span_s / fit.value
    return estimated(fit.value * shift, fit.low * shift, fit.high * shift, len(t_ms))
