"""Margin of a row: one loop over its pocket, the regime that judges it, and who may place orders.

The formulas stand in `stressbook.market.requirements`. Cross and portfolio rows are dispatched by
`row.regime`; a portfolio row without credit is judged by cross altogether.
"""

from stressbook.market.borrowing import borrow_refusal, borrowable_room, draw
from stressbook.market.codes import (
    ACCEPTED,
    BUY,
    FORCED,
    PERP,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    REDUCE_ONLY,
    REGIME_PORTFOLIO,
    SELL,
    TWAP,
)
from stressbook.market.kernel import inline_kernel
from stressbook.market.requirements import (
    AccountSums,
    commitment_usd,
    cross_equity_usd,
    equity_usd,
    maintenance_of,
    margin_ratio,
    net_usd,
    order_requirement_usd,
    transfer_requirement_usd,
)
from stressbook.market.state import VenueState
from stressbook.market.units import round_up

__all__ = [
    "AccountSums",
    "account_sums",
    "admits",
    "available_usd",
    "bound_usd",
    "equity_usd",
    "is_judged_as_portfolio",
    "margin_ratio",
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
    tokens, collateral, capacity, credit = _token_sums(v, row)
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
def _token_sums(v: VenueState, row: int) -> tuple[float, float, float, float]:
    """Return value of tokens, of collateral, capacity to borrow and credit at maintenance."""
    value = collateral = capacity = credit = 0.0
    caps_count = v.par[0].user_cap_in_credit == 1
    gives_credit = v.row[row].regime == REGIME_PORTFOLIO
    for k in range(1, v.token_spec.shape[0]):
        units = int(v.token[row, k])
        if units != 0:
            token = v.token_spec[k]
            price = v.price[token.asset]
            worth = float(units) / float(token.unit) * price.oracle_usd
            value += worth
            if gives_credit and token.ltv > 0.0:
                collateral += worth
                if caps_count and units > token.user_supply_cap:
                    units = int(token.user_supply_cap)
                lendable = float(units) / float(token.unit) * price.borrow_oracle_usd
                capacity += lendable * token.ltv * v.reserve[k].counted_share
                credit += lendable * ((1.0 + token.ltv) * 0.5)
    if caps_count:
        credit = min(credit, float(v.token_spec[0].user_borrow_cap) / 1e6)
    return value, collateral, capacity, credit


@inline_kernel
def is_judged_as_portfolio(v: VenueState, row: int, s: AccountSums) -> bool:
    """Tell whether portfolio rules apply: in that regime, and with credit left.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        Of the account.
    s : AccountSums
        Its sums.

    Returns
    -------
    bool
        A portfolio account without credit falls back to cross altogether.
    """
    return v.row[row].regime == REGIME_PORTFOLIO and s.collateral_credit_usd > 0.0


@inline_kernel
def bound_usd(v: VenueState, row: int, s: AccountSums) -> float:
    """Return what must stay when cash leaves an account.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        Of the account.
    s : AccountSums
        Its sums.

    Returns
    -------
    float
        USD; `commitment_usd` under portfolio, `transfer_requirement_usd` under cross margin.
    """
    par = v.par[0]
    if is_judged_as_portfolio(v, row, s):
        return commitment_usd(s, par.notional_floor_frac, par.order_margin_buffer_frac)
    return transfer_requirement_usd(s, par.notional_floor_frac) + s.isolated_equity_usd


@inline_kernel
def withdrawable_usd(v: VenueState, row: int, s: AccountSums) -> float:
    """Return the USDC that can leave an account: neither bound, nor lent, nor borrowed.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        Of the account.
    s : AccountSums
        Its sums.

    Returns
    -------
    float
        USD, at least 0.
    """
    unlent = s.own_cash_usd + s.position_value_usd
    bound = bound_usd(v, row, s)
    if is_judged_as_portfolio(v, row, s):
        # Lent cash covers what is bound first.
        bound = max(0.0, bound - s.supplied_usd)
    return max(0.0, unlent - bound)


@inline_kernel
def spare_usd(v: VenueState, row: int, s: AccountSums) -> float:
    """Return the cash that can be lent: not bound by margin, lent cash not counted for it.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        Of the account.
    s : AccountSums
        Its sums.

    Returns
    -------
    float
        USD, at least 0.
    """
    return max(0.0, s.own_cash_usd + s.position_value_usd - bound_usd(v, row, s))


@inline_kernel
def available_usd(v: VenueState, row: int, s: AccountSums) -> float:
    """Return what is free for new initial margin; negative where orders must go.

    Parameters
    ----------
    v : VenueState
        Read only.
    row : int
        Of the account.
    s : AccountSums
        Its sums.

    Returns
    -------
    float
        USD. Cross: equity less what positions and orders bind; portfolio: net and what could be
        owed by loan-to-value, caps and pool, less the commitment.
    """
    par = v.par[0]
    if is_judged_as_portfolio(v, row, s):
        bound = commitment_usd(s, par.notional_floor_frac, par.order_margin_buffer_frac)
        # What is owed beyond its own capacity still stands, but covers nothing more.
        owed = min(s.debt_usd, s.collateral_capacity_usd)
        room = float(borrowable_room(v, row, s.collateral_capacity_usd)) / 1e6
        return net_usd(s) + (owed + room) - bound
    return cross_equity_usd(s) - order_requirement_usd(s, par.order_margin_buffer_frac)


@inline_kernel
def admits(
    v: VenueState, user: int, inst: int, side: int, price_tick: int, lots: int, flags: int
) -> int:
    """Tell whether an order may be placed, and draw the debt that it needs.

    Parameters
    ----------
    v : VenueState
        Debt is drawn for portfolio rows; else read only.
    user, inst, side, price_tick, lots, flags : int
        Of an order that passed `book.check_order`.

    Returns
    -------
    int
        `ACCEPTED`, or why not. Orders that can only reduce a perp position always may, and forced
        ones; sales of tokens need the tokens; all others need their margin, resting or filled,
        whichever is more, and accounts in breach may not place them.
    """
    if flags & (FORCED | TWAP) != 0 or v.par[0].admission_on == 0:
        return ACCEPTED
    row = int(v.row_of[user, inst])
    if v.inst[inst].kind != PERP:
        if side == SELL:
            return _admits_sale(v, user, row, inst, price_tick, lots)
    else:
        position = int(v.perp[row, inst])
        held = position if side == SELL else -position
        if flags & REDUCE_ONLY != 0 or int(v.open_lots[user, inst, side]) + lots <= held:
            return ACCEPTED
    if v.user[user].breached == 1:
        return R_IN_RESOLUTION
    return _admits_exposure(v, user, row, inst, side, price_tick, lots)


@inline_kernel
def _admits_sale(v: VenueState, user: int, row: int, inst: int, price_tick: int, lots: int) -> int:
    """Sales need tokens that no other sale needs; collateral may not go below what it secures."""
    spec = v.inst[inst]
    units = (int(v.open_lots[user, inst, SELL]) + lots) * int(spec.lot_units)
    if units > v.token[row, spec.token]:
        return R_INSUFFICIENT_BALANCE
    ltv = v.token_spec[spec.token].ltv
    if v.row[row].regime == REGIME_PORTFOLIO and ltv > 0.0:
        price = v.price[spec.asset].borrow_oracle_usd
        secured = float(lots) * spec.lot_size * price * ltv
        receipts = float(lots * price_tick * int(spec.k)) / 1e6
        if receipts < secured:
            s = account_sums(v, row)
            if available_usd(v, row, s) < secured - receipts:
                return R_INSUFFICIENT_MARGIN
    return ACCEPTED


@inline_kernel
def _admits_exposure(
    v: VenueState, user: int, row: int, inst: int, side: int, price_tick: int, lots: int
) -> int:
    s = account_sums(v, row)
    portfolio = is_judged_as_portfolio(v, row, s)
    floor_frac = v.par[0].notional_floor_frac if portfolio else 0.0
    need = _need_after(v, s, user, inst, side, price_tick, lots, floor_frac)
    if not portfolio:
        if need <= cross_equity_usd(s):
            return ACCEPTED
        return R_INSUFFICIENT_MARGIN if v.inst[inst].kind == PERP else R_INSUFFICIENT_BALANCE
    missing = round_up(max(0.0, need - net_usd(s)) * 1e6) - int(v.debt[row, 0])
    if missing <= 0:
        return ACCEPTED
    code = borrow_refusal(v, row, s.collateral_capacity_usd, missing)
    if code == ACCEPTED:
        draw(v, row, missing)
    return code


@inline_kernel
def _need_after(
    v: VenueState,
    s: AccountSums,
    user: int,
    inst: int,
    side: int,
    price_tick: int,
    lots: int,
    floor_frac: float,
) -> float:
    """Return what the account binds with one order more: resting or filled, whichever is more."""
    spec = v.inst[inst]
    tier = v.fee_tier[v.user[user].fee_tier]
    buffer = 1.0 + v.par[0].order_margin_buffer_frac
    limit_usd = float(lots * price_tick * int(spec.k)) / 1e6
    others = s.isolated_equity_usd + buffer * s.order_margin_usd + s.spot_bid_usd
    positions = max(s.initial_usd, floor_frac * s.gross_notional_usd)
    if spec.kind != PERP:
        # Fees of spot come out of the same cash, and without perps nothing else covers them.
        fees = (s.spot_bid_usd + limit_usd) * (float(tier.spot_taker_e7) / 1e7)
        return others + positions + limit_usd + fees
    leverage = float(v.leverage[user, inst])
    mark_usd = float(lots) * spec.lot_size * v.price[spec.asset].mark_usd
    # Bought above or sold below the mark: a loss as soon as it fills.
    slip = max(0.0, limit_usd - mark_usd if side == BUY else mark_usd - limit_usd)
    fee = limit_usd * (float(tier.perp_taker_e7) / 1e7)
    resting = positions + buffer * (limit_usd / leverage)
    initial = s.initial_usd + mark_usd / leverage
    filled = max(initial, floor_frac * (s.gross_notional_usd + mark_usd)) + slip + fee
    return others + max(resting, filled)
