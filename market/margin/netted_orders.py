"""Orders under regimes that net them: judged by what the whole account must hold with them.

An order is let through if the account is healthy with it at its worst corner, or if it does not
raise what the account must hold. What it pays beyond the mark is a loss as soon as it fills.
"""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.borrowing import borrowable_room, lendable
from stressbook.market.margin.commitment import margin_need_usd
from stressbook.market.margin.equity import AccountSums, net_usd
from stressbook.market.margin.sums import account_sums, filled_sums
from stressbook.market.state.codes import BUY, PERP
from stressbook.market.state.records import VenueState

__all__ = ["fill_keeps_whole_margin", "is_allowed", "margin_allows", "slip_usd"]


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
        Healthy after it, or no more to hold than before and nothing lost. Source: Paradex docs,
        risk checks, at 9b82a75.

    Examples
    --------
    >>> is_allowed(98.0, 98.0, 0.0, 80.0), is_allowed(98.0, 99.0, 0.0, 80.0)
    (True, False)
    """
    if after_usd + loss_usd <= worth_usd:
        return True
    return after_usd <= before_usd and loss_usd == 0.0


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
        Healthy with it, or no more to hold than before and nothing lost.
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
        Healthy after it, or no more to hold than before and nothing lost; and the USDC that a
        token costs is there, own, lent or within reach of a loan.
    """
    spec = v.inst[inst]
    s = filled_sums(v, row)
    before = s.initial_usd
    signed = lots if side == BUY else -lots
    cost = paid_micro if side == BUY else -paid_micro
    v.cash[row] -= cost
    if spec.kind == PERP:
        v.perp[row, inst] += signed
        s = filled_sums(v, row)
        v.perp[row, inst] -= signed
    else:
        v.token[row, spec.token] += signed * int(spec.lot_units)
        s = filled_sums(v, row)
        v.token[row, spec.token] -= signed * int(spec.lot_units)
    v.cash[row] += cost
    if spec.kind != PERP and side == BUY and not _has_cash(v, row, s):
        return False
    worth = net_usd(s) + s.collateral_capacity_usd
    if s.initial_usd <= worth:
        return True
    loss = slip_usd(v, inst, side, lots, float(paid_micro) / 1e6)
    return is_allowed(before, s.initial_usd, loss, worth)


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
