"""One line of a calibration: a number, its interval, where it comes from and what it is for."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stressbook.experiments.calibration.estimate import (
    F64,
)
from stressbook.experiments.inference import Estimate

__all__ = [
    "ASSUMED",
    "CHECK",
    "FITTING_TARGET",
    "PARAMETER",
    "PERP",
    "SHOWN",
    "VALIDATION_TARGET",
    "Origin",
    "Row",
    "clock_cell",
    "filled_span",
    "rng_for",
    "values_of",
]

# What a number is for. A parameter goes into scenarios. Fitting targets may be used to choose what
# no data fix; validation targets are kept for judging and may not.
PARAMETER = "parameter"
ASSUMED = "assumed"
FITTING_TARGET = "fitting target"
VALIDATION_TARGET = "validation target"
CHECK = "check"
SHOWN = "shown"

PERP = "Hyperliquid perp"


@dataclass(frozen=True, slots=True)
class Row:
    """One fitted or assumed number.

    Parameters
    ----------
    asset : str
        "BTC".
    table : str
        "world", "flow" or "moment": which table of a scenario it belongs to, if any.
    name : str
        With its unit as suffix.
    estimate : Estimate
        Value and interval; an assumed value has no interval and n = 0.
    unit : str
        "1" for fractions and exponents.
    role : str
        One of the constants of this module.
    market : str
        What was observed: "Hyperliquid perp".
    kind : str, default ""
        Key of `recorded.KINDS`, empty for assumed values.
    start, end : str, default ""
        First and last day of the observations, ISO.
    target : str, default ""
        "V18": number of the target in the project's list of stylised facts.
    note : str, default ""
        Quality of the fit, and what a reader must know.

    Examples
    --------
    >>> Row("BTC", "world", "daily_vol_frac", Estimate(0.026, 0.023, 0.028, 7792), "1",
    ...     PARAMETER, "Hyperliquid perp").estimate.n
    7792
    """

    asset: str
    table: str
    name: str
    estimate: Estimate
    unit: str
    role: str
    market: str
    kind: str = ""
    start: str = ""
    end: str = ""
    target: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """What several rows have in common: asset, market, file and days.

    Parameters
    ----------
    asset, market, kind, start, end
        As in `Row`.

    Examples
    --------
    >>> origin = Origin("BTC", "Hyperliquid perp", "closes_1h", "2024-09-04", "2025-07-26")
    >>> origin.row("daily_vol_frac", Estimate(0.026, 0.023, 0.028, 7792), PARAMETER, "world").end
    '2025-07-26'
    """

    asset: str
    market: str
    kind: str
    start: str
    end: str

    @classmethod
    def of(cls, asset: str, market: str, kind: str, table: pd.DataFrame | pd.Series) -> "Origin":
        """Return the origin of estimates from the rows of `table` that hold a value.

        Examples
        --------
        >>> days = pd.date_range("2025-06-01", periods=3, tz="UTC")
        >>> Origin.of("BTC", "perp", "closes_1h", pd.Series([1.0, 2.0, np.nan], days)).end
        '2025-06-02'
        """
        index = table.dropna().index
        ends = [str(index[0].date()), str(index[-1].date())] if len(index) else ["", ""]
        return cls(asset, market, kind, ends[0], ends[1])

    def row(
        self,
        name: str,
        estimate: Estimate,
        role: str,
        table: str = "moment",
        *,
        unit: str = "1",
        target: str = "",
        note: str = "",
    ) -> Row:
        """Return a row of this origin; arguments as in `Row`."""
        return Row(
            self.asset,
            table,
            name,
            estimate,
            unit,
            role,
            self.market,
            self.kind,
            self.start,
            self.end,
            target,
            note,
        )


def rng_for(seed: int, *names: str) -> np.random.Generator:
    """Return the generator of one estimate: another estimate more or less does not move it.

    Parameters
    ----------
    seed : int
        Of the whole calibration, 0 or more.
    *names : str
        What the draws are for.

    Returns
    -------
    numpy.random.Generator

    Examples
    --------
    >>> float(rng_for(1, "BTC").random()) == float(rng_for(1, "ETH").random())
    False
    """
    return np.random.default_rng([seed, crc32(" ".join(names).encode())])


def filled_span(table: pd.DataFrame, column: str) -> pd.Series:
    """Return a column from its first to its last value.

    Examples
    --------
    >>> filled_span(pd.DataFrame({"a": [np.nan, 1.0, np.nan, 2.0, np.nan]}), "a").tolist()
    [1.0, nan, 2.0]
    """
    series = table[column]
    return series.loc[series.first_valid_index() : series.last_valid_index()]


def values_of(series: pd.Series) -> F64:
    """Return the values as float64.

    Examples
    --------
    >>> values_of(pd.Series([1, 2]))
    array([1., 2.])
    """
    return series.to_numpy(dtype=np.float64)


def clock_cell(index: pd.Index) -> NDArray[np.int64]:
    """Return hour of day, weekends 24 higher.

    Examples
    --------
    >>> clock_cell(pd.to_datetime(["2025-06-06 05:30Z", "2025-06-07 05:30Z"])).tolist()
    [5, 29]
    """
    time = pd.DatetimeIndex(index)
    return np.asarray(time.hour + 24 * (time.day_of_week >= 5), dtype=np.int64)
