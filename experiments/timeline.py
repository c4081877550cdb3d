"""One asset's market over an episode, in bins: what a reader looks at to see what happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from stressbook.experiments.recorder import Series, backstop_lows_usd
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.stress import Stress, StressSchedule
from stressbook.market.compiling.arrays import F64

__all__ = ["BIN_S", "Timeline", "timeline_of"]

BIN_S: Final = 30.0
LEAD_S: Final = 300.0  # shown before the onset


class Timeline(NamedTuple):
    """One asset's market over an episode, in bins of equal length; each array has shape (n,)."""

    t_min: F64  # end of the bin, minutes from the onset
    fundamental_usd: F64  # last of the bin, as are all prices and stocks
    outside_usd: F64
    oracle_usd: F64
    mark_usd: F64
    bid_depth_usd: F64  # median over the bin: what the first taker of each step met within 10 bp
    depth_left_frac: F64  # what the stress leaves of makers' size
    forced_usd: F64  # forced fills, at the mark: USD a minute, as the next three
    taken_over_usd: F64
    deleveraged_usd: F64  # closed against winners, of accounts
    backstop_shed_usd: F64  # closed against winners, of the backstop: counted as taken over before
    open_interest_usd: F64
    funding_frac: F64  # hourly rate booked last
    premium_frac: F64  # mark over oracle
    borrowed_usd: F64
    utilisation_frac: F64
    n_breached: F64
    backstop_usd: F64  # equity of the backstop, capital in
    backstop_low_usd: F64  # its lowest within the bin, within steps too


def timeline_of(
    series: Series,
    scenario: Scenario,
    stresses: Sequence[Stress],
    *,
    onset_step: int,
    asset: int,
    bin_s: float = BIN_S,
    lead_s: float = LEAD_S,
) -> Timeline:
    """Return the timeline of one asset, from a while before the onset to the last whole bin.

    Parameters
    ----------
    series : Series
        Rows that were written.
    scenario : Scenario
        Whose run it is.
    stresses : sequence of Stress
        Those that acted.
    onset_step : int
        Steps before the onset.
    asset : int
        Index of the asset.
    bin_s, lead_s : float
        Length of a bin, and of what is shown before the onset, s.

    Returns
    -------
    Timeline
    """
    dt_ms = round(scenario.dt_s * 1000)
    n = max(1, round(bin_s * 1000) // dt_ms)
    first = onset_step - min(onset_step, round(lead_s * 1000) // dt_ms) // n * n
    stop = first + (int(series.step[0]) - first) // n * n
    name = scenario.assets[asset]
    inst, lot = _perp_of(scenario, name)
    rows, book, venue = series.asset[first:stop, asset], series.book[first:stop, inst], series.venue
    venue, lots_usd = venue[first:stop], lot * rows["mark_usd"]
    lows = backstop_lows_usd(series.venue[:stop], first=first)
    ends = np.arange(first + n, stop + 1, n)
    schedule = StressSchedule(stresses, assets=scenario.assets, dt_ms=dt_ms)
    left = [schedule.dials_at(int(k) * dt_ms).value(name, "venue_depth") for k in ends]
    per_minute = 60_000.0 / (n * dt_ms)
    return Timeline(
        t_min=(ends - onset_step) * dt_ms / 60_000.0,
        fundamental_usd=_last(rows["fundamental_usd"], n),
        outside_usd=_last(rows["outside_perp_usd"], n),
        oracle_usd=_last(rows["oracle_usd"], n),
        mark_usd=_last(rows["mark_usd"], n),
        bid_depth_usd=np.median(book["bid_depth_usd"].reshape(-1, n), axis=1),
        depth_left_frac=np.array(left),
        forced_usd=sum_of_bins(rows["forced_fill_lots"] * lots_usd, n) * per_minute,
        taken_over_usd=sum_of_bins(rows["taken_over_lots"] * lots_usd, n) * per_minute,
        deleveraged_usd=sum_of_bins(rows["deleveraged_lots"] * lots_usd, n) * per_minute,
        backstop_shed_usd=sum_of_bins(rows["backstop_shed_lots"] * lots_usd, n) * per_minute,
        open_interest_usd=_last(rows["open_interest_lots"] * lots_usd, n),
        funding_frac=_last(rows["funding_rate_e15"] / 1e15, n),
        premium_frac=_last(rows["mark_usd"] / rows["oracle_usd"] - 1.0, n),
        borrowed_usd=_last(venue["borrowed_usd"], n),
        utilisation_frac=_last(venue["utilisation"], n),
        n_breached=_last(venue["n_breached"].astype(np.float64), n),
        backstop_usd=_last(venue["backstop_equity_usd"], n),
        backstop_low_usd=lows.reshape(-1, n).min(axis=1),
    )


def _perp_of(scenario: Scenario, asset: str) -> tuple[int, float]:
    """Return index and lot size of the perp of an asset."""
    listed = scenario.venue_spec().instruments
    inst = next(i for i, x in enumerate(listed) if x.asset == asset and x.kind == "perp")
    return inst, float(listed[inst].lot_size)


def _last(values: F64, n: int) -> F64:
    return values[n - 1 :: n].copy()


def sum_of_bins(values: F64, n: int) -> F64:
    """Return sums over n values at a time, of which there is a whole number."""
    total: F64 = values.reshape(-1, n).sum(axis=1)
    return total
