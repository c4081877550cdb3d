"""Accounts of a population file: they open with what the file says, and do nothing.

Only the venue acts on them: funding, interest, breaches, takeovers, deleveraging. What becomes of
such an account is therefore what its book does under the rules, without its owner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from stressbook.agents.drafts import Listing, counted_units, token_micro
from stressbook.agents.outbox import Outbox
from stressbook.agents.rule import Rule
from stressbook.agents.view import Accounts, Market, Me, look
from stressbook.errors import InvalidScenario, Problem
from stressbook.market.compiling.arrays import I64, Records, record_dtype
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.numbers.draws import CLASS_NUMBERS, account_key
from stressbook.market.numbers.units import NEAREST, mul_div
from stressbook.market.opening.setup import AccountOpening
from stressbook.market.rules.spec import VenueSpec
from stressbook.market.state.codes import (
    MODE_PORTFOLIO,
    MODE_UNIFIED,
    REGIME_CROSS,
    REGIME_PORTFOLIO,
)

__all__ = [
    "NO_TOTALS",
    "RULE",
    "OwnAccount",
    "OwnTotals",
    "equity_micro",
    "memory_of",
    "openings",
    "own_keys",
    "parameters_of",
    "require_lendable",
    "totals_of",
]

PARAMETERS = record_dtype("rank")  # in the file; nothing is decided by it
MEMORY = record_dtype("n_looks")
_CLASS_ID: Final = CLASS_NUMBERS["own_book"]


@dataclass(frozen=True)
class OwnAccount:
    """One account of a population file, in the units of the ledger.

    Parameters
    ----------
    name : str
        As in the file.
    cash_micro : int
        USDC that is there, micro-USDC, before what perps have gained: what is borrowed and not
        spent is in it, what is lent is not.
    tokens : mapping of int to int
        Token (from 1) to units that are there.
    perps : mapping of int to (int, int)
        Instrument to signed lots and entry price in 1e-8 USD.
    debts, supplies : mapping of int to int
        Token (0 is USDC) to units borrowed from and lent to its reserve.
    account_mode : int
        `codes.MODE_*`.
    leverage : mapping of int to int
        Instrument to leverage; the venue's maximum where not given.
    owner : str
        Accounts of one owner share it; the account itself if empty.
    volume_14d_micro : int
        Weighted volume that sets fees and eligibility, micro-USDC.

    Examples
    --------
    >>> OwnAccount("desk", cash_micro=5_000_000, debts={0: 2_000_000}).opens_with_micro
    3000000
    """

    name: str
    cash_micro: int = 0
    tokens: Mapping[int, int] = field(default_factory=dict)
    perps: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    debts: Mapping[int, int] = field(default_factory=dict)
    supplies: Mapping[int, int] = field(default_factory=dict)
    account_mode: int = MODE_UNIFIED
    leverage: Mapping[int, int] = field(default_factory=dict)
    owner: str = ""
    volume_14d_micro: int = 0

    @property
    def opens_with_micro(self) -> int:
        """USDC of its own, micro-USDC: what is there and lent, less what is owed."""
        return self.cash_micro + self.supplies.get(0, 0) - self.debts.get(0, 0)

    def own_units(self, token: int) -> int:
        """Return units of its own: there and lent, less owed."""
        held = self.tokens.get(token, 0) + self.supplies.get(token, 0)
        return held - self.debts.get(token, 0)


class OwnTotals(NamedTuple):
    """What all accounts of a file ask of the rest of the market."""

    perp_lots: Mapping[int, int]  # by instrument, net
    debts: Mapping[int, int]  # by token (0 is USDC), units
    supplies: Mapping[int, int]
    collateral: Mapping[int, int]  # of enrolled accounts, within the user's supply cap


NO_TOTALS: Final = OwnTotals({}, {}, {}, {})


@inline_kernel
def decide(me: Me, mkt: Market, p: Any, out: Outbox) -> None:
    """Do nothing."""


@kernel
def run(
    accounts: Accounts, mkt: Market, users: I64, parameters: Records, memory: Records, out: Outbox
) -> None:
    """Let each account of a desk decide."""
    for j in range(users.shape[0]):
        decide(look(accounts, users[j], memory[j]), mkt, parameters[j], out)


RULE = Rule("own_book", _CLASS_ID, PARAMETERS, MEMORY, decide, run)


def own_keys(n: int) -> I64:
    """Return the account keys of a file with `n` accounts, in its order."""
    return np.array([account_key(_CLASS_ID, rank) for rank in range(n)], np.int64)


def parameters_of(n: int) -> Records:
    """Return the parameters of `n` accounts."""
    records = np.zeros(n, PARAMETERS)
    records["rank"] = np.arange(n)
    return records


def memory_of(n: int) -> Records:
    """Return the memory of `n` accounts."""
    return np.zeros(n, MEMORY)


def totals_of(accounts: Sequence[OwnAccount], spec: VenueSpec) -> OwnTotals:
    """Return what the accounts hold and owe together.

    Parameters
    ----------
    accounts : sequence of OwnAccount
        Of the file.
    spec : VenueSpec
        Rules, for the user supply caps.

    Returns
    -------
    OwnTotals

    Examples
    --------
    >>> from stressbook.market.rules.spec import load_preset
    >>> short = OwnAccount("desk", perps={0: (-5, 10**12)})
    >>> totals_of([short, short], load_preset("hyperliquid")).perp_lots
    {0: -10}
    """
    perp_lots: dict[int, int] = {}
    debts: dict[int, int] = {}
    supplies: dict[int, int] = {}
    collateral: dict[int, int] = {}
    for one in accounts:
        for inst, (lots, _) in one.perps.items():
            perp_lots[inst] = perp_lots.get(inst, 0) + lots
        for found, mine in ((debts, one.debts), (supplies, one.supplies)):
            for token, units in mine.items():
                found[token] = found.get(token, 0) + units
        if one.account_mode == MODE_PORTFOLIO:
            for token, units in one.tokens.items():
                collateral[token] = collateral.get(token, 0) + counted_units(spec, token, units)
    return OwnTotals(perp_lots, debts, supplies, collateral)


def require_lendable(totals: OwnTotals, lent: Mapping[int, int], spec: VenueSpec) -> None:
    """Refuse debts that pool or platform cap cannot carry; both stay those of the scenario.

    Parameters
    ----------
    totals : OwnTotals
        Of the file.
    lent : mapping of int to int
        By token, what all suppliers have lent, the file's inside, units.
    spec : VenueSpec
        Rules.

    Raises
    ------
    InvalidScenario
        With each token of which too much is owed.
    """
    problems = []
    for token, units in totals.debts.items():
        one = spec.tokens[token]
        cap = round(one.platform_borrow_cap * one.unit)
        place = f"population, debt of {one.name}"
        for most, what, hint in (
            (
                lent.get(token, 0),
                "is more than the reserve has to lend",
                "raise what lenders supply",
            ),
            (cap, "is above the platform borrow cap", f"raise venue.tokens.{one.name} caps"),
        ):
            if units > most:
                allowed = f"up to {most / one.unit:,.2f} {one.name}"
                problems.append(Problem(what, place, units / one.unit, allowed, hint))
    if problems:
        raise InvalidScenario.from_problems(problems)


def equity_micro(one: OwnAccount, spec: VenueSpec, assets: Sequence[Listing]) -> int:
    """Return what an account is worth at the opening prices, micro-USDC.

    Parameters
    ----------
    one : OwnAccount
        Of the file.
    spec : VenueSpec
        Rules, with opening prices.
    assets : sequence of Listing
        Of the venue.

    Returns
    -------
    int
        USDC and tokens of its own, and what its perps have gained since entry.
    """
    total = one.opens_with_micro
    for listing in assets:
        total += token_micro(listing, one.own_units(listing.token)) if listing.token > 0 else 0
        lots, entry_e8 = one.perps.get(listing.perp, (0, 1))
        if lots:
            den = spec.instruments[listing.perp].mark_den
            total += mul_div(lots, listing.price_e8, den, NEAREST)
            total -= mul_div(lots, entry_e8, den, NEAREST)
    return total


def openings(
    accounts: Sequence[OwnAccount], *, latencies_us: Sequence[int], first_user: int
) -> list[AccountOpening]:
    """Return the accounts as the opening books them, in the order of the file.

    Parameters
    ----------
    accounts : sequence of OwnAccount
        Of the file.
    latencies_us : sequence of int
        Of their messages.
    first_user : int
        User of the first of them; owners are numbered by their first account.

    Returns
    -------
    list of AccountOpening

    Examples
    --------
    >>> pair = [OwnAccount("a", owner="desk"), OwnAccount("b", owner="desk")]
    >>> [one.owner for one in openings(pair, latencies_us=[1, 1], first_user=7)]
    [7, 7]
    """
    owners: dict[str, int] = {}
    found = []
    for rank, (one, key) in enumerate(zip(accounts, own_keys(len(accounts)), strict=True)):
        is_portfolio = one.account_mode == MODE_PORTFOLIO
        tokens = {t: one.own_units(t) for t in {*one.tokens, *one.supplies, *one.debts} if t > 0}
        found.append(
            AccountOpening(
                key=int(key),
                class_id=_CLASS_ID,
                cash_micro=one.opens_with_micro,
                tokens=tokens,
                perps=one.perps,
                debt=one.debts.get(0, 0),
                supply=one.supplies.get(0, 0),
                borrowed={t: units for t, units in one.debts.items() if t > 0},
                lent={t: units for t, units in one.supplies.items() if t > 0},
                regime=REGIME_PORTFOLIO if is_portfolio else REGIME_CROSS,
                account_mode=one.account_mode,
                leverage=one.leverage,
                owner=owners.setdefault(one.owner, first_user + rank) if one.owner else -1,
                volume_14d_micro=one.volume_14d_micro,
                latency_us=latencies_us[rank],
            )
        )
    return found
