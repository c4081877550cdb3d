"""Which perps a breached account loses at a mark update, and how much of each.

The venue's way sends every perp, a part of a large one. The others are for comparison: one share of
all (Paradex docs, liquidations, 2026), one position drawn (dYdX v4-chain, clob/keeper at 84d4664),
or the position that binds most (Deribit docs, 2026), as much as covers what is missing (Drift
protocol-v2, math/liquidation.rs at 0ae3e3b): docs/decisions/0043-resolution-policies.md.
"""

from typing import Final

from stressbook.market.compiling.kernel import inline_kernel, sub_kernel
from stressbook.market.margin.marginal import freed_by_closing_usd
from stressbook.market.margin.valuation import backing_usd
from stressbook.market.numbers.draws import PURPOSE_LIQUIDATED_POSITION, uniform
from stressbook.market.numbers.units import CEIL, FLOOR, mul_div, round_nearest, round_up
from stressbook.market.resolution.backstop import loss_limit_holds
from stressbook.market.state.codes import (
    BACKSTOP_FUND,
    FAULT_POLICY,
    SELECT_ALL_OR_PART,
    SELECT_LARGEST,
    SELECT_RANDOM,
    SELECT_SHARE_OF_ALL,
    TAKER_AUCTION,
    TAKER_BACKSTOP,
    TAKER_BOOK,
)
from stressbook.market.state.ledger import raise_fault
from stressbook.market.state.records import VenueState

__all__ = [
    "after_share",
    "forced_lots",
    "is_handed_over",
    "plan_lots",
    "share_to_target",
    "size_to_cover",
]

_INF: Final = float("inf")


@inline_kernel
def forced_lots(
    position: int,
    notional_usd: float,
    in_cooldown: bool,
    partial_notional_micro: int,
    partial_frac_e6: int,
) -> int:
    """Return how much of a position is sent to the book.

    Parameters
    ----------
    position : int
        Lots, not 0.
    notional_usd : float
        Of the position at the mark.
    in_cooldown : bool
        Whether a partial order was sent less than the cooldown ago.
    partial_notional_micro : int
        Larger positions are sold in parts.
    partial_frac_e6 : int
        The part, 1e-6.

    Returns
    -------
    int
        Lots, at least 1; all of them for a small position or during the cooldown.

    Examples
    --------
    >>> forced_lots(-1_000, 150_000.0, False, 100_000_000_000, 200_000)
    200
    >>> forced_lots(-1_000, 150_000.0, True, 100_000_000_000, 200_000)
    1000
    """
    lots = abs(position)
    if in_cooldown or notional_usd * 1e6 <= float(partial_notional_micro):
        return lots
    return max(1, mul_div(lots, partial_frac_e6, 1_000_000, FLOOR))


@inline_kernel
def after_share(
    requirement_usd: float, equity_usd: float, share: float, penalty_rate: float
) -> tuple[float, float, float]:
    """Return requirement, penalty and equity once a share of every position is gone.

    Parameters
    ----------
    requirement_usd, equity_usd : float
        Before, positions at the mark.
    share : float
        Of every position.
    penalty_rate : float
        What goes with it, of the requirement that goes.

    Returns
    -------
    tuple of float
        USD.

    Examples
    --------
    >>> after_share(100.0, 80.0, 0.5, 0.25)
    (50.0, 12.5, 67.5)
    """
    penalty_usd = share * penalty_rate * requirement_usd
    return requirement_usd * (1.0 - share), penalty_usd, equity_usd - penalty_usd


@inline_kernel
def share_to_target(
    requirement_usd: float,
    equity_usd: float,
    step_frac: float,
    target_ratio: float,
    penalty_rate: float,
) -> float:
    """Return the share of every position that brings requirement / equity below a target.

    Parameters
    ----------
    requirement_usd, equity_usd : float
        Before, positions at the mark.
    step_frac : float
        Shares are multiples of it; above 0.
    target_ratio : float
        Above 0.
    penalty_rate : float
        As in `after_share`.

    Returns
    -------
    float
        The smallest multiple that does it, 1 if none does.

    Examples
    --------
    >>> share_to_target(88.8, 80.0, 0.2, 0.9, 0.5)
    0.4
    """
    n = 1
    share = step_frac
    while share < 1.0:
        requirement, _, equity = after_share(requirement_usd, equity_usd, share, penalty_rate)
        if requirement < target_ratio * equity:
            return share
        n += 1
        share = float(n) * step_frac
    return 1.0


@inline_kernel
def size_to_cover(
    shortage_usd: float,
    price_usd: float,
    quote_usd: float,
    margin_rate: float,
    fee_rate: float,
    fund_fee_rate: float,
) -> float:
    """Return how much of a position covers a shortage of margin, if it is closed at the mark.

    Parameters
    ----------
    shortage_usd : float
        Requirement less what is there.
    price_usd, quote_usd : float
        Mark, and price of what it is quoted in.
    margin_rate, fee_rate, fund_fee_rate : float
        Of the notional: what is set free, what the liquidator keeps, what a fund takes.

    Returns
    -------
    float
        Units of the underlying; infinite where closing sets nothing free.

    Examples
    --------
    >>> round(size_to_cover(10.0, 100.0, 1.0, 0.1, 0.01, 0.01), 9)
    1.25
    """
    freed_usd = price_usd * quote_usd * (margin_rate - fee_rate) - price_usd * fund_fee_rate
    return shortage_usd / freed_usd if freed_usd > 0.0 else _INF


@sub_kernel
def plan_lots(v: VenueState, user: int, t_ms: int) -> None:
    """Write how much of each perp an account loses now.

    Parameters
    ----------
    v : VenueState
        Changed in `plan_lots`, at least 0 each, and in the account's cooldown.
    user : int
        An account in breach with perps.
    t_ms : int
        Time of the step.
    """
    way = int(v.par[0].select_policy)
    for inst in range(v.inst.shape[0]):
        v.plan_lots[inst] = 0
    if way == SELECT_ALL_OR_PART:
        _plan_all_or_part(v, user, t_ms)
    elif way == SELECT_SHARE_OF_ALL:
        _plan_share(v, user)
    elif way == SELECT_RANDOM:
        _plan_random(v, user, t_ms)
    elif way == SELECT_LARGEST:
        _plan_largest(v, user)
    else:
        raise_fault(v, FAULT_POLICY)


@inline_kernel
def is_handed_over(v: VenueState) -> bool:
    """Tell whether the backstop takes at the mark what an account loses; else the book is tried.

    Parameters
    ----------
    v : VenueState
        Changed in its faults by an unknown policy.
    """
    taker = int(v.par[0].taker_policy)
    if taker == TAKER_BACKSTOP:
        return loss_limit_holds(v)
    # An auction without a bidder has the book tried.
    if taker not in (TAKER_BOOK, TAKER_AUCTION):
        raise_fault(v, FAULT_POLICY)
    return False


@inline_kernel
def _penalty_frac(v: VenueState) -> float:
    """Return the penalty on what is set free, where the backstop takes at the mark."""
    return float(v.par[0].penalty_frac) if is_handed_over(v) else 0.0


@inline_kernel
def _fund_fee_frac(v: VenueState) -> float:
    """Return the fee of a forced fill, where there is a fund."""
    has_fund = v.par[0].backstop_policy == BACKSTOP_FUND
    if has_fund and not is_handed_over(v):
        return float(v.par[0].liquidation_fee_frac)
    return 0.0


@inline_kernel
def _notional_usd(v: VenueState, user: int, inst: int) -> float:
    spec = v.inst[inst]
    lots = float(abs(int(v.perp[user, inst])))
    return float(lots * spec.lot_size * v.price[spec.asset].mark_usd)


@inline_kernel
def _plan_all_or_part(v: VenueState, user: int, t_ms: int) -> None:
    """Plan a part of a large perp, all of it during the cooldown after a part."""
    me = v.user[user]
    in_cooldown = t_ms < me.cooldown_until_ms
    for inst in range(v.inst.shape[0]):
        position = int(v.perp[user, inst])
        if position != 0:
            v.plan_lots[inst] = forced_lots(
                position,
                _notional_usd(v, user, inst),
                in_cooldown,
                int(v.par[0].partial_notional_micro),
                int(v.par[0].partial_frac_e6),
            )
            if v.plan_lots[inst] < abs(position):
                me.cooldown_until_ms = t_ms + v.par[0].cooldown_ms


@inline_kernel
def _plan_share(v: VenueState, user: int) -> None:
    share = share_to_target(
        v.risk[user].maintenance_usd,
        backing_usd(v, user),
        v.par[0].share_step_frac,
        v.par[0].target_ratio,
        _penalty_frac(v),
    )
    share_e6 = round_nearest(share * 1e6)
    for inst in range(v.inst.shape[0]):
        v.plan_lots[inst] = mul_div(abs(int(v.perp[user, inst])), share_e6, 1_000_000, CEIL)


@inline_kernel
def _plan_random(v: VenueState, user: int, t_ms: int) -> None:
    n_open = 0
    for inst in range(v.inst.shape[0]):
        n_open += 1 if v.perp[user, inst] != 0 else 0
    key0, key1 = int(v.par[0].seed_key0), int(v.par[0].seed_key1)
    draw = uniform(key0, key1, PURPOSE_LIQUIDATED_POSITION, int(v.user[user].key), t_ms, 0)
    place = int(draw * float(n_open))
    for inst in range(v.inst.shape[0]):
        if v.perp[user, inst] != 0:
            if place == 0:
                v.plan_lots[inst] = abs(int(v.perp[user, inst]))
            place -= 1


@inline_kernel
def _plan_largest(v: VenueState, user: int) -> None:
    """Plan what covers the shortage out of the position with the largest requirement."""
    largest = 0
    most_usd = -1.0
    for inst in range(v.inst.shape[0]):
        if v.perp[user, inst] != 0:
            needed = freed_by_closing_usd(v, user, inst)
            if needed > most_usd:
                largest, most_usd = inst, needed
    spec = v.inst[largest]
    lots = abs(int(v.perp[user, largest]))
    target = v.par[0].target_ratio
    shortage_usd = v.risk[user].maintenance_usd - target * backing_usd(v, user)
    rate = most_usd / _notional_usd(v, user, largest)
    # What is paid for it leaves the equity that is measured against the target.
    fee = target * _penalty_frac(v) * rate
    fund_fee = target * _fund_fee_frac(v)
    size = size_to_cover(shortage_usd, v.price[spec.asset].mark_usd, 1.0, rate, fee, fund_fee)
    wanted = size / spec.lot_size
    if 0.0 < wanted < float(lots):
        lots = max(1, round_up(wanted))
    v.plan_lots[largest] = lots
