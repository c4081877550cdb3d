"""Borrowers who fill a cap: tokens as collateral, USDC borrowed against them and spent elsewhere.

They are the demand that a cap is sized for, not a forecast of it: drawn one after another until
the platform owes what it may, so that a larger cap adds borrowers and changes none. They never
trade: whoever has spent what it borrowed cannot repay, and what happens to it the venue decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from stressbook.agents.outbox import Outbox
from stressbook.agents.rule import Rule
from stressbook.agents.traits import pareto_trait, trait
from stressbook.agents.view import Accounts, Market, Me, look
from stressbook.market.compiling.arrays import I64, Records, record_dtype
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.numbers.elementary import normal_quantile
from stressbook.market.rules.parameters import param

PARAMETERS = record_dtype("", "equity_usd")
MEMORY = record_dtype("next_ms")

_SIZE_TRAIT, _LOAD_TRAIT, _TOKEN_TRAIT, _MIX_TRAIT = range(4)


@dataclass(frozen=True)
class BorrowerParams:
    """The borrowers who fill the platform's borrow cap of USDC.

    Examples
    --------
    >>> BorrowerParams().fill_to_usd
    0.0
    """

    fill_to_usd: float = param(
        0.0,
        unit="USD",
        help="USDC that all accounts owe together at the opening; 0: no borrowers",
        low=0.0,
    )
    load_mean: float = param(
        0.65, unit="1", help="mean of debt over loan-to-value, before it is cut", low=0.0, high=1.0
    )
    load_sd: float = param(
        0.12, unit="1", help="its deviation between borrowers", low=0.0, high=1.0
    )
    load_low: float = param(0.05, unit="1", help="smallest load", low=0.001, high=1.0)
    load_high: float = param(0.98, unit="1", help="largest load", low=0.001, high=1.0)
    token_weight: Mapping[str, float] = param(
        {"HYPE": 0.88, "BTC": 0.12},
        unit="1",
        help="share of borrowers whose collateral is mainly this token",
        source="collateral times loan-to-value: 9.9 M HYPE and 1,818 BTC, live reserve states of "
        "Hyperliquid, 2026-09-08",
    )
    mixed_frac: float = param(
        0.2,
        unit="1",
        help="share of borrowers with half of their credit from another token: assumed",
        low=0.0,
        high=1.0,
    )
    debt_low_usd: float = param(
        1e6, unit="USD", help="smallest debt that one of them wants: assumed", low=1e3
    )
    debt_ratio: float = param(
        50.0, unit="1", help="largest debt that one wants over the smallest: assumed", low=1.0
    )
    debt_tail: float = param(
        1.2,
        unit="1",
        help="tail exponent of the debts wanted",
        source="wealth of traders: 1.1 to 1.3, assumed",
        low=0.1,
    )
    sizes: Literal["drawn", "user_cap"] = param(
        "drawn", unit="name", help="what each wants to owe: drawn, or all that a user may"
    )
    accounts_when_bound: int = param(
        1,
        unit="1",
        help="accounts that an owner opens where one may not owe all that it wants",
        low=1,
        high=100,
    )
    supply_caps: Literal["lifted", "kept"] = param(
        "lifted",
        unit="name",
        help="kept: loads rise, at most to 1, where the platform's supply cap of the collateral "
        "leaves no room; lifted: loads stay, and the cap has to be raised",
    )


class Owner(NamedTuple):
    """One who wants to borrow, before caps."""

    key: int  # of its first account
    debt_usd: float
    load: float
    token: str  # asset of its main collateral
    other: str  # of the second half of its credit; "" if it has none


@inline_kernel
def decide(me: Me, mkt: Market, p: Any, out: Outbox) -> None:
    """Do nothing: what was borrowed is spent."""


@kernel
def run(
    accounts: Accounts, mkt: Market, users: I64, parameters: Records, memory: Records, out: Outbox
) -> None:
    """Let each account of a desk decide."""
    for j in range(users.shape[0]):
        decide(look(accounts, users[j], memory[j]), mkt, parameters[j], out)


RULE = Rule("borrower", CLASS_NUMBERS["borrower"], PARAMETERS, MEMORY, decide, run)


def account_parameters(params: BorrowerParams, keys: I64) -> Records:
    """Return the parameters of accounts, which have none: what they open with is solved.

    Parameters
    ----------
    params : BorrowerParams
        Of the class.
    keys : ndarray of int64, shape (n,)
        Account keys.

    Returns
    -------
    ndarray of PARAMETERS, shape (n,)
    """
    return np.zeros(len(keys), PARAMETERS)


def owners(params: BorrowerParams, keys: I64, *, seed: int) -> list[Owner]:
    """Draw who wants to borrow how much against what; each owner by its own key.

    Parameters
    ----------
    params : BorrowerParams
        Of the class.
    keys : ndarray of int64, shape (n,)
        One an owner: those of its accounts may be others.
    seed : int
        Of the run.

    Returns
    -------
    list of Owner
        In the order of the keys.

    Examples
    --------
    >>> few = owners(BorrowerParams(), np.arange(3) + (10 << 20), seed=7)
    >>> more = owners(BorrowerParams(), np.arange(5) + (10 << 20), seed=7)
    >>> few == more[:3]
    True
    """
    wanted = params.debt_low_usd * pareto_trait(
        seed, keys, _SIZE_TRAIT, tail=params.debt_tail, largest=params.debt_ratio
    )
    loads = [_cut_normal(params, float(u)) for u in trait(seed, keys, _LOAD_TRAIT)]
    names = [name for name, weight in params.token_weight.items() if weight > 0.0]
    mains = [_by_weight(params, names, float(u)) for u in trait(seed, keys, _TOKEN_TRAIT)]
    is_mixed = trait(seed, keys, _MIX_TRAIT) < params.mixed_frac
    return [
        Owner(
            int(key),
            float(debt),
            load,
            main,
            next((name for name in names if name != main), "") if mixed else "",
        )
        for key, debt, load, main, mixed in zip(keys, wanted, loads, mains, is_mixed, strict=True)
    ]


def _cut_normal(params: BorrowerParams, u: float) -> float:
    """Return the quantile of a normal law that is cut to the range of loads."""
    if params.load_sd == 0.0:
        return min(max(params.load_mean, params.load_low), params.load_high)
    low = _normal_cdf((params.load_low - params.load_mean) / params.load_sd)
    high = _normal_cdf((params.load_high - params.load_mean) / params.load_sd)
    load = params.load_mean + params.load_sd * float(normal_quantile(low + u * (high - low)))
    return min(max(load, params.load_low), params.load_high)


def _by_weight(params: BorrowerParams, names: list[str], u: float) -> str:
    total = sum(params.token_weight[name] for name in names)
    below = 0.0
    for name in names:
        below += params.token_weight[name] / total
        if u < below:
            return name
    return names[-1]


def _normal_cdf(x: float) -> float:
    """Return the normal distribution function by bisection of its inverse: the same on any CPU."""
    low, high = 1e-12, 1.0 - 1e-12
    for _ in range(60):
        middle = 0.5 * (low + high)
        if float(normal_quantile(middle)) < x:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
