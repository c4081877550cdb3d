"""What a long run is reduced to while it runs: minutes, closes of five minutes, hours.

The rows of single steps are thrown away every six hours, so that twenty days fit into memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from stressbook.errors import InvalidInput
from stressbook.experiments.recorder import liquidated_lots, used
from stressbook.experiments.simulation import Simulation
from stressbook.experiments.validation.bands import SPOT_GAP_BP
from stressbook.experiments.validation.depth_profile import DISTANCES_BP, add_depth_profiles
from stressbook.experiments.validation.holdings import Holdings, holdings
from stressbook.market.compiling.arrays import F64, Records
from stressbook.market.compiling.by_address import compiled_call

__all__ = ["Watched", "drop_rows", "perp_lot_sizes", "watch"]

MINUTE_S: Final = 60
CLOSE_MINUTES: Final = 5
HOUR_MINUTES: Final = 60
CHUNK_HOURS: Final = 6
_WIDE_GAP_BP: Final = 25.0  # of assets without a bound of their own
_BP: Final = 1e-4


@dataclass(frozen=True)
class Watched:
    """A stretch of a run in averages; depth and spread are those that a step's first taker meets.

    Parameters
    ----------
    assets : tuple of str
        Their names.
    spread_frac, depth_usd, two_sided : ndarray of float64, shape (n_minutes, n_insts)
        Mean spread while two-sided; mean depth of a side within 10 bp; share of two-sided steps.
    traded_usd, forced_usd : ndarray of float64, shape (n_minutes, n_insts)
        Sums of the minute.
    near_outside : ndarray of float64, shape (n_minutes, n_assets)
        Share of steps in which the spot mid is within the asset's bound of the outside.
    open_interest_lots, liquidated_usd, mark_usd : ndarray of float64, shape (n_minutes, n_assets)
        Mean; sum at the mark; last.
    borrowed_usd : ndarray of float64, shape (n_minutes,)
        Mean.
    last_usd, mid_usd : ndarray of float64, shape (n_closes, n_insts)
        Last trade and mid at the end of every five minutes; NaN without any.
    oracle_usd : ndarray of float64, shape (n_closes, n_assets)
        At the same times.
    funding_frac : ndarray of float64, shape (n_hours, n_assets)
        Hourly rates.
    held : Holdings
        Arrays of shape (n_hours, N_CLASSES, n_assets).
    sums : ndarray of CLASS_SUM, shape (n_hours + 1, N_CLASSES)
        Running sums at the start and after each hour.
    depth_profile_usd : ndarray of float64, shape (n_insts, n_distances)
        Mean depth of both sides within `DISTANCES_BP`, once a minute.
    messages : float
        In a mean step.
    """

    assets: tuple[str, ...]
    spread_frac: F64
    depth_usd: F64
    two_sided: F64
    traded_usd: F64
    forced_usd: F64
    near_outside: F64
    open_interest_lots: F64
    liquidated_usd: F64
    mark_usd: F64
    borrowed_usd: F64
    last_usd: F64
    mid_usd: F64
    oracle_usd: F64
    funding_frac: F64
    held: Holdings
    sums: Records
    depth_profile_usd: F64
    messages: float


class _Minutes:
    """Collects averages of minutes, chunk by chunk."""

    def __init__(self) -> None:
        self.parts: dict[str, list[F64]] = {}
        self.messages: list[float] = []

    def add(self, **arrays: F64) -> None:
        for name, array in arrays.items():
            self.parts.setdefault(name, []).append(array)

    def joined(self) -> dict[str, F64]:
        return {name: np.concatenate(parts) for name, parts in self.parts.items()}


def watch(sim: Simulation, hours: int) -> Watched:
    """Run whole hours and return what they came to in averages.

    Parameters
    ----------
    sim : Simulation
        Runs on; rows and events recorded before are dropped, so its digest no longer covers them.
    hours : int
        How many.

    Returns
    -------
    Watched

    Raises
    ------
    InvalidInput
        If a minute is no whole number of steps.
    """
    if (MINUTE_S * 1000) % sim.dt_ms:
        raise InvalidInput("does not divide a minute", name="dt", value=sim.dt_ms, allowed="ms")
    minutes, closes = _Minutes(), _Minutes()
    profile = np.zeros((len(sim.engine.state.inst), len(DISTANCES_BP)))
    add_profile = compiled_call(add_depth_profiles, sim.engine.state, DISTANCES_BP * _BP, profile)
    held, sums = [], [sim.classes.copy()]
    drop_rows(sim)
    for hour in range(hours):
        for minute in range(HOUR_MINUTES):
            sim.advance(MINUTE_S * 1000 // sim.dt_ms)
            add_profile()
            if minute % CLOSE_MINUTES == CLOSE_MINUTES - 1:
                closes.add(**_closes(sim))
        rates = sim.engine.state.price["last_funding_rate_e15"] * 1e-15
        closes.add(funding_frac=rates[None, :])
        held.append(holdings(sim))
        sums.append(sim.classes.copy())
        if hour % CHUNK_HOURS == CHUNK_HOURS - 1 or hour == hours - 1:
            _reduce(sim, minutes)
            drop_rows(sim)
    return Watched(
        assets=sim.scenario.assets,
        held=Holdings(*(np.array(columns) for columns in zip(*held, strict=True))),
        sums=np.array(sums),
        depth_profile_usd=profile / (hours * HOUR_MINUTES),
        messages=float(np.mean(minutes.messages)),
        **minutes.joined(),
        **closes.joined(),
    )


def drop_rows(sim: Simulation) -> None:
    """Forget the rows and events recorded so far."""
    sim.series.step[0] = 0
    sim.events.clear()


def _closes(sim: Simulation) -> dict[str, F64]:
    v = sim.engine.state
    traded = v.book["last_tick"] > 0
    last = np.where(traded, v.book["last_tick"] * v.inst["tick_usd"], np.nan)
    return {
        "last_usd": last[None, :],
        "mid_usd": v.book["end_mid_usd"][None, :].copy(),
        "oracle_usd": v.price["oracle_usd"][None, :].copy(),
    }


def _reduce(sim: Simulation, minutes: _Minutes) -> None:
    """Add the averages of the recorded rows, minute by minute."""
    v = sim.engine.state
    rows = used(sim.series)
    per_minute = MINUTE_S * 1000 // sim.dt_ms
    lot = v.inst["lot_size"]
    book, asset = rows.book, rows.asset
    two_sided = book["spread_frac"] <= v.inst["two_sided_max_spread_frac"]
    spread = np.where(two_sided, book["spread_frac"], 0.0)
    mid = np.where(np.isfinite(book["mid_usd"]), book["mid_usd"], 0.0)
    depth = 0.5 * (book["bid_depth_usd"] + book["ask_depth_usd"])
    share = _mean(two_sided.astype(np.float64), per_minute)
    minutes.add(
        two_sided=share,
        spread_frac=_mean(spread, per_minute) / np.where(share > 0.0, share, np.nan),
        depth_usd=_mean(depth, per_minute),
        traded_usd=_sum(book["traded_lots"] * mid * lot, per_minute),
        forced_usd=_sum(book["forced_lots"] * mid * lot, per_minute),
        near_outside=_mean(_near_outside(sim, book, asset), per_minute),
        open_interest_lots=_mean(asset["open_interest_lots"], per_minute),
        liquidated_usd=_sum(_liquidated_usd(sim, asset), per_minute),
        mark_usd=asset["mark_usd"][per_minute - 1 :: per_minute],
        borrowed_usd=_mean(rows.venue["borrowed_usd"], per_minute),
    )
    minutes.messages.append(float(rows.venue["n_messages"].mean()))


def _near_outside(sim: Simulation, book: Records, asset: Records) -> F64:
    """Return 1 where the spot mid is within its bound of the outside, else 0."""
    near = np.zeros(asset.shape)
    for a, name in enumerate(sim.scenario.assets):
        spot = int(sim.engine.state.asset[a].spot_inst)
        if spot >= 0:
            gap = np.abs(book["mid_usd"][:, spot] / asset["outside_spot_usd"][:, a] - 1.0)
            near[:, a] = gap <= SPOT_GAP_BP.get(name, _WIDE_GAP_BP) * _BP
    return near


def _liquidated_usd(sim: Simulation, asset: Records) -> F64:
    lots = liquidated_lots(asset)
    usd: F64 = lots * asset["mark_usd"] * perp_lot_sizes(sim)
    return usd


def perp_lot_sizes(sim: Simulation) -> F64:
    """Return the lot of each asset's perp in units, 0 without one."""
    v = sim.engine.state
    insts = v.asset["perp_inst"]
    return np.where(insts >= 0, v.inst["lot_size"][np.maximum(insts, 0)], 0.0)


def _sum(rows: F64, per_minute: int) -> F64:
    shape = (len(rows) // per_minute, per_minute, *rows.shape[1:])
    total: F64 = rows.reshape(shape).sum(axis=1)
    return total


def _mean(rows: F64, per_minute: int) -> F64:
    return _sum(rows, per_minute) / per_minute
