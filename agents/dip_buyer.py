"""Dip buyers: deep, patient bids far below the market, and asks far above it.

Levels stand at fixed distances from a slow average of the outside price, so that a fast fall runs
into them instead of pushing them ahead. A level that was hit is filled up again slowly. What was
bought is offered back a little above that average, a part at a time; what was sold short is bought
back likewise, with the sign of the position that is really there.

All sizes and speeds are assumed, from trial runs: without such bids prices ran to the clamp.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stressbook.agents.execution import Sender
from stressbook.agents.outbox import Outbox, cancel_all
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
from stressbook.agents.traits import equities, halflife_weight, trait
from stressbook.agents.view import Accounts, Market, Me, look
from stressbook.market.compiling.arrays import I64, Records
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.rules.parameters import param
from stressbook.market.state.codes import PERP, SPOT

N_DEEP: Final = 7
N_LEVELS: Final = 1 + N_DEEP  # level 0 gives inventory back
N_SLOTS: Final = 2 * N_LEVELS
LEAST_REFILL: Final = 0.25  # of a level: an emptied one returns when it has grown to this

PARAMETERS = array_record(
    "asset inst spot_lots interval_ms phase_ms",
    "equity_usd anchor_weight refill_weight release_weight release_frac tolerance_frac",
    float_arrays={"distance_frac": N_DEEP, "bid_usd": N_DEEP, "ask_usd": N_DEEP},
)
MEMORY = array_record(
    "counter next_ms",
    "anchor_usd",
    int_arrays=targets(N_SLOTS) | {"resting_lots": N_SLOTS},
    float_arrays={"left_frac": N_SLOTS},
)


@dataclass(frozen=True)
class DipBuyerParams:
    """The dip buyers of all books; one account stands in one book.

    Examples
    --------
    >>> DipBuyerParams().perp_usd["BTC"]
    150000000.0
    """

    accounts: int = param(2, unit="1", help="dip buyers of a book", low=0)
    size_factor: float = param(
        1.0, unit="1", help="multiplies bids, asks and equity", low=0.0, high=100.0
    )
    perp_usd: Mapping[str, float] = param(
        {"BTC": 150e6, "ETH": 100e6, "SOL": 60e6, "HYPE": 60e6},
        unit="USD",
        help="bids in a perp book together",
    )
    spot_usd: Mapping[str, float] = param(
        {"BTC": 40e6, "ETH": 25e6, "SOL": 15e6, "HYPE": 40e6},
        unit="USD",
        help="bids in a spot book together",
    )
    ask_ratio: float = param(0.5, unit="1", help="asks, of the bids", low=0.0, high=1.0)
    distance_frac: tuple[float, ...] = param(
        (0.03, 0.05, 0.08, 0.13, 0.2, 0.32, 0.5),
        unit="1",
        help="distances of the seven levels, equal in size, from the anchor",
    )
    distance_spread: float = param(
        0.1, unit="1", help="largest deviation of an account's distances from the mean", low=0.0
    )
    equity_spread: float = param(
        0.3, unit="1", help="largest deviation of an account's size from the mean", low=0.0
    )
    anchor_halflife_min: float = param(
        30.0, unit="min", help="half-life of the average of the outside price", low=0.1
    )
    refill_min: float = param(
        30.0, unit="min", help="half-life of what is missing in a level", low=0.1
    )
    release_h: float = param(
        12.0, unit="h", help="half-life of inventory, were its offers always taken", low=0.1
    )
    release_frac: float = param(
        0.005, unit="1", help="distance from the anchor at which inventory is offered", low=0.0
    )
    tolerance_frac: float = param(
        0.1, unit="1", help="requote tolerance, of a level's distance", low=0.0, high=1.0
    )
    interval_s: float = param(60.0, unit="s", help="time between two looks", low=1.0)
    equity_ratio: float = param(
        0.5, unit="1", help="USDC at the opening, of the bids; perp books only", low=0.0
    )


@inline_kernel
def decide(me: Me, mkt: Market, p: Any, out: Outbox) -> None:
    """At each look: follow the price slowly, see what was hit, fill up, offer inventory."""
    m: Any = me.memory
    now = mkt.clock[0].t_ms
    book = mkt.inst[p.inst]
    asset = mkt.asset[p.asset]
    price = asset.outside_perp_usd if book.kind == PERP else asset.outside_spot_usd
    if m.next_ms == 0:
        _start(m, p, now, price)
    if now < m.next_ms or me.account.n_pending > 0 or price <= 0.0:
        return
    m.next_ms = now + p.interval_ms
    m.anchor_usd += p.anchor_weight * (price - m.anchor_usd)
    if me.account.breached != 0:
        if me.order.shape[0] > 0:
            cancel_all(out, Sender(me.account), -1)
        return
    see_what_was_hit(me, p)
    set_deep_levels(m, p, book)
    held = me.position[p.inst]
    if book.kind == SPOT:
        held = me.token[book.token] // book.lot_units - p.spot_lots
    set_release(m, p, book, held)
    refresh(me, out, p.inst, 0, N_LEVELS, N_SLOTS, N_LEVELS, 0)


@inline_kernel
def _start(m: Any, p: Any, now: int, price: float) -> None:
    m.anchor_usd = price
    m.next_ms = now + p.phase_ms
    for slot in range(N_SLOTS):
        m.left_frac[slot] = 1.0


@inline_kernel
def see_what_was_hit(me: Me, p: Any) -> None:
    """Lower each level to what still rests of it, then let it grow again."""
    m: Any = me.memory
    for slot in range(N_SLOTS):
        m.resting_lots[slot] = 0
    for k in range(me.order.shape[0]):
        m.resting_lots[me.order[k].client_id % N_SLOTS] += me.order[k].qty_lots
    for slot in range(N_SLOTS):
        wanted = m.target_lots[slot]
        if wanted > 0 and m.resting_lots[slot] < wanted:
            m.left_frac[slot] *= float(m.resting_lots[slot]) / float(wanted)
        m.left_frac[slot] += p.refill_weight * (1.0 - m.left_frac[slot])


@inline_kernel
def set_deep_levels(m: Any, p: Any, book: Any) -> None:
    """Set the deep bids and asks around the anchor."""
    lot_usd = book.lot_size * m.anchor_usd
    for level in range(N_DEEP):
        away = m.anchor_usd * p.distance_frac[level]
        slack = int(p.tolerance_frac * away / book.tick_usd)
        slot = 1 + level
        usd = _left_usd(m, slot, p.bid_usd[level])
        bid = bid_tick(m.anchor_usd - away, book.tick_usd)
        set_target(m, slot, bid, lots_of(usd, lot_usd), slack)
        slot += N_LEVELS
        usd = _left_usd(m, slot, p.ask_usd[level])
        ask = ask_tick(m.anchor_usd + away, book.tick_usd)
        set_target(m, slot, ask, lots_of(usd, lot_usd), slack)


@inline_kernel
def _left_usd(m: Any, slot: int, whole_usd: float) -> Any:
    left = m.left_frac[slot]
    return left * whole_usd if left >= LEAST_REFILL or m.resting_lots[slot] > 0 else 0.0


@inline_kernel
def set_release(m: Any, p: Any, book: Any, held_lots: int) -> None:
    """Offer a part of the signed inventory on the side that reduces it."""
    lots = int(p.release_weight * float(held_lots))
    away = m.anchor_usd * p.release_frac
    slack = int(p.tolerance_frac * away / book.tick_usd)
    set_target(m, 0, bid_tick(m.anchor_usd - away, book.tick_usd), -lots, slack)
    set_target(m, N_LEVELS, ask_tick(m.anchor_usd + away, book.tick_usd), lots, slack)
    m.left_frac[0] = 1.0
    m.left_frac[N_LEVELS] = 1.0


@kernel
def run(
    accounts: Accounts, mkt: Market, users: I64, parameters: Records, memory: Records, out: Outbox
) -> None:
    """Let each account of a desk decide."""
    for j in range(users.shape[0]):
        decide(look(accounts, users[j], memory[j]), mkt, parameters[j], out)


RULE = Rule("dip_buyer", CLASS_NUMBERS["dip_buyer"], PARAMETERS, MEMORY, decide, run)


def account_parameters(
    params: DipBuyerParams,
    keys: I64,
    *,
    seed: int,
    asset: int,
    name: str,
    inst: int,
    kind: int,
    price_usd: float,
    lot_size: float,
) -> Records:
    """Return the parameters of one book's dip buyers.

    Parameters
    ----------
    params : DipBuyerParams
        Of the class.
    keys : ndarray of int64, shape (n,)
        Account keys; each account's traits are drawn by its own key.
    seed : int
        Of the run.
    asset : int
        Index of the asset in the venue.
    name : str
        Its name.
    inst : int
        Index of the book.
    kind : int
        `codes.SPOT` or `codes.PERP`.
    price_usd : float
        Opening price of the asset.
    lot_size : float
        Lot of the book, in tokens.

    Returns
    -------
    ndarray of PARAMETERS, shape (n,)
        `equity_usd` is the USDC to open with, `spot_lots` the tokens, in lots of the book.

    Examples
    --------
    >>> import numpy as np
    >>> r = account_parameters(
    ...     DipBuyerParams(), np.arange(2) + (8 << 20), seed=7, asset=0, name="BTC", inst=0,
    ...     kind=PERP, price_usd=8e4, lot_size=1e-5,
    ... )
    >>> round(float(r["bid_usd"].sum()))
    150000000
    """
    n = len(keys)
    r = np.zeros(n, PARAMETERS)
    totals = params.perp_usd if kind == PERP else params.spot_usd
    width = params.equity_spread
    total_usd = params.size_factor * totals.get(name, 0.0)
    own_usd = equities(trait(seed, keys, 0, 1.0 - width, 1.0 + width), total_usd)
    width = params.distance_spread
    stretch = trait(seed, keys, 1, 1.0 - width, 1.0 + width)
    r["asset"], r["inst"] = asset, inst
    r["distance_frac"] = np.outer(stretch, params.distance_frac)
    r["bid_usd"] = np.outer(own_usd, np.full(N_DEEP, 1.0 / N_DEEP))
    r["ask_usd"] = params.ask_ratio * r["bid_usd"]
    r["equity_usd"] = own_usd if kind == SPOT else params.equity_ratio * own_usd
    if kind == SPOT:
        stock_lots = params.ask_ratio * own_usd / (price_usd * lot_size)
        r["spot_lots"] = np.rint(stock_lots).astype(np.int64)
    interval_s = params.interval_s
    r["interval_ms"] = round(1000.0 * interval_s)
    r["phase_ms"] = (1000.0 * interval_s * trait(seed, keys, 2)).astype(np.int64)
    r["anchor_weight"] = halflife_weight(interval_s, 60.0 * params.anchor_halflife_min)
    r["refill_weight"] = halflife_weight(interval_s, 60.0 * params.refill_min)
    r["release_weight"] = halflife_weight(interval_s, 3600.0 * params.release_h)
    r["release_frac"] = params.release_frac
    r["tolerance_frac"] = params.tolerance_frac
    return r
