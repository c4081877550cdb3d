"""A margin regime as validated data: what scans, charges, weighs and credits it knows.

Rows name the assets or tokens that they hold for; "*" stands for all that no earlier row names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from typing import Any, Final

from stressbook.errors import InvalidInput, Problem
from stressbook.market.declared import range_problems, rule
from stressbook.market.regimes.tables import AGGREGATIONS, APC_TOOLS, DEBTS_IN_RATIO, MAX_STEPS

__all__ = [
    "EVERY",
    "ChargeRow",
    "MarginRegime",
    "RegimeRules",
    "ScanRow",
    "SpreadRow",
    "Step",
    "Tail",
    "WeightRow",
    "choice_problems",
    "has_whole_loss",
    "regime_problems",
    "row_for",
    "row_problems",
]

EVERY: Final = "*"
COLLATERAL: Final = ("none", "loan_to_value", "weights")
POCKETS: Final = ("account", "position")


@dataclass(frozen=True)
class RegimeRules:
    """What is one number or one choice for the whole regime; what is left out changes nothing."""

    collateral: str = rule("name", "none, loan_to_value of the venue, or weights of this regime")
    nets_orders: bool = rule("switch", "orders enter by their two corners, else each by its margin")
    trigger_ratio: float = rule(
        "1", "requirement over value above which a pocket is in breach", low=0.1, high=10.0
    )
    pockets: str = rule(
        "name", "account, or position: each perp has a pocket of its own", default="account"
    )
    uses_tiers: bool = rule(
        "switch", "perps are charged by the venue's margin tiers", default=False
    )
    tier_at_entry: bool = rule(
        "switch", "tiers hold for the notional at entry, else at the mark", default=False
    )
    leverage_counts: bool = rule(
        "switch", "initial margin is at least notional / leverage", default=False
    )
    initial_over_maintenance: float = rule(
        "1",
        "least initial requirement of a perp, over that of its tiers",
        low=0.0,
        high=100.0,
        default=0.0,
    )
    closing_fee_frac: float = rule(
        "1", "fee of closing inside maintenance", low=0.0, high=0.1, default=0.0
    )
    aggregation: str = rule(
        "name", "mix, groups or credits: how losses of units add up", default="mix"
    )
    offset_frac: float = rule(
        "1", "of losses of one unit against gains of others", low=0.0, high=1.0, default=0.0
    )
    initial_factor: float = rule(
        "1", "of the scanned requirement", low=0.0, high=100.0, default=1.0
    )
    maintenance_factor: float = rule(
        "1", "of the scanned requirement", low=0.0, high=100.0, default=1.0
    )
    constant_initial_usd: float = rule(
        "USD", "on top, of every pocket that must hold anything", low=0.0, default=0.0
    )
    constant_maintenance_usd: float = rule(
        "USD", "on top, of every pocket that must hold anything", low=0.0, default=0.0
    )
    rates_at_oracle: bool = rule(
        "switch", "gross rates are charged on the value at the oracle", default=False
    )
    debt_in_ratio: str = rule(
        "name", "none, at_maintenance or drawn: debt on both sides of the ratio", default="none"
    )
    margin_is_borrowed: bool = rule(
        "switch", "margin that USDC lacks is borrowed, else collateral covers it", default=False
    )
    falls_back: bool = rule(
        "switch", "without credit an account is judged by the ordinary regime", default=False
    )
    confidence_threshold: float = rule(
        "1", "of an oracle, below which its legs cost more", low=0.0, high=1.0, default=0.0
    )
    confidence_rate: float = rule(
        "1", "of value, at no confidence", low=0.0, high=10.0, default=0.0
    )
    volatility_time_s: float = rule(
        "s",
        "time constant of the volatility that ranges follow, 0: they are static",
        low=0.0,
        high=1e9,
        default=0.0,
    )
    apc_tool: str = rule(
        "name",
        "none, buffer, stressed_weight or floor: what keeps such ranges from rising at once",
        default="none",
    )
    buffer_frac: float = rule(
        "1", "buffer on top that a rise uses up first", low=0.0, high=10.0, default=0.25
    )
    stressed_weight_frac: float = rule(
        "1", "weight of stressed observations in the variance", low=0.0, high=1.0, default=0.25
    )
    stressed_multiple: float = rule(
        "1", "volatility of those over the long-run one", low=0.0, high=100.0, default=1.8
    )
    floor_multiple: float = rule(
        "1", "volatility of a long look-back over the long-run one", low=0.0, high=10.0, default=1.0
    )


@dataclass(frozen=True)
class Tail:
    """An extreme move, of which only a part of the loss counts."""

    move_frac: float = rule("1", "relative change of price", low=-1.0, high=100.0)
    weight: float = rule("1", "share of the loss that counts", low=0.0, high=1.0)


@dataclass(frozen=True)
class ScanRow:
    """Scenarios of some assets: steps of a range, and weighted tails."""

    assets: tuple[str, ...]
    range_frac: float = rule("1", "price range", low=0.0, high=10.0)
    inverse: bool = rule("switch", "profit is x / (1 + x) in the coin, else x in USD")
    steps: tuple[float, ...] = ()
    tails: tuple[Tail, ...] = ()
    long_run_daily_volatility: float = rule(
        "1", "at which the range holds where ranges follow volatility", low=0.0, default=0.0
    )

    def moves(self) -> list[float]:
        """Return profit over value of a long in each scenario, weights in.

        Examples
        --------
        >>> ScanRow(("BTC",), 0.2, False, (-1.0, 1.0), (Tail(-0.5, 0.3),)).moves()
        [-0.2, 0.2, -0.15]
        """
        shocks = [(step * self.range_frac, 1.0) for step in self.steps]
        shocks += [(tail.move_frac, tail.weight) for tail in self.tails]
        return [weight * (x / (1.0 + x) if self.inverse else x) for x, weight in shocks]


@dataclass(frozen=True)
class Step:
    """A rate from a lower bound on."""

    lower_usd: float = rule("USD", "from which on the rate holds", low=0.0)
    rate: float = rule("1", "of the slice above it", low=0.0, high=1000.0)


@dataclass(frozen=True)
class ChargeRow:
    """What some assets are charged beside the scan."""

    assets: tuple[str, ...]
    gross_initial_frac: float = rule("1", "of perps' gross notional", low=0.0, high=10.0)
    gross_maintenance_frac: float = rule("1", "of perps' gross notional", low=0.0, high=10.0)
    floor_net_frac: float = rule("1", "least requirement, of net value", low=0.0, high=10.0)
    floor_hedged_frac: float = rule("1", "least requirement, of hedged value", low=0.0, high=10.0)
    hedged: tuple[Step, ...] = ()
    floor_steps: tuple[Step, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class WeightRow:
    """What balances of some tokens count for in equity, and what their debts cost."""

    tokens: tuple[str, ...]
    asset_initial: float = rule("1", "weight of a balance", low=0.0, high=1.0)
    asset_maintenance: float = rule("1", "weight of a balance", low=0.0, high=1.0)
    liability_initial: float = rule("1", "weight of a debt", low=0.0, high=10.0)
    liability_maintenance: float = rule("1", "weight of a debt", low=0.0, high=10.0)
    scanned: bool = rule("switch", "the token nets with perps of its asset in the scan")
    loan_initial: tuple[Step, ...] = ()
    loan_maintenance: tuple[Step, ...] = ()


@dataclass(frozen=True)
class SpreadRow:
    """A credit for assets held on opposite sides."""

    assets: tuple[str, ...]
    ratios: tuple[float, ...] = ()  # signed value of each in one spread
    credit_fracs: tuple[float, ...] = ()  # of each one's requirement that is given back


@dataclass(frozen=True)
class MarginRegime:
    """A regime.

    Parameters
    ----------
    name, title, as_of : str
        For tables.
    rules : RegimeRules
        Choices.
    scans, charges, weights, spreads : tuple
        Rows; the first that names an asset holds for it.
    sources : mapping of str to str
        Source of each number by its place.
    """

    name: str
    title: str
    as_of: str
    rules: RegimeRules
    scans: tuple[ScanRow, ...] = ()
    charges: tuple[ChargeRow, ...] = ()
    weights: tuple[WeightRow, ...] = ()
    spreads: tuple[SpreadRow, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    def with_rules(self, **changes: Any) -> MarginRegime:
        """Return it with other choices or numbers.

        Raises
        ------
        InvalidInput
            With all problems.

        Examples
        --------
        >>> from stressbook.market.regimes import load_regime
        >>> load_regime("scan").with_rules(offset_frac=1.0).rules.offset_frac
        1.0
        """
        unknown = sorted(set(changes) - {entry.name for entry in fields(RegimeRules)})
        if unknown:
            known = ", ".join(entry.name for entry in fields(RegimeRules))
            raise InvalidInput("is unknown", name=unknown[0], allowed=known)
        return checked(replace(self, rules=replace(self.rules, **changes)))

    @property
    def is_scanned(self) -> bool:
        """Whether it has scenarios."""
        return bool(self.scans)


def row_for(rows: Sequence[Any], name: str, key: str = "assets") -> Any:
    """Return the first row that names an asset or stands for all, None if there is none."""
    for row in rows:
        names = getattr(row, key)
        if name in names or EVERY in names:
            return row
    return None


def checked(regime: MarginRegime) -> MarginRegime:
    """Return a regime if nothing is wrong with it, else raise all problems."""
    problems = list(regime_problems(regime))
    if problems:
        raise InvalidInput.from_problems(problems)
    return regime


def regime_problems(regime: MarginRegime) -> Iterator[Problem]:
    """Yield what is wrong with the numbers of a regime.

    Parameters
    ----------
    regime : MarginRegime
        As read.

    Yields
    ------
    Problem
        Of each section in turn.
    """
    yield from range_problems(regime.rules, place="rules")
    yield from choice_problems(regime, place="rules")
    yield from row_problems(regime)


def choice_problems(regime: MarginRegime, *, place: str) -> Iterator[Problem]:
    """Yield unknown choices, and choices that do not go together."""
    rules = regime.rules
    for name, allowed in (
        ("pockets", POCKETS),
        ("collateral", COLLATERAL),
        ("aggregation", tuple(AGGREGATIONS)),
        ("debt_in_ratio", tuple(DEBTS_IN_RATIO)),
        ("apc_tool", tuple(APC_TOOLS)),
    ):
        if getattr(rules, name) not in allowed:
            yield Problem("is unknown", f"{place}.{name}", getattr(rules, name), ", ".join(allowed))
    if rules.falls_back and (regime.scans or not rules.uses_tiers):
        # What falls back keeps the requirement of its perps, and only loses its credit.
        yield Problem(
            "does not fit a scan", f"{place}.falls_back", True, "false, or perps by the tiers alone"
        )
    yield from _volatility_problems(regime, place)
    if rules.collateral == "weights" and not regime.weights:
        yield Problem("is missing", "weights", allowed="a row, since collateral counts by weight")


def _volatility_problems(regime: MarginRegime, place: str) -> Iterator[Problem]:
    """Yield what ranges lack that are to follow volatility."""
    time_s, tool = regime.rules.volatility_time_s, regime.rules.apc_tool
    if type(time_s) is not float or not isfinite(time_s) or time_s < 0.0:
        return  # said already
    if time_s == 0.0 and tool in APC_TOOLS and tool != "none":
        allowed = "none, or a volatility_time_s above 0"
        yield Problem("does not fit static ranges", f"{place}.apc_tool", tool, allowed)
    if time_s > 0.0 and not regime.scans:
        yield Problem("has no ranges", f"{place}.volatility_time_s", time_s, "0 without a scan")
    for i, row in enumerate(regime.scans if time_s > 0.0 else ()):
        if row.long_run_daily_volatility == 0.0:
            name = f"scans.{i}.long_run_daily_volatility"
            yield Problem("is missing", name, allowed="above 0 where ranges follow volatility")


def row_problems(regime: MarginRegime) -> Iterator[Problem]:
    """Yield what is wrong with scans, charges, weights and spreads."""
    for table in ("scans", "charges", "weights", "spreads"):
        for i, row in enumerate(getattr(regime, table)):
            yield from range_problems(row, place=f"{table}.{i}")
            yield from _list_problems(row, f"{table}.{i}")
    lengths = {len(row.moves()) for row in regime.scans if not has_whole_loss(row)}
    if len(lengths) > 1:
        found = ", ".join(str(n) for n in sorted(lengths))
        yield Problem("differs between assets", "scans", found, "as many scenarios for every asset")


def has_whole_loss(row: ScanRow) -> bool:
    """Tell whether an inverse payoff has a price of nothing, which has no profit."""
    shocks = [s * row.range_frac for s in row.steps] + [tail.move_frac for tail in row.tails]
    return row.inverse and any(x <= -1.0 for x in shocks)


def _list_problems(row: Any, place: str) -> Iterator[Problem]:
    for entry in fields(row):
        value = getattr(row, entry.name)
        name = f"{place}.{entry.name}"
        if not isinstance(value, tuple):
            continue
        if entry.name in ("assets", "tokens"):
            if not value or not all(isinstance(one, str) and one for one in value):
                yield Problem("is not a list of names", name, list(value))
        elif value and isinstance(value[0], Step):
            yield from _step_problems(value, name)
        elif value and isinstance(value[0], Tail):
            for i, tail in enumerate(value):
                yield from range_problems(tail, place=f"{name}.{i}")
        elif not all(type(one) is float and isfinite(one) for one in value):
            yield Problem("is not a list of finite numbers", name, list(value))
    if isinstance(row, ScanRow) and has_whole_loss(row):
        yield Problem("falls to nothing", place, allowed="moves above -1 under an inverse payoff")
    if isinstance(row, SpreadRow):
        yield from _spread_problems(row, place)


def _step_problems(steps: tuple[Step, ...], name: str) -> Iterator[Problem]:
    for i, step in enumerate(steps):
        yield from range_problems(step, place=f"{name}.{i}")
    lowers = [step.lower_usd for step in steps]
    if lowers[0] != 0.0 or lowers != sorted(set(lowers)):
        yield Problem("do not rise from 0", f"{name}.lower_usd", lowers)
    if len(steps) > MAX_STEPS:
        yield Problem("are too many", name, len(steps), f"{MAX_STEPS} or fewer")


def _spread_problems(row: SpreadRow, place: str) -> Iterator[Problem]:
    n = len(row.assets)
    if not 2 <= n <= 3 or len(row.ratios) != n or len(row.credit_fracs) != n:
        yield Problem(
            "does not fit", place, list(row.assets), "2 or 3 assets with a ratio and a credit each"
        )
    elif 0.0 in row.ratios or len({ratio > 0.0 for ratio in row.ratios}) == 1:
        yield Problem("is no spread", f"{place}.ratios", list(row.ratios), "both signs, none 0")
    if any(not 0.0 <= one <= 1.0 for one in row.credit_fracs):
        yield Problem("is out of range", f"{place}.credit_fracs", list(row.credit_fracs), "0 to 1")
