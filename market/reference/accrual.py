"""The hour again, as the rules read: funding, interest, repayment down to what is needed."""

from __future__ import annotations

from stressbook.market.reference.funding import impact_price_usd
from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.valuation import refresh_collateral
from stressbook.market.state.codes import (
    BUY,
    CAUSE_FUNDING,
    CAUSE_INTEREST,
    EV_FUNDING,
    EV_INTEREST,
    SELL,
)

__all__ = ["accrue_interest", "sample_premiums", "settle_funding"]

_NOBODY = -1


def sample_premiums(parts: VenueParts) -> None:
    """Add a premium sample of every perp, at the prices of its impact notional."""
    for asset, (meter, inst) in enumerate(zip(parts.meters, parts.perp_insts, strict=True)):
        if inst is None:
            continue
        bid_usd, ask_usd = (_impact_price_usd(parts, inst, side) for side in (BUY, SELL))
        meter.sample(bid_usd, ask_usd, oracle_usd=parts.desk.assets[asset].oracle_usd)


def settle_funding(parts: VenueParts, t_ms: int) -> None:
    """Have longs pay shorts for the period; what roundings leave goes to its row."""
    ledger = parts.exchange.ledger
    for asset, (meter, inst) in enumerate(zip(parts.meters, parts.perp_insts, strict=True)):
        if inst is None:
            continue
        rows = range(parts.n_rows)
        positions = {row: ledger.perp(row, inst) for row in rows if ledger.perp(row, inst) != 0}
        booking = meter.settle(
            positions,
            oracle_e8=parts.prices[asset].oracle_e8,
            mark_den=parts.mark_dens[inst],
        )
        parts.rates_e15[asset] = booking.rate_e15
        for row, paid_micro in booking.paid_micro.items():
            ledger.move_cash(row, parts.rows.rounding, paid_micro, cause=CAUSE_FUNDING)
        parts.log(
            t_ms,
            EV_FUNDING,
            _NOBODY,
            inst=inst,
            lots=booking.open_lots,
            price_e8=booking.rate_e15,
            amount_micro=booking.paid_by_longs_micro,
            cause=CAUSE_FUNDING,
        )


def accrue_interest(parts: VenueParts, t_ms: int) -> None:
    """Book an hour's interest, then let debts fall to what commitments need."""
    for token in range(len(parts.desk.tokens)):
        reserve = parts.reserve_of(token)
        if token > 0 and not reserve.borrowable:
            continue
        reserve.note_rates()
        if reserve.borrowable and reserve.total_debt() > 0:
            _charge_interest(parts, token, t_ms)
    for user, participant in enumerate(parts.exchange.users):
        if participant.has_portfolio_regime:
            parts.pay_token_debts(user)
        if participant.has_portfolio_regime and parts.debt(user) > 0:
            target = parts.account(user).debt_target_micro()
            parts.set_off(user, most=parts.debt(user) - target)
            parts.repay(user, parts.debt(user) - target)
    refresh_collateral(parts)


def _charge_interest(parts: VenueParts, token: int, t_ms: int) -> None:
    reserve = parts.reserve_of(token)
    debts, supplies = dict(reserve.debts), dict(reserve.supplies)
    retained, claim = reserve.retained, reserve.claim
    interest = reserve.accrue()
    earned = [(row, before - reserve.debts[row]) for row, before in debts.items()]
    earned += [(row, reserve.supplies[row] - before) for row, before in supplies.items()]
    earned.append((parts.rows.pool + token, reserve.retained - retained))
    earned.append((parts.rows.rounding, reserve.claim - claim))
    for row, amount in earned:
        parts.note_claim(row, amount, CAUSE_INTEREST, token=token)
    if token == 0:
        parts.log(t_ms, EV_INTEREST, _NOBODY, amount_micro=interest, cause=CAUSE_INTEREST)
        return
    price_e8 = parts.prices[parts.desk.tokens[token].asset].borrow_oracle_e8
    parts.log(
        t_ms,
        EV_INTEREST,
        _NOBODY,
        inst=token,
        lots=interest,
        price_e8=price_e8,
        cause=CAUSE_INTEREST,
    )


def _impact_price_usd(parts: VenueParts, inst: int, side: int) -> float | None:
    rules = parts.exchange.instruments[inst]
    return impact_price_usd(
        parts.exchange.orders.books[inst].levels(side),
        k=rules.k,
        tick_usd=rules.tick_usd,
        notional_micro=parts.impact_notionals_micro[inst],
    )
