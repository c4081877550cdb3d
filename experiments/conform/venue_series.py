"""One live account at several instants, row by row, and what is printed of one of them in full."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import inf
from typing import Any, Final

from stressbook.experiments.conform.cases import Case, Judged, Quantities
from stressbook.experiments.conform.inputs import Given, rows_of
from stressbook.experiments.conform.judging import (
    NEVER_JUDGED,
    Tolerance,
    tolerances_of,
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
from stressbook.market.margin.equity import net_usd
from stressbook.market.margin.ratio import margin_ratio

__all__ = ["series_cases", "unit_of_column"]

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
        yield Case(f"{name}.extra", tuple(judged), lambda: unsupported("`at` names no row"))


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
    quantities = NamedQuantities(account)
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
    borrow_caps, supply_caps = numbers_of(caps, "user_borrow"), numbers_of(caps, "user_supply")
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
        collateral_credit_usd=credit_usd(tokens, borrow_caps),
    )
    others = extra.table_or_empty("balances_of_other_tokens")
    for token in others.names():
        if token.lower() not in borrow_caps and others.number(token) == 0.0:
            # Nothing of a token: whatever it costs, nothing of it can be held or lost.
            tokens[token.lower()] = Collateral(0.0, 1.0, 1.0, inf)
    return Printed(s, tokens, borrow_caps, stable_prices(extra, "_oraclePx"), borrowed)
