r"""The world outside the venue: fundamentals and outside prices, one compiled call a step.

Fundamentals are martingales. With factor L of the correlation matrix, shocks e of unit variance
and a common log volatility c (a sum of mean-reverting components), the log return of asset i is

.. math:: r_i = a_{i0} e_0 + \sum_{j>0} a_{ij} e_j - \kappa_i, \quad
          a_{i0} = \sigma_i L_{i0} e^{c - V}, \quad a_{ij} = \sigma_i L_{ij} e^{pc - p^2 V},

where V is the variance of c: all volatility clusters, that of the market factor more than that of
the residuals, so correlations rise when it is high. The drift :math:`\kappa_i` is the sum of
:math:`a^2/2 + \kappa_4 a^4/24`, which makes the price, not its logarithm, the martingale. A given
path may replace the law. Outside legs: `stressbook.market.prices.outside_market`.

Both engines share this one kernel; it gives equal bits compiled and as plain Python.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from stressbook.market.compiling.arrays import F64, I64, Record, Records, record_dtype
from stressbook.market.compiling.by_address import by_address
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.numbers.draws import (
    PURPOSE_OUTSIDE_BASIS,
    PURPOSE_WORLD_LOG_VOLATILITY,
    PURPOSE_WORLD_RETURN,
    uniform,
)
from stressbook.market.numbers.elementary import exp, ln, normal_quantile
from stressbook.market.numbers.innovations import innovation
from stressbook.market.numbers.units import (
    BALANCE_MAX,
    NEAREST,
    NOT_REPRESENTABLE,
    mul_div,
)
from stressbook.market.prices.outside_crowd import add_crowd_flow
from stressbook.market.prices.outside_market import (
    OUTSIDE_PERP,
    OUTSIDE_SPOT,
    decay_loads,
    leg_price,
    price_batch,
)
from stressbook.market.state.clock import is_due
from stressbook.market.state.codes import FAULT_OVERFLOW, FAULT_PATH_END

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
    "opening_usd lot_size cross_slope_per_musd step_sd log_value log_shift shock "
    "window_log window_square window_long_run",
)
CHUNK: Final = 64
_NORM_MIN: Final = 1e-12


@by_address
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
    crowd: Records  # (n_assets, 2) CROWD: longs, shorts of the outside perp
    crowd_price: F64  # (n_assets, 2, N_SHARES) at which each share of the crowd is liquidated
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
    # Helpers take records: one more that takes the whole state would cost half a second to compile.
    par = w.par[0]
    par.step += 1
    log_vol = _advance_log_volatility(w.component, par, t_ms)
    exponent = par.residual_exponent
    market = exp(log_vol - par.log_vol_variance)
    residual = exp(exponent * log_vol - exponent * exponent * par.log_vol_variance)
    for i in range(w.asset.shape[0]):
        u = uniform(par.seed_key0, par.seed_key1, PURPOSE_WORLD_RETURN, i, t_ms, 0)
        w.asset[i].shock = innovation(par.innovation, u)
    for i in range(w.asset.shape[0]):
        asset, dial = w.asset[i], w.dial[i]
        asset.log_shift += dial.drift * par.dt_s + dial.jump
        if par.path_steps > 0 and w.path[0, i] == w.path[0, i]:
            asset.log_value = _path_value(w.path, par, i)
        else:
            asset.log_value += _log_return(w.asset, w.factor, dial, par, i, market, residual)
        for kind in range(2):
            _advance_basis(w.leg[i, kind], par, t_ms, i, kind)
            decay_loads(w.leg[i, kind], dial.outside_recovery)
        w.leg[i, OUTSIDE_PERP].basis += dial.outside_basis
    _collect_requests(w.request_chunk, w.touched, w.leg, par)
    forced_lots = add_crowd_flow(w.crowd, w.crowd_price, w.leg, w.outside)
    if par.n_touched > 0 or forced_lots > 0:
        for i in range(w.asset.shape[0]):
            spot, perp = w.leg[i, OUTSIDE_SPOT], w.leg[i, OUTSIDE_PERP]
            price_batch(w.asset[i], spot, perp, w.dial[i], _fundamental_usd(w.asset[i]))
        _book_requests(w.request_chunk, w.touched, w.leg, w.asset, w.cash, w.inventory, par)
    is_window_end = is_due(t_ms, par.dt_ms, par.window_ms)
    for i in range(w.asset.shape[0]):
        spot, perp = w.leg[i, OUTSIDE_SPOT], w.leg[i, OUTSIDE_PERP]
        _publish(w.outside[i], w.asset[i], spot, perp, w.dial[i])
        if is_window_end:
            _update_volatility(w.outside[i], w.asset[i], par.window_decay)
    return int(par.fault)


@inline_kernel
def _advance_log_volatility(component: Records, par: Record, t_ms: int) -> float:
    log_vol = 0.0
    for k in range(component.shape[0]):
        part = component[k]
        if part.noise > 0.0:
            u = uniform(par.seed_key0, par.seed_key1, PURPOSE_WORLD_LOG_VOLATILITY, 0, t_ms, k)
            part.value = part.decay * part.value + part.noise * normal_quantile(u)
        log_vol += float(part.value)
    return log_vol


@inline_kernel
def _log_return(
    asset: Records,
    factor: F64,
    dial: Record,
    par: Record,
    i: int,
    market: float,
    residual: float,
) -> float:
    """Return the law's log return of an asset, its martingale correction in."""
    size = asset[i].step_sd * dial.volatility / _mixed_norm(factor, i, dial.correlation)
    change = 0.0
    for j in range(asset.shape[0]):
        stretch = dial.beta * market if j == 0 else dial.residual * residual
        a = size * stretch * _mixed(factor, i, j, dial.correlation)
        square = a * a
        change += a * asset[j].shock
        change -= 0.5 * square + par.fourth_cumulant * square * square / 24.0
    return float(change)


@inline_kernel
def _mixed(factor: F64, i: int, j: int, mix: float) -> float:
    return (1.0 - mix) * float(factor[0, i, j]) + mix * float(factor[1, i, j])


@inline_kernel
def _mixed_norm(factor: F64, i: int, mix: float) -> float:
    """Return the length of a mixed factor row: rows of length 1 are a valid correlation."""
    if mix == 0.0:
        return 1.0
    square = 0.0
    for j in range(factor.shape[1]):
        loading = _mixed(factor, i, j, mix)
        square += loading * loading
    return math.sqrt(square) if square > _NORM_MIN else 1.0


@inline_kernel
def _path_value(path: F64, par: Record, i: int) -> float:
    step = int(par.step)
    if step > par.path_steps:
        par.fault = int(par.fault) | FAULT_PATH_END
        step = int(par.path_steps)
    return float(path[step - 1, i])


@inline_kernel
def _advance_basis(leg: Record, par: Record, t_ms: int, i: int, kind: int) -> None:
    key0, key1 = par.seed_key0, par.seed_key1
    if leg.basis_fast_noise > 0.0:
        u = uniform(key0, key1, PURPOSE_OUTSIDE_BASIS, i, t_ms, 2 * kind)
        fast = leg.basis_fast_noise * normal_quantile(u)
        leg.basis_fast = leg.basis_fast_decay * leg.basis_fast + fast
    if leg.basis_slow_noise > 0.0:
        u = uniform(key0, key1, PURPOSE_OUTSIDE_BASIS, i, t_ms, 2 * kind + 1)
        slow = leg.basis_slow_noise * normal_quantile(u)
        leg.basis_slow = leg.basis_slow_decay * leg.basis_slow + slow
    leg.basis = leg.basis_mean + leg.basis_fast + leg.basis_slow


@inline_kernel
def _fundamental_usd(asset: Record) -> float:
    return float(asset.opening_usd) * exp(asset.log_value + asset.log_shift)


@inline_kernel
def _collect_requests(request_chunk: I64, touched: I64, leg: Records, par: Record) -> None:
    """List the requests that are not 0, and sum them by leg."""
    n_legs = 2 * leg.shape[0]
    for index in range(n_legs):
        leg[index // 2, index % 2].net_lots = 0
    n = 0
    for chunk in range(request_chunk.shape[0]):
        any_bits = 0
        for offset in range(CHUNK):
            any_bits |= request_chunk[chunk, offset]
        if any_bits != 0:
            for offset in range(CHUNK):
                lots = request_chunk[chunk, offset]
                if lots != 0:
                    index = chunk * CHUNK + offset
                    touched[n] = index
                    n += 1
                    leg[index % n_legs // 2, index % 2].net_lots += lots
    par.n_touched = n


@inline_kernel
def _book_requests(
    request_chunk: I64,
    touched: I64,
    leg: Records,
    asset: Records,
    cash: I64,
    inventory: I64,
    par: Record,
) -> None:
    """Move cash and lots of each order between its account and everybody else."""
    n_legs = 2 * leg.shape[0]
    others = cash.shape[0] - 1
    for n in range(par.n_touched):
        index = int(touched[n])
        user, i, kind = index // n_legs, index % n_legs // 2, index % 2
        lots = int(request_chunk[index // CHUNK, index % CHUNK])
        request_chunk[index // CHUNK, index % CHUNK] = 0
        price_e8 = int(leg[i, kind].buy_e8) if lots > 0 else int(leg[i, kind].sell_e8)
        cost_micro = mul_div(lots, price_e8, int(asset[i].mark_den), NEAREST)
        if cost_micro == NOT_REPRESENTABLE or abs(int(cash[user]) - cost_micro) > BALANCE_MAX:
            par.fault = int(par.fault) | FAULT_OVERFLOW
            continue
        cash[user] -= cost_micro
        cash[others] += cost_micro
        inventory[user, i, kind] += lots
        inventory[others, i, kind] -= lots


@inline_kernel
def _publish(out: Record, asset: Record, spot: Record, perp: Record, dial: Record) -> None:
    fundamental_usd = _fundamental_usd(asset)
    out.fundamental_usd = fundamental_usd
    out.spot_usd = leg_price(spot, fundamental_usd)
    out.perp_usd = leg_price(perp, fundamental_usd)
    out.spot_half_spread = spot.half_spread * dial.outside_spread
    out.perp_half_spread = perp.half_spread * dial.outside_spread
    out.spot_impact_per_musd = spot.slope_per_musd / dial.outside_depth
    out.perp_impact_per_musd = perp.slope_per_musd / dial.outside_depth


@inline_kernel
def _update_volatility(out: Record, asset: Record, window_decay: float) -> None:
    """Average squared returns of the outside spot, as everybody can see them."""
    log_price = ln(out.spot_usd)
    change = log_price - asset.window_log
    asset.window_log = log_price
    asset.window_square = (
        window_decay * asset.window_square + (1.0 - window_decay) * change * change
    )
    if asset.window_long_run > 0.0:
        out.volatility_ratio = math.sqrt(asset.window_square / asset.window_long_run)
