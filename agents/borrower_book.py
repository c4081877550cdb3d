"""Opening books of borrowers who fill a cap: other debtors first, then one after another.

User caps and eligibility bound each account; where one may not owe all that its owner wants, the
owner may open more accounts. Collateral comes from outside, debt / (load x loan-to-value) of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from stressbook.agents.borrower import BorrowerParams, Owner, owners
from stressbook.agents.credit import CAP_SHARE
from stressbook.agents.drafts import Draft, Listing, counted_units, token_micro, token_units
from stressbook.agents.own_book import OwnTotals
from stressbook.errors import InvalidScenario, Problem
from stressbook.market.compiling.arrays import I64
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.numbers.units import MICRO
from stressbook.market.rules.spec import VenueSpec

__all__ = ["Wish", "fill", "fill_beside", "wishes"]

_CHUNK: Final = 64  # owners drawn at a time
_BELOW: Final = 0.999  # of the largest account value: the limit itself is too large
_BISECTIONS: Final = 60
_LEAST_USD: Final = 1.0  # what is left of a cap below it is left


class Wish(NamedTuple):
    """What one account of an owner would owe, were nobody before it."""

    key: int
    owner: Owner
    debt_usd: float
    bound_by: str  # what leaves its owner less than it wants: as in `carry_book.RATIONS`, or ""


def wishes(
    params: BorrowerParams,
    spec: VenueSpec,
    assets: Sequence[Listing],
    *,
    first_key: int,
    most: int,
    seed: int,
) -> list[Wish]:
    """Return accounts in their order until their debts reach what is to be filled.

    Parameters
    ----------
    params : BorrowerParams
        Of the class.
    spec : VenueSpec
        Rules, with opening prices.
    assets : sequence of Listing
        Of the venue.
    first_key : int
        Key of the first account.
    most : int
        Accounts at most.
    seed : int
        Of the run.

    Returns
    -------
    list of Wish
        A larger `fill_to_usd` appends to it and changes none.

    Raises
    ------
    InvalidScenario
        If so many accounts cannot owe so much.
    """
    found: list[Wish] = []
    total = 0.0
    if params.fill_to_usd == 0.0:
        return found
    by_name = {one.name: one for one in assets if one.token > 0 and one.ltv > 0.0}
    for owner in _listed(params, by_name, first_key, most, seed):
        limit, by = _most_debt_usd(owner, spec, by_name)
        left = owner.debt_usd if params.sizes == "drawn" else limit
        for k in range(params.accounts_when_bound):
            debt = min(left, limit)
            if debt < _LEAST_USD:
                break
            found.append(Wish(owner.key + k, owner, debt, by if left > limit else ""))
            total += debt
            left -= debt
            if total >= params.fill_to_usd:
                return found
    raise _infeasible(f"{len(found)} accounts can owe {total:,.0f} USD together", params)


def _listed(
    params: BorrowerParams, by_name: Mapping[str, Listing], first_key: int, most: int, seed: int
) -> Iterator[Owner]:
    """Yield owners whose collateral the venue lends on."""
    step = params.accounts_when_bound
    kept = {name: w for name, w in params.token_weight.items() if name in by_name}
    if not kept:
        raise _infeasible("no token of theirs has a loan-to-value here", params)
    for start in range(0, most // step, _CHUNK):
        numbers: I64 = np.arange(start, min(start + _CHUNK, most // step))
        # Drawn by their number: who opens more accounts is the same owner.
        for number, one in zip(
            numbers, owners(params, first_key + numbers, seed=seed), strict=True
        ):
            key = first_key + step * int(number)
            main = one.token if one.token in kept else next(iter(kept))
            yield one._replace(key=key, token=main, other=one.other if one.other in kept else "")


def _credit_shares(owner: Owner) -> dict[str, float]:
    """Return which share of its credit comes from which asset's token."""
    if owner.other and owner.other != owner.token:
        return {owner.token: 0.5, owner.other: 0.5}
    return {owner.token: 1.0}


def _most_debt_usd(
    owner: Owner, spec: VenueSpec, by_name: Mapping[str, Listing]
) -> tuple[float, str]:
    """Return what one account may owe, and by what: user caps, or an eligible account value."""
    limits = [(CAP_SHARE * spec.tokens[0].user_borrow_cap, "user_borrow_cap")]
    collateral = 0.0  # USD for each USD of debt
    for name, share in _credit_shares(owner).items():
        one = by_name[name]
        needed = share / (owner.load * one.ltv)
        limits.append((one.supply_cap_usd / needed, "user_supply_cap"))
        collateral += needed
    largest_usd = _BELOW * spec.margin.account_value_max_usd
    if collateral > 1.0:
        limits.append((largest_usd / (collateral - 1.0), "account_value_max"))
    return min(limits)


def fill(
    params: BorrowerParams,
    wanted: Sequence[Wish],
    spec: VenueSpec,
    assets: Sequence[Listing],
    *,
    owed_usd: float,
    counted_units: Mapping[int, int],
) -> list[Draft]:
    """Return what the accounts open with: debts up to the cap, and their collateral.

    Parameters
    ----------
    params : BorrowerParams
        Of the class.
    wanted : sequence of Wish
        Accounts in their order.
    spec : VenueSpec
        Rules, with opening prices.
    assets : sequence of Listing
        Of the venue.
    owed_usd : float
        By all others.
    counted_units : mapping of int to int
        By token, what stands below the platform's supply cap already.

    Returns
    -------
    list of Draft
        One for each account; those for whom nothing is left are empty.

    Raises
    ------
    InvalidScenario
        If the platform's supply caps leave no room for the collateral.
    """
    left = params.fill_to_usd - owed_usd
    debts: list[float] = []
    for wish in wanted:
        debts.append(min(wish.debt_usd, max(left, 0.0)))
        left -= debts[-1]
    factors = _load_factors(params, wanted, debts, spec, assets, counted_units)
    return [
        _draft(wish, debt, spec, assets, factors) for wish, debt in zip(wanted, debts, strict=True)
    ]


def fill_beside(
    wanted: Sequence[tuple[BorrowerParams, Sequence[Wish]]],
    others: Sequence[Draft],
    spec: VenueSpec,
    assets: Sequence[Listing],
    *,
    lent: Mapping[int, int],
    own: OwnTotals,
) -> list[Draft]:
    """Return the books of all who fill a cap, after those of all other debtors.

    Parameters
    ----------
    wanted : sequence of (BorrowerParams, sequence of Wish)
        Each class with its accounts.
    others : sequence of Draft
        Other debtors.
    spec, assets
        As of `fill`.
    lent : mapping of int to int
        Units that lenders supply, by token.
    own : OwnTotals
        Of a file of accounts.

    Returns
    -------
    list of Draft
    """
    counted = dict(lent)
    for token, units in own.collateral.items():
        counted[token] = counted.get(token, 0) + units
    for draft in others:
        for token, units in draft.tokens.items() if draft.portfolio else ():
            counted[token] = counted.get(token, 0) + counted_units(spec, token, units)
    owed_usd = (own.debts.get(0, 0) + sum(draft.debt_micro for draft in others)) / MICRO
    return [
        draft
        for params, wishes_of in wanted
        for draft in fill(params, wishes_of, spec, assets, owed_usd=owed_usd, counted_units=counted)
    ]


def _load_factors(
    params: BorrowerParams,
    wanted: Sequence[Wish],
    debts: Sequence[float],
    spec: VenueSpec,
    assets: Sequence[Listing],
    counted_units: Mapping[int, int],
) -> dict[str, float]:
    """Return by how much loads against each asset's token rise, so that its supply cap is kept."""
    found: dict[str, float] = {}
    for one in assets:
        if one.token <= 0 or one.ltv <= 0.0:
            continue
        cap_units = spec.tokens[one.token].platform_supply_cap * one.unit
        room_usd = (cap_units - counted_units.get(one.token, 0)) / one.unit * one.price_usd
        parts = [
            (debt * _credit_shares(wish.owner).get(one.name, 0.0), wish.owner.load)
            for wish, debt in zip(wanted, debts, strict=True)
        ]
        found[one.name] = _factor(parts, one, max(room_usd, 0.0), params)
    return found


def _factor(
    parts: Sequence[tuple[float, float]], one: Listing, room_usd: float, params: BorrowerParams
) -> float:
    def needed_usd(factor: float) -> float:
        return sum(debt / (min(1.0, load * factor) * one.ltv) for debt, load in parts if debt > 0.0)

    if needed_usd(1.0) <= room_usd:
        return 1.0
    largest = 1.0 / params.load_low
    least_usd = needed_usd(largest)
    if params.supply_caps == "lifted" or least_usd > room_usd:
        asked = needed_usd(1.0) if params.supply_caps == "lifted" else least_usd
        raise _infeasible(
            f"needs {asked / one.price_usd:,.0f} {one.name} of collateral, the platform's supply "
            f"cap has room for {room_usd / one.price_usd:,.0f}",
            params,
        )
    low, high = 1.0, largest
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if needed_usd(middle) <= room_usd:
            high = middle
        else:
            low = middle
    return high


def _draft(
    wish: Wish,
    debt_usd: float,
    spec: VenueSpec,
    assets: Sequence[Listing],
    factors: Mapping[str, float],
) -> Draft:
    draft = Draft(wish.key, CLASS_NUMBERS["borrower"], 0)
    if debt_usd < _LEAST_USD:
        return draft
    by_name = {one.name: one for one in assets}
    held_micro = 0
    for name, share in _credit_shares(wish.owner).items():
        one = by_name[name]
        load = min(1.0, wish.owner.load * factors[name])
        draft.tokens[one.token] = token_units(spec, one, share * debt_usd / (load * one.ltv))
        held_micro += token_micro(one, draft.tokens[one.token])
    draft.portfolio = True
    draft.debt_micro = math.floor(debt_usd * MICRO)
    draft.equity_micro = held_micro - draft.debt_micro
    return draft


def _infeasible(why: str, params: BorrowerParams) -> InvalidScenario:
    problem = Problem(
        f"cannot be filled: {why}",
        "agents.borrower.fill_to_usd",
        params.fill_to_usd,
        hint="raise the caps that bind, or the loads",
    )
    return InvalidScenario.from_problems([problem])
