"""Maintenance with other positions again, as the rules read."""

from __future__ import annotations

from collections.abc import Mapping

from stressbook.market.reference.parts import VenueParts
from stressbook.market.reference.valuation import value_account

__all__ = ["freed_by_closing_usd", "maintenance_after_usd"]


def maintenance_after_usd(parts: VenueParts, user: int, added: Mapping[int, int]) -> float:
    """Return what an account would have to maintain with lots added; value it as it is."""
    account = parts.account(user)
    perps = [i for i, rules in enumerate(parts.exchange.instruments) if rules.is_perp]
    for inst, perp in zip(perps, account.perps, strict=True):
        perp.lots += added.get(inst, 0)
    value_account(parts, user)
    return account.maintenance_usd()


def freed_by_closing_usd(parts: VenueParts, user: int, inst: int) -> float:
    """Return what closing one position would set free; a hedge frees nothing."""
    needed = maintenance_after_usd(parts, user, {})
    lots = parts.exchange.ledger.perp(user, inst)
    return max(0.0, needed - maintenance_after_usd(parts, user, {inst: -lots}))
