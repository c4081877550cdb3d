"""The opening book: what every account holds when a run begins, near its own long run.

A run does not start empty. Carry books open at the long-run funding, not at its floor; directional
traders open aged; makers, arbitrageurs, flow traders and dip buyers with their stocks and no perps;
lenders with what they have supplied. Every account's equity is the same under each margin regime,
while tokens, perps and debts are the regime's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from stressbook.agents import borrower_book, carry_book, directional_book
from stressbook.agents.aging import past_of
from stressbook.agents.carry_book import CarryBook
from stressbook.agents.carry_ratio import solve_below_trigger
from stressbook.agents.carry_sizes import Carrier, CarryMarket, basket_weights, covariances
from stressbook.agents.classes import AgentClass
from stressbook.agents.directional import FLAT, HOLDING
from stressbook.agents.directional_book import Bet
from stressbook.agents.drafts import Draft, Listing, listings, token_micro
from stressbook.agents.own_book import NO_TOTALS, OwnTotals, require_lendable
from stressbook.agents.traits import trait
from stressbook.agents.volumes import SECONDS_PER_DAY
from stressbook.market.compiling.arrays import F64, I64, Records
from stressbook.market.numbers.units import MICRO
from stressbook.market.prices.world_parameters import WorldParams
from stressbook.market.rules.parameters import param
from stressbook.market.rules.spec import VenueSpec
from stressbook.market.state.codes import ELIGIBLE

PHASE_TRAIT = 1_000  # of the first look of an account


@dataclass(frozen=True)
class OpeningParams:
    """What the opening book assumes beside the population.

    Examples
    --------
    >>> OpeningParams().funding["BTC"]
    0.25
    """

    funding: Mapping[str, float] = param(
        {"BTC": 0.25, "ETH": 0.19, "SOL": 0.20, "HYPE": 0.15},
        unit="1/year",
        help="long-run funding that carry books open on",
        source="what carry books held late in runs of twenty days; SOL, without any, assumed",
    )
    most_utilisation: float = param(
        0.95, unit="1", help="largest share of the supply that is lent", low=0.0, high=1.0
    )


class Group(NamedTuple):
    """Accounts of one class in one asset or book, before they have anything."""

    agent_class: AgentClass
    asset: int
    inst: int  # -1 where the class trades the whole asset
    keys: I64
    parameters: Records
    answers: tuple[int, ...]  # to those that ask to be enrolled, `agents.enrolment`
    params: Any = None  # of the class
    wishes: tuple[borrower_book.Wish, ...] = ()  # of borrowers who fill a cap

    @property
    def enrolled(self) -> tuple[bool, ...]:
        """Whether each account is."""
        return tuple(one == ELIGIBLE for one in self.answers)


class OpeningBook(NamedTuple):
    """Drafts and memories by group, in the order of the groups."""

    drafts: list[list[Draft]]
    memories: list[Records]
    borrow_rate: float
    utilisation: float
    debt_share: float
    rationed_by: dict[int, str]  # by account key, of `carry_book.RATIONS`; of those that are


def open_book(
    groups: Sequence[Group],
    spec: VenueSpec,
    *,
    params: OpeningParams,
    world: WorldParams,
    seed: int,
    own: OwnTotals = NO_TOTALS,
) -> OpeningBook:
    """Return the opening book of a population.

    Parameters
    ----------
    groups : sequence of Group
        The accounts.
    spec : VenueSpec
        Rules, with opening prices.
    params : OpeningParams
        Long-run funding.
    world : WorldParams
        Volatilities and correlations of the assets, in the order of the venue.
    seed : int
        Of the run.
    own : OwnTotals, optional
        What accounts of a population file hold beside the groups.

    Returns
    -------
    OpeningBook
        Deterministic; perps sum to zero, those of the file inside.

    Raises
    ------
    InvalidScenario
        If the directional traders cannot take the other side of the hedged books and of the file,
        or the reserve cannot lend what the file owes.
    """
    assets = listings(spec)
    covariance = _daily_covariance(world)
    carriers = [one for group in groups for one in _carriers(group)]
    lent = _lent_units(groups, spec)
    for token, units in own.supplies.items():
        lent[token] = lent.get(token, 0) + units
    require_lendable(own, lent, spec)
    market = CarryMarket(
        spec,
        assets,
        params.funding,
        covariance,
        lent.get(0, 0) / MICRO,
        params.most_utilisation,
        lent,
        other_debt_usd=own.debts.get(0, 0) / MICRO,
        other_collateral=own.collateral,
    )
    book = solve_below_trigger(carriers, market)
    apart = carry_book.solve([one._replace(enrolled=False) for one in carriers], market)
    bets = _bets(groups, spec, assets, world, seed)
    for one in assets:
        net_lots = _short_lots(apart, one) - own.perp_lots.get(one.perp, 0)
        directional_book.turn_sides(bets.get(one.asset, []), net_lots)
    signed = {
        one.asset: directional_book.balance(
            bets.get(one.asset, []),
            _short_lots(book, one) - own.perp_lots.get(one.perp, 0),
            name=one.name,
            own_lots=own.perp_lots.get(one.perp, 0),
        )
        for one in assets
    }
    solved = {draft.key: draft for draft in book.drafts}
    filled = borrower_book.fill_beside(
        [(group.params, group.wishes) for group in groups if group.wishes],
        book.drafts,
        spec,
        assets,
        lent=lent,
        own=own,
    )
    solved |= {draft.key: draft for draft in filled}
    for one in assets:
        for bet, lots in zip(bets.get(one.asset, []), signed[one.asset], strict=True):
            solved[bet.draft.key] = directional_book.settle_draft(bet, lots, one.perp)
    supplied = _supply_beside(book, filled, groups)
    drafts = [_drafts(group, spec, assets, solved, supplied) for group in groups]
    lives = {bet.draft.key: bet for one in bets.values() for bet in one}
    memories = [
        _memory(group, drafts[i], lives, params, assets, covariance, seed)
        for i, group in enumerate(groups)
    ]
    rationed_by = {
        one.key: name for one, name in zip(carriers, book.rationed_by, strict=True) if name
    }
    rationed_by |= {
        wish.key: wish.bound_by
        for group in groups
        for wish in group.wishes
        if wish.bound_by and solved[wish.key].debt_micro
    }
    return OpeningBook(
        drafts, memories, book.borrow_rate, book.utilisation, book.debt_share, rationed_by
    )


def _daily_covariance(world: WorldParams) -> F64:
    """Return the covariance of a day's log returns, element by element."""
    volatility = [asset.daily_volatility for asset in world.assets]
    n = len(volatility)
    covariance = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            covariance[i, j] = world.correlation[i][j] * volatility[i] * volatility[j]
    return covariance


def _carriers(group: Group) -> list[Carrier]:
    if group.agent_class.opens != "carry":
        return []
    rule = group.agent_class.rule
    return [
        Carrier(rule.name, int(key), rule.class_id, p, enrolled)
        for key, p, enrolled in zip(
            group.keys, plain(group.parameters), group.enrolled, strict=True
        )
    ]


def plain(records: Records) -> list[SimpleNamespace]:
    """Return records as plain objects, whose fields Python reads forty times faster.

    Examples
    --------
    >>> plain(np.zeros(1, [("load", np.float64)]))[0].load
    0.0
    """
    names = records.dtype.names or ()
    return [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in records.tolist()]


def _lent_units(groups: Sequence[Group], spec: VenueSpec) -> dict[int, int]:
    """Return what lenders supply to each reserve, by token, units."""
    lent: dict[int, int] = {}
    for group in groups:
        if group.agent_class.opens == "claim":
            for p in plain(group.parameters):
                for token, units in _lent_by(p, len(group.keys), spec).items():
                    lent[token] = lent.get(token, 0) + units
    return lent


def _lent_by(p: Any, n_lenders: int, spec: VenueSpec) -> dict[int, int]:
    """Return what a lender supplies, by token, units: no more than its part of the supply caps.

    All suppliers stand in a few accounts, so that user supply caps do not bound them.
    """
    usdc = spec.tokens[0]
    lent = {0: min(int(p.supply_micro), int(usdc.platform_supply_cap * usdc.unit / n_lenders))}
    for each in listings(spec):
        token = spec.tokens[each.token]
        if each.token > 0 and token.borrowable:
            wanted = round(float(p.token_supply_ratio) * token.platform_borrow_cap * token.unit)
            lent[each.token] = min(wanted, int(token.platform_supply_cap * token.unit / n_lenders))
    return lent


def _short_lots(book: CarryBook, one: Listing) -> int:
    """Return the lots of a perp that hedged books are short, net."""
    return -sum(draft.perps.get(one.perp, 0) for draft in book.drafts) if one.perp >= 0 else 0


def _bets(
    groups: Sequence[Group],
    spec: VenueSpec,
    assets: Sequence[Listing],
    world: WorldParams,
    seed: int,
) -> dict[int, list[Bet]]:
    found: dict[int, list[Bet]] = {}
    for group in groups:
        if group.agent_class.opens != "bets" or not len(group.keys):
            continue
        past = past_of(
            group.parameters[0],
            seed=seed,
            asset=group.asset,
            daily_volatility=world.assets[group.asset].daily_volatility,
            market_loading=world.correlation[0][group.asset],
        )
        found[group.asset] = directional_book.bets_of(
            plain(group.parameters),
            [int(key) for key in group.keys],
            class_id=group.agent_class.rule.class_id,
            one=assets[group.asset],
            spec=spec,
            past=past,
            seed=seed,
        )
    return found


def _supply_beside(book: CarryBook, filled: Sequence[Draft], groups: Sequence[Group]) -> int:
    """Return what each lender supplies more, so that borrowers leave utilisation as it was."""
    n_lenders = sum(len(group.keys) for group in groups if group.agent_class.opens == "claim")
    added = sum(draft.debt_micro for draft in filled)
    if not added or not n_lenders:
        return 0
    used = book.utilisation if book.utilisation > 0.0 else 1.0
    return -(-int(added / used) // n_lenders)


def _drafts(
    group: Group,
    spec: VenueSpec,
    assets: Sequence[Listing],
    solved: Mapping[int, Draft],
    supplied_micro: int,
) -> list[Draft]:
    return [
        solved[int(key)]
        if int(key) in solved
        else _endowed(group, int(key), p, spec, assets[group.asset], supplied_micro)
        for key, p in zip(group.keys, plain(group.parameters), strict=True)
    ]


def _endowed(
    group: Group, key: int, p: Any, spec: VenueSpec, one: Listing, supplied_micro: int
) -> Draft:
    """Return an account that opens with USDC, a stock of tokens or a claim on the reserve."""
    draft = Draft(key, group.agent_class.rule.class_id, 0)
    if group.agent_class.opens == "claim":
        return _lender_draft(draft, p, len(group.keys), spec, supplied_micro)
    draft.equity_micro = round(float(p.equity_usd) * MICRO)
    lots = int(getattr(p, "spot_lots", 0))
    if lots:
        inst = group.inst if group.inst >= 0 else one.perp
        draft.tokens[one.token] = lots * (one.unit // round(1.0 / spec.instruments[inst].lot_size))
        draft.equity_micro += token_micro(one, draft.tokens[one.token])
    return draft


def _lender_draft(
    draft: Draft, p: Any, n_lenders: int, spec: VenueSpec, supplied_micro: int
) -> Draft:
    """Give a lender its claims; USDC beyond the supply cap is its own, and not lent."""
    lent = _lent_by(p, n_lenders, spec)
    draft.equity_micro = int(p.supply_micro) + supplied_micro
    draft.supply_micro = lent.pop(0) + supplied_micro
    for each in listings(spec):
        if each.token in lent:
            draft.tokens[each.token] = draft.lent[each.token] = lent[each.token]
            draft.equity_micro += token_micro(each, lent[each.token])
    return draft


def _memory(
    group: Group,
    drafts: Sequence[Draft],
    lives: Mapping[int, Bet],
    params: OpeningParams,
    assets: Sequence[Listing],
    covariance: F64,
    seed: int,
) -> Records:
    """Return what the accounts remember at the opening: averages, estimates, phases."""
    one, parameters = group.agent_class, group.parameters
    memory = np.zeros(len(group.keys), one.rule.memory)
    kept = memory.dtype.names or ()
    if one.opens in ("carry", "bets") and len(memory):
        interval = "child_ms" if one.opens == "bets" else "interval_ms"
        phase = trait(seed, group.keys, PHASE_TRAIT)
        memory["next_ms"] = (phase * parameters[interval]).astype(np.int64)
    if "funding_ema" in kept:
        memory["funding_ema"] = params.funding.get(assets[group.asset].name, 0.0)
    if "covariance" in kept:
        _remember_covariances(memory, group, assets, covariance)
    if one.opens == "bets":
        _remember_bets(memory, group, drafts, lives, assets)
    if one.opens == "claim":
        memory["left_micro"] = [draft.supply_micro for draft in drafts]
    return memory


def _remember_covariances(
    memory: Records, group: Group, assets: Sequence[Listing], covariance: F64
) -> None:
    for m, p in zip(memory, plain(group.parameters), strict=True):
        weights = basket_weights(p, assets)
        own, variance = covariances(p, weights, covariance)
        days = float(p.sample_ms) / 1000.0 / SECONDS_PER_DAY
        m.covariance, m.variance = own * days, variance * days


def _remember_bets(
    memory: Records,
    group: Group,
    drafts: Sequence[Draft],
    lives: Mapping[int, Bet],
    assets: Sequence[Listing],
) -> None:
    for m, p, draft in zip(memory, plain(group.parameters), drafts, strict=True):
        life = lives[draft.key].life
        lots = draft.perps.get(assets[group.asset].perp, 0)
        m.phase = HOLDING if lots else FLAT
        m.until_ms = int(1000.0 * life.until_s)
        m.target_lots = lots
        m.child_lots = abs(lots) // int(p.n_children) + 1
