"""Opening positions of those who hold the venue's tokens: basis traders, hedgers, holders.

Each opens at the book that its own rule wants in the long run, on the equity that it has under
every regime. What an enrolled one borrows depends on the borrow rate and the rate on what all of
them borrow, so both are solved together; where the platform's cap or the pool is too small, all
debts are cut in the same proportion and the books with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from stressbook.agents import basis_trader
from stressbook.agents.drafts import Draft, Listing, perp_lots, token_micro, token_units
from stressbook.agents.holder import willing_frac
from stressbook.market.compiling.arrays import F64
from stressbook.market.lending.lending_rates import borrow_rate_at
from stressbook.market.numbers.units import MICRO
from stressbook.market.rules.spec import VenueSpec

CAP_SHARE: Final = basis_trader.CAP_SHARE
BISECTIONS: Final = 30


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


class CarryBook(NamedTuple):
    """Solved drafts, in the order of the carriers."""

    drafts: list[Draft]
    borrow_rate: float
    utilisation: float
    debt_share: float  # of the debts that they want; below 1 where cap or pool ration them


def solve(carriers: Sequence[Carrier], market: CarryMarket) -> CarryBook:
    """Return the opening books, the borrow rate and the debts that fit together.

    Parameters
    ----------
    carriers : sequence of Carrier
        Accounts; those not enrolled open under cross margin.
    market : CarryMarket
        Prices, rules, funding and supply.

    Returns
    -------
    CarryBook
        At the lowest utilisation at which debts wanted at its rate are no more than it lends.

    Notes
    -----
    Debts fall as the rate rises, so bisection finds it; deterministic, nothing is drawn.
    """
    usdc = market.spec.tokens[0]
    most_usd = min(
        market.most_utilisation * market.supply_usd, CAP_SHARE * usdc.platform_borrow_cap
    )

    def wanted_usd(utilisation: float) -> float:
        rate = _borrow_rate(market.spec, utilisation)
        return sum(_wanted(one, market, rate, 1.0).debt_micro for one in carriers) / MICRO

    is_flat = usdc.rate_low_slope == 0.0  # up to the kink the rate is the same
    low = usdc.kink_utilisation if is_flat else 0.0
    high = market.most_utilisation
    if wanted_usd(low) <= low * market.supply_usd:
        high = low
    elif wanted_usd(high) < high * market.supply_usd:
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            if wanted_usd(middle) <= middle * market.supply_usd:
                high = middle
            else:
                low = middle
    rate = _borrow_rate(market.spec, high)
    wanted = wanted_usd(high)
    share = min(1.0, most_usd / wanted) if wanted > 0.0 else 1.0
    drafts = [_wanted(one, market, rate, share) for one in carriers]
    debt_usd = sum(draft.debt_micro for draft in drafts) / MICRO
    used = debt_usd / market.supply_usd if market.supply_usd > 0.0 else 0.0
    return CarryBook(drafts, rate, used, share)


def _borrow_rate(spec: VenueSpec, utilisation: float) -> float:
    usdc = spec.tokens[0]
    curve = usdc.rate_base, usdc.rate_low_slope, usdc.rate_slope, usdc.kink_utilisation
    return float(borrow_rate_at(utilisation, *curve))


def _wanted(one: Carrier, market: CarryMarket, rate: float, share: float) -> Draft:
    draft = Draft(one.key, one.class_id, round(float(one.p.equity_usd) * MICRO), one.enrolled)
    listing = market.assets[int(one.p.asset)]
    book = {"basis_trader": _basis, "hedger": _hedge, "holder": _hold}[one.rule]
    book(draft, one.p, listing, market, rate, share)
    return draft


def _cap_usd(spec: VenueSpec) -> float:
    return CAP_SHARE * spec.tokens[0].user_borrow_cap


def _basis(
    draft: Draft, p: Any, one: Listing, market: CarryMarket, rate: float, share: float
) -> None:
    """Tokens against a short perp of the same size."""
    equity = float(p.equity_usd)
    ltv = one.ltv if draft.portfolio else 0.0
    carry = market.funding.get(one.name, 0.0)
    carry -= float(p.round_trip_frac) / float(p.horizon_years) + float(p.hurdle_frac)
    cap_usd = _cap_usd(market.spec)
    margin = float(p.financed_margin_frac if ltv > 0.0 else p.cross_margin_frac)
    book = float(
        basis_trader.book_usd(
            equity,
            float(p.kappa),
            carry,
            margin,
            float(p.limit_frac),
            0.0,
            rate,
            ltv,
            one.supply_cap_usd,
            cap_usd,
            cap_usd,
        )
    )
    if ltv > 0.0 and book * (1.0 + margin) > equity:
        debt = share * (book * (1.0 + margin) - equity)
        book = (equity + debt) / (1.0 + margin)
    units = token_units(market.spec, one, book)
    value_micro = token_micro(one, units)
    draft.tokens[one.token] = units
    draft.perps[one.perp] = -perp_lots(market.spec, one, value_micro / MICRO)
    if ltv > 0.0:
        draft.debt_micro = max(0, round(value_micro * (1.0 + margin)) - draft.equity_micro)


def _hedge(
    draft: Draft, p: Any, one: Listing, market: CarryMarket, _rate: float, share: float
) -> None:
    """Tokens against a short basket, at the minimum-variance ratio."""
    weights = basket_weights(p, market.assets)
    ratio = _bounded_ratio(p, weights, market.covariance)
    equity = float(p.equity_usd)
    floor = market.spec.margin.notional_floor_frac
    if draft.portfolio and one.ltv > 0.0:
        # The debt is the basket's margin; rationed, some of it is kept in cash instead.
        tokens = equity / (1.0 + (1.0 - share) * ratio * floor)
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


def _hold(
    draft: Draft, p: Any, one: Listing, market: CarryMarket, rate: float, share: float
) -> None:
    """Tokens bought with own money, and with what the target load borrows."""
    equity = float(p.equity_usd)
    load_ltv = float(p.load) * one.ltv if draft.portfolio else 0.0
    load_ltv *= float(willing_frac(rate, float(p.rate_tolerance)))
    tokens = equity / (1.0 - load_ltv)
    if tokens > one.supply_cap_usd:
        tokens = max(equity, equity + load_ltv * one.supply_cap_usd)
    debt = share * min(tokens - equity, _cap_usd(market.spec))
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
