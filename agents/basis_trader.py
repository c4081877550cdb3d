"""Basis traders: tokens bought on spot against a short perp, held for the funding, or sold short.

The book that one wants is `equity x kappa x net carry`: a slow average of funding, plus the basis
that will close, less fees over the horizon and the own hurdle. As far as own capital does not pay
for the tokens the purchase is borrowed, so beyond that point the borrow rate comes off the carry;
borrowing goes up to an own share of what loan-to-value, supply and borrow caps leave. Under cross
margin tokens are no collateral and the book ends where cash for the perp's margin runs out.

Where the venue lends the token, a funding negative enough to pay its interest, the fees and the
hurdle is earned the other way round, by an account under portfolio margin: the token is sold short
against a long perp, as far as own capital secures the debt.

The spot leg leads, at a share of spot volume. The perp leg follows what was really bought: signed,
so that a leg lost to deleveraging or takeover is rebuilt or closed, never doubled. Speeds, hurdles
and limits differ between traders: identical ones make a limit cycle of funding.

Source of the rule: Brunnermeier and Pedersen, Market liquidity and funding liquidity, RFS 2009
(capital-limited carry); sizes assumed, from trial runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stressbook.agents.credit import CAP_SHARE
from stressbook.agents.execution import (
    SHORTABLE,
    token_usd,
    wealth_usd,
    work,
)
from stressbook.agents.outbox import Outbox
from stressbook.agents.renewal import is_away
from stressbook.agents.rule import Rule
from stressbook.agents.traits import equities, halflife_weight, trait
from stressbook.agents.view import Accounts, Market, Me, look
from stressbook.agents.volumes import SECONDS_PER_DAY, SPOT_VOLUME_USD, VOLUME_SOURCE
from stressbook.market.compiling.arrays import I64, Records, record_dtype
from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.lending.lending_rates import HOURS_PER_YEAR
from stressbook.market.numbers.draws import CLASS_NUMBERS
from stressbook.market.rules.parameters import param
from stressbook.market.state.codes import MODE_PORTFOLIO

DAYS_PER_YEAR: Final = 365.0
CUT_SHARE: Final = 0.5  # of the book that an account in distress keeps
SETTLED_SHARE: Final = 0.2  # of the band: where a trade that has begun ends

PARAMETERS = record_dtype(
    "asset interval_ms renewal_ms",
    "equity_usd kappa hurdle_frac ema_weight round_trip_frac horizon_years band_frac "
    "cross_margin_frac financed_margin_frac limit_frac pace_usd urgency slippage_frac "
    "hedge_band_frac hedge_clip_frac unwind_ratio",
)
MEMORY = record_dtype("next_ms working back_ms", "funding_ema")

TRIAL: Final = "assumed; worked in trial runs on two assets"


@dataclass(frozen=True)
class BasisTraderParams:
    """The basis traders of all assets.

    Examples
    --------
    >>> BasisTraderParams().equity_usd["HYPE"]
    80000000.0
    """

    accounts: Mapping[str, int] = param(
        {"BTC": 12, "ETH": 12, "HYPE": 12}, unit="1", help="traders of an asset", source=TRIAL
    )
    equity_usd: Mapping[str, float] = param(
        {"BTC": 120e6, "ETH": 100e6, "HYPE": 80e6},
        unit="USD",
        help="equity of an asset's traders together",
        source=TRIAL + "; ETH assumed between them",
    )
    enrolled_frac: Mapping[str, float] = param(
        {"BTC": 1.0 / 3.0, "ETH": 0.0, "HYPE": 1.0},
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
    spot_volume_usd: Mapping[str, float] = param(
        SPOT_VOLUME_USD,
        unit="USD/day",
        help="spot volume that paces them",
        source=VOLUME_SOURCE,
    )
    pace_frac: float = param(
        0.10, unit="1", help="of spot volume, an asset's traders together", source=TRIAL, low=0.0
    )
    kappa: float = param(
        12.0, unit="1", help="book over equity for one unit of net yearly carry", source=TRIAL
    )
    hurdle_low: float = param(0.03, unit="1/year", help="smallest own hurdle", source=TRIAL)
    hurdle_high: float = param(0.11, unit="1/year", help="largest own hurdle", source=TRIAL)
    signal_halflife_h: float = param(
        18.0, unit="h", help="mean half-life of the funding average", source=TRIAL, low=0.01
    )
    speed_spread: float = param(
        0.6, unit="1", help="largest deviation of half-lives and paces from the mean", low=0.0
    )
    round_trip_frac: float = param(
        0.0014,
        unit="1",
        help="fees of opening and closing both legs",
        source="Hyperliquid docs, fees: taker above 100M USD of volume, 2026-08-19",
    )
    horizon_days: float = param(
        30.0, unit="day", help="time over which fees and basis are earned", low=0.1
    )
    band_frac: float = param(
        0.05, unit="1", help="no trade while the error is smaller, of the book", source=TRIAL
    )
    cross_margin_low: float = param(
        0.12, unit="1", help="least cash kept against the perp under cross, of the book"
    )
    cross_margin_high: float = param(0.30, unit="1", help="most of it")
    financed_margin_frac: float = param(
        0.10,
        unit="1",
        help="initial requirement of the perp while tokens are collateral",
        source="Hyperliquid docs, margining: at least 10 % of notional, 2026-01",
    )
    limit_low: float = param(
        0.3, unit="1", help="least share used of the room to borrow", low=0.0, high=1.0
    )
    limit_high: float = param(0.9, unit="1", help="most of it", low=0.0, high=1.0)
    interval_low_s: float = param(20.0, unit="s", help="shortest time between two orders", low=1.0)
    interval_high_s: float = param(60.0, unit="s", help="longest of it", low=1.0)
    urgency: float = param(5.0, unit="1", help="pace in distress over the normal pace", low=1.0)
    unwind_ratio: float = param(
        0.75, unit="1", help="margin ratio beyond which the book is cut", low=0.0, high=1.0
    )
    slippage_frac: float = param(0.005, unit="1", help="worst price from the middle", low=0.0)
    hedge_band_frac: float = param(
        0.001, unit="1", help="perp error left alone, of equity", low=0.0
    )
    hedge_clip_frac: float = param(
        0.02, unit="1", help="largest perp order, of equity", low=0.0, high=1.0
    )


@inline_kernel
def decide(me: Me, mkt: Market, p: Any, out: Outbox) -> None:
    """Follow the funding; hedge what was bought; then work the spot leg."""
    m = me.memory
    now = mkt.clock[0].t_ms
    if now < m.next_ms or me.account.n_pending > 0:
        return
    m.next_ms = now + p.interval_ms
    asset = mkt.asset[p.asset]
    m.funding_ema += p.ema_weight * (asset.funding_hourly * HOURS_PER_YEAR - m.funding_ema)
    if me.account.breached != 0 or asset.oracle_usd <= 0.0:
        return
    wealth = wealth_usd(me.account, me.position, me.token, mkt)
    _hedge(me, mkt, p, out, wealth)
    away = is_away(me, mkt, p, out, wealth)
    _work_spot(me, mkt, p, out, 0.0 if away else wealth)


@inline_kernel
def _hedge(me: Me, mkt: Market, p: Any, out: Outbox, wealth: float) -> None:
    """Bring the perp to minus the tokens that are really there."""
    asset = mkt.asset[p.asset]
    perp = asset.perp_inst
    coins = float(me.token[asset.token]) / mkt.token[asset.token].unit
    coins += float(me.position[perp]) * mkt.inst[perp].lot_size
    error_usd = -coins * asset.oracle_usd
    band = p.hedge_band_frac * (wealth if wealth > 0.0 else 0.0)
    if error_usd > band or error_usd < -band:
        clip = p.hedge_clip_frac * (wealth if wealth > p.equity_usd else p.equity_usd)
        work(out, me.account, mkt, perp, error_usd, clip, SHORTABLE, p.slippage_frac)


@inline_kernel
def _work_spot(me: Me, mkt: Market, p: Any, out: Outbox, wealth: float) -> None:
    """Send the next child of the spot leg, within the no-trade band and the pace."""
    m = me.memory
    asset = mkt.asset[p.asset]
    holding = token_usd(me.token, mkt, p.asset)
    target = target_usd(me, mkt, p, wealth, holding)
    pace = p.pace_usd
    if me.account.ratio > p.unwind_ratio and asset.defence > 0.0:
        cut = CUT_SHARE * holding
        if holding < 0.0:
            target = target if target > cut else cut
        else:
            target = target if target < cut else cut
        pace *= p.urgency
    error = target - holding
    size = error if error > 0.0 else -error
    wanted, held_usd = abs(target), abs(holding)
    band = p.band_frac * (wanted if wanted > held_usd else held_usd)
    if size > band:
        m.working = 1
    elif size < SETTLED_SHARE * band:
        m.working = 0
    if m.working != 0:
        held = me.token[asset.token] // mkt.inst[asset.spot_inst].lot_units
        if target < 0.0:
            held = SHORTABLE
        elif held < 0:
            held = 0
        work(out, me.account, mkt, asset.spot_inst, error, pace, held, p.slippage_frac)


@inline_kernel
def target_usd(me: Me, mkt: Market, p: Any, wealth: float, holding: float) -> float:
    """Return the tokens to hold, in USD, negative for a short of them.

    A `holding` is kept where defence is switched off.
    """
    book = _long_usd(me, mkt, p, wealth, holding if holding > 0.0 else 0.0)
    token = mkt.token[mkt.asset[p.asset].token]
    may_borrow = token.borrowable != 0 and me.account.account_mode == MODE_PORTFOLIO
    if book > 0.0 or not may_borrow or token.ltv <= 0.0:
        return book
    return -_short_usd(me, mkt, p, wealth, -holding if holding < 0.0 else 0.0)


@inline_kernel
def _short_usd(me: Me, mkt: Market, p: Any, wealth: float, held: float) -> float:
    """Return the tokens to be short, in USD: own capital stands behind value / loan-to-value."""
    asset = mkt.asset[p.asset]
    token = mkt.token[asset.token]
    basis = asset.mark_usd / asset.oracle_usd - 1.0
    carry = -me.memory.funding_ema - (basis + p.round_trip_frac) / p.horizon_years
    carry -= p.hurdle_frac + token.borrow_rate
    wanted = wealth * p.kappa * carry
    if wealth <= 0.0 or wanted <= 0.0:
        return held if asset.defence <= 0.0 else 0.0
    most = p.limit_frac * wealth / (1.0 / token.ltv - 1.0 + p.financed_margin_frac)
    cap = CAP_SHARE * float(token.user_borrow_cap) / token.unit * asset.oracle_usd
    room = token.platform_headroom if token.platform_headroom < token.pool else token.pool
    lendable = held + float(room if room > 0 else 0) / token.unit * asset.oracle_usd
    most = most if most < cap else cap
    most = most if most < lendable else lendable
    return wanted if wanted < most else most


@inline_kernel
def _long_usd(me: Me, mkt: Market, p: Any, wealth: float, holding: float) -> float:
    """Return the tokens to be long, in USD, on own capital and on what may be borrowed."""
    asset = mkt.asset[p.asset]
    basis = asset.mark_usd / asset.oracle_usd - 1.0
    carry = me.memory.funding_ema + (basis - p.round_trip_frac) / p.horizon_years - p.hurdle_frac
    usdc = mkt.token[0]
    token = mkt.token[asset.token]
    room = usdc.platform_headroom if usdc.platform_headroom < usdc.pool else usdc.pool
    ltv = token.ltv if me.account.account_mode == MODE_PORTFOLIO else 0.0
    return book_usd(
        wealth,
        p.kappa,
        carry,
        p.financed_margin_frac if ltv > 0.0 else p.cross_margin_frac,
        p.cross_margin_frac,
        p.limit_frac,
        holding if asset.defence <= 0.0 else 0.0,
        usdc.borrow_rate,
        ltv,
        float(token.user_supply_cap) / token.unit * asset.oracle_usd,
        CAP_SHARE * float(usdc.user_borrow_cap) / usdc.unit,
        float(me.account.debt_micro + (room if room > 0 else 0)) / usdc.unit,
    )


@inline_kernel
def book_usd(
    wealth: float,
    kappa: float,
    carry: float,
    margin: float,
    cushion: float,
    limit_frac: float,
    floor: float,
    borrow_rate: float,
    ltv: float,
    supply_cap_usd: float,
    borrow_cap_usd: float,
    lendable_usd: float,
) -> float:
    """Return the hedged book that a net yearly carry is worth, in USD of tokens.

    `ltv` is 0 where tokens are no collateral; a book up to `floor` is not cut for want of capital.
    Where caps leave little to borrow, a book has the `cushion` against its perp that it has under
    cross: USDC, and what may still be borrowed.
    """
    wanted = wealth * kappa * carry
    if wealth <= 0.0 or wanted <= 0.0:
        return 0.0
    own = wealth / (1.0 + margin)
    safe = own
    if ltv > 0.0:
        safe = cushioned_usd(wealth, ltv, supply_cap_usd, borrow_cap_usd, cushion)
        own = own if own < safe else safe
    own = own if own > floor else floor
    if wanted <= own or ltv <= 0.0:
        return wanted if wanted < own else own
    financed = wealth * kappa * (carry - borrow_rate)
    most = financing_limit_usd(wealth, ltv, supply_cap_usd, borrow_cap_usd, lendable_usd, margin)
    most = most if most < safe else safe
    limit = own + limit_frac * (most - own)
    financed = financed if financed < limit else limit
    return financed if financed > own else own


@inline_kernel
def cushioned_usd(
    wealth: float, ltv: float, supply_cap_usd: float, borrow_cap_usd: float, cushion: float
) -> float:
    """Return the largest book whose perp has a cushion in what is owned and may be owed.

    User caps count in the credit of collateral: beyond them a rise of the price, which the tokens
    gain and the perp loses, brings no credit, but takes USDC. Up to the supply cap it brings both.
    """
    by_cap = (wealth + borrow_cap_usd) / (1.0 + cushion)
    by_supply = (wealth + (0.5 + 0.5 * ltv) * supply_cap_usd) / (1.0 + cushion)
    by_supply = by_supply if by_supply > supply_cap_usd else supply_cap_usd
    return by_cap if by_cap < by_supply else by_supply


@inline_kernel
def financing_limit_usd(
    wealth: float,
    ltv: float,
    supply_cap_usd: float,
    borrow_cap_usd: float,
    lendable_usd: float,
    margin: float,
) -> float:
    """Return the largest hedged book that loan-to-value, supply cap, borrow cap and pool allow.

    The debt of a book N is N (1 + margin) - wealth; tokens beyond the supply cap carry none.
    """
    book = wealth / (1.0 - ltv + margin)
    if book > supply_cap_usd:
        book = (wealth + ltv * supply_cap_usd) / (1.0 + margin)
    debt = borrow_cap_usd if borrow_cap_usd < lendable_usd else lendable_usd
    by_debt = (wealth + debt) / (1.0 + margin)
    return book if book < by_debt else by_debt


@kernel
def run(
    accounts: Accounts, mkt: Market, users: I64, parameters: Records, memory: Records, out: Outbox
) -> None:
    """Let each account of a desk decide."""
    for j in range(users.shape[0]):
        decide(look(accounts, users[j], memory[j]), mkt, parameters[j], out)


RULE = Rule("basis_trader", CLASS_NUMBERS["basis_trader"], PARAMETERS, MEMORY, decide, run)


def account_parameters(
    params: BasisTraderParams, keys: I64, *, seed: int, asset: int, name: str
) -> Records:
    """Return the parameters of one asset's basis traders.

    Parameters
    ----------
    params : BasisTraderParams
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
    >>> keys = np.arange(12) + (2 << 20)
    >>> records = account_parameters(BasisTraderParams(), keys, seed=7, asset=0, name="BTC")
    >>> round(float(records["equity_usd"].sum()))
    120000000
    """
    r = np.zeros(len(keys), PARAMETERS)
    spread = params.speed_spread
    equity = equities(
        trait(seed, keys, 0, 1.0 - params.equity_spread, 1.0 + params.equity_spread),
        params.equity_usd.get(name, 0.0),
    )
    interval_s = trait(seed, keys, 1, params.interval_low_s, params.interval_high_s)
    r["asset"] = asset
    r["interval_ms"] = (interval_s * 1000.0).astype(np.int64)
    r["equity_usd"] = equity
    r["renewal_ms"] = round(params.renewal_day * 86_400_000.0)
    r["kappa"] = params.kappa
    r["hurdle_frac"] = trait(seed, keys, 2, params.hurdle_low, params.hurdle_high)
    halflife_s = 3600.0 * params.signal_halflife_h * trait(seed, keys, 3, 1 - spread, 1 + spread)
    r["ema_weight"] = halflife_weight(interval_s, halflife_s)
    r["round_trip_frac"] = params.round_trip_frac
    r["horizon_years"] = params.horizon_days / DAYS_PER_YEAR
    r["band_frac"] = params.band_frac
    r["cross_margin_frac"] = trait(seed, keys, 4, params.cross_margin_low, params.cross_margin_high)
    r["financed_margin_frac"] = params.financed_margin_frac
    r["limit_frac"] = trait(seed, keys, 5, params.limit_low, params.limit_high)
    total = params.equity_usd.get(name, 0.0)
    pace = params.pace_frac * params.spot_volume_usd.get(name, 0.0) / SECONDS_PER_DAY
    own_pace = pace * equity / (total if total > 0.0 else 1.0)
    r["pace_usd"] = own_pace * interval_s * trait(seed, keys, 6, 1 - spread, 1 + spread)
    r["urgency"] = params.urgency
    r["slippage_frac"] = params.slippage_frac
    r["hedge_band_frac"] = params.hedge_band_frac
    r["hedge_clip_frac"] = params.hedge_clip_frac
    r["unwind_ratio"] = params.unwind_ratio
    return r
