"""Margin of a row: one loop over its pocket, what is bound, and what it may withdraw.

The formulas stand in `equity`, `ratio` and `commitment` beside it. Cross and portfolio rows are
dispatched by `row.regime`; a portfolio row without credit is judged by cross altogether.
"""

from stressbook.market.compiling.arrays import Record
from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.borrowing import headroom
from stressbook.market.lending.token_bids import bid_overlap_usd
from stressbook.market.margin.commitment import (
    commitment_usd,
    debt_need_usd,
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
from stressbook.market.regimes.kernel import confidence_rate, core_requirement_usd, sum_units
from stressbook.market.regimes.requirement import (
    leg_initial_usd,
    leg_maintenance_usd,
    loan_usd,
    tier_maintenance_usd,
)
from stressbook.market.state.codes import (
    BUY,
    PERP,
    REGIME_PORTFOLIO,
    SELL,
    VALUE_MAX_NO_LOANS,
)
from stressbook.market.state.records import VenueState

__all__ = [
    "account_sums",
    "available_usd",
    "bound_usd",
    "filled_sums",
    "spare_usd",
    "withdrawable_usd",
]


@inline_kernel
def account_sums(v: VenueState, row: int) -> AccountSums:
    """Return the sums over a row's pocket and its user's resting orders.

    Parameters
    ----------
    v : VenueState
        Read only, but for scratch.
    row : int
        Main row of a user.

    Returns
    -------
    AccountSums
        At mark, oracle and borrow oracle as they stand.
    """
    return _sums(v, row, True)


@inline_kernel
def filled_sums(v: VenueState, row: int) -> AccountSums:
    """Return the sums over a row's pocket as if no orders rested that the regime would net.

    Parameters
    ----------
    v : VenueState
        Read only, but for scratch.
    row : int
        Main row of a user.

    Returns
    -------
    AccountSums
        As `account_sums`.
    """
    return _sums(v, row, False)


@sub_kernel
def _sums(v: VenueState, row: int, with_orders: bool) -> AccountSums:
    user = int(v.row[row].user)
    r = int(v.row[row].regime)
    regime = v.regime[r]
    scans = regime.n_moves > 0
    nets_orders = regime.nets_orders == 1
    counts_orders = nets_orders and with_orders
    n_legs = 0
    rests = v.user[user].n_orders > 0
    has_orders = False
    value = gross = initial = maintenance = order_margin = spot_bid = haircut = 0.0
    for i in range(v.inst.shape[0]):
        lots = int(v.perp[row, i])
        if lots == 0 and not rests:
            continue
        inst = v.inst[i]
        bid = open_micro = 0
        if rests:
            bid = int(v.open_notional[user, i, BUY])
            open_micro = bid + int(v.open_notional[user, i, SELL])
            if inst.kind != PERP:
                spot_bid += float(bid) / 1e6
                continue
            if lots == 0 and open_micro == 0:
                continue
        price = v.price[inst.asset]
        leverage = float(v.leverage[user, i])
        signed = notional = tier = charged = 0.0
        if lots != 0:
            signed = float(lots) * inst.lot_size * price.mark_usd
            notional = abs(signed)
            value += signed
            gross += notional
            # Beyond its first tier a position needs more than the chosen leverage says.
            tier = tier_maintenance_usd(
                regime,
                v.tier,
                int(inst.asset),
                int(v.asset[inst.asset].n_tiers),
                notional,
                abs(float(v.entry_cost[row, i])) / 1e6,
            )
            charged = notional
            if regime.rates_at_oracle == 1:
                charged = abs(float(lots) * inst.lot_size * price.oracle_usd)
            maintenance += leg_maintenance_usd(regime, v.leg[r, i], tier, notional, charged)
        if counts_orders and open_micro != 0:
            charged += _most_added_usd(v, user, i, signed)
        confidence = v.dial[inst.asset].oracle_confidence
        initial += leg_initial_usd(
            regime, v.leg[r, i], tier, notional, charged, leverage, confidence
        )
        if open_micro != 0 and not nets_orders:
            order_margin += float(open_micro) / 1e6 / leverage
        if scans:
            has_orders = has_orders or open_micro != 0
            _note_leg(v, n_legs, i, signed, user, i)
            n_legs += 1
    tokens = collateral = capacity = credit = token_debt = token_need = 0.0
    caps_count = v.par[0].user_cap_in_credit == 1
    gives_credit = r == REGIME_PORTFOLIO
    for k in range(1, v.token_spec.shape[0]):
        # Borrowed tokens that lie idle are no holding: what counts is what is owned.
        units = int(v.token[row, k]) - int(v.debt[row, k])
        if units == 0 and not rests:
            continue
        token = v.token_spec[k]
        price = v.price[token.asset]
        held = 0.0
        if units < 0:
            owed = float(-units) / float(token.unit) * price.borrow_oracle_usd
            token_debt += owed
            token_need += debt_need_usd(owed, token.ltv)
        elif units > 0:
            worth = float(units) / float(token.unit) * price.oracle_usd
            tokens += worth
            if gives_credit and token.ltv > 0.0:
                collateral += worth
                held = float(units) / float(token.unit) * price.borrow_oracle_usd
                if caps_count and units > token.user_supply_cap:
                    units = int(token.user_supply_cap)
                lendable = float(units) / float(token.unit) * price.borrow_oracle_usd
                capacity += lendable * token.ltv * v.reserve[k].counted_share
                credit += lendable * token.credit_weight
        if scans:
            j = v.inst.shape[0] + k
            spot = int(v.asset[token.asset].spot_inst)
            open_micro = 0
            if rests and spot >= 0:
                bid = int(v.open_notional[user, spot, BUY])
                open_micro = bid + int(v.open_notional[user, spot, SELL])
                haircut += float(bid) / 1e6 * (1.0 - token.ltv)
            if held != 0.0 or open_micro != 0:
                has_orders = has_orders or open_micro != 0
                initial += _weak_token_usd(v, regime, int(token.asset), held)
                _note_leg(v, n_legs, j, held, user, spot)
                n_legs += 1
    # Collateral stands behind debts of tokens first; the rest of their need is bound in cash.
    token_bound = max(0.0, token_need - capacity)
    if token_bound > 0.0:
        spot_bid -= min(token_bound, bid_overlap_usd(v, row))
    capacity = max(0.0, capacity - token_need)
    if caps_count:
        credit = min(credit, float(v.token_spec[0].user_borrow_cap) / 1e6)
    if v.par[0].borrowable_in_credit == 1 and credit > 0.0:
        owed_most = int(v.debt[row, 0]) + headroom(
            v.token_spec[0], v.reserve[0], int(v.debt[row, 0])
        )
        credit = min(credit, float(owed_most) / 1e6)
    if credit <= 0.0 and token_debt <= 0.0 and regime.falls_back == 1:
        collateral = 0.0
    debt = int(v.debt[row, 0])
    if debt > 0:
        usdc = v.inst.shape[0]
        owed = float(debt) / 1e6
        initial += loan_usd(v.leg[r, usdc], v.loan_step[r, usdc], owed, True)
        maintenance += loan_usd(v.leg[r, usdc], v.loan_step[r, usdc], owed, False)
    if scans and n_legs > 0:
        nets = has_orders and counts_orders
        n_units = sum_units(v.leg[r], v.pocket, n_legs, v.unit_scratch, nets)
        core = 0.0
        # One call in a loop, not two: its code stands here once.
        for corners in range(2 if nets else 1):
            core = core_requirement_usd(
                regime,
                v.move[r],
                v.unit[r],
                v.hedge_step[r],
                v.floor_step[r],
                v.credit[r],
                v.unit_scratch,
                n_units,
                v.loss_sums,
                corners == 1,
            )
            if corners == 0:
                maintenance += regime.maintenance_factor * core
        initial += regime.initial_factor * core
    if v.par[0].value_max_later_policy == VALUE_MAX_NO_LOANS and regime.margin_is_borrowed == 1:
        own_usd = float(int(v.cash[row]) - debt) / 1e6 + value
        worth_usd = own_usd + float(v.supply[row, 0]) / 1e6 + tokens - token_debt
        if worth_usd * 1e6 >= float(v.par[0].account_value_max_micro):
            capacity = min(capacity, float(debt) / 1e6)
    offset = 0.0
    if v.par[0].min_borrow_offset_on == 1:
        offset = v.par[0].min_borrow_offset_usd
    if initial > 0.0:
        initial += regime.constant_initial_usd
    if maintenance > 0.0:
        maintenance += regime.constant_maintenance_usd
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
        1 if gives_credit and regime.falls_back == 0 else 0,
        int(regime.debt_in_ratio),
        1 if gives_credit and regime.margin_is_borrowed == 0 else 0,
        haircut,
        token_debt,
        token_bound,
    )


@inline_kernel
def _most_added_usd(v: VenueState, user: int, inst: int, signed_usd: float) -> float:
    """Return how far orders of one side can raise the notional of a perp."""
    bought = abs(signed_usd + float(v.open_notional[user, inst, BUY]) / 1e6)
    sold = abs(signed_usd - float(v.open_notional[user, inst, SELL]) / 1e6)
    return max(0.0, max(bought, sold) - abs(signed_usd))


@inline_kernel
def _weak_token_usd(v: VenueState, regime: Record, asset: int, value_usd: float) -> float:
    """Return what a weak oracle adds to the initial requirement of a token."""
    if regime.confidence_rate == 0.0:
        return 0.0
    confidence = v.dial[asset].oracle_confidence
    rate = confidence_rate(confidence, regime.confidence_threshold, regime.confidence_rate)
    return value_usd * rate


@inline_kernel
def _note_leg(v: VenueState, n: int, leg: int, value_usd: float, user: int, inst: int) -> None:
    """Lay a leg out for the scan, with the resting orders of its book."""
    held = v.pocket[n]
    held.leg = leg
    held.value_usd = value_usd
    held.buy_usd = held.sell_usd = 0.0
    if inst >= 0:
        held.buy_usd = float(v.open_notional[user, inst, BUY]) / 1e6
        held.sell_usd = float(v.open_notional[user, inst, SELL]) / 1e6


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
