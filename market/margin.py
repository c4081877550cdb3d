"""Margin of a row: one loop over its pocket, what is bound, and what it may withdraw.

The formulas stand in `stressbook.market.requirements`. Cross and portfolio rows are dispatched by
`row.regime`; a portfolio row without credit is judged by cross altogether.
"""

from stressbook.market.codes import (
    BUY,
    PERP,
    REGIME_PORTFOLIO,
    SELL,
)
from stressbook.market.kernel import inline_kernel
from stressbook.market.requirements import (
    AccountSums,
    commitment_usd,
    cross_equity_usd,
    is_judged_as_portfolio,
    maintenance_of,
    net_usd,
    order_requirement_usd,
    transfer_requirement_usd,
)
from stressbook.market.state import Record, VenueState

__all__ = [
    "account_sums",
    "available_usd",
    "bound_usd",
    "spare_usd",
    "withdrawable_usd",
]


@inline_kernel
def account_sums(v: VenueState, row: int) -> AccountSums:
    """Return the sums over a row's pocket and its user's resting orders.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        Main row of a user.

    Returns
    -------
    AccountSums
        At mark, oracle and borrow oracle as they stand.
    """
    user = int(v.row[row].user)
    value = gross = initial = maintenance = order_margin = spot_bid = 0.0
    for i in range(v.inst.shape[0]):
        inst = v.inst[i]
        if inst.kind == PERP:
            leverage = float(v.leverage[user, i])
            lots = int(v.perp[row, i])
            if lots != 0:
                signed = float(lots) * inst.lot_size * v.price[inst.asset].mark_usd
                notional = abs(signed)
                value += signed
                gross += notional
                n_tiers = int(v.asset[inst.asset].n_tiers)
                needed = maintenance_of(v.tier, int(inst.asset), n_tiers, notional)
                maintenance += needed
                # Beyond its first tier a position needs more than the chosen leverage says.
                initial += max(notional / leverage, 2.0 * needed)
            open_micro = int(v.open_notional[user, i, BUY]) + int(v.open_notional[user, i, SELL])
            if open_micro != 0:
                order_margin += float(open_micro) / 1e6 / leverage
        else:
            spot_bid += float(v.open_notional[user, i, BUY]) / 1e6
    tokens = collateral = capacity = credit = 0.0
    caps_count = v.par[0].user_cap_in_credit == 1
    gives_credit = v.row[row].regime == REGIME_PORTFOLIO
    for k in range(1, v.token_spec.shape[0]):
        units = int(v.token[row, k])
        if units != 0:
            token = v.token_spec[k]
            price = v.price[token.asset]
            worth = float(units) / float(token.unit) * price.oracle_usd
            tokens += worth
            if gives_credit and token.ltv > 0.0:
                collateral += worth
                if caps_count and units > token.user_supply_cap:
                    units = int(token.user_supply_cap)
                lendable = float(units) / float(token.unit) * price.borrow_oracle_usd
                capacity += lendable * token.ltv * v.reserve[k].counted_share
                credit += lendable * ((1.0 + token.ltv) * 0.5)
    if caps_count:
        credit = min(credit, float(v.token_spec[0].user_borrow_cap) / 1e6)
    debt = int(v.debt[row, 0])
    offset = 0.0
    if v.par[0].min_borrow_offset_on == 1:
        offset = v.par[0].min_borrow_offset_usd
    # By position: a call with this many keywords does not compile.
    return AccountSums(
        float(v.cash[row]) / 1e6,
        float(int(v.cash[row]) - debt) / 1e6,
        float(v.supply[row, 0]) / 1e6,
        float(debt) / 1e6,
        value,
        gross,
        initial,
        maintenance,
        order_margin,
        spot_bid,
        tokens,
        collateral,
        capacity,
        credit,
        0.0,
        offset,
    )


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
        return net_usd(s) + (owed + float(room_micro) / 1e6) - bound
    return cross_equity_usd(s) - order_requirement_usd(s, par.order_margin_buffer_frac)
