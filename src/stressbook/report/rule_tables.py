"""The venue's rules as the report prints them: those that decide a cascade, and each number."""

from __future__ import annotations

from typing import Any, Final

from stressbook.experiments.margin_books import BOOK_HEAD, book_cells, scenario_books
from stressbook.experiments.scenario import Scenario
from stressbook.market.rules.spec import VenueSpec
from stressbook.report.layout import Table, table_of
from stressbook.report.numbers import NONE, percent, plain, usd

__all__ = ["deciding_table", "margin_table", "rule_table"]

_LABELS: Final = ("name", "asset", "kind")
_PAYERS: Final = {  # by the rule of sharing
    "none": "the treasury, without limit",
    "positions": "accounts with positions, by equity",
    "withdrawal_factor": "all accounts, by one factor on equity",
}


def deciding_table(scenario: Scenario) -> Table:
    """Return the few rules that decide how a cascade runs, with their values."""
    spec = scenario.venue_spec()
    usdc, pledged = spec.tokens[0], [token for token in spec.tokens if token.ltv > 0.0]
    margin, way = spec.margin, spec.liquidation
    loans = ", ".join(f"{t.name} {percent(t.ltv)} %" for t in pledged)
    supply = ", ".join(f"{t.name} {plain(t.platform_supply_cap, 0)}" for t in pledged)
    payer = _PAYERS[way.socialise]
    rows = [
        ("loan-to-value of collateral", loans or NONE),
        (
            "a portfolio account is in breach",
            f"above {plain(margin.trigger_ratio, 2)}: maintenance and debt over equity, debt and "
            "the credit of collateral",
        ),
        (
            "caps of the platform",
            f"borrowed {usd(usdc.platform_borrow_cap)} M USDC, {usd(usdc.user_borrow_cap)} M an "
            f"account; collateral, units: {supply or NONE}",
        ),
        (
            "the backstop takes over",
            f"below {percent(way.backstop_mm_frac)} % of maintenance, while it has equity left"
            if way.backstop != "none"
            else "never",
        ),
        ("capital of the backstop", f"{usd(way.backstop_capital_usd)} M USD"),
        ("the deficit of a flat account is paid by", payer),
    ]
    return table_of("Rules that decide this", ("rule", "value"), rows, words=(1,))


def margin_table(scenario: Scenario) -> Table:
    """Return what each margin regime asks for a hedged book, the scenario's own first."""
    caption = "Initial margin of a perp of 1 M USD, alone and hedged by tokens of its asset"
    rows = [book_cells(row) for row in scenario_books(scenario)]
    return table_of(caption, BOOK_HEAD, rows, words=(1,))


def rule_table(scenario: Scenario) -> Table:
    """Return value and source of each number of the venue's rules."""
    spec = scenario.venue_spec()
    found = ((name, _value(spec, name), source) for name, source in spec.sources.items())
    rows = [row for row in found if row[1] and row[0].rpartition(".")[2] not in _LABELS]
    return table_of("", ("number", "value", "source"), rows, words=(1, 2))


def _value(spec: VenueSpec, name: str) -> str:
    """Return a number as text, empty where the scenario does not list what it belongs to."""
    section, *label, attribute = name.split(".")
    entry: Any = getattr(spec, section)
    if label:
        named = {getattr(x, "name", str(k)): x for k, x in enumerate(entry)}
        entry = named.get(label[0])
    return "" if entry is None else _text(getattr(entry, attribute))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(f"{t.max_leverage} x from {plain(t.lower_usd, 0)} USD" for t in value)
    is_whole = isinstance(value, (int, float)) and float(value).is_integer()
    return plain(value, 0) if is_whole else str(value)
