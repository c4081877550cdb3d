"""Scores by which winners are ordered: the highest is deleveraged, or pays, first.

They rank differently: by price gain leverage weighs most, by profit share a small gain hardly
counts. Sources: Hyperliquid docs, auto-deleveraging, 2026-01; BitMEX support, ADL, and ZUBR help,
360011816240; psyto/openhl, liquidation/src/adl.rs at 9f1b824.
"""

from typing import Final

from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.state.codes import SCORE_PROFIT_COLLATERAL, SCORE_PROFIT_LEVERAGE

__all__ = [
    "gain_times_leverage",
    "profit_over_collateral_bp",
    "profit_score",
    "profit_times_leverage",
]

_HIGHEST_BP: Final = 1e15  # a float below it is a whole number of basis points
LAST: Final = -1e300  # of accounts without equity: they come after all others


@inline_kernel
def gain_times_leverage(
    is_long: bool, entry_usd: float, mark_usd: float, notional_usd: float, equity_usd: float
) -> float:
    """Return price gain x leverage: mark / entry, for shorts entry / mark, x notional / equity.

    Parameters
    ----------
    is_long : bool
        Side of the position.
    entry_usd, mark_usd : float
        Above 0.
    notional_usd, equity_usd : float
        Of the position at the mark, and of its account, not 0.

    Returns
    -------
    float
        Below zero where equity is.

    Examples
    --------
    >>> gain_times_leverage(True, 100.0, 150.0, 150.0, 60.0)
    3.75
    """
    gain = mark_usd / entry_usd if is_long else entry_usd / mark_usd
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
def profit_score(
    kind: int, profit_usd: float, entry_usd: float, notional_usd: float, equity_usd: float
) -> float:
    """Return the score of a position, or of all positions of an account together.

    Parameters
    ----------
    kind : int
        One of the `SCORE_` codes.
    profit_usd : float
        Unrealised.
    entry_usd, notional_usd : float
        Notional at entry and at the mark, at least 0.
    equity_usd : float
        Of the account.

    Returns
    -------
    float
        The gain of several positions is 1 + profit share. Without equity last of all.

    Examples
    --------
    >>> profit_score(SCORE_PROFIT_LEVERAGE, 20.0, 100.0, 120.0, 60.0)
    0.4
    """
    if equity_usd <= 0.0:
        return LAST
    if kind == SCORE_PROFIT_COLLATERAL:
        collateral_usd = equity_usd - profit_usd
        return profit_over_collateral_bp(profit_usd, collateral_usd, notional_usd, equity_usd)
    if entry_usd <= 0.0:
        return 0.0
    if kind == SCORE_PROFIT_LEVERAGE:
        return profit_times_leverage(profit_usd / entry_usd, notional_usd / equity_usd)
    return (1.0 + profit_usd / entry_usd) * (notional_usd / equity_usd)
