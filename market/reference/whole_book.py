"""Requirements of a whole account again: perps, tokens, loans and the scan, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from stressbook.market.reference.holdings import PerpHolding, TokenHolding
from stressbook.market.reference.regimes import ReferenceLeg, gross_rate, loan_usd, scanned_usd
from stressbook.market.regimes.spec import MarginRegime
from stressbook.market.state.codes import BUY, SELL

if TYPE_CHECKING:
    from stressbook.market.reference.margin import MarginAccount

__all__ = ["initial_usd", "maintenance_usd", "with_fill", "with_order"]


def initial_usd(account: MarginAccount, *, orders: bool = True) -> float:
    """Return the initial requirement, resting orders in it where the regime nets them."""
    regime, rules = account.regime, account.regime.rules
    nets = orders and rules.nets_orders
    total = 0.0
    for perp in account.perps:
        if perp.lots or (nets and perp.open_micro):
            total += _perp_initial_usd(regime, perp, nets=nets)
    for token in account.tokens:
        if _value_usd(account, token) > 0.0 and rules.confidence_rate != 0.0:
            total += token.value_usd() * _weakness(regime, token.confidence)
        total += _loan_usd(regime, token, initial=True)
    if account.debt_micro > 0:
        total += loan_usd(regime, "0", float(account.debt_micro) / 1e6, initial=True)
    total += rules.initial_factor * _scan_usd(account, orders=nets)
    return total + rules.constant_initial_usd if total > 0.0 else total


def maintenance_usd(account: MarginAccount) -> float:
    """Return the maintenance requirement; orders are no part of it."""
    regime, rules = account.regime, account.regime.rules
    total = 0.0
    for perp in account.perps:
        if perp.lots:
            notional = abs(perp.value_usd())
            fees = notional * rules.closing_fee_frac
            rate = gross_rate(regime, perp.asset, initial=False)
            total += _tier_usd(regime, perp) + fees + _charged_usd(regime, perp) * rate
    for token in account.tokens:
        total += _loan_usd(regime, token, initial=False)
    if account.debt_micro > 0:
        total += loan_usd(regime, "0", float(account.debt_micro) / 1e6, initial=False)
    total += rules.maintenance_factor * _scan_usd(account, orders=False)
    return total + rules.constant_maintenance_usd if total > 0.0 else total


def with_order(
    account: MarginAccount,
    *,
    perp: PerpHolding | None = None,
    token: TokenHolding | None = None,
    side: int,
    limit_micro: int,
) -> MarginAccount:
    """Return the account as if one order more rested."""
    if perp is not None:
        grown = replace(
            perp,
            open_micro=perp.open_micro + limit_micro,
            bid_micro=perp.bid_micro + (limit_micro if side == BUY else 0),
            ask_micro=perp.ask_micro + (limit_micro if side == SELL else 0),
        )
        perps = [grown if one.asset == perp.asset else one for one in account.perps]
        return replace(account, perps=perps)
    assert token is not None
    stacked = replace(
        token,
        bid_micro=token.bid_micro + (limit_micro if side == BUY else 0),
        ask_micro=token.ask_micro + (limit_micro if side == SELL else 0),
    )
    tokens = [stacked if one.name == token.name else one for one in account.tokens]
    bids = [*account.spot_bids_micro, limit_micro] if side == BUY else account.spot_bids_micro
    return replace(account, tokens=tokens, spot_bids_micro=bids)


def with_fill(
    account: MarginAccount,
    *,
    perp: PerpHolding | None = None,
    token: TokenHolding | None = None,
    lots: int = 0,
    units: int = 0,
    paid_micro: int,
) -> MarginAccount:
    """Return the account after a fill: signed lots or units for what it paid, below 0 received."""
    cash = account.cash_micro - paid_micro
    if perp is not None:
        # What was bought for keeps its old memo: only regimes that charge by the mark net orders.
        held = replace(perp, lots=perp.lots + lots)
        perps = [held if one.asset == perp.asset else one for one in account.perps]
        return replace(account, perps=perps, cash_micro=cash)
    assert token is not None
    changed = replace(token, units=token.units + units)
    tokens = [changed if one.name == token.name else one for one in account.tokens]
    return replace(account, tokens=tokens, cash_micro=cash)


def _perp_initial_usd(regime: MarginRegime, perp: PerpHolding, *, nets: bool) -> float:
    rules = regime.rules
    required = rules.initial_over_maintenance * _tier_usd(regime, perp) if perp.lots else 0.0
    if rules.leverage_counts:
        required = max(abs(perp.value_usd()) / float(perp.leverage), required)
    charged = _charged_usd(regime, perp)
    if nets and perp.open_micro:
        charged += _most_added_usd(perp)
    rate = gross_rate(regime, perp.asset, initial=True)
    if rules.confidence_rate != 0.0:
        rate += _weakness(regime, perp.confidence)
    return required + charged * rate


def _tier_usd(regime: MarginRegime, perp: PerpHolding) -> float:
    if not regime.rules.uses_tiers:
        return 0.0
    if regime.rules.tier_at_entry:
        return perp.maintenance_of(abs(float(perp.entry_micro)) / 1e6)
    return perp.maintenance_usd()


def _charged_usd(regime: MarginRegime, perp: PerpHolding) -> float:
    if regime.rules.rates_at_oracle:
        return abs(float(perp.lots) * perp.lot_size * perp.oracle_usd)
    return abs(perp.value_usd())


def _most_added_usd(perp: PerpHolding) -> float:
    signed = perp.value_usd()
    bought = abs(signed + float(perp.bid_micro) / 1e6)
    sold = abs(signed - float(perp.ask_micro) / 1e6)
    return max(0.0, max(bought, sold) - abs(signed))


def _weakness(regime: MarginRegime, confidence: float) -> float:
    rules = regime.rules
    if confidence >= rules.confidence_threshold:
        return 0.0
    return (1.0 - confidence) * rules.confidence_rate


def _loan_usd(regime: MarginRegime, token: TokenHolding, *, initial: bool) -> float:
    """Return what a debt of a token is charged, where the regime charges debts."""
    owed_usd = token.owed_usd()
    return loan_usd(regime, token.name, owed_usd, initial=initial) if owed_usd > 0.0 else 0.0


def _value_usd(account: MarginAccount, token: TokenHolding) -> float:
    """Return the value of a token that is a leg: collateral, caps aside, or owed, below 0."""
    if token.owed():
        return -token.owed_usd()
    if not account.has_portfolio_regime or token.ltv <= 0.0:
        return 0.0
    return token.worth_usd()


def _scan_usd(account: MarginAccount, *, orders: bool) -> float:
    regime = account.regime
    if not regime.is_scanned:
        return 0.0
    legs = _legs(account)
    has_orders = any(leg.buy_usd != 0.0 or leg.sell_usd != 0.0 for leg in legs)
    multiples = account.range_multiples
    return scanned_usd(regime, legs, orders=orders and has_orders, multiples=multiples)


def _legs(account: MarginAccount) -> Sequence[ReferenceLeg]:
    perps = [
        ReferenceLeg(p.asset, p.value_usd(), "", float(p.bid_micro) / 1e6, float(p.ask_micro) / 1e6)
        for p in account.perps
        if p.lots or p.open_micro
    ]
    tokens = [
        ReferenceLeg(
            t.asset,
            _value_usd(account, t),
            t.name,
            float(t.bid_micro) / 1e6,
            float(t.ask_micro) / 1e6,
        )
        for t in account.tokens
        if _value_usd(account, t) != 0.0 or t.open_micro
    ]
    return [*perps, *tokens]
