"""The opening state of the world, its copies, and the targets of its correlation dial."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stressbook.errors import InvalidInput, OverflowFault
from stressbook.market.compiling.arrays import F64, Records
from stressbook.market.numbers.correlation import factor_of, nearest_valid
from stressbook.market.numbers.draws import (
    PURPOSE_OUTSIDE_BASIS,
    PURPOSE_WORLD_LOG_VOLATILITY,
    key_from_seed,
    uniform,
)
from stressbook.market.numbers.elementary import exp, ln, normal_quantile
from stressbook.market.numbers.innovations import fourth_cumulant
from stressbook.market.numbers.units import BALANCE_MAX, MS_PER_S
from stressbook.market.prices.dials import neutral_dials
from stressbook.market.prices.outside_crowd import CROWD, N_SHARES, open_crowd
from stressbook.market.prices.outside_market import LEG
from stressbook.market.prices.world import CHUNK, FUNDAMENTAL, LOG_VOL, WORLD, WorldState
from stressbook.market.prices.world_parameters import (
    INNOVATIONS,
    OutsideLeg,
    WorldParams,
    checked,
)
from stressbook.market.state.codes import FAULT_OVERFLOW, FAULT_PATH_END
from stressbook.market.state.records import OUTSIDE, VenueState

__all__ = [
    "make_world",
    "raise_world_faults",
    "set_correlation_target",
    "world_of_venue",
]

_DAY_S: Final = 86_400.0
_BP: Final = 1e-4
_LN2: Final = ln(2.0)


def make_world(
    params: WorldParams,
    *,
    opening_usd: npt.ArrayLike,
    lot_size: npt.ArrayLike,
    mark_den: npt.ArrayLike,
    n_users: int,
    seed: int,
    dt_ms: int = 1000,
    path: F64 | None = None,
    outside: Records | None = None,
    dial: Records | None = None,
) -> WorldState:
    """Return the world at its opening, t = 0.

    Parameters
    ----------
    params : WorldParams
        Law and legs, asset by asset.
    opening_usd : array_like, shape (n_assets,)
        Fundamental prices at t = 0, USD.
    lot_size : array_like, shape (n_assets,)
        Tokens in one lot of the asset's perp, in which outside orders are counted.
    mark_den : array_like of int, shape (n_assets,)
        Micro-USDC of a trade are lots x price in 1e-8 USD / `mark_den`.
    n_users : int
        Accounts that may trade outside.
    seed : int
        Of every draw.
    dt_ms : int, default 1000
        Length of a step, ms.
    path : ndarray, shape (n_steps, n_assets), dtype float64, optional
        Log price over the opening price at the end of each step, instead of the law. An asset
        whose column is NaN follows the law; dials come on top.
    outside : ndarray of OUTSIDE, shape (n_assets,), optional
        The venue's array of outside prices, to be written; an own one if not given.
    dial : ndarray of DIAL, shape (n_assets,), optional
        The venue's dials; own, neutral ones if not given.

    Returns
    -------
    WorldState
        With opening volatility and basis drawn, and outside prices written.

    Raises
    ------
    InvalidInput
        If an array does not fit the assets, a price is not positive or a path not finite.
    InvalidScenario
        With everything that is wrong with `params`.

    Examples
    --------
    >>> from stressbook.market.prices.world import advance
    >>> from stressbook.market.prices.world_parameters import default_world
    >>> w = make_world(default_world(["BTC"]), opening_usd=[80_000.0], lot_size=[1e-5],
    ...                mark_den=[10_000_000], n_users=1, seed=7)
    >>> advance(w, 1000)
    0
    >>> bool(79_000.0 < w.outside[0].spot_usd < 81_000.0)
    True
    """
    checked(params)
    n = len(params.assets)
    columns = {
        "opening_usd": _column("opening_usd", opening_usd, n),
        "lot_size": _column("lot_size", lot_size, n),
        "mark_den": _column("mark_den", mark_den, n),
    }
    factor = factor_of(params.correlation_matrix())
    w = WorldState(
        par=np.zeros(1, WORLD),
        component=np.zeros(len(params.log_vol_variances), LOG_VOL),
        asset=np.zeros(n, FUNDAMENTAL),
        leg=np.zeros((n, 2), LEG),
        factor=np.stack([factor, factor]),
        path=_checked_path(path, n),
        dial=neutral_dials(n) if dial is None else dial,
        outside=np.zeros(n, OUTSIDE) if outside is None else outside,
        crowd=np.zeros((n, 2), CROWD),
        crowd_price=np.zeros((n, 2, N_SHARES)),
        request_chunk=np.zeros((-(-n_users * n * 2 // CHUNK), CHUNK), np.int64),
        touched=np.zeros(n_users * n * 2, np.int64),
        cash=np.zeros(n_users + 1, np.int64),
        inventory=np.zeros((n_users + 1, n, 2), np.int64),
    )
    _write_clock(w, params, seed=seed, dt_ms=dt_ms, n_users=n_users)
    _write_law(w, params, columns)
    _open_prices(w, params)
    return w


def world_of_venue(params: WorldParams, v: VenueState, *, path: F64 | None = None) -> WorldState:
    """Return the world around a venue, sharing its dials and outside prices.

    Parameters
    ----------
    params : WorldParams
        Assets in the order of the venue's.
    v : VenueState
        At its opening; fundamentals open at its oracle prices. Its `outside` is written.
    path : ndarray, shape (n_steps, n_assets), optional
        As for `make_world`.

    Returns
    -------
    WorldState
        With the venue's seed, step and accounts.

    Raises
    ------
    InvalidInput, InvalidScenario
        As `make_world`.
    """
    inst = [int(a.perp_inst) if a.perp_inst >= 0 else int(a.spot_inst) for a in v.asset]
    par = v.par[0]
    w = make_world(
        params,
        opening_usd=v.price["oracle_usd"],
        lot_size=v.inst["lot_size"][inst],
        mark_den=v.inst["mark_den"][inst],
        n_users=int(par.n_users),
        seed=0,
        dt_ms=int(par.dt_ms),
        path=path,
        outside=v.outside,
        dial=v.dial,
    )
    w.par[0].seed_key0, w.par[0].seed_key1 = par.seed_key0, par.seed_key1
    _draw_opening(w, params)
    _open_prices(w, params)
    return w


def raise_world_faults(w: WorldState, t_ms: int) -> None:
    """Turn the fault word that `advance` returns into an error; 0 passes.

    Parameters
    ----------
    w : WorldState
        After a step.
    t_ms : int
        Its end, ms, for the message.

    Raises
    ------
    InvalidInput
        If the given path is shorter than the run.
    OverflowFault
        If an outside order or balance is beyond its bound; the order was not filled.
    """
    word = int(w.par[0].fault)
    if word & FAULT_PATH_END:
        raise InvalidInput(
            "is shorter than the run",
            name="path",
            value=w.path.shape,
            allowed=f"a row for each step, to t = {t_ms} ms and beyond",
        )
    if word & FAULT_OVERFLOW:
        raise OverflowFault(
            "is beyond its bound",
            name="outside order or balance",
            value=f"t = {t_ms} ms",
            allowed=f"cash within {BALANCE_MAX} micro-USDC",
            hint="a smaller order",
        )


def set_correlation_target(w: WorldState, target: F64) -> None:
    """Set the matrix to which the correlation dial moves.

    Parameters
    ----------
    w : WorldState
        Changed in `factor[1]`.
    target : ndarray, shape (n_assets, n_assets), dtype float64
        Symmetric, unit diagonal. If it is not valid, the last valid one on the way is taken.

    Raises
    ------
    InvalidInput
        If `target` is not such a matrix.
    """
    if target.shape != w.factor.shape[1:]:
        raise InvalidInput(
            "does not fit the assets",
            name="target",
            value=target.shape,
            allowed=f"shape {w.factor.shape[1:]}",
        )
    base = w.factor[0]
    correlation = np.eye(base.shape[0])
    for i in range(base.shape[0]):
        for j in range(i):
            for k in range(j + 1):
                correlation[i, j] += float(base[i, k]) * float(base[j, k])
            correlation[j, i] = correlation[i, j]
    w.factor[1] = factor_of(nearest_valid(correlation, target))


def _write_clock(
    w: WorldState, params: WorldParams, *, seed: int, dt_ms: int, n_users: int
) -> None:
    par = w.par[0]
    par.seed_key0, par.seed_key1 = key_from_seed(seed)
    par.dt_ms = dt_ms
    par.dt_s = dt_ms / MS_PER_S
    par.n_users = n_users
    par.innovation = INNOVATIONS[params.innovation]
    par.fourth_cumulant = fourth_cumulant(int(par.innovation))
    par.residual_exponent = params.residual_exponent
    par.log_vol_variance = sum(params.log_vol_variances)
    par.path_steps = w.path.shape[0]
    par.window_ms = max(dt_ms, round(params.volatility_window_s * MS_PER_S))
    par.window_decay = _decay(par.window_ms / MS_PER_S, params.volatility_halflife_s)


def _write_law(w: WorldState, params: WorldParams, columns: dict[str, F64]) -> None:
    dt_s = float(w.par[0].dt_s)
    window_s = float(w.par[0].window_ms) / MS_PER_S
    for name, column in columns.items():
        w.asset[name] = column
    for k, variance in enumerate(params.log_vol_variances):
        component = w.component[k]
        component.decay = _decay(dt_s, params.log_vol_halflives_s[k])
        component.noise = _noise(math.sqrt(variance), float(component.decay))
    for i, asset in enumerate(params.assets):
        w.asset[i].step_sd = asset.daily_volatility * math.sqrt(dt_s / _DAY_S)
        square = asset.daily_volatility * asset.daily_volatility * window_s / _DAY_S
        w.asset[i].window_long_run = w.asset[i].window_square = square
        _write_leg(w.leg[i, 0], asset.spot, dt_s)
        _write_leg(w.leg[i, 1], asset.perp, dt_s)
        # One cross impact for both directions: an asymmetric one could be played.
        smaller = min(float(w.leg[i, 0].slope_per_musd), float(w.leg[i, 1].slope_per_musd))
        w.asset[i].cross_slope_per_musd = asset.cross_share * smaller
    _draw_opening(w, params)


def _write_leg(record: Any, leg: OutsideLeg, dt_s: float) -> None:
    record.half_spread = leg.half_spread_bp * _BP
    record.basis_mean = leg.basis_mean_bp * _BP
    record.basis_fast_decay = _decay(dt_s, leg.basis_fast_halflife_s)
    record.basis_slow_decay = _decay(dt_s, leg.basis_slow_halflife_s)
    record.basis_fast_noise = _noise(leg.basis_fast_sd_bp * _BP, record.basis_fast_decay)
    record.basis_slow_noise = _noise(leg.basis_slow_sd_bp * _BP, record.basis_slow_decay)
    record.slope_per_musd = leg.impact_bp_per_musd * _BP
    record.concave_from = leg.impact_concave_from
    record.fast_share = leg.impact_fast_share
    record.fast_rate = _LN2 * dt_s / leg.impact_fast_halflife_s
    record.slow_rate = _LN2 * dt_s / leg.impact_slow_halflife_s
    record.fast_decay = _decay(dt_s, leg.impact_fast_halflife_s)
    record.slow_decay = _decay(dt_s, leg.impact_slow_halflife_s)


def _draw_opening(w: WorldState, params: WorldParams) -> None:
    """Draw what mean-reverts from its long-run law, with the draws of t = 0."""
    scale = 1.0 if params.stationary_start else 0.0
    key = int(w.par[0].seed_key0), int(w.par[0].seed_key1)
    for k, variance in enumerate(params.log_vol_variances):
        shock = normal_quantile(uniform(*key, PURPOSE_WORLD_LOG_VOLATILITY, 0, 0, k))
        w.component[k].value = scale * math.sqrt(variance) * shock
    for i, asset in enumerate(params.assets):
        for kind, leg in enumerate((asset.spot, asset.perp)):
            record = w.leg[i, kind]
            fast = normal_quantile(uniform(*key, PURPOSE_OUTSIDE_BASIS, i, 0, 2 * kind))
            slow = normal_quantile(uniform(*key, PURPOSE_OUTSIDE_BASIS, i, 0, 2 * kind + 1))
            record.basis_fast = scale * leg.basis_fast_sd_bp * _BP * fast
            record.basis_slow = scale * leg.basis_slow_sd_bp * _BP * slow
            record.basis = record.basis_mean + record.basis_fast + record.basis_slow


def _open_prices(w: WorldState, params: WorldParams) -> None:
    for i in range(w.asset.shape[0]):
        out, asset = w.outside[i], w.asset[i]
        spot, perp = w.leg[i, 0], w.leg[i, 1]
        out.fundamental_usd = asset.opening_usd
        out.spot_usd = asset.opening_usd * exp(float(spot.basis))
        out.perp_usd = asset.opening_usd * exp(float(perp.basis))
        out.spot_half_spread, out.perp_half_spread = spot.half_spread, perp.half_spread
        out.spot_impact_per_musd = spot.slope_per_musd
        out.perp_impact_per_musd = perp.slope_per_musd
        out.volatility_ratio, out.step_volatility = 1.0, asset.step_sd
        asset.window_log = ln(float(out.spot_usd))
        open_crowd(
            w.crowd[i],
            w.crowd_price[i],
            params.assets[i].crowd,
            perp_usd=float(out.perp_usd),
            lot_usd=float(asset.lot_size) * float(out.perp_usd),
            dt_s=float(w.par[0].dt_s),
        )


def _decay(dt_s: float, halflife_s: float) -> float:
    return exp(-_LN2 * dt_s / halflife_s)


def _noise(deviation: float, decay: float) -> float:
    """Return the deviation of a step's shock that keeps a stationary deviation."""
    return deviation * math.sqrt(1.0 - decay * decay)


def _column(name: str, values: npt.ArrayLike, n: int) -> F64:
    column = np.asarray(values, dtype=np.float64)
    if column.shape != (n,) or not bool((column > 0.0).all() and np.isfinite(column).all()):
        raise InvalidInput(
            "does not fit the assets",
            name=name,
            value=values,
            allowed=f"{n} positive numbers, one for each asset",
        )
    return column


def _checked_path(path: F64 | None, n: int) -> F64:
    if path is None:
        return np.zeros((0, n))
    given = np.ascontiguousarray(path, dtype=np.float64)
    fits = given.ndim == 2 and given.shape[0] > 0 and given.shape[1] == n
    if not fits or not all(_all_or_nothing(given[:, i]) for i in range(n)):
        raise InvalidInput(
            "is no path of the assets",
            name="path",
            value=given.shape,
            allowed=f"shape (n_steps, {n}); a column is finite, or NaN throughout",
        )
    return given


def _all_or_nothing(column: F64) -> bool:
    return bool(np.isfinite(column).all() or np.isnan(column).all())
