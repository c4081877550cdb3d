"""What the margin regime of a scenario asks for a hedged book, and all others beside it."""

from __future__ import annotations

from dataclasses import replace

from stressbook.experiments.hedged_books import HedgedBook, hedged_books
from stressbook.experiments.scenario import Scenario
from stressbook.market.regimes import load_regime, regime_names
from stressbook.market.rules.spec import VenueSpec, load_preset

__all__ = ["BOOK_HEAD", "BOOK_NOTIONAL_USD", "book_cells", "scenario_books"]

BOOK_NOTIONAL_USD = 1e6  # of a leg
BOOK_HEAD = (
    "regime",
    "asset",
    "naked",
    "hedged",
    "hedged / naked",
    "at maintenance",
    "pair / legs",
    "own capital",
)


def scenario_books(scenario: Scenario) -> list[HedgedBook]:
    """Return the rows of `hedged_books` at the venue of a scenario.

    Parameters
    ----------
    scenario : Scenario
        Resolved.

    Returns
    -------
    list of HedgedBook
        The scenario's own regime first, with its changed numbers; the others as they ship. Legs of
        `BOOK_NOTIONAL_USD`.
    """
    venue = scenario.venue_spec()
    is_ordinary = venue.ordinary.name == scenario.margin_regime
    own = venue.ordinary if is_ordinary else venue.enrolled
    others = [load_regime(name) for name in regime_names() if name != own.name]
    venue = _with_loans(venue, scenario)
    return hedged_books(venue, [own, *others], notional_usd=BOOK_NOTIONAL_USD)


def _with_loans(venue: VenueSpec, scenario: Scenario) -> VenueSpec:
    """Return it with the loan-to-value of its rules where a regime's own weights stand in place."""
    if venue.regime.collateral != "weights":
        return venue
    ltv = {token.name: token.ltv for token in load_preset(scenario.preset).tokens}
    tokens = tuple(replace(token, ltv=ltv.get(token.name, token.ltv)) for token in venue.tokens)
    return replace(venue, tokens=tokens)


def book_cells(row: HedgedBook) -> tuple[str, ...]:
    """Return a row as texts under `BOOK_HEAD`: percent of a leg's notional, ratios as they are."""
    return (
        row.regime,
        row.asset,
        f"{100.0 * row.naked_initial_frac:.2f} %",
        f"{100.0 * row.hedged_initial_frac:.2f} %",
        _ratio(row.hedged_over_naked_initial),
        _ratio(row.hedged_over_naked_maintenance),
        _ratio(row.pair_over_legs_initial),
        f"{100.0 * row.own_capital_frac:.2f} %",
    )


def _ratio(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
