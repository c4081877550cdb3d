"""Directional traders: leveraged bets on one asset, held for days, refilled from outside.

A trader waits, enters one side in many small orders, holds, leaves the same way, and waits again.
The side is a coin with a long bias and a sentiment that all traders of the asset share, weighted
against the side that pays more funding than on calm hours. At each entry its money is brought to
the same amount, through `outside`: deposits make good what it lost, withdrawals take away what it
won. So the class can lose for ever and keep its size, and one that was liquidated comes back.
Holding times are exponential: what is left of one does not depend on its age.

Leverage is heavy-tailed; its density of liquidation prices is the fuel of a cascade.

Source: shares of open interest by leverage, Hyperliquid, January 2026 (48 % at 3-7x, 36 % below
3x); times and sentiment assumed, from trial runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stressbook.agents.execution import price_usd, take
from stressbook.agents.outbox import Outbox, deposit, withdraw
from stressbook.agents.rule import Rule
from stressbook.agents.traits import normal_trait, pareto_trait
from stressbook.agents.view import Accounts, Market, Me, look
from stressbook.market.compiling.arrays import F64, I64, Records, record_dtype
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.lending.lending_rates import HOURS_PER_YEAR
from stressbook.market.numbers.draws import (
    CLASS_NUMBERS,
    PURPOSE_DIRECTIONAL_ENTRY,
    PURPOSE_DIRECTIONAL_HOLD,
    PURPOSE_DIRECTIONAL_SIDE,
    PURPOSE_SENTIMENT,
    uniform,
)
from stressbook.market.numbers.elementary import exp, ln, normal_quantile
from stressbook.market.numbers.quantiles import exponential_from_uniform
from stressbook.market.numbers.units import MS_PER_HOUR
from stressbook.market.rules.listing import MarginTier
from stressbook.market.rules.parameters import param
from stressbook.market.state.codes import REDUCE_ONLY

FLAT: Final = 0
ENTERING: Final = 1
HOLDING: Final = 2
LEAVING: Final = 3

SENTIMENT_HOURS: Final = 48  # of a moving average that stands for the whole past
CALM_FUNDING_HOURLY: Final = 1.25e-5  # the venue's interest rate, where funding mostly rests
OPENING_HOUR: Final = 4_096  # hour of the draws at which a run opens: its past needs some, too
MAX_SIDE_PROBABILITY: Final = 0.98
LARGEST_SHARE: Final = 0.015  # of the gross, 3 % of open interest: no trader is the cascade
MARGIN_ROOM: Final = 1.25  # leverage setting over leverage taken
TIER_SHARE: Final = 0.8  # of the maximum leverage of a position's tier
MULTIPLIED_TIER_SHARE: Final = 0.9  # the same when leverage is multiplied

PARAMETERS = record_dtype(
    "asset child_ms n_children",
    "equity_usd leverage hold_s flat_s long_bias sentiment_scale sentiment_decay funding_aversion "
    "slippage_frac",
)
MEMORY = record_dtype("next_ms phase until_ms target_lots child_lots")


@dataclass(frozen=True)
class DirectionalParams:
    """The directional traders of all assets.

    Examples
    --------
    >>> DirectionalParams().hold_h["BTC"]
    48.0
    """

    accounts: Mapping[str, int] = param(
        {"BTC": 160, "ETH": 150, "SOL": 130, "HYPE": 140},
        unit="1",
        help="traders of an asset",
        source="assumed; BTC and HYPE worked in trial runs",
    )
    gross_usd: Mapping[str, float] = param(
        {"BTC": 2.2e9, "ETH": 1.2e9, "SOL": 0.5e9, "HYPE": 0.8e9},
        unit="USD",
        help="sum of their |positions| in the long run",
        source="assumed; Hyperliquid's open interest was 5 to 10 billion USD early in 2026",
    )
    leverage_median: Mapping[str, float] = param(
        {"BTC": 3.2, "ETH": 2.9, "SOL": 2.6, "HYPE": 2.4},
        unit="1",
        help="median of position over money at the entry",
        source="shares of open interest by leverage, Hyperliquid, 2026-01; by asset assumed",
    )
    leverage_log_sd: float = param(
        0.9, unit="1", help="deviation of its logarithm", low=0.0, source="assumed"
    )
    leverage_max: Mapping[str, float] = param(
        {"BTC": 30.0, "ETH": 20.0, "SOL": 15.0, "HYPE": 8.0},
        unit="1",
        help="largest leverage taken, below the venue's maximum",
    )
    leverage_multiplier: float = param(
        1.0, unit="1", help="divides their money at the same positions", low=0.0
    )
    wealth_tail: float = param(
        1.25, unit="1", help="exponent of the Pareto tail of their money", low=0.1
    )
    wealth_ratio: float = param(25.0, unit="1", help="largest money over the smallest", low=1.0)
    hold_h: Mapping[str, float] = param(
        {"BTC": 48.0, "ETH": 48.0, "SOL": 48.0, "HYPE": 120.0},
        unit="h",
        help="mean time that a position is held; it makes their share of volume alike",
        source="assumed; daily volume over open interest of HYPE is 0.4 of BTC's",
    )
    flat_h: Mapping[str, float] = param(
        {"BTC": 24.0, "ETH": 24.0, "SOL": 24.0, "HYPE": 60.0},
        unit="h",
        help="mean time between positions",
    )
    children: int = param(60, unit="1", help="orders of an entry or exit", low=1)
    child_s: float = param(10.0, unit="s", help="time between them", low=1.0)
    long_bias: Mapping[str, float] = param(
        {"BTC": 0.05, "ETH": 0.05, "SOL": 0.03, "HYPE": 0.08},
        unit="1",
        help="probability of a long above one half: longs take the other side of hedged books",
        source="assumed; 0.05 worked in trial runs on BTC, 0 made funding fall to its floor",
    )
    sentiment_sd: float = param(
        0.05, unit="1", help="deviation of the shared part of that probability", low=0.0
    )
    sentiment_halflife_h: float = param(6.0, unit="h", help="its half-life", low=0.1)
    funding_aversion: float = param(
        0.2,
        unit="year",
        help="fall of that probability by the yearly funding that longs pay beyond calm hours",
        source="assumed; without it crowds leaned on funding of 100 % a year as if it were none",
        low=0.0,
    )
    slippage_frac: float = param(0.01, unit="1", help="worst price from the middle", low=0.0)


@inline_kernel
def decide(me: Me, mkt: Market, p: Any, out: Outbox) -> None:
    """Wait, enter, hold, leave."""
    m = me.memory
    now = mkt.clock[0].t_ms
    if now < m.next_ms or me.account.n_pending > 0:
        return
    m.next_ms = now + p.child_ms
    if me.account.breached != 0:
        return
    perp = mkt.asset[p.asset].perp_inst
    lots = me.position[perp]
    if m.phase == FLAT and lots == 0:
        if now >= m.until_ms:
            _refill(me, p, out)
            _choose(me, mkt, p)
        return
    if lots == 0 and m.phase != ENTERING:
        # Sold out, liquidated or deleveraged: gone either way.
        m.phase = FLAT
        m.until_ms = now + _wait_ms(me, mkt, PURPOSE_DIRECTIONAL_ENTRY, p.flat_s)
    elif m.phase == ENTERING:
        if lots == m.target_lots or now >= m.until_ms:
            m.phase = HOLDING
            m.until_ms = now + _wait_ms(me, mkt, PURPOSE_DIRECTIONAL_HOLD, p.hold_s)
        else:
            _send(me, mkt, p, out, m.target_lots - lots, 0)
    elif m.phase != HOLDING:
        _send(me, mkt, p, out, -lots, REDUCE_ONLY)
    elif now >= m.until_ms:
        m.phase = LEAVING
        size = lots if lots > 0 else -lots
        m.child_lots = size // p.n_children + 1


@inline_kernel
def _send(me: Me, mkt: Market, p: Any, out: Outbox, error_lots: int, flags: int) -> None:
    most = me.memory.child_lots
    lots = error_lots if error_lots < most else most
    lots = lots if lots > -most else -most
    perp = mkt.asset[p.asset].perp_inst
    take(out, me.account, mkt, perp, lots, p.slippage_frac, flags)


@inline_kernel
def _refill(me: Me, p: Any, out: Outbox) -> None:
    """Bring the money of a flat account to its own amount, from or to outside."""
    missing = int(p.equity_usd * 1e6) - me.account.cash_micro
    if missing > 0:
        deposit(out, me, 0, missing)
    elif missing < 0:
        withdraw(out, me, 0, -missing)


@inline_kernel
def _choose(me: Me, mkt: Market, p: Any) -> None:
    """Draw the side of the next position and begin to enter it."""
    m = me.memory
    clock = mkt.clock[0]
    perp = mkt.asset[p.asset].perp_inst
    lot_usd = mkt.inst[perp].lot_size * price_usd(mkt, perp)
    if lot_usd <= 0.0:
        return
    hour = OPENING_HOUR + clock.t_ms // MS_PER_HOUR
    probability = long_probability(clock.seed_key0, clock.seed_key1, p, hour)
    probability = _possible(probability - p.funding_aversion * _dearer_yearly(mkt, p.asset))
    u = uniform(
        clock.seed_key0,
        clock.seed_key1,
        PURPOSE_DIRECTIONAL_SIDE,
        me.account.key,
        clock.t_ms,
        0,
    )
    lots = int(p.equity_usd * p.leverage / lot_usd)
    m.target_lots = lots if u < probability else -lots
    m.child_lots = lots // p.n_children + 1
    m.phase = ENTERING
    m.until_ms = clock.t_ms + 2 * p.n_children * p.child_ms


@inline_kernel
def _dearer_yearly(mkt: Market, asset: int) -> Any:
    """Return what longs pay a year beyond calm hours, as last booked; 0 before there is any."""
    if mkt.clock[0].t_ms < MS_PER_HOUR:
        return 0.0
    return HOURS_PER_YEAR * (mkt.asset[asset].funding_hourly - CALM_FUNDING_HOURLY)


@inline_kernel
def _wait_ms(me: Me, mkt: Market, purpose: int, mean_s: float) -> int:
    clock = mkt.clock[0]
    u = uniform(clock.seed_key0, clock.seed_key1, purpose, me.account.key, clock.t_ms, 0)
    return int(1000.0 * exponential_from_uniform(u, mean_s))


@inline_kernel
def long_probability(seed_key0: int, seed_key1: int, p: Any, hour: int) -> Any:
    """Return the probability of a long at an hour of the draws, bias and shared sentiment in."""
    return _possible(0.5 + p.long_bias + sentiment(seed_key0, seed_key1, p, hour))


@inline_kernel
def _possible(probability: float) -> Any:
    """Return a probability that leaves both sides some chance."""
    low = 1.0 - MAX_SIDE_PROBABILITY
    probability = probability if probability > low else low
    return probability if probability < MAX_SIDE_PROBABILITY else MAX_SIDE_PROBABILITY


@inline_kernel
def sentiment(seed_key0: int, seed_key1: int, p: Any, hour: int) -> Any:
    """Return the sentiment of an asset at an hour, the same for all of its traders.

    An autoregression, written as the average of its innovations: none has to remember it.
    """
    total = 0.0
    weight = 1.0
    for lag in range(SENTIMENT_HOURS):
        u = uniform(seed_key0, seed_key1, PURPOSE_SENTIMENT, p.asset, (hour - lag) * MS_PER_HOUR, 0)
        total += weight * normal_quantile(u)
        weight *= p.sentiment_decay
    return p.sentiment_scale * total


@kernel
def run(
    accounts: Accounts, mkt: Market, users: I64, parameters: Records, memory: Records, out: Outbox
) -> None:
    """Let each account of a desk decide."""
    for j in range(users.shape[0]):
        decide(look(accounts, users[j], memory[j]), mkt, parameters[j], out)


RULE = Rule("directional", CLASS_NUMBERS["directional"], PARAMETERS, MEMORY, decide, run)


def account_parameters(
    params: DirectionalParams,
    keys: I64,
    *,
    seed: int,
    asset: int,
    name: str,
    tiers: Sequence[MarginTier],
) -> Records:
    """Return the parameters of one asset's directional traders.

    Parameters
    ----------
    params : DirectionalParams
        Of the class.
    keys : ndarray of int64, shape (n,)
        Account keys; each account's traits are drawn by its own key.
    seed : int
        Of the run.
    asset : int
        Index of the asset in the venue.
    name : str
        Its name.
    tiers : sequence of MarginTier
        Of the asset's perp: they bound the leverage of large positions.

    Returns
    -------
    ndarray of PARAMETERS, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> keys, tiers = np.arange(160) + (5 << 20), [MarginTier(0.0, 40)]
    >>> records = account_parameters(
    ...     DirectionalParams(), keys, seed=7, asset=0, name="BTC", tiers=tiers
    ... )
    >>> bool((records["leverage"] <= 32.0).all())
    True
    """
    r = np.zeros(len(keys), PARAMETERS)
    equity, notional = _sizes(params, keys, seed=seed, name=name, tiers=tiers)
    decay = exp(-ln(2.0) / params.sentiment_halflife_h)
    r["asset"] = asset
    r["child_ms"] = round(params.child_s * 1000.0)
    r["n_children"] = params.children
    r["equity_usd"] = equity
    r["leverage"] = notional / np.where(equity > 0.0, equity, 1.0)
    r["hold_s"] = params.hold_h[name] * 3600.0
    r["flat_s"] = params.flat_h[name] * 3600.0
    r["long_bias"] = params.long_bias.get(name, 0.0)
    r["sentiment_decay"] = decay
    r["funding_aversion"] = params.funding_aversion
    r["sentiment_scale"] = params.sentiment_sd * math.sqrt(1.0 - decay * decay)
    r["slippage_frac"] = params.slippage_frac
    return r


def leverage_setting(leverage: float, notional_usd: float, tiers: Sequence[MarginTier]) -> int:
    """Return the leverage that an account sets at the venue for the positions it takes.

    Parameters
    ----------
    leverage : float
        Position over money at the entry.
    notional_usd : float
        Position, USD.
    tiers : sequence of MarginTier
        Of the perp.

    Returns
    -------
    int
        Above `leverage`, with room for fees and losses, up to the tier's maximum.

    Examples
    --------
    >>> leverage_setting(3.0, 1e6, [MarginTier(0.0, 40)])
    5
    """
    return min(int(MARGIN_ROOM * leverage) + 2, _tier_leverage(notional_usd, tiers))


def _tier_leverage(notional_usd: float, tiers: Sequence[MarginTier]) -> int:
    return [tier.max_leverage for tier in tiers if tier.lower_usd <= notional_usd][-1]


def _sizes(
    params: DirectionalParams, keys: I64, *, seed: int, name: str, tiers: Sequence[MarginTier]
) -> tuple[F64, F64]:
    """Return money and position at the entry; positions sum to the gross over the time held."""
    gross = params.gross_usd.get(name, 0.0)
    spread = params.leverage_log_sd * normal_trait(seed, keys, 1)
    drawn = params.leverage_median.get(name, 1.0) * np.array([exp(float(x)) for x in spread])
    leverage = np.minimum(drawn, params.leverage_max.get(name, 1.0))
    wealth = pareto_trait(seed, keys, 0, tail=params.wealth_tail, largest=params.wealth_ratio)
    held = params.hold_h[name] / (params.hold_h[name] + params.flat_h[name])
    notional = _filled(wealth * leverage, total=gross / held, most=LARGEST_SHARE * gross)
    most = np.array([float(_tier_leverage(float(x), tiers)) for x in notional])
    leverage = np.minimum(leverage, TIER_SHARE * most)
    multiplied = np.minimum(leverage * params.leverage_multiplier, MULTIPLIED_TIER_SHARE * most)
    return notional / multiplied, notional


def _filled(weights: F64, *, total: float, most: float) -> F64:
    """Share a total by weight with no share above `most`; what that cuts goes to the others."""
    free = np.ones(len(weights), np.bool_)
    shares = weights * 0.0
    for _ in range(len(weights)):
        rest, weight = total - most * float((~free).sum()), 0.0
        for value in weights[free]:
            weight += float(value)
        shares = np.where(free, weights * (rest / weight if weight > 0.0 else 0.0), most)
        if not (shares > most).any():
            break
        free &= shares <= most
    return shares
