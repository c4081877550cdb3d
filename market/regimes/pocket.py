"""One book under one regime: what it must hold, what it is worth, where it breaks.

For questions about a single book; the venue's own loop is `stressbook.market.margin.sums`. What is
a rule of the venue and not of the regime is no part of it: caps, the floor of a tenth of notional
on holds, the surcharge on the margin of orders.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stressbook.errors import InvalidInput
from stressbook.market.compiling.arrays import Records
from stressbook.market.regimes.building import Leg, margin_tables
from stressbook.market.regimes.requirement import PocketMargin, pocket_margin
from stressbook.market.regimes.spec import MarginRegime
from stressbook.market.regimes.tables import LEAST_LTV, scratch_of
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
    ltv : float, optional
        Loan-to-value of a token, 0 to 1, for regimes whose collateral counts by it.
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
    ltv: float | None = None


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

    Raises
    ------
    InvalidInput
        If collateral counts by loan-to-value and a token has none.

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

    Tokens that count by loan-to-value, half of the rest more at maintenance:

    >>> needed = margin_of(
    ...     load_regime("hyperliquid-pm"),
    ...     Pocket(0.0, (Holding("BTC", 70_000.0, token="BTC", ltv=0.5),)),
    ... )
    >>> needed.initial_worth_usd, needed.maintenance_worth_usd
    (35000.0, 52500.0)
    """
    perps = [one for one in pocket.holdings if not one.token]
    tokens = [one for one in pocket.holdings if one.token]
    assets = list(dict.fromkeys(one.asset for one in pocket.holdings if one.asset))
    legs = [Leg(one.asset, tier_row=j, n_tiers=len(one.tiers)) for j, one in enumerate(perps)]
    legs += [Leg("", "USDC"), *(Leg(one.asset, one.token) for one in tokens)]
    tables = margin_tables([regime], assets or ["none"], legs)
    if regime.rules.collateral == "loan_to_value":
        _weigh_by_ltv(tables.leg[0, len(perps) + 1 :], tokens)
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


def _weigh_by_ltv(legs: Records, tokens: Sequence[Holding]) -> None:
    """Write weights as the venue reads them: held LTV and (1 + LTV) / 2, owed 1 / LTV and 1."""
    for leg, one in zip(legs, tokens, strict=True):
        if one.ltv is None:
            raise InvalidInput(
                f"is missing for token {one.token!r}, which counts by it under this regime",
                name="ltv",
                allowed="0 to 1",
                hint=f"Holding(..., token={one.token!r}, ltv=0.5); 0 where it is no collateral",
            )
        if not 0.0 <= one.ltv <= 1.0:
            raise InvalidInput("is out of range", name="ltv", value=one.ltv, allowed="0 to 1")
        leg.asset_initial = one.ltv
        leg.asset_maintenance = (1.0 + one.ltv) * 0.5 if one.ltv > 0.0 else 0.0
        leg.liability_initial, leg.liability_maintenance = 1.0 / max(one.ltv, LEAST_LTV), 1.0


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

    Raises
    ------
    InvalidInput
        As of `margin_of`.
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
        USD, the root of value x trigger = requirement nearest on the losing side, with the debt
        that the ratio of the regime counts on both sides; None if there is none above 0.

    Raises
    ------
    InvalidInput
        As of `margin_of`.
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
        required, value = _ratio_parts_usd(regime, now)
        return value * regime.rules.trigger_ratio - required

    ratio = _losing_root(spare, long=one.value_usd > 0.0)
    return None if ratio is None else ratio * price_usd


def _ratio_parts_usd(regime: MarginRegime, pocket: Pocket) -> tuple[float, float]:
    """Return requirement and value as the ratio of a regime has them."""
    needed, net = margin_of(regime, pocket), pocket.net_usd()
    required, value = needed.maintenance_usd, net + needed.maintenance_worth_usd
    counted = 0.0
    if regime.rules.debt_in_ratio == "at_maintenance":
        counted = max(0.0, required - net)
    elif regime.rules.debt_in_ratio == "drawn":
        counted = pocket.debt_usd
    if regime.rules.collateral == "loan_to_value":
        # Tokens owed are a requirement there, in cover of which cash counts whole.
        counted -= sum(min(0.0, one.value_usd) for one in pocket.holdings if one.token)
    return required + counted, value + counted


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
