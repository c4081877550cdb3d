"""What market makers are like: sizes, distances, limits and thresholds, and how makers differ.

The behaviour itself: `stressbook.agents.market_maker`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from stressbook.agents.ladder_shape import level_sizes, shared_sizes, zipf_shares
from stressbook.agents.quoting import array_record
from stressbook.agents.traits import trait
from stressbook.agents.volumes import (
    HOURS_PER_DAY,
    PERP_VOLUME_USD,
    SPOT_VOLUME_USD,
    VOLUME_SOURCE,
)
from stressbook.market.compiling.arrays import F64, I64, Records
from stressbook.market.numbers.elementary import ln
from stressbook.market.prices.outside_market import OUTSIDE_PERP, OUTSIDE_SPOT
from stressbook.market.rules.parameters import param

__all__ = ["N_LEVELS", "PARAMETERS", "MarketMakerParams", "account_parameters"]

N_LEVELS: Final = 7

PARAMETERS = array_record(
    "asset spot_lots turn_ms turn_phase_ms return_low_ms return_high_ms n_eager n_taking",
    "equity_usd purse_usd own_mid_weight tolerance_frac withdraw_from withdraw_to floor_frac "
    "widening_max pull_loss_frac window_per_ms late_frac hedge_per_ms slow_per_ms leak_per_ms "
    "slow_limits",
    float_arrays={
        "distance_bp": 2 * N_LEVELS,
        "size_usd": 2 * N_LEVELS,
        "side_usd": 2,
        "skew_bp": 2,
        "limit_usd": 2,
    },
)


@dataclass(frozen=True)
class MarketMakerParams:
    """The market makers of all assets; one account is one maker in one asset.

    Examples
    --------
    >>> MarketMakerParams().depth_perp_usd["BTC"]
    10000000.0
    """

    accounts: Mapping[str, int] = param(
        {"BTC": 8, "ETH": 8, "SOL": 8, "HYPE": 8}, unit="1", help="makers of an asset"
    )
    zipf: float = param(0.7, unit="1", help="exponent of makers' sizes by rank", low=0.0)
    size_factor: float = param(
        1.0,
        unit="1",
        help="multiplies depth, inventory limits and equity: makers of another size",
        low=0.0,
        high=100.0,
    )
    equity_usd: Mapping[str, float] = param(
        {"BTC": 70e6, "ETH": 50e6, "SOL": 25e6, "HYPE": 30e6},
        unit="USD",
        help="USDC of an asset's makers together, beside their stock of tokens",
    )
    depth_perp_usd: Mapping[str, float] = param(
        {"BTC": 10e6, "ETH": 6e6, "SOL": 2.5e6, "HYPE": 1.2e6},
        unit="USD",
        help="perp depth of one side within 10 bp, all makers",
    )
    depth_spot_usd: Mapping[str, float] = param(
        {"BTC": 1e6, "ETH": 0.6e6, "SOL": 0.3e6, "HYPE": 0.8e6},
        unit="USD",
        help="spot depth of one side within 10 bp, all makers",
    )
    depth_exponent: float = param(
        0.8,
        unit="1",
        help="cumulative depth grows with distance to this power",
        source="0.7 to 1.2 in order book samples of Binance, 2024-08-08, 5 to 50 bp",
        low=0.1,
        high=3.0,
    )
    distance_perp_bp: Mapping[str, tuple[float, ...]] = param(
        {
            "BTC": (0.04, 0.5, 2.0, 5.0, 11.0, 22.0, 50.0),
            "ETH": (0.1, 0.6, 2.0, 5.0, 11.0, 22.0, 50.0),
            "SOL": (0.2, 1.0, 3.0, 7.0, 14.0, 26.0, 60.0),
            "HYPE": (0.3, 2.0, 5.0, 10.0, 18.0, 32.0, 70.0),
        },
        unit="bp",
        help="distances of the seven perp levels from fair value",
    )
    distance_spot_bp: Mapping[str, tuple[float, ...]] = param(
        {
            "BTC": (0.5, 1.5, 3.5, 7.0, 13.0, 25.0, 50.0),
            "ETH": (0.5, 1.5, 3.5, 7.0, 13.0, 25.0, 50.0),
            "SOL": (0.8, 2.0, 5.0, 10.0, 18.0, 32.0, 70.0),
            "HYPE": (0.8, 2.0, 5.0, 10.0, 18.0, 32.0, 70.0),
        },
        unit="bp",
        help="distances of the seven spot levels from fair value",
    )
    level_every: tuple[int, ...] = param(
        (2, 4, 2, 1, 1, 1, 1),
        unit="1",
        help="every how many-th maker quotes a level; those who do carry the whole size",
    )
    distance_spread: float = param(
        0.15, unit="1", help="largest deviation of a maker's distances from the mean", low=0.0
    )
    skew_perp_bp: Mapping[str, float] = param(
        {"BTC": 12.0, "ETH": 14.0, "SOL": 18.0, "HYPE": 25.0},
        unit="bp",
        help="shift of the perp ladder at full inventory; three times as much only churns",
    )
    skew_spot_bp: Mapping[str, float] = param(
        {"BTC": 6.0, "ETH": 8.0, "SOL": 12.0, "HYPE": 20.0},
        unit="bp",
        help="shift of the spot ladder at full inventory",
    )
    limit_hours: float = param(
        0.15, unit="h", help="inventory limit of a leg, of its average volume, all makers", low=0.0
    )
    limit_depths: float = param(
        1.0, unit="1", help="least inventory limit, of the depth within 10 bp", low=0.0
    )
    perp_volume_usd: Mapping[str, float] = param(
        PERP_VOLUME_USD, unit="USD/day", help="perp volume", source=VOLUME_SOURCE
    )
    spot_volume_usd: Mapping[str, float] = param(
        SPOT_VOLUME_USD, unit="USD/day", help="spot volume", source=VOLUME_SOURCE
    )
    slow_halflife_h: float = param(
        8.0, unit="h", help="half-life of the slow average that inventory is measured from"
    )
    slow_leak_h: float = param(
        48.0, unit="h", help="half-life with which that average forgets; without it dealers drift"
    )
    slow_limits: float = param(
        2.0, unit="1", help="bound of that average, in inventory limits", low=0.0
    )
    own_mid_weight: Mapping[str, float] = param(
        {"BTC": 0.0, "ETH": 0.0, "SOL": 0.0, "HYPE": 0.2},
        unit="1",
        help="weight of the venue's own middle in fair value",
    )
    tolerance_frac: float = param(
        0.3, unit="1", help="requote tolerance, of a quote's distance", low=0.0, high=1.0
    )
    turn_s: float = param(
        3.0, unit="s", help="time between two turns at which quotes that lag behind follow", low=0.0
    )
    n_eager: int = param(1, unit="1", help="innermost levels that follow at once", low=0)
    n_taking: int = param(0, unit="1", help="innermost levels that are not post-only", low=0)
    late_frac: float = param(
        0.1, unit="1", help="share of looks at which a leg is left as it is", low=0.0, high=1.0
    )
    hedge_halflife_min: float = param(
        20.0, unit="min", help="half-life of the unhedged delta", low=0.01
    )
    stock_ratio: float = param(
        2.0, unit="1", help="tokens held, of the size of one spot side", low=0.0
    )
    withdraw_from: float = param(
        1.5, unit="1", help="outside volatility ratio at which makers begin to withdraw", low=0.0
    )
    withdraw_to: float = param(4.0, unit="1", help="ratio at which only the floor is left", low=0.0)
    threshold_spread: float = param(
        0.25, unit="1", help="largest deviation of a maker's thresholds from the mean", low=0.0
    )
    floor_frac: float = param(
        0.1, unit="1", help="share of the size that stays in any volatility", low=0.0, high=1.0
    )
    widening_max: float = param(
        3.0, unit="1", help="largest factor on distances; unbounded, the floor has no use", low=1.0
    )
    pull_loss_frac: float = param(
        0.02, unit="1", help="loss in the window that pulls all quotes, of USDC", low=0.0
    )
    loss_window_min: float = param(
        10.0, unit="min", help="time constant of the recent result", low=0.1
    )
    return_low_min: float = param(5.0, unit="min", help="shortest absence after a pull", low=0.0)
    return_high_min: float = param(15.0, unit="min", help="longest absence", low=0.0)


def account_parameters(
    params: MarketMakerParams,
    keys: I64,
    *,
    seed: int,
    asset: int,
    name: str,
    price_usd: float,
    lot_size: float,
    has_spot: bool = True,
) -> Records:
    """Return the parameters of one asset's makers, largest first.

    Parameters
    ----------
    params : MarketMakerParams
        Of the class.
    keys : ndarray of int64, shape (n,)
        Account keys; each account's traits are drawn by its own key.
    seed : int
        Of the run.
    asset : int
        Index of the asset in the venue.
    name : str
        Its name.
    price_usd : float
        Its opening price.
    lot_size : float
        Lot of its perp, in tokens.
    has_spot : bool, default True
        Whether the venue has a spot book of it.

    Returns
    -------
    ndarray of PARAMETERS, shape (n,)
        `equity_usd` is the USDC to open with, `spot_lots` the tokens, in lots of the perp.

    Examples
    --------
    >>> import numpy as np
    >>> keys = np.arange(8) + (1 << 20)
    >>> r = account_parameters(
    ...     MarketMakerParams(), keys, seed=7, asset=0, name="BTC", price_usd=8e4, lot_size=1e-5
    ... )
    >>> round(float(r["equity_usd"].sum()))
    70000000
    """
    r = np.zeros(len(keys), PARAMETERS)
    shares = zipf_shares(len(keys), params.zipf)
    r["asset"] = asset
    equity_usd = params.size_factor * params.equity_usd.get(name, 0.0)
    r["equity_usd"] = r["purse_usd"] = shares * equity_usd
    _fill_levels(r, params, name, shares, _around_one(seed, keys, 0, params.distance_spread))
    if has_spot:
        stock_usd = params.stock_ratio * r["side_usd"][:, OUTSIDE_SPOT]
        r["spot_lots"] = np.rint(stock_usd / (price_usd * lot_size)).astype(np.int64)
    _fill_inventory(r, params, name, shares)
    _fill_withdrawal(r, params, _around_one(seed, keys, 1, params.threshold_spread))
    turn_ms = max(1, round(1000.0 * params.turn_s))
    r["turn_ms"] = turn_ms
    r["turn_phase_ms"] = (trait(seed, keys, 2) * turn_ms).astype(np.int64)
    r["n_eager"], r["n_taking"] = params.n_eager, params.n_taking
    r["tolerance_frac"] = params.tolerance_frac
    r["late_frac"] = params.late_frac
    r["own_mid_weight"] = params.own_mid_weight.get(name, 0.0)
    return r


def _around_one(seed: int, keys: I64, index: int, width: float) -> F64:
    return trait(seed, keys, index, 1.0 - width, 1.0 + width)


def _fill_levels(
    r: Records, params: MarketMakerParams, name: str, shares: F64, stretch: F64
) -> None:
    tables = (
        (OUTSIDE_SPOT, params.distance_spot_bp, params.depth_spot_usd),
        (OUTSIDE_PERP, params.distance_perp_bp, params.depth_perp_usd),
    )
    for kind, distances, depths in tables:
        if name not in distances:
            continue
        depth_usd = params.size_factor * depths.get(name, 0.0)
        sizes = level_sizes(distances[name], depth_usd, params.depth_exponent)
        own = shared_sizes(sizes, shares, params.level_every)
        columns = slice(kind * N_LEVELS, (kind + 1) * N_LEVELS)
        r["distance_bp"][:, columns] = np.outer(stretch, distances[name])
        r["size_usd"][:, columns] = own
        r["side_usd"][:, kind] = own.sum(1)


def _fill_inventory(r: Records, params: MarketMakerParams, name: str, shares: F64) -> None:
    hours = params.limit_hours / HOURS_PER_DAY
    tables = (
        (OUTSIDE_SPOT, params.spot_volume_usd, params.depth_spot_usd),
        (OUTSIDE_PERP, params.perp_volume_usd, params.depth_perp_usd),
    )
    for kind, volumes, depths in tables:
        least = params.limit_depths * depths.get(name, 0.0)
        most_usd = params.size_factor * max(hours * volumes.get(name, 0.0), least)
        r["limit_usd"][:, kind] = shares * most_usd
    r["skew_bp"][:, OUTSIDE_SPOT] = params.skew_spot_bp.get(name, 0.0)
    r["skew_bp"][:, OUTSIDE_PERP] = params.skew_perp_bp.get(name, 0.0)
    r["hedge_per_ms"] = ln(2.0) / (60_000.0 * params.hedge_halflife_min)
    r["slow_per_ms"] = ln(2.0) / (3_600_000.0 * params.slow_halflife_h)
    r["leak_per_ms"] = ln(2.0) / (3_600_000.0 * params.slow_leak_h)
    r["slow_limits"] = params.slow_limits


def _fill_withdrawal(r: Records, params: MarketMakerParams, thresholds: F64) -> None:
    r["withdraw_from"] = params.withdraw_from * thresholds
    r["withdraw_to"] = params.withdraw_to * thresholds
    r["floor_frac"] = params.floor_frac
    r["widening_max"] = params.widening_max
    r["pull_loss_frac"] = params.pull_loss_frac
    r["window_per_ms"] = 1.0 / (60_000.0 * params.loss_window_min)
    r["return_low_ms"] = round(60_000.0 * params.return_low_min)
    r["return_high_ms"] = round(60_000.0 * params.return_high_min)
