r"""The world outside the venue: fundamentals and outside prices, one compiled call a step.

Fundamentals are martingales. With factor L of the correlation matrix, shocks e of unit variance
and a common log volatility c (a sum of mean-reverting components), the log return of asset i is

.. math:: r_i = a_{i0} e_0 + \sum_{j>0} a_{ij} e_j - \kappa_i, \quad
          a_{i0} = \sigma_i L_{i0} e^{c - V}, \quad a_{ij} = \sigma_i L_{ij} e^{pc - p^2 V},

where V is the variance of c: all volatility clusters, that of the market factor more than that of
the residuals, so correlations rise when it is high. The drift :math:`\kappa_i` is the sum of
:math:`a^2/2 + \kappa_4 a^4/24`, which makes the price, not its logarithm, the martingale. A given
path may replace the law. Outside legs: `stressbook.market.outside_market`.

Both engines share this one kernel; it gives equal bits compiled and as plain Python.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from stressbook.market.codes import FAULT_OVERFLOW, FAULT_PATH_END
from stressbook.market.draws import (
    PURPOSE_OUTSIDE_BASIS,
    PURPOSE_WORLD_LOG_VOLATILITY,
    PURPOSE_WORLD_RETURN,
    uniform,
)
from stressbook.market.elementary import exp, normal_quantile
from stressbook.market.innovations import innovation
from stressbook.market.kernel import inline_kernel, kernel
from stressbook.market.outside_market import (
    OUTSIDE_PERP,
    OUTSIDE_SPOT,
    add_flow,
    displacement,
    mean_displacement,
)
from stressbook.market.state import F64, I64, Records, record_dtype
from stressbook.market.units import (
    BALANCE_MAX,
    NEAREST,
    NOT_REPRESENTABLE,
    PRICE_ONE,
    mul_div,
    round_nearest,
)

__all__ = ["WorldState", "advance"]

WORLD = record_dtype(
    "seed_key0 seed_key1 dt_ms n_users innovation path_steps step window_ms n_touched fault",
    "dt_s fourth_cumulant log_vol_variance residual_exponent window_decay",
)
LOG_VOL = record_dtype("", "value decay noise")
FUNDAMENTAL = record_dtype(
    "mark_den",  # micro-USDC = lots * price_e8 / mark_den
    # step_sd: long-run deviation of a step; log_value, log_shift: log price over the opening by
    # the law and by dials; window_*: public volatility (last log price, average and long-run
    # square of a window's return)
    "opening_usd lot_size step_sd log_value log_shift shock window_log window_square "
    "window_long_run",
)
CHUNK: Final = 64


class WorldState(NamedTuple):
    """Everything outside the venue; `outside` and `dial` are the very arrays of the venue state."""

    par: Records  # (1,) WORLD
    component: Records  # (n_components,) LOG_VOL
    asset: Records  # (n_assets,) FUNDAMENTAL
    leg: Records  # (n_assets, 2) LEG: spot, perp
    factor: F64  # (2, n_assets, n_assets) of the correlation, and of the dial's target
    path: F64  # (n_steps, n_assets) given log price over the opening; NaN column: by the law
    dial: Records  # (n_assets,) DIAL
    outside: Records  # (n_assets,) OUTSIDE
    request_chunk: I64  # (n_chunks, 64) `request`, padded: whole chunks are scanned as vectors
    touched: I64  # (n_users * n_assets * 2,) scratch: entries of `request` that are not 0
    cash: I64  # (n_users + 1,) micro-USDC of outside accounts; the last row is everybody else
    inventory: I64  # (n_users + 1, n_assets, 2) lots held outside; the last row: everybody else

    @property
    def request(self) -> I64:
        """Signed lots to trade outside at the next step, (n_users, n_assets, 2): to be added to."""
        shape = (int(self.par[0].n_users), self.asset.shape[0], 2)
        return self.request_chunk.reshape(-1)[: self.touched.shape[0]].reshape(shape)


@kernel
def advance(w: WorldState, t_ms: int) -> int:
    """Move the world by one step and fill the orders that accounts sent outside.

    Parameters
    ----------
    w : WorldState
        Changed in place, `outside` included.
    t_ms : int
        End of the step, ms.

    Returns
    -------
    int
        Fault word: 0, `FAULT_PATH_END` or `FAULT_OVERFLOW`.
    """
    w.par[0].step += 1
    _advance_log_volatility(w, t_ms)
    _advance_fundamentals(w, t_ms)
    _advance_basis(w, t_ms)
    _decay_loads(w)
    _fill_requests(w)
    _publish(w, t_ms)
    return int(w.par[0].fault)


@inline_kernel
def _advance_log_volatility(w: WorldState, t_ms: int) -> None:
    par = w.par[0]
    for k in range(w.component.shape[0]):
        component = w.component[k]
        if component.noise > 0.0:
            u = uniform(par.seed_key0, par.seed_key1, PURPOSE_WORLD_LOG_VOLATILITY, 0, t_ms, k)
            component.value = component.decay * component.value + (
                component.noise * normal_quantile(u)
            )


@inline_kernel
def _advance_fundamentals(w: WorldState, t_ms: int) -> None:
    par = w.par[0]
    log_vol = 0.0
    for k in range(w.component.shape[0]):
        log_vol += w.component[k].value
    exponent = par.residual_exponent
    market = exp(log_vol - par.log_vol_variance)
    residual = exp(exponent * log_vol - exponent * exponent * par.log_vol_variance)
    for i in range(w.asset.shape[0]):
        u = uniform(par.seed_key0, par.seed_key1, PURPOSE_WORLD_RETURN, i, t_ms, 0)
        w.asset[i].shock = innovation(par.innovation, u)
    for i in range(w.asset.shape[0]):
        asset = w.asset[i]
        dial = w.dial[i]
        asset.log_shift += dial.drift * par.dt_s + dial.jump
        if _follows_path(w, i):
            asset.log_value = _path_value(w, i)
        else:
            asset.log_value += _log_return(w, i, market, residual)


@inline_kernel
def _log_return(w: WorldState, i: int, market: float, residual: float) -> float:
    """Return the law's log return of an asset, its martingale correction in."""
    par = w.par[0]
    dial = w.dial[i]
    size = w.asset[i].step_sd * dial.volatility
    norm = _factor_norm(w, i, dial.correlation)
    change = 0.0
    for j in range(w.asset.shape[0]):
        stretch = dial.beta * market if j == 0 else dial.residual * residual
        a = size * stretch * (_mixed(w, i, j, dial.correlation) / norm)
        square = a * a
        change += a * w.asset[j].shock
        change -= 0.5 * square + par.fourth_cumulant * square * square / 24.0
    return change


@inline_kernel
def _mixed(w: WorldState, i: int, j: int, mix: float) -> float:
    return (1.0 - mix) * w.factor[0, i, j] + mix * w.factor[1, i, j]


@inline_kernel
def _factor_norm(w: WorldState, i: int, mix: float) -> float:
    """Return the length of a mixed factor row: rows of length 1 are a valid correlation."""
    if mix == 0.0:
        return 1.0
    square = 0.0
    for j in range(w.asset.shape[0]):
        loading = _mixed(w, i, j, mix)
        square += loading * loading
    return math.sqrt(square) if square > 1e-12 else 1.0


@inline_kernel
def _follows_path(w: WorldState, i: int) -> bool:
    return w.par[0].path_steps > 0 and w.path[0, i] == w.path[0, i]


@inline_kernel
def _path_value(w: WorldState, i: int) -> float:
    step = int(w.par[0].step)
    if step > w.par[0].path_steps:
        w.par[0].fault = int(w.par[0].fault) | FAULT_PATH_END
        step = int(w.par[0].path_steps)
    return float(w.path[step - 1, i])


@inline_kernel
def _advance_basis(w: WorldState, t_ms: int) -> None:
    for i in range(w.asset.shape[0]):
        for kind in range(2):
            leg = w.leg[i, kind]
            if leg.basis_fast_noise > 0.0:
                leg.basis_fast = leg.basis_fast_decay * leg.basis_fast + (
                    leg.basis_fast_noise * _basis_shock(w, t_ms, i, 2 * kind)
                )
            if leg.basis_slow_noise > 0.0:
                leg.basis_slow = leg.basis_slow_decay * leg.basis_slow + (
                    leg.basis_slow_noise * _basis_shock(w, t_ms, i, 2 * kind + 1)
                )
            leg.basis = leg.basis_mean + leg.basis_fast + leg.basis_slow
            if kind == OUTSIDE_PERP:
                leg.basis += w.dial[i].outside_basis


@inline_kernel
def _basis_shock(w: WorldState, t_ms: int, i: int, index: int) -> float:
    par = w.par[0]
    return normal_quantile(
        uniform(par.seed_key0, par.seed_key1, PURPOSE_OUTSIDE_BASIS, i, t_ms, index)
    )


@inline_kernel
def _decay_loads(w: WorldState) -> None:
    for i in range(w.asset.shape[0]):
        recovery = w.dial[i].outside_recovery
        for kind in range(2):
            leg = w.leg[i, kind]
            if recovery == 1.0:
                leg.load_fast *= leg.fast_decay
                leg.load_slow *= leg.slow_decay
            else:
                leg.load_fast *= exp(-recovery * leg.fast_rate)
                leg.load_slow *= exp(-recovery * leg.slow_rate)


@inline_kernel
def _fundamental_usd(w: WorldState, i: int) -> float:
    asset = w.asset[i]
    return asset.opening_usd * exp(asset.log_value + asset.log_shift)


@inline_kernel
def _leg_price(w: WorldState, i: int, kind: int) -> float:
    leg = w.leg[i, kind]
    moved = displacement(leg.load_fast + leg.load_slow, leg.concave_from)
    return _fundamental_usd(w, i) * exp(leg.basis + moved)


@inline_kernel
def _fill_requests(w: WorldState) -> None:
    """Fill all orders of the step as one batch a leg, then let their sums move the prices."""
    _collect_requests(w)
    if w.par[0].n_touched == 0:
        return
    for i in range(w.asset.shape[0]):
        for kind in range(2):
            _price_batch(w, i, kind)
    _book_requests(w)
    for i in range(w.asset.shape[0]):
        spot, perp = w.leg[i, OUTSIDE_SPOT], w.leg[i, OUTSIDE_PERP]
        add_flow(spot, spot.slope_per_musd * (spot.flow_musd + spot.cross_share * perp.flow_musd))
        add_flow(perp, perp.slope_per_musd * (perp.flow_musd + perp.cross_share * spot.flow_musd))


@inline_kernel
def _collect_requests(w: WorldState) -> None:
    """List the entries of `request` that are not 0, and sum them by leg."""
    n_legs = 2 * w.asset.shape[0]
    for i in range(w.asset.shape[0]):
        w.leg[i, OUTSIDE_SPOT].net_lots = 0
        w.leg[i, OUTSIDE_PERP].net_lots = 0
    n = 0
    for chunk in range(w.request_chunk.shape[0]):
        any_bits = 0
        for offset in range(CHUNK):
            any_bits |= w.request_chunk[chunk, offset]
        if any_bits != 0:
            for offset in range(CHUNK):
                lots = w.request_chunk[chunk, offset]
                if lots != 0:
                    index = chunk * CHUNK + offset
                    w.touched[n] = index
                    n += 1
                    w.leg[index % n_legs // 2, index % 2].net_lots += lots
    w.par[0].n_touched = n


@inline_kernel
def _price_batch(w: WorldState, i: int, kind: int) -> None:
    """Set prices and load of one leg's batch."""
    leg = w.leg[i, kind]
    value_usd = float(leg.net_lots) * w.asset[i].lot_size * _leg_price(w, i, kind)
    leg.flow_musd = value_usd / (1e6 * w.dial[i].outside_depth)
    moved = mean_displacement(
        leg.load_fast + leg.load_slow, leg.slope_per_musd * leg.flow_musd, leg.concave_from
    )
    mid_usd = _fundamental_usd(w, i) * exp(leg.basis + moved)
    half_spread = leg.half_spread * w.dial[i].outside_spread
    leg.buy_e8 = round_nearest(mid_usd * (1.0 + half_spread) * float(PRICE_ONE))
    leg.sell_e8 = round_nearest(mid_usd * (1.0 - half_spread) * float(PRICE_ONE))


@inline_kernel
def _book_requests(w: WorldState) -> None:
    """Move cash and lots of each order between its account and everybody else."""
    n_legs = 2 * w.asset.shape[0]
    others = w.cash.shape[0] - 1
    for n in range(w.par[0].n_touched):
        index = int(w.touched[n])
        user, i, kind = index // n_legs, index % n_legs // 2, index % 2
        lots = int(w.request_chunk[index // CHUNK, index % CHUNK])
        w.request_chunk[index // CHUNK, index % CHUNK] = 0
        leg = w.leg[i, kind]
        price_e8 = int(leg.buy_e8) if lots > 0 else int(leg.sell_e8)
        cost_micro = mul_div(lots, price_e8, int(w.asset[i].mark_den), NEAREST)
        if cost_micro == NOT_REPRESENTABLE or abs(int(w.cash[user]) - cost_micro) > BALANCE_MAX:
            w.par[0].fault = int(w.par[0].fault) | FAULT_OVERFLOW
            continue
        w.cash[user] -= cost_micro
        w.cash[others] += cost_micro
        w.inventory[user, i, kind] += lots
        w.inventory[others, i, kind] -= lots


@inline_kernel
def _publish(w: WorldState, t_ms: int) -> None:
    par = w.par[0]
    for i in range(w.asset.shape[0]):
        out = w.outside[i]
        spread = w.dial[i].outside_spread
        out.fundamental_usd = _fundamental_usd(w, i)
        out.spot_usd = _leg_price(w, i, OUTSIDE_SPOT)
        out.perp_usd = _leg_price(w, i, OUTSIDE_PERP)
        out.spot_half_spread = w.leg[i, OUTSIDE_SPOT].half_spread * spread
        out.perp_half_spread = w.leg[i, OUTSIDE_PERP].half_spread * spread
    if t_ms // par.window_ms != (t_ms - par.dt_ms) // par.window_ms:
        _update_volatility(w)


@inline_kernel
def _update_volatility(w: WorldState) -> None:
    """Average squared returns of the outside spot, as everybody can see them."""
    decay = w.par[0].window_decay
    for i in range(w.asset.shape[0]):
        asset = w.asset[i]
        leg = w.leg[i, OUTSIDE_SPOT]
        moved = displacement(leg.load_fast + leg.load_slow, leg.concave_from)
        log_price = asset.log_value + asset.log_shift + leg.basis + moved
        change = log_price - asset.window_log
        asset.window_log = log_price
        asset.window_square = decay * asset.window_square + (1.0 - decay) * change * change
        if asset.window_long_run > 0.0:
            w.outside[i].volatility_ratio = math.sqrt(asset.window_square / asset.window_long_run)
