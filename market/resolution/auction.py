"""Dutch auctions of a share of a whole account, taken by the backstop at its reservation discount.

The price falls from a start to a cutoff; a bidder buys the share that restores a buffer of margin,
of every perp and collateral alike. An account below zero is taken whole, for a payout that rises
from what it owes to what it would have to maintain. Everything changes hands at mark and oracle,
and the discount is paid beside it. Source: Derive v2-core, auction unit tests and liquidation docs,
at 7736900, 2026; the bidder is ours: docs/decisions/0043-resolution-policies.md.
"""

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.lending.reserve import repay
from stressbook.market.margin.valuation import holds_collateral, value_account
from stressbook.market.numbers.units import (
    CEIL,
    mul_div,
    round_down,
    round_nearest,
    round_up,
)
from stressbook.market.resolution.backstop import loss_limit_holds, pay_backstop
from stressbook.market.resolution.deficit import pay_from_own
from stressbook.market.resolution.insurance_fund import fund_room_micro
from stressbook.market.resolution.takeover import take_perp
from stressbook.market.state.codes import (
    BACKSTOP_VAULT,
    CAUSE_DEFICIT,
    CAUSE_TAKEOVER,
    EV_AUCTION,
    EV_COLLATERAL_BOUGHT,
    EV_SHORTFALL_PAID,
)
from stressbook.market.state.events import log_event
from stressbook.market.state.ledger import move_cash, move_token
from stressbook.market.state.records import VenueState

__all__ = [
    "auction_account",
    "auction_price_frac",
    "buffer_margin_usd",
    "has_bidder",
    "insolvent_payout_usd",
    "share_to_buffer",
]

_E9 = 1_000_000_000


@inline_kernel
def auction_price_frac(
    elapsed_ms: float, start_frac: float, cutoff_frac: float, period_ms: float
) -> float:
    """Return the price of a share of a solvent account, of what it is worth.

    Parameters
    ----------
    elapsed_ms, period_ms : float
        Since the start, and from start to cutoff; in one unit of time.
    start_frac, cutoff_frac : float
        At the start, and from the end of the period on.

    Returns
    -------
    float

    Examples
    --------
    >>> auction_price_frac(300.0, 1.0, 0.8, 600.0)
    0.9
    """
    passed = 1.0 if elapsed_ms >= period_ms else elapsed_ms / period_ms
    return start_frac - (start_frac - cutoff_frac) * passed


@inline_kernel
def insolvent_payout_usd(
    worth_usd: float, health_usd: float, elapsed_ms: float, period_ms: float
) -> float:
    """Return what a bidder is paid for taking over a whole account below zero.

    Parameters
    ----------
    worth_usd, health_usd : float
        Of the account: at the mark, and less what it must maintain.
    elapsed_ms, period_ms : float
        Since the start, and until it stops rising; in one unit of time.

    Returns
    -------
    float
        USD, from what the account owes to its lack of health.

    Examples
    --------
    >>> insolvent_payout_usd(-100.0, -300.0, 12.0, 600.0)
    104.0
    """
    passed = 1.0 if elapsed_ms >= period_ms else elapsed_ms / period_ms
    owed_usd = -min(worth_usd, 0.0)
    return owed_usd + (-health_usd - owed_usd) * passed


@inline_kernel
def buffer_margin_usd(worth_usd: float, health_usd: float, buffer_frac: float) -> float:
    """Return the health of an account with a buffer on its requirement.

    Parameters
    ----------
    worth_usd, health_usd : float
        At the mark, and less what it must maintain.
    buffer_frac : float
        More than the requirement, of it.

    Returns
    -------
    float
        USD.

    Examples
    --------
    >>> buffer_margin_usd(300.0, -100.0, 0.1)
    -140.0
    """
    return health_usd - buffer_frac * (worth_usd - health_usd)


@inline_kernel
def share_to_buffer(buffer_usd: float, worth_usd: float, price_frac: float) -> float:
    """Return the share of an account whose sale brings its buffer margin to zero.

    Parameters
    ----------
    buffer_usd : float
        `buffer_margin_usd`, below zero.
    worth_usd : float
        At the mark, above zero.
    price_frac : float
        Of that, what the buyer pays for the share.

    Returns
    -------
    float
        0 to 1.

    Examples
    --------
    >>> round(share_to_buffer(-140.0, 300.0, 1.0), 3)
    0.318
    """
    if buffer_usd >= 0.0:
        return 0.0
    return min(buffer_usd / (buffer_usd - price_frac * worth_usd), 1.0)


@sub_kernel
def has_bidder(v: VenueState, user: int) -> bool:
    """Tell whether the backstop bids for an account: it has equity, a fund enough for a shortfall.

    Parameters
    ----------
    v : VenueState
        Changed in `risk` of the backstop.
    user : int
        Not the backstop.
    """
    if not loss_limit_holds(v):
        return False
    if v.par[0].backstop_policy == BACKSTOP_VAULT:
        return True
    return -v.risk[user].equity_usd * 1e6 < float(fund_room_micro(v))


@sub_kernel
def auction_account(v: VenueState, user: int, t_ms: int) -> None:
    """Start an auction of an account, or go on with it: the backstop buys once it is cheap enough.

    Parameters
    ----------
    v : VenueState
        Changed in the ledger, `reserve`, `user` and `event`.
    user : int
        In breach, with something to sell; `auction_from_ms` is the start of its auction.
    t_ms : int
        Time of the step.
    """
    me = v.user[user]
    worth_usd = v.risk[user].equity_usd
    if me.auction_from_ms == 0:
        me.auction_from_ms = t_ms
        worth = round_nearest(worth_usd * 1e6)
        log_event(v, t_ms, EV_AUCTION, user, -1, 0, 0, worth, 0, -1)
    elapsed_ms = float(t_ms - int(me.auction_from_ms))
    if worth_usd > 0.0:
        _sell_share(v, user, elapsed_ms, t_ms)
    else:
        _take_whole(v, user, elapsed_ms, t_ms)


@inline_kernel
def _sell_share(v: VenueState, user: int, elapsed_ms: float, t_ms: int) -> None:
    par = v.par[0]
    worth_usd = v.risk[user].equity_usd
    price_frac = auction_price_frac(
        elapsed_ms, par.auction_start_frac, par.auction_cutoff_frac, float(par.auction_period_ms)
    )
    if 1.0 - price_frac < par.auction_reserve_frac:
        return
    health_usd = float(v.risk[user].health_usd)
    buffer_usd = buffer_margin_usd(worth_usd, health_usd, par.auction_buffer_frac)
    share_e9 = min(round_up(share_to_buffer(buffer_usd, worth_usd, price_frac) * 1e9), _E9)
    if share_e9 > 0:
        _move_share(v, user, share_e9, t_ms)
        discount_usd = float(share_e9) / 1e9 * (1.0 - price_frac) * worth_usd
        pay_backstop(v, user, round_down(discount_usd * 1e6), t_ms)


@inline_kernel
def _take_whole(v: VenueState, user: int, elapsed_ms: float, t_ms: int) -> None:
    """Take everything and what is owed with it; a vault is paid for it by the treasury."""
    par = v.par[0]
    period_ms = float(par.auction_insolvent_period_ms)
    if elapsed_ms < par.auction_reserve_frac * period_ms:
        return
    worth_usd = v.risk[user].equity_usd
    health_usd = float(v.risk[user].health_usd)
    payout_usd = insolvent_payout_usd(worth_usd, health_usd, elapsed_ms, period_ms)
    backstop, treasury = int(par.row_backstop), int(par.row_treasury)
    _move_share(v, user, _E9, t_ms)
    pay_from_own(v, user)
    owed = int(v.debt[user, 0]) + max(-int(v.cash[user]), 0)
    if owed > 0:
        pay_backstop(v, user, -owed, t_ms)
        pay_from_own(v, user)
    if par.backstop_policy == BACKSTOP_VAULT:
        paid = round_nearest(payout_usd * 1e6)
        move_cash(v, treasury, backstop, paid, CAUSE_DEFICIT)
        v.backstop[0].perp_cash_micro += paid
        log_event(v, t_ms, EV_SHORTFALL_PAID, user, -1, 0, 0, paid, CAUSE_DEFICIT, treasury)


@sub_kernel
def _move_share(v: VenueState, user: int, share_e9: int, t_ms: int) -> None:
    """Move a share of every perp and collateral at mark and oracle; proceeds pay debt first."""
    for inst in range(v.inst.shape[0]):
        position = int(v.perp[user, inst])
        if position != 0:
            lots = mul_div(abs(position), share_e9, _E9, CEIL)
            take_perp(v, user, inst, lots if position > 0 else -lots, t_ms)
    proceeds = 0
    if holds_collateral(v, user):
        for token in range(1, v.token_spec.shape[0]):
            if v.token_spec[token].ltv > 0.0 and v.token[user, token] > 0:
                proceeds += _buy_token(v, user, token, share_e9, t_ms)
    repay(v, user, 0, proceeds)
    value_account(v, int(v.par[0].backstop_user))


@inline_kernel
def _buy_token(v: VenueState, user: int, token: int, share_e9: int, t_ms: int) -> int:
    backstop = int(v.par[0].row_backstop)
    spec = v.token_spec[token]
    price = v.price[spec.asset]
    units = mul_div(int(v.token[user, token]), share_e9, _E9, CEIL)
    paid = round_down(float(units) / float(spec.unit) * price.oracle_usd * 1e6)
    move_token(v, user, backstop, token, units, CAUSE_TAKEOVER)
    move_cash(v, backstop, user, paid, CAUSE_TAKEOVER)
    oracle_e8 = int(price.oracle_e8)
    log_event(
        v,
        t_ms,
        EV_COLLATERAL_BOUGHT,
        user,
        token,
        units,
        oracle_e8,
        paid,
        CAUSE_TAKEOVER,
        backstop,
    )
    return paid
