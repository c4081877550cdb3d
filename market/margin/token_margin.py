"""Margin of tokens that are borrowed: what may leave, what may be sold short, what buys back.

A sale beyond what an account owns borrows the rest, as a bid borrows USDC; it is admitted if the
account has its margin with every offer in the book filled at its limit.
Source: Hyperliquid docs, portfolio margin, 2026-08-19; readings in docs/decisions/0044.
"""

from typing import Final

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.borrowing import (
    borrowable_room,
    lend_units,
    lendable,
    platform_headroom,
)
from stressbook.market.lending.token_debts import debt_need_usd, offered_units
from stressbook.market.margin.available import available_usd, bound_usd
from stressbook.market.margin.equity import (
    AccountSums,
    account_value_usd,
    cross_equity_usd,
    is_judged_as_portfolio,
    net_usd,
)
from stressbook.market.margin.pledges import owes
from stressbook.market.margin.sums import account_sums
from stressbook.market.numbers.units import round_down
from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    R_CAP_REACHED,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    R_UTILISATION_FULL,
    REGIME_PORTFOLIO,
    SELL,
    VALUE_MAX_NO_LOANS,
)
from stressbook.market.state.records import VenueState

__all__ = [
    "available_now_usd",
    "cover_relief_usd",
    "keeps_margin_short",
    "refusal_of_leaving",
    "sell_short",
    "sells_short",
]

_USDC: Final = 0


@sub_kernel
def available_now_usd(v: VenueState, user: int) -> float:
    """Return what is free for new initial margin, as the account stands.

    Parameters
    ----------
    v : VenueState
        Read only.
    user : int
        A user.

    Returns
    -------
    float
        USD, `margin.available_usd`.
    """
    s = account_sums(v, user)
    debt = int(v.debt[user, _USDC])
    room = borrowable_room(v.token_spec[_USDC], v.reserve[_USDC], debt, s.collateral_capacity_usd)
    return available_usd(v.par[0], s, room)


@sub_kernel
def refusal_of_leaving(v: VenueState, user: int, token: int, units: int) -> int:
    """Tell why tokens may not leave an account for outside or for the reserve.

    Parameters
    ----------
    v : VenueState
        Read only.
    user, token : int
        Whose, and a token from 1.
    units : int
        At least 1.

    Returns
    -------
    int
        `ACCEPTED`, or a refusal: what is on offer or borrowed stays, and collateral does not go
        below what it secures.
    """
    owned = int(v.token[user, token]) - int(v.debt[user, token])
    if units > min(owned, int(v.token[user, token]) - offered_units(v, user, token)):
        return R_INSUFFICIENT_BALANCE
    if v.row[user].regime != REGIME_PORTFOLIO or v.token_spec[token].ltv == 0.0:
        return ACCEPTED
    if not owes(v, user) and not is_judged_as_portfolio(account_sums(v, user)):
        return ACCEPTED  # it secures nothing
    # As if it were gone.
    v.token[user, token] -= units
    missing = _lacks_transfer_margin(v, user)
    v.token[user, token] += units
    return R_INSUFFICIENT_MARGIN if missing else ACCEPTED


@inline_kernel
def _lacks_transfer_margin(v: VenueState, user: int) -> bool:
    """Tell whether less is left than a transfer must leave, the floor of notional in it."""
    s = account_sums(v, user)
    if is_judged_as_portfolio(s):
        return available_now_usd(v, user) < 0.0
    # With the last collateral goes the credit: what is left is judged by cross altogether.
    return cross_equity_usd(s) < bound_usd(v.par[0], s)


@inline_kernel
def sells_short(v: VenueState, row: int, token: int, units: int) -> bool:
    """Tell whether a sale leaves an account owing a token that may be borrowed.

    Parameters
    ----------
    v : VenueState
        Read only.
    row, token : int
        Who sells what.
    units : int
        All that is sold.

    Returns
    -------
    bool
    """
    if v.token_spec[token].borrowable == 0 or v.row[row].regime != REGIME_PORTFOLIO:
        return False
    regime = v.regime[v.row[row].regime]
    if regime.nets_orders == 1 or regime.margin_is_borrowed == 0:
        return False  # only the venue's own way of borrowing knows debts of tokens
    return units > int(v.token[row, token]) - int(v.debt[row, token])


@sub_kernel
def sell_short(v: VenueState, user: int, inst: int, lots: int, limit_micro: int) -> int:
    """Admit a sale of tokens beyond those owned, and borrow what is not there.

    Parameters
    ----------
    v : VenueState
        Changed in `token`, `debt`, `flow`, `reserve` if tokens are borrowed.
    user, inst, lots : int
        Who sells how much in which spot book; `sells_short` together with what is on offer.
    limit_micro : int
        What it brings at its limit, before the fee.

    Returns
    -------
    int
        `ACCEPTED`, or the first bound in the way: margin, caps, pool.
    """
    if v.user[user].breached == 1:
        return R_IN_RESOLUTION
    token = int(v.inst[inst].token)
    spec, reserve = v.token_spec[token], v.reserve[token]
    sold = (int(v.open_lots[user, inst, SELL]) + lots) * int(v.inst[inst].lot_units)
    proceeds = _proceeds_micro(v, user, int(v.open_notional[user, inst, SELL]) + limit_micro)
    v.token[user, token] -= sold
    v.cash[user] += proceeds
    has_margin = available_now_usd(v, user) >= 0.0
    v.cash[user] -= proceeds
    v.token[user, token] += sold
    if not has_margin:
        return R_INSUFFICIENT_MARGIN
    missing = sold - int(v.token[user, token])
    if missing <= 0:
        return ACCEPTED
    if _is_lent_nothing(v, user):
        return R_INSUFFICIENT_MARGIN
    if missing > int(spec.user_borrow_cap) - int(v.debt[user, token]):
        return R_CAP_REACHED
    if missing > platform_headroom(spec, reserve):
        return R_CAP_REACHED
    if missing > lendable(reserve):
        return R_UTILISATION_FULL
    lend_units(v, user, token, missing)
    return ACCEPTED


@inline_kernel
def _is_lent_nothing(v: VenueState, user: int) -> bool:
    """Tell whether an account is too large to be lent anything more."""
    if v.par[0].value_max_later_policy != VALUE_MAX_NO_LOANS:
        return False
    value_micro = account_value_usd(account_sums(v, user)) * 1e6
    return value_micro >= float(v.par[0].account_value_max_micro)


@sub_kernel
def keeps_margin_short(v: VenueState, user: int, inst: int, lots: int, cost_micro: int) -> bool:
    """Tell whether a resting sale beyond what is owned may fill: initial margin, orders apart.

    Parameters
    ----------
    v : VenueState
        Read only.
    user, inst, lots : int
        Whose offer, in which spot book, and how much of it is about to be traded.
    cost_micro : int
        What the buyer pays.

    Returns
    -------
    bool
    """
    token = int(v.inst[inst].token)
    sold = lots * int(v.inst[inst].lot_units)
    proceeds = _proceeds_micro(v, user, cost_micro)
    v.token[user, token] -= sold
    v.cash[user] += proceeds
    s = account_sums(v, user)
    v.cash[user] -= proceeds
    v.token[user, token] += sold
    in_pool = lendable(v.reserve[_USDC])
    returned = min(int(v.supply[user, _USDC]), in_pool)
    debt, capacity = int(v.debt[user, _USDC]), s.collateral_capacity_usd
    room = borrowable_room(v.token_spec[_USDC], v.reserve[_USDC], debt, capacity)
    behind_usd = float(returned + min(room, in_pool - returned)) / 1e6
    owed = min(s.debt_usd, capacity)
    floor: float = v.par[0].notional_floor_frac * s.gross_notional_usd
    bound = max(s.initial_usd, floor) + s.token_bound_usd
    return bound <= net_usd(s) - s.supplied_usd + (owed + behind_usd)


@inline_kernel
def _proceeds_micro(v: VenueState, user: int, notional_micro: int) -> int:
    """Return what a sale brings after the taker's fee, rounded down."""
    fee_frac = float(v.fee_tier[v.user[user].fee_tier].spot_taker_e7) / 1e7
    return round_down(float(notional_micro) * (1.0 - fee_frac))


@inline_kernel
def cover_relief_usd(
    v: VenueState, s: AccountSums, user: int, inst: int, lots: int, other_bids: bool
) -> float:
    """Return the cash that a purchase frees because it buys back tokens that are owed.

    Parameters
    ----------
    v : VenueState
        Read only.
    s : AccountSums
        Of the account before the purchase.
    user, inst, lots : int
        Who buys how much in which spot book.
    other_bids : bool
        Whether the user's resting bids buy back first.

    Returns
    -------
    float
        USD, at most `token_bound_usd`; 0 where nothing is bound.
    """
    if s.token_bound_usd <= 0.0:
        return 0.0
    token = int(v.inst[inst].token)
    spec, lot_units = v.token_spec[token], int(v.inst[inst].lot_units)
    owed = int(v.debt[user, token]) - int(v.token[user, token])
    if other_bids:
        owed -= int(v.open_lots[user, inst, BUY]) * lot_units
    covered = min(lots * lot_units, owed)
    if covered <= 0:
        return 0.0
    price_usd: float = v.price[spec.asset].borrow_oracle_usd
    worth = float(covered) / float(spec.unit) * price_usd
    return min(debt_need_usd(worth, spec.ltv), s.token_bound_usd)
