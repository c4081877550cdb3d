"""Isolated margin: each perp of an account in a pocket of its own, and nothing else behind it.

A pocket is a user of the ledger with one perp, no orders and no owner's cash but what was moved in:
the account's orders bind the account's cash, and what they fill is booked in the pocket. Opening
moves notional / leverage in; closing a part moves that part of the pocket's equity back, closing
all of it whatever is left. A pocket below zero is nobody's debt but its own.
Source: Hyperliquid docs, margining: isolated margin, 2026-01; readings in docs/decisions/0047.
"""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.borrowing import lendable
from stressbook.market.margin.available import withdrawable_usd
from stressbook.market.margin.sums import account_sums
from stressbook.market.numbers.units import (
    BALANCE_MAX,
    CEIL,
    FLOOR,
    NEAREST,
    mul_div,
    round_down,
    round_up,
)
from stressbook.market.state.codes import (
    ACCEPTED,
    CAUSE_ISOLATED_MARGIN,
    FROM_POCKET,
    PERP,
    R_BAD_INSTRUMENT,
    R_BAD_QUANTITY,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    R_NOT_SUPPORTED,
)
from stressbook.market.state.ledger import book_side, has_room, move_cash
from stressbook.market.state.records import VenueState

__all__ = ["book_trade", "pocket_equity_micro", "return_flat_pockets", "transfer_margin"]


@inline_kernel
def book_trade(
    v: VenueState, user: int, inst: int, lots: int, cost_micro: int, fee_micro: int, cause: int
) -> None:
    """Book one side of a trade where the user's position stands, and move its isolated margin.

    Parameters
    ----------
    v : VenueState
        Changed in the ledger.
    user, inst : int
        Whose trade, in which book.
    lots : int
        Signed, not 0: bought or sold.
    cost_micro : int
        Micro-USDC with the sign of `lots`.
    fee_micro : int
        Micro-USDC, negative for a rebate.
    cause : int
        Of the trade.
    """
    row = int(v.row_of[user, inst])
    if row == user:
        book_side(v, row, inst, lots, cost_micro, fee_micro, cause)
    else:
        _book_in_pocket(v, user, row, inst, lots, cost_micro, fee_micro, cause)


@sub_kernel
def _book_in_pocket(
    v: VenueState,
    user: int,
    row: int,
    inst: int,
    lots: int,
    cost_micro: int,
    fee_micro: int,
    cause: int,
) -> None:
    before = int(v.perp[row, inst])
    size = abs(lots)
    closed = min(size, abs(before)) if before ^ lots < 0 else 0
    book_side(v, row, inst, lots, cost_micro, fee_micro, cause)
    if closed > 0:
        equity = pocket_equity_micro(v, row, inst)
        freed = max(equity, 0)
        if closed < abs(before):
            freed = mul_div(freed, closed, abs(before), FLOOR)
        move_cash(v, row, user, freed, CAUSE_ISOLATED_MARGIN)
    if size > closed:
        opened_micro = mul_div(abs(cost_micro), size - closed, size, CEIL)
        needed = mul_div(opened_micro, 1, int(v.leverage[user, inst]), CEIL) + max(fee_micro, 0)
        moved = min(needed, max(int(v.cash[user]), 0))
        move_cash(v, user, row, moved, CAUSE_ISOLATED_MARGIN)


@sub_kernel
def pocket_equity_micro(v: VenueState, row: int, inst: int) -> int:
    """Return what a pocket is worth: its cash and its perp at the mark, to the nearest unit.

    Parameters
    ----------
    v : VenueState
        Read only.
    row, inst : int
        The pocket, and its perp.

    Returns
    -------
    int
        Micro-USDC.
    """
    mark_e8 = int(v.price[v.inst[inst].asset].mark_e8)
    value = mul_div(int(v.perp[row, inst]), mark_e8, int(v.inst[inst].mark_den), NEAREST)
    return int(v.cash[row]) + value


@inline_kernel
def return_flat_pockets(v: VenueState) -> None:
    """Give back what is left in pockets whose perp was closed by force.

    Parameters
    ----------
    v : VenueState
        Changed in `cash` and `flow`.
    """
    if v.par[0].n_pockets == 0:
        return
    for user in range(v.par[0].n_users):
        parent = int(v.user[user].parent)
        if parent >= 0 and v.cash[user] > 0 and v.perp[user, v.user[user].pocket_inst] == 0:
            move_cash(v, user, parent, int(v.cash[user]), CAUSE_ISOLATED_MARGIN)


@sub_kernel
def transfer_margin(v: VenueState, user: int, inst: int, micro: int, flags: int) -> int:
    """Add isolated margin to a perp, or take some out.

    Parameters
    ----------
    v : VenueState
        Changed in `cash` and `flow`.
    user, inst : int
        Whose perp; any int64 for `inst`.
    micro : int
        Micro-USDC, above 0.
    flags : int
        `FROM_POCKET` to take out: what is left must cover initial margin and a tenth of notional.

    Returns
    -------
    int
        `ACCEPTED` or a refusal.
    """
    if inst < 0 or inst >= v.inst.shape[0] or v.inst[inst].kind != PERP:
        return R_BAD_INSTRUMENT
    row = int(v.row_of[user, inst])
    if row == user:
        return R_NOT_SUPPORTED
    if micro <= 0 or micro >= BALANCE_MAX:
        return R_BAD_QUANTITY
    if v.user[user].breached == 1 or v.user[row].breached == 1:
        return R_IN_RESOLUTION
    source, target = (row, user) if flags & FROM_POCKET else (user, row)
    if not has_room(v, target, 0, micro, CAUSE_ISOLATED_MARGIN):
        return R_BAD_QUANTITY
    if source == user:
        free = round_down(
            withdrawable_usd(v.par[0], account_sums(v, user), lendable(v.reserve[0])) * 1e6
        )
        if micro > free:
            return R_INSUFFICIENT_BALANCE
    else:
        s = account_sums(v, row)
        floor_frac: float = v.par[0].notional_floor_frac
        bound = round_up(max(s.initial_usd, floor_frac * s.gross_notional_usd) * 1e6)
        if micro > pocket_equity_micro(v, row, inst) - bound:
            return R_INSUFFICIENT_MARGIN
    move_cash(v, source, target, micro, CAUSE_ISOLATED_MARGIN)
    return ACCEPTED
