"""Sales of tokens that are borrowed again, as the rules read, and what buys them back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stressbook.market.numbers.units import round_down
from stressbook.market.reference.holdings import TokenHolding
from stressbook.market.reference.reserve import ReferenceReserve
from stressbook.market.state.codes import (
    ACCEPTED,
    R_CAP_REACHED,
    R_IN_RESOLUTION,
    R_INSUFFICIENT_MARGIN,
    R_UTILISATION_FULL,
)

if TYPE_CHECKING:
    from stressbook.market.reference.margin import MarginAccount

__all__ = ["after_sale", "cover_relief_usd", "keeps_margin_short", "sells_short", "short_sale"]


def sells_short(account: MarginAccount, token: TokenHolding, units: int, *, is_lent: bool) -> bool:
    """Tell whether a sale leaves an account owing a token that may be borrowed."""
    rules = account.regime.rules
    may_borrow = account.has_portfolio_regime and rules.margin_is_borrowed and not rules.nets_orders
    return is_lent and may_borrow and units > token.units - token.debt_units


def after_sale(
    account: MarginAccount, token: TokenHolding, units: int, notional_micro: int, taker_frac: float
) -> MarginAccount:
    """Return an account as it is once a sale has filled, less its fee."""
    proceeds = round_down(float(notional_micro) * (1.0 - taker_frac))
    sold = replace(token, units=token.units - units)
    tokens = [sold if each is token else each for each in account.tokens]
    return replace(account, cash_micro=account.cash_micro + proceeds, tokens=tokens)


def short_sale(
    account: MarginAccount,
    after: MarginAccount,
    token: TokenHolding,
    units: int,
    *,
    own: ReferenceReserve,
    usdc: ReferenceReserve,
) -> tuple[int, int]:
    """Return the reply to a sale of borrowed tokens, and what is to be borrowed.

    Parameters
    ----------
    account, after : MarginAccount
        As it stands, and with all its offers of the token and this one filled.
    token : TokenHolding
        What is sold.
    units : int
        All that is on offer then.
    own, usdc : ReferenceReserve
        Of the token, and of USDC.
    """
    if account.breached:
        return R_IN_RESOLUTION, 0
    if after.available_usd(usdc) < 0.0:
        return R_INSUFFICIENT_MARGIN, 0
    missing = max(0, units - token.units)
    if missing > 0 and account.is_lent_nothing():
        return R_INSUFFICIENT_MARGIN, 0
    bounds = [
        (own.user_borrow_cap - token.debt_units, R_CAP_REACHED),
        (own.platform_headroom(), R_CAP_REACHED),
        (own.lendable(), R_UTILISATION_FULL),
    ]
    codes = [code for bound, code in bounds if missing > max(0, bound)]
    return (codes[0], 0) if codes else (ACCEPTED, missing)


def keeps_margin_short(after: MarginAccount, usdc: ReferenceReserve) -> bool:
    """Tell whether an account has its initial margin once a sale has filled, orders apart."""
    return after.keeps_margin(0.0, perp=None, lots=0, reserve=usdc)


def cover_relief_usd(
    account: MarginAccount, token: TokenHolding, units: int, *, bid_units: int = 0
) -> float:
    """Return the cash that a purchase frees because it buys back tokens that are owed."""
    covered = min(units, token.debt_units - token.units - bid_units)
    if account.token_bound_usd() <= 0.0 or covered <= 0:
        return 0.0
    worth = float(covered) / float(token.unit) * token.borrow_oracle_usd
    return min(token.need_usd(worth), account.token_bound_usd())
