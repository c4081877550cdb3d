"""Who trades on a venue: every class with its accounts, their parameters and what they open with.

Account keys are class number x 2^20 + place x 2^14 + rank, where the place is the asset, or the
book of classes that stand in one book. Every draw depends on the seed, its purpose and the
account's own key: an account added, removed or enrolled moves no other's draw.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from stressbook.agents import borrower_book, own_book
from stressbook.agents.classes import CLASSES, AgentClass
from stressbook.agents.drafts import listings, to_account
from stressbook.agents.enrolment import NOT_ASKED, EnrolmentCount, answers, count_of
from stressbook.agents.opening import Group, OpeningParams, open_book
from stressbook.agents.own_book import OwnAccount
from stressbook.agents.rule import Rule
from stressbook.errors import InvalidInput, UnknownName
from stressbook.market.compiling.arrays import I64, Records
from stressbook.market.numbers.draws import PURPOSE_LATENCY, account_key, key_from_seed, uniforms
from stressbook.market.numbers.elementary import exp, ln, normal_quantile
from stressbook.market.opening.setup import AccountOpening
from stressbook.market.prices.world_parameters import WorldParams, default_world
from stressbook.market.regimes import regime_names
from stressbook.market.rules.listing import KINDS
from stressbook.market.rules.spec import ORDINARY, VenueSpec
from stressbook.market.state.codes import ELIGIBLE, MODE_PORTFOLIO

PLACE: Final = 2**14  # accounts of one class in one place
_P99: Final = 2.3263478740408408  # standard normal deviate exceeded by 1 %


class Cohort(NamedTuple):
    """All accounts of one class: the rows that one desk runs."""

    rule: Rule
    users: I64  # (n,)
    parameters: Records  # (n,) of rule.parameters
    memory: Records  # (n,) of rule.memory, at the opening


class Population(NamedTuple):
    """Who trades, by class, and what every account opens with, in the order of users."""

    cohorts: tuple[Cohort, ...]
    accounts: tuple[AccountOpening, ...]
    borrow_rate: float  # yearly, at the opening
    utilisation: float  # of the reserve's supply
    debt_share: float  # of the debts wanted; below 1 where a cap or the pool rations them
    enrolment: dict[str, EnrolmentCount]  # of classes of which any account asks for it
    rationed: dict[str, dict[str, int]]  # by class: accounts by what bounds their opening book


def build_population(
    params: Mapping[str, Any],
    spec: VenueSpec,
    *,
    seed: int,
    regime: str = "hyperliquid-pm",
    world: WorldParams | None = None,
    renewal: bool = False,
    classes: Collection[str] = tuple(CLASSES),
    opening: OpeningParams | None = None,
    own: Sequence[OwnAccount] = (),
) -> Population:
    """Return a population with its opening book.

    Parameters
    ----------
    params : mapping of str to dataclass instance
        By class; those that are left out have their defaults.
    spec : VenueSpec
        Rules, with opening prices; classes open only in what it lists.
    seed : int
        Of the run.
    regime : str, default "hyperliquid-pm"
        Of `market.regimes`; under "cross" and "isolated" nobody is enrolled. Equities are the same
        to the micro-USDC. `spec` is taken as it is, `VenueSpec.with_regime` in it.
    world : WorldParams, optional
        Volatilities and correlations; the default world of the venue's assets if None.
    renewal : bool, default False
        Whether ruined accounts are replaced and large winnings taken out; for runs of half a day
        or more.
    classes : collection of str, optional
        Those that take part; all if left out.
    opening : OpeningParams, optional
        What the opening book assumes; the defaults if left out.
    own : sequence of OwnAccount, optional
        Accounts of a population file, which open as they are.

    Returns
    -------
    Population
        Users are numbered by class, place and rank; those of the file come last.

    Raises
    ------
    UnknownName
        If `regime` is unknown.
    InvalidInput
        If a class has too many accounts.
    InvalidScenario
        If the opening book cannot be balanced, or the reserve cannot lend what the file owes.

    Examples
    --------
    >>> from stressbook.market.rules.spec import load_preset
    >>> population = build_population({}, load_preset("hyperliquid"), seed=7)
    >>> [cohort.rule.name for cohort in population.cohorts][:3]
    ['market_maker', 'arbitrageur', 'order_flow']
    """
    if regime not in regime_names():
        raise UnknownName("margin regime", regime, known=regime_names())
    if world is None:
        world = default_world([asset.name for asset in spec.assets])
    groups = _all_groups(params, spec, seed, regime, classes)
    book = open_book(
        groups,
        spec,
        params=opening or OpeningParams(),
        world=world,
        seed=seed,
        own=own_book.totals_of(own, spec),
    )
    assets = listings(spec)
    accounts: list[AccountOpening] = []
    for group, drafts in zip(groups, book.drafts, strict=True):
        volume = group.agent_class.volume_14d_usd
        for draft, latency in zip(drafts, latencies_us(spec, seed, group.keys), strict=True):
            accounts.append(
                to_account(draft, spec, assets, latency_us=latency, volume_14d_usd=volume)
            )
    cohorts = _cohorts(groups, book.memories)
    if own:
        first, n = len(accounts), len(own)
        mine = latencies_us(spec, seed, own_book.own_keys(n))
        accounts += own_book.openings(own, latencies_us=mine, first_user=first)
        users = np.arange(first, first + n, dtype=np.int64)
        records = own_book.parameters_of(n), own_book.memory_of(n)
        cohorts = (*cohorts, Cohort(own_book.RULE, users, *records))
    if not renewal:
        for cohort in cohorts:
            if "renewal_ms" in (cohort.parameters.dtype.names or ()):
                cohort.parameters["renewal_ms"] = 0
    return Population(
        cohorts,
        tuple(accounts),
        book.borrow_rate,
        book.utilisation,
        book.debt_share,
        _enrolment(groups) | enrolment_of_file(own),
        _rationed(groups, book.rationed_by),
    )


def enrolment_of_file(own: Sequence[OwnAccount]) -> dict[str, EnrolmentCount]:
    """Return how many accounts of a population file are enrolled: all that ask, or it is refused.

    Parameters
    ----------
    own : sequence of OwnAccount
        Of the file.

    Returns
    -------
    dict of str to EnrolmentCount
        Empty where none is.
    """
    n = sum(one.account_mode == MODE_PORTFOLIO for one in own)
    return {own_book.RULE.name: EnrolmentCount(n, n, 0, 0)} if n else {}


def _rationed(groups: Sequence[Group], rationed_by: Mapping[int, str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for group in groups:
        for key in group.keys.tolist():
            if key in rationed_by:
                counts = found.setdefault(group.agent_class.name, {})
                counts[rationed_by[key]] = counts.get(rationed_by[key], 0) + 1
    return found


def enrolment_by_class(
    params: Mapping[str, Any],
    spec: VenueSpec,
    *,
    seed: int,
    regime: str = "hyperliquid-pm",
    classes: Collection[str] = tuple(CLASSES),
) -> dict[str, EnrolmentCount]:
    """Return how many accounts ask to be enrolled and are, without an opening book.

    Parameters
    ----------
    params, spec, seed, regime, classes
        As of `build_population`.

    Returns
    -------
    dict of str to EnrolmentCount
        By class, in the order of accounts; without those of which no account asks.

    Examples
    --------
    >>> from stressbook.market.rules.spec import load_preset
    >>> enrolment_by_class({}, load_preset("hyperliquid"), seed=7)["holder"].too_small
    0
    """
    return _enrolment(_all_groups(params, spec, seed, regime, classes))


def _all_groups(
    params: Mapping[str, Any], spec: VenueSpec, seed: int, regime: str, classes: Collection[str]
) -> list[Group]:
    present = [one for one in CLASSES.values() if one.name in classes]
    return [
        group
        for one in present
        for group in _groups(
            one, params.get(one.name) or one.params(), spec, seed, regime not in ORDINARY
        )
    ]


def _enrolment(groups: Sequence[Group]) -> dict[str, EnrolmentCount]:
    by_class: dict[str, list[int]] = {}
    for group in groups:
        by_class.setdefault(group.agent_class.name, []).extend(group.answers)
    counts = {name: count_of(found) for name, found in by_class.items()}
    return {name: count for name, count in counts.items() if count.asked}


def _groups(
    one: AgentClass, params: Any, spec: VenueSpec, seed: int, enrols: bool
) -> Iterator[Group]:
    """Yield the accounts of one class, place by place."""
    wanted = inspect.signature(one.account_parameters).parameters
    for place in _places(one, spec):
        name = place["name"]
        wishes = _wishes(one, params, spec, seed) if enrols else ()
        n = len(wishes) if one.opens == "fill" else _count(one, params, name, place)
        if n == 0:
            continue
        if n > PLACE:
            raise InvalidInput(
                "is too large", name=f"{one.name}.accounts", value=n, allowed=f"0 to {PLACE}"
            )
        first = account_key(one.rule.class_id, place["ordinal"] * PLACE)
        keys = first + np.arange(n, dtype=np.int64)
        if one.opens == "fill":
            keys = np.array([wish.key for wish in wishes], np.int64)
            yield _filling(one, params, keys, wishes)
            continue
        given = {"seed": seed, **place}
        records = one.account_parameters(
            params, keys, **{key: value for key, value in given.items() if key in wanted}
        )
        share = getattr(params, "enrolled_frac", {}).get(name, 0.0) if enrols else 0.0
        asks = [int((i + 1) * share) > int(i * share) for i in range(n)]
        found = (NOT_ASKED,) * n
        if any(asks):
            values_usd, volume_usd = records["equity_usd"].tolist(), one.volume_14d_usd
            found = answers(spec, asks, values_usd=values_usd, volume_usd=volume_usd)
        yield Group(one, place["asset"], place["inst"], keys, records, found)


def _wishes(
    one: AgentClass, params: Any, spec: VenueSpec, seed: int
) -> tuple[borrower_book.Wish, ...]:
    if one.opens != "fill":
        return ()
    first = account_key(one.rule.class_id, 0)
    found = borrower_book.wishes(
        params, spec, listings(spec), first_key=first, most=PLACE, seed=seed
    )
    return tuple(found)


def _filling(
    one: AgentClass, params: Any, keys: I64, wishes: tuple[borrower_book.Wish, ...]
) -> Group:
    """Return the accounts that fill a cap: sizes are within what is eligible."""
    records = one.account_parameters(params, keys)
    return Group(one, 0, -1, keys, records, (ELIGIBLE,) * len(keys), params, wishes)


def _places(one: AgentClass, spec: VenueSpec) -> Iterator[dict[str, Any]]:
    """Yield where a class trades: each book, each asset, or the venue as a whole."""
    assets = listings(spec)
    if one.stands_in == "venue":
        yield {"name": "", "asset": 0, "inst": -1, "ordinal": 0}
    elif one.stands_in == "book":
        by_name = {listing.name: listing for listing in assets}
        for inst, entry in enumerate(spec.instruments):
            listing = by_name[entry.asset]
            yield {
                "name": listing.name,
                "asset": listing.asset,
                "inst": inst,
                "ordinal": inst,
                "kind": KINDS[entry.kind],
                "price_usd": listing.price_usd,
                "lot_size": entry.lot_size,
            }
    else:
        for listing in assets:
            yield {
                "name": listing.name,
                "asset": listing.asset,
                "inst": -1,
                "ordinal": listing.asset,
                "price_usd": listing.price_usd,
                "lot_size": spec.instruments[listing.perp].lot_size,
                "has_spot": listing.spot >= 0,
                "tiers": spec.assets[listing.asset].tiers,
            }


def _count(one: AgentClass, params: Any, name: str, place: Mapping[str, Any]) -> int:
    count = getattr(params, "accounts", 1)
    if isinstance(count, Mapping):
        count = count.get(name, 0)
    return 0 if one.needs_spot and not place["has_spot"] else int(count)


def latencies_us(spec: VenueSpec, seed: int, keys: I64) -> list[int]:
    """Return the lognormal latency of each account, microseconds."""
    rules = spec.latency
    log_sd = ln(rules.p99_ms / rules.median_ms) / _P99
    draws = uniforms(*key_from_seed(seed), purpose=PURPOSE_LATENCY, account_key=keys, t_ms=0)
    return [int(1000.0 * rules.median_ms * exp(log_sd * normal_quantile(float(u)))) for u in draws]


def _cohorts(groups: Sequence[Group], memories: Sequence[Records]) -> tuple[Cohort, ...]:
    """Join the groups of each class, whose users are neighbours."""
    cohorts: list[Cohort] = []
    user = 0
    for group, memory in zip(groups, memories, strict=True):
        users = np.arange(user, user + len(group.keys), dtype=np.int64)
        user += len(group.keys)
        last = cohorts[-1] if cohorts else None
        if last is not None and last.rule is group.agent_class.rule:
            cohorts[-1] = Cohort(
                group.agent_class.rule,
                np.concatenate([last.users, users]),
                np.concatenate([last.parameters, group.parameters]),
                np.concatenate([last.memory, memory]),
            )
        else:
            cohorts.append(Cohort(group.agent_class.rule, users, group.parameters, memory))
    return tuple(cohorts)
