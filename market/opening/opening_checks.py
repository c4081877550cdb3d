"""What can be wrong with an opening: sizes, accounts that clash, balances out of bounds, loans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from stressbook.errors import Problem
from stressbook.market.numbers.units import BALANCE_MAX
from stressbook.market.rules.spec import VenueSpec
from stressbook.market.state.codes import MODE_PORTFOLIO, REGIME_PORTFOLIO
from stressbook.market.state.records import N_TICKS, Capacity

if TYPE_CHECKING:
    from stressbook.market.opening.setup import AccountOpening

__all__ = ["account_problems", "size_problems"]

_MAX_ORDERS: Final = 2**24  # slots in a handle


def size_problems(capacity: Capacity, dt_ms: int) -> Iterator[Problem]:
    """Yield what is wrong with the sizes of logs and books, and with the step."""
    for name, size in capacity._asdict().items():
        if not 1 <= size <= _MAX_ORDERS:
            yield Problem("is out of range", f"capacity.{name}", size, f"1 to {_MAX_ORDERS}")
    if not 1 <= dt_ms <= 60_000:
        yield Problem("is out of range", "dt_ms", dt_ms, "1 to 60000 ms")


def account_problems(spec: VenueSpec, users: Sequence[AccountOpening]) -> Iterator[Problem]:
    """Yield what is wrong with the accounts of an opening, each and together."""
    for key, count in Counter(account.key for account in users).items():
        if count > 1:
            yield Problem("is there twice", "accounts.key", key, "each account key once")
    for user, account in enumerate(users):
        yield from _one_account_problems(spec, account, place=f"accounts[{user}]")
    for inst, entry in enumerate(spec.instruments):
        lots = sum(account.perps.get(inst, (0, 0))[0] for account in users)
        if lots:
            yield Problem("does not sum to zero", f"accounts.perps.{entry.name}", lots, "0 lots")
    yield from _total_problems(spec, users)
    debts, supplies = sum(a.debt for a in users), sum(a.supply for a in users)
    if debts > supplies:
        allowed = f"up to what is supplied, {supplies} micro-USDC"
        yield Problem("is not in the pool", "accounts.debt", debts, allowed)
    for token in range(1, len(spec.tokens)):
        lent = sum(account.lent.get(token, 0) for account in users)
        owed = sum(account.borrowed.get(token, 0) for account in users)
        if owed > lent:
            allowed = f"up to what is lent, {lent} units"
            yield Problem("is not in the pool", f"accounts.borrowed[{token}]", owed, allowed)


def _total_problems(spec: VenueSpec, users: Sequence[AccountOpening]) -> Iterator[Problem]:
    # The row `outside` holds the other side of all openings, and is bounded as they are.
    totals = {"cash_micro": sum(abs(a.cash_micro) for a in users)}
    totals |= {
        f"tokens[{token}]": sum(abs(a.tokens.get(token, 0)) for a in users)
        for token in range(1, len(spec.tokens))
    }
    totals |= {name: sum(getattr(a, name) for a in users) for name in ("debt", "supply")}
    for name, total in totals.items():
        if total >= BALANCE_MAX:
            place = f"accounts.{name}"
            yield Problem("is too large together", place, total, "below 2**62 over all accounts")


def _one_account_problems(
    spec: VenueSpec, account: AccountOpening, *, place: str
) -> Iterator[Problem]:
    for token, units in account.tokens.items():
        if not 1 <= token < len(spec.tokens):
            yield Problem("is no token", f"{place}.tokens", token, f"1 to {len(spec.tokens) - 1}")
        if not -account.borrowed.get(token, 0) <= units < BALANCE_MAX:
            allowed = "0 to 2**62 units, below 0 as far as borrowed"
            yield Problem("is out of range", f"{place}.tokens[{token}]", units, allowed)
    yield from _token_loan_problems(spec, account, place=place)
    for inst in account.perps:
        yield from _perp_problems(spec, account, inst, place=f"{place}.perps[{inst}]")
    for name in ("cash_micro", "debt", "supply"):
        amount = getattr(account, name)
        if not (-BALANCE_MAX if name == "cash_micro" else 0) <= amount < BALANCE_MAX:
            yield Problem("is out of range", f"{place}.{name}", amount, "below 2**62 micro-USDC")
    if account.debt and account.regime != REGIME_PORTFOLIO:
        yield Problem("needs the portfolio regime", f"{place}.debt", account.debt, "0")
    if any(account.borrowed.values()) and account.regime != REGIME_PORTFOLIO:
        yield Problem("needs the portfolio regime", f"{place}.borrowed", account.borrowed, "none")
    if (account.regime == REGIME_PORTFOLIO) != (account.account_mode == MODE_PORTFOLIO):
        allowed = "portfolio regime and portfolio mode together"
        yield Problem("contradicts the mode", f"{place}.regime", account.regime, allowed)


def _token_loan_problems(
    spec: VenueSpec, account: AccountOpening, *, place: str
) -> Iterator[Problem]:
    for name in ("borrowed", "lent"):
        for token, units in getattr(account, name).items():
            where = f"{place}.{name}[{token}]"
            if not 1 <= token < len(spec.tokens) or not spec.tokens[token].borrowable:
                yield Problem("is no token that is lent", where, token, "a borrowable token from 1")
            elif not 0 <= units < BALANCE_MAX:
                yield Problem("is out of range", where, units, "0 to 2**62 units")
            elif name == "lent" and units > account.tokens.get(token, 0):
                allowed = f"up to its tokens, {account.tokens.get(token, 0)} units"
                yield Problem("is not there", where, units, allowed)


def _perp_problems(
    spec: VenueSpec, account: AccountOpening, inst: int, *, place: str
) -> Iterator[Problem]:
    if not 0 <= inst < len(spec.instruments) or spec.instruments[inst].kind != "perp":
        yield Problem("is no perp", place, inst, "the index of a perp")
        return
    entry = spec.instruments[inst]
    lots, price_e8 = account.perps[inst]
    bound = spec.max_position_lots(entry)
    if abs(lots) > bound:
        yield Problem("is too large", place, lots, f"up to {bound} lots of {entry.name}")
    if not 0 < price_e8 < entry.tick_e8 * N_TICKS:
        yield Problem("is off the ladder", f"{place}.price_e8", price_e8, "a price on the ladder")
