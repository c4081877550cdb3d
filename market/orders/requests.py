"""Messages that are no orders: transfers with `outside`, leverage.

Each is done whole or refused with a code and no effect. The token of a transfer stands in the
`inst` of its message, the amount or the leverage in `qty_lots`.
Source: Hyperliquid docs, deposits and withdrawals, leverage, 2026.
"""

from stressbook.market.compiling.bits import natural
from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.borrowing import lendable, move_units
from stressbook.market.margin.available import withdrawable_usd
from stressbook.market.margin.loans import draw_needed_debt
from stressbook.market.margin.sums import account_sums
from stressbook.market.margin.token_margin import available_now_usd, refusal_of_leaving
from stressbook.market.numbers.units import BALANCE_MAX, round_down
from stressbook.market.state.codes import (
    ACCEPTED,
    CAUSE_DEPOSIT,
    CAUSE_OWN_MOVE,
    CAUSE_WITHDRAWAL,
    OWN_MOVE,
    PERP,
    R_BAD_INSTRUMENT,
    R_BAD_LEVERAGE,
    R_BAD_QUANTITY,
    R_BAD_TOKEN,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    REGIME_PORTFOLIO,
)
from stressbook.market.state.ledger import has_room
from stressbook.market.state.records import VenueState

__all__ = ["deposit", "set_leverage", "withdraw"]


@sub_kernel
def deposit(v: VenueState, user: int, token: int, units: int, flags: int) -> int:
    """Bring cash or tokens in from `outside`.

    Parameters
    ----------
    v : VenueState
        Changed in `cash` or `token`, and `flow`.
    user : int
        A user.
    token : int
        0 for USDC.
    units : int
        Micro-USDC or token units.
    flags : int
        `OWN_MOVE` if the account's own outside book shrinks by as much.

    Returns
    -------
    int
        `ACCEPTED` or a refusal.
    """
    outside = natural(v.par[0].row_outside)
    cause = CAUSE_OWN_MOVE if flags & OWN_MOVE else CAUSE_DEPOSIT
    refusal = _refusal_of_amount(v, outside, user, token, units, cause)
    if refusal == ACCEPTED:
        move_units(v, outside, user, token, units, cause)
    return refusal


@sub_kernel
def withdraw(v: VenueState, user: int, token: int, units: int, flags: int) -> int:
    """Take cash or tokens out to `outside`, as far as no margin, loan or order needs them.

    Parameters
    ----------
    v : VenueState
        Changed in `cash` or `token`, and `flow`.
    user : int
        A user.
    token : int
        0 for USDC.
    units : int
        Micro-USDC or token units.
    flags : int
        `OWN_MOVE` if the account's own outside book grows by as much.

    Returns
    -------
    int
        `ACCEPTED` or a refusal.
    """
    outside = natural(v.par[0].row_outside)
    cause = CAUSE_OWN_MOVE if flags & OWN_MOVE else CAUSE_WITHDRAWAL
    refusal = _refusal_of_amount(v, user, outside, token, units, cause)
    if refusal != ACCEPTED:
        return refusal
    if v.par[0].admission_on != 0:
        refusal = _refusal_of_withdrawal(v, user, token, units)
        if refusal != ACCEPTED:
            return refusal
    move_units(v, user, outside, token, units, cause)
    if token == 0 and v.par[0].admission_on != 0 and v.row[user].regime == REGIME_PORTFOLIO:
        # What lent cash now stands in for must be at hand.
        draw_needed_debt(v, user)
    return ACCEPTED


@sub_kernel
def set_leverage(v: VenueState, user: int, inst: int, leverage: int) -> int:
    """Set the leverage of a user in a perp: initial margin is notional / leverage.

    Parameters
    ----------
    v : VenueState
        Changed in `leverage`.
    user : int
        A user.
    inst : int
        Any int64.
    leverage : int
        1 to the most that the asset allows.

    Returns
    -------
    int
        `ACCEPTED` or a refusal: a lower leverage must leave positions and orders their margin.
    """
    if inst < 0 or inst >= v.inst.shape[0] or v.inst[inst].kind != PERP:
        return R_BAD_INSTRUMENT
    if leverage < 1 or leverage > v.asset[natural(v.inst[inst].asset)].max_leverage:
        return R_BAD_LEVERAGE
    former = int(v.leverage[user, inst])
    v.leverage[user, inst] = leverage
    if leverage < former and v.par[0].admission_on != 0 and available_now_usd(v, user) < 0.0:
        v.leverage[user, inst] = former
        return R_INSUFFICIENT_MARGIN
    # Of a pocket it tells what new orders bring in; the margin inside stays.
    v.leverage[natural(v.row_of[user, inst]), inst] = leverage
    return ACCEPTED


@inline_kernel
def _refusal_of_amount(
    v: VenueState, source: int, target: int, token: int, units: int, cause: int
) -> int:
    if token < 0 or token >= v.token_spec.shape[0]:
        return R_BAD_TOKEN
    if units <= 0 or units >= BALANCE_MAX:
        return R_BAD_QUANTITY
    if not has_room(v, source, token, -units, cause) or not has_room(
        v, target, token, units, cause
    ):
        return R_BAD_QUANTITY
    return ACCEPTED


@inline_kernel
def _refusal_of_withdrawal(v: VenueState, user: int, token: int, units: int) -> int:
    if token == 0:
        in_pool = lendable(v.reserve[0])
        free = round_down(withdrawable_usd(v.par[0], account_sums(v, user), in_pool) * 1e6)
        return ACCEPTED if units <= free else R_INSUFFICIENT_BALANCE
    return refusal_of_leaving(v, user, token, units)
