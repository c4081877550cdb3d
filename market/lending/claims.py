"""Loans and lent cash that change hands, and what an account pays out of its own.

Source: Hyperliquid docs, portfolio margin, 2026-08-19 (docs/decisions/0032-way-down.md).
"""

from typing import Final

from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.state.codes import CAUSE_REDEEM
from stressbook.market.state.ledger import move_cash
from stressbook.market.state.records import VenueState

__all__ = ["claims_column", "move_claim", "move_debt", "sell_claim"]

_USDC: Final = 0
_CLAIMS: Final = 1  # column of `flow` for claims on the pool: supply less debt of USDC


@inline_kernel
def claims_column(v: VenueState, token: int) -> int:
    """Return the column of `flow` for claims on the pool of a token: supply less debt.

    Parameters
    ----------
    v : VenueState
        Read only.
    token : int
        Of a reserve that lends.

    Returns
    -------
    int
        One that no holding uses: for USDC, which is cash, that of token 0; for any other token
        the perp column of its spot book.
    """
    if token == _USDC:
        return _CLAIMS
    spot = int(v.asset[v.token_spec[token].asset].spot_inst)
    return 1 + int(v.token.shape[1]) + spot


@inline_kernel
def move_claim(v: VenueState, source: int, target: int, amount: int, cause: int) -> None:
    """Hand lent USDC over; the pool does not move.

    Parameters
    ----------
    v : VenueState
        Changed in `supply` and `flow`.
    source, target : int
        Rows.
    amount : int
        Micro-USDC, at most what the source has lent.
    cause : int
        One of the `CAUSE_` codes.
    """
    v.supply[source, _USDC] -= amount
    v.supply[target, _USDC] += amount
    v.flow[source, _CLAIMS, cause] -= amount
    v.flow[target, _CLAIMS, cause] += amount


@inline_kernel
def move_debt(v: VenueState, source: int, target: int, amount: int, cause: int) -> None:
    """Have another row owe what one has borrowed.

    Parameters
    ----------
    v : VenueState
        Changed in `debt` and `flow`.
    source, target : int
        Rows.
    amount : int
        Micro-USDC, at most the debt of the source.
    cause : int
        One of the `CAUSE_` codes.
    """
    v.debt[source, _USDC] -= amount
    v.debt[target, _USDC] += amount
    v.flow[source, _CLAIMS, cause] += amount
    v.flow[target, _CLAIMS, cause] -= amount


@inline_kernel
def sell_claim(v: VenueState, row: int, buyer: int) -> None:
    """Have a buyer pay what a row's cash lies below zero, for as much of its lent USDC.

    Parameters
    ----------
    v : VenueState
        Changed in `cash`, `supply`, `flow`.
    row, buyer : int
        Rows.
    """
    amount = min(int(v.supply[row, _USDC]), -int(v.cash[row]))
    if amount > 0:
        move_claim(v, row, buyer, amount, CAUSE_REDEEM)
        move_cash(v, buyer, row, amount, CAUSE_REDEEM)
