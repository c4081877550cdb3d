"""Live accounts of the venue: what it prints of them, from balances, caps, positions and prices.

Source of the formulas: docs/decisions/0011-portfolio-margin.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import inf
from typing import Any, Final, NamedTuple

from stressbook.experiments.conform.cases import Case, Judged, Quantities
from stressbook.experiments.conform.inputs import Given, NotSupported, rows_of
from stressbook.experiments.conform.judging import (
    NEVER_JUDGED,
    Tolerance,
    tolerance_in,
    tolerances_of,
)
from stressbook.experiments.conform.sums import rules_of_the_venue, sums
from stressbook.market.margin import printed as shown
from stressbook.market.margin.commitment import commitment_usd
from stressbook.market.margin.equity import AccountSums, net_usd
from stressbook.market.margin.ratio import margin_ratio

__all__ = ["account_cases", "series_cases"]

POSITION_COLUMNS: Final = ("coin", "szi", "positionValue", "maxLeverage", "liquidationPx")


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


# --- one account ---------------------------------------------------------------------------------


def account_cases(section: Any, name: str) -> Iterator[Case]:
    """Yield a case for each account of a list.

    Parameters
    ----------
    section : object
        The list.
    name : str
        Of the section.

    Yields
    ------
    Case
    """
    for i, table in enumerate(section):
        label = f"{name}[{i}]"
        if not isinstance(table, Mapping):
            yield Case(label, (), lambda: _refuse("is no table"))
            continue
        if isinstance(table.get("id"), str):
            label = f"{label} {table['id']}"
        judged, positions = _judged_of_account(table)
        yield Case(label, judged, partial(_read_account, table, positions))


def _refuse(reason: str) -> Quantities:
    raise NotSupported(reason)


def _judged_of_account(
    table: Mapping[str, Any],
) -> tuple[tuple[Judged, ...], dict[str, dict[str, Any]]]:
    stated = tolerance_in(table)
    expected = table.get("expected")
    judged = [
        Judged(name, value, stated)
        for name, value in (expected.items() if isinstance(expected, Mapping) else ())
        if value is not None and name not in NEVER_JUDGED
    ]
    positions: dict[str, dict[str, Any]] = {}
    perps = table.get("perps")
    if isinstance(perps, Mapping):
        columns = perps.get("position_columns") or list(POSITION_COLUMNS)
        for row in rows_of({"columns": columns, "rows": perps.get("positions")}):
            if "liquidationPx" in row:
                name = f"liquidationPx of {row.get('coin')}"
                name = name if name not in positions else f"{name}, {len(positions)}"
                positions[name] = row
                judged.append(Judged(name, row["liquidationPx"], stated))
    return tuple(judged), positions


class _NamedQuantities(dict[str, Callable[[], Any]]):
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


def _read_account(table: Mapping[str, Any], positions: Mapping[str, Any]) -> Quantities:
    account = _printed(Given(table))
    quantities = _NamedQuantities(account)
    for name, row in positions.items():
        quantities[name] = partial(account.liquidation_price, Given(row))
    return quantities


def _printed(given: Given) -> Printed:
    usdc, perps = given.table_or_empty("usdc"), given.table_or_empty("perps")
    caps = given.table_or_empty("caps")
    borrow_caps, supply_caps = _numbers_of(caps, "user_borrow"), _numbers_of(caps, "user_supply")
    collateral = given.tables("collateral") if given.has("collateral") else []
    tokens = {one.text("token").lower(): _collateral(one, supply_caps) for one in collateral}
    borrowed = usdc.number("borrowed", 0.0)
    positions = _positions(perps)
    notional, initial = _notional_usd(perps, positions), _initial_usd(perps)
    untold = "perps.totalNtlPos" if notional is None else ""
    s = sums(
        own_cash_usd=_net_usd(usdc, perps, positions, borrowed),
        debt_usd=borrowed,
        gross_notional_usd=notional or 0.0,
        initial_usd=initial or 0.0,
        maintenance_usd=perps.number("crossMaintenanceMarginUsed"),
        order_margin_usd=given.number("open_order_IM", 0.0),
        spot_bid_usd=given.number("spot_bid_notional", 0.0),
        isolated_equity_usd=given.number("isolated_equity", 0.0),
        collateral_capacity_usd=sum(one.capacity_usd() for one in tokens.values()),
        collateral_credit_usd=_credit_usd(tokens, borrow_caps),
    )
    prices = _stable_prices(given, "_oracle_px")
    untold = "perps.totalMarginUsed" if initial is None else untold
    return Printed(s, tokens, borrow_caps, prices, borrowed, untold)


def _numbers_of(given: Given, name: str) -> dict[str, float]:
    table = given.table_or_empty(name)
    return {token.lower(): table.number(token) for token in table.names()}


def _stable_prices(given: Given, ending: str) -> dict[str, float]:
    return {
        name.removesuffix(ending).lower(): given.number(name)
        for name in given.names()
        if name.endswith(ending)
    }


def _collateral(one: Given, caps: Mapping[str, float]) -> Collateral:
    return Collateral(
        one.number("total"),
        one.number("implied_borrow_oracle_px"),
        one.number("ltv"),
        caps.get(one.text("token").lower(), inf),
    )


def _credit_usd(tokens: Mapping[str, Collateral], borrow_caps: Mapping[str, float]) -> float:
    return min(sum(one.credit_usd() for one in tokens.values()), borrow_caps.get("usdc", inf))


def _positions(perps: Given) -> list[Given]:
    if not perps.has("positions"):
        return []
    columns = perps.raw("position_columns") if perps.has("position_columns") else POSITION_COLUMNS
    return [Given(row) for row in rows_of({"columns": columns, "rows": perps.raw("positions")})]


def _net_usd(usdc: Given, perps: Given, positions: list[Given], borrowed: float) -> float:
    if usdc.has("total"):
        return usdc.number("total")
    if not perps.has("positions"):
        raise NotSupported("lacks `usdc.total`")
    signed = sum(
        one.number("positionValue") * (1.0 if one.number("szi") > 0.0 else -1.0)
        for one in positions
    )
    return perps.number("totalRawUsd") + signed - borrowed


def _notional_usd(perps: Given, positions: list[Given]) -> float | None:
    if perps.has("totalNtlPos"):
        return perps.number("totalNtlPos")
    if perps.has("positions") or perps.number("crossMaintenanceMarginUsed") == 0.0:
        return sum(one.number("positionValue") for one in positions)
    return None


def _initial_usd(perps: Given) -> float | None:
    if perps.has("totalMarginUsed"):
        return perps.number("totalMarginUsed")
    return 0.0 if perps.number("crossMaintenanceMarginUsed") == 0.0 else None


# --- one account at several instants -------------------------------------------------------------


_UNITS: Final = (("exp_PMR", "ratio"), ("exp_hypeHold", "hype"))


def series_cases(section: Mapping[str, Any], name: str) -> Iterator[Case]:
    """Yield a case for each row; what `extra` prints in full belongs to the row that it names.

    Parameters
    ----------
    section : mapping
        Columns and rows, loan-to-value, caps, tolerances by unit, `extra`.
    name : str
        Of the section.

    Yields
    ------
    Case
    """
    stated = tolerances_of(section)
    extra = section.get("extra")
    full_row: Mapping[str, Any] = extra if isinstance(extra, Mapping) else {}
    rows = rows_of(section)
    place = _row_of(extra, rows)
    for i, row in enumerate(rows):
        full = full_row if i == place else {}
        judged = [
            Judged(column, value, stated(unit_of_column(column)))
            for column, value in row.items()
            if column.startswith("exp_") and value is not None
        ]
        judged += _judged_in_full(full, stated)
        label = f"{name}[{i}]"
        yield Case(label, tuple(judged), partial(_read_row, section, row, full))
    if isinstance(extra, Mapping) and place is None:
        judged = _judged_in_full(full_row, stated)
        yield Case(f"{name}.extra", tuple(judged), lambda: _refuse("`at` names no row"))


def unit_of_column(column: str) -> str:
    """Return the unit of a judged column: a ratio, HYPE or else USD."""
    return next((unit for name, unit in _UNITS if name == column), "usd")


def _row_of(extra: Any, rows: list[Any]) -> int | None:
    if not isinstance(extra, Mapping):
        return None
    at = extra.get("at")
    found = [i for i, row in enumerate(rows) if at is not None and row.get("received_at") == at]
    return found[0] if found else None


def _judged_in_full(
    extra: Mapping[str, Any], stated: Callable[[str], Tolerance | None]
) -> list[Judged]:
    judged = []
    for name, value in extra.items():
        if value is None or name in NEVER_JUDGED:
            continue
        if name.endswith("_hold"):
            judged.append(Judged(name, value, stated(_unit_of_token(name.removesuffix("_hold")))))
        elif name.startswith("tokenToPortfolio"):
            judged.append(Judged(name, value, stated("ratio")))
        elif name == "availableAfterMaintenance" and isinstance(value, Mapping):
            judged += [
                Judged(f"{name}_{token}", amount, stated(_unit_of_token(token)))
                for token, amount in value.items()
                if amount is not None
            ]
        elif isinstance(value, Mapping) and "liquidationPx" in value:
            judged.append(Judged(f"liquidationPx of {name}", value["liquidationPx"]))
    return judged


def _unit_of_token(token: str) -> str:
    return "hype" if token.lower() == "hype" else "usd"


def _read_row(
    section: Mapping[str, Any], row: Mapping[str, Any], extra: Mapping[str, Any]
) -> Quantities:
    account = _printed_row(Given(section), Given(row), Given(extra))
    quantities = _NamedQuantities(account)
    available = "exp_availableAfterMaintenance"
    quantities["exp_netBalance"] = lambda: float(net_usd(account.s))
    quantities["exp_available"] = lambda: float(net_usd(account.s) - account.hold("usdc"))
    quantities["exp_hypeHold"] = lambda: float(account.hold("hype"))
    quantities[available] = lambda: float(account.available("usdc"))
    quantities["exp_PMR"] = lambda: float(margin_ratio(account.s, True))
    for name, value in extra.items():
        if isinstance(value, Mapping) and "liquidationPx" in value:
            quantities[f"liquidationPx of {name}"] = partial(
                account.liquidation_price, Given(value)
            )
    return quantities


def _printed_row(section: Given, row: Given, extra: Given) -> Printed:
    caps = section.table_or_empty("caps")
    borrow_caps, supply_caps = _numbers_of(caps, "user_borrow"), _numbers_of(caps, "user_supply")
    hype = Collateral(
        row.number("hypeQty"),
        row.number("hypeOraclePx"),
        section.number("ltv"),
        supply_caps.get("hype", inf),
    )
    tokens = {"hype": hype}
    borrowed = row.number("borrowedUsdc")
    s = sums(
        own_cash_usd=row.number("totalRawUsd") - borrowed,
        debt_usd=borrowed,
        position_value_usd=row.number("signedPositionValue"),
        initial_usd=row.number("crossInitialMargin"),
        maintenance_usd=row.number("crossMaintenanceMargin"),
        order_margin_usd=row.number("openOrderInitialMargin"),
        isolated_equity_usd=row.number("isolatedEquity"),
        collateral_capacity_usd=hype.capacity_usd(),
        collateral_credit_usd=_credit_usd(tokens, borrow_caps),
    )
    others = extra.table_or_empty("balances_of_other_tokens")
    for token in others.names():
        if token.lower() not in borrow_caps and others.number(token) == 0.0:
            # Nothing of a token: whatever it costs, nothing of it can be held or lost.
            tokens[token.lower()] = Collateral(0.0, 1.0, 1.0, inf)
    return Printed(s, tokens, borrow_caps, _stable_prices(extra, "_oraclePx"), borrowed)
