"""Shared deficits again, as the rules read."""

from __future__ import annotations

from stressbook.market.numbers.units import round_down
from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.valuation import value_account
from stressbook.market.state.codes import (
    CAUSE_DEFICIT,
    EV_SOCIALISED,
    SOCIALISE_FACTOR,
    SOCIALISE_NONE,
    SOCIALISE_POSITIONS,
)

__all__ = ["socialise"]


def socialise(parts: VenueParts, user: int, deficit: int, t_ms: int) -> int:
    """Share a deficit over holders of positions, or over everybody; return what they paid."""
    way = parts.rules.socialise_policy
    if way == SOCIALISE_NONE:
        return 0
    for other in range(len(parts.valuations)):
        value_account(parts, other)
    if way == SOCIALISE_POSITIONS:
        paid = _by_positions(parts, user, deficit)
    elif way == SOCIALISE_FACTOR:
        paid = _by_factor(parts, user, deficit)
    else:
        parts.has_unknown_policy = True
        return 0
    if paid > 0:
        parts.log(t_ms, EV_SOCIALISED, user, amount_micro=paid, cause=CAUSE_DEFICIT)
    left = deficit - paid
    if 0 < left <= len(parts.valuations) and paid > 0:
        rounding = parts.rows.rounding
        parts.exchange.ledger.move_cash(rounding, user, left, cause=CAUSE_DEFICIT)
        return deficit
    return paid


def _by_positions(parts: VenueParts, user: int, deficit: int) -> int:
    holders = {
        other: worth.equity_usd
        for other, worth in enumerate(parts.valuations)
        if worth.equity_usd > 0.0 and parts.perps(other)
    }
    total_usd = 0.0
    for equity_usd in holders.values():
        total_usd += equity_usd
    paid = 0
    for other, equity_usd in holders.items():
        share = round_down(min(float(deficit) / total_usd, 1e6) * equity_usd)
        parts.exchange.ledger.move_cash(other, user, share, cause=CAUSE_DEFICIT)
        paid += share
        value_account(parts, other)
    return paid


def _by_factor(parts: VenueParts, user: int, deficit: int) -> int:
    claims = {
        other: worth.equity_usd
        for other, worth in enumerate(parts.valuations)
        if other != user and worth.equity_usd > 0.0
    }
    claims_usd = 0.0
    for equity_usd in claims.values():
        claims_usd += equity_usd
    owed_usd = float(deficit) / 1e6
    claimed_usd = claims_usd - owed_usd + owed_usd
    factor = min(owed_usd / claimed_usd, 1.0) if claimed_usd > 0.0 else 0.0
    left = deficit
    for other, equity_usd in claims.items():
        share = min(round_down(factor * equity_usd * 1e6), left)
        parts.exchange.ledger.move_cash(other, user, share, cause=CAUSE_DEFICIT)
        left -= share
        value_account(parts, other)
    return deficit - left
