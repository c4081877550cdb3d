"""Ranges that follow realised volatility, and what keeps margins from rising all at once.

At each mark update an exponentially weighted variance of the oracle's log returns, set against the
calibrated long-run one, gives the ratio by which losses in the scan would have to grow:

    variance = decay x variance + (1 - decay) x return^2 / days,   decay = exp(-period / time)
    ratio    = sqrt(variance) / long-run volatility

and a tool against procyclicality turns it into the multiple that is charged:

    none             ratio
    buffer           1 + buffer times the ratio while it falls; as it rises the multiple stays until
                     the buffer is used up, and then is the ratio
    stressed_weight  sqrt((1 - weight) x ratio^2 + weight x stressed^2)
    floor            the ratio, at least that of a long look-back

Source: Delegated Regulation (EU) 153/2013, Article 28(1) (a), (b), (c), has one of the three; their
form here is ours, docs/decisions/0046-scan-ranges.md.
"""

import math
from typing import Final

from stressbook.market.compiling.arrays import Record
from stressbook.market.compiling.kernel import inline_kernel
from stressbook.market.numbers.elementary import exp, ln
from stressbook.market.regimes.tables import BUFFER, FLOOR_MULTIPLE, STRESSED_WEIGHT

__all__ = ["follow_volatility", "tempered_multiple"]

_S_PER_DAY: Final = 86_400.0


@inline_kernel
def follow_volatility(
    regime: Record, unit: Record, previous_usd: float, oracle_usd: float, period_s: float
) -> None:
    """Take one oracle update into the variance of an underlying, and set what its losses count.

    Parameters
    ----------
    regime : record of REGIME
        With a time above 0.
    unit : record of UNIT
        Changed in `daily_variance` and `range_multiple`; left as it is without a long-run
        volatility, or where an oracle is not above 0.
    previous_usd, oracle_usd : float
        Oracle before and now.
    period_s : float
        Between the two.
    """
    long_run = unit.long_run_daily_volatility
    if long_run <= 0.0 or previous_usd <= 0.0 or oracle_usd <= 0.0:
        return
    move = ln(oracle_usd / previous_usd)
    decay = exp(-period_s / regime.volatility_time_s)
    now = move * move * (_S_PER_DAY / period_s)
    unit.daily_variance = decay * unit.daily_variance + (1.0 - decay) * now
    ratio = math.sqrt(unit.daily_variance) / long_run
    unit.range_multiple = tempered_multiple(regime, ratio, unit.range_multiple)


@inline_kernel
def tempered_multiple(regime: Record, ratio: float, held: float) -> float:
    """Return what losses are multiplied by when volatility stands at a ratio to its long run.

    Parameters
    ----------
    regime : record of REGIME
        Its tool and the number of that.
    ratio : float
        Realised over long-run volatility, at least 0.
    held : float
        Multiple before; infinite where there is none, for a full buffer.

    Returns
    -------
    float
        At least 0.

    Examples
    --------
    >>> import numpy as np
    >>> from stressbook.market.regimes.tables import REGIME
    >>> regime = np.zeros(1, REGIME)[0]
    >>> regime.apc_tool, regime.buffer = BUFFER, 0.25
    >>> [float(tempered_multiple(regime, x, 1.25)) for x in (1.0, 1.2, 2.0, 0.5)]
    [1.25, 1.25, 2.0, 0.625]
    """
    multiple = ratio
    if regime.apc_tool == BUFFER:
        multiple = max(ratio, min(held, (1.0 + regime.buffer) * ratio))
    elif regime.apc_tool == STRESSED_WEIGHT:
        weight, stressed = regime.stressed_weight, regime.stressed_multiple
        multiple = math.sqrt((1.0 - weight) * (ratio * ratio) + weight * (stressed * stressed))
    elif regime.apc_tool == FLOOR_MULTIPLE:
        multiple = max(ratio, regime.floor_multiple)
    return multiple
