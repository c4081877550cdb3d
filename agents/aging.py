"""Directional traders as they stand when a run opens: entered at other prices, some wiped out.

Each trader lives some days on one past of hourly prices that all traders of the asset share, by
the very law of its rule: it waits, draws a side, holds, is liquidated where its leverage would
have been, and is refilled at each entry. What stands at the end is the opening. So entry prices,
ages, sides and money fit together, and the class opens as rich as it will stay.

Source: renewal theory, stationary age of an alternating renewal process (Cox, Renewal Theory,
1962); the past is a Gaussian random walk with the asset's daily volatility.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np

from stressbook.agents.directional import OPENING_HOUR, SENTIMENT_HOURS, long_probability
from stressbook.market.compiling.arrays import F64
from stressbook.market.numbers.draws import (
    PURPOSE_OPENING_AGE,
    PURPOSE_OPENING_PATH,
    PURPOSE_OPENING_SIDE,
    key_from_seed,
    uniform,
    uniforms,
)
from stressbook.market.numbers.elementary import exp, normal_quantile
from stressbook.market.numbers.quantiles import exponential_from_uniform

PAST_HOLDINGS: Final = 5.0  # mean holding times that the past is long
MOST_HOURS: Final = OPENING_HOUR - SENTIMENT_HOURS
LEFT_SHARE: Final = 0.5  # of the maintenance requirement: left to one that was liquidated
CLOSE_SHARE: Final = 1.25  # nobody opens with less equity than this share of maintenance
LONG: Final = 0
SHORT: Final = 1


class Past(NamedTuple):
    """Hourly past of one asset, oldest first; the last hour is the opening."""

    price: F64  # (hours + 1,), over the opening price
    long_probability: F64  # (hours + 1,)

    @property
    def hours(self) -> int:
        """Its length."""
        return len(self.price) - 1


class Life(NamedTuple):
    """One trader at the opening. Of the pairs, the first is as a long, the second as a short."""

    is_open: bool
    until_s: float  # of the holding, or of the wait
    is_long: bool
    draw: float  # uniform of the side
    entry: float  # price at the entry, over the opening price
    money: tuple[float, float]  # equity over the money at the entry
    alive: tuple[bool, bool]


def past_of(
    p: Any, *, seed: int, asset: int, daily_volatility: float, market_loading: float
) -> Past:
    """Return the past of an asset that a seed stands for.

    Parameters
    ----------
    p : record of directional.PARAMETERS
        Of any trader of the asset: its bias and sentiment.
    seed : int
        Of the run.
    asset : int
        Index of the asset in the venue; 0 is the market.
    daily_volatility : float
        Of daily log returns.
    market_loading : float
        Correlation with asset 0.

    Returns
    -------
    Past
    """
    key = key_from_seed(seed)
    hours = min(int(PAST_HOLDINGS * p.hold_s / 3600.0), MOST_HOURS)
    own, market = _shocks(key, asset, hours), _shocks(key, 0, hours)
    scale = daily_volatility / math.sqrt(24.0)
    rest = math.sqrt(1.0 - market_loading * market_loading) if asset else 0.0
    loading = market_loading if asset else 1.0
    log_price = np.zeros(hours + 1)
    for age in range(hours):
        shock = scale * (loading * float(market[age]) + rest * float(own[age]))
        log_price[hours - age - 1] = log_price[hours - age] - shock
    first = OPENING_HOUR - hours
    probability = [long_probability(*key, p, first + hour) for hour in range(hours + 1)]
    return Past(np.array([exp(float(x)) for x in log_price]), np.array(probability))


def _shocks(key: tuple[int, int], asset: int, hours: int) -> F64:
    """Draw the shocks of an asset, the youngest first: a longer past has the same end."""
    draws = uniforms(
        *key,
        purpose=PURPOSE_OPENING_PATH,
        account_key=asset,
        t_ms=0,
        index=np.arange(hours),
    )
    return np.array([normal_quantile(float(u)) for u in draws])


def live(p: Any, past: Past, *, seed: int, key: int, maintenance_frac: float) -> Life:
    """Return how one trader stands after the past.

    Parameters
    ----------
    p : record of directional.PARAMETERS
        Of the trader.
    past : Past
        Of its asset.
    seed : int
        Of the run.
    key : int
        Its account key.
    maintenance_frac : float
        Maintenance requirement over the position.

    Returns
    -------
    Life
        The side is as drawn; the other side is what it would have been in its last position.
    """
    draws = _Draws(p, seed, key)
    is_open, hour, spell, money = draws.starts_open(), 0.0, 0, 1.0
    while True:
        if not is_open:
            hour += draws.wait_h(spell)
        if hour >= past.hours:
            wait_s = 3600.0 * (hour - past.hours)
            return Life(False, wait_s, True, 0.5, 1.0, (money, money), (True, True))
        entry, draw = int(hour), draws.side(spell)
        side = LONG if draw < float(past.long_probability[entry]) else SHORT
        hour += draws.hold_h(spell)
        spell += 1
        leave = min(int(hour), past.hours)
        lost = _lost_at(past.price, entry, leave, p.leverage, maintenance_frac, side)
        if lost is None and hour >= past.hours:
            return _standing(past, p, entry, draw, side, hour, maintenance_frac)
        is_open = False
        if lost is None:
            money = _money(p.leverage, side, float(past.price[leave] / past.price[entry]))
        else:
            hour, money = float(lost), LEFT_SHARE * maintenance_frac * p.leverage


class _Draws:
    """Draws of one trader's past, told apart by the number of the spell."""

    def __init__(self, p: Any, seed: int, key: int) -> None:
        self._key0, self._key1 = key_from_seed(seed)
        self._account = key
        self._hold_h, self._flat_h = p.hold_s / 3600.0, p.flat_s / 3600.0

    def _uniform(self, purpose: int, index: int) -> float:
        return float(uniform(self._key0, self._key1, purpose, self._account, 0, index))

    def starts_open(self) -> bool:
        u = self._uniform(PURPOSE_OPENING_AGE, 0)
        return bool(u < self._hold_h / (self._hold_h + self._flat_h))

    def side(self, spell: int) -> float:
        return self._uniform(PURPOSE_OPENING_SIDE, spell)

    def hold_h(self, spell: int) -> float:
        u = self._uniform(PURPOSE_OPENING_AGE, 2 * spell + 1)
        return float(exponential_from_uniform(u, self._hold_h))

    def wait_h(self, spell: int) -> float:
        u = self._uniform(PURPOSE_OPENING_AGE, 2 * spell + 2)
        return float(exponential_from_uniform(u, self._flat_h))


def _money(leverage: float, side: int, price_ratio: float) -> float:
    """Return equity over the money at the entry, the price having gone by a ratio."""
    gain = leverage * (price_ratio - 1.0)
    return 1.0 + (gain if side == LONG else -gain)


def _lost_at(
    price: F64, entry: int, leave: int, leverage: float, maintenance_frac: float, side: int
) -> int | None:
    """Return the first hour at which equity is below maintenance, None if it never is."""
    ratio = price[entry + 1 : leave + 1] / price[entry]
    if side == LONG:
        below = ratio * (1.0 - maintenance_frac) < 1.0 - 1.0 / leverage
    else:
        below = ratio * (1.0 + maintenance_frac) > 1.0 + 1.0 / leverage
    return entry + 1 + int(below.argmax()) if below.any() else None


def _standing(
    past: Past, p: Any, entry: int, draw: float, side: int, hour: float, maintenance_frac: float
) -> Life:
    money, alive = [], []
    ratio = 1.0 / float(past.price[entry])
    for one in (LONG, SHORT):
        lost = _lost_at(past.price, entry, past.hours, p.leverage, maintenance_frac, one)
        equity = _money(p.leverage, one, ratio)
        money.append(equity)
        least = CLOSE_SHARE * maintenance_frac * p.leverage * ratio
        alive.append(lost is None and equity > least)
    until_s = 3600.0 * (hour - past.hours)
    return Life(
        alive[side],
        until_s,
        side == LONG,
        draw,
        float(past.price[entry]),
        (money[0], money[1]),
        (alive[0], alive[1]),
    )
