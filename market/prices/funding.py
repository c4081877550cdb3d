r"""Funding: what the perp's premium over the oracle costs, every hour, from one side to the other.

Every 5 s the premium is sampled at the prices of a stated size, the impact notional,

.. math:: p = [\max(bid - oracle, 0) - \max(oracle - ask, 0)] / oracle,

and with P the mean of the period's samples the rate for eight hours is
:math:`P + clamp(interest - P, \pm clamp)` and a static part, which is 0 on this venue; its share of
the period, capped, is paid by longs to shorts on the oracle price, not the mark. A side that does
not hold the size contributes nothing.

Source: Hyperliquid docs, funding, 2026-01.
"""

from __future__ import annotations

from typing import Final

from stressbook.market.compiling.kernel import inline_kernel, kernel
from stressbook.market.numbers.units import (
    NEAREST,
    NOT_REPRESENTABLE,
    RATE_ONE,
    mul_div,
    round_nearest,
)
from stressbook.market.orders.depth import impact_price
from stressbook.market.state.codes import BUY, CAUSE_FUNDING, EV_FUNDING, FAULT_OVERFLOW, SELL
from stressbook.market.state.events import log_event
from stressbook.market.state.ledger import move_cash, raise_fault
from stressbook.market.state.records import VenueState

__all__ = [
    "RATE_PERIOD_MS",
    "eight_hour_rate",
    "funding_rate_e15",
    "mean_premium",
    "payment_micro",
    "period_rate",
    "premium_of",
    "sample_premium",
    "settle_funding",
]

RATE_PERIOD_MS: Final = 8 * 3_600_000  # interest, clamp and rate are quoted for eight hours
_NONE: Final = -1


@inline_kernel
def premium_of(impact_bid_usd: float, impact_ask_usd: float, oracle_usd: float) -> float:
    """Return one sample of the premium.

    Parameters
    ----------
    impact_bid_usd, impact_ask_usd : float
        Average price at which the impact notional would be sold and bought; NaN if it cannot.
    oracle_usd : float
        Oracle price, positive.

    Returns
    -------
    float
        A fraction of the oracle price.

    Examples
    --------
    >>> premium_of(10_100.0, 10_101.0, 10_000.0)
    0.01
    """
    over_usd = impact_bid_usd - oracle_usd
    under_usd = oracle_usd - impact_ask_usd
    # Comparing with NaN is false: a missing side contributes nothing.
    premium_usd = over_usd if over_usd > 0.0 else 0.0
    if under_usd > 0.0:
        premium_usd -= under_usd
    return premium_usd / oracle_usd


@inline_kernel
def mean_premium(premium_sum: float, n_samples: int) -> float:
    """Return the mean of a period's samples, of which those of empty sides are 0.

    Parameters
    ----------
    premium_sum : float
        Fractions.
    n_samples : int
        How many were due.

    Returns
    -------
    float
        0 without samples.

    Examples
    --------
    >>> mean_premium(0.003, 2), mean_premium(0.0, 0)
    (0.0015, 0.0)
    """
    return premium_sum / float(n_samples) if n_samples > 0 else 0.0


@inline_kernel
def eight_hour_rate(
    premium: float, interest_frac: float, clamp_frac: float, static_frac: float
) -> float:
    """Return the funding rate of eight hours, before it is capped.

    Parameters
    ----------
    premium : float
        Mean of its samples, a fraction.
    interest_frac, clamp_frac, static_frac : float
        Interest, bound of (interest - premium), and what is always added; fractions for eight
        hours.

    Returns
    -------
    float
        A fraction; positive when longs pay.

    Examples
    --------
    >>> round(eight_hour_rate(0.01, 0.0001, 0.0005, 0.0), 9)
    0.0095
    """
    correction = max(-clamp_frac, min(clamp_frac, interest_frac - premium))
    return premium + correction + static_frac


@inline_kernel
def period_rate(rate_8h: float, cap_frac: float, period_ms: int) -> float:
    """Return the share of a period in the rate of eight hours, capped.

    Parameters
    ----------
    rate_8h : float
        `eight_hour_rate`.
    cap_frac : float
        Largest rate of a period in size, a fraction.
    period_ms : int
        Length of the period, ms.

    Returns
    -------
    float
        A fraction.

    Examples
    --------
    >>> period_rate(0.0001, 0.04, 3_600_000), period_rate(1.0, 0.04, 3_600_000)
    (1.25e-05, 0.04)
    """
    return max(-cap_frac, min(cap_frac, rate_8h * (float(period_ms) / RATE_PERIOD_MS)))


@inline_kernel
def funding_rate_e15(
    premium: float,
    interest_frac: float,
    clamp_frac: float,
    static_frac: float,
    cap_frac: float,
    period_ms: int,
) -> int:
    """Return the funding rate of a period.

    Parameters
    ----------
    premium : float
        Mean of its samples, a fraction.
    interest_frac, clamp_frac, static_frac : float
        As of `eight_hour_rate`.
    cap_frac : float
        Largest rate of a period in size, a fraction.
    period_ms : int
        Length of the period, ms.

    Returns
    -------
    int
        In 1e-15, to nearest; positive when longs pay.

    Examples
    --------
    >>> funding_rate_e15(0.0004, 0.0001, 0.0005, 0.0, 0.04, 3_600_000)
    12500000000
    """
    rate_8h = eight_hour_rate(premium, interest_frac, clamp_frac, static_frac)
    return round_nearest(period_rate(rate_8h, cap_frac, period_ms) * float(RATE_ONE))


@inline_kernel
def payment_micro(lots: int, oracle_e8: int, mark_den: int, rate_e15: int) -> int:
    """Return what a position pays.

    Parameters
    ----------
    lots : int
        Position, negative for a short.
    oracle_e8 : int
        Oracle price, 1e-8 USD.
    mark_den : int
        Micro-USDC of a position are lots x price / `mark_den`.
    rate_e15 : int
        Rate of the period, 1e-15.

    Returns
    -------
    int
        Micro-USDC: value and payment each to nearest. `NOT_REPRESENTABLE` if it does not fit.

    Examples
    --------
    A long of 10 at 10,000 USD and 0.11875 % pays 118.75 USD:

    >>> payment_micro(10, 10_000 * 10**8, 100, 1_187_500_000_000)
    118750000
    """
    value_micro = mul_div(lots, oracle_e8, mark_den, NEAREST)
    if value_micro == NOT_REPRESENTABLE:
        return NOT_REPRESENTABLE
    return mul_div(value_micro, rate_e15, RATE_ONE, NEAREST)


@kernel
def sample_premium(v: VenueState) -> None:
    """Add one premium sample for every perp.

    Parameters
    ----------
    v : VenueState
        Changed in `price`; the caller keeps the period.
    """
    for asset in range(v.price.shape[0]):
        inst = int(v.asset[asset].perp_inst)
        if inst >= 0:
            price = v.price[asset]
            notional_micro = int(v.inst[inst].impact_notional_micro)
            bid_usd = impact_price(v, inst, BUY, notional_micro)
            ask_usd = impact_price(v, inst, SELL, notional_micro)
            price.premium_sum += premium_of(bid_usd, ask_usd, price.oracle_usd)
            price.n_premium_samples += 1


@kernel
def settle_funding(v: VenueState, t_ms: int) -> None:
    """Book the funding of the period that ends, for every perp.

    What longs pay and shorts receive differs by the roundings of single rows; the difference goes
    to the row `rounding`, so that cash is conserved.

    Parameters
    ----------
    v : VenueState
        Changed in `cash`, `flow` and `price`; one event for each perp: the rate in `price_e8`, the
        open interest in `lots`, what the longs pay in `amount_micro`.
    t_ms : int
        End of the step, ms; the caller keeps the period.
    """
    par = v.par[0]
    for asset in range(v.price.shape[0]):
        inst = int(v.asset[asset].perp_inst)
        if inst < 0:
            continue
        price = v.price[asset]
        premium = mean_premium(price.premium_sum, int(price.n_premium_samples))
        rate_e15 = funding_rate_e15(
            premium,
            par.funding_interest_frac,
            par.funding_clamp_frac,
            par.funding_static_frac,
            par.funding_cap_frac,
            int(par.funding_period_ms),
        )
        price.last_funding_rate_e15 = rate_e15
        price.premium_sum = 0.0
        price.n_premium_samples = 0
        open_lots, paid_micro = 0, 0
        for row in range(v.perp.shape[0]):
            lots = int(v.perp[row, inst])
            if lots == 0:
                continue
            amount_micro = payment_micro(
                lots, int(price.oracle_e8), int(v.inst[inst].mark_den), rate_e15
            )
            if amount_micro == NOT_REPRESENTABLE:
                raise_fault(v, FAULT_OVERFLOW)
                continue
            move_cash(v, row, int(par.row_rounding), amount_micro, CAUSE_FUNDING)
            if lots > 0:
                open_lots += lots
                paid_micro += amount_micro
        log_event(
            v, t_ms, EV_FUNDING, _NONE, inst, open_lots, rate_e15, paid_micro, CAUSE_FUNDING, _NONE
        )
