"""Token holders: long the venue's collateral, under portfolio margin with borrowed USDC on top.

Borrowed USDC cannot leave the account, so it buys more of the token. A holder keeps its load, debt
over loan-to-value, near an own target: it buys below the band, sells slowly above it, and pays back
as the borrow rate passes what it tolerates. Under cross margin it owns the token and waits.

Source of the aggregates: live reserve states of Hyperliquid, 2026-09-08 (264 M USDC borrowed
against HYPE and BTC); the distribution of loads is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stressbook.agents.credit import CAP_SHARE
from stressbook.agents.execution import token_usd, wealth_usd, work
from stressbook.agents.outbox import Outbox
from stressbook.agents.renewal import is_away
from stressbook.agents.rule import Rule
from stressbook.agents.traits import equities, normal_trait, trait
from stressbook.agents.view import Accounts, Market, Me, look
from stressbook.agents.volumes import SECONDS_PER_DAY, SPOT_VOLUME_USD, VOLUME_SOURCE
from stressbook.market.compiling.arrays import I64, Records, record_dtype
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.rules.parameters import param
from stressbook.market.state.codes import MODE_PORTFOLIO

BUYING: Final = 1
SELLING: Final = -1

PARAMETERS = record_dtype(
    "asset interval_ms renewal_ms",
    "equity_usd load band_load rate_tolerance pace_usd slippage_frac",
)
MEMORY = record_dtype("next_ms working back_ms")


@dataclass(frozen=True)
class HolderParams:
    """The token holders of all assets.

    Examples
    --------
    >>> HolderParams().load_mean
    0.7
    """

    accounts: Mapping[str, int] = param(
        {"BTC": 30, "HYPE": 30}, unit="1", help="holders of an asset"
    )
    equity_usd: Mapping[str, float] = param(
        {"BTC": 97e6, "HYPE": 274e6},
        unit="USD",
        help="equity of an asset's holders together, the same under every regime",
        source="assumed: 150 and 500 M USD of tokens at the mean load",
    )
    enrolled_frac: Mapping[str, float] = param(
        {"BTC": 1.0 / 3.0, "HYPE": 1.0},
        unit="1",
        help="share of the accounts that portfolio margin has, where the venue offers it",
        source="collateral of 1,818 BTC and 9.9 M HYPE, live reserve states, 2026-09-08",
    )
    renewal_day: float = param(
        1.0, unit="day", help="mean time until a ruined account is replaced, in long runs", low=0.0
    )
    equity_spread: float = param(
        0.8, unit="1", help="largest deviation of an equity from the mean", low=0.0, high=0.95
    )
    load_mean: float = param(
        0.7, unit="1", help="mean target of debt over loan-to-value", low=0.0, high=1.0
    )
    load_sd: float = param(0.12, unit="1", help="its deviation between holders", low=0.0, high=1.0)
    load_low: float = param(0.05, unit="1", help="smallest target", low=0.0, high=1.0)
    load_high: float = param(0.95, unit="1", help="largest target", low=0.0, high=1.0)
    band_load: float = param(
        0.08, unit="1", help="deviation of the load at which trading begins", low=0.0
    )
    rate_tolerance_low: float = param(
        0.15,
        unit="1/year",
        help="smallest borrow rate beyond which a holder pays back",
        low=0.001,
    )
    rate_tolerance_high: float = param(0.60, unit="1/year", help="largest of it", low=0.001)
    spot_volume_usd: Mapping[str, float] = param(
        SPOT_VOLUME_USD,
        unit="USD/day",
        help="spot volume that paces them",
        source=VOLUME_SOURCE,
    )
    pace_frac: float = param(
        0.10, unit="1", help="of spot volume, an asset's holders together", low=0.0
    )
    interval_low_s: float = param(60.0, unit="s", help="shortest time between two orders", low=1.0)
    interval_high_s: float = param(180.0, unit="s", help="longest of it", low=1.0)
    slippage_frac: float = param(0.01, unit="1", help="worst price from the middle", low=0.0)


@inline_kernel
def decide(me: Me, mkt: Market, p: Any, out: Outbox) -> None:
    """Keep the load near its target, slowly."""
    m = me.memory
    now = mkt.clock[0].t_ms
    asset = mkt.asset[p.asset]
    if now < m.next_ms or me.account.n_pending > 0 or asset.spot_inst < 0:
        return
    m.next_ms = now + p.interval_ms
    if me.account.breached != 0 or me.account.account_mode != MODE_PORTFOLIO:
        return
    wealth = wealth_usd(me.account, me.position, me.token, mkt)
    error = load_error_usd(me, mkt, p)
    if is_away(me, mkt, p, out, wealth):
        error = -token_usd(me.token, mkt, p.asset)
    if error < 0.0 and asset.defence <= 0.0:
        return
    held = me.token[asset.token] // mkt.inst[asset.spot_inst].lot_units
    work(out, me.account, mkt, asset.spot_inst, error, p.pace_usd, held, p.slippage_frac)


@inline_kernel
def load_error_usd(me: Me, mkt: Market, p: Any) -> Any:
    """Return what to buy (or sell, below zero) to reach the target load; 0 within the band."""
    m = me.memory
    usdc = mkt.token[0]
    token = mkt.token[mkt.asset[p.asset].token]
    value = token_usd(me.token, mkt, p.asset)
    supply_cap_usd = float(token.user_supply_cap) / token.unit * mkt.asset[p.asset].oracle_usd
    capacity = token.ltv * (value if value < supply_cap_usd else supply_cap_usd)
    if capacity <= 0.0:
        return 0.0
    borrowed = float(me.account.debt_micro - me.account.cash_micro) / usdc.unit
    load = borrowed / capacity
    target = p.load
    by_cap = CAP_SHARE * float(usdc.user_borrow_cap) / usdc.unit / capacity
    target = target if target < by_cap else by_cap
    target *= willing_frac(usdc.borrow_rate, p.rate_tolerance)
    if load > target + p.band_load:
        m.working = SELLING
    elif load < target - p.band_load:
        m.working = BUYING
    elif (load <= target and m.working == SELLING) or (load >= target and m.working == BUYING):
        m.working = 0
    if m.working == 0:
        return 0.0
    error = (target - load) * capacity / (1.0 - target * token.ltv)
    room = usdc.platform_headroom if usdc.platform_headroom < usdc.pool else usdc.pool
    most = float(room if room > 0 else 0) / usdc.unit
    return error if error < most else most


@inline_kernel
def willing_frac(borrow_rate: float, tolerance: float) -> float:
    """Return the share of its load that a holder keeps: all to its tolerance, none at twice it."""
    share = 2.0 - borrow_rate / tolerance
    share = share if share < 1.0 else 1.0
    return share if share > 0.0 else 0.0


@kernel
def run(
    accounts: Accounts, mkt: Market, users: I64, parameters: Records, memory: Records, out: Outbox
) -> None:
    """Let each account of a desk decide."""
    for j in range(users.shape[0]):
        decide(look(accounts, users[j], memory[j]), mkt, parameters[j], out)


RULE = Rule("holder", CLASS_NUMBERS["holder"], PARAMETERS, MEMORY, decide, run)


def account_parameters(
    params: HolderParams, keys: I64, *, seed: int, asset: int, name: str
) -> Records:
    """Return the parameters of one asset's holders.

    Parameters
    ----------
    params : HolderParams
        Of the class.
    keys : ndarray of int64, shape (n,)
        Account keys; each account's traits are drawn by its own key.
    seed : int
        Of the run.
    asset : int
        Index of the asset in the venue.
    name : str
        Its name.

    Returns
    -------
    ndarray of PARAMETERS, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> keys = np.arange(30) + (4 << 20)
    >>> records = account_parameters(HolderParams(), keys, seed=7, asset=3, name="HYPE")
    >>> bool((records["load"] > 0.0).all())
    True
    """
    r = np.zeros(len(keys), PARAMETERS)
    total = params.equity_usd.get(name, 0.0)
    equity = equities(
        trait(seed, keys, 0, 1.0 - params.equity_spread, 1.0 + params.equity_spread), total
    )
    interval_s = trait(seed, keys, 1, params.interval_low_s, params.interval_high_s)
    load = params.load_mean + params.load_sd * normal_trait(seed, keys, 2)
    r["asset"] = asset
    r["interval_ms"] = (interval_s * 1000.0).astype(np.int64)
    r["equity_usd"] = equity
    r["renewal_ms"] = round(params.renewal_day * 86_400_000.0)
    r["load"] = np.minimum(np.maximum(load, params.load_low), params.load_high)
    r["band_load"] = params.band_load
    r["rate_tolerance"] = trait(
        seed, keys, 3, params.rate_tolerance_low, params.rate_tolerance_high
    )
    pace = params.pace_frac * params.spot_volume_usd.get(name, 0.0) / SECONDS_PER_DAY
    r["pace_usd"] = pace * equity / (total if total > 0.0 else 1.0) * interval_s
    r["slippage_frac"] = params.slippage_frac
    return r
