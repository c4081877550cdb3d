"""What may still be borrowed: loan-to-value, user cap, platform cap, pool, and which one binds.

A cap cut below its use leaves a headroom of 0; nothing is called back. Each token has a reserve of
its own: its pool is a row, its amounts are in the token's units.
"""

from typing import Final

from stressbook.market.compiling.arrays import Record
from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.numbers.units import round_down
from stressbook.market.state.codes import (
    ACCEPTED,
    CAUSE_BORROW,
    CAUSE_REDEEM,
    R_CAP_REACHED,
    R_INSUFFICIENT_MARGIN,
    R_UTILISATION_FULL,
)
from stressbook.market.state.ledger import move_cash, move_token
from stressbook.market.state.records import VenueState

__all__ = [
    "borrow_refusal",
    "borrowable_room",
    "draw",
    "give_back",
    "give_back_units",
    "headroom",
    "lend_units",
    "lendable",
    "move_units",
    "platform_headroom",
]

_USDC: Final = 0


@inline_kernel
def lendable(reserve: Record) -> int:
    """Return what a reserve can still lend or give back: the supply that is not lent.

    Parameters
    ----------
    reserve : record of RESERVE
        Read only.

    Returns
    -------
    int
        Units, at least 0. Retained interest stays in the pool as a buffer.
    """
    return max(0, int(reserve.total_supply) - int(reserve.total_debt))


@inline_kernel
def platform_headroom(token: Record, reserve: Record) -> int:
    """Return the room under the platform's borrow cap.

    Parameters
    ----------
    token : record of TOKEN
        Its caps.
    reserve : record of RESERVE
        Read only.

    Returns
    -------
    int
        Units; 0 where the cap was cut below its use.
    """
    return max(0, int(token.platform_borrow_cap) - int(reserve.total_debt))


@inline_kernel
def headroom(token: Record, reserve: Record, debt: int) -> int:
    """Return how much more may be borrowed by user cap, platform cap and pool.

    Parameters
    ----------
    token : record of TOKEN
        Its caps; 0 room if it is not borrowable.
    reserve : record of RESERVE
        Read only.
    debt : int
        What the borrower owes, units.

    Returns
    -------
    int
        Units, at least 0; loan-to-value comes on top.
    """
    if token.borrowable == 0:
        return 0
    own = max(0, int(token.user_borrow_cap) - debt)
    return min(own, platform_headroom(token, reserve), lendable(reserve))


@inline_kernel
def borrowable_room(token: Record, reserve: Record, debt: int, capacity_usd: float) -> int:
    """Return how much more USDC may be borrowed, loan-to-value in.

    Parameters
    ----------
    token : record of TOKEN
        Of USDC.
    reserve : record of RESERVE
        Of USDC.
    debt : int
        What the borrower owes, micro-USDC.
    capacity_usd : float
        Sum of its collateral's value x loan-to-value.

    Returns
    -------
    int
        Micro-USDC, at least 0.
    """
    own = round_down(capacity_usd * 1e6) - debt
    return max(0, min(own, headroom(token, reserve, debt)))


@inline_kernel
def borrow_refusal(
    token: Record, reserve: Record, debt: int, capacity_usd: float, amount: int
) -> int:
    """Return which bound a loan would break.

    Parameters
    ----------
    token : record of TOKEN
        Of USDC.
    reserve : record of RESERVE
        Of USDC.
    debt : int
        What the borrower owes, micro-USDC.
    capacity_usd : float
        Sum of its collateral's value x loan-to-value.
    amount : int
        Micro-USDC, at least 1.

    Returns
    -------
    int
        `ACCEPTED`, or the refusal of the first bound in the way: loan-to-value, caps, pool.
    """
    if amount > round_down(capacity_usd * 1e6) - debt or token.borrowable == 0:
        return R_INSUFFICIENT_MARGIN
    if amount > int(token.user_borrow_cap) - debt or amount > platform_headroom(token, reserve):
        return R_CAP_REACHED
    return R_UTILISATION_FULL if amount > lendable(reserve) else ACCEPTED


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
    lend_units(v, row, _USDC, amount)


@inline_kernel
def give_back(v: VenueState, row: int, amount: int) -> None:
    """Book lent cash that comes back from the pool.

    Parameters
    ----------
    v : VenueState
        Changed in `cash`, `supply`, `flow`, `reserve`.
    row : int
        Lender.
    amount : int
        Micro-USDC, at most what it has lent.
    """
    give_back_units(v, row, _USDC, amount)


@inline_kernel
def lend_units(v: VenueState, row: int, token: int, units: int) -> None:
    """Book a loan of any token that is within all bounds.

    Parameters
    ----------
    v : VenueState
        Changed in `cash` or `token`, `debt`, `flow`, `reserve`.
    row, token : int
        Borrower, and what it borrows.
    units : int
        At least 0.
    """
    move_units(v, int(v.par[0].row_pool0) + token, row, token, units, CAUSE_BORROW)
    v.debt[row, token] = int(v.debt[row, token]) + units
    v.reserve[token].total_debt = int(v.reserve[token].total_debt) + units


@inline_kernel
def give_back_units(v: VenueState, row: int, token: int, units: int) -> None:
    """Book what was lent of any token and comes back from its pool.

    Parameters
    ----------
    v : VenueState
        Changed in `cash` or `token`, `supply`, `flow`, `reserve`.
    row, token : int
        Lender, and what it lent.
    units : int
        At most what it has lent.
    """
    move_units(v, int(v.par[0].row_pool0) + token, row, token, units, CAUSE_REDEEM)
    v.supply[row, token] = int(v.supply[row, token]) - units
    v.reserve[token].total_supply = int(v.reserve[token].total_supply) - units


@inline_kernel
def move_units(v: VenueState, source: int, target: int, token: int, units: int, cause: int) -> None:
    """Book cash, the token 0, or any other token from one row to another.

    Parameters
    ----------
    v : VenueState
        Changed in `cash` or `token`, and `flow`.
    source, target : int
        Rows.
    token : int
        0 for USDC.
    units : int
        Of the token, below 2**62 in size.
    cause : int
        One of the `CAUSE_` codes.
    """
    if token == _USDC:
        move_cash(v, source, target, units, cause)
    else:
        move_token(v, source, target, token, units, cause)
