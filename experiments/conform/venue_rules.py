"""Rules of the venue at chosen numbers: rates, tiers, loans, funding, liquidation, ticks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from stressbook.experiments.conform.cases import Case, Judged, Quantities
from stressbook.experiments.conform.inputs import Given, NotSupported
from stressbook.experiments.conform.judging import tolerance_in
from stressbook.experiments.conform.sums import (
    fraction_sum,
    is_in_breach,
    rules_of_the_venue,
    sums,
    tiers_given,
)
from stressbook.experiments.conform.venue_reserves import rates_at
from stressbook.experiments.conform.venue_tables import position_payment_usd
from stressbook.market.margin import printed as shown
from stressbook.market.margin.equity import AccountSums
from stressbook.market.margin.ratio import (
    margin_ratio,
    portfolio_ratio,
    portfolio_requirement_usd,
    portfolio_value_usd,
)
from stressbook.market.prices.funding import (
    eight_hour_rate,
    funding_rate_e15,
    premium_of,
)
from stressbook.market.regimes.tables import DEBT_DRAWN
from stressbook.market.regimes.tiers import maintenance_of
from stressbook.market.resolution.deleveraging_scores import gain_times_leverage, price_gain
from stressbook.market.resolution.takeover import loan_share
from stressbook.market.rules.ticks import is_valid_price
from stressbook.market.state.codes import PERP, SPOT

__all__ = ["RULE_LISTS", "RULE_OBJECTS"]

_Read: TypeAlias = Callable[[Given], Quantities]
_HOUR_MS: Final = 3_600_000


def _case(table: Mapping[str, Any], label: str, read: _Read, judged: tuple[str, ...]) -> Case:
    stated = tolerance_in(table)
    values = tuple(
        Judged(name, table[name], stated) for name in judged if table.get(name) is not None
    )
    return Case(label, values, lambda: read(Given(table)))


def _each(read: _Read, *judged: str) -> Callable[[Any, str], Iterator[Case]]:
    """Return the reader of a list of tables that hold inputs and judged names side by side."""

    def cases(section: Any, name: str) -> Iterator[Case]:
        for i, table in enumerate(section):
            if isinstance(table, Mapping):
                yield _case(table, f"{name}[{i}]", read, judged)
            else:
                yield Case(f"{name}[{i}]", (), _refuse)

    return cases


def _single(read: _Read, *judged: str) -> Callable[[Any, str], Iterator[Case]]:
    """Return the reader of one table."""

    def cases(section: Any, name: str) -> Iterator[Case]:
        yield _case(section, name, read, judged)

    return cases


def _refuse() -> Quantities:
    raise NotSupported("is no table")


# --- rates and tiers -----------------------------------------------------------------------------


def _read_rates(given: Given) -> Quantities:
    borrow, supply = rates_at(given.number("utilization"))
    return {"borrow_rate": lambda: borrow, "supply_rate": lambda: supply}


def _read_tiers(given: Given) -> Quantities:
    tiers, n = tiers_given(given.pairs("tiers"))
    notional = given.number("notional")
    return {"maintenance_margin": lambda: float(maintenance_of(tiers, 0, n, notional))}


# --- loans ---------------------------------------------------------------------------------------


def _loan(value_usd: float, ltv: float, debt: float) -> AccountSums:
    """Return the sums of an account with a loan and its collateral, and nothing else."""
    return sums(
        own_cash_usd=-debt,
        debt_usd=debt,
        collateral_value_usd=value_usd,
        collateral_capacity_usd=value_usd * ltv,
        collateral_credit_usd=value_usd * loan_share(ltv, False),
    )


def _read_loan(given: Given) -> Quantities:
    value = given.number("collateral_qty") * given.number("px")
    ltv, debt = given.number("ltv"), given.number("debt")
    s = _loan(value, ltv, debt)
    partial, full = (value * loan_share(ltv, of_all) for of_all in (False, True))
    return {
        "borrowable": lambda: s.collateral_capacity_usd,
        "health_factor": lambda: float(shown.health(s)),
        "partial_threshold": lambda: partial,
        "full_threshold": lambda: full,
        "pmr_pure_borrow": lambda: float(margin_ratio(s, True)),
        "partial": lambda: debt > partial,
        "full": lambda: debt > full,
        "pmr_liquidatable": lambda: is_in_breach(s),
    }


def _read_loan_prices(given: Given) -> Quantities:
    qty, ltv, debt = (given.number(name) for name in ("collateral_qty", "ltv", "debt"))
    if qty <= 0.0 or ltv <= 0.0 or debt <= 0.0:
        raise NotSupported("collateral, loan-to-value and debt are not all above 0")
    trigger = rules_of_the_venue().margin.trigger_ratio

    def is_taken(price: float, of_all: bool) -> bool:
        return debt > qty * price * loan_share(ltv, of_all)

    breaks: Mapping[str, Callable[[float], bool]] = {
        "px_pmr_095": lambda px: margin_ratio(_loan(qty * px, ltv, debt), True) > trigger,
        "px_partial": lambda px: is_taken(px, False),
        "px_full": lambda px: is_taken(px, True),
    }
    # At a price of debt / (quantity x LTV) nothing breaks, at 0 everything does.
    healthy = debt / (qty * ltv)
    return {name: partial(_highest, test, healthy) for name, test in breaks.items()}


def _highest(test: Callable[[float], bool], above: float) -> float:
    """Return the highest price at which something still breaks, to the last bits."""
    low, high = 0.0, above
    while True:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            return middle
        if test(middle):
            low = middle
        else:
            high = middle


def _read_health(given: Given) -> Quantities:
    inputs = given.table("inputs")
    capacity = fraction_sum(inputs.tables("collateral"), "qty", "px", "ltv")
    s = sums(collateral_capacity_usd=capacity, debt_usd=inputs.number("debt"))
    return {"health": lambda: float(shown.health(s))}


def _read_locked(given: Given) -> Quantities:
    inputs = given.table("inputs")
    debt, price, ltv = (inputs.number(name) for name in ("debt", "px", "ltv"))
    return {"locked_hype": lambda: float(shown.collateral_hold(-debt, 0.0, price, ltv))}


def _read_borrowable(given: Given) -> Quantities:
    inputs = given.table("inputs")
    value = inputs.number("collateral_qty") * inputs.number("px")
    s = _loan(value, inputs.number("ltv"), 0.0)
    return {"borrowable": lambda: s.collateral_capacity_usd}


_REQUIREMENT: Final = ("min_borrow_offset", "cross_maintenance", "borrowed_value")
_VALUE: Final = ("balance", "collateral_credit")


def _read_parts(given: Given) -> Quantities:
    needed = _parts(given, "requirement_part", _REQUIREMENT)
    worth = _parts(given, "liquidation_value_part", _VALUE)
    debt = needed["borrowed_value"]
    s = sums(
        own_cash_usd=worth["balance"] - debt,
        debt_usd=debt,
        maintenance_usd=needed["cross_maintenance"],
        collateral_credit_usd=worth["collateral_credit"],
        borrow_offset_usd=needed["min_borrow_offset"],
        debt_in_ratio=DEBT_DRAWN,
    )
    return {
        "requirement": lambda: float(portfolio_requirement_usd(s)),
        "liquidation_value": lambda: float(portfolio_value_usd(s)),
        "ratio": lambda: float(portfolio_ratio(s)),
    }


def _parts(given: Given, name: str, known: tuple[str, ...]) -> dict[str, float]:
    values = given.numbers(f"{name}s")
    names = list(given.raw(f"{name}_names")) if given.has(f"{name}_names") else list(known)
    if sorted(names) != sorted(known) or len(values) != len(names):
        raise NotSupported(f"`{name}s` are not {', '.join(known)}")
    return dict(zip(names, values, strict=True))


# --- funding, liquidation, deleveraging, ticks ---------------------------------------------------


def _read_funding(given: Given) -> Quantities:
    oracle = given.number("oracle")
    if oracle <= 0.0:
        raise NotSupported("`oracle` is not above 0")
    premium = premium_of(given.number("impact_bid"), given.number("impact_ask"), oracle)
    rules = rules_of_the_venue().funding
    parts = rules.interest_frac, rules.clamp_frac, rules.static_frac
    rate_e15 = funding_rate_e15(premium, *parts, rules.cap_frac, _HOUR_MS)
    return {
        "premium": lambda: float(premium),
        "rate_8h": lambda: float(eight_hour_rate(premium, *parts)),
        "rate_hour": lambda: rate_e15 / 1e15,
        "payment_long_10_contracts": lambda: -position_payment_usd(10.0, oracle, rate_e15 / 1e15),
    }


_SHARES: Final = (
    ("liq_price", 1.0),
    ("px_equity_two_thirds_mm", 2.0 / 3.0),
    ("px_bankruptcy", 0.0),
)


def _read_liquidation(given: Given) -> Quantities:
    size = given.position("size")
    given.side()  # a size without a side may be a short
    mark, equity = given.number("mark"), given.number("account_value")
    leverage = given.number("max_leverage")
    tiers, n = tiers_given([(0.0, leverage)])
    return {
        "maintenance_margin": lambda: float(maintenance_of(tiers, 0, n, abs(size) * mark)),
        **{
            name: partial(shown.price_at_maintenance_share, mark, size, equity, leverage, share)
            for name, share in _SHARES
        },
    }


def _read_rank(given: Given) -> Quantities:
    mark, entry, notional = (given.number(name) for name in ("mark", "entry", "notional"))
    equity, is_long = given.number("account_value"), given.side() > 0.0
    if mark <= 0.0 or entry <= 0.0:
        raise NotSupported("mark and entry are not both above 0")
    gain = price_gain(is_long, entry, mark)
    index = partial(gain_times_leverage, gain, abs(notional), equity)
    return {"index": lambda: float(index())}


def _read_tick(given: Given) -> Quantities:
    kinds = {"perp": PERP, "spot": SPOT}
    market = given.text("market")
    if market not in kinds:
        raise NotSupported(f"market {market!r} is neither perp nor spot")
    given.number("px")
    price, decimals = str(given.raw("px")), given.whole("szDecimals")
    return {"valid": lambda: is_valid_price(price, sz_decimals=decimals, kind=kinds[market])}


RULE_LISTS: Final = {
    "borrow_rate": _each(_read_rates, "borrow_rate", "supply_rate"),
    "maintenance_tiers": _each(_read_tiers, "maintenance_margin"),
    "borrow_liquidation": _each(
        _read_loan,
        "borrowable",
        "health_factor",
        "partial_threshold",
        "full_threshold",
        "pmr_pure_borrow",
        "partial",
        "full",
        "pmr_liquidatable",
    ),
    "borrow_liquidation_prices": _each(_read_loan_prices, "px_pmr_095", "px_partial", "px_full"),
    "funding": _each(_read_funding, "premium", "rate_8h", "rate_hour", "payment_long_10_contracts"),
    "cross_liquidation": _each(
        _read_liquidation, "maintenance_margin", *(name for name, _ in _SHARES)
    ),
    "adl_index": _each(_read_rank, "index"),
    "tick_rules": _each(_read_tick, "valid"),
}
RULE_OBJECTS: Final = {
    "health_factor_faq": _single(_read_health, "health"),
    "locked_collateral_faq": _single(_read_locked, "locked_hype"),
    "borrowable_faq": _single(_read_borrowable, "borrowable"),
    "btcquant_carry": _single(_read_parts, "requirement", "liquidation_value", "ratio"),
}
