"""Books that a regime with weights of its own would call in breach open smaller.

Loan-to-value bounds debts in closed form. Weights, slices and scanned ranges do not: there each
book is valued as the venue values it, and owes less until its ratio is well below the trigger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stressbook.agents import carry_book
from stressbook.agents.carry_book import CarryBook
from stressbook.agents.carry_sizes import Carrier, CarryMarket
from stressbook.agents.credit import CAP_SHARE
from stressbook.agents.drafts import Draft, to_account
from stressbook.agents.near_breach import valued_copy
from stressbook.market.opening.setup import AccountOpening, make_state

__all__ = ["solve_below_trigger"]

STEP: Final = 0.85  # of the debt that is left at each attempt
ATTEMPTS: Final = 16


def solve_below_trigger(carriers: Sequence[Carrier], market: CarryMarket) -> CarryBook:
    """Return the opening books, none of which is near the trigger of a regime with weights.

    Parameters
    ----------
    carriers, market
        As of `carry_book.solve`.

    Returns
    -------
    CarryBook
        That of `carry_book.solve` under regimes that lend by loan-to-value.
    """
    book = carry_book.solve(carriers, market)
    if market.spec.regime.collateral == "loan_to_value":
        return book
    shares: dict[int, float] = {}
    for attempt in range(ATTEMPTS):
        over = _above(carriers, book.drafts, market)
        if not over:
            break
        for key in over:
            shares[key] = STEP * shares.get(key, 1.0) if attempt < ATTEMPTS - 1 else 0.0
        book = carry_book.solve(carriers, market._replace(own_share=shares))
    return book


def _above(carriers: Sequence[Carrier], drafts: Sequence[Draft], market: CarryMarket) -> list[int]:
    """Return the keys of enrolled accounts whose ratio is above a share of the trigger."""
    accounts = [
        to_account(draft, market.spec, list(market.assets), latency_us=0, volume_14d_usd=0.0)
        for carrier, draft in zip(carriers, drafts, strict=True)
        if carrier.enrolled
    ]
    # Nobody else matters to a ratio: each book stands against one that lends to it and trades it.
    others = [
        AccountOpening(
            key=-1 - i,
            perps={inst: (-lots, price) for inst, (lots, price) in one.perps.items()},
            cash_micro=one.debt,
            supply=one.debt,
        )
        for i, one in enumerate(accounts)
    ]
    state = valued_copy(make_state(market.spec, [*accounts, *others], seed=0))
    most = CAP_SHARE * float(state.par[0].pm_trigger_ratio)
    return [
        one.key
        for user, one in enumerate(accounts)
        if state.risk[user]["judged_as_portfolio"] == 1 and state.risk[user]["ratio"] > most
    ]
