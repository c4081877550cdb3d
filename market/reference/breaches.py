"""Resolution again, as the rules read: breaches in drawn order, one measure each."""

from __future__ import annotations

from stressbook.market.numbers.draws import PURPOSE_BREACH_ORDER, uniform
from stressbook.market.numbers.units import round_nearest
from stressbook.market.reference.auction import auction_account, has_bidder
from stressbook.market.reference.backstop import (
    loss_limit_holds,
    repay_assumed_debt,
    sell_taken_over,
)
from stressbook.market.reference.deficit import end_breach, settle_backstop, settle_flat_rows
from stressbook.market.reference.deleveraging import deleverage
from stressbook.market.reference.insurance_fund import is_fund_able, take_at_bankruptcy
from stressbook.market.reference.liquidation import liquidate_perps
from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.pockets import return_flat_pockets
from stressbook.market.reference.takeover import (
    loan_threshold_usd,
    take_everything,
    take_perps,
    take_slice,
)
from stressbook.market.reference.valuation import (
    backing_usd,
    is_breached,
    value_account,
    value_all,
)
from stressbook.market.state.codes import (
    ALLOCATE_PROFIT_HAIRCUT,
    EV_BREACH,
    EV_RISK_ORDER_CANCELLED,
    TAKER_AUCTION,
)

__all__ = ["risk_step"]


def risk_step(parts: VenueParts, t_ms: int) -> None:
    """Value all accounts, record breaches, resolve them, and let the backstop dispose."""
    value_all(parts)
    breached = _breached_in_drawn_order(parts, t_ms) if _is_judged_now(parts, t_ms) else []
    if parts.rules.resolution_on:
        repay_assumed_debt(parts, t_ms)
        waiting = [user for user in breached if _resolve(parts, user, t_ms)]
        # `sorted` keeps the order of equals; nobody's valuation changes before all are done.
        for user in sorted(waiting, key=lambda user: parts.valuations[user].equity_usd):
            deleverage(parts, user, t_ms)
        sell_taken_over(parts)
        settle_backstop(parts, t_ms)
    settle_flat_rows(parts, t_ms)
    return_flat_pockets(parts.exchange)


def _is_judged_now(parts: VenueParts, t_ms: int) -> bool:
    """Tell whether this mark update is the first since a multiple of the delay of checks."""
    clock, delay_ms = parts.clock, parts.check_delay_ms
    if delay_ms <= clock.price_ms:
        return True
    updates = [time // clock.price_ms * clock.price_ms for time in (t_ms - clock.dt_ms, t_ms)]
    return updates[0] // delay_ms < updates[1] // delay_ms


def _breached_in_drawn_order(parts: VenueParts, t_ms: int) -> list[int]:
    """Note who has fallen into breach and who has left it; return who is in it."""
    breached = []
    for user, participant in enumerate(parts.exchange.users):
        if is_breached(parts, user):
            breached.append(user)
            if not participant.breached:
                participant.breached = True
                equity_micro = round_nearest(parts.valuations[user].equity_usd * 1e6)
                parts.log(t_ms, EV_BREACH, user, amount_micro=equity_micro)
        elif participant.breached:
            end_breach(parts, user, t_ms)
    key0, key1 = parts.sequencer.key
    keys = {user: parts.exchange.users[user].key for user in breached}
    return sorted(
        breached,
        key=lambda user: uniform(key0, key1, PURPOSE_BREACH_ORDER, keys[user], t_ms, 0),
    )


def _resolve(parts: VenueParts, user: int, t_ms: int) -> bool:
    """Apply the first measure that fits; return whether the account waits to be deleveraged."""
    n_cancelled = parts.exchange.cancel_all(user)
    participant = parts.exchange.users[user]
    if participant.parent >= 0:
        n_cancelled += parts.exchange.cancel_all(participant.parent, inst=participant.pocket_inst)
    if n_cancelled > 0:
        parts.log(t_ms, EV_RISK_ORDER_CANCELLED, user, lots=n_cancelled)
    worth, rules = parts.valuations[user], parts.rules
    perps, collateral = parts.perps(user), parts.collateral(user)
    has_loan = bool(collateral) or parts.backs_token_debt(user)
    by_lots = rules.adl_on and rules.allocate_policy != ALLOCATE_PROFIT_HAIRCUT
    goes_to_auction = rules.taker_policy == TAKER_AUCTION and user != parts.rows.backstop
    if (perps or collateral) and goes_to_auction and has_bidder(parts, user):
        auction_account(parts, user, t_ms)
        _note_what_was_taken(parts, user, was_usd=worth.equity_usd)
        return False
    if perps and _goes_to_the_fund(parts, user):
        take_at_bankruptcy(parts, user, t_ms)
        _note_what_was_taken(parts, user, was_usd=worth.equity_usd)
        return False
    if perps and worth.equity_usd < 0.0 and by_lots:
        return True
    if user == parts.rows.backstop:
        return False
    if has_loan and -worth.net_usd > loan_threshold_usd(parts, user, full=True):
        perps_too = bool(perps) and loss_limit_holds(parts)
        take_everything(parts, user, t_ms, perps_too=perps_too)
        _note_what_was_taken(parts, user, was_usd=worth.equity_usd)
        return False
    elif perps and _is_below_backstop_margin(parts, user) and loss_limit_holds(parts):
        take_perps(parts, user, t_ms)
    elif perps:
        liquidate_perps(parts, user, t_ms)
        return False
    elif has_loan and _is_slice_due(parts, user, t_ms):
        parts.pay_from_own(user)
        take_slice(parts, user, t_ms)
        parts.standings[user].next_slice_ms = t_ms + parts.clock.price_ms
    else:
        return False
    value_account(parts, parts.rows.backstop)
    value_account(parts, user)
    return False


def _note_what_was_taken(parts: VenueParts, user: int, *, was_usd: float) -> None:
    """Value both sides of a takeover; what lay below zero is the backstop's now."""
    value_account(parts, parts.rows.backstop)
    value_account(parts, user)
    left_usd = parts.valuations[user].equity_usd
    parts.taken_negative_usd[user] += max(min(left_usd, 0.0) - min(was_usd, 0.0), 0.0)


def _goes_to_the_fund(parts: VenueParts, user: int) -> bool:
    """Tell whether an insurance fund takes an account's perps: below the backstop's threshold."""
    if user == parts.rows.backstop or not _is_below_backstop_margin(parts, user):
        return False
    owed_usd = -parts.valuations[user].net_usd
    if parts.collateral(user) and owed_usd > loan_threshold_usd(parts, user, full=True):
        return False
    return is_fund_able(parts, user)


def _is_below_backstop_margin(parts: VenueParts, user: int) -> bool:
    """Tell whether less than 2/3 of maintenance is left; under portfolio margin credit counts."""
    threshold_usd = parts.rules.backstop_mm_frac * parts.valuations[user].maintenance_usd
    return backing_usd(parts, user) < threshold_usd


def _is_slice_due(parts: VenueParts, user: int, t_ms: int) -> bool:
    if t_ms < parts.standings[user].next_slice_ms:
        return False
    if not parts.rules.slice_at_partial_threshold:
        return True
    owed_usd = -parts.valuations[user].net_usd
    return owed_usd > loan_threshold_usd(parts, user, full=False)
