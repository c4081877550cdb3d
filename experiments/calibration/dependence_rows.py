"""Rows on how assets move together."""

import numpy as np
import pandas as pd

from stressbook.experiments.calibration.dependence import (
    PairFit,
    pair_fit,
    shared_volatility,
    volatility_regime,
)
from stressbook.experiments.calibration.rows import (
    FITTING_TARGET,
    PARAMETER,
    PERP,
    SHOWN,
    Origin,
    Row,
    clock_cell,
    rng_for,
    values_of,
)
from stressbook.experiments.calibration.series import remove_season
from stressbook.experiments.calibration.volatility import FLOOR_QUANTILE
from stressbook.experiments.recorded import ASSETS

__all__ = ["dependence_rows"]


def dependence_rows(*, closes_1h: pd.DataFrame, seed: int) -> list[Row]:
    """Return correlation, beta and shared volatility of every pair of assets.

    Correlations of all hours are parameters; V24 is that of calm and of stressed hours with BTC.

    Parameters
    ----------
    closes_1h : DataFrame
        From `recorded.read_closes`.
    seed : int
        Of the calibration.

    Returns
    -------
    list of Row
    """
    returns = pd.DataFrame(
        {asset: np.log(closes_1h[f"{asset}_perp_close"]).diff() for asset in ASSETS}
    )
    regime = volatility_regime(values_of(returns["BTC"]))
    before = volatility_regime(values_of(returns["BTC"]), lag=1)
    rows = []
    for i, first in enumerate(ASSETS):
        for second in ASSETS[i + 1 :]:
            fit = pair_fit(
                values_of(returns[first]),
                values_of(returns[second]),
                regime=regime,
                regime_before=before,
                rng=rng_for(seed, first, second),
            )
            origin = Origin.of(second, PERP, "closes_1h", returns[[first, second]])
            rows.append(origin.row(f"corr_{first}", fit.corr, PARAMETER, "world"))
            if first == "BTC":
                rows += _with_btc(origin, fit)
                rows += _loading(origin, second, returns, closes_1h, fit.beta.value, seed)
    return rows


def _with_btc(origin: Origin, fit: PairFit) -> list[Row]:
    included = "BTC's 24-h volatility, this hour included, {}"
    numbers = (
        ("corr_BTC_calm", fit.corr_calm, FITTING_TARGET, "V24", included.format("below median")),
        ("corr_BTC_stress", fit.corr_stress, FITTING_TARGET, "V24", included.format("top 5 %")),
        (
            "corr_BTC_stress_before",
            fit.corr_stress_before,
            SHOWN,
            "",
            "top 5 % of the 24 h before: no selection on the outcome",
        ),
        ("beta_BTC", fit.beta, SHOWN, "", ""),
        ("beta_BTC_calm", fit.beta_calm, SHOWN, "", ""),
        ("beta_BTC_stress", fit.beta_stress, SHOWN, "", ""),
    )
    return [
        origin.row(name, value, role, target=target, note=note)
        for name, value, role, target, note in numbers
    ]


def _loading(
    origin: Origin,
    asset: str,
    returns: pd.DataFrame,
    closes_1h: pd.DataFrame,
    beta: float,
    seed: int,
) -> list[Row]:
    cell = clock_cell(closes_1h.index)
    spread = np.log(values_of(closes_1h["BTC_perp_high"]) / values_of(closes_1h["BTC_perp_low"]))
    spread = np.log(np.where(spread > 0.0, spread, np.nan))
    residual = np.abs(values_of(returns[asset]) - beta * values_of(returns["BTC"]))
    residual = np.log(np.maximum(residual, np.nanquantile(residual, FLOOR_QUANTILE)))
    loading, corr = shared_volatility(
        remove_season(spread, cell)[0],
        remove_season(residual, cell)[0],
        rng=rng_for(seed, asset, "loading"),
    )
    note = "exponent of idiosyncratic on BTC's volatility, lags 1-24 h"
    return [
        origin.row("idio_vol_loading", loading, PARAMETER, "world", note=note),
        origin.row("vol_corr_BTC", corr, SHOWN, note="of the two log volatilities"),
    ]
