"""One book under one regime: what it must hold, what it is worth, where it breaks.

For questions about a single book; the venue's own loop is `stressbook.market.margin.sums`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from stressbook.market.regimes.building import Leg, margin_tables
from stressbook.market.regimes.requirement import PocketMargin, pocket_margin
from stressbook.market.regimes.spec import MarginRegime
from stressbook.market.regimes.tables import scratch_of
from stressbook.market.state.records import MAX_TIERS, TIER

__all__ = ["Holding", "Pocket", "healths_usd", "liquidation_price", "margin_of"]


@dataclass(frozen=True)
class Holding:
    """A perp or a token of a book.

    Parameters
    ----------
    asset : str
        Underlying; empty for a token without one.
    value_usd : float
        Signed, at the mark (perp) or the borrow oracle (token).
    token : str, default ""
        Name of the token; empty for a perp.
    oracle_usd : float, optional
        Signed value at the oracle, where gross rates are charged on that; `value_usd` if left out.
    entry_usd : float, default 0
        What a perp was bought for, without sign, for regimes that charge tiers on it.
    leverage : float, default infinite
        That the user chose.
    buy_usd, sell_usd : float, default 0
        Resting orders of each side that may add to it.
    confidence : float, default 1
        Of its oracle.
    tiers : tuple of (float, float, float), default ()
        Margin tiers of a perp: lower notional, maintenance rate, deduction.
    """

    asset: str
    value_usd: float
    token: str = ""
    oracle_usd: float | None = None
    entry_usd: float = 0.0
    leverage: float = math.inf
    buy_usd: float = 0.0
    sell_usd: float = 0.0
    confidence: float = 1.0
    tiers: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Pocket:
    """A book and its cash.

    Parameters
    ----------
    cash_usd : float
        Such that cash plus values of perps is what they have made it: raw cash, debt off.
    holdings : tuple of Holding
        Perps and tokens.
    debt_usd : float, default 0
        USDC owed, for regimes that charge loans.
    """

    cash_usd: float
    holdings: tuple[Holding, ...] = ()
    debt_usd: float = 0.0

    def net_usd(self) -> float:
        """Return cash plus the values of perps."""
        return self.cash_usd + sum(one.value_usd for one in self.holdings if not one.token)


def margin_of(regime: MarginRegime, pocket: Pocket) -> PocketMargin:
    """Return what a book must hold and what its tokens count for.

    Parameters
    ----------
    regime : MarginRegime
        Rules.
    pocket : Pocket
        The book.

    Returns
    -------
    PocketMargin

    Examples
    --------
    A long of one bitcoin, and the same hedged by tokens:

    >>> from stressbook.market.regimes import load_regime
    >>> long = Holding("BTC", 70_000.0)
    >>> margin_of(load_regime("paradex"), Pocket(0.0, (long,))).initial_usd
    11200.0
    >>> hedged = (Holding("BTC", -70_000.0), Holding("BTC", 70_000.0, token="BTC"))
    >>> margin_of(load_regime("paradex"), Pocket(0.0, hedged)).initial_usd
    700.0
    """
    perps = [one for one in pocket.holdings if not one.token]
    tokens = [one for one in pocket.holdings if one.token]
    assets = list(dict.fromkeys(one.asset for one in pocket.holdings if one.asset))
    legs = [Leg(one.asset, tier_row=j, n_tiers=len(one.tiers)) for j, one in enumerate(perps)]
    legs += [Leg("", "USDC"), *(Leg(one.asset, one.token) for one in tokens)]
    tables = margin_tables([regime], assets or ["none"], legs)
    scratch = scratch_of(tables)
    tiers = np.zeros((len(perps) + 1, MAX_TIERS), TIER)
    places = [*range(len(perps)), *range(len(perps) + 1, len(legs))]
    for row, j, one in zip(scratch.pocket, places, [*perps, *tokens], strict=False):
        row.leg, row.value_usd = j, one.value_usd
        row.oracle_usd = one.value_usd if one.oracle_usd is None else one.oracle_usd
        row.entry_usd, row.leverage = abs(one.entry_usd), one.leverage
        row.buy_usd, row.sell_usd, row.confidence = one.buy_usd, one.sell_usd, one.confidence
    for j, one in enumerate(perps):
        for tier, values in zip(tiers[j], one.tiers, strict=False):
            tier.lower_usd, tier.maintenance_rate, tier.deduction_usd = values
    n = len(perps) + len(tokens)
    found = pocket_margin(tables, 0, tiers, len(perps), scratch, n, pocket.debt_usd)
    return PocketMargin(*(float(one) for one in found))


def healths_usd(regime: MarginRegime, pocket: Pocket) -> tuple[float, float]:
    """Return what a book is worth beyond its requirement, at the initial and maintenance level.

    Parameters
    ----------
    regime : MarginRegime
        Rules.
    pocket : Pocket
        The book.

    Returns
    -------
    tuple of float
        USD; below zero the requirement is not met. The trigger of a ratio is not in it.
    """
    needed, net = margin_of(regime, pocket), pocket.net_usd()
    return (
        net + needed.initial_worth_usd - needed.initial_usd,
        net + needed.maintenance_worth_usd - needed.maintenance_usd,
    )


def liquidation_price(
    regime: MarginRegime, pocket: Pocket, place: int, price_usd: float
) -> float | None:
    """Return the price of one holding at which a book falls to its maintenance, all else as it is.

    Parameters
    ----------
    regime : MarginRegime
        Rules.
    pocket : Pocket
        The book.
    place : int
        Of the holding in `pocket.holdings`.
    price_usd : float
        At which its value is given.

    Returns
    -------
    float or None
        USD, the root of value x trigger = requirement nearest on the losing side; None if there
        is none above 0.
    """
    one = pocket.holdings[place]

    def spare(ratio: float) -> float:
        moved = replace(
            one,
            value_usd=one.value_usd * ratio,
            oracle_usd=None if one.oracle_usd is None else one.oracle_usd * ratio,
        )
        holdings = (*pocket.holdings[:place], moved, *pocket.holdings[place + 1 :])
        now = replace(pocket, holdings=holdings)
        needed = margin_of(regime, now)
        worth = now.net_usd() + needed.maintenance_worth_usd
        return worth * regime.rules.trigger_ratio - needed.maintenance_usd

    ratio = _losing_root(spare, long=one.value_usd > 0.0)
    return None if ratio is None else ratio * price_usd


def _losing_root(spare: Callable[[float], float], *, long: bool) -> float | None:
    """Return the root of a piecewise linear function: below 1 for a long, above it for a short."""
    inside = 1.0
    if spare(1.0) < 0.0:
        # Already broken: the root lies where the position gains.
        long = not long
    outside = 0.0 if long else 2.0
    while (spare(outside) < 0.0) == (spare(inside) < 0.0):
        if long or outside > 2.0**60:
            return None
        inside, outside = outside, 2.0 * outside
    return _bisect(spare, inside, outside)


def _bisect(spare: Callable[[float], float], a: float, b: float) -> float:
    """Return the root between two points of different sign, to the last bits."""
    fa = spare(a)
    for _ in range(200):
        middle = 0.5 * (a + b)
        if middle in (a, b):
            break
        fm = spare(middle)
        if (fm < 0.0) == (fa < 0.0):
            a, fa = middle, fm
        else:
            b = middle
    return 0.5 * (a + b)
