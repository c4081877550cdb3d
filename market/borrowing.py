"""What may still be borrowed: loan-to-value, user cap, platform cap, pool, and which one binds.

A cap cut below its use leaves a headroom of 0; nothing is called back.
"""

from typing import Final

from stressbook.market.codes import (
    ACCEPTED,
    CAUSE_BORROW,
    R_CAP_REACHED,
    R_INSUFFICIENT_MARGIN,
    R_UTILISATION_FULL,
)
from stressbook.market.kernel import inline_kernel
from stressbook.market.ledger import move_cash
from stressbook.market.state import VenueState
from stressbook.market.units import round_down

__all__ = [
    "borrow_refusal",
    "borrowable_room",
    "draw",
    "headroom",
    "lendable",
    "platform_headroom",
    "user_headroom",
]

_USDC: Final = 0


@inline_kernel
def lendable(v: VenueState, token: int) -> int:
    """Return what a reserve can still lend or give back: the supply that is not lent.

    Parameters
    ----------
    v : VenueState
        Read only.
    token : int
        Token.

    Returns
    -------
    int
        Units, at least 0. Retained interest stays in the pool as a buffer.
    """
    return max(0, int(v.reserve[token].total_supply) - int(v.reserve[token].total_debt))


@inline_kernel
def platform_headroom(v: VenueState, token: int) -> int:
    """Return the room under the platform's borrow cap.

    Parameters
    ----------
    v : VenueState
        Read only.
    token : int
        Token.

    Returns
    -------
    int
        Units; 0 where the cap was cut below its use.
    """
    return max(0, int(v.token_spec[token].platform_borrow_cap) - int(v.reserve[token].total_debt))


@inline_kernel
def user_headroom(v: VenueState, row: int, token: int) -> int:
    """Return the room under the user's borrow cap.

    Parameters
    ----------
    v : VenueState
        Read only.
    row, token : int
        Borrower, and what it borrows.

    Returns
    -------
    int
        Units; 0 where the cap was cut below its use.
    """
    return max(0, int(v.token_spec[token].user_borrow_cap) - int(v.debt[row, token]))


@inline_kernel
def headroom(v: VenueState, row: int, token: int) -> int:
    """Return how much more a row may borrow by user cap, platform cap and pool.

    Parameters
    ----------
    v : VenueState
        Read only.
    row, token : int
        Borrower, and what it borrows.

    Returns
    -------
    int
        Units, at least 0; loan-to-value comes on top.
    """
    own = user_headroom(v, row, token)
    return min(own, platform_headroom(v, token), lendable(v, token))


@inline_kernel
def borrowable_room(v: VenueState, row: int, capacity_usd: float) -> int:
    """Return how much more USDC a row may borrow, loan-to-value in.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        Borrower.
    capacity_usd : float
        Sum of collateral value x loan-to-value.

    Returns
    -------
    int
        Micro-USDC, at least 0.
    """
    if v.token_spec[_USDC].borrowable == 0:
        return 0
    own = round_down(capacity_usd * 1e6) - int(v.debt[row, _USDC])
    return max(0, min(own, headroom(v, row, _USDC)))


@inline_kernel
def borrow_refusal(v: VenueState, row: int, capacity_usd: float, amount: int) -> int:
    """Return which bound a loan would break.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        Borrower.
    capacity_usd : float
        Sum of collateral value x loan-to-value.
    amount : int
        Micro-USDC, at least 1.

    Returns
    -------
    int
        `ACCEPTED`, or the refusal of the first bound in the way: loan-to-value, caps, pool.
    """
    own = round_down(capacity_usd * 1e6) - int(v.debt[row, _USDC])
    if amount > own or v.token_spec[_USDC].borrowable == 0:
        return R_INSUFFICIENT_MARGIN
    if amount > user_headroom(v, row, _USDC) or amount > platform_headroom(v, _USDC):
        return R_CAP_REACHED
    return R_UTILISATION_FULL if amount > lendable(v, _USDC) else ACCEPTED


@inline_kernel
def draw(v: VenueState, row: int, amount: int) -> None:
    """Book a loan that is within all bounds.

    Parameters
    ----------
    v : VenueState
        Changed in `cash`, `debt`, `flow`, `reserve`.
    row : int
        Borrower.
    amount : int
        Micro-USDC, at least 0.
    """
    move_cash(v, int(v.par[0].row_pool0), row, amount, CAUSE_BORROW)
    v.debt[row, _USDC] = int(v.debt[row, _USDC]) + amount
    v.reserve[_USDC].total_debt = int(v.reserve[_USDC].total_debt) + amount
