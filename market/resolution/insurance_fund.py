"""The insurance fund: positions at their bankruptcy price, a fee of what fills leave above it.

The bankruptcy price of a slice is the one that takes with it the slice's part of what the account
is worth, by maintenance: sold there, the rest has the ratio it had before. Sold better, the account
pays a fee out of the surplus; sold worse, the fund pays the shortfall, to its limit: its equity.
Source: dYdX v4-chain, protocol/x/clob/keeper/liquidations.go at 84d4664; that the fund itself takes
positions: Bybit help, 2026, and docs/decisions/0043-resolution-policies.md.
"""

from stressbook.market.compiling.arrays import Record
from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.margin.marginal import freed_by_closing_usd, maintenance_after_usd
from stressbook.market.margin.valuation import perp_value_micro, value_account
from stressbook.market.numbers.units import NEAREST, mul_div, round_down, round_nearest
from stressbook.market.resolution.backstop import pay_backstop
from stressbook.market.resolution.takeover import take_perp
from stressbook.market.state.codes import (
    BACKSTOP_FUND,
    BUY,
    EV_SHORTFALL_PAID,
    FORCED,
    PERP,
    TWAP,
)
from stressbook.market.state.events import log_event
from stressbook.market.state.ledger import move_cash
from stressbook.market.state.records import C_FILLS, VenueState

__all__ = [
    "bankruptcy_quote",
    "charge_forced_fills",
    "fund_room_micro",
    "insurance_delta",
    "is_fund_able",
    "pay_from_fund",
    "take_at_bankruptcy",
]


@inline_kernel
def bankruptcy_quote(
    value_change: float, collateral: float, requirement_change: float, requirement: float
) -> float:
    """Return what a slice must bring so that the rest is margined as before.

    Parameters
    ----------
    value_change : float
        Of the position, at the mark: negative where a long is sold, positive where a short is
        bought back.
    collateral : float
        What the account is worth, positions at the mark.
    requirement_change, requirement : float
        Of maintenance: by the slice, and in all before it; the latter above 0.

    Returns
    -------
    float
        In the unit of the amounts: positive is received, negative the most that may be paid.

    Examples
    --------
    A tenth of a coin, bought with 4,501 of its worth of 5,000 owed, is sold for at least that:

    >>> bankruptcy_quote(-5_000.0, 499.0, -500.0, 500.0)
    4501.0
    """
    return -value_change - collateral * abs(requirement_change) / requirement


@inline_kernel
def insurance_delta(surplus_usd: float, notional_usd: float, fee_frac: float) -> float:
    """Return what the fund gets of a fill, or pays for it.

    Parameters
    ----------
    surplus_usd : float
        Proceeds less `bankruptcy_quote`.
    notional_usd : float
        Of the fill, at least 0.
    fee_frac : float
        Largest fee, of the notional.

    Returns
    -------
    float
        USD; below zero the shortfall that the fund pays.

    Examples
    --------
    >>> insurance_delta(490.0, 4_410.0, 0.025), insurance_delta(-3.0, 4_410.0, 0.025)
    (110.25, -3.0)
    """
    if surplus_usd > 0.0:
        return min(fee_frac * notional_usd, surplus_usd)
    return surplus_usd


@sub_kernel
def fund_room_micro(v: VenueState) -> int:
    """Return what the fund can still pay: its equity, valued anew.

    Parameters
    ----------
    v : VenueState
        Changed in `risk` of the backstop.

    Returns
    -------
    int
        Micro-USDC, at least 0.
    """
    backstop = int(v.par[0].backstop_user)
    value_account(v, backstop)
    return round_down(max(0.0, v.risk[backstop].equity_usd) * 1e6)


@sub_kernel
def pay_from_fund(v: VenueState, user: int, deficit: int, cause: int, t_ms: int) -> int:
    """Have the fund pay a deficit, to its limit; without a fund nothing is paid.

    Parameters
    ----------
    v : VenueState
        Changed in `cash`, `flow`, `risk` and `event`.
    user : int
        A flat account, not the backstop.
    deficit : int
        Micro-USDC, above 0.
    cause : int
        Of the booking.
    t_ms : int
        Time of the step.

    Returns
    -------
    int
        Micro-USDC paid.
    """
    if v.par[0].backstop_policy != BACKSTOP_FUND or user == v.par[0].backstop_user:
        return 0
    paid = min(deficit, fund_room_micro(v))
    if paid > 0:
        backstop = int(v.par[0].row_backstop)
        move_cash(v, backstop, user, paid, cause)
        v.backstop[0].perp_cash_micro -= paid
        log_event(v, t_ms, EV_SHORTFALL_PAID, user, -1, 0, 0, paid, cause, backstop)
        value_account(v, backstop)
    return paid


@sub_kernel
def is_fund_able(v: VenueState, user: int) -> bool:
    """Tell whether the fund can take an account's perps: it has equity, and enough for a shortfall.

    Parameters
    ----------
    v : VenueState
        Changed in `risk` of the backstop.
    user : int
        Not the backstop. The shortfall of a portfolio account is its loan's, which a fund of perps
        does not cover.

    Returns
    -------
    bool
    """
    if v.par[0].backstop_policy != BACKSTOP_FUND:
        return False
    room = fund_room_micro(v)
    if v.risk[user].judged_as_portfolio == 1:
        return room > 0 and v.risk[user].equity_usd >= 0.0
    return room > 0 and -_margin_micro(v, user) <= room


@sub_kernel
def take_at_bankruptcy(v: VenueState, user: int, t_ms: int) -> None:
    """Move every perp to the fund, each at its bankruptcy price.

    Parameters
    ----------
    v : VenueState
        Changed in the ledger and `event`: of each perp the takeover at the mark, then what the
        bankruptcy price adds, paid by the account or, below zero, by the fund.
    user : int
        With perps.
    t_ms : int
        Time of the step.
    """
    for inst in range(v.inst.shape[0]):
        lots = int(v.perp[user, inst])
        if lots == 0:
            continue
        slice_requirement = freed_by_closing_usd(v, user, inst)
        v.shift_lots[inst] = 0
        requirement = maintenance_after_usd(v, user)
        if not _holds_beyond(v, user, inst):
            slice_requirement = requirement  # the last takes what is left
        mark_e8 = int(v.price[v.inst[inst].asset].mark_e8)
        value = mul_div(lots, mark_e8, int(v.inst[inst].mark_den), NEAREST)
        collateral = float(_margin_micro(v, user))
        quote = bankruptcy_quote(-float(value), collateral, -slice_requirement, requirement)
        take_perp(v, user, inst, lots, t_ms)
        pay_backstop(v, user, value - round_nearest(quote), t_ms)


@inline_kernel
def _holds_beyond(v: VenueState, user: int, inst: int) -> bool:
    held = 0
    for other in range(inst + 1, v.inst.shape[0]):
        held |= int(v.perp[user, other])
    return held != 0


@sub_kernel
def charge_forced_fills(v: VenueState, t_ms: int) -> None:
    """Settle this step's forced fills of each account with the fund, as one slice.

    Parameters
    ----------
    v : VenueState
        Changed in `cash`, `flow`, `risk` and `event`.
    t_ms : int
        Time of the step, after matching.
    """
    if v.par[0].backstop_policy != BACKSTOP_FUND:
        return
    for user in range(v.par[0].n_users):
        v.queue_size[user] = 0
    for k in range(v.ctr[C_FILLS]):
        if _is_forced_perp(v, v.fill[k]):
            v.queue_size[v.fill[k].taker] = 1
    for user in range(v.par[0].n_users):
        if v.queue_size[user] == 1:
            _charge(v, user, t_ms)


@inline_kernel
def _is_forced_perp(v: VenueState, fill: Record) -> bool:
    is_forced = fill.options & FORCED != 0 and fill.options & TWAP == 0
    return bool(is_forced and v.inst[fill.inst].kind == PERP)


@sub_kernel
def _charge(v: VenueState, user: int, t_ms: int) -> None:
    value_account(v, user)
    proceeds = notional = 0
    value_change = 0.0
    for inst in range(v.inst.shape[0]):
        filled = 0
        for k in range(v.ctr[C_FILLS]):
            fill = v.fill[k]
            if fill.taker == user and fill.inst == inst and _is_forced_perp(v, fill):
                cost = int(fill.qty_lots) * int(fill.price_tick) * int(v.inst[inst].k)
                notional += cost
                filled += int(fill.qty_lots) if fill.taker_side == BUY else -int(fill.qty_lots)
                proceeds += -cost if fill.taker_side == BUY else cost
        v.shift_lots[inst] = -filled
        if filled != 0:
            spec = v.inst[inst]
            value_change += float(filled) * spec.lot_size * v.price[spec.asset].mark_usd
    before_usd = maintenance_after_usd(v, user)
    # Filled at the mark, a hedge that is sold may leave more to maintain: then nothing is its part.
    after_usd = min(v.risk[user].maintenance_usd, before_usd)
    if before_usd <= 0.0:
        return
    proceeds_usd = float(proceeds) / 1e6
    collateral_usd = v.risk[user].equity_usd - (proceeds_usd + value_change)
    quote_usd = bankruptcy_quote(value_change, collateral_usd, after_usd - before_usd, before_usd)
    fee_frac = v.par[0].liquidation_fee_frac
    delta_usd = insurance_delta(proceeds_usd - quote_usd, float(notional) / 1e6, fee_frac)
    pay_backstop(v, user, max(round_nearest(delta_usd * 1e6), -fund_room_micro(v)), t_ms)
    value_account(v, user)
    value_account(v, int(v.par[0].backstop_user))


@sub_kernel
def _margin_micro(v: VenueState, user: int) -> int:
    """Return what stands behind perps in USDC: under portfolio margin never below zero."""
    margin = int(v.cash[user]) - int(v.debt[user, 0]) + perp_value_micro(v, user)
    return max(margin, 0) if v.risk[user].judged_as_portfolio == 1 else margin
