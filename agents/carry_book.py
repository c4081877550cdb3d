"""Opening positions of those who hold the venue's tokens: basis traders, hedgers, holders.

Each opens at the book that its own rule wants in the long run, on the equity that it has under
every regime. What an enrolled one borrows depends on the borrow rate and the rate on what all of
them borrow, so both are solved together; where the platform's cap or the pool is too small, all
debts are cut in the same proportion and the books with them. User caps bound each book by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from stressbook.agents.carry_sizes import Carrier, CarryMarket, Limits, wanted_draft
from stressbook.agents.credit import CAP_SHARE
from stressbook.agents.drafts import Draft
from stressbook.market.lending.lending_rates import borrow_rate_at
from stressbook.market.numbers.units import MICRO
from stressbook.market.rules.spec import VenueSpec

__all__ = ["RATIONS", "CarryBook", "solve", "user_limits"]

BISECTIONS: Final = 30
RATIONINGS: Final = 40
ROUNDING: Final = 1.001  # books are whole lots
RATIONS: Final = (
    "user_borrow_cap",
    "user_supply_cap",
    "platform_borrow_cap",
    "platform_supply_cap",
    "pool",
    "margin_ratio",
    "account_value_max",
)


class CarryBook(NamedTuple):
    """Solved drafts, in the order of the carriers."""

    drafts: list[Draft]
    borrow_rate: float
    utilisation: float
    debt_share: float  # of the debts that they want; below 1 where cap or pool ration them
    rationed_by: list[str]  # what binds each book most: of `RATIONS`, "" where nothing does


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
    Debts fall as the rate rises, so bisection finds it; deterministic, nothing is drawn. Where the
    platform's supply cap is too small for the collateral of a first solution, each account's counts
    in the same proportion in a second one, whose collateral is less: on the safe side.
    """
    limits = user_limits(market)
    book, limits = _solve_within(carriers, market, limits)
    counted = _counted_shares(carriers, book.drafts, market)
    if min(counted, default=1.0) < 1.0:
        book, limits = _solve_within(carriers, market, limits._replace(share=1.0, counted=counted))
    rate = book.borrow_rate
    return book._replace(rationed_by=_rations(carriers, book.drafts, market, rate, limits))


def user_limits(market: CarryMarket) -> Limits:
    """Return the limits of user caps alone."""
    return Limits(
        1.0,
        market.spec.tokens[0].user_borrow_cap,
        tuple(one.supply_cap_usd for one in market.assets),
        (1.0,) * len(market.assets),
    )


def _solve_within(
    carriers: Sequence[Carrier], market: CarryMarket, limits: Limits
) -> tuple[CarryBook, Limits]:
    """Solve rate and debts together within limits, and return these with the share found."""
    usdc = market.spec.tokens[0]
    others_usd = market.other_debt_usd
    most_usd = min(
        market.most_utilisation * market.supply_usd, CAP_SHARE * usdc.platform_borrow_cap
    )
    most_usd = max(0.0, most_usd - others_usd)

    def wanted_usd(utilisation: float) -> float:
        rate = _borrow_rate(market.spec, utilisation)
        return sum(wanted_draft(one, market, rate, limits).debt_micro for one in carriers) / MICRO

    is_flat = usdc.rate_low_slope == 0.0  # up to the kink the rate is the same
    low = usdc.kink_utilisation if is_flat else 0.0
    high = market.most_utilisation
    if wanted_usd(low) <= low * market.supply_usd - others_usd:
        high = low
    elif wanted_usd(high) < high * market.supply_usd - others_usd:
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            if wanted_usd(middle) <= middle * market.supply_usd - others_usd:
                high = middle
            else:
                low = middle
    rate = _borrow_rate(market.spec, high)
    wanted = wanted_usd(high)
    share = min(1.0, most_usd / wanted) if wanted > 0.0 else 1.0
    drafts, share = _rationed(carriers, market, rate, limits, share, most_usd)
    debt_usd = sum(draft.debt_micro for draft in drafts) / MICRO + others_usd
    used = debt_usd / market.supply_usd if market.supply_usd > 0.0 else 0.0
    return CarryBook(drafts, rate, used, share, []), limits._replace(share=share)


def _rationed(
    carriers: Sequence[Carrier],
    market: CarryMarket,
    rate: float,
    limits: Limits,
    share: float,
    most_usd: float,
) -> tuple[list[Draft], float]:
    """Return the drafts at a share of the debts, lowered until they are no more than there is.

    A hedger within its user caps owes less than it would without, and shrinks later than others.
    """
    for _ in range(RATIONINGS):
        drafts = [wanted_draft(one, market, rate, limits._replace(share=share)) for one in carriers]
        debt_usd = sum(draft.debt_micro for draft in drafts) / MICRO
        if share >= 1.0 or debt_usd <= ROUNDING * most_usd:
            return drafts, share
        share *= most_usd / debt_usd
    return [wanted_draft(one, market, rate, limits._replace(share=0.0)) for one in carriers], 0.0


def _counted_shares(
    carriers: Sequence[Carrier], drafts: Sequence[Draft], market: CarryMarket
) -> tuple[float, ...]:
    """Return what share of its collateral each asset's platform supply cap counts."""
    found = []
    for one in market.assets:
        if one.token < 0 or one.ltv <= 0.0:
            found.append(1.0)
            continue
        token = market.spec.tokens[one.token]
        most = token.user_supply_cap * one.unit
        total = sum(
            min(draft.tokens.get(one.token, 0), most)
            for carrier, draft in zip(carriers, drafts, strict=True)
            if carrier.enrolled
        ) + market.other_collateral.get(one.token, 0)
        cap = token.platform_supply_cap * one.unit - market.lent_units.get(one.token, 0)
        found.append(max(0.0, cap) / total if total > cap else 1.0)
    return tuple(found)


def _rations(
    carriers: Sequence[Carrier],
    drafts: Sequence[Draft],
    market: CarryMarket,
    rate: float,
    limits: Limits,
) -> list[str]:
    """Name for each book the limit that alone would leave the least of it."""
    none = Limits(
        supply_cap_usd=(math.inf,) * len(market.assets), counted=(1.0,) * len(market.assets)
    )
    usdc = market.spec.tokens[0]
    by_cap = CAP_SHARE * usdc.platform_borrow_cap < market.most_utilisation * market.supply_usd
    alone = {
        "user_borrow_cap": none._replace(cap_usd=limits.cap_usd),
        "user_supply_cap": none._replace(supply_cap_usd=limits.supply_cap_usd),
        "platform_supply_cap": none._replace(
            supply_cap_usd=limits.supply_cap_usd, counted=limits.counted
        ),
        "platform_borrow_cap" if by_cap else "pool": none._replace(share=limits.share),
    }
    if min(limits.counted, default=1.0) >= 1.0:
        del alone["platform_supply_cap"]
    found = []
    for one, draft in zip(carriers, drafts, strict=True):
        least = _units(wanted_draft(one, market, rate, none))
        reason = "margin_ratio" if one.key in market.own_share else ""
        if one.enrolled and _units(draft) < least:
            for name, limit in alone.items():
                units = _units(wanted_draft(one, market, rate, limit))
                if units < least:
                    least, reason = units, name
        found.append(reason)
    return found


def _units(draft: Draft) -> int:
    return sum(draft.tokens.values())


def _borrow_rate(spec: VenueSpec, utilisation: float) -> float:
    usdc = spec.tokens[0]
    curve = usdc.rate_base, usdc.rate_low_slope, usdc.rate_slope, usdc.kink_utilisation
    return float(borrow_rate_at(utilisation, *curve))
