"""What an account may use: for new margin, to lend, to withdraw; and what must stay."""

from stressbook.market.compiling.arrays import Record
from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.margin.commitment import (
    commitment_usd,
    margin_need_usd,
    order_requirement_usd,
    transfer_requirement_usd,
)
from stressbook.market.margin.equity import (
    AccountSums,
    cross_equity_usd,
    is_judged_as_portfolio,
    net_usd,
)

__all__ = ["available_usd", "bound_usd", "spare_usd", "withdrawable_usd"]


@inline_kernel
def bound_usd(par: Record, s: AccountSums) -> float:
    """Return what must stay when cash leaves an account.

    Parameters
    ----------
    par : record of VENUE_PARAMS
        Rules.
    s : AccountSums
        Of the account.

    Returns
    -------
    float
        USD; `commitment_usd` under portfolio, `transfer_requirement_usd` under cross margin.
    """
    if is_judged_as_portfolio(s):
        return commitment_usd(s, par.notional_floor_frac, par.order_margin_buffer_frac)
    return transfer_requirement_usd(s, par.notional_floor_frac)


@inline_kernel
def withdrawable_usd(par: Record, s: AccountSums, lendable_micro: int) -> float:
    """Return the USDC that can leave an account: neither bound, nor lent, nor borrowed.

    Parameters
    ----------
    par : record of VENUE_PARAMS
        Rules.
    s : AccountSums
        Of the account.
    lendable_micro : int
        What the pool can give back, `borrowing.lendable`.

    Returns
    -------
    float
        USD, at least 0.
    """
    bound = bound_usd(par, s)
    if is_judged_as_portfolio(s):
        # Lent cash covers what is bound first, as far as it can be had back.
        bound = max(0.0, bound - min(s.supplied_usd, float(lendable_micro) / 1e6))
    return max(0.0, s.own_cash_usd + s.position_value_usd - bound)


@inline_kernel
def spare_usd(par: Record, s: AccountSums) -> float:
    """Return the cash that can be lent: not bound by margin, lent cash not counted for it.

    Parameters
    ----------
    par : record of VENUE_PARAMS
        Rules.
    s : AccountSums
        Of the account.

    Returns
    -------
    float
        USD, at least 0.
    """
    return max(0.0, s.own_cash_usd + s.position_value_usd - bound_usd(par, s))


@inline_kernel
def available_usd(par: Record, s: AccountSums, room_micro: int) -> float:
    """Return what is free for new initial margin; negative where orders must go.

    Parameters
    ----------
    par : record of VENUE_PARAMS
        Rules.
    s : AccountSums
        Of the account.
    room_micro : int
        What it may still borrow, `borrowing.borrowable_room`.

    Returns
    -------
    float
        USD. Cross: equity less what positions and orders bind; portfolio: net and what could be
        owed by loan-to-value, caps and pool, less the commitment.
    """
    if is_judged_as_portfolio(s):
        bound = commitment_usd(s, par.notional_floor_frac, par.order_margin_buffer_frac)
        # What is owed beyond its own capacity still stands, but covers nothing more.
        owed = min(s.debt_usd, s.collateral_capacity_usd)
        behind = owed + float(room_micro) / 1e6
        if s.collateral_covers == 1:
            # Margin by collateral as it is; bids for tokens take USDC, own or borrowed.
            spare = net_usd(s) + s.collateral_capacity_usd - margin_need_usd(s)
            return min(spare, net_usd(s) + behind - s.spot_bid_usd)
        return net_usd(s) + behind - bound
    return cross_equity_usd(s) - order_requirement_usd(s, par.order_margin_buffer_frac)
