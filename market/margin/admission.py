"""Which orders an account may place, and whether a resting one may still fill.

Margin is asked when an order is placed and again of the resting side at each match.
Source: Hyperliquid docs, order book, 2026; readings in docs/decisions/0011.
"""

from stressbook.market.compiling.arrays import Record
from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.borrowing import (
    borrow_refusal,
    borrowable_room,
    draw,
    give_back,
    lendable,
)
from stressbook.market.margin.available import bound_usd
from stressbook.market.margin.equity import (
    AccountSums,
    cross_equity_usd,
    is_judged_as_portfolio,
    net_usd,
)
from stressbook.market.margin.netted_orders import (
    fill_keeps_whole_margin,
    margin_allows,
    reduction_allowed,
)
from stressbook.market.margin.sums import account_sums
from stressbook.market.margin.token_margin import (
    cover_relief_usd,
    keeps_margin_short,
    sell_short,
    sells_short,
)
from stressbook.market.numbers.units import round_down, round_nearest, round_up
from stressbook.market.regimes.tiers import initial_of
from stressbook.market.state.codes import (
    ACCEPTED,
    BUY,
    FORCED,
    PERP,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_BALANCE,
    R_INSUFFICIENT_MARGIN,
    R_UTILISATION_FULL,
    REDUCE_ONLY,
    REGIME_PORTFOLIO,
    SELL,
    TWAP,
)
from stressbook.market.state.records import VenueState

__all__ = ["admits", "fill_keeps_margin", "filled_notional_usd", "need_after_usd"]


@inline_kernel
def filled_notional_usd(limit_usd: float, mark_usd: float, side: int) -> float:
    """Return the notional that a filled order is margined on: the worse of limit and mark.

    Parameters
    ----------
    limit_usd, mark_usd : float
        Notional of the order at its limit and at the mark.
    side : int
        Of the order.

    Returns
    -------
    float
        USD; of a bid the smaller, since what it pays above the mark counts as a loss.
    """
    return min(limit_usd, mark_usd) if side == BUY else max(limit_usd, mark_usd)


@inline_kernel
def need_after_usd(
    par: Record,
    s: AccountSums,
    is_perp: bool,
    limit_usd: float,
    mark_usd: float,
    side: int,
    leverage: float,
    more_usd: float,
    spot_taker_frac: float,
) -> float:
    """Return what an account binds with one order more, resting or filled, whichever is more.

    Parameters
    ----------
    par : record of VENUE_PARAMS
        Rules.
    s : AccountSums
        Before the order.
    is_perp : bool
        Else a bid for a token.
    limit_usd, mark_usd : float
        Notional of the order at its limit and at the mark.
    side : int
        Of the order.
    leverage : float
        Of the user on this perp.
    more_usd : float
        Initial margin that the position needs more once the order is filled.
    spot_taker_frac : float
        Taker fee of tokens, of notional.

    Returns
    -------
    float
        USD.
    """
    floor_frac: float = par.notional_floor_frac if is_judged_as_portfolio(s) else 0.0
    buffer: float = 1.0 + par.order_margin_buffer_frac
    others = s.isolated_equity_usd + buffer * s.order_margin_usd + s.spot_bid_usd
    others += s.token_bound_usd
    positions = max(s.initial_usd, floor_frac * s.gross_notional_usd)
    if not is_perp:
        # Fees of spot come out of the same cash, and without perps nothing else covers them.
        return others + positions + limit_usd + (s.spot_bid_usd + limit_usd) * spot_taker_frac
    # Bought above or sold below the mark: a loss as soon as it fills.
    slip = max(0.0, limit_usd - mark_usd if side == BUY else mark_usd - limit_usd)
    notional = filled_notional_usd(limit_usd, mark_usd, side)
    resting = positions + buffer * (limit_usd / leverage)
    initial = s.initial_usd + more_usd
    filled = max(initial, floor_frac * (s.gross_notional_usd + notional))
    return others + max(resting, filled + slip)


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
        `ACCEPTED`, or why not. Forced orders always may, and those that can only reduce a perp
        position, but where orders are netted: there they may not raise what is missing, in breach
        as before it. Sales of tokens need the tokens, and collateral not below what it secures;
        all others need their margin, and accounts in breach may not place them.
    """
    if flags & (FORCED | TWAP) != 0 or v.par[0].admission_on == 0:
        return ACCEPTED
    spec = v.inst[inst]
    row = user
    pocket = int(v.row_of[user, inst])  # under isolated margin not the account's own row
    is_perp = spec.kind == PERP
    limit_micro = lots * price_tick * int(spec.k)
    limit_usd = float(limit_micro) / 1e6
    if is_perp:
        position = int(v.perp[pocket, inst])
        held = position if side == SELL else -position
        if flags & REDUCE_ONLY != 0 or int(v.open_lots[user, inst, side]) + lots <= held:
            is_netted = v.regime[v.row[row].regime].nets_orders == 1
            if is_netted and not reduction_allowed(v, row, inst, side, lots, limit_micro):
                return R_INSUFFICIENT_MARGIN
            return ACCEPTED
    elif side == SELL:
        units = (int(v.open_lots[user, inst, SELL]) + lots) * int(spec.lot_units)
        if sells_short(v, row, int(spec.token), units):
            return sell_short(v, user, inst, lots, limit_micro)
        if units > v.token[row, spec.token]:
            return R_INSUFFICIENT_BALANCE
        if v.regime[v.row[row].regime].nets_orders == 1:
            return _admits_netted(v, user, inst, side, lots, limit_usd)
        if v.row[row].regime != REGIME_PORTFOLIO or _is_fair_sale(v, user, inst, lots, limit_usd):
            return ACCEPTED
    if v.regime[v.row[row].regime].nets_orders == 1:
        return _admits_netted(v, user, inst, side, lots, limit_usd)
    s = account_sums(v, row)
    is_sale = not is_perp and side == SELL
    if is_sale and not is_judged_as_portfolio(s):
        return ACCEPTED
    if v.user[user].breached == 1 or v.user[pocket].breached == 1:
        return R_IN_RESOLUTION
    if is_sale:
        # Sold for less than it secures: what is missing must be free.
        need = bound_usd(v.par[0], s) + _shortfall_usd(v, user, inst, lots, limit_usd)
        if not _may_owe(v, row, s, need):
            return R_INSUFFICIENT_MARGIN
    else:
        mark_usd = float(lots) * spec.lot_size * v.price[spec.asset].mark_usd
        leverage = float(v.leverage[user, inst])
        fee = _spot_taker_frac(v, user)
        more = 0.0
        if is_perp:
            more = _more_initial_usd(
                v, pocket, inst, side, leverage, filled_notional_usd(limit_usd, mark_usd, side)
            )
        need = need_after_usd(v.par[0], s, is_perp, limit_usd, mark_usd, side, leverage, more, fee)
        if not is_perp:
            need -= cover_relief_usd(v, s, user, inst, lots, True)
    refusal = R_INSUFFICIENT_MARGIN if is_perp else R_INSUFFICIENT_BALANCE
    return _raise_cash(v, row, s, need, refusal)


@sub_kernel
def _admits_netted(
    v: VenueState, user: int, inst: int, side: int, lots: int, limit_usd: float
) -> int:
    """Tell whether an order passes a regime that nets orders, and raise the cash of a bid."""
    if v.user[user].breached == 1:
        return R_IN_RESOLUTION
    row = user
    micro = round_nearest(limit_usd * 1e6)
    if not margin_allows(v, row, inst, side, lots, micro):
        return R_INSUFFICIENT_MARGIN
    if v.inst[inst].kind == PERP or side == SELL:
        return ACCEPTED
    s = account_sums(v, row)
    bids_usd = s.spot_bid_usd + limit_usd
    need = bids_usd + bids_usd * _spot_taker_frac(v, user)
    return _raise_cash(v, row, s, need, R_INSUFFICIENT_BALANCE)


@inline_kernel
def _may_owe(v: VenueState, row: int, s: AccountSums, need: float) -> bool:
    """Tell whether loan-to-value covers the loan that a need takes, what is owed already in it."""
    loan = round_up(max(0.0, need - (net_usd(s) - s.supplied_usd)) * 1e6)
    loan -= min(int(v.supply[row, 0]), lendable(v.reserve[0]))
    return loan <= round_down(s.collateral_capacity_usd * 1e6)


@inline_kernel
def _spot_taker_frac(v: VenueState, user: int) -> float:
    return float(v.fee_tier[v.user[user].fee_tier].spot_taker_e7) / 1e7


@inline_kernel
def _is_fair_sale(v: VenueState, user: int, inst: int, lots: int, limit_usd: float) -> bool:
    """Tell whether a sale of a token leaves an account no nearer to liquidation.

    Parameters
    ----------
    v : VenueState
        Read only.
    user, inst, lots : int
        Who sells how much in which book.
    limit_usd : float
        Least that it brings, USD, before the fee.

    Returns
    -------
    bool
        Proceeds reach what the tokens stand for against debt, value x (1 + LTV) / 2; of a token
        without loan-to-value always.
    """
    spec = v.inst[inst]
    ltv: float = v.token_spec[spec.token].ltv
    value_usd = float(lots) * spec.lot_size * v.price[spec.asset].borrow_oracle_usd
    proceeds_usd = limit_usd * (1.0 - _spot_taker_frac(v, user))
    return ltv == 0.0 or proceeds_usd >= value_usd * ((1.0 + ltv) * 0.5)


@inline_kernel
def _shortfall_usd(v: VenueState, user: int, inst: int, lots: int, limit_usd: float) -> float:
    """Return what a sale of a token brings less than it secures, value x LTV; USD, at least 0.

    Parameters
    ----------
    v, user, inst, lots, limit_usd
        As of `_is_fair_sale`.
    """
    spec = v.inst[inst]
    ltv: float = v.token_spec[spec.token].ltv
    secured_usd = float(lots) * spec.lot_size * v.price[spec.asset].borrow_oracle_usd * ltv
    return max(0.0, secured_usd - limit_usd * (1.0 - _spot_taker_frac(v, user)))


@inline_kernel
def _raise_cash(v: VenueState, row: int, s: AccountSums, need: float, refusal: int) -> int:
    """See that an account has what it needs: its own, what it has lent, then a loan."""
    if not is_judged_as_portfolio(s):
        return ACCEPTED if need <= cross_equity_usd(s) else refusal
    debt = int(v.debt[row, 0])
    missing = round_up(max(0.0, need - (net_usd(s) - s.supplied_usd)) * 1e6) - debt
    if missing <= 0:
        return ACCEPTED
    # Lent cash comes back first, as far as it is not lent on; the rest of it covers nothing.
    free = lendable(v.reserve[0])
    returned = min(missing, int(v.supply[row, 0]), free)
    missing -= returned
    if missing > 0:
        capacity = s.collateral_capacity_usd
        code = borrow_refusal(v.token_spec[0], v.reserve[0], debt, capacity, missing)
        if code != ACCEPTED:
            return code
        if missing > free - returned:
            return R_UTILISATION_FULL
    if returned > 0:
        give_back(v, row, returned)
    if missing > 0:
        draw(v, row, missing)
    return ACCEPTED


@inline_kernel
def _more_initial_usd(
    v: VenueState, row: int, inst: int, side: int, leverage: float, notional_usd: float
) -> float:
    """Return the initial margin that a filled order adds, by the tiers of what is held then."""
    spec = v.inst[inst]
    lots = int(v.perp[row, inst])
    held_usd = 0.0
    if (lots > 0) == (side == BUY):
        held_usd = abs(float(lots) * spec.lot_size * v.price[spec.asset].mark_usd)
    n_tiers = int(v.asset[spec.asset].n_tiers)
    asset = int(spec.asset)
    before = initial_of(v.tier, asset, n_tiers, leverage, held_usd)
    after = initial_of(v.tier, asset, n_tiers, leverage, held_usd + notional_usd)
    return max(notional_usd / leverage, after - before)


@sub_kernel
def fill_keeps_margin(
    v: VenueState, user: int, inst: int, side: int, price_tick: int, lots: int
) -> bool:
    """Tell whether a resting order still has its margin at the match.

    Parameters
    ----------
    v : VenueState
        Read only.
    user, inst, side, price_tick : int
        Of the resting order: for a token, one that adds to a perp position, or, where orders are
        netted, any.
    lots : int
        About to be traded.

    Returns
    -------
    bool
        Whether what the account has after the fill, at the mark, covers its initial margin; other
        resting orders do not count.
        Source: Hyperliquid docs, order book: margin is checked again for the resting side, 2026.
    """
    spec = v.inst[inst]
    row = user
    if v.regime[v.row[row].regime].nets_orders == 1:
        return fill_keeps_whole_margin(v, row, inst, side, lots, lots * price_tick * int(spec.k))
    cost_usd = float(lots * price_tick * int(spec.k)) / 1e6
    is_sale = spec.kind != PERP and side == SELL
    if is_sale and sells_short(v, row, int(spec.token), lots * int(spec.lot_units)):
        return keeps_margin_short(v, user, inst, lots, lots * price_tick * int(spec.k))
    if is_sale and (
        v.row[row].regime != REGIME_PORTFOLIO or _is_fair_sale(v, user, inst, lots, cost_usd)
    ):
        return True
    s = account_sums(v, row)
    gain_usd = -cost_usd
    if is_sale:
        gain_usd = -_shortfall_usd(v, user, inst, lots, cost_usd)
    initial, gross = s.initial_usd, s.gross_notional_usd
    if spec.kind == PERP:
        mark_usd: float = v.price[spec.asset].mark_usd
        held = int(v.perp[v.row_of[user, inst], inst])
        worth_usd = float(lots) * spec.lot_size * mark_usd
        gain_usd = worth_usd - cost_usd if side == BUY else cost_usd - worth_usd
        after = held + lots if side == BUY else held - lots
        before_usd = abs(float(held) * spec.lot_size * mark_usd)
        after_usd = abs(float(after) * spec.lot_size * mark_usd)
        leverage = float(v.leverage[user, inst])
        n_tiers = int(v.asset[spec.asset].n_tiers)
        asset = int(spec.asset)
        initial -= initial_of(v.tier, asset, n_tiers, leverage, before_usd)
        initial += initial_of(v.tier, asset, n_tiers, leverage, after_usd)
        gross += after_usd - before_usd
    if not is_judged_as_portfolio(s):
        return is_sale or initial <= cross_equity_usd(s) + gain_usd
    # The pool serves both: lent cash that comes back, and a loan out of what is left of it.
    in_pool = lendable(v.reserve[0])
    returned = min(int(v.supply[row, 0]), in_pool)
    capacity = s.collateral_capacity_usd
    room = borrowable_room(v.token_spec[0], v.reserve[0], int(v.debt[row, 0]), capacity)
    behind_usd = float(returned + min(room, in_pool - returned)) / 1e6
    owed = min(s.debt_usd, capacity)
    floor: float = v.par[0].notional_floor_frac * gross
    bound = max(initial, floor) + s.token_bound_usd
    if spec.kind != PERP and not is_sale:
        bound -= cover_relief_usd(v, s, user, inst, lots, False)
    return bound <= net_usd(s) - s.supplied_usd + (owed + behind_usd) + gain_usd
