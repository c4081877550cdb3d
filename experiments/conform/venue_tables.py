"""Tables of a live account: isolated liquidation prices, funding, fees, and how net has moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final

from stressbook.experiments.conform.cases import Case, Judged, Quantities
from stressbook.experiments.conform.inputs import Given, NotSupported, rows_of
from stressbook.experiments.conform.judging import tolerances_of
from stressbook.experiments.conform.sums import rules_of_the_venue, sums
from stressbook.market.margin import printed as shown
from stressbook.market.margin.equity import net_usd
from stressbook.market.numbers.units import MICRO, NOT_REPRESENTABLE
from stressbook.market.prices.funding import payment_micro
from stressbook.market.state.ledger import fee_micro

__all__ = ["TABLES", "position_payment_usd", "rollforward_cases"]

_BUILDER_RATE_E7: Final = 1_000  # 1 bp, beside the fee of the venue
_RATE_ONE: Final = 1e15
_EXACT: Final = 2.0**53


def _table(
    read: Callable[[Given], Quantities], judged: tuple[tuple[str, str], ...]
) -> Callable[[Mapping[str, Any], str], Iterator[Case]]:
    """Return the reader of a table whose last columns are judged: their names and units."""

    def cases(section: Mapping[str, Any], name: str) -> Iterator[Case]:
        stated = tolerances_of(section)
        for i, row in enumerate(rows_of(section)):
            values = tuple(
                Judged(column, row[column], stated(unit))
                for column, unit in judged
                if column in row and (row[column] is not None or column == "liquidationPx")
            )
            label = " ".join(str(part) for part in (f"{name}[{i}]", row.get("coin", "")) if part)
            yield Case(label, values, partial(read, Given(row)))

    return cases


def _read_isolated(row: Given) -> Quantities:
    size, leverage = row.number("szi"), row.number("maxLeverage")
    raw_usd = row.number("isolated_rawUsd")
    if size == 0.0 or leverage <= 0.5:
        raise NotSupported("has no size, or no leverage")
    price = shown.isolated_liquidation_price(raw_usd, size, leverage)
    return {"liquidationPx": lambda: None if price <= 0.0 else float(price)}


def _read_funding(row: Given) -> Quantities:
    size, price = row.number("szi"), row.number("oracle_px_implied")
    rate = row.number("fundingRate")
    return {"usdc_delta": lambda: -position_payment_usd(size, price, rate)}


def position_payment_usd(size: float, price_usd: float, rate: float) -> float:
    """Return what a position pays in a period, to a micro-USDC.

    Parameters
    ----------
    size : float
        Signed.
    price_usd : float
        Oracle price.
    rate : float
        Of the period.

    Returns
    -------
    float
        USD; negative is received.

    Examples
    --------
    >>> position_payment_usd(29.72, 103.347, -0.0000097754)
    -0.030025
    """
    exponent = Decimal(repr(size)).normalize().as_tuple().exponent
    decimals = max(-exponent, 0) if isinstance(exponent, int) else 0
    while decimals > 0 and abs(size) * 10.0**decimals >= _EXACT:
        decimals -= 1
    lots = round(size * 10**decimals)
    paid = payment_micro(
        lots, round(price_usd * 1e8), 10 ** (decimals + 2), round(rate * _RATE_ONE)
    )
    if paid == NOT_REPRESENTABLE:
        raise NotSupported("a payment that no ledger holds")
    return paid / MICRO


def _read_fees(row: Given) -> Quantities:
    notional = Decimal(repr(row.number("px"))) * Decimal(repr(row.number("sz")))
    tier = rules_of_the_venue().fee_tiers[0]
    rates = {"maker": tier.perp_maker_frac, "taker": tier.perp_taker_frac}
    role = row.text("role")
    if role not in rates:
        raise NotSupported(f"role {role!r} is neither maker nor taker")
    own = _truncated_fee_micro(notional, round(rates[role] * 1e7))
    builder = 0
    if not row.has("of_which_builder"):
        raise NotSupported("lacks `of_which_builder`, which is part of the fee")
    if row.number("of_which_builder") != 0.0:
        builder = _truncated_fee_micro(notional, _BUILDER_RATE_E7)
    return {
        "fee_total": lambda: (own + builder) / MICRO,
        "of_which_builder": lambda: builder / MICRO,
    }


def _truncated_fee_micro(notional: Decimal, rate_e7: int) -> int:
    """Return the fee on an exact notional, whose own parts of a micro-USDC still count."""
    exponent = notional.normalize().as_tuple().exponent
    finer = max(-exponent - 6, 0) if isinstance(exponent, int) else 0
    return int(fee_micro(int(notional.scaleb(6 + finer)), rate_e7)) // 10**finer


TABLES: Final = {
    "isolated_liquidation": _table(_read_isolated, (("liquidationPx", "price"),)),
    "funding_payments": _table(_read_funding, (("usdc_delta", "usd"),)),
    "fees": _table(_read_fees, (("fee_total", "usd"), ("of_which_builder", "usd"))),
}

_ENDS: Final = ("predicted_end_net", "api_end_net")


def rollforward_cases(section: Mapping[str, Any], name: str) -> Iterator[Case]:
    """Yield the case of a net balance at the end of an interval.

    Parameters
    ----------
    section : mapping
        Net and unrealised profit at both ends, costs and receipts.
    name : str
        Of the section.

    Yields
    ------
    Case
    """
    stated = tolerances_of(section)
    judged = tuple(
        Judged(end, section[end], stated(end)) for end in _ENDS if section.get(end) is not None
    )
    yield Case(name, judged, lambda: _read_rollforward(Given(section)))


def _read_rollforward(given: Given) -> Quantities:
    receipts = ("realized_pnl", "funding", "supply_interest", "external", "spot_cash")
    cash = sum(given.number(part, 0.0) for part in receipts)
    cash -= given.number("fees", 0.0) + given.number("borrow_interest", 0.0)
    # Net moves by the cash that crosses it and by what open positions are worth.
    own = given.number("start_net") - given.number("start_upnl") + cash
    end = net_usd(sums(own_cash_usd=own, position_value_usd=given.number("end_upnl")))
    return dict.fromkeys(_ENDS, lambda: float(end))
