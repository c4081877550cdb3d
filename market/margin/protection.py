"""How far collateral protects where caps and the pool bound what may be borrowed.

As shipped the user's borrow cap bounds the credit of collateral, by the published formula. With
`borrowable_in_credit` the FAQ holds for every bound alike, the user's cap, the platform's and the
pool: an account is protected as long as the debt that maintenance needs is no more than what it
owes and may still borrow. Its credit is at most what brings the ratio of that debt to the trigger.

Source: Hyperliquid docs, portfolio margin, 2026-08-19, and its FAQ, 2026-05-18; the reading is ours
(docs/decisions/0048-account-modes.md).
"""

from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.lending.borrowing import headroom
from stressbook.market.numbers.units import ON_THE_EDGE
from stressbook.market.regimes.tables import DEBT_AT_MAINTENANCE, DEBT_DRAWN
from stressbook.market.state.records import VenueState

__all__ = ["capped_credit_usd", "protected_credit_usd"]


@inline_kernel
def capped_credit_usd(v: VenueState, row: int, credit_usd: float, token_debt_usd: float) -> float:
    """Return the credit of collateral before what maintenance needs is known.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        Main row of a user.
    credit_usd : float
        Of all its collateral, at least 0.
    token_debt_usd : float
        Value of tokens that it owes.

    Returns
    -------
    float
        USD: within the user's borrow cap where caps count; where the borrowable amount does, none
        for who owes nothing and may borrow nothing.
    """
    if v.par[0].borrowable_in_credit == 1:
        protects = token_debt_usd > 0.0 or _most_owed_micro(v, row) > 0
        return credit_usd if protects else 0.0
    if v.par[0].user_cap_in_credit == 1:
        return min(credit_usd, float(v.token_spec[0].user_borrow_cap) / 1e6)
    return credit_usd


@inline_kernel
def protected_credit_usd(
    v: VenueState,
    row: int,
    credit_usd: float,
    maintenance_usd: float,
    token_debt_usd: float,
    offset_usd: float,
) -> float:
    """Return the credit of collateral as it stands in the ratio.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        Main row of a user.
    credit_usd : float
        `capped_credit_usd`.
    maintenance_usd, token_debt_usd, offset_usd : float
        What else its ratio counts as required.

    Returns
    -------
    float
        USD. Where the borrowable amount counts, such that the ratio passes the trigger as soon as
        maintenance needs a debt beyond what is owed and may still be borrowed.
    """
    if v.par[0].borrowable_in_credit == 0 or credit_usd <= 0.0:
        return credit_usd
    most_owed = float(_most_owed_micro(v, row)) / 1e6
    kind = int(v.regime[v.row[row].regime].debt_in_ratio)
    counted = 0.0  # of debt, on both sides of the ratio
    if kind == DEBT_AT_MAINTENANCE:
        counted = most_owed
    elif kind == DEBT_DRAWN:
        counted = float(v.debt[row, 0]) / 1e6
    required = maintenance_usd + counted + token_debt_usd + offset_usd
    lowest_equity = maintenance_usd - most_owed
    bound = required * ON_THE_EDGE / v.par[0].pm_trigger_ratio - (lowest_equity + counted)
    return min(credit_usd, bound)


@inline_kernel
def _most_owed_micro(v: VenueState, row: int) -> int:
    """Return the USDC that a row owes and may still borrow by caps and pool."""
    debt = int(v.debt[row, 0])
    return debt + headroom(v.token_spec[0], v.reserve[0], debt)
