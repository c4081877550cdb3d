"""Who trades on a venue: every class with its accounts, their parameters and what they open with.

Account keys are class number x 2^20 + place x 2^14 + rank, where the place is the asset, or the
book of classes that stand in one book. Every draw depends on the seed, its purpose and the
account's own key: an account added, removed or enrolled moves no other's draw.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from stressbook.agents import (
    arbitrageur,
    basis_trader,
    dip_buyer,
    directional,
    hedger,
    holder,
    lender,
    market_maker,
    order_flow,
)
from stressbook.agents.arbitrageur import ArbitrageurParams
from stressbook.agents.basis_trader import BasisTraderParams
from stressbook.agents.dip_buyer import DipBuyerParams
from stressbook.agents.directional import DirectionalParams
from stressbook.agents.drafts import listings, to_account
from stressbook.agents.hedger import HedgerParams
from stressbook.agents.holder import HolderParams
from stressbook.agents.lender import LenderParams
from stressbook.agents.market_maker import MarketMakerParams
from stressbook.agents.opening import Group, OpeningParams, open_book
from stressbook.agents.order_flow import OrderFlowParams
from stressbook.agents.rule import Rule
from stressbook.errors import InvalidInput
from stressbook.market.draws import PURPOSE_LATENCY, account_key, key_from_seed, uniforms
from stressbook.market.elementary import exp, ln, normal_quantile
from stressbook.market.listing import KINDS
from stressbook.market.parameters import param
from stressbook.market.setup import AccountOpening
from stressbook.market.spec import VenueSpec
from stressbook.market.state import I64, Records
from stressbook.market.world_parameters import WorldParams, default_world

REGIMES: Final = ("portfolio", "cross")
PLACE: Final = 2**14  # accounts of one class in one place
_P99: Final = 2.3263478740408408  # standard normal deviate exceeded by 1 %

# Order of the accounts.
RULE_MODULES: Final[Mapping[str, ModuleType]] = {
    "market_maker": market_maker,
    "arbitrageur": arbitrageur,
    "order_flow": order_flow,
    "dip_buyer": dip_buyer,
    "directional": directional,
    "basis_trader": basis_trader,
    "hedger": hedger,
    "holder": holder,
    "lender": lender,
}


@dataclass(frozen=True)
class PopulationParams:
    """The crowd: parameters of all nine classes, and of what they open with.

    Examples
    --------
    >>> PopulationParams().holder.load_mean
    0.7
    """

    market_maker: MarketMakerParams = field(default_factory=MarketMakerParams)
    arbitrageur: ArbitrageurParams = field(default_factory=ArbitrageurParams)
    order_flow: OrderFlowParams = field(default_factory=OrderFlowParams)
    dip_buyer: DipBuyerParams = field(default_factory=DipBuyerParams)
    directional: DirectionalParams = field(default_factory=DirectionalParams)
    basis_trader: BasisTraderParams = field(default_factory=BasisTraderParams)
    hedger: HedgerParams = field(default_factory=HedgerParams)
    holder: HolderParams = field(default_factory=HolderParams)
    lender: LenderParams = field(default_factory=LenderParams)
    opening: OpeningParams = field(default_factory=OpeningParams)
    volume_14d_usd: Mapping[str, float] = param(
        {
            "market_maker": 2.5e9,
            "arbitrageur": 2.5e9,
            "order_flow": 30e6,
            "dip_buyer": 30e6,
            "directional": 30e6,
            "basis_trader": 150e6,
            "hedger": 30e6,
            "holder": 6e6,
        },
        unit="USD",
        help="weighted 14-day volume of an account, which sets its fees",
    )


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


def build_population(
    params: PopulationParams,
    spec: VenueSpec,
    *,
    seed: int,
    regime: str = "portfolio",
    world: WorldParams | None = None,
    renewal: bool = False,
    classes: Collection[str] = tuple(RULE_MODULES),
) -> Population:
    """Return a population with its opening book.

    Parameters
    ----------
    params : PopulationParams
        Of all classes.
    spec : VenueSpec
        Rules, with opening prices; classes open only in what it lists.
    seed : int
        Of the run.
    regime : {"portfolio", "cross"}, default "portfolio"
        Under `cross` nobody is enrolled. Equities are the same to the micro-USDC.
    world : WorldParams, optional
        Volatilities and correlations; the default world of the venue's assets if None.
    renewal : bool, default False
        Whether ruined accounts are replaced and large winnings taken out; for runs of half a day
        or more.
    classes : collection of str, optional
        Those that take part; all if left out.

    Returns
    -------
    Population
        Users are numbered by class, place and rank.

    Raises
    ------
    InvalidInput
        If `regime` is unknown or a class has too many accounts.
    InvalidScenario
        If the opening book cannot be balanced.

    Examples
    --------
    >>> from stressbook.market.spec import load_preset
    >>> population = build_population(PopulationParams(), load_preset("hyperliquid"), seed=7)
    >>> [cohort.rule.name for cohort in population.cohorts][:3]
    ['market_maker', 'arbitrageur', 'order_flow']
    """
    if regime not in REGIMES:
        raise InvalidInput("is unknown", name="regime", value=regime, allowed=", ".join(REGIMES))
    if world is None:
        world = default_world([asset.name for asset in spec.assets])
    named = [
        (name, group)
        for name, module in RULE_MODULES.items()
        if name in classes
        for group in _groups(module, getattr(params, name), spec, seed, regime == "portfolio")
    ]
    book = open_book(
        [group for _, group in named], spec, params=params.opening, world=world, seed=seed
    )
    assets = listings(spec)
    accounts: list[AccountOpening] = []
    for (name, group), drafts in zip(named, book.drafts, strict=True):
        volume = params.volume_14d_usd.get(name, 0.0)
        for draft, latency in zip(drafts, latencies_us(spec, seed, group.keys), strict=True):
            accounts.append(
                to_account(draft, spec, assets, latency_us=latency, volume_14d_usd=volume)
            )
    cohorts = _cohorts([group for _, group in named], book.memories)
    if not renewal:
        for cohort in cohorts:
            if "renewal_ms" in (cohort.parameters.dtype.names or ()):
                cohort.parameters["renewal_ms"] = 0
    return Population(cohorts, tuple(accounts), book.borrow_rate, book.utilisation, book.debt_share)


def _groups(
    module: ModuleType, params: Any, spec: VenueSpec, seed: int, enrols: bool
) -> Iterator[Group]:
    """Yield the accounts of one class, place by place."""
    for place in _places(module, spec):
        name = place["name"]
        n = _count(module, params, name, place)
        if n == 0:
            continue
        if n > PLACE:
            name = f"{module.RULE.name}.accounts"
            raise InvalidInput("is too large", name=name, value=n, allowed=f"0 to {PLACE}")
        first = account_key(module.RULE.class_id, place["ordinal"] * PLACE)
        keys = first + np.arange(n, dtype=np.int64)
        wanted = inspect.signature(module.account_parameters).parameters
        given = {"seed": seed, **place}
        records = module.account_parameters(
            params, keys, **{key: value for key, value in given.items() if key in wanted}
        )
        share = getattr(params, "enrolled_frac", {}).get(name, 0.0) if enrols else 0.0
        enrolled = tuple(int((i + 1) * share) > int(i * share) for i in range(n))
        yield Group(module.RULE, place["asset"], place["inst"], keys, records, enrolled)


def _places(module: ModuleType, spec: VenueSpec) -> Iterator[dict[str, Any]]:
    """Yield where a class trades: each book, each asset, or the venue as a whole."""
    wanted = inspect.signature(module.account_parameters).parameters
    assets = listings(spec)
    if "asset" not in wanted:
        yield {"name": "", "asset": 0, "inst": -1, "ordinal": 0}
        return
    if "inst" in wanted:
        by_name = {one.name: one for one in assets}
        for inst, entry in enumerate(spec.instruments):
            one = by_name[entry.asset]
            yield {
                "name": one.name,
                "asset": one.asset,
                "inst": inst,
                "ordinal": inst,
                "kind": KINDS[entry.kind],
                "price_usd": one.price_usd,
                "lot_size": entry.lot_size,
            }
        return
    for one in assets:
        yield {
            "name": one.name,
            "asset": one.asset,
            "inst": -1,
            "ordinal": one.asset,
            "price_usd": one.price_usd,
            "lot_size": spec.instruments[one.perp].lot_size,
            "has_spot": one.spot >= 0,
            "tiers": spec.assets[one.asset].tiers,
        }


def _count(module: ModuleType, params: Any, name: str, place: Mapping[str, Any]) -> int:
    count = getattr(params, "accounts", 1)
    if isinstance(count, Mapping):
        count = count.get(name, 0)
    needs_spot = module in (basis_trader, holder)
    return 0 if needs_spot and not place["has_spot"] else int(count)


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
        if last is not None and last.rule is group.rule:
            cohorts[-1] = Cohort(
                group.rule,
                np.concatenate([last.users, users]),
                np.concatenate([last.parameters, group.parameters]),
                np.concatenate([last.memory, memory]),
            )
        else:
            cohorts.append(Cohort(group.rule, users, group.parameters, memory))
    return tuple(cohorts)
