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

from typing import Any, Final

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
from stressbook.agents.maker_parameters import (
    N_LEVELS,
    PARAMETERS,
    MarketMakerParams,
    account_parameters,
)
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
from stressbook.agents.view import Accounts, Market, Me, look
from stressbook.market.compiling.arrays import I64, Records
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.numbers.draws import (
    CLASS_NUMBERS,
    PURPOSE_MAKER_QUOTE,
    PURPOSE_MAKER_RETURN_DELAY,
    uniform,
)
from stressbook.market.prices.outside_market import OUTSIDE_PERP, OUTSIDE_SPOT
from stressbook.market.state.records import EMPTY_ASK, EMPTY_BID

__all__ = [
    "MEMORY",
    "PARAMETERS",
    "RULE",
    "MarketMakerParams",
    "account_parameters",
    "decide",
    "run",
]

N_SIDES: Final = 2 * N_LEVELS
N_SLOTS: Final = 2 * N_SIDES  # spot leg first

MEMORY = array_record(
    hedged_book.INTS + " counter away_until_ms n_pulls",
    # willing_frac: share of size that the maker itself is willing to show
    hedged_book.FLOATS + " willing_frac widening",
    int_arrays=targets(N_SLOTS) | hedged_book.INT_LEGS,
    # slow_lots: average inventory; seen_usd: fair value at the last look
    float_arrays={"slow_lots": 2, "seen_usd": 2} | hedged_book.FLOAT_LEGS,
)


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
