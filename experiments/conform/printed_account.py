"""An account as the venue prints it, and every quantity that is printed of it, by its name.

Source of the formulas: docs/decisions/0011-portfolio-margin.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from typing import Any, Final, NamedTuple

from stressbook.experiments.conform.cases import Quantities
from stressbook.experiments.conform.inputs import Given, NotSupported
from stressbook.experiments.conform.sums import rules_of_the_venue
from stressbook.market.margin import printed as shown
from stressbook.market.margin.commitment import commitment_usd
from stressbook.market.margin.equity import AccountSums, net_usd
from stressbook.market.margin.ratio import margin_ratio

__all__ = [
    "Collateral",
    "NamedQuantities",
    "Printed",
    "credit_usd",
    "numbers_of",
    "stable_prices",
    "unsupported",
]


class Collateral(NamedTuple):
    """A balance of a token that is lent against."""

    balance: float
    price_usd: float
    ltv: float
    user_cap: float  # tokens

    def capacity_usd(self) -> float:
        """Return what may be borrowed against it."""
        return self.balance * self.price_usd * self.ltv

    def credit_usd(self) -> float:
        """Return what it counts for at maintenance."""
        return min(self.balance, self.user_cap) * self.price_usd * ((1.0 + self.ltv) * 0.5)


class Printed(NamedTuple):
    """An account, and what is needed to print it."""

    s: AccountSums
    tokens: dict[str, Collateral]  # by lower-case name
    borrow_caps: dict[str, float]  # of stablecoins, by lower-case name
    stable_prices: dict[str, float]
    borrowed: float
    untold: str = ""  # what the commitment needs and the file lacks

    def commitment(self) -> float:
        """Return what positions and orders bind."""
        if self.untold:
            raise NotSupported(f"lacks `{self.untold}`")
        rules = rules_of_the_venue().margin
        return commitment_usd(self.s, rules.notional_floor_frac, rules.order_margin_buffer_frac)

    def hold(self, token: str) -> float:
        """Return what is held of a token, in its units; below zero it is unused room."""
        commitment = self.commitment()
        usdc = shown.hold_usd(self.s, commitment)
        if token == "usdc":
            return usdc
        if token in self.tokens:
            one = self.tokens[token]
            return shown.collateral_hold(net_usd(self.s), commitment, one.price_usd, one.ltv)
        return -min(self.cap(token), (net_usd(self.s) - usdc) / self.price(token))

    def available(self, token: str) -> float:
        """Return what could be lost of a token before maintenance is reached, in its units."""
        after = shown.available_after_maintenance_usd(self.s)
        if token == "usdc":
            return after
        if token in self.tokens:
            one = self.tokens[token]
            return shown.collateral_available(one.balance, after, one.price_usd, one.ltv)
        return min(self.cap(token), after / self.price(token))

    def cap(self, token: str) -> float:
        """Return the user's borrow cap of a stablecoin, tokens."""
        if token not in self.borrow_caps:
            raise NotSupported(f"lacks the user's borrow cap of {token.upper()}")
        return self.borrow_caps[token]

    def price(self, token: str) -> float:
        """Return the oracle price of a stablecoin."""
        if token not in self.stable_prices:
            raise NotSupported(f"lacks the oracle price of {token.upper()}")
        return self.stable_prices[token]

    def borrow_ratio(self, token: str) -> float:
        """Return the debt over the user's borrow cap."""
        if token != "usdc":
            raise NotSupported(f"lacks the debt in {token.upper()}")
        return self.borrowed / self.cap(token)

    def supply_ratio(self, token: str) -> float:
        """Return the balance of a collateral over the user's supply cap."""
        if token not in self.tokens or self.tokens[token].user_cap == inf:
            raise NotSupported(f"lacks balance or user's supply cap of {token.upper()}")
        return self.tokens[token].balance / self.tokens[token].user_cap

    def spot_hold(self, token: str) -> float:
        """Return what is held of the USDC that is there."""
        if token != "usdc":
            raise NotSupported(f"no rule gives the spot hold of {token.upper()}")
        return min(net_usd(self.s), self.commitment())

    def liquidation_price(self, position: Given) -> float | None:
        """Return the price at which one position breaks the account, None if there is none."""
        size = position.number("szi")
        if size == 0.0:
            raise NotSupported("a position has no size")
        price = shown.liquidation_price(
            position.number("positionValue") / abs(size),
            size,
            self.available("usdc"),
            position.number("maxLeverage"),
        )
        return None if price <= 0.0 else float(price)


_BY_TOKEN: Final = (
    ("availableAfterMaintenance_", "", Printed.available),
    ("tokenToPortfolioBorrowRatio_", "", Printed.borrow_ratio),
    ("tokenToPortfolioSupplyRatio_", "", Printed.supply_ratio),
    ("", "_spotHold", Printed.spot_hold),
    ("", "_hold", Printed.hold),
)


def quantity_named(name: str, account: Printed) -> Callable[[], Any] | None:
    """Return what computes a printed quantity, None if its name is of no known shape."""
    if name == "portfolioMarginRatio":
        return lambda: float(margin_ratio(account.s, True))
    for lead, end, method in _BY_TOKEN:
        if name.startswith(lead) and name.endswith(end) and len(name) > len(lead) + len(end):
            token = name[len(lead) : len(name) - len(end)].lower()
            return partial(method, account, token)
    return None


class NamedQuantities(dict[str, Callable[[], Any]]):
    """Quantities whose names carry the token that they are of."""

    def __init__(self, account: Printed) -> None:
        super().__init__()
        self._account = account

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or quantity_named(str(name), self._account) is not None

    def __missing__(self, name: str) -> Callable[[], Any]:
        found = quantity_named(name, self._account)
        if found is None:
            raise KeyError(name)
        return found


def unsupported(reason: str) -> Quantities:
    """Say why a case cannot be read."""
    raise NotSupported(reason)


def numbers_of(given: Given, name: str) -> dict[str, float]:
    """Return a table of numbers by token, in small letters."""
    table = given.table_or_empty(name)
    return {token.lower(): table.number(token) for token in table.names()}


def stable_prices(given: Given, ending: str) -> dict[str, float]:
    """Return the numbers whose names end so, by what stands before it."""
    return {
        name.removesuffix(ending).lower(): given.number(name)
        for name in given.names()
        if name.endswith(ending)
    }


def credit_usd(tokens: Mapping[str, Collateral], borrow_caps: Mapping[str, float]) -> float:
    """Return the credit of all collateral, no more than what the user may borrow of USDC."""
    return min(sum(one.credit_usd() for one in tokens.values()), borrow_caps.get("usdc", inf))
