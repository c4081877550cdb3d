"""Arbitrageurs: they carry prices between the venue and the outside market, on both its legs.

They take what stands beyond the outside price by more than cost, edge and a charge for inventory,
and they rest bids and asks farther away: a forced seller, who takes only, meets nobody but those
who rest. Capital grows with the gap. A taking order is bounded to half of what closes the gap, so
that several traders do not overshoot, and carries the last price that still pays as its limit.
Whatever is done on the venue is undone outside at once; tokens and USDC go in and out where they
are short. Sizes were fitted to the usual impact of flow outside: where books there are thinner, all
orders shrink in proportion, so that hedging them moves prices no further than usual
(docs/decisions/0062-arbitrage-and-thin-books.md). The dial `arbitrage` scales capacity: an outage
of transfers.

Source: Gromb and Vayanos, Limits of arbitrage, Annual Review of Financial Economics 2010 (capital
as the limit). Sizes, speeds and edges are assumed, from trial runs: capital of 1 % of volume gave
wild funding, taking without resting left 60 % of forced volume unfilled.
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
from stressbook.agents.ladder_shape import DEPTH_DISTANCE_BP
from stressbook.agents.outbox import Outbox, cancel_all, place
from stressbook.agents.quoting import (
    array_record,
    ask_tick,
    bid_tick,
    lots_of,
    refresh,
    set_target,
    targets,
)
from stressbook.agents.rule import Rule
from stressbook.agents.view import Accounts, Market, Me, look
from stressbook.agents.volumes import PERP_VOLUME_USD, SPOT_VOLUME_USD, VOLUME_SOURCE
from stressbook.market.compiling.arrays import I64, Records
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.numbers.elementary import pow_
from stressbook.market.prices.outside_market import OUTSIDE_PERP, OUTSIDE_SPOT
from stressbook.market.rules.parameters import param
from stressbook.market.state.codes import BUY, IOC, SELL
from stressbook.market.state.records import EMPTY_ASK, N_TICKS

N_LEVELS: Final = 4
N_SIDES: Final = 2 * N_LEVELS
N_SLOTS: Final = 2 * N_SIDES  # spot leg first
DEPTH_EXPONENT: Final = 0.8  # of the makers' ladders: what lies within a gap

PARAMETERS = array_record(
    "asset spot_lots",
    "equity_usd purse_usd speed_per_ms gap_scale_bp boost_max edge_bp shift_bp rest_frac "
    "tolerance_frac margin_frac usual_impact_per_musd",
    float_arrays={"capital_usd": 2, "fee_bp": 2, "rest_bp": N_LEVELS},
)
MEMORY = array_record(
    hedged_book.INTS + " counter take_side take_tick take_lots",
    # of the leg at hand: signed holding, capacity, what may be bought and sold; size of orders
    # over what they are where the outside has its usual depth
    hedged_book.FLOATS + " holding_usd capital_usd bid_room_usd ask_room_usd pace",
    int_arrays=targets(N_SLOTS) | hedged_book.INT_LEGS,
    float_arrays=hedged_book.FLOAT_LEGS,
)


@dataclass(frozen=True)
class ArbitrageurParams:
    """The arbitrageurs of all assets; one account is one trader in one asset.

    Examples
    --------
    >>> ArbitrageurParams().edge_bp
    (0.3, 1.2, 2.5)
    """

    accounts: Mapping[str, int] = param(
        {"BTC": 3, "ETH": 3, "SOL": 3, "HYPE": 3}, unit="1", help="traders of an asset"
    )
    capital_perp_days: Mapping[str, float] = param(
        {"BTC": 0.1, "ETH": 0.1, "SOL": 0.1, "HYPE": 0.25},
        unit="day",
        help="capacity of the perp leg, of its average volume, all traders",
        source="a quarter of open interest in each asset: docs/decisions/0041-crowd-fit",
    )
    capital_spot_days: float = param(
        0.1, unit="day", help="capacity of the spot leg, of its volume, all traders", low=0.0
    )
    perp_volume_usd: Mapping[str, float] = param(
        PERP_VOLUME_USD, unit="USD/day", help="perp volume", source=VOLUME_SOURCE
    )
    spot_volume_usd: Mapping[str, float] = param(
        SPOT_VOLUME_USD, unit="USD/day", help="spot volume", source=VOLUME_SOURCE
    )
    speed_s: float = param(
        45.0, unit="s", help="time in which capacity would be used once", low=0.1
    )
    gap_scale_bp: float = param(
        50.0, unit="bp", help="gap that adds one time the capacity", low=0.1
    )
    boost_max: float = param(
        7.0,
        unit="1",
        help="largest multiple of capacity; fixed capital let books decouple",
        low=1.0,
    )
    edge_bp: tuple[float, ...] = param(
        (0.3, 1.2, 2.5), unit="bp", help="what a trader wants beyond its cost, trader by trader"
    )
    fee_perp_bp: float = param(
        2.6,
        unit="bp",
        help="taker fee that enters the cost, perp",
        source="Hyperliquid docs, fees: tier above 2B USD of volume, 2026-08-19",
    )
    fee_spot_bp: float = param(
        3.0,
        unit="bp",
        help="taker fee that enters the cost, spot",
        source="Hyperliquid docs, fees: tier above 2B USD of volume, 2026-08-19",
    )
    shift_bp: float = param(
        4.0, unit="bp", help="charge at full inventory; 8 moved funding off its floor", low=0.0
    )
    rest_frac: float = param(
        0.05,
        unit="1",
        help="resting size, of the taking size at that gap; 1 would fill every forced order",
        low=0.0,
    )
    rest_bp: tuple[float, ...] = param(
        (3.0, 10.0, 30.0, 80.0), unit="bp", help="distances of the four resting levels beyond cost"
    )
    tolerance_frac: float = param(
        0.3, unit="1", help="requote tolerance, of a quote's distance", low=0.0, high=1.0
    )
    equity_days: float = param(
        0.02, unit="day", help="USDC at the opening, of the volume of both legs, all traders"
    )
    purse_days: float = param(
        0.1,
        unit="day",
        help="USDC that can be brought in as positions grow, of the volume of both legs",
        low=0.0,
    )
    usual_impact_bp_per_musd: Mapping[str, float] = param(
        {"BTC": 0.3, "ETH": 0.8, "SOL": 2.5, "HYPE": 10.0},
        unit="bp/MUSD",
        help="impact outside at which orders have their full size; thinner books take less",
        source="of the scenario `hyperliquid`, under which sizes and speeds were fitted",
    )
    stock_days: float = param(
        0.05, unit="day", help="tokens at the opening, of spot volume, all traders"
    )
    margin_frac: float = param(
        0.8, unit="1", help="share of free margin that one order may use", low=0.0, high=1.0
    )


@inline_kernel
def decide(me: Me, mkt: Market, p: Any, out: Outbox) -> None:
    """Hedge, then take and rest on both legs."""
    m: Any = me.memory
    look_at_book(me, mkt, p, 0.0)
    hedge(me, p, out, 1.0)
    if me.account.n_pending > 0:
        return
    if me.account.breached != 0:
        if me.order.shape[0] > 0:
            cancel_all(out, Sender(me.account), -1)
        return
    keep_stocks(me, mkt, p, out)
    asset = mkt.asset[p.asset]
    for kind in range(2):
        inst = leg_inst(asset, kind)
        price = outside_usd(asset, kind)
        if inst >= 0 and price > 0.0:
            _see_room(m, p, asset, me.account, me.leverage[inst], kind, price)
            set_orders(m, p, asset, mkt.inst[inst], kind, price, float(mkt.clock[0].dt_ms))
            if m.take_lots > 0:
                place(
                    out, Sender(me.account), inst, m.take_side, m.take_tick, m.take_lots, IOC, 0, 0
                )
            refresh(me, out, inst, kind * N_SIDES, N_LEVELS, N_SLOTS, N_LEVELS, 0)


@inline_kernel
def _see_room(
    m: Any, p: Any, asset: Any, account: Any, leverage: int, kind: int, price: float
) -> None:
    """Note what is held of a leg, its capacity, and what cash, tokens and margin can bear."""
    m.holding_usd = float(m.held_lots[kind] - neutral_lots(p, kind)) * m.lot_size * price
    m.capital_usd = p.capital_usd[kind] * asset.arbitrage
    if kind == OUTSIDE_SPOT:
        m.bid_room_usd = p.margin_frac * m.free_usd
        m.ask_room_usd = float(m.held_lots[kind]) * m.lot_size * price
        return
    free = account.available_usd
    if account.equity_usd == 0.0:
        free = m.inside_usd  # before the first mark update all margin figures are 0
    room = p.margin_frac * (free if free > 0.0 else 0.0) * float(leverage)
    m.bid_room_usd = room - (m.holding_usd if m.holding_usd < 0.0 else 0.0)
    m.ask_room_usd = room + (m.holding_usd if m.holding_usd > 0.0 else 0.0)


@inline_kernel
def set_orders(m: Any, p: Any, asset: Any, book: Any, kind: int, price: float, dt: float) -> None:
    """Set the taking order and the resting targets of one leg."""
    m.take_lots = 0
    full = m.holding_usd / m.capital_usd if m.capital_usd > 0.0 else 0.0
    full = full if full < 1.0 else 1.0
    full = full if full > -1.0 else -1.0
    value = price * (1.0 - 1e-4 * p.shift_bp * full)
    m.pace = _pace(p, asset, kind)
    half_spread = asset.perp_half_spread if kind == OUTSIDE_PERP else asset.spot_half_spread
    cost_bp = p.fee_bp[kind] + p.edge_bp + 1e4 * half_spread
    if m.capital_usd > 0.0:
        _set_take(m, p, book, value, cost_bp, dt)
    lot_usd = book.lot_size * value
    for level in range(N_LEVELS):
        gap_bp = p.rest_bp[level]
        away = value * 1e-4 * (cost_bp + gap_bp)
        slack = int(p.tolerance_frac * away / book.tick_usd)
        capacity = _capacity_usd(m, p, gap_bp)
        size = m.pace * p.rest_frac * capacity * p.speed_per_ms * dt
        slot = kind * N_SIDES + level
        usd = _least(size, capacity - m.holding_usd, m.bid_room_usd)
        set_target(m, slot, bid_tick(value - away, book.tick_usd), lots_of(usd, lot_usd), slack)
        slot += N_LEVELS
        usd = _least(size, capacity + m.holding_usd, m.ask_room_usd)
        set_target(m, slot, ask_tick(value + away, book.tick_usd), lots_of(usd, lot_usd), slack)


@inline_kernel
def _pace(p: Any, asset: Any, kind: int) -> Any:
    """Return the usual impact outside over the present one, at most 1."""
    impact = asset.perp_impact_per_musd if kind == OUTSIDE_PERP else asset.spot_impact_per_musd
    return p.usual_impact_per_musd / impact if impact > p.usual_impact_per_musd > 0.0 else 1.0


@inline_kernel
def _capacity_usd(m: Any, p: Any, gap_bp: float) -> Any:
    """Return the capacity at a gap: capital comes in as it widens."""
    boost = 1.0 + gap_bp / p.gap_scale_bp
    return m.capital_usd * (boost if boost < p.boost_max else p.boost_max)


@inline_kernel
def _least(a: float, b: float, c: float) -> float:
    least = a if a < b else b
    return least if least < c else c


@inline_kernel
def _set_take(m: Any, p: Any, book: Any, value: float, cost_bp: float, dt: float) -> None:
    """Set an IOC order against the side of the book that pays, if one does."""
    highest = bid_tick(value * (1.0 - 1e-4 * cost_bp), book.tick_usd)
    lowest = ask_tick(value * (1.0 + 1e-4 * cost_bp), book.tick_usd)
    lot_usd = book.lot_size * value
    if book.best_ask_tick < EMPTY_ASK and book.best_ask_tick <= highest < N_TICKS:
        gap_bp = 1e4 * float(highest - book.best_ask_tick) / float(highest)
        usd = _clip_usd(m, p, gap_bp, m.holding_usd, book.ask_depth_usd, dt)
        m.take_side, m.take_tick = BUY, highest
        m.take_lots = lots_of(usd if usd < m.bid_room_usd else m.bid_room_usd, lot_usd)
    elif book.best_bid_tick >= lowest > 0:
        gap_bp = 1e4 * float(book.best_bid_tick - lowest) / float(lowest)
        usd = _clip_usd(m, p, gap_bp, -m.holding_usd, book.bid_depth_usd, dt)
        m.take_side, m.take_tick = SELL, lowest
        m.take_lots = lots_of(usd if usd < m.ask_room_usd else m.ask_room_usd, lot_usd)


@inline_kernel
def _clip_usd(m: Any, p: Any, gap_bp: float, holding: float, depth_usd: float, dt: float) -> Any:
    """Return the size of one taking order; the holding is signed in its direction."""
    capacity = _capacity_usd(m, p, gap_bp)
    clip = capacity * p.speed_per_ms * dt
    closing = 0.5 * depth_usd * pow_(gap_bp / DEPTH_DISTANCE_BP, DEPTH_EXPONENT)
    # A swept book shows no depth; the limit price bounds what happens there.
    least = p.rest_frac * clip
    closing = closing if closing > least else least
    return _least(m.pace * clip, m.pace * closing, capacity - holding)


@kernel
def run(
    accounts: Accounts, mkt: Market, users: I64, parameters: Records, memory: Records, out: Outbox
) -> None:
    """Let each account of a desk decide."""
    for j in range(users.shape[0]):
        decide(look(accounts, users[j], memory[j]), mkt, parameters[j], out)


RULE = Rule("arbitrageur", CLASS_NUMBERS["arbitrageur"], PARAMETERS, MEMORY, decide, run)


def account_parameters(
    params: ArbitrageurParams,
    keys: I64,
    *,
    asset: int,
    name: str,
    price_usd: float,
    lot_size: float,
    has_spot: bool = True,
) -> Records:
    """Return the parameters of one asset's arbitrageurs.

    Parameters
    ----------
    params : ArbitrageurParams
        Of the class.
    keys : ndarray of int64, shape (n,)
        Account keys.
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
    >>> keys = np.arange(3) + (7 << 20)
    >>> r = account_parameters(
    ...     ArbitrageurParams(), keys, asset=0, name="BTC", price_usd=8e4, lot_size=1e-5
    ... )
    >>> [round(float(x)) for x in r["capital_usd"].sum(0)]
    [3700000, 357000000]
    """
    n = len(keys)
    r = np.zeros(n, PARAMETERS)
    share = 1.0 / max(1, n)
    perp = params.perp_volume_usd.get(name, 0.0)
    spot = params.spot_volume_usd.get(name, 0.0) if has_spot else 0.0
    r["asset"] = asset
    r["capital_usd"][:, OUTSIDE_SPOT] = share * params.capital_spot_days * spot
    r["capital_usd"][:, OUTSIDE_PERP] = share * params.capital_perp_days.get(name, 0.0) * perp
    r["equity_usd"] = share * params.equity_days * (perp + spot)
    r["purse_usd"] = share * max(params.purse_days, params.equity_days) * (perp + spot)
    r["spot_lots"] = round(share * params.stock_days * spot / (price_usd * lot_size))
    r["fee_bp"][:, OUTSIDE_SPOT] = params.fee_spot_bp
    r["fee_bp"][:, OUTSIDE_PERP] = params.fee_perp_bp
    r["edge_bp"] = [params.edge_bp[j % len(params.edge_bp)] for j in range(n)]
    r["rest_bp"] = params.rest_bp
    r["speed_per_ms"] = 1.0 / (1000.0 * params.speed_s)
    r["gap_scale_bp"] = params.gap_scale_bp
    r["boost_max"] = params.boost_max
    r["shift_bp"] = params.shift_bp
    r["rest_frac"] = params.rest_frac
    r["tolerance_frac"] = params.tolerance_frac
    r["margin_frac"] = params.margin_frac
    r["usual_impact_per_musd"] = 1e-4 * params.usual_impact_bp_per_musd.get(name, 0.0)
    return r
