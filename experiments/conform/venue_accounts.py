"""Live accounts of the venue: what it prints of them, from balances, caps, positions and prices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from math import inf
from typing import Any, Final

from stressbook.experiments.conform.cases import Case, Judged, Quantities
from stressbook.experiments.conform.inputs import Given, NotSupported, rows_of
from stressbook.experiments.conform.judging import (
    NEVER_JUDGED,
    tolerance_in,
)
from stressbook.experiments.conform.printed_account import (
    Collateral,
    NamedQuantities,
    Printed,
    credit_usd,
    numbers_of,
    stable_prices,
    unsupported,
)
from stressbook.experiments.conform.sums import sums

__all__ = ["account_cases", "net_usd"]

POSITION_COLUMNS: Final = ("coin", "szi", "positionValue", "maxLeverage", "liquidationPx")


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
            yield Case(label, (), lambda: unsupported("is no table"))
            continue
        if isinstance(table.get("id"), str):
            label = f"{label} {table['id']}"
        judged, positions = _judged_of_account(table)
        yield Case(label, judged, partial(_read_account, table, positions))


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


def _read_account(table: Mapping[str, Any], positions: Mapping[str, Any]) -> Quantities:
    account = _printed(Given(table))
    quantities = NamedQuantities(account)
    for name, row in positions.items():
        quantities[name] = partial(account.liquidation_price, Given(row))
    return quantities


def _printed(given: Given) -> Printed:
    usdc, perps = given.table_or_empty("usdc"), given.table_or_empty("perps")
    caps = given.table_or_empty("caps")
    borrow_caps, supply_caps = numbers_of(caps, "user_borrow"), numbers_of(caps, "user_supply")
    collateral = given.tables("collateral") if given.has("collateral") else []
    tokens = {one.text("token").lower(): _collateral(one, supply_caps) for one in collateral}
    borrowed = usdc.number("borrowed", 0.0)
    positions = _positions(perps)
    notional, initial = _notional_usd(perps, positions), _initial_usd(perps)
    untold = "perps.totalNtlPos" if notional is None else ""
    s = sums(
        own_cash_usd=net_usd(usdc, perps, positions, borrowed),
        debt_usd=borrowed,
        gross_notional_usd=notional or 0.0,
        initial_usd=initial or 0.0,
        maintenance_usd=perps.number("crossMaintenanceMarginUsed"),
        order_margin_usd=given.number("open_order_IM", 0.0),
        spot_bid_usd=given.number("spot_bid_notional", 0.0),
        isolated_equity_usd=given.number("isolated_equity", 0.0),
        collateral_capacity_usd=sum(one.capacity_usd() for one in tokens.values()),
        collateral_credit_usd=credit_usd(tokens, borrow_caps),
    )
    prices = stable_prices(given, "_oracle_px")
    untold = "perps.totalMarginUsed" if initial is None else untold
    return Printed(s, tokens, borrow_caps, prices, borrowed, untold)


def _collateral(one: Given, caps: Mapping[str, float]) -> Collateral:
    return Collateral(
        one.number("total"),
        one.number("implied_borrow_oracle_px"),
        one.number("ltv"),
        caps.get(one.text("token").lower(), inf),
    )


def _positions(perps: Given) -> list[Given]:
    if not perps.has("positions"):
        return []
    columns = perps.raw("position_columns") if perps.has("position_columns") else POSITION_COLUMNS
    return [Given(row) for row in rows_of({"columns": columns, "rows": perps.raw("positions")})]


def net_usd(usdc: Given, perps: Given, positions: list[Given], borrowed: float) -> float:
    """Return the net USDC of a printed account: what is printed, or what its perps add up to.

    Parameters
    ----------
    usdc : Given
        With `total`, which is the answer, or empty.
    perps : Given
        With `totalRawUsd`, the signed ledger of quotes.
    positions : list of Given
        With `szi` and `positionValue`.
    borrowed : float
        USDC.

    Returns
    -------
    float
        USDC, debts taken off.
    """
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
