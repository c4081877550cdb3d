"""Market makers: two-sided ladders around the outside price, on spot and perp of one asset.

Fair value is the lagged outside price of the leg, where wanted with some weight on the venue's own
middle. The whole ladder leans against the inventory of the leg, measured from its own slow
average: dealers get used to a position, so the premium answers to what is new. Beyond the
inventory limit only the reducing side is quoted. Deltas are hedged outside with a half-life.

A quote stays while its price is within a tolerance of where it should be. The ladder thins and
widens as outside volatility rises, between two thresholds that differ between makers, down to a
committed floor; a loss pulls everything for some minutes. Triggers are the outside's: a trigger on
the venue's own volatility keeps itself going. Thinning that a stress imposes (`venue_depth`) scales
sizes besides; `willing_frac` in the memory is the share that the maker itself is willing to show.

Source of the quotes: Avellaneda and Stoikov, High-frequency trading in a limit order book,
Quantitative Finance 2008 (skew by inventory); of the cumulative depth: power law of distance in
order book samples of Binance, 2024-08-08. Sizes and speeds are assumed, from trial runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stressbook.agents import hedged_book
from stressbook.agents.execution import Sender
from stressbook.agents.hedged_book import (
    hedge,
    keep_stocks,
    leg_inst,
    look_at_book,
    neutral_lots,
    outside_usd,
)
from stressbook.agents.ladder_shape import level_sizes, shared_sizes, zipf_shares
from stressbook.agents.outbox import Outbox, cancel_all
from stressbook.agents.quoting import (
    array_record,
    ask_tick,
    bid_tick,
    refresh,
    set_target,
    targets,
)
from stressbook.agents.rule import Rule
from stressbook.agents.traits import trait
from stressbook.agents.view import OUTSIDE_PERP, OUTSIDE_SPOT, Accounts, Market, Me, look
from stressbook.agents.volumes import (
    HOURS_PER_DAY,
    PERP_VOLUME_USD,
    SPOT_VOLUME_USD,
    VOLUME_SOURCE,
)
from stressbook.market.draws import (
    CLASS_NUMBERS,
    PURPOSE_MAKER_QUOTE,
    PURPOSE_MAKER_RETURN_DELAY,
    uniform,
)
from stressbook.market.elementary import ln
from stressbook.market.kernel import inline_kernel, kernel
from stressbook.market.parameters import param
from stressbook.market.state import EMPTY_ASK, EMPTY_BID, F64, I64, Records

N_LEVELS: Final = 7
N_SIDES: Final = 2 * N_LEVELS
N_SLOTS: Final = 2 * N_SIDES  # spot leg first

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
MEMORY = array_record(
    hedged_book.INTS + " counter away_until_ms n_pulls",
    # willing_frac: share of size that the maker itself is willing to show
    hedged_book.FLOATS + " willing_frac widening",
    int_arrays=targets(N_SLOTS) | hedged_book.INT_LEGS,
    # slow_lots: average inventory; seen_usd: fair value at the last look
    float_arrays={"slow_lots": 2, "seen_usd": 2} | hedged_book.FLOAT_LEGS,
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


@inline_kernel
def decide(me: Me, mkt: Market, p: Any, out: Outbox) -> None:
    """Account, hedge, decide how much to show, and keep the ladders of both legs."""
    m: Any = me.memory
    clock = mkt.clock[0]
    dt = float(clock.dt_ms)
    look_at_book(me, mkt, p, p.window_per_ms * dt)
    hedge(me, p, out, p.hedge_per_ms * dt)
    if me.account.n_pending > 0:
        return
    keep_stocks(me, mkt, p, out)
    decide_willingness(m, p, mkt.asset[p.asset], clock, me.account.key)
    if clock.t_ms < m.away_until_ms or me.account.breached != 0:
        if me.order.shape[0] > 0:
            cancel_all(out, Sender(me.account), -1)
        return
    is_turn = (clock.t_ms + p.turn_phase_ms) % p.turn_ms < clock.dt_ms
    n_eager = N_LEVELS if is_turn else p.n_eager
    for kind in range(2):
        inst = leg_inst(mkt.asset[p.asset], kind)
        if inst >= 0 and set_ladder(
            m, p, mkt.asset[p.asset], mkt.inst[inst], clock, me.account, kind
        ):
            refresh(me, out, inst, kind * N_SIDES, N_LEVELS, N_SLOTS, n_eager, p.n_taking)


@inline_kernel
def decide_willingness(m: Any, p: Any, asset: Any, clock: Any, key: int) -> None:
    """Set the share of size to show and the widening; pull everything after a loss."""
    ratio = asset.volatility_ratio
    willing = 1.0
    widening = 1.0
    if ratio > p.withdraw_from:
        willing = (p.withdraw_to - ratio) / (p.withdraw_to - p.withdraw_from)
        willing = willing if willing > p.floor_frac else p.floor_frac
        widening = ratio / p.withdraw_from
        widening = widening if widening < p.widening_max else p.widening_max
    m.willing_frac = 1.0 - asset.defence * (1.0 - willing)
    m.widening = 1.0 + asset.defence * (widening - 1.0)
    if m.recent_usd < -p.pull_loss_frac * p.equity_usd and asset.defence > 0.0:
        u = _draw(clock, PURPOSE_MAKER_RETURN_DELAY, key, 0)
        absence_ms = p.return_low_ms + int(u * float(p.return_high_ms - p.return_low_ms))
        m.away_until_ms = clock.t_ms + absence_ms
        m.recent_usd = 0.0
        m.n_pulls += 1
    if clock.t_ms < m.away_until_ms:
        m.willing_frac = 0.0


@inline_kernel
def _draw(clock: Any, purpose: int, key: int, index: int) -> Any:
    return uniform(clock.seed_key0, clock.seed_key1, purpose, key, clock.t_ms, index)


@inline_kernel
def set_ladder(m: Any, p: Any, asset: Any, book: Any, clock: Any, account: Any, kind: int) -> bool:
    """Set the targets of one leg; False where the leg is to be left as it is."""
    fair = outside_usd(asset, kind)
    if fair <= 0.0:
        return False
    if book.mid_usd > 0.0:
        fair += p.own_mid_weight * (book.mid_usd - fair)
    seen = m.seen_usd[kind]
    m.seen_usd[kind] = fair
    fullness = _fullness(m, p, kind, fair, float(clock.dt_ms))
    if _draw(clock, PURPOSE_MAKER_QUOTE, account.key, kind) < p.late_frac:
        return False
    bid_share = _bid_room(m, p, account, kind, fullness) * m.willing_frac * asset.venue_depth
    ask_share = _ask_room(m, p, account, kind, fullness, fair) * m.willing_frac * asset.venue_depth
    clipped = fullness if fullness < 1.0 else 1.0
    clipped = clipped if clipped > -1.0 else -1.0
    centre = fair * (1.0 - 1e-4 * p.skew_bp[kind] * clipped)
    moved = int((fair - seen) / book.tick_usd) if seen > 0.0 else 0
    _set_levels(m, p, book, kind, fair, centre, moved, bid_share, ask_share)
    return True


@inline_kernel
def _fullness(m: Any, p: Any, kind: int, fair: float, dt: float) -> Any:
    """Return new inventory over its limit, and let the slow average follow."""
    inventory = float(m.held_lots[kind] - neutral_lots(p, kind))
    limit = p.limit_usd[kind] / (m.lot_size * fair)
    slow = m.slow_lots[kind]
    slow += (inventory - slow) * p.slow_per_ms * dt - slow * p.leak_per_ms * dt
    bound = p.slow_limits * limit
    slow = slow if slow < bound else bound
    slow = slow if slow > -bound else -bound
    m.slow_lots[kind] = slow
    return (inventory - slow) / limit if limit > 0.0 else 0.0


@inline_kernel
def _bid_room(m: Any, p: Any, account: Any, kind: int, fullness: float) -> Any:
    """Return the share of the bid side that inventory, cash and margin allow."""
    if fullness >= 1.0 or (_has_no_margin(account) and fullness >= 0.0):
        return 0.0
    if kind == OUTSIDE_PERP or m.free_usd >= p.side_usd[kind]:
        return 1.0
    return m.free_usd / p.side_usd[kind] if m.free_usd > 0.0 else 0.0


@inline_kernel
def _ask_room(m: Any, p: Any, account: Any, kind: int, fullness: float, fair: float) -> Any:
    """Return the share of the ask side that inventory, tokens and margin allow."""
    if fullness <= -1.0 or (_has_no_margin(account) and fullness <= 0.0):
        return 0.0
    tokens_usd = float(m.held_lots[OUTSIDE_SPOT]) * m.lot_size * fair
    if kind == OUTSIDE_PERP or tokens_usd >= p.side_usd[kind]:
        return 1.0
    return tokens_usd / p.side_usd[kind]


@inline_kernel
def _has_no_margin(account: Any) -> bool:
    # Before the first mark update all margin figures are 0.
    return bool(account.available_usd <= 0.0 and account.equity_usd != 0.0)


@inline_kernel
def _set_levels(
    m: Any,
    p: Any,
    book: Any,
    kind: int,
    fair: float,
    centre: float,
    moved: int,
    bid_share: float,
    ask_share: float,
) -> None:
    """Set price and size of each level; never through where the other side will stand."""
    tick_usd = book.tick_usd
    # Others follow the outside by as much as it has moved since they last looked.
    top = book.best_ask_tick + moved - 1 if book.best_ask_tick < EMPTY_ASK else EMPTY_ASK
    bottom = book.best_bid_tick + moved + 1 if book.best_bid_tick > EMPTY_BID else EMPTY_BID
    lots_per_usd = 1.0 / (book.lot_size * fair)
    slack_per_usd = p.tolerance_frac / tick_usd
    for level in range(N_LEVELS):
        away = centre * 1e-4 * m.widening * p.distance_bp[kind * N_LEVELS + level]
        size_lots = p.size_usd[kind * N_LEVELS + level] * lots_per_usd
        slack = int(slack_per_usd * away)
        bid = bid_tick(centre - away, tick_usd)
        ask = ask_tick(centre + away, tick_usd)
        slot = kind * N_SIDES + level
        set_target(m, slot, bid if bid < top else top, int(bid_share * size_lots), slack)
        slot += N_LEVELS
        set_target(m, slot, ask if ask > bottom else bottom, int(ask_share * size_lots), slack)


@kernel
def run(
    accounts: Accounts, mkt: Market, users: I64, parameters: Records, memory: Records, out: Outbox
) -> None:
    """Let each account of a desk decide."""
    for j in range(users.shape[0]):
        decide(look(accounts, users[j], memory[j]), mkt, parameters[j], out)


RULE = Rule("market_maker", CLASS_NUMBERS["market_maker"], PARAMETERS, MEMORY, decide, run)


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
    r["equity_usd"] = r["purse_usd"] = shares * params.equity_usd.get(name, 0.0)
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
        sizes = level_sizes(distances[name], depths.get(name, 0.0), params.depth_exponent)
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
        r["limit_usd"][:, kind] = shares * max(hours * volumes.get(name, 0.0), least)
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
