"""Parameters of the world outside the venue, each with unit, default and source."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

import numpy as np

from stressbook.errors import InvalidScenario, Problem, UnknownName
from stressbook.market.compiling.arrays import F64
from stressbook.market.numbers.innovations import NORMAL, STUDENT4
from stressbook.market.prices.outside_crowd import OutsideCrowd
from stressbook.market.rules.parameters import param

__all__ = ["INNOVATIONS", "AssetWorld", "OutsideLeg", "WorldParams", "default_world"]

INNOVATIONS: Final = {"normal": NORMAL, "student4": STUDENT4}


@dataclass(frozen=True)
class OutsideLeg:
    """The outside spot or perp market of one asset."""

    half_spread_bp: float = param(
        0.3, unit="bp", help="half of the outside spread", low=0.0, high=1e3
    )
    basis_mean_bp: float = param(
        0.0, unit="bp", help="long-run log price over the fundamental", low=-1e3, high=1e3
    )
    basis_fast_sd_bp: float = param(
        0.0, unit="bp", help="stationary deviation of the fast basis", low=0.0, high=1e3
    )
    basis_fast_halflife_s: float = param(
        1_500.0, unit="s", help="half-life of the fast basis", low=1.0
    )
    basis_slow_sd_bp: float = param(
        0.0, unit="bp", help="stationary deviation of the slow basis", low=0.0, high=1e3
    )
    basis_slow_halflife_s: float = param(
        21_600.0, unit="s", help="half-life of the slow basis", low=1.0
    )
    impact_bp_per_musd: float = param(
        0.3, unit="bp/MUSD", help="displacement by 1 M USD of signed flow", low=0.0, high=1e4
    )
    impact_concave_from: float = param(
        0.03, unit="1", help="displacement beyond which it grows with the root", low=1e-6
    )
    impact_fast_share: float = param(
        0.75, unit="1", help="share of the displacement that decays fast", low=0.0, high=1.0
    )
    impact_fast_halflife_s: float = param(120.0, unit="s", help="half-life of that share", low=0.1)
    impact_slow_halflife_s: float = param(21_600.0, unit="s", help="half-life of the rest", low=0.1)


@dataclass(frozen=True)
class AssetWorld:
    """The fundamental of one asset, its two outside legs, and who is levered there."""

    name: str
    daily_volatility: float = param(
        0.025, unit="1/sqrt(day)", help="root mean square of daily log returns", low=0.0, high=1.0
    )
    cross_share: float = param(
        1.0,
        unit="1",
        help="displacement of a leg by flow in the other, over the smaller impact of the two",
        source="assumed: outside, both legs share their traders: docs/decisions/0041-crowd-fit",
        low=0.0,
        high=1.0,
    )
    spot: OutsideLeg = field(default_factory=OutsideLeg)
    perp: OutsideLeg = field(default_factory=OutsideLeg)
    crowd: OutsideCrowd = field(default_factory=OutsideCrowd)


@dataclass(frozen=True)
class WorldParams:
    """The law of all fundamentals, and the assets; the first asset is the market."""

    assets: tuple[AssetWorld, ...]
    correlation: tuple[tuple[float, ...], ...]
    innovation: str = param(
        "student4", unit="name", help="law of a second's shock: normal or student4"
    )
    log_vol_variances: tuple[float, ...] = param(
        (0.10, 0.10, 0.14), unit="1", help="variances of the components of log volatility"
    )
    log_vol_halflives_s: tuple[float, ...] = param(
        (1_200.0, 14_400.0, 259_200.0), unit="s", help="half-lives of these components"
    )
    residual_exponent: float = param(
        0.75, unit="1", help="load of residual volatility on the common one", low=0.0, high=2.0
    )
    volatility_window_s: float = param(
        30.0, unit="s", help="return window of the public outside volatility", low=0.001
    )
    volatility_halflife_s: float = param(
        300.0, unit="s", help="half-life of its average of squared returns", low=0.001
    )
    stationary_start: bool = param(
        True, unit="switch", help="draw opening volatility and basis from their long-run law"
    )

    def correlation_matrix(self) -> F64:
        """Return the correlations as an array of shape (n_assets, n_assets)."""
        return np.array(self.correlation, dtype=np.float64)

    def problems(self) -> list[Problem]:
        """Return everything that is wrong with these parameters, an empty list if nothing is.

        Examples
        --------
        >>> default_world(["BTC"]).problems()
        []
        """
        found = _range_problems(self, "world")
        for asset in self.assets:
            place = f"world.{asset.name}"
            found += _range_problems(asset, place)
            found += _range_problems(asset.spot, f"{place}.spot")
            found += _range_problems(asset.perp, f"{place}.perp")
            of_crowd = _range_problems(asset.crowd, f"{place}.crowd")
            found += of_crowd or asset.crowd.problems(f"{place}.crowd")
        n = len(self.assets)
        if n == 0:
            found.append(Problem("is empty", "world.assets", (), "1 asset or more"))
        if len(self.correlation) != n or any(len(row) != n for row in self.correlation):
            found.append(
                Problem("has another size", "world.correlation", self.correlation, f"{n} x {n}")
            )
        if self.innovation not in INNOVATIONS:
            allowed = ", ".join(INNOVATIONS)
            found.append(Problem("is unknown", "world.innovation", self.innovation, allowed))
        return found + self._log_vol_problems()

    def _log_vol_problems(self) -> list[Problem]:
        found = []
        if len(self.log_vol_variances) != len(self.log_vol_halflives_s):
            found.append(
                Problem(
                    "has another length than log_vol_variances",
                    "world.log_vol_halflives_s",
                    self.log_vol_halflives_s,
                    f"{len(self.log_vol_variances)} half-lives, s",
                )
            )
        for name, low in (("log_vol_variances", 0.0), ("log_vol_halflives_s", 1e-3)):
            for value in getattr(self, name):
                if not low <= value < float("inf"):
                    found.append(Problem("is out of range", f"world.{name}", value, f">= {low}"))
        return found


def _range_problems(parameters: Any, place: str) -> list[Problem]:
    found = []
    for entry in fields(parameters):
        low, high = entry.metadata.get("low"), entry.metadata.get("high")
        value = getattr(parameters, entry.name)
        if low is None or isinstance(value, bool | str | tuple):
            continue
        top = float("inf") if high is None else high
        if not low <= value <= top or (value == float("inf") and high is not None):
            allowed = f"{low} to {top}, {entry.metadata['unit']}"
            found.append(Problem("is out of range", f"{place}.{entry.name}", value, allowed))
    return found


def _asset(
    name: str, daily_volatility: float, half_spread_bp: float, impact: float, concave_from: float
) -> AssetWorld:
    spot = OutsideLeg(
        half_spread_bp=half_spread_bp,
        impact_bp_per_musd=impact,
        impact_concave_from=concave_from,
    )
    perp = replace(spot, basis_mean_bp=4.0, basis_fast_sd_bp=3.0, basis_slow_sd_bp=4.0)
    return AssetWorld(name, daily_volatility, spot=spot, perp=perp)


# Volatility, half-spread, impact and its concavity: assumed, tried on two assets (BTC, HYPE).
_ASSETS: Final = {
    "BTC": _asset("BTC", 0.025, 0.3, 0.3, 0.03),
    "ETH": _asset("ETH", 0.036, 0.4, 0.6, 0.03),
    "SOL": _asset("SOL", 0.042, 0.7, 1.5, 0.03),
    "HYPE": _asset("HYPE", 0.050, 1.5, 10.0, 0.06),
}
# Hourly returns of OKX perpetuals in calm hours (6,170), February 2025 to July 2026.
_CORRELATION: Final = {
    ("BTC", "ETH"): 0.764,
    ("BTC", "SOL"): 0.732,
    ("BTC", "HYPE"): 0.540,
    ("ETH", "SOL"): 0.769,
    ("ETH", "HYPE"): 0.534,
    ("SOL", "HYPE"): 0.559,
}


def default_world(names: tuple[str, ...] | list[str]) -> WorldParams:
    """Return the default world of some assets.

    Parameters
    ----------
    names : sequence of str
        Out of BTC, ETH, SOL, HYPE; the first one is the market.

    Returns
    -------
    WorldParams
        Correlations are measured, the rest is assumed until it is fitted.

    Raises
    ------
    UnknownName
        If a name has no defaults.

    Examples
    --------
    >>> default_world(["BTC", "HYPE"]).correlation
    ((1.0, 0.54), (0.54, 1.0))
    """
    for name in names:
        if name not in _ASSETS:
            raise UnknownName("asset", name, known=_ASSETS)
    rows = tuple(tuple(_correlation_of(a, b) for b in names) for a in names)
    return WorldParams(assets=tuple(_ASSETS[name] for name in names), correlation=rows)


def _correlation_of(a: str, b: str) -> float:
    if a == b:
        return 1.0
    return _CORRELATION[(a, b)] if (a, b) in _CORRELATION else _CORRELATION[(b, a)]


def checked(params: WorldParams) -> WorldParams:
    """Return the parameters, or raise one error for everything that is wrong with them.

    Raises
    ------
    InvalidScenario
        With every problem.
    """
    problems = params.problems()
    if problems:
        raise InvalidScenario.from_problems(problems)
    return params
