"""What a venue is: instruments, assets, tokens, fees and rules, frozen and checked as a whole."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from typing import Any, Final, Self

from stressbook.errors import InvalidInput, Problem, nearest_name
from stressbook.market.codes import PERP, SPOT
from stressbook.market.rules import (
    ClockRules,
    FundingRules,
    LatencyRules,
    LendingRules,
    LiquidationRules,
    MarginRules,
    MarkRules,
    OrderRules,
    range_problems,
    rule,
)
from stressbook.market.state import MAX_TIERS, N_TICKS
from stressbook.market.ticks import MIN_ROOM_UP, LadderRoom, ladder_room, opening_tick_e8

__all__ = [
    "ORACLE_MODES",
    "AssetSpec",
    "FeeTier",
    "InstrumentSpec",
    "MarginTier",
    "TokenSpec",
    "VenueSpec",
]

KINDS: Final = {"spot": SPOT, "perp": PERP}
ORACLE_MODES: Final = {"outside": 0, "venue_spot": 1, "weighted": 2}
SECTIONS: Final = (
    "clock",
    "mark",
    "funding",
    "margin",
    "lending",
    "liquidation",
    "orders",
    "latency",
)
TABLES: Final = ("assets", "tokens", "instruments", "fee_tiers")
_BOUND: Final = 2**60  # lots x ticks x k of one row stay below it


@dataclass(frozen=True)
class MarginTier:
    """Maximum leverage above a notional; maintenance is half of the initial requirement."""

    lower_usd: float = rule("USD", "notional from which the tier holds", low=0.0)
    max_leverage: int = rule("1", "largest notional / initial margin", low=1, high=1000)


@dataclass(frozen=True)
class AssetSpec:
    """An underlying: its opening price, its oracle and the margin tiers of its perp."""

    name: str
    oracle_mode: str
    oracle_venue_weight: float = rule(
        "1", "the venue's own spot in a weighted oracle", low=0.0, high=1.0
    )
    opening_price_usd: float = rule("USD", "price at the start of a run", low=1e-6, high=1e9)
    tiers: tuple[MarginTier, ...] = ()


@dataclass(frozen=True)
class TokenSpec:
    """What an account can hold and a reserve can lend; token 0 is USDC."""

    name: str
    asset: str
    decimals: int = rule("1", "decimals of a unit", low=0, high=12)
    borrowable: bool = rule("switch", "the reserve lends it")
    ltv: float = rule("1", "loan-to-value; 0 is no collateral", low=0.0, high=1.0)
    user_supply_cap: float = rule("tokens", "collateral or supply of one user", low=0.0)
    user_borrow_cap: float = rule("tokens", "debt of one user", low=0.0)
    platform_supply_cap: float = rule("tokens", "collateral or supply of all users", low=0.0)
    platform_borrow_cap: float = rule("tokens", "debt of all users", low=0.0)
    slice_width_usd: float = rule("USD", "size scale of the takeover discount", low=0.0)
    rate_base: float = rule("1/year", "borrow rate up to the kink", low=0.0, high=1.0)
    rate_slope: float = rule("1/year", "rise of the borrow rate beyond it", low=0.0, high=1000.0)
    kink_utilisation: float = rule("1", "utilisation at the kink", low=0.0, high=1.0)

    @property
    def unit(self) -> int:
        """Units of one token."""
        return 10**self.decimals


@dataclass(frozen=True)
class InstrumentSpec:
    """A book: the perp or the spot market of an asset."""

    name: str
    kind: str
    asset: str
    sz_decimals: int = rule("1", "decimals of a size; a lot is the last of them", low=0, high=8)
    impact_notional_usd: float = rule("USD", "size of the impact prices of funding", low=1.0)
    two_sided_max_spread_frac: float = rule("1", "wider is not two-sided", low=0.0, high=1.0)
    tick_e8: int = 0  # fixed by `VenueSpec.with_opening_prices`

    @property
    def lot_size(self) -> float:
        """Size of one lot in tokens."""
        return 1.0 / 10**self.sz_decimals

    @property
    def mark_den(self) -> int:
        """Divisor that makes micro-USDC of lots times a price in 1e-8 USD."""
        return int(100 * 10**self.sz_decimals)

    @property
    def micro_per_lot_tick(self) -> int:
        """Micro-USDC that one lot moves by one tick."""
        return self.tick_e8 // self.mark_den


@dataclass(frozen=True)
class FeeTier:
    """Fees above a 14-day weighted volume."""

    volume_from_usd: float = rule("USD", "volume above which the tier holds", low=0.0)
    perp_taker_frac: float = rule("1", "of notional", low=-0.01, high=0.1)
    perp_maker_frac: float = rule("1", "of notional", low=-0.01, high=0.1)
    spot_taker_frac: float = rule("1", "of notional", low=-0.01, high=0.1)
    spot_maker_frac: float = rule("1", "of notional", low=-0.01, high=0.1)


@dataclass(frozen=True)
class VenueSpec:
    """A venue: everything about it that does not change during a calm run.

    Parameters
    ----------
    name, as_of : str
        Of the rules; the date in ISO form.
    clock, mark, funding, margin, lending, liquidation, orders, latency
        Rules that are one number for the venue; see `stressbook.market.rules`.
    assets, tokens, instruments, fee_tiers : tuple
        In the order of the arrays of the state. Token 0 is USDC; fee tiers rise.
    sources : mapping of str to str
        Source of each number by its place; see `sources_of`.

    Raises
    ------
    InvalidInput
        With every problem at once.

    Examples
    --------
    >>> from stressbook.market.presets import load_preset
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
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        problems = list(_problems_of(self))
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
        >>> from stressbook.market.presets import load_preset
        >>> load_preset("hyperliquid").with_opening_prices({"BTC": 9_500.0}).instruments[0].tick_e8
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
        # A price that is none would break the search for a tick before it is reported.
        prices = {asset.name: asset.opening_price_usd for asset in assets}
        instruments = tuple(
            with_tick(entry, prices[entry.asset]) if 0.0 < prices[entry.asset] < 1e9 else entry
            for entry in self.instruments
        )
        return replace(self, assets=assets, instruments=instruments)

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
        >>> from stressbook.market.presets import load_preset
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

    def max_position_lots(self, instrument: InstrumentSpec) -> int:
        """Return the bound of |position| + open orders of one side, in lots."""
        ticks_times_k = N_TICKS * instrument.micro_per_lot_tick
        return int(_BOUND // (ticks_times_k * len(self.instruments)))


def with_tick(instrument: InstrumentSpec, price_usd: float) -> InstrumentSpec:
    """Return an instrument with the tick that follows from its opening price."""
    tick_e8 = opening_tick_e8(
        price_usd, sz_decimals=instrument.sz_decimals, kind=KINDS[instrument.kind]
    )
    return replace(instrument, tick_e8=tick_e8)


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
    return Problem("is unknown", kind, name, ", ".join(known), hint)


def _problems_of(spec: VenueSpec) -> Iterator[Problem]:
    for section in SECTIONS:
        yield from range_problems(getattr(spec, section), place=section)
    for table in TABLES:
        for index, entry in enumerate(getattr(spec, table)):
            label = getattr(entry, "name", index)
            yield from range_problems(entry, place=f"{table}.{label}")
    yield from _name_problems(spec)
    yield from _asset_problems(spec)
    yield from _token_problems(spec)
    yield from _instrument_problems(spec)
    yield from _fee_problems(spec)


def _name_problems(spec: VenueSpec) -> Iterator[Problem]:
    for table in TABLES[:3]:
        names = [entry.name for entry in getattr(spec, table)]
        if not names:
            yield Problem("is empty", table, allowed="1 or more entries")
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield Problem("is there twice", f"{table}.name", name, "each name once")


def _asset_problems(spec: VenueSpec) -> Iterator[Problem]:
    for asset in spec.assets:
        place = f"assets.{asset.name}"
        if asset.oracle_mode not in ORACLE_MODES:
            yield Problem(
                "is unknown", f"{place}.oracle_mode", asset.oracle_mode, ", ".join(ORACLE_MODES)
            )
        for index, tier in enumerate(asset.tiers):
            yield from range_problems(tier, place=f"{place}.tiers[{index}]")
        lowers = [tier.lower_usd for tier in asset.tiers]
        if len(lowers) > MAX_TIERS:
            yield Problem("are too many", f"{place}.tiers", len(lowers), f"{MAX_TIERS} or fewer")
        if lowers and (lowers[0] != 0.0 or sorted(set(lowers)) != lowers):
            yield Problem(
                "do not rise from 0", f"{place}.tiers.lower_usd", lowers, "0, then rising"
            )
        has_perp = any(entry.asset == asset.name for entry in spec.instruments if _is_perp(entry))
        if has_perp and not asset.tiers:
            yield Problem("is empty", f"{place}.tiers", allowed="1 or more tiers for a perp")


def _token_problems(spec: VenueSpec) -> Iterator[Problem]:
    assets = [asset.name for asset in spec.assets]
    for index, token in enumerate(spec.tokens):
        place = f"tokens.{token.name}"
        if index > 0 and token.asset not in assets:
            yield Problem("is unknown", f"{place}.asset", token.asset, ", ".join(assets))
        if index == 0 and (token.name != "USDC" or token.asset or token.decimals != 6):
            yield Problem("is not USDC", place, token.asset, "token 0: USDC, 6 decimals, no asset")
        if token.borrowable != (index == 0):
            yield Problem("is not supported", f"{place}.borrowable", token.borrowable, "USDC alone")
        if index == 0 and token.ltv != 0.0:
            yield Problem("counts USDC twice", f"{place}.ltv", token.ltv, "0.0")
        for cap in ("user_supply", "user_borrow", "platform_supply", "platform_borrow"):
            units = getattr(token, f"{cap}_cap") * token.unit
            if isfinite(units) and units >= 2**62:
                yield Problem("overflows", f"{place}.{cap}_cap", units, "below 2**62 units")
    used = [token.asset for token in spec.tokens if token.asset]
    for name in sorted({name for name in used if used.count(name) > 1}):
        yield Problem("has two tokens", "tokens.asset", name, "one token an asset")


def _instrument_problems(spec: VenueSpec) -> Iterator[Problem]:
    prices = {asset.name: asset.opening_price_usd for asset in spec.assets}
    token_of = {token.asset: token for token in spec.tokens[1:]}
    pairs = [(entry.kind, entry.asset) for entry in spec.instruments]
    for entry in spec.instruments:
        place = f"instruments.{entry.name}"
        if entry.kind not in KINDS:
            yield Problem("is unknown", f"{place}.kind", entry.kind, ", ".join(KINDS))
        if pairs.count((entry.kind, entry.asset)) > 1:
            yield Problem("is there twice", f"{place}.asset", entry.asset, "one book a kind")
        if entry.asset not in prices:
            yield Problem("is unknown", f"{place}.asset", entry.asset, ", ".join(prices))
            continue
        if entry.kind == "spot":
            yield from _lot_problems(entry, token_of.get(entry.asset), place)
        yield from _tick_problems(entry, prices[entry.asset], place)


def _lot_problems(entry: InstrumentSpec, token: TokenSpec | None, place: str) -> Iterator[Problem]:
    if token is None:
        yield Problem("has no token", f"{place}.asset", entry.asset, "an asset with a token")
    elif token.decimals < entry.sz_decimals:
        yield Problem(
            "is finer than a token unit",
            f"{place}.sz_decimals",
            entry.sz_decimals,
            f"{token.decimals} or fewer, the decimals of {token.name}",
        )


def _tick_problems(entry: InstrumentSpec, price_usd: float, place: str) -> Iterator[Problem]:
    if entry.tick_e8 <= 0 or entry.tick_e8 % entry.mark_den:
        yield Problem(
            "makes no whole number of micro-USDC a lot",
            f"{place}.tick_e8",
            entry.tick_e8,
            f"multiples of {entry.mark_den}, in 1e-8 USD",
            "call with_opening_prices, which sets it",
        )
    elif isfinite(price_usd) and price_usd > 0.0:
        room = ladder_room(entry.name, price_usd=price_usd, tick_e8=entry.tick_e8)
        if room.up_factor < MIN_ROOM_UP or room.opening_tick < 2:
            yield Problem(
                "leaves no room on the ladder",
                f"{place}.tick_e8",
                entry.tick_e8,
                f"2 ticks or more at the opening, and {MIN_ROOM_UP} times up; has {room}",
            )


def _fee_problems(spec: VenueSpec) -> Iterator[Problem]:
    volumes = [tier.volume_from_usd for tier in spec.fee_tiers]
    if not volumes or volumes[0] != 0.0 or sorted(set(volumes)) != volumes:
        yield Problem("do not rise from 0", "fee_tiers.volume_from_usd", volumes, "0, then rising")
    if spec.latency.p99_ms < spec.latency.median_ms:
        yield Problem(
            "is below the median", "latency.p99_ms", spec.latency.p99_ms, spec.latency.median_ms
        )


def _is_perp(entry: InstrumentSpec) -> bool:
    return entry.kind == "perp"
