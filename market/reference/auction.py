"""Auctions of accounts again, as the rules read."""

from __future__ import annotations

from stressbook.market.numbers.units import round_down, round_nearest, round_up
from stressbook.market.reference.backstop import loss_limit_holds, pay_backstop
from stressbook.market.reference.insurance_fund import fund_room_micro
from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.takeover import take_perp
from stressbook.market.reference.valuation import value_account
from stressbook.market.state.codes import (
    BACKSTOP_VAULT,
    CAUSE_DEFICIT,
    CAUSE_TAKEOVER,
    EV_AUCTION,
    EV_COLLATERAL_BOUGHT,
    EV_SHORTFALL_PAID,
)

__all__ = ["auction_account", "has_bidder"]

_E9 = 10**9


def has_bidder(parts: VenueParts, user: int) -> bool:
    """Tell whether the backstop bids: it has equity, a fund enough for the shortfall."""
    if not loss_limit_holds(parts):
        return False
    if parts.rules.backstop_policy == BACKSTOP_VAULT:
        return True
    return -parts.valuations[user].equity_usd * 1e6 < float(fund_room_micro(parts))


def auction_account(parts: VenueParts, user: int, t_ms: int) -> None:
    """Start an auction, or go on with it."""
    me, worth_usd = parts.standings[user], parts.valuations[user].equity_usd
    if me.auction_from_ms == 0:
        me.auction_from_ms = t_ms
        parts.log(t_ms, EV_AUCTION, user, amount_micro=round_nearest(worth_usd * 1e6))
    elapsed_ms = float(t_ms - me.auction_from_ms)
    if worth_usd > 0.0:
        _sell_share(parts, user, elapsed_ms, t_ms)
    else:
        _take_whole(parts, user, elapsed_ms, t_ms)


def _sell_share(parts: VenueParts, user: int, elapsed_ms: float, t_ms: int) -> None:
    """Sell the share that restores the buffer, once the discount is what the bidder wants."""
    rules, worth_usd = parts.rules, parts.valuations[user].equity_usd
    passed = min(elapsed_ms / float(rules.auction_period_ms), 1.0)
    start, cutoff = rules.auction_start_frac, rules.auction_cutoff_frac
    price_frac = start - (start - cutoff) * passed
    if 1.0 - price_frac < rules.auction_reserve_frac:
        return
    health_usd = parts.valuations[user].health_usd
    buffer_usd = health_usd - rules.auction_buffer_frac * (worth_usd - health_usd)
    if buffer_usd >= 0.0:
        return
    share = min(buffer_usd / (buffer_usd - price_frac * worth_usd), 1.0)
    share_e9 = min(round_up(share * 1e9), _E9)
    _move_share(parts, user, share_e9, t_ms)
    discount_usd = float(share_e9) / 1e9 * (1.0 - price_frac) * worth_usd
    pay_backstop(parts, user, round_down(discount_usd * 1e6), t_ms)


def _take_whole(parts: VenueParts, user: int, elapsed_ms: float, t_ms: int) -> None:
    """Take everything and what is owed with it; a vault is paid for it by the treasury."""
    rules, worth_usd = parts.rules, parts.valuations[user].equity_usd
    period_ms = float(rules.auction_insolvent_period_ms)
    if elapsed_ms < rules.auction_reserve_frac * period_ms:
        return
    owed_usd = -min(worth_usd, 0.0)
    passed = min(elapsed_ms / period_ms, 1.0)
    payout_usd = owed_usd + (-parts.valuations[user].health_usd - owed_usd) * passed
    _move_share(parts, user, _E9, t_ms)
    parts.pay_from_own(user)
    owed = parts.debt(user) + max(-parts.cash(user), 0)
    if owed > 0:
        pay_backstop(parts, user, -owed, t_ms)
        parts.pay_from_own(user)
    if rules.backstop_policy == BACKSTOP_VAULT:
        paid, treasury = round_nearest(payout_usd * 1e6), parts.rows.treasury
        parts.exchange.ledger.move_cash(treasury, parts.rows.backstop, paid, cause=CAUSE_DEFICIT)
        parts.backstop.perp_cash_micro += paid
        parts.log(
            t_ms,
            EV_SHORTFALL_PAID,
            user,
            amount_micro=paid,
            cause=CAUSE_DEFICIT,
            counterparty=treasury,
        )


def _move_share(parts: VenueParts, user: int, share_e9: int, t_ms: int) -> None:
    """Move a share of every perp and collateral at mark and oracle; proceeds pay debt first."""
    for inst, position in parts.perps(user).items():
        lots = -(-abs(position) * share_e9 // _E9)
        take_perp(parts, user, inst, lots if position > 0 else -lots, t_ms)
    ledger, backstop = parts.exchange.ledger, parts.rows.backstop
    proceeds = 0
    for token, held in parts.collateral(user).items():
        rules = parts.desk.tokens[token]
        units = -(-held * share_e9 // _E9)
        oracle_usd = parts.desk.assets[rules.asset].oracle_usd
        paid = round_down(float(units) / float(rules.unit) * oracle_usd * 1e6)
        ledger.move_token(user, backstop, token, units, cause=CAUSE_TAKEOVER)
        ledger.move_cash(backstop, user, paid, cause=CAUSE_TAKEOVER)
        parts.log(
            t_ms,
            EV_COLLATERAL_BOUGHT,
            user,
            inst=token,
            lots=units,
            price_e8=parts.prices[rules.asset].oracle_e8,
            amount_micro=paid,
            cause=CAUSE_TAKEOVER,
            counterparty=backstop,
        )
        proceeds += paid
    parts.repay(user, proceeds)
    value_account(parts, backstop)
