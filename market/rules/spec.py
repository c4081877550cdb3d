"""What a venue is: rules and listings, frozen and checked as a whole; presets of real venues."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Self

from stressbook.errors import InvalidInput, Problem, nearest_name
from stressbook.market.regimes.reading import load_regime
from stressbook.market.regimes.rows import row_for
from stressbook.market.regimes.spec import MarginRegime, RegimeRules
from stressbook.market.rules.listing import (
    AssetSpec,
    FeeTier,
    InstrumentSpec,
    MarginTier,
    OrderSizeTier,
    TokenSpec,
)
from stressbook.market.rules.presets import preset_document, read_rules
from stressbook.market.rules.scalars import (
    ClockRules,
    FundingRules,
    LatencyRules,
    LendingRules,
    LiquidationRules,
    MarginRules,
    MarkRules,
    OrderRules,
)
from stressbook.market.rules.spec_checks import SECTIONS, TABLES, spec_problems
from stressbook.market.rules.ticks import LadderRoom, ladder_room
from stressbook.market.state.records import N_TICKS

__all__ = [
    "AssetSpec",
    "FeeTier",
    "InstrumentSpec",
    "MarginTier",
    "OrderSizeTier",
    "TokenSpec",
    "VenueSpec",
    "load_preset",
    "parse_venue",
]

_BOUND: Final = 2**60  # lots x ticks x k of one row stay below it
ORDINARY: Final = ("cross", "isolated")  # regimes that nobody enrols in
_UNCAPPED_TOKENS: Final = 1e8


@dataclass(frozen=True)
class VenueSpec:
    """A venue: everything about it that does not change during a calm run.

    Parameters
    ----------
    name, as_of : str
        Of the rules; the date in ISO form.
    clock, mark, funding, margin, lending, liquidation, orders, latency
        Rules that are one number for the venue; see `stressbook.market.rules.scalars`.
    assets, tokens, instruments, fee_tiers, order_sizes : tuple
        In the order of the arrays of the state. Token 0 is USDC; fee and size tiers rise.
    regime : RegimeRules
        Choices and numbers of the regime that accounts enrol in.
    regime_rows : MarginRegime
        That regime as it ships: its scans, charges and weights.
    ordinary : MarginRegime
        Regime of all others.
    sources : mapping of str to str
        Source of each number by its place; see `presets.read_rules`.

    Raises
    ------
    InvalidInput
        With every problem at once.

    Examples
    --------
    >>> spec = load_preset("hyperliquid")
    >>> [room.name for room in spec.ladder_room() if room.up_factor < 3.2]
    ['HYPE-PERP', 'HYPE-SPOT']
    """

    name: str
    as_of: str
    clock: ClockRules
    mark: MarkRules
    funding: FundingRules
    margin: MarginRules
    lending: LendingRules
    liquidation: LiquidationRules
    orders: OrderRules
    latency: LatencyRules
    assets: tuple[AssetSpec, ...]
    tokens: tuple[TokenSpec, ...]
    instruments: tuple[InstrumentSpec, ...]
    fee_tiers: tuple[FeeTier, ...]
    order_sizes: tuple[OrderSizeTier, ...]
    regime: RegimeRules = field(default_factory=lambda: load_regime("hyperliquid-pm").rules)
    regime_rows: MarginRegime = field(default_factory=lambda: load_regime("hyperliquid-pm"))
    ordinary: MarginRegime = field(default_factory=lambda: load_regime("cross"))
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        problems = list(spec_problems(self))
        if problems:
            raise InvalidInput.from_problems(problems)

    def with_opening_prices(self, prices_usd: Mapping[str, float]) -> Self:
        """Return the venue at other opening prices, with the ticks that follow from them.

        Parameters
        ----------
        prices_usd : mapping of str to float
            Asset to USD; assets left out keep their price.

        Returns
        -------
        VenueSpec
            The ticks stay fixed for the whole run.

        Raises
        ------
        InvalidInput
            If an asset is unknown or a price does not fit a ladder.

        Examples
        --------
        >>> spec = load_preset("hyperliquid").with_opening_prices({"BTC": 9_500.0})
        >>> spec.instruments[0].tick_e8
        10000000
        """
        known = [asset.name for asset in self.assets]
        strange = [name for name in prices_usd if name not in known]
        if strange:
            raise InvalidInput.from_problems([_unknown("asset", name, known) for name in strange])
        assets = tuple(
            replace(asset, opening_price_usd=float(prices_usd.get(asset.name, price)))
            for asset, price in ((asset, asset.opening_price_usd) for asset in self.assets)
        )
        prices = {asset.name: asset.opening_price_usd for asset in assets}
        instruments = tuple(entry.ticked(prices[entry.asset]) for entry in self.instruments)
        return replace(self, assets=assets, instruments=instruments)

    @property
    def enrolled(self) -> MarginRegime:
        """The regime that accounts enrol in, its numbers as they stand here."""
        return replace(self.regime_rows, rules=self.regime)

    def with_regime(self, name: str) -> Self:
        """Return the venue under another margin regime.

        Parameters
        ----------
        name : str
            Of `regimes.regime_names`: "cross" and "isolated" hold for everyone, any other for the
            accounts that enrol, beside cross for the rest.

        Returns
        -------
        VenueSpec
            Under a regime with weights of its own, tokens have its initial weight as
            loan-to-value and no caps on supply.

        Raises
        ------
        UnknownName
            If there is no such regime.

        Examples
        --------
        >>> [token.ltv for token in load_preset("hyperliquid").with_regime("scan").tokens]
        [0.0, 0.9, 0.9, 0.9]
        """
        regime = load_regime(name)
        if name in ORDINARY:
            return replace(self, ordinary=regime)
        sources = {
            f"regime.{p.split('.', 1)[1]}": s
            for p, s in regime.sources.items()
            if p.startswith("rules.")
        }
        return replace(
            self,
            regime=regime.rules,
            regime_rows=regime,
            tokens=tuple(_weighed(token, regime) for token in self.tokens),
            sources={**self.sources, **sources},
        )

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """Return the venue with single numbers changed.

        Parameters
        ----------
        values : mapping of str to value
            Place to value: "margin.trigger_ratio", "tokens.HYPE.ltv", "fee_tiers.0.spot_taker_frac"

        Returns
        -------
        VenueSpec
            Checked again.

        Raises
        ------
        InvalidInput
            If a place is unknown or a value does not pass.

        Examples
        --------
        >>> load_preset("hyperliquid").with_values({"tokens.HYPE.ltv": 0.5}).tokens[3].ltv
        0.5
        """
        known = self.places()
        strange = [place for place in values if place not in known]
        if strange:
            raise InvalidInput.from_problems([_unknown("place", name, known) for name in strange])
        changed: dict[str, Any] = {}
        for place, value in values.items():
            section, key, attribute = known[place]
            current = changed.get(section, getattr(self, section))
            changed[section] = _with_value(current, key, attribute, value)
        return replace(self, **changed)

    def places(self) -> dict[str, tuple[str, int, str]]:
        """Return where each number stands: place to section, index (-1: none) and attribute."""
        found: dict[str, tuple[str, int, str]] = {}
        for section in SECTIONS:
            for attribute in _numbers(getattr(self, section)):
                found[f"{section}.{attribute}"] = (section, -1, attribute)
        for table in TABLES:
            for index, entry in enumerate(getattr(self, table)):
                label = getattr(entry, "name", str(index))
                for attribute in _numbers(entry):
                    found[f"{table}.{label}.{attribute}"] = (table, index, attribute)
        return found

    def ladder_room(self) -> tuple[LadderRoom, ...]:
        """Return how far the price of each book can rise and fall on its ladder."""
        price = {asset.name: asset.opening_price_usd for asset in self.assets}
        return tuple(
            ladder_room(entry.name, price_usd=price[entry.asset], tick_e8=entry.tick_e8)
            for entry in self.instruments
        )

    def market_order_max_usd(self, instrument: InstrumentSpec) -> float:
        """Return the largest market order of a book, USD; 0 of a token: no bound."""
        if instrument.kind != "perp":
            return 0.0
        tiers = next(asset.tiers for asset in self.assets if asset.name == instrument.asset)
        reached = [one for one in self.order_sizes if one.leverage_from <= tiers[0].max_leverage]
        return reached[-1].market_order_max_usd

    def max_position_lots(self, instrument: InstrumentSpec) -> int:
        """Return the bound of |position| + open orders of one side, in lots."""
        ticks_times_k = N_TICKS * instrument.micro_per_lot_tick
        return int(_BOUND // (ticks_times_k * len(self.instruments)))


def load_preset(name: str) -> VenueSpec:
    """Return the rules of a venue, at their own opening prices.

    Parameters
    ----------
    name : str
        "hyperliquid", the newest version, or "hyperliquid-2026-08".

    Returns
    -------
    VenueSpec
        With ticks fixed by the opening prices of the file.

    Raises
    ------
    UnknownName
        If there is no such preset.

    Examples
    --------
    >>> load_preset("hyperliquid").as_of
    '2026-08-22'
    """
    return parse_venue(preset_document(name))


def parse_venue(document: Mapping[str, Any]) -> VenueSpec:
    """Return the venue that a parsed TOML document describes.

    Parameters
    ----------
    document : mapping
        As the shipped files: sections of `{ value, unit, source }`, tables with a `source`.

    Returns
    -------
    VenueSpec
        With ticks fixed by its opening prices.

    Raises
    ------
    InvalidInput
        With every problem of the document at once.

    Examples
    --------
    >>> parse_venue({"name": "none"})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    stressbook.errors.InvalidInput: as_of is missing...
    """
    values, sources, problems = read_rules(document)
    if problems:
        raise InvalidInput.from_problems(problems)
    prices = {asset.name: asset.opening_price_usd for asset in values["assets"]}
    instruments = tuple(
        entry.ticked(prices.get(entry.asset, 0.0)) for entry in values["instruments"]
    )
    spec = VenueSpec(**{**values, "instruments": instruments, "sources": sources})
    return spec.with_regime(spec.regime_rows.name)


def _weighed(token: TokenSpec, regime: MarginRegime) -> TokenSpec:
    """Return a token as a regime with weights of its own counts it."""
    if regime.rules.collateral != "weights" or not token.asset:
        return token
    weight = row_for(regime.weights, token.name, "tokens")
    ltv = 0.0 if weight is None else weight.asset_initial
    return replace(
        token, ltv=ltv, user_supply_cap=_UNCAPPED_TOKENS, platform_supply_cap=_UNCAPPED_TOKENS
    )


def _numbers(rules: Any) -> list[str]:
    return [entry.name for entry in fields(rules) if "unit" in entry.metadata]


def _with_value(current: Any, key: int, attribute: str, value: Any) -> Any:
    if key < 0:
        return replace(current, **{attribute: value})
    entries = list(current)
    entries[key] = replace(entries[key], **{attribute: value})
    return tuple(entries)


def _unknown(kind: str, name: str, known: Any) -> Problem:
    nearest = nearest_name(name, known)
    hint = f"did you mean {nearest!r}?" if nearest else ""
    # There are hundreds of places: those of its own section are what may have been meant.
    near = [one for one in known if one.startswith(f"{name.partition('.')[0]}.")]
    return Problem("is unknown", kind, name, ", ".join(near or known), hint)
