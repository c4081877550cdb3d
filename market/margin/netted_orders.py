"""Orders under regimes that net them: judged by what the whole account must hold with them.

An order is let through if the account is healthy with it at its worst corner, or if it does not
raise what the account must hold beyond its worth. What it pays beyond the mark is a loss as soon as
it fills. Closing a position is judged alike, since it may be one leg of a hedge.
"""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.borrowing import borrowable_room, lendable
from stressbook.market.margin.commitment import margin_need_usd
from stressbook.market.margin.equity import AccountSums, net_usd
from stressbook.market.margin.sums import account_sums, filled_sums
from stressbook.market.state.codes import BUY, PERP
from stressbook.market.state.records import VenueState

__all__ = [
    "fill_keeps_whole_margin",
    "is_allowed",
    "margin_allows",
    "reduction_allowed",
    "slip_usd",
]


@inline_kernel
def is_allowed(before_usd: float, after_usd: float, loss_usd: float, worth_usd: float) -> bool:
    """Tell whether a change of positions or orders is let through.

    Parameters
    ----------
    before_usd, after_usd : float
        What the account must hold.
    loss_usd : float
        What the change loses at once, at least 0.
    worth_usd : float
        What it has for that.

    Returns
    -------
    bool
        Healthy after it, or no more missing than before: what is to be held falls by at least what
        is lost. Source: Paradex docs, risk checks, at 9b82a75.

    Examples
    --------
    >>> is_allowed(98.0, 98.0, 0.0, 80.0), is_allowed(98.0, 99.0, 0.0, 80.0)
    (True, False)
    >>> is_allowed(98.0, 90.0, 8.0, 80.0), is_allowed(98.0, 90.0, 9.0, 80.0)
    (True, False)
    """
    return after_usd + loss_usd <= max(worth_usd, before_usd)


@inline_kernel
def slip_usd(v: VenueState, inst: int, side: int, lots: int, limit_usd: float) -> float:
    """Return what a fill at its limit loses against mark (perps) or borrow oracle (tokens).

    Parameters
    ----------
    v : VenueState
        Read only.
    inst, side, lots : int
        Of the order.
    limit_usd : float
        Its notional at the limit.

    Returns
    -------
    float
        USD, at least 0.
    """
    spec = v.inst[inst]
    price = v.price[spec.asset]
    price_usd = price.mark_usd if spec.kind == PERP else price.borrow_oracle_usd
    worth = float(lots) * spec.lot_size * price_usd
    return max(0.0, limit_usd - worth if side == BUY else worth - limit_usd)


@sub_kernel
def margin_allows(
    v: VenueState, row: int, inst: int, side: int, lots: int, limit_micro: int
) -> bool:
    """Tell whether an account may place an order, margin alone.

    Parameters
    ----------
    v : VenueState
        As it was when the call ends.
    row, inst, side, lots : int
        Of the order.
    limit_micro : int
        Its notional at the limit, micro-USDC.

    Returns
    -------
    bool
        `is_allowed` with all orders at their worse corner.
    """
    user = int(v.row[row].user)
    before = margin_need_usd(account_sums(v, row))
    v.open_notional[user, inst, side] += limit_micro
    v.user[user].n_orders += 1
    s = account_sums(v, row)
    v.user[user].n_orders -= 1
    v.open_notional[user, inst, side] -= limit_micro
    after = margin_need_usd(s)
    loss = slip_usd(v, inst, side, lots, float(limit_micro) / 1e6)
    return is_allowed(before, after, loss, net_usd(s) + s.collateral_capacity_usd)


@sub_kernel
def reduction_allowed(
    v: VenueState, row: int, inst: int, side: int, lots: int, limit_micro: int
) -> bool:
    """Tell whether an account may place an order that can only reduce a perp.

    Parameters
    ----------
    v, row, inst, side, lots, limit_micro
        As of `margin_allows`.

    Returns
    -------
    bool
        Once it has filled: healthy, with all other orders at their worse corner; or no more missing
        than before, other orders apart. No part of it is then worse, since what is missing is
        convex in what is filled, credits between underlyings apart.
    """
    _, missing, _ = _fill_needs_usd(v, row, inst, side, lots, limit_micro, True)
    if missing <= 0.0:
        return True
    before, after, _ = _fill_needs_usd(v, row, inst, side, lots, limit_micro, False)
    return after <= before


@sub_kernel
def fill_keeps_whole_margin(
    v: VenueState, row: int, inst: int, side: int, lots: int, paid_micro: int
) -> bool:
    """Tell whether a resting order may fill, other orders apart.

    Parameters
    ----------
    v : VenueState
        As it was when the call ends.
    row, inst, side, lots : int
        Of the fill.
    paid_micro : int
        Its notional, micro-USDC.

    Returns
    -------
    bool
        Healthy after it, or no more missing than before; and the USDC that a token costs is there,
        own, lent or within reach of a loan.
    """
    before, after, has_cash = _fill_needs_usd(v, row, inst, side, lots, paid_micro, False)
    return has_cash and after <= max(before, 0.0)


@sub_kernel
def _fill_needs_usd(
    v: VenueState, row: int, inst: int, side: int, lots: int, paid_micro: int, with_orders: bool
) -> tuple[float, float, bool]:
    """Return what is missing before and after a fill, and whether the cash for it is there.

    Only a purchase of tokens asks for cash.
    """
    spec = v.inst[inst]
    before = _missing_usd(_sums(v, row, with_orders), with_orders)
    signed = lots if side == BUY else -lots
    cost = paid_micro if side == BUY else -paid_micro
    v.cash[row] -= cost
    if spec.kind == PERP:
        v.perp[row, inst] += signed
        s = _sums(v, row, with_orders)
        v.perp[row, inst] -= signed
    else:
        v.token[row, spec.token] += signed * int(spec.lot_units)
        s = _sums(v, row, with_orders)
        v.token[row, spec.token] -= signed * int(spec.lot_units)
    v.cash[row] += cost
    has_cash = spec.kind == PERP or side != BUY or _has_cash(v, row, s)
    return before, _missing_usd(s, with_orders), has_cash


@inline_kernel
def _sums(v: VenueState, row: int, with_orders: bool) -> AccountSums:
    return account_sums(v, row) if with_orders else filled_sums(v, row)


@inline_kernel
def _missing_usd(s: AccountSums, with_orders: bool) -> float:
    """Return what must be held beyond the worth of an account."""
    need = margin_need_usd(s) if with_orders else s.initial_usd
    return need - (net_usd(s) + s.collateral_capacity_usd)


@inline_kernel
def _has_cash(v: VenueState, row: int, s: AccountSums) -> bool:
    """Tell whether USDC below zero could be had: from what is lent, or as a loan."""
    in_pool = lendable(v.reserve[0])
    returned = min(int(v.supply[row, 0]), in_pool)
    capacity = s.collateral_capacity_usd
    room = borrowable_room(v.token_spec[0], v.reserve[0], int(v.debt[row, 0]), capacity)
    behind = float(returned + min(room, in_pool - returned)) / 1e6
    owed = min(s.debt_usd, capacity)
    return net_usd(s) - s.supplied_usd + (owed + behind) >= 0.0
