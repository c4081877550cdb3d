"""The venue's rules as the report prints them: those that decide a cascade, and each number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from stressbook.experiments.hedged_books import HedgedBook
from stressbook.experiments.margin_books import scenario_books
from stressbook.experiments.scenario import Scenario
from stressbook.market.rules.spec import VenueSpec
from stressbook.report.layout import Table, table_of
from stressbook.report.numbers import NONE, Cell, percent, plain, usd

__all__ = ["deciding_table", "margin_note", "margin_tables", "rule_table"]

_EXACT: Final = 1e-6  # fractions that differ by less are the same
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


def margin_tables(scenario: Scenario, *, first: Sequence[str] = ()) -> list[Table]:
    """Return what each margin regime asks for a hedged book: a regime a row, an asset a column.

    Parameters
    ----------
    scenario : Scenario
        Its own regime with its changed numbers; the others as they ship.
    first : sequence of str
        Regimes on top; the scenario's own if it is left out.
    """
    books = _ordered(scenario, first)
    assets = list(dict.fromkeys(book.asset for book in books))
    regimes = list(dict.fromkeys(book.regime for book in books))
    found = {(book.regime, book.asset): book for book in books}
    return [
        table_of(
            caption,
            ("regime", *assets),
            [(name, *(show(found[name, asset]) for asset in assets)) for name in regimes],
        )
        for caption, show in _BOOK_TABLES
    ]


def margin_note(scenario: Scenario, *, first: Sequence[str] = ()) -> str:
    """Return why own capital is above the margin where a loan pays for the tokens, by example.

    Empty where no regime on top lends against tokens.
    """
    ltv = {t.asset: t.ltv for t in scenario.venue_spec().tokens if t.ltv > 0.0}
    books = _ordered(scenario, first)
    on_top = {*first} or {books[0].regime}
    for book in reversed([b for b in books if b.regime in on_top and b.asset in ltv]):
        unlent = 1.0 - ltv[book.asset]
        if abs(unlent + book.hedged_initial_frac - book.own_capital_frac) < _EXACT:
            return (
                f"Own capital exceeds the margin where a loan pays for the tokens: for "
                f"{book.asset} under {book.regime} it is {percent(book.own_capital_frac)} %, the "
                f"{percent(unlent)} % of its price that the loan-to-value of "
                f"{percent(ltv[book.asset])} % does not lend and the margin of "
                f"{percent(book.hedged_initial_frac)} %."
            )
    return ""


def _ordered(scenario: Scenario, first: Sequence[str]) -> list[HedgedBook]:
    """Return the books of every regime, those of `first` in front."""
    books = scenario_books(scenario)
    rank = {name: k for k, name in enumerate(first)}
    return sorted(books, key=lambda book: rank.get(book.regime, len(rank)))


def _ratio(value: float | None) -> str:
    return NONE if value is None else plain(value, 2)


_BOOK_TABLES: Final[tuple[tuple[str, Callable[[HedgedBook], Cell | str]], ...]] = (
    (
        "Initial margin of a perp of 1 M USD hedged by tokens of its asset, % of the perp; in "
        "small print that of the perp alone",
        lambda b: Cell(percent(b.hedged_initial_frac), percent(b.naked_initial_frac)),
    ),
    (
        "Maintenance margin of the same hedged perp over that of the perp alone: 1 where the hedge "
        "counts for nothing",
        lambda b: _ratio(b.hedged_over_naked_maintenance),
    ),
    (
        "Initial margin of a perp long the asset and one short the first other one, 1 M USD each, "
        "over the sum of both alone",
        lambda b: _ratio(b.pair_over_legs_initial),
    ),
    (
        "Own capital with which the hedged perp and its tokens can be opened, % of the perp",
        lambda b: percent(b.own_capital_frac),
    ),
)


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
