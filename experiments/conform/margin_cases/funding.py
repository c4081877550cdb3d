"""Funding: rates from premiums, what they move, and premiums from books."""

from __future__ import annotations

from decimal import Decimal
from math import inf, nan
from typing import Final

from stressbook.experiments.conform.cases import Quantities
from stressbook.experiments.conform.inputs import Given, NotSupported, decimals_of
from stressbook.market.prices.funding import (
    RATE_PERIOD_MS,
    eight_hour_rate,
    mean_premium,
    period_rate,
    premium_of,
)
from stressbook.market.reference.funding import impact_price_usd

__all__ = ["FUNDING"]

_HOUR_MS: Final = 3_600_000
_HOURS: Final = RATE_PERIOD_MS // _HOUR_MS


def _read_funding(given: Given) -> Quantities:
    if given.has("premium_samples"):
        return _sampled(given)
    if given.has("premium", "clamp"):
        return _continuous(given)
    if given.has("index") and (given.has("cases") or given.has("impact_bid", "impact_ask")):
        return _hourly(given)
    raise NotSupported("no funding rule takes such inputs")


def _sampled(given: Given) -> Quantities:
    """Read samples over a period, a part that is always added, and a cap on eight hours."""
    samples = given.table("premium_samples")
    total = 0.0
    if samples.number("count") > 0.0:
        total = samples.number("value") * samples.number("count")
    premium = mean_premium(total, given.whole("expected_samples"))
    rate_8h = eight_hour_rate(premium, 0.0, 0.0, given.number("default_funding", 0.0))
    cap = inf
    if given.has("imf", "mmf"):
        cap = _CAP_OF_MARGINS * (given.number("imf") - given.number("mmf"))
    rate = period_rate(rate_8h, cap, RATE_PERIOD_MS)
    hour = period_rate(rate_8h, cap / _HOURS, _HOUR_MS)
    return {
        "rate_8h": lambda: float(rate),
        "index_delta_1h": lambda: float(hour * given.number("price")),
    }


_CAP_OF_MARGINS: Final = 6.0  # of initial less maintenance, for eight hours


def _continuous(given: Given) -> Quantities:
    """Read a premium, interest and clamp, and a share of eight hours in seconds."""
    clamp = given.number("clamp")
    rate_8h = eight_hour_rate(given.number("premium"), given.number("baseline", 0.0), clamp, 0.0)

    def step() -> float:
        share = period_rate(rate_8h, inf, round(given.number("seconds") * 1e3))
        return float(share * given.number("spot"))

    return {
        "rate_8h": lambda: float(rate_8h),
        "premium_8h": lambda: float(rate_8h * given.number("spot")),
        "index_delta": step,
        "pnl": lambda: -given.position("position") * step(),
    }


def _hourly(given: Given) -> Quantities:
    """Read impact prices, a static part and a cap, both for an hour."""
    index = given.number("index")
    if index <= 0.0:
        raise NotSupported("`index` is not above 0")
    static, cap = given.number("static", 0.0) * _HOURS, given.number("cap", inf)
    books = given.tables("cases") if given.has("cases") else [given]
    rates = []
    for one in books:
        premium = premium_of(one.number("impact_bid"), one.number("impact_ask"), index)
        rates.append(float(period_rate(eight_hour_rate(premium, 0.0, 0.0, static), cap, _HOUR_MS)))

    def paid() -> list[float]:
        held = given.position("position") * given.number("hours", 1.0) * index
        return [held * rate for rate in rates]

    if not given.has("cases"):
        return {"rate_per_hour": lambda: rates[0], "long_pays": lambda: paid()[0]}
    return {"rate_per_hour": lambda: rates, "long_pays": paid}


def _read_premium(given: Given) -> Quantities:
    bound = given.number("max_abs_premium", inf)
    index, notional = given.number("index"), given.number("impact_notional")
    if index <= 0.0:
        raise NotSupported("`index` is not above 0")
    bid, ask = (_impact_price(given.pairs(side), notional) for side in ("bids", "asks"))
    premium = float(premium_of(bid, ask, index))
    if abs(premium) > bound:
        raise NotSupported("no funding rule bounds a sample of the premium")
    # To a millionth, towards zero, of the number and not of its binary neighbour.
    return {"premium_ppm": lambda: int(Decimal(repr(round(premium, 12))) * 1_000_000)}


def _impact_price(levels: list[tuple[float, float]], notional: float) -> float:
    """Return the average price for a notional, NaN if a side does not hold it."""
    if notional == 0.0:
        return levels[0][0] if levels else nan
    price_decimals = max((decimals_of(price) for price, _ in levels), default=0)
    size_decimals = max((decimals_of(size) for _, size in levels), default=0)
    ticks = [
        (round(price * 10**price_decimals), round(size * 10**size_decimals))
        for price, size in levels
    ]
    # One lot at one tick is worth one unit of the notional.
    scaled = round(notional * 10 ** (price_decimals + size_decimals))
    found = impact_price_usd(ticks, k=1, tick_usd=10.0**-price_decimals, notional_micro=scaled)
    return nan if found is None else found


FUNDING: Final = {"funding": _read_funding, "premium": _read_premium}
