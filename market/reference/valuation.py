"""Valuation again, as the rules read: draws of debt, what accounts are worth, who is in breach."""

from __future__ import annotations

from stressbook.market.reference.margin import breaches
from stressbook.market.reference.parts import Valuation, VenueParts

__all__ = ["backing_usd", "is_breached", "refresh_collateral", "value_account", "value_all"]


def value_all(parts: VenueParts) -> None:
    """Draw the debts that margin needs, and value every account."""
    refresh_collateral(parts)
    for user, participant in enumerate(parts.exchange.users):
        if participant.has_portfolio_regime:
            parts.desk.draw_needed_debt(parts.exchange, user)
        value_account(parts, user)


def value_account(parts: VenueParts, user: int) -> None:
    """Note what one account is worth now."""
    account = parts.account(user)
    portfolio = account.is_judged_as_portfolio()
    equity_usd = account.equity_usd()
    if user == parts.rows.backstop:  # what it took over is its own until sold
        equity_usd = account.net_usd() + account.token_value_usd() - account.token_debt_usd()
        if equity_usd < parts.valuations[user].deepest_negative_usd:
            parts.backstop.debt_at_deepest_usd = float(account.debt_micro) / 1e6
    parts.valuations[user] = Valuation(
        is_portfolio=portfolio,
        net_usd=account.net_usd() - account.token_debt_usd(),
        equity_usd=equity_usd,
        initial_usd=account.initial_usd(),
        maintenance_usd=account.maintenance_usd(),
        available_usd=account.available_usd(parts.reserve),
        ratio=account.margin_ratio(),
        health_usd=account.health_usd(parts.rules.pm_trigger_ratio),
        credit_usd=account.credit_usd() if portfolio else 0.0,
        gross_notional_usd=account.gross_notional_usd(),
        token_value_usd=account.token_value_usd(),
        debt_usd=float(account.debt_micro) / 1e6 + account.token_debt_usd(),
        deepest_negative_usd=min(parts.valuations[user].deepest_negative_usd, equity_usd),
    )


def is_breached(parts: VenueParts, user: int) -> bool:
    """Tell whether an account must be resolved; the backstop is only ever deleveraged."""
    worth = parts.valuations[user]
    if user == parts.rows.backstop:
        return worth.equity_usd < 0.0 and bool(parts.perps(user))
    return breaches(
        portfolio=worth.is_portfolio,
        ratio=worth.ratio,
        equity_usd=worth.equity_usd,
        maintenance_usd=worth.maintenance_usd,
        trigger_ratio=parts.rules.pm_trigger_ratio,
    )


def backing_usd(parts: VenueParts, user: int) -> float:
    """Return what stands behind the perps: equity, under portfolio margin net and credit."""
    worth = parts.valuations[user]
    return worth.net_usd + worth.credit_usd if worth.is_portfolio else worth.equity_usd


def refresh_collateral(parts: VenueParts) -> None:
    """Add up collateral, user caps in; beyond the platform's cap it counts in proportion."""
    users = parts.exchange.users
    for token, rules in enumerate(parts.desk.tokens[1:], start=1):
        total = 0
        if rules.ltv > 0.0:
            total = sum(
                max(0, min(_owned(parts, user, token), rules.user_supply_cap))
                for user, participant in enumerate(users)
                if participant.has_portfolio_regime
            )
        cap, lent = parts.platform_supply_caps[token], parts.reserve_of(token)
        if lent.borrowable:
            cap = max(0, cap - lent.total_supply())
        rules.counted_share = float(cap) / float(total) if total > cap else 1.0
        parts.collateral_units[token] = total


def _owned(parts: VenueParts, user: int, token: int) -> int:
    return parts.exchange.ledger.token(user, token) - parts.token_debt(user, token)
