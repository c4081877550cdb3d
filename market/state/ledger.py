"""Double-entry ledger of int64: every booking moves one amount between two rows under a cause.

`cash` is raw: a perp bought lowers it by its cost, and what it was bought for (`entry_cost`) is
only a memo. Cash and tokens sum to constants over all rows, perps to zero; `flow` keeps the sums
by cause. A balance past 2**62 sets the fault word, before anything could wrap.
"""

from typing import Final

from stressbook.market.compiling.bits import natural
from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.numbers.units import (
    BALANCE_MAX,
    INT64_MAX,
    NEAREST,
    NOT_REPRESENTABLE,
    TRUNC,
    mul_div,
)
from stressbook.market.state.codes import CAUSE_FEE, FAULT_OVERFLOW, PERP
from stressbook.market.state.records import C_FAULT, VenueState

__all__ = [
    "book_perp_at",
    "book_side",
    "entry_cost_after",
    "fee_micro",
    "has_room",
    "imbalance",
    "move_cash",
    "move_token",
    "pay_fees",
    "position_lots",
    "raise_fault",
]

_BALANCE_BITS: Final = 62
_RATE_E7: Final = 10_000_000
# Below it a notional times any rate under 100 % stays an int64.
_SMALL_NOTIONAL: Final = INT64_MAX // _RATE_E7
_SMALL_LOTS: Final = 2**31 - 1
_SMALL_COST: Final = 2**32 - 1


@inline_kernel
def raise_fault(v: VenueState, fault: int) -> None:
    """Set a bit of the fault word, which becomes an error after the call.

    Parameters
    ----------
    v : VenueState
        Changed in `ctr[C_FAULT]`.
    fault : int
        One of the `FAULT_` codes.
    """
    v.ctr[C_FAULT] = int(v.ctr[C_FAULT]) | fault


@inline_kernel
def move_cash(v: VenueState, source: int, target: int, amount_micro: int, cause: int) -> None:
    """Book cash from one row to another.

    Parameters
    ----------
    v : VenueState
        Changed in `cash` and `flow`.
    source, target : int
        Rows.
    amount_micro : int
        Micro-USDC, below 2**62 in size; a negative amount flows back.
    cause : int
        One of the `CAUSE_` codes.
    """
    _add_cash(v, source, -amount_micro, cause)
    _add_cash(v, target, amount_micro, cause)


@inline_kernel
def move_token(v: VenueState, source: int, target: int, token: int, units: int, cause: int) -> None:
    """Book units of a token from one row to another.

    Parameters
    ----------
    v : VenueState
        Changed in `token` and `flow`.
    source, target : int
        Rows.
    token : int
        At least 1: token 0 is cash.
    units : int
        Token units, below 2**62 in size.
    cause : int
        One of the `CAUSE_` codes.
    """
    _add_token(v, source, token, -units, cause)
    _add_token(v, target, token, units, cause)


@inline_kernel
def has_room(v: VenueState, row: int, token: int, change: int, cause: int) -> bool:
    """Tell whether a row can take more of cash or a token: balance and flow stay below 2**62.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        Whose.
    token : int
        0 for cash.
    change : int
        Micro-USDC or token units, below 2**62 in size.
    cause : int
        One of the `CAUSE_` codes.

    Returns
    -------
    bool
    """
    balance = int(v.cash[row]) if token == 0 else int(v.token[row, token])
    total = int(v.flow[row, 0 if token == 0 else 1 + token, cause])
    return _is_balance(balance + change) and _is_balance(total + change)


@inline_kernel
def _is_balance(units: int) -> bool:
    """Tell whether a sum is one that the ledger may hold: -2**62 to 2**62 - 1."""
    return -BALANCE_MAX <= units < BALANCE_MAX


@inline_kernel
def position_lots(v: VenueState, row: int, inst: int) -> int:
    """Return what a row holds of an instrument: the perp position, or whole lots of the token.

    Parameters
    ----------
    v : VenueState
        Read only.
    row, inst : int
        A row and an instrument.

    Returns
    -------
    int
        Lots, negative for a short; a remainder below one lot of a token is left out.
    """
    if v.inst[inst].kind == PERP:
        return int(v.perp[row, inst])
    return int(v.token[row, v.inst[inst].token]) // int(v.inst[inst].lot_units)


@inline_kernel
def fee_micro(notional_micro: int, rate_e7: int) -> int:
    """Return the fee on a notional, truncated at one micro-USDC.

    Parameters
    ----------
    notional_micro : int
        Micro-USDC, at least 0.
    rate_e7 : int
        In 1e-7; negative for a rebate.

    Returns
    -------
    int
        Micro-USDC with the sign of the rate.

    Examples
    --------
    0.045 % of 1,000.01 USDC:

    >>> fee_micro(1_000_010_000, 4_500)
    450004
    """
    if notional_micro < _SMALL_NOTIONAL and -_RATE_E7 < rate_e7 < _RATE_E7:
        fee = natural(notional_micro * abs(rate_e7)) // _RATE_E7
        return fee if rate_e7 >= 0 else -fee
    return mul_div(notional_micro, rate_e7, _RATE_E7, TRUNC)


@inline_kernel
def book_side(
    v: VenueState, row: int, inst: int, lots: int, cost_micro: int, fee_paid_micro: int, cause: int
) -> None:
    """Book one side of a trade and its fee; the caller books the other side and `pay_fees`.

    Parameters
    ----------
    v : VenueState
        Changed in `cash`, `flow` and `perp`, `entry_cost` or `token`.
    row, inst : int
        Whose, and what.
    lots : int
        Signed, not 0: bought or sold.
    cost_micro : int
        Micro-USDC with the sign of `lots`.
    fee_paid_micro : int
        Micro-USDC, negative for a rebate.
    cause : int
        Of the trade; the fee has its own.
    """
    fees = int(v.flow[row, 0, CAUSE_FEE]) - fee_paid_micro
    total = int(v.flow[row, 0, cause]) - cost_micro
    balance = int(v.cash[row]) - cost_micro - fee_paid_micro
    v.flow[row, 0, CAUSE_FEE] = fees
    v.flow[row, 0, cause] = total
    v.cash[row] = balance
    _check(v, balance, total)
    if v.inst[inst].kind == PERP:
        _add_perp(v, row, inst, lots, cost_micro, cause)
    else:
        units = lots * int(v.inst[inst].lot_units)
        _add_token(v, row, natural(v.inst[inst].token), units, cause)


@inline_kernel
def pay_fees(v: VenueState, amount_micro: int) -> None:
    """Book to the treasury what both sides of trades have paid.

    Parameters
    ----------
    v : VenueState
        Changed in `cash` and `flow`.
    amount_micro : int
        Micro-USDC, negative if rebates were larger.
    """
    _add_cash(v, natural(v.par[0].row_treasury), amount_micro, CAUSE_FEE)


@sub_kernel
def book_perp_at(
    v: VenueState, from_row: int, to_row: int, inst: int, lots: int, price_e8: int, cause: int
) -> int:
    """Hand a perp position over at an oracle or mark price, rounded once for both rows.

    Parameters
    ----------
    v : VenueState
        Changed in `cash`, `perp`, `entry_cost`, `flow`.
    from_row, to_row : int
        Rows.
    inst : int
        A perp.
    lots : int
        Signed: what `to_row` gets more of and `from_row` less.
    price_e8 : int
        1e-8 USD.
    cause : int
        One of the `CAUSE_` codes.

    Returns
    -------
    int
        What `to_row` paid, micro-USDC; 0, and the fault word set, if that is no int64.
    """
    cost_micro = mul_div(lots, price_e8, int(v.inst[inst].mark_den), NEAREST)
    if cost_micro == NOT_REPRESENTABLE:
        raise_fault(v, FAULT_OVERFLOW)
        return 0
    if lots != 0:
        move_cash(v, to_row, from_row, cost_micro, cause)
        _add_perp(v, to_row, inst, lots, cost_micro, cause)
        _add_perp(v, from_row, inst, -lots, -cost_micro, cause)
    return cost_micro


@inline_kernel
def entry_cost_after(entry_cost: int, position: int, lots: int, cost_micro: int) -> int:
    """Return what the open position was bought for, after a trade.

    Parameters
    ----------
    entry_cost : int
        Before, micro-USDC, with the sign of the position.
    position : int
        Before, lots.
    lots : int
        Signed, not 0: bought or sold.
    cost_micro : int
        Of the trade, with the sign of `lots`.

    Returns
    -------
    int
        More of a position adds its cost; less of it takes away pro rata, truncated; a position
        that changes its sign starts anew, with its part of the cost.

    Examples
    --------
    Long 4 for 400, sell 1 at 130; then sell 5 at 90:

    >>> entry_cost_after(400, 4, -1, -130)
    300
    >>> entry_cost_after(300, 3, -5, -450)
    -180
    """
    # Hardly a branch: whether a trade opens or closes cannot be predicted.
    size = abs(lots)
    closed = min(size, abs(position)) if position ^ lots < 0 else 0
    left = entry_cost - _pro_rata(entry_cost, closed, max(abs(position), 1))
    if 0 < closed < size:
        return _pro_rata(cost_micro, size - closed, size)
    return left + (cost_micro if closed == 0 else 0)


@sub_kernel
def imbalance(v: VenueState, column: int) -> int:
    """Return the sum of one asset over all rows.

    Parameters
    ----------
    v : VenueState
        Read only.
    column : int
        As axis 1 of `flow`: 0 cash, then the tokens, then the perps.

    Returns
    -------
    int
        A constant of a run for cash and tokens, 0 for perps.
    """
    n_tokens = v.token.shape[1]
    total = 0
    for row in range(v.cash.shape[0]):
        if column == 0:
            total += int(v.cash[row])
        elif column <= n_tokens:
            total += int(v.token[row, column - 1])
        else:
            total += int(v.perp[row, column - 1 - n_tokens])
    return total


@inline_kernel
def _pro_rata(amount: int, part: int, whole: int) -> int:
    """Return a share of an amount, truncated; 0 <= part <= whole, 0 < whole."""
    if abs(amount) <= _SMALL_COST and part <= _SMALL_LOTS:
        share = natural(abs(amount) * part) // natural(whole)
        return share if amount >= 0 else -share
    return mul_div(amount, part, whole, TRUNC)


@inline_kernel
def _add_cash(v: VenueState, row: int, amount_micro: int, cause: int) -> None:
    balance = int(v.cash[row]) + amount_micro
    total = int(v.flow[row, 0, cause]) + amount_micro
    v.cash[row] = balance
    v.flow[row, 0, cause] = total
    _check(v, balance, total)


@inline_kernel
def _add_token(v: VenueState, row: int, token: int, units: int, cause: int) -> None:
    balance = int(v.token[row, token]) + units
    total = int(v.flow[row, 1 + token, cause]) + units
    v.token[row, token] = balance
    v.flow[row, 1 + token, cause] = total
    _check(v, balance, total)


@inline_kernel
def _add_perp(v: VenueState, row: int, inst: int, lots: int, cost_micro: int, cause: int) -> None:
    position = int(v.perp[row, inst])
    entry_cost = entry_cost_after(int(v.entry_cost[row, inst]), position, lots, cost_micro)
    total = int(v.flow[row, 1 + v.token.shape[1] + inst, cause]) + lots
    v.perp[row, inst] = position + lots
    v.open_interest[inst] += max(position + lots, 0) - max(position, 0)
    v.entry_cost[row, inst] = entry_cost
    v.flow[row, 1 + v.token.shape[1] + inst, cause] = total
    _check(v, entry_cost, total)


@inline_kernel
def _check(v: VenueState, a: int, b: int) -> None:
    """Set the fault word if one of two sums is past 2**62; the sizes are or-ed for one branch."""
    size = (a if a >= 0 else ~a) | (b if b >= 0 else ~b)
    if size >> _BALANCE_BITS != 0:
        raise_fault(v, FAULT_OVERFLOW)
