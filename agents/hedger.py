"""Hedgers: token collateral against a short basket of perps.

The pattern seen on the venue: BTC or HYPE as collateral, nearly all perps short, most of them in
the same coin and the rest in others. The size of the basket is the estimated minimum-variance
ratio, covariance of coin and basket over the basket's variance, times the share that the account
hedges at all; so a break of correlations leaves it with a hedge that was right yesterday.

Perp against perp gets no relief under the venue's rules. Under portfolio margin the tokens carry
the perps and losses become debt, up to an own limit of load; under cross tokens count for nothing,
so part of the wealth stands in USDC and is refilled by selling tokens; so it is, as far as user
caps leave too little to borrow, under portfolio margin.

Source: live portfolio-margin accounts of Hyperliquid, 2026-09-08 and 2026-09-14; the ratio is that
of Ederington, The hedging performance of the new futures markets, JF 1979.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stressbook.agents.credit import CAP_SHARE
from stressbook.agents.execution import SHORTABLE, perp_usd, token_usd, wealth_usd, work
from stressbook.agents.hedged_book import TRANSFER_FLOOR
from stressbook.agents.outbox import Outbox
from stressbook.agents.renewal import is_away
from stressbook.agents.rule import Rule
from stressbook.agents.traits import equities, halflife_weight, trait
from stressbook.agents.view import Accounts, Market, Me, look
from stressbook.market.compiling.arrays import I64, Records, record_dtype
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.numbers.elementary import ln
from stressbook.market.rules.parameters import param
from stressbook.market.state.codes import MODE_PORTFOLIO

RELIEF: Final = 0.8  # of the load limit: where selling tokens ends

PARAMETERS = record_dtype(
    "asset interval_ms sample_ms renewal_ms",
    "equity_usd own_weight cover ratio_low ratio_high sample_weight band_frac cross_margin_frac "
    "load_limit clip_usd slippage_frac",
)
MEMORY = record_dtype(
    "next_ms next_sample_ms sampled selling back_ms",
    "log_own log_basket covariance variance",
)


@dataclass(frozen=True)
class HedgerParams:
    """The hedgers of all assets.

    Examples
    --------
    >>> HedgerParams().equity_usd["BTC"]
    120000000.0
    """

    accounts: Mapping[str, int] = param(
        {"BTC": 12, "HYPE": 12}, unit="1", help="hedgers with this collateral"
    )
    equity_usd: Mapping[str, float] = param(
        {"BTC": 120e6, "HYPE": 120e6},
        unit="USD",
        help="equity of an asset's hedgers together, the same under every regime",
        source="assumed; worked in trial runs on two assets",
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
        0.6, unit="1", help="largest deviation of an equity from the mean", low=0.0, high=0.95
    )
    own_weight: float = param(
        0.71,
        unit="1",
        help="share of the collateral's own coin in the basket, the rest in equal parts",
        source="live portfolio-margin account, 2026-09-08: 71 % of positions in BTC",
        low=0.0,
        high=1.0,
    )
    cover_low: float = param(
        0.6, unit="1", help="least share of the collateral that is hedged", low=0.0
    )
    cover_high: float = param(1.0, unit="1", help="most of it", low=0.0)
    ratio_low: float = param(0.5, unit="1", help="smallest hedge ratio", low=0.0)
    ratio_high: float = param(1.2, unit="1", help="largest hedge ratio", low=0.0)
    sample_s: float = param(300.0, unit="s", help="time between two returns", low=1.0)
    sample_halflife_day: float = param(
        15.0, unit="day", help="half-life of the covariance estimate", low=0.01
    )
    band_frac: float = param(
        0.05, unit="1", help="error of a leg or of the token share that is left alone", low=0.0
    )
    cross_margin_low: float = param(
        0.15, unit="1", help="least USDC against the basket under cross, of its notional"
    )
    cross_margin_high: float = param(0.35, unit="1", help="most of it")
    load_limit: float = param(
        0.6, unit="1", help="debt over loan-to-value beyond which tokens are sold", low=0.0
    )
    clip_frac: float = param(
        0.01, unit="1", help="largest order of a leg, of equity", low=0.0, high=1.0
    )
    interval_low_s: float = param(20.0, unit="s", help="shortest time between two looks", low=1.0)
    interval_high_s: float = param(60.0, unit="s", help="longest of it", low=1.0)
    slippage_frac: float = param(0.005, unit="1", help="worst price from the middle", low=0.0)


@inline_kernel
def decide(me: Me, mkt: Market, p: Any, out: Outbox) -> None:
    """Estimate the ratio; keep tokens, then each leg of the basket, within their bands."""
    m = me.memory
    now = mkt.clock[0].t_ms
    if now >= m.next_sample_ms:
        m.next_sample_ms = now + p.sample_ms
        _sample(me, mkt, p)
    if now < m.next_ms or me.account.n_pending > 0:
        return
    m.next_ms = now + p.interval_ms
    if me.account.breached != 0 or mkt.asset[p.asset].oracle_usd <= 0.0:
        return
    wealth = wealth_usd(me.account, me.position, me.token, mkt)
    away = is_away(me, mkt, p, out, wealth)
    error = -token_usd(me.token, mkt, p.asset) if away else token_error_usd(me, mkt, p, wealth)
    _work_tokens(me, mkt, p, out, error)
    _work_basket(me, mkt, p, out)


@inline_kernel
def leg_weight(mkt: Market, p: Any, asset: int) -> Any:
    """Return the share of an asset's perp in the basket; shares sum to 1 over listed perps."""
    others = 0
    for a in range(mkt.asset.shape[0]):
        if a != p.asset and mkt.asset[a].perp_inst >= 0:
            others += 1
    if mkt.asset[asset].perp_inst < 0:
        return 0.0
    if asset == p.asset:
        return p.own_weight if others > 0 else 1.0
    return (1.0 - p.own_weight) / float(others)


@inline_kernel
def _sample(me: Me, mkt: Market, p: Any) -> None:
    """Take the next return of coin and basket into the estimate."""
    m = me.memory
    log_basket = 0.0
    for a in range(mkt.asset.shape[0]):
        if mkt.asset[a].mark_usd <= 0.0:
            return
        log_basket += leg_weight(mkt, p, a) * ln(mkt.asset[a].mark_usd)
    log_own = ln(mkt.asset[p.asset].mark_usd)
    if m.sampled > 0:
        own = log_own - m.log_own
        basket = log_basket - m.log_basket
        m.covariance += p.sample_weight * (own * basket - m.covariance)
        m.variance += p.sample_weight * (basket * basket - m.variance)
    m.sampled += 1
    m.log_own = log_own
    m.log_basket = log_basket


@inline_kernel
def hedge_ratio(me: Me, p: Any) -> Any:
    """Return the minimum-variance ratio within its bounds, times the share hedged."""
    m = me.memory
    ratio = m.covariance / m.variance if m.variance > 0.0 else 1.0
    ratio = ratio if ratio > p.ratio_low else p.ratio_low
    ratio = ratio if ratio < p.ratio_high else p.ratio_high
    return ratio * p.cover


@inline_kernel
def _work_tokens(me: Me, mkt: Market, p: Any, out: Outbox, error: float) -> None:
    """Sell tokens where margin runs short, buy where USDC lies idle."""
    asset = mkt.asset[p.asset]
    spot = asset.spot_inst
    if spot < 0 or (error < 0.0 and asset.defence <= 0.0):
        return
    held = me.token[asset.token] // mkt.inst[spot].lot_units
    work(out, me.account, mkt, spot, error, p.clip_usd, held, p.slippage_frac)


@inline_kernel
def token_error_usd(me: Me, mkt: Market, p: Any, wealth: float) -> Any:
    """Return the tokens to buy (or sell, below zero), in USD; 0 within the band."""
    m = me.memory
    value = token_usd(me.token, mkt, p.asset)
    token = mkt.token[mkt.asset[p.asset].token]
    usdc = wealth - value
    ratio = hedge_ratio(me, p)
    supply_cap_usd = float(token.user_supply_cap) / token.unit * mkt.asset[p.asset].oracle_usd
    cap_usd = float(mkt.token[0].user_borrow_cap) / mkt.token[0].unit
    is_lent = me.account.account_mode == MODE_PORTFOLIO and token.ltv > 0.0
    most = wealth / (1.0 + ratio * p.cross_margin_frac)
    if is_lent:
        most = held_usd(
            wealth,
            ratio * p.cross_margin_frac,
            ratio * TRANSFER_FLOOR,
            token.ltv,
            token.ltv,
            supply_cap_usd,
            cap_usd,
        )
    if not is_lent or most < wealth:
        error = most - value
        band = p.band_frac * value
        return 0.0 if -band <= error <= band else error
    capacity = token.ltv * (value if value < supply_cap_usd else supply_cap_usd)
    if -usdc > p.load_limit * capacity:
        m.selling = 1
    elif -usdc <= RELIEF * p.load_limit * capacity:
        m.selling = 0
    if m.selling > 0:
        target = RELIEF * p.load_limit
        return (usdc + target * capacity) / (1.0 - target * token.ltv)
    own = ratio * TRANSFER_FLOOR * value - lendable_usd(me, mkt)  # margin that nobody lends
    idle = usdc - own if own > 0.0 else usdc
    return idle if idle > p.band_frac * wealth else 0.0


@inline_kernel
def lendable_usd(me: Me, mkt: Market) -> Any:
    """Return what the account owes and what platform cap and pool would lend on top."""
    usdc = mkt.token[0]
    room = usdc.platform_headroom if usdc.platform_headroom < usdc.pool else usdc.pool
    return float(me.account.debt_micro + (room if room > 0 else 0)) / usdc.unit


@inline_kernel
def held_usd(
    wealth: float,
    cushion: float,
    margin: float,
    ltv: float,
    counted_ltv: float,
    supply_cap_usd: float,
    borrow_cap_usd: float,
) -> float:
    """Return the tokens that a hedger holds within user caps, in USD: all its wealth, or less.

    `cushion` and `margin` are per unit of tokens: the USDC kept against the basket under cross,
    and the least that the venue asks for it. What a share of the credit (the first) and of
    loan-to-value (the second, `counted_ltv` within the platform's supply cap) does not give, tokens
    beyond the supply cap or debts beyond the borrow cap, is kept in USDC.
    """
    credit = CAP_SHARE * (0.5 + 0.5 * ltv)
    capacity = CAP_SHARE * counted_ltv
    by_cap = CAP_SHARE * borrow_cap_usd
    need = cushion if cushion > margin else margin
    held = wealth
    most = wealth / (1.0 + cushion - credit) if cushion > credit else wealth
    held = held if held < most else most
    most = wealth / (1.0 + margin - capacity) if margin > capacity else wealth
    held = held if held < most else most
    most = (wealth + credit * supply_cap_usd) / (1.0 + cushion)
    held = held if held < most else most
    most = (wealth + capacity * supply_cap_usd) / (1.0 + margin)
    held = held if held < most else most
    most = (wealth + by_cap) / (1.0 + need)
    return held if held < most else most


@inline_kernel
def _work_basket(me: Me, mkt: Market, p: Any, out: Outbox) -> None:
    """Bring each perp to its share of the hedge, signed."""
    hedge = hedge_ratio(me, p) * token_usd(me.token, mkt, p.asset)
    for a in range(mkt.asset.shape[0]):
        perp = mkt.asset[a].perp_inst
        if perp < 0:
            continue
        target = -hedge * leg_weight(mkt, p, a)
        error = target - perp_usd(me.position, mkt, a)
        band = -p.band_frac * target
        if error > band or error < -band:
            work(out, me.account, mkt, perp, error, p.clip_usd, SHORTABLE, p.slippage_frac)


@kernel
def run(
    accounts: Accounts, mkt: Market, users: I64, parameters: Records, memory: Records, out: Outbox
) -> None:
    """Let each account of a desk decide."""
    for j in range(users.shape[0]):
        decide(look(accounts, users[j], memory[j]), mkt, parameters[j], out)


RULE = Rule("hedger", CLASS_NUMBERS["hedger"], PARAMETERS, MEMORY, decide, run)


def account_parameters(
    params: HedgerParams, keys: I64, *, seed: int, asset: int, name: str
) -> Records:
    """Return the parameters of the hedgers with one asset as collateral.

    Parameters
    ----------
    params : HedgerParams
        Of the class.
    keys : ndarray of int64, shape (n,)
        Account keys; each account's traits are drawn by its own key.
    seed : int
        Of the run.
    asset : int
        Index of the collateral's asset in the venue.
    name : str
        Its name.

    Returns
    -------
    ndarray of PARAMETERS, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> keys = np.arange(12) + (3 << 20)
    >>> records = account_parameters(HedgerParams(), keys, seed=7, asset=0, name="BTC")
    >>> round(float(records["equity_usd"].sum()))
    120000000
    """
    r = np.zeros(len(keys), PARAMETERS)
    equity = equities(
        trait(seed, keys, 0, 1.0 - params.equity_spread, 1.0 + params.equity_spread),
        params.equity_usd.get(name, 0.0),
    )
    interval_s = trait(seed, keys, 1, params.interval_low_s, params.interval_high_s)
    r["asset"] = asset
    r["interval_ms"] = (interval_s * 1000.0).astype(np.int64)
    r["sample_ms"] = round(params.sample_s * 1000.0)
    r["equity_usd"] = equity
    r["renewal_ms"] = round(params.renewal_day * 86_400_000.0)
    r["own_weight"] = params.own_weight
    r["cover"] = trait(seed, keys, 2, params.cover_low, params.cover_high)
    r["ratio_low"] = params.ratio_low
    r["ratio_high"] = params.ratio_high
    r["sample_weight"] = halflife_weight(params.sample_s, params.sample_halflife_day * 86_400.0)
    r["band_frac"] = params.band_frac
    r["cross_margin_frac"] = trait(seed, keys, 3, params.cross_margin_low, params.cross_margin_high)
    r["load_limit"] = params.load_limit
    r["clip_usd"] = params.clip_frac * equity
    r["slippage_frac"] = params.slippage_frac
    return r
