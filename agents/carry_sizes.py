"""How large a book of tokens is at the opening: what its own rule wants, within all caps.

Debts stay below a share of the user borrow cap, since at the cap inside the credit the ratio is 1.
Tokens beyond a supply cap lend nothing; where caps leave too little to borrow, perps are backed by
USDC, and the book is smaller.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from stressbook.agents import basis_trader, hedger
from stressbook.agents.credit import CAP_SHARE
from stressbook.agents.drafts import Draft, Listing, perp_lots, token_micro, token_units
from stressbook.agents.holder import willing_frac
from stressbook.market.compiling.arrays import F64
from stressbook.market.numbers.units import MICRO
from stressbook.market.rules.spec import VenueSpec

__all__ = [
    "Carrier",
    "CarryMarket",
    "Limits",
    "basket_weights",
    "covariances",
    "wanted_draft",
]


class Carrier(NamedTuple):
    """One account of these classes."""

    rule: str
    key: int
    class_id: int
    p: Any  # its parameters
    enrolled: bool


class CarryMarket(NamedTuple):
    """What the books depend on beside the accounts."""

    spec: VenueSpec
    assets: Sequence[Listing]
    funding: Mapping[str, float]  # yearly, by asset
    covariance: F64  # of a day's log returns, shape (n_assets, n_assets)
    supply_usd: float
    most_utilisation: float
    lent_units: Mapping[int, int]  # of tokens that lenders supply, by token
    own_share: Mapping[int, float] = MappingProxyType({})  # of its debt, by key, by its ratio
    other_debt_usd: float = 0.0  # of others, who owe it whatever the rate
    other_collateral: Mapping[int, int] = MappingProxyType({})  # of others, by token, units


class Limits(NamedTuple):
    """What bounds the debts of a book beside its owner's own will."""

    share: float = 1.0  # of what each wants to owe, by platform cap and pool
    cap_usd: float = math.inf  # user borrow cap
    # By asset: user supply cap, and the share of collateral that the platform's supply cap counts.
    supply_cap_usd: tuple[float, ...] = ()
    counted: tuple[float, ...] = ()


def wanted_draft(one: Carrier, market: CarryMarket, rate: float, limits: Limits) -> Draft:
    """Return what an account opens with at a borrow rate, within limits.

    Parameters
    ----------
    one : Carrier
        The account.
    market : CarryMarket
        Prices, rules and funding.
    rate : float
        To borrow USDC, yearly.
    limits : Limits
        Of its debt.

    Returns
    -------
    Draft
    """
    draft = Draft(one.key, one.class_id, round(float(one.p.equity_usd) * MICRO), one.enrolled)
    listing = market.assets[int(one.p.asset)]
    if one.key in market.own_share:
        limits = limits._replace(share=limits.share * market.own_share[one.key])
    book = {"basis_trader": _basis, "hedger": _hedge, "holder": _hold}[one.rule]
    book(draft, one.p, listing, market, rate, limits)
    return draft


def _basis(
    draft: Draft, p: Any, one: Listing, market: CarryMarket, rate: float, limits: Limits
) -> None:
    """Tokens against a short perp of the same size."""
    equity = float(p.equity_usd)
    ltv = one.ltv if draft.portfolio else 0.0
    carry = market.funding.get(one.name, 0.0)
    carry -= float(p.round_trip_frac) / float(p.horizon_years) + float(p.hurdle_frac)
    cap_usd = CAP_SHARE * limits.cap_usd
    margin = float(p.financed_margin_frac if ltv > 0.0 else p.cross_margin_frac)
    book = float(
        basis_trader.book_usd(
            equity,
            float(p.kappa),
            carry,
            margin,
            float(p.cross_margin_frac),
            float(p.limit_frac),
            0.0,
            rate,
            ltv * limits.counted[one.asset],
            limits.supply_cap_usd[one.asset],
            cap_usd,
            cap_usd,
        )
    )
    if ltv > 0.0 and book * (1.0 + margin) > equity:
        debt = limits.share * (book * (1.0 + margin) - equity)
        book = (equity + debt) / (1.0 + margin)
    units = token_units(market.spec, one, book)
    value_micro = token_micro(one, units)
    draft.tokens[one.token] = units
    draft.perps[one.perp] = -perp_lots(market.spec, one, value_micro / MICRO)
    if ltv > 0.0:
        draft.debt_micro = max(0, round(value_micro * (1.0 + margin)) - draft.equity_micro)


def _hedge(
    draft: Draft, p: Any, one: Listing, market: CarryMarket, _rate: float, limits: Limits
) -> None:
    """Tokens against a short basket, at the minimum-variance ratio."""
    weights = basket_weights(p, market.assets)
    ratio = _bounded_ratio(p, weights, market.covariance)
    equity = float(p.equity_usd)
    floor = max(market.spec.margin.notional_floor_frac, _initial_frac(weights, market))
    if draft.portfolio and one.ltv > 0.0:
        # The debt is the basket's margin; rationed, some of it is kept in cash instead.
        tokens = min(
            equity / (1.0 + (1.0 - limits.share) * ratio * floor),
            hedger.held_usd(
                equity,
                ratio * float(p.cross_margin_frac),
                ratio * floor,
                one.ltv,
                one.ltv * limits.counted[one.asset],
                limits.supply_cap_usd[one.asset],
                limits.cap_usd,
            ),
        )
    else:
        tokens = equity / (1.0 + ratio * float(p.cross_margin_frac))
    units = token_units(market.spec, one, tokens)
    value_usd = token_micro(one, units) / MICRO
    draft.tokens[one.token] = units
    for other, weight in zip(market.assets, weights, strict=True):
        if weight > 0.0:
            draft.perps[other.perp] = perp_lots(market.spec, other, -ratio * weight * value_usd)
    if draft.portfolio and one.ltv > 0.0:
        margin = round(ratio * value_usd * floor * MICRO)
        draft.debt_micro = max(0, margin + token_micro(one, units) - draft.equity_micro)


def _initial_frac(weights: Sequence[float], market: CarryMarket) -> float:
    """Return the initial requirement of a basket in the first tiers, of its notional."""
    total = 0.0
    for one, weight in zip(market.assets, weights, strict=True):
        tiers = market.spec.assets[one.asset].tiers
        if weight > 0.0 and tiers:
            total += weight / tiers[0].max_leverage
    return total


def _hold(
    draft: Draft, p: Any, one: Listing, market: CarryMarket, rate: float, limits: Limits
) -> None:
    """Tokens bought with own money, and with what the target load borrows."""
    equity = float(p.equity_usd)
    counted, supply_cap_usd = limits.counted[one.asset], limits.supply_cap_usd[one.asset]
    load_ltv = float(p.load) * one.ltv if draft.portfolio else 0.0
    load_ltv *= float(willing_frac(rate, float(p.rate_tolerance)))
    if counted < 1.0:
        load_ltv = min(load_ltv, CAP_SHARE * one.ltv * counted)
    tokens = equity / (1.0 - load_ltv)
    if tokens > supply_cap_usd:
        tokens = max(equity, equity + load_ltv * supply_cap_usd)
    debt = limits.share * min(tokens - equity, CAP_SHARE * limits.cap_usd)
    draft.tokens[one.token] = token_units(market.spec, one, equity + debt)
    value_micro = token_micro(one, draft.tokens[one.token])
    draft.debt_micro = max(0, value_micro - draft.equity_micro)


def basket_weights(p: Any, assets: Sequence[Listing]) -> list[float]:
    """Return the shares of a hedger's perps by asset, as its rule has them.

    Parameters
    ----------
    p : record of hedger.PARAMETERS
        Of the account.
    assets : sequence of Listing
        Of the venue.

    Returns
    -------
    list of float
        Sum 1 over the listed perps.
    """
    others = sum(1 for one in assets if one.perp >= 0 and one.asset != int(p.asset))
    own = float(p.own_weight) if others else 1.0
    rest = (1.0 - own) / others if others else 0.0
    shares = [own if one.asset == int(p.asset) else rest for one in assets]
    return [share if one.perp >= 0 else 0.0 for share, one in zip(shares, assets, strict=True)]


def covariances(p: Any, weights: Sequence[float], covariance: F64) -> tuple[float, float]:
    """Return the covariance of coin and basket and the basket's variance, summed in order.

    Parameters
    ----------
    p : record of hedger.PARAMETERS
        Of the account.
    weights : sequence of float
        Of the basket.
    covariance : ndarray of float64, shape (n_assets, n_assets)
        Of log returns over any time.

    Returns
    -------
    tuple of float
        For the same time.
    """
    own, variance = 0.0, 0.0
    for i, weight in enumerate(weights):
        own += weight * float(covariance[int(p.asset), i])
        for j, other in enumerate(weights):
            variance += weight * other * float(covariance[i, j])
    return own, variance


def _bounded_ratio(p: Any, weights: Sequence[float], covariance: F64) -> float:
    own, variance = covariances(p, weights, covariance)
    ratio = own / variance if variance > 0.0 else 1.0
    return min(max(ratio, float(p.ratio_low)), float(p.ratio_high)) * float(p.cover)
