"""Scores by which winners are ordered: the highest is deleveraged, or pays, first.

They rank differently: by price gain leverage weighs most, by profit share a small gain hardly
counts. Sources: Hyperliquid docs, auto-deleveraging, 2026-01; BitMEX support, ADL, and ZUBR help,
360011816240; psyto/openhl, liquidation/src/adl.rs at 9f1b824.
"""

from typing import Final

from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.state.codes import (
    FAULT_POLICY,
    SCORE_GAIN_LEVERAGE,
    SCORE_PROFIT_COLLATERAL,
    SCORE_PROFIT_LEVERAGE,
)
from stressbook.market.state.ledger import raise_fault
from stressbook.market.state.records import VenueState

__all__ = [
    "deleveraging_score",
    "gain_times_leverage",
    "price_gain",
    "profit_over_collateral_bp",
    "profit_times_leverage",
]

_HIGHEST_BP: Final = 1e15  # a float below it is a whole number of basis points
LAST: Final = -1e300  # of accounts without equity: they come after all others


@inline_kernel
def price_gain(is_long: bool, entry_usd: float, mark_usd: float) -> float:
    """Return what a price has gained for its holder: mark / entry, for shorts entry / mark.

    Parameters
    ----------
    is_long : bool
        Side of the position.
    entry_usd, mark_usd : float
        The mark above 0.

    Returns
    -------
    float
        0 without an entry.

    Examples
    --------
    >>> price_gain(True, 80.0, 100.0), price_gain(False, 125.0, 100.0)
    (1.25, 1.25)
    """
    if entry_usd <= 0.0:
        return 0.0
    return mark_usd / entry_usd if is_long else entry_usd / mark_usd


@inline_kernel
def gain_times_leverage(gain: float, notional_usd: float, equity_usd: float) -> float:
    """Return price gain x leverage, the venue's own score.

    Parameters
    ----------
    gain : float
        `price_gain`.
    notional_usd, equity_usd : float
        Of the position at the mark, and of its account.

    Returns
    -------
    float
        Below zero where equity is, 0 where that is 0.

    Examples
    --------
    >>> gain_times_leverage(1.5, 150.0, 60.0)
    3.75
    """
    if equity_usd == 0.0:
        return 0.0
    return gain * (notional_usd / equity_usd)


@inline_kernel
def profit_times_leverage(profit_frac: float, leverage: float) -> float:
    """Return profit share x leverage; of a loss, loss share over leverage.

    Parameters
    ----------
    profit_frac : float
        Unrealised profit over the notional at entry.
    leverage : float
        Notional over equity; at least 0.

    Returns
    -------
    float
        0 without leverage.

    Examples
    --------
    >>> profit_times_leverage(0.25, 4.0), profit_times_leverage(-0.25, 4.0)
    (1.0, -0.0625)
    """
    if leverage <= 0.0:
        return 0.0
    return profit_frac * leverage if profit_frac > 0.0 else profit_frac / leverage


@inline_kernel
def profit_over_collateral_bp(
    profit_usd: float, collateral_usd: float, notional_usd: float, equity_usd: float
) -> float:
    """Return (profit / collateral) x (notional / equity), in whole basis points.

    Parameters
    ----------
    profit_usd : float
        Unrealised.
    collateral_usd : float
        Equity less the profit.
    notional_usd, equity_usd : float
        At the mark; equity above 0.

    Returns
    -------
    float
        Basis points, truncated, so that hardly different accounts are equal; the highest there is
        where profit is all that an account has, 0 without profit.

    Examples
    --------
    >>> profit_over_collateral_bp(100.0, 50.0, 200.0, 150.0)
    26666.0
    """
    if profit_usd <= 0.0:
        return 0.0
    if collateral_usd <= 0.0:
        return _HIGHEST_BP
    score = profit_usd / collateral_usd * (notional_usd / equity_usd) * 1e4
    return float(int(min(score, _HIGHEST_BP)))


@inline_kernel
def deleveraging_score(
    v: VenueState,
    gain: float,
    profit_usd: float,
    entry_usd: float,
    notional_usd: float,
    equity_usd: float,
) -> float:
    """Return the score of a position, or of all positions of an account together, by the rule.

    Parameters
    ----------
    v : VenueState
        Changed in its faults by an unknown policy.
    gain : float
        `price_gain`; positions together count as one long that cost what they did.
    profit_usd : float
        Unrealised.
    entry_usd, notional_usd : float
        Notional at entry and at the mark, at least 0.
    equity_usd : float
        Of the account.

    Returns
    -------
    float
        Without equity 0 or below by the venue's own score, last of all by the others.
    """
    policy = int(v.par[0].score_policy)
    if policy == SCORE_GAIN_LEVERAGE:
        return gain_times_leverage(gain, notional_usd, equity_usd)
    if policy not in (SCORE_PROFIT_LEVERAGE, SCORE_PROFIT_COLLATERAL):
        raise_fault(v, FAULT_POLICY)
        return LAST
    if equity_usd <= 0.0:
        return LAST
    if policy == SCORE_PROFIT_COLLATERAL:
        collateral_usd = equity_usd - profit_usd
        return profit_over_collateral_bp(profit_usd, collateral_usd, notional_usd, equity_usd)
    if entry_usd <= 0.0:
        return 0.0
    return profit_times_leverage(profit_usd / entry_usd, notional_usd / equity_usd)
