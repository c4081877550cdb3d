"""Rows on what happens at a venue: funding, volumes, books and market orders."""

import numpy as np
import pandas as pd

from stressbook.experiments.calibration.book import BookFit, book_fit
from stressbook.experiments.calibration.estimate import (
    block_bootstrap_one,
    estimated,
)
from stressbook.experiments.calibration.flow import FlowFit, flow_fit, market_orders
from stressbook.experiments.calibration.funding import funding_moments, premium_fit
from stressbook.experiments.calibration.hawkes import dispersion_fit, hawkes_fit
from stressbook.experiments.calibration.rows import (
    CHECK,
    FITTING_TARGET,
    PARAMETER,
    SHOWN,
    VALIDATION_TARGET,
    Origin,
    Row,
    filled_span,
    rng_for,
    values_of,
)
from stressbook.experiments.recorded_feed import OrderFeed

__all__ = ["feed_rows", "funding_rows", "snapshot_rows", "volume_rows"]

# Before 2024 the venue paid by the eight hours and set its rates otherwise.
FUNDING_SINCE = "2024-01-01"
BAD_SPOT_FRAC = 0.05
FEED_NOTE = "Binance for the venue"
DEPTHS_SHOWN_BP = (1.0, 5.0, 25.0, 50.0)


def funding_rows(asset: str, *, funding_1h: pd.DataFrame, seed: int) -> list[Row]:
    """Return V18-V20 and the premium behind funding.

    Parameters
    ----------
    asset : str
        One of `ASSETS`.
    funding_1h : DataFrame
        From `recorded.read_funding`; hours before 2024 are left out.
    seed : int
        Of the calibration.

    Returns
    -------
    list of Row
    """
    series = filled_span(funding_1h.loc[FUNDING_SINCE:], asset)
    rate = values_of(series)
    origin = Origin.of(asset, "Hyperliquid perp", "funding_1h", series)
    rng = rng_for(seed, asset, "funding")
    rows = []
    for name, estimate in funding_moments(rate, rng=rng).items():
        target = _FUNDING_TARGETS.get(name, "")
        role = FITTING_TARGET if target else SHOWN
        rows.append(origin.row(f"funding_{name}", estimate, role, target=target))
    premium = premium_fit(rate, rng=rng)
    note = "normal premium with the recorded shares of hours at, above and below the floor"
    for name, estimate, unit in (
        ("mean_bp", premium.mean_bp, "bp"),
        ("sd_bp", premium.sd_bp, "bp"),
        ("corr_1h", premium.corr_1h, "1"),
        ("corr_24h", premium.corr_24h, "1"),
    ):
        rows.append(origin.row(f"premium_{name}", estimate, FITTING_TARGET, unit=unit, note=note))
    return rows


_FUNDING_TARGETS = {
    "floor_share_frac": "V18",
    "floor_share_day_sd_frac": "V18",
    "negative_share_frac": "V19",
    "q05_ann_frac": "V19",
    "q95_ann_frac": "V19",
    "q99_ann_frac": "V19",
    "corr_1h": "V20",
    "corr_24h": "V20",
}


def volume_rows(asset: str, *, closes_1h: pd.DataFrame, seed: int) -> list[Row]:
    """Return the median daily volume of perp and spot, whole days only.

    Parameters
    ----------
    asset : str
        One of `ASSETS`.
    closes_1h : DataFrame
        From `recorded.read_closes`.
    seed : int
        Of the calibration.

    Returns
    -------
    list of Row
    """
    perp_close = closes_1h[f"{asset}_perp_close"]
    rows = []
    for leg in ("perp", "spot"):
        close = closes_1h[f"{asset}_{leg}_close"]
        usd = close * closes_1h[f"{asset}_{leg}_vol"]
        usd = usd.where((close / perp_close - 1.0).abs() < BAD_SPOT_FRAC)
        days = usd.resample("D").sum(min_count=24).dropna()
        rng = rng_for(seed, asset, leg, "volume")
        origin = Origin.of(asset, f"Hyperliquid {leg}", "closes_1h", days)
        note = f"median of days; last 60 days {days.iloc[-60:].median() / 1e6:.3g} M"
        median = block_bootstrap_one(
            values_of(days), lambda v: float(np.median(v)), block=14, rng=rng
        )
        name = f"{leg}_daily_volume_usd"
        rows.append(origin.row(name, median, PARAMETER, "flow", unit="USD", note=note))
    return rows


def feed_rows(asset: str, leg: str, *, feed: OrderFeed, kind: str, seed: int) -> list[Row]:
    """Return rows on the book and the market orders of a recorded feed.

    Parameters
    ----------
    asset, leg : str
        "BTC" and "perp" or "spot"; names of spots begin with ``spot_``.
    feed : OrderFeed
        From `recorded_feed.read_binance_feed`.
    kind : str
        Key of `recorded.KINDS`.
    seed : int
        Of the calibration.

    Returns
    -------
    list of Row
    """
    rng = rng_for(seed, asset, leg, "feed")
    days = pd.Series(1.0, pd.to_datetime(feed.samples["t_ms"], unit="ms", utc=True))
    origin = Origin.of(asset, f"Binance {leg}", kind, days)
    prefix = "" if leg == "perp" else "spot_"
    rows = _book_rows(origin, prefix, book_fit(feed, rng=rng), feed.snapshot_reach_bp)
    seen = f"{feed.span_s:.0f} s from {days.index[0]:%H:%M} UTC"
    rows += _flow_rows(origin, prefix, flow_fit(feed, rng=rng), seen)
    rows += _cluster_rows(origin, prefix, feed, rng)
    return rows


def _book_rows(origin: Origin, prefix: str, fit: BookFit, reach_bp: float) -> list[Row]:
    half = fit.spread_bp.scaled(0.5)
    known = f"{FEED_NOTE}; levels known to {reach_bp:.0f} bp at first, beyond a lower bound"
    rows = [
        origin.row(f"{prefix}spread_bp", fit.spread_bp, VALIDATION_TARGET, unit="bp", target="V8"),
        origin.row(
            f"{prefix}depth_10bp_usd",
            fit.depth_usd[10.0],
            PARAMETER,
            "flow",
            unit="USD",
            note=f"one side; {FEED_NOTE}",
        ),
        origin.row(
            f"{prefix}depth_exponent",
            fit.exponent,
            PARAMETER,
            "flow",
            target="V9",
            note=f"5-50 bp; {known}",
        ),
        origin.row(
            f"{prefix}depth_hump_bp",
            estimated(fit.hump_bp, float("nan"), float("nan"), fit.exponent.n),
            VALIDATION_TARGET,
            unit="bp",
            target="V10",
            note="middle of the densest band",
        ),
    ]
    if not prefix:
        note = "half of Binance's spread, fees not in it"
        rows.append(
            origin.row("outside_half_spread_bp", half, PARAMETER, "world", unit="bp", note=note)
        )
    for band in DEPTHS_SHOWN_BP:
        note = known if band > 10.0 else FEED_NOTE
        rows.append(
            origin.row(
                f"{prefix}depth_{band:g}bp_usd",
                fit.depth_usd[band],
                SHOWN,
                "flow",
                unit="USD",
                note=note,
            )
        )
    return rows


def _flow_rows(origin: Origin, prefix: str, fit: FlowFit, seen: str) -> list[Row]:
    note = f"{FEED_NOTE}; {seen}"
    rows = [
        origin.row(f"{prefix}{name}", value, PARAMETER, "flow", unit=unit, target=target, note=note)
        for name, value, unit, target in (
            ("market_order_rate_per_s", fit.rate_per_s, "1/s", ""),
            ("market_order_median_usd", fit.median_usd, "USD", ""),
            ("market_order_mean_usd", fit.mean_usd, "USD", ""),
            ("market_order_size_tail", fit.size_tail, "1", "V11"),
        )
    ]
    rows += [
        origin.row(f"{prefix}{name}", value, VALIDATION_TARGET, unit=unit, target=target, note=why)
        for name, value, unit, target, why in (
            ("sign_exponent", fit.sign_exponent, "1", "V12", "lags 1-48 orders"),
            ("changes_per_market_order", fit.changes_per_order, "1", "V17", "of price levels"),
            (
                "impact_1s_bp_per_musd",
                fit.impact_1s_bp_per_musd,
                "bp per 1e6 USD",
                "V16",
                "what takers knew included",
            ),
        )
    ]
    return rows


def _cluster_rows(
    origin: Origin, prefix: str, feed: OrderFeed, rng: np.random.Generator
) -> list[Row]:
    t_ms = np.sort(market_orders(feed.trades)["t_ms"].to_numpy(dtype=np.float64))
    times = (t_ms - t_ms[0]) / 1e3
    span = float(times[-1])
    one, two = (hawkes_fit(times, span_s=span, n_kernels=k) for k in (1, 2))
    counts = dispersion_fit(times, span_s=span, rng=rng)
    quality = f"likelihood, one kernel; KS distance {one.ks_distance:.3f}"
    better = f"two kernels; {two.log_likelihood - one.log_likelihood:.0f} log units better"
    fine = "counts over .5-10 s, drift counted as branching: the pair for steps of a second"
    return [
        origin.row(f"{prefix}{name}", value, role, table, unit=unit, note=note)
        for name, value, role, table, unit, note in (
            ("hawkes_branching", one.branching, PARAMETER, "flow", "1", quality),
            ("hawkes_decay_per_s", one.decay_per_s[0], PARAMETER, "flow", "1/s", quality),
            ("hawkes_branching_two", two.branching, CHECK, "moment", "1", better),
            ("burst_branching", counts.branching, PARAMETER, "flow", "1", fine),
            ("burst_halflife_s", counts.halflife_s, PARAMETER, "flow", "s", fine),
        )
    ]


def snapshot_rows(asset: str, *, feed: OrderFeed, kind: str, seed: int) -> list[Row]:
    """Return V8 and the depth within 1 bp of the venue's own snapshots.

    Parameters
    ----------
    asset : str
        "BTC".
    feed : OrderFeed
        From `recorded_feed.read_hyperliquid_snapshots`.
    kind : str
        Key of `recorded.KINDS`.
    seed : int
        Of the calibration.

    Returns
    -------
    list of Row
    """
    fit = book_fit(feed, rng=rng_for(seed, asset, "snapshots"))
    days = pd.Series(1.0, pd.to_datetime(feed.samples["t_ms"], unit="ms", utc=True))
    origin = Origin.of(asset, "Hyperliquid perp", kind, days)
    note = f"{fit.exponent.n} snapshots in {feed.span_s:.0f} s, bound to the tick"
    return [
        origin.row(
            "venue_spread_bp", fit.spread_bp, VALIDATION_TARGET, unit="bp", target="V8", note=note
        ),
        origin.row("venue_depth_1bp_usd", fit.depth_usd[1.0], SHOWN, "flow", unit="USD", note=note),
    ]
