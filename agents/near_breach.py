"""How much of an opening book a usual move of the warm-up would bring into breach."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from stressbook.market.compiling.arrays import F64
from stressbook.market.margin.valuation import is_breached, value_all
from stressbook.market.numbers.elementary import exp
from stressbook.market.state.records import VenueState


def near_breach_usd(
    state: VenueState,
    daily_volatility: Sequence[float],
    *,
    hours: float,
    deviations: Sequence[float] = (1.0, 3.0),
) -> list[float]:
    """Return the perp notional whose breach lies within some deviations of a move of all prices.

    Parameters
    ----------
    state : VenueState
        At the opening; not changed.
    daily_volatility : sequence of float
        Of daily log returns, by asset.
    hours : float
        Length of the warm-up.
    deviations : sequence of float, default (1, 3)
        Sizes of the move, up and down, of all assets together.

    Returns
    -------
    list of float
        USD at the opening mark, for each size; accounts count once.

    Examples
    --------
    >>> from stressbook.market.opening.setup import make_state
    >>> from stressbook.market.rules.spec import load_preset
    >>> near_breach_usd(make_state(load_preset("hyperliquid"), [], seed=7), [0.03] * 4, hours=6.0)
    [0.0, 0.0]
    """
    opening = valued_copy(state)
    notional = opening.risk["gross_notional_usd"]
    found = []
    for size in deviations:
        reach = size * math.sqrt(hours / 24.0)
        inside = np.zeros(len(notional), np.bool_)
        for sign in (-1.0, 1.0):
            factor = np.array([exp(sign * reach * one) for one in daily_volatility])
            moved = valued_copy(state, factor)
            inside |= np.array([bool(is_breached(moved, user)) for user in range(len(notional))])
        total = 0.0
        for usd in notional[inside]:
            total += float(usd)
        found.append(total)
    return found


def valued_copy(state: VenueState, factor: F64 | None = None) -> VenueState:
    """Return a state in which the debts that margin needs are drawn and every account is valued.

    Parameters
    ----------
    state : VenueState
        Not changed.
    factor : ndarray of float64, shape (n_assets,), optional
        By which each price has moved.

    Returns
    -------
    VenueState
        Shares what a valuation leaves alone.

    Examples
    --------
    >>> from stressbook.market.opening.setup import make_state
    >>> from stressbook.market.rules.spec import load_preset
    >>> valued_copy(make_state(load_preset("hyperliquid"), [], seed=7)).risk["ratio"].tolist()
    [0.0]
    """
    changed = ("cash", "supply", "debt", "flow", "user", "price", "reserve", "risk", "event", "ctr")
    moved = state._replace(**{name: getattr(state, name).copy() for name in changed})
    for name in ("mark", "oracle", "borrow_oracle") if factor is not None else ():
        moved.price[f"{name}_usd"] *= factor
        moved.price[f"{name}_e8"] = np.rint(moved.price[f"{name}_usd"] * 1e8).astype(np.int64)
    value_all(moved)
    return moved
